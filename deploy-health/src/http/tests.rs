//! Looks over real sockets.

use super::*;
use crate::local::LocalExec;
use crate::testing::{After, Server, closed_port, http, say};
use deploy_core::health::{JsonRule, ProbeKind, VersionCheck};
use deploy_core::port::probe::{HostCommand, HostOutput};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener};
use tokio::task::JoinHandle;

async fn look_here(spec: &ProbeSpec) -> Look {
    let ProbeKind::Http { url } = &spec.kind else {
        panic!("an http spec")
    };
    look(spec, url, None, &Routes::default()).await
}

fn fast(url: String) -> ProbeSpec {
    ProbeSpec {
        timeout: Duration::from_millis(400),
        ..http(url)
    }
}

#[tokio::test]
async fn what_servers_answer() {
    let up = r#"{"status":"UP","version":"1.3","components":{"db":{"status":"UP"}}}"#;
    for (status, headers, body, verdict) in [
        ("200 OK", "", up, "healthy"),
        (
            "200 OK",
            "",
            r#"{"status":"DOWN"}"#,
            r#"unhealthy DPL0601: 200 with status "DOWN""#,
        ),
        ("503 Service Unavailable", "", "busy", "unhealthy DPL0601: 503"),
        (
            "302 Found",
            "Location: /login\r\n",
            "",
            "unhealthy DPL0601: 302 to /login instead of 2xx",
        ),
    ] {
        let server = Server::answering(status, headers, body).await;
        let look = look_here(&http(server.url("/health"))).await;
        assert_eq!(say(&look.verdict), verdict);
        assert_eq!(server.requests(), 1, "nothing is followed or tried again");
    }
}

#[tokio::test]
async fn an_expected_redirect_is_healthy_and_not_followed() {
    let server = Server::answering("301 Moved", "Location: /elsewhere\r\n", "").await;
    let mut spec = http(server.url("/"));
    spec.expect.status = vec![301];
    assert_eq!(look_here(&spec).await.verdict, Verdict::Healthy);
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn the_old_version_behind_the_right_status() {
    let server = Server::answering(
        "200 OK",
        "X-Version: 1.2\r\n",
        r#"{"status":"UP","version":"1.2"}"#,
    )
    .await;
    for at in [
        VersionAt::Header("x-version".to_owned()),
        VersionAt::Json("/version".to_owned()),
    ] {
        let mut spec = http(server.url("/"));
        spec.version = Some(VersionCheck {
            at,
            equals: "1.3".to_owned(),
        });
        let look = look_here(&spec).await;
        assert_eq!(
            say(&look.verdict),
            r#"unhealthy DPL0602: 200 from version "1.2", wanted "1.3""#
        );
    }
}

#[tokio::test]
async fn bodies_are_bounded_in_time_and_size() {
    let head = "HTTP/1.1 200 OK\r\n\r\n";
    let endless = Server::raw(head, After::Endless).await;
    let look = look_here(&http(endless.url("/"))).await;
    assert_eq!(look.verdict, Verdict::Healthy);
    assert_eq!(
        look.notes,
        ["the body is longer than 64 KiB, the rest was not read"]
    );
    let mut asks = http(endless.url("/"));
    asks.expect
        .json
        .insert("/status".to_owned(), JsonRule::AnyOf(vec!["UP".into()]));
    assert_eq!(
        say(&look_here(&asks).await.verdict),
        "unhealthy DPL0601: 200 with a body of more than 64 KiB, so /status cannot be read"
    );

    let exact = Server::answering("200 OK", "", &"x".repeat(BODY_LIMIT)).await;
    assert!(look_here(&http(exact.url("/"))).await.notes.is_empty());

    for (head, said) in [
        (head, "no end of the answer within 400ms"),
        ("HTTP/1.1 200 OK\r\nX: ", "no answer within 400ms"),
        ("", "no answer within 400ms"),
    ] {
        let hanging = Server::raw(head, After::Hang).await;
        let look = look_here(&fast(hanging.url("/"))).await;
        assert_eq!(say(&look.verdict), format!("unhealthy DPL0601: {said}"));
        assert!(look.latency >= Duration::from_millis(400));
    }
}

#[tokio::test]
async fn broken_connections_are_told_apart() {
    let short = Server::raw("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", After::Close).await;
    let silent = Server::raw("", After::Close).await;
    let reset = Server::raw("", After::Reset).await;
    let babble = Server::raw("SSH-2.0-OpenSSH_9.2\r\n", After::Close).await;
    let gone = closed_port().await;
    for (url, begins) in [
        (short.url("/"), "unhealthy DPL0601: 200, but the body broke off: "),
        (silent.url("/"), "unhealthy DPL0601: connection closed, no answer"),
        (reset.url("/"), "unhealthy DPL0601: connection reset"),
        (babble.url("/"), "unhealthy DPL0601: no HTTP answer: "),
        (format!("http://{gone}/"), "unhealthy DPL0601: connection refused"),
        (
            "http://no-such-name.invalid/".to_owned(),
            "unreachable DPL0603: no connection: ",
        ),
        (
            babble.url("/").replace("http:", "https:"),
            "unhealthy DPL0601: no secure connection: ",
        ),
        (
            "gopher://x/".to_owned(),
            "unreachable DPL0603: the URL is neither http nor https",
        ),
    ] {
        let verdict = look_here(&http(url.clone())).await.verdict;
        let said = say(&verdict);
        assert!(said.starts_with(begins), "{url}: {said}");
        assert!(!said.contains(&url), "a URL may hold a secret: {said}");
    }
}

#[tokio::test]
async fn the_request_is_as_it_should_be() {
    let server = Server::raw("HTTP/1.1 200 OK\r\n\r\n{\"seen\":\"{request}\"}", After::Close).await;
    let mut spec = http(server.url("/health?x=1"));
    spec.expect.body = Some("nothing matches this".to_owned());
    let Verdict::Unhealthy(reason) = look_here(&spec).await.verdict else {
        panic!("a reason")
    };
    let seen = reason
        .body
        .expect("a body")
        .replace(&server.addr.to_string(), "ADDR");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        seen,
        format!(
            r#"{{"seen":"GET /health?x=1 HTTP/1.1|accept: */*|user-agent: deploy/{version}|host: ADDR||"}}"#
        )
    );
}

