//! Http probes: one GET over a fresh connection, nothing followed, nothing kept, everything bounded.

use crate::expect::{Answer, Body, Status, judge};
use crate::prober::{cannot_look, host_fault, unhealthy};
use crate::tcp::{dial_there, failed_connection};
use deploy_core::health::{Look, ProbeSpec, Verdict, VersionAt};
use deploy_core::port::probe::{ForwardedPort, HostExec, HostExecError, Reach};
use deploy_core::time::format_duration;
use reqwest::{Client, Response, Url, redirect};
use std::collections::HashMap;
use std::error::Error as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// The most that is read of a body, in bytes.
pub(crate) const BODY_LIMIT: usize = 64 * 1024;

/// How to get somewhere: a client, and what keeps the way open.
struct Route {
    client: Client,
    forwarded: Option<ForwardedPort>,
}

impl Route {
    fn is_through_a_socket(&self) -> bool {
        let reach = self.forwarded.as_ref().map(ForwardedPort::reach);
        matches!(reach, Some(Reach::Socket(_)))
    }
}

/// What a route depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// Loading the roots of trust costs time, and fails where there are none; plain http needs neither.
    tls: bool,
    connect: Duration,
    /// Host and port as the host sees them.
    via: Option<(String, u16)>,
}

/// The routes of one prober, made when first needed. Connections are never kept: a kept one could lead to the old process.
#[derive(Default)]
pub(crate) struct Routes(Mutex<HashMap<Key, Arc<Route>>>);

impl Routes {
    fn get(&self, key: &Key) -> Option<Arc<Route>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned()
    }

    fn put(&self, key: Key, route: Arc<Route>) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, route);
    }

    fn forget(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    async fn find(
        &self,
        key: &Key,
        timeout: Duration,
        host: Option<&dyn HostExec>,
    ) -> Result<Arc<Route>, Verdict> {
        if let Some(route) = self.get(key) {
            return Ok(route);
        }
        let forwarded = match (&key.via, host) {
            (Some((name, port)), Some(host)) => Some(host.forward(name, *port, timeout).await.map_err(
                |error| match error {
                    HostExecError::Unreachable(why) => {
                        cannot_look(format!("no connection to the host: {why}"))
                    }
                    HostExecError::TimedOut => {
                        cannot_look("no way through the host within the time limit".to_owned())
                    }
                    HostExecError::Refused(why) => cannot_look(format!("no way through the host: {why}")),
                },
            )?),
            _ => None,
        };
        let client = client(key, forwarded.as_ref().map(ForwardedPort::reach))
            .map_err(|error| cannot_look(format!("no http client: {}", chain(&error))))?;
        let route = Arc::new(Route { client, forwarded });
        self.put(key.clone(), Arc::clone(&route));
        Ok(route)
    }
}

fn client(key: &Key, reach: Option<&Reach>) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(concat!("deploy/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .pool_max_idle_per_host(0)
        .connect_timeout(key.connect);
    if !key.tls {
        builder = builder.tls_certs_only([]);
    }
    if let Some(Reach::Socket(path)) = reach {
        builder = builder.unix_socket(path.as_path());
    }
    builder.build()
}

/// One look from a host, or from here.
pub(crate) async fn look(spec: &ProbeSpec, url: &str, host: Option<&dyn HostExec>, routes: &Routes) -> Look {
    let began = Instant::now();
    let url = match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) => {
            return Look::new(
                cannot_look("the URL is neither http nor https".to_owned()),
                Duration::ZERO,
            );
        }
        Err(error) => {
            return Look::new(
                cannot_look(format!("the URL cannot be read: {error}")),
                Duration::ZERO,
            );
        }
    };
    let key = Key {
        tls: url.scheme() == "https",
        // Shorter than the whole, so that a connection that never opens is told from an answer that never comes.
        connect: spec.timeout.mul_f64(0.9),
        via: host.and_then(|_| {
            let name = url
                .host_str()?
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            Some((name, url.port_or_known_default()?))
        }),
    };
    let mut progress = Progress::Connecting;
    let attempt = async {
        let route = routes.find(&key, spec.timeout, host).await?;
        progress = Progress::Asked {
            through_a_socket: route.is_through_a_socket(),
        };
        let mut response = route
            .client
            .get(url)
            .send()
            .await
            .map_err(|error| failed(&error))?;
        progress = Progress::Answered;
        let body = read(&mut response).await.map_err(|error| {
            unhealthy(format!(
                "{}, but the body broke off: {}",
                response.status().as_u16(),
                chain(&error.without_url())
            ))
        })?;
        Ok(answer(spec, &response, body))
    };
    let attempt = tokio::time::timeout(spec.timeout, attempt).await;
    let latency = began.elapsed();
    let hung = attempt.is_err();
    let limit = format_duration(spec.timeout);
    let verdict = match (attempt, progress) {
        (Ok(Ok(answer)), _) => return judge(spec, &Answer { latency, ..answer }),
        (Ok(Err(verdict)), _) => verdict,
        (Err(_), Progress::Answered) => unhealthy(format!("no end of the answer within {limit}")),
        (Err(_), Progress::Asked { .. }) => unhealthy(format!("no answer within {limit}")),
        (Err(_), Progress::Connecting) => cannot_look(format!("no way through the host within {limit}")),
    };
    if !matches!(
        progress,
        Progress::Asked {
            through_a_socket: true
        }
    ) {
        return Look::new(verdict, latency);
    }
    routes.forget(&key);
    let (Some(host), Some((name, port))) = (host, &key.via) else {
        return Look::new(verdict, latency);
    };
    // Through a host, a refused connection and a broken one to the host itself look the same: closed, or silence. Ask the host.
    let truth = if hung {
        host_fault(host, spec.timeout).await
    } else {
        let dialled = dial_there(spec, name, *port, host).await;
        dialled.filter(|verdict| *verdict != Verdict::Healthy)
    };
    Look::new(truth.unwrap_or(verdict), latency)
}

