//! The small web service of the tests: it answers from the files of the folder that it was started in.
//!
//! `VERSION`, `health.json` and `behaviour.json` are read once at the start, so that what it answers is the
//! release it was started from and not what lies there now. It listens on `$ADDRESS` (127.0.0.1) and `$PORT`; with `$STOP_FILE`,
//! it serves the socket that is its stdin, until there is such a file.
//!
//! `/health` answers `health.json`; `/version` the version and the process; `/env/NAME` a variable of its
//! environment or 404; `/` a line of text.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use deploy_tests::service::Behaviour;
use deploy_tests::wait;
use serde_json::json;

struct Release {
    version: String,
    health: String,
    behaviour: Behaviour,
    health_answers: AtomicU64,
}

fn main() -> ExitCode {
    match serve() {
        Ok(code) => code,
        Err(message) => {
            eprintln!("deploy-test-web: {message}");
            ExitCode::FAILURE
        }
    }
}

fn serve() -> Result<ExitCode, String> {
    let release = Arc::new(Release::read(Path::new("."))?);
    if let Some(code) = release.behaviour.exit_at_start {
        eprintln!("cannot start: told so by behaviour.json");
        return Ok(ExitCode::from(code));
    }
    if let Some(stop) = std::env::var_os("STOP_FILE") {
        return release.serve_stdin(Path::new(&stop));
    }
    let port = std::env::var("PORT")
        .or_else(|_| std::env::var("DEPLOY_PORT"))
        .map_err(|_| "PORT is not set")?;
    let port: u16 = port
        .parse()
        .map_err(|error| format!("PORT is {port:?}: {error}"))?;
    let address = std::env::var("ADDRESS").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let listener =
        TcpListener::bind((address.as_str(), port)).map_err(|error| format!("{address}:{port}: {error}"))?;
    println!("{} listens on {address}:{port}", release.version);
    for stream in listener.incoming().flatten() {
        let release = Arc::clone(&release);
        thread::spawn(move || {
            // A client that went away is its own affair.
            let _client_gone = release.answer(stream);
        });
    }
    Ok(ExitCode::SUCCESS)
}

impl Release {
    fn read(folder: &Path) -> Result<Self, String> {
        let text =
            |name: &str| fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"));
        let behaviour = match fs::read_to_string(folder.join("behaviour.json")) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| format!("behaviour.json: {error}"))?,
            Err(_) => Behaviour::default(),
        };
        let version = text("VERSION")?.trim().to_owned();
        Ok(Self {
            version,
            health: text("health.json")?,
            behaviour,
            health_answers: AtomicU64::new(0),
        })
    }

    /// Serves the socket that it was given as stdin, as systemd's socket activation does, until the file `stop` is there; then answers
    /// what it has accepted, and ends.
    fn serve_stdin(self: Arc<Self>, stop: &Path) -> Result<ExitCode, String> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let listener = stdin.map(TcpListener::from).map_err(|error| error.to_string())?;
        listener
            .set_nonblocking(true)
            .map_err(|error| error.to_string())?;
        thread::scope(|scope| {
            while !stop.exists() {
                match listener.accept() {
                    Ok((stream, _)) => {
                        let release = Arc::clone(&self);
                        scope.spawn(move || {
                            // A client that went away is its own affair.
                            let _client_gone = stream
                                .set_nonblocking(false)
                                .and_then(|()| release.answer(stream));
                        });
                    }
                    Err(_) => wait::play_slow(Duration::from_millis(2)),
                }
            }
        });
        Ok(ExitCode::SUCCESS)
    }

    fn answer(&self, mut stream: TcpStream) -> std::io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut lines = BufReader::new(stream.try_clone()?).lines();
        let request = lines.next().transpose()?.unwrap_or_default();
        for header in lines {
            if header?.is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or("/");
        let (status, kind, body) = self.route(path);
        if self.behaviour.delay_ms > 0 {
            wait::play_slow(Duration::from_millis(self.behaviour.delay_ms));
        }
        write!(
            stream,
            "HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
    }

    fn route(&self, path: &str) -> (u16, &'static str, String) {
        const JSON: &str = "application/json";
        const TEXT: &str = "text/plain";
        match path {
            "/health" => (self.health_status(), JSON, self.health.clone()),
            "/version" => (
                200,
                JSON,
                json!({"version": self.version, "pid": std::process::id()}).to_string(),
            ),
            "/" => (200, TEXT, format!("{}\n", self.version)),
            _ => match path
                .strip_prefix("/env/")
                .and_then(|name| std::env::var(name).ok())
            {
                Some(value) => (200, TEXT, value),
                None => (404, TEXT, "not found\n".to_owned()),
            },
        }
    }

    fn health_status(&self) -> u16 {
        let count = self.health_answers.fetch_add(1, Ordering::Relaxed) + 1;
        let behaviour = &self.behaviour;
        if behaviour.crash_after.is_some_and(|after| count >= after) {
            eprintln!("crashing: told so by behaviour.json");
            std::process::exit(1);
        }
        let flaps = behaviour
            .flap_every
            .is_some_and(|every| every > 0 && count.is_multiple_of(every));
        if flaps || count <= behaviour.unready_answers {
            503
        } else {
            behaviour.status.unwrap_or(200)
        }
    }
}
