//! What this crate's tests share: specs, and a server that answers as told.

use deploy_core::command::Command;
use deploy_core::health::{Expect, ProbeKind, ProbeSpec, Vantage, Verdict};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(crate) fn spec(kind: ProbeKind) -> ProbeSpec {
    ProbeSpec {
        name: "ready".to_owned(),
        kind,
        from: Vantage::Here,
        expect: Expect::default(),
        version: None,
        healthy_for: Duration::from_secs(10),
        timeout: Duration::from_secs(2),
        interval: Duration::from_secs(1),
        deadline: Duration::from_mins(1),
    }
}

pub(crate) fn http(url: impl Into<String>) -> ProbeSpec {
    spec(ProbeKind::Http { url: url.into() })
}

pub(crate) fn tcp(addr: impl Into<String>) -> ProbeSpec {
    spec(ProbeKind::Tcp { addr: addr.into() })
}

pub(crate) fn command(text: &str) -> ProbeSpec {
    spec(ProbeKind::Command {
        line: Command::Shell(text.to_owned()),
        dir: None,
    })
}

/// A verdict in one line.
pub(crate) fn say(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Healthy => "healthy".to_owned(),
        Verdict::Unhealthy(reason) => format!("unhealthy {}: {reason}", reason.code),
        Verdict::Unreachable(reason) => format!("unreachable {}: {reason}", reason.code),
    }
}

/// How a canned server goes on after its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Close,
    /// Sends nothing more and keeps the connection open.
    Hang,
    /// Sends `x` until nobody listens.
    Endless,
    /// Ends the connection by a reset.
    Reset,
}

/// A server on a free port that answers every request with the same bytes. It ends when dropped.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    requests: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn raw(answer: impl Into<Vec<u8>>, after: After) -> Self {
        Self::in_turn(vec![answer.into()], after).await
    }

    /// Answers in turn, and from the beginning again.
    pub(crate) async fn in_turn(answers: Vec<Vec<u8>>, after: After) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("bound");
        let requests = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            // Kept until the server is dropped, so that a hanging connection stays open.
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let turn = count.fetch_add(1, Ordering::SeqCst);
                open.extend(serve(stream, &answers[turn % answers.len()], after).await);
            }
        });
        Self { addr, requests, task }
    }

    /// A whole answer: `200 OK` and a body.
    pub(crate) async fn answering(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        let answer = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
        Self::raw(answer, After::Close).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answer: &[u8], after: After) -> Option<TcpStream> {
    let mut seen = Vec::new();
    let mut piece = [0; 1024];
    // A TLS greeting has no end that could be waited for.
    while seen.first() != Some(&0x16) && !seen.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece).await {
            Ok(count @ 1..) => seen.extend_from_slice(&piece[..count]),
            _ => return None,
        }
    }
    let request = String::from_utf8_lossy(&seen).into_owned();
    let text = String::from_utf8_lossy(answer).replace("{request}", &request.replace("\r\n", "|"));
    let bytes = if answer.windows(9).any(|part| part == b"{request}") {
        text.as_bytes()
    } else {
        answer
    };
    stream.write_all(bytes).await.ok()?;
    match after {
        After::Close => None,
        After::Hang => Some(stream),
        After::Endless => {
            while stream.write_all(&[b'x'; 8192]).await.is_ok() {}
            None
        }
        After::Reset => {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("a socket");
            None
        }
    }
}

/// An address on which nothing listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("bound")
}