/// How far a request got.
#[derive(Debug, Clone, Copy)]
enum Progress {
    Connecting,
    Asked { through_a_socket: bool },
    Answered,
}

async fn read(response: &mut Response) -> reqwest::Result<Body> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await? {
        let room = BODY_LIMIT - bytes.len();
        if piece.len() > room {
            bytes.extend_from_slice(&piece[..room]);
            return Ok(Body { bytes, cut: true });
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(Body { bytes, cut: false })
}

fn answer(spec: &ProbeSpec, response: &Response, body: Body) -> Answer {
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    Answer {
        status: Status::Http {
            code: response.status().as_u16(),
            location: header("location").filter(|_| response.status().is_redirection()),
        },
        version_header: spec.version.as_ref().and_then(|version| match &version.at {
            VersionAt::Header(name) => header(name),
            VersionAt::Json(_) => None,
        }),
        body,
        latency: Duration::ZERO,
    }
}

/// What a request without an answer says.
fn failed(error: &reqwest::Error) -> Verdict {
    let io = sources(error).find_map(|error| error.downcast_ref::<io::Error>());
    let tls = sources(error).any(|error| {
        let text = error.to_string();
        text.contains("certificate")
            || text.contains("received corrupt message")
            || text.contains("HandshakeFailure")
    });
    if error.is_timeout() {
        return cannot_look("no connection: timed out".to_owned());
    }
    if tls {
        return unhealthy(format!("no secure connection: {}", innermost(error)));
    }
    match io {
        Some(io) if error.is_connect() => failed_connection(io),
        _ if error.is_connect() => cannot_look(format!("no connection: {}", innermost(error))),
        Some(io) if io.kind() == io::ErrorKind::ConnectionReset => {
            unhealthy("connection reset, no answer".to_owned())
        }
        Some(io)
            if matches!(
                io.kind(),
                io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof
            ) =>
        {
            closed()
        }
        _ => {
            let why = innermost(error);
            // What the client calls an end before the answer; it has no type for it that could be asked.
            if why.contains("connection closed") {
                closed()
            } else {
                unhealthy(format!("no HTTP answer: {why}"))
            }
        }
    }
}

fn closed() -> Verdict {
    unhealthy("connection closed, no answer".to_owned())
}

fn sources<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    let first: Option<&'a (dyn std::error::Error + 'static)> = error.source();
    std::iter::successors(first, |error: &&'a (dyn std::error::Error + 'static)| {
        (**error).source()
    })
}

fn innermost(error: &reqwest::Error) -> String {
    sources(error)
        .last()
        .map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// The chain below an error, without the URL, which may hold a secret.
fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<_> = sources(error).map(ToString::to_string).collect();
    if texts.is_empty() {
        "unknown".to_owned()
    } else {
        texts.join(": ")
    }
}

#[cfg(test)]
mod tests;