#[tokio::test]
async fn no_connection_is_kept_for_the_next_look() {
    let server = Server::answering("200 OK", "Connection: keep-alive\r\n", "").await;
    let (spec, routes) = (http(server.url("/")), Routes::default());
    for _ in 0..3 {
        assert_eq!(
            look(&spec, &server.url("/"), None, &routes).await.verdict,
            Verdict::Healthy
        );
    }
    assert_eq!(server.requests(), 3);
}

/// A host behind a connection: every address that it forwards to is this one server, by a Unix socket, as ssh would do it.
struct FarHost {
    socket: PathBuf,
    alive: AtomicBool,
    forwards: AtomicUsize,
    task: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl FarHost {
    fn leading_to(addr: std::net::SocketAddr) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("forward");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                // As ssh does: accepted first, and closed if nothing listens over there.
                if let Ok(mut far) = TcpStream::connect(addr).await {
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                }
            }
        });
        Self {
            socket,
            alive: AtomicBool::new(true),
            forwards: AtomicUsize::new(0),
            task,
            _dir: dir,
        }
    }
}

impl Drop for FarHost {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[async_trait::async_trait]
impl HostExec for FarHost {
    async fn run(&self, command: &HostCommand, timeout: Duration) -> Result<HostOutput, HostExecError> {
        if self.alive.load(Ordering::SeqCst) {
            LocalExec.run(command, timeout).await
        } else {
            Err(HostExecError::Unreachable("connection lost".to_owned()))
        }
    }

    async fn forward(&self, _: &str, _: u16, _: Duration) -> Result<ForwardedPort, HostExecError> {
        self.forwards.fetch_add(1, Ordering::SeqCst);
        Ok(ForwardedPort::socket(Path::new(&self.socket), ()))
    }
}

#[tokio::test]
async fn from_a_host_the_url_keeps_its_own_name() {
    let server = Server::raw("HTTP/1.1 200 OK\r\n\r\n{\"seen\":\"{request}\"}", After::Close).await;
    let host = FarHost::leading_to(server.addr);
    let routes = Routes::default();
    let mut spec = http("http://localhost:4000/health");
    spec.expect.body = Some("host: localhost:4000".to_owned());
    for _ in 0..2 {
        let look = look(&spec, "http://localhost:4000/health", Some(&host), &routes).await;
        assert_eq!(say(&look.verdict), "healthy");
    }
    assert_eq!(host.forwards.load(Ordering::SeqCst), 1, "one way for all looks");
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn from_a_host_a_dead_service_and_a_dead_host_are_two_things() {
    let gone = closed_port().await;
    let host = FarHost::leading_to(gone);
    let routes = Routes::default();
    let url = format!("http://{gone}/health");
    let spec = http(url.clone());
    let dead_service = look(&spec, &url, Some(&host), &routes).await;
    assert_eq!(
        say(&dead_service.verdict),
        "unhealthy DPL0601: connection refused"
    );
    host.alive.store(false, Ordering::SeqCst);
    let dead_host = look(&spec, &url, Some(&host), &routes).await;
    assert_eq!(
        say(&dead_host.verdict),
        "unreachable DPL0603: the host cannot be reached: connection lost"
    );
    assert_eq!(
        host.forwards.load(Ordering::SeqCst),
        2,
        "a way that failed is opened anew"
    );
}

#[tokio::test]
async fn from_a_host_silence_is_the_services_if_the_host_answers() {
    let silent = Server::raw("", After::Hang).await;
    let host = FarHost::leading_to(silent.addr);
    let (spec, routes) = (fast(silent.url("/")), Routes::default());
    let look_once = async || say(&look(&spec, &silent.url("/"), Some(&host), &routes).await.verdict);
    assert_eq!(look_once().await, "unhealthy DPL0601: no answer within 400ms");
    host.alive.store(false, Ordering::SeqCst);
    assert_eq!(
        look_once().await,
        "unreachable DPL0603: the host cannot be reached: connection lost"
    );
}

#[tokio::test]
async fn from_a_host_that_is_this_machine_it_goes_straight() {
    let server = Server::answering("200 OK", "", "").await;
    let look = look(
        &http(server.url("/")),
        &server.url("/"),
        Some(&LocalExec),
        &Routes::default(),
    )
    .await;
    assert_eq!(look.verdict, Verdict::Healthy);
}
