//! The demo's users: they ask every environment's page all the while, and count. And one question at a time, to see what
//! serves. A client of the services, independent of what `deploy` looks with.

use super::machine::Ports;
use super::story::SERVICES;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a user reads.
const PAUSE: Duration = Duration::from_millis(15);

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Count {
    /// Requests since the first that was answered.
    pub(super) asked: u64,
    /// Those without an answer, or with another status than 200.
    pub(super) failed: u64,
    /// Why the first of them failed.
    pub(super) why: Option<String>,
    /// Answers by the version that gave them.
    pub(super) by_version: BTreeMap<String, u64>,
}

impl Count {
    fn take(&mut self, answer: Result<Answer, String>) {
        let failure = match answer {
            Ok(answer) if answer.status == 200 => {
                *self.by_version.entry(answer.version).or_default() += 1;
                None
            }
            // Nothing was ever deployed there: nobody is turned away.
            _ if self.asked == 0 => return,
            Ok(answer) => Some(format!("status {}", answer.status)),
            Err(error) => Some(error),
        };
        self.asked += 1;
        if let Some(failure) = failure {
            self.failed += 1;
            self.why.get_or_insert(failure);
        }
    }
}

/// The users. Dropped, they stop at once and are joined.
pub(super) struct Users {
    stop: Arc<AtomicBool>,
    count: Arc<Mutex<BTreeMap<String, Count>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Users {
    /// One for the second service (the page) of every environment.
    pub(super) fn start(ports: &Ports) -> Self {
        let mut users = Self {
            stop: Arc::default(),
            count: Arc::default(),
            threads: Vec::new(),
        };
        for (name, port) in ports {
            let Some((environment, service)) = name.split_once('/') else {
                continue;
            };
            if service != SERVICES[1] {
                continue;
            }
            let (environment, port) = (environment.to_owned(), *port);
            let (stop, count) = (Arc::clone(&users.stop), Arc::clone(&users.count));
            users.threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let answer = get(port, "/");
                    // A count is whole after every update: one that panicked elsewhere left nothing half done.
                    let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
                    count.entry(environment.clone()).or_default().take(answer);
                    drop(count);
                    std::thread::sleep(PAUSE);
                }
            }));
        }
        users
    }

    /// What they have counted so far, by environment.
    pub(super) fn count(&self) -> BTreeMap<String, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Users {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A panic of one of them has been printed where it happened.
            let _panicked = thread.join();
        }
    }
}

/// An answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    status: u16,
    /// Of the header `x-version`.
    version: String,
    body: String,
}

fn get(port: u16, path: &str) -> Result<Answer, String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(text)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(text)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )
    .map_err(text)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(text)?;
    parse(&answer).ok_or_else(|| "the answer was cut short".to_owned())
}

fn parse(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let length: usize = header("content-length")?.parse().ok()?;
    (body.len() == length).then(|| Answer {
        status: head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_default(),
        version: header("x-version").unwrap_or_default().to_owned(),
        body: body.to_owned(),
    })
}

/// The version that a healthy service serves now; else why not.
pub(super) fn serves(port: u16) -> Result<String, String> {
    let answer = get(port, "/health")?;
    let health: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
    if health["status"] == "UP" {
        Ok(answer.version)
    } else {
        Err(format!("{} is not UP", answer.version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Answer {
        Answer {
            status,
            version: "1.0.0".to_owned(),
            body: String::new(),
        }
    }

    #[test]
    fn counting_begins_with_the_first_answer_and_then_misses_nothing() {
        let mut count = Count::default();
        for seen in [
            Err("refused".to_owned()),
            Ok(answer(200)),
            Err("reset".to_owned()),
            Ok(answer(503)),
            Ok(answer(200)),
        ] {
            count.take(seen);
        }
        assert_eq!(
            (count.asked, count.failed, count.why.as_deref()),
            (4, 2, Some("reset"))
        );
        assert_eq!(count.by_version["1.0.0"], 2);
    }

    #[test]
    fn an_answer_that_was_cut_short_is_none() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-version: 1\r\n\r\nhello";
        assert_eq!(parse(whole).unwrap().version, "1");
        for cut in [
            "",
            "HTTP/1.1 200 OK\r\n",
            &whole[..whole.len() - 1],
            "HTTP/1.1 200 OK\r\n\r\n",
        ] {
            assert_eq!(parse(cut), None, "{cut:?}");
        }
    }
}
