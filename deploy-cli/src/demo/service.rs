//! The service that the demo deploys: a page at `/`, health at `/health`, both from the `app.json` of the folder it was
//! started in, read once. It is given its listening socket as stdin, as systemd's socket activation does, so that two of
//! them can serve one port while one takes over from the other. No deployment, no rule: a program like anybody's.

use rustix::event::{PollFd, PollFlags, poll};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// What it says to whoever started it, once it answers.
pub(super) const READY: &[u8] = b"ready\n";
/// The file in a release that says what to serve.
pub(super) const APP: &str = "app.json";
/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request line and header that is read.
const LONGEST: u64 = 8 * 1024;

/// What is served: the release's own file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct App {
    version: String,
    message: String,
    health: Value,
}

struct Running {
    app: App,
    name: String,
    since: Instant,
}

/// Serves until whoever holds the other end of stdout closes it; then answers what was already accepted, and ends.
///
/// # Errors
/// If stdin is no listening socket, stdout no socket, or the folder holds no `app.json`: for people.
pub(super) fn serve() -> Result<ExitCode, String> {
    let app = read(&std::env::current_dir().map_err(|error| error.to_string())?)?;
    let listener = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map(TcpListener::from);
    let control = std::io::stdout()
        .as_fd()
        .try_clone_to_owned()
        .map(UnixStream::from);
    let (Ok(listener), Ok(mut control)) = (listener, control) else {
        return Err("this is started by `deploy demo`".to_owned());
    };
    // Two processes wait for the same connections: one of them finds it taken, and must not wait for the next.
    listener
        .set_nonblocking(true)
        .map_err(|_| "this is started by `deploy demo`".to_owned())?;
    let name = std::env::var("DEPLOY_SERVICE").unwrap_or_else(|_| "service".to_owned());
    let running = Running {
        app,
        name,
        since: Instant::now(),
    };
    control.write_all(READY).map_err(|error| error.to_string())?;
    // Leaving the scope waits for every answer that is under way.
    std::thread::scope(|scope| {
        loop {
            let mut waited = [
                PollFd::new(&listener, PollFlags::IN),
                PollFd::new(&control, PollFlags::IN),
            ];
            match poll(&mut waited, None) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.to_string()),
            }
            if !waited[1].revents().is_empty() {
                return Ok(ExitCode::SUCCESS);
            }
            // Somebody else may have taken it, or it may be gone: both are the next round.
            if let Ok((stream, _)) = listener.accept() {
                scope.spawn(|| running.answer(stream));
            }
        }
    })
}

fn read(folder: &Path) -> Result<App, String> {
    let text = std::fs::read_to_string(folder.join(APP)).map_err(|error| format!("{APP}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{APP}: {error}"))
}

impl Running {
    /// Answers one request; a client that goes away or talks nonsense gets nothing.
    fn answer(&self, stream: TcpStream) -> Option<()> {
        stream.set_nonblocking(false).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        let mut reader = BufReader::new(stream.take(LONGEST));
        let mut request = String::new();
        reader.read_line(&mut request).ok()?;
        let mut header = String::new();
        while reader.read_line(&mut header).ok()? > 2 {
            header.clear();
        }
        let path = request.split(' ').nth(1)?;
        let (status, kind, body) = self.page(path);
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nx-version: {}\r\nconnection: close\r\n\r\n",
            body.len(),
            self.app.version,
        );
        let mut stream = reader.into_inner().into_inner();
        stream.write_all((head + &body).as_bytes()).ok()
    }

    fn page(&self, path: &str) -> (&'static str, &'static str, String) {
        match path {
            "/" => ("200 OK", "text/html; charset=utf-8", self.front()),
            "/health" => ("200 OK", "application/json", self.health().to_string()),
            _ => ("404 Not Found", "text/plain", "not here\n".to_owned()),
        }
    }

    fn front(&self) -> String {
        format!(
            "<!doctype html><title>{name}</title><h1>{message}</h1><p>{name} {version}</p>\n",
            name = self.name,
            message = self.app.message,
            version = self.app.version,
        )
    }

    /// What the release says of itself, with the version that was read at the start: what answers, not what lies there.
    fn health(&self) -> Value {
        let mut health = self.app.health.clone();
        if let Some(fields) = health.as_object_mut() {
            fields.insert("version".to_owned(), json!(self.app.version));
            fields.insert("uptime".to_owned(), json!(self.since.elapsed().as_secs()));
        }
        health
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(health: Value) -> Running {
        let app = App {
            version: "1.0.0".to_owned(),
            message: "Hello".to_owned(),
            health,
        };
        Running {
            app,
            name: "web".to_owned(),
            since: Instant::now(),
        }
    }

    /// What a client gets that sends `request`.
    fn ask(running: &Running, request: &str) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        running.answer(listener.accept().unwrap().0);
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn health_is_the_releases_own_word_with_the_version_that_answers() {
        let answer = ask(
            &running(json!({"status": "DOWN", "components": {"db": "timeout"}})),
            "GET /health HTTP/1.1\r\nhost: x\r\n\r\n",
        );
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        let body: Value = serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap();
        assert_eq!(
            body,
            json!({"status": "DOWN", "components": {"db": "timeout"}, "version": "1.0.0", "uptime": 0})
        );
    }

    #[test]
    fn the_page_names_the_version_and_other_paths_are_not_here() {
        let up = running(json!({"status": "UP"}));
        let answer = ask(&up, "GET / HTTP/1.1\r\n\r\n");
        assert!(
            answer.contains("x-version: 1.0.0\r\n") && answer.contains("<h1>Hello</h1>"),
            "{answer}"
        );
        assert!(ask(&up, "GET /nothing HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
        for nonsense in ["", "\r\n\r\n", "GET"] {
            assert_eq!(ask(&up, nonsense), "", "{nonsense:?}");
        }
    }

    #[test]
    fn a_release_without_its_file_says_which() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().starts_with("app.json: "));
        std::fs::write(folder.path().join(APP), "{}").unwrap();
        assert!(read(folder.path()).unwrap_err().contains("missing field"));
    }
}
