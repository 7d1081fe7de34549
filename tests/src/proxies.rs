//! A proxy on a host of the tests, and its users: nginx or Caddy from Debian, as a process of the test's own user on a high port.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use crate::{process, wait};

/// How long a user waits for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Why a request failed whose connection was closed before an answer began.
const UNANSWERED: &str = "a new connection was closed unanswered";
/// Between two requests of one user.
const PAUSE: Duration = Duration::from_millis(10);

/// Which proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `nginx-light`.
    Nginx,
    /// `caddy`.
    Caddy,
}

/// A proxy that leads requests to the upstream `web`, which is a file of its own.
pub struct Proxy {
    kind: Kind,
    folder: PathBuf,
    port: u16,
    child: Child,
}

impl Proxy {
    /// Starts one whose files are in `folder`, which leads to `first`.
    ///
    /// # Panics
    /// When it is not on this machine, or does not listen.
    #[track_caller]
    pub fn start(kind: Kind, folder: &Path, first: u16) -> Self {
        let [port, admin] = free_ports();
        fs::create_dir_all(folder.join("ours")).expect("the proxy's folder can be made");
        let at = folder.display();
        let (program, text, arguments, ours) = match kind {
            Kind::Nginx => (
                process::require("nginx", "nginx-light"),
                format!(
                    "worker_processes 2;\npid {at}/pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\n  access_log off;\n  \
                     client_body_temp_path {at}/body;\n  proxy_temp_path {at}/proxy;\n  fastcgi_temp_path {at}/fastcgi;\n  \
                     uwsgi_temp_path {at}/uwsgi;\n  scgi_temp_path {at}/scgi;\n  include {at}/ours/*.conf;\n  server {{\n    \
                     listen 127.0.0.1:{port};\n    location / {{ proxy_pass http://web; }}\n  }}\n}}\n"
                ),
                vec![
                    "-c".to_owned(),
                    format!("{at}/config"),
                    "-g".to_owned(),
                    "daemon off;".to_owned(),
                ],
                format!("upstream web {{ server 127.0.0.1:{first}; }}\n"),
            ),
            Kind::Caddy => (
                process::require("caddy", "caddy"),
                format!(
                    "{{\n  admin 127.0.0.1:{admin}\n  auto_https off\n}}\nhttp://:{port} {{\n  \
                     bind 127.0.0.1\n  reverse_proxy {{\n    import {at}/ours/web.caddy\n  }}\n}}\n"
                ),
                ["run", "--adapter", "caddyfile", "--config"]
                    .map(str::to_owned)
                    .into_iter()
                    .chain([format!("{at}/config")])
                    .collect(),
                format!("to 127.0.0.1:{first}\n"),
            ),
        };
        fs::write(folder.join("config"), text).expect("the proxy's folder can be written");
        fs::write(file(kind, folder), ours).expect("the proxy's folder can be written");
        let log = fs::File::create(folder.join("log")).expect("the proxy's folder can be written");
        let child = Command::new(program)
            .args(arguments)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has more than one handle"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("the proxy starts");
        let mut proxy = Self {
            kind,
            folder: folder.to_owned(),
            port,
            child,
        };
        let said = folder.join("log");
        wait::until(wait::PATIENCE, "the proxy to listen", || {
            let ended = proxy.child.try_wait().is_ok_and(|status| status.is_some());
            assert!(!ended, "{}", fs::read_to_string(&said).unwrap_or_default());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        proxy
    }

    /// Where its users come.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The file that is the deployer's to write.
    pub fn file(&self) -> PathBuf {
        file(self.kind, &self.folder)
    }

    /// The whole of its configuration, which includes that file.
    pub fn config(&self) -> PathBuf {
        self.folder.join("config")
    }

    /// The command that tests its configuration.
    pub fn test(&self) -> String {
        let config = self.config();
        match self.kind {
            Kind::Nginx => format!("nginx -t -c {}", config.display()),
            Kind::Caddy => format!("caddy validate --adapter caddyfile --config {}", config.display()),
        }
    }

    /// The command that has it take up its configuration.
    pub fn reload(&self) -> String {
        let config = self.config();
        match self.kind {
            Kind::Nginx => format!("nginx -s reload -c {}", config.display()),
            Kind::Caddy => {
                let (config, times) = (config.display(), self.times().display().to_string());
                let time = format!("date +%s.%N >>{times}");
                format!("{time} && caddy reload --adapter caddyfile --config {config} && {time}")
            }
        }
    }

    /// When Caddy took up its configuration: each from before it was told to until it said that it had.
    ///
    /// # Panics
    /// When that was not written down.
    pub fn reloads(&self) -> Vec<Span> {
        let text = fs::read_to_string(self.times()).unwrap_or_default();
        let times: Vec<_> = text
            .lines()
            .map(|line| Duration::from_secs_f64(line.parse().expect("date says seconds")))
            .collect();
        times.chunks_exact(2).map(|time| (time[0], time[1])).collect()
    }

    fn times(&self) -> PathBuf {
        self.folder.join("reloads")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        process::end_group(&mut self.child);
    }
}

fn file(kind: Kind, folder: &Path) -> PathBuf {
    folder.join(match kind {
        Kind::Nginx => "ours/web.conf",
        Kind::Caddy => "ours/web.caddy",
    })
}

/// Ports of the loopback where nobody listens now, all different. None is one that the system hands out by itself, to whoever connects.
///
/// # Panics
/// When there are none.
#[track_caller]
pub fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    [(); N].map(|()| {
        let first = std::process::id().wrapping_mul(61);
        wait::until_some(wait::PATIENCE, "a free port", || {
            let turn = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
            let port = u16::try_from(12_000 + turn % 20_000).ok()?;
            TcpListener::bind(("127.0.0.1", port)).ok().map(|_| port)
        })
    })
}

/// From when to when, since 1970.
pub type Span = (Duration, Duration);

fn now() -> Duration {
    SystemTime::UNIX_EPOCH.elapsed().expect("it is later than 1970")
}

/// What users were answered.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Answers by what `/version` told.
    pub versions: BTreeMap<String, u64>,
    /// Which requests failed, and why.
    pub failed: Vec<(Span, String)>,
}

impl Tally {
    /// All answers.
    pub fn answered(&self) -> u64 {
        self.versions.values().sum()
    }
}

/// Users who ask a proxy all the time: one connects anew for each request, one keeps its connection for as long as it is left open.
pub struct Users {
    stop: Arc<AtomicBool>,
    tally: Arc<Mutex<Tally>>,
    threads: Vec<JoinHandle<()>>,
}

impl Users {
    /// They begin to ask at this port of the loopback.
    pub fn start(port: u16) -> Self {
        Self::start_at("127.0.0.1", port)
    }

    /// They begin to ask at an address.
    pub fn start_at(address: &str, port: u16) -> Self {
        let (stop, tally): (Arc<AtomicBool>, Arc<Mutex<Tally>>) = (Arc::default(), Arc::default());
        let user = |keeps: bool| {
            let (stop, tally) = (Arc::clone(&stop), Arc::clone(&tally));
            let address = address.to_owned();
            std::thread::spawn(move || {
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let began = now();
                    let answer = ask(&address, port, &mut kept, keeps);
                    let asked = (began, now());
                    let mut tally = tally.lock().expect("no user panics");
                    match answer {
                        Ok(version) => *tally.versions.entry(version).or_default() += 1,
                        Err(why) => tally.failed.push((asked, why)),
                    }
                    drop(tally);
                    wait::play_slow(PAUSE);
                }
            })
        };
        let threads = vec![user(false), user(true)];
        Self { stop, tally, threads }
    }

    /// What they were answered so far.
    ///
    /// # Panics
    /// When one of them has.
    pub fn tally(&self) -> Tally {
        self.tally.lock().expect("no user panics").clone()
    }

    /// Waits until they were answered by this version a few times more.
    #[track_caller]
    pub fn until_served_by(&self, version: &str) {
        let count = || self.tally().versions.get(version).copied().unwrap_or_default();
        let wanted = count() + 20;
        wait::until(wait::PATIENCE, &format!("{version} to answer"), || {
            count() >= wanted
        });
    }

    /// They were answered every time.
    ///
    /// # Panics
    /// When a request failed.
    #[track_caller]
    pub fn lost_nothing(&self) {
        self.lost_only_in(&[]);
    }

    /// They were answered every time, but for those whose new connection was closed before an answer began, while a proxy reloaded: it
    /// had been made to a socket that Caddy closed in that moment. No other answer is ever excused, and none at another time.
    ///
    /// # Panics
    /// When another request failed.
    #[track_caller]
    pub fn lost_only_in(&self, reloads: &[Span]) {
        let tally = self.tally();
        let excused = |((began, ended), why): &(Span, String)| {
            why == UNANSWERED && reloads.iter().any(|(from, to)| began <= to && from <= ended)
        };
        assert!(tally.failed.iter().all(excused), "{tally:?} {reloads:?}");
        assert!(tally.answered() > 0, "nobody asked");
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

/// One request. A connection that was kept and closed by the other side before it answered is replaced, as every client does it.
fn ask(
    address: &str,
    port: u16,
    kept: &mut Option<BufReader<TcpStream>>,
    keeps: bool,
) -> Result<String, String> {
    if let Some(mut connection) = kept.take() {
        match once(&mut connection, keeps) {
            Ok(Some(version)) => {
                *kept = Some(connection);
                return Ok(version);
            }
            Ok(None) => {}
            Err(why) => return Err(why),
        }
    }
    let text = |error: std::io::Error| format!("connect: {error}");
    let stream = TcpStream::connect((address, port)).map_err(|error| match error.kind() {
        // It was made, and closed.
        ErrorKind::ConnectionReset => UNANSWERED.to_owned(),
        _ => text(error),
    })?;
    stream.set_read_timeout(Some(ANSWER)).map_err(text)?;
    let mut connection = BufReader::new(stream);
    let version = once(&mut connection, keeps)?.ok_or(UNANSWERED)?;
    if keeps {
        *kept = Some(connection);
    }
    Ok(version)
}

/// `None` where the connection was closed before an answer began.
fn once(connection: &mut BufReader<TcpStream>, keeps: bool) -> Result<Option<String>, String> {
    let way = if keeps { "keep-alive" } else { "close" };
    let request = format!("GET /version HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: {way}\r\n\r\n");
    if connection.get_mut().write_all(request.as_bytes()).is_err() {
        return Ok(None);
    }
    let mut head = String::new();
    loop {
        match connection.read_line(&mut head) {
            Ok(0) if head.is_empty() => return Ok(None),
            Err(error) if head.is_empty() && error.kind() == ErrorKind::ConnectionReset => {
                return Ok(None);
            }
            Ok(0) => return Err(format!("cut short after {head:?}")),
            Err(error) => return Err(format!("{error} after {head:?}")),
            Ok(_) if head.ends_with("\r\n\r\n") => break,
            Ok(_) => {}
        }
    }
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(wanted).then(|| value.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|length| length.parse::<usize>().ok());
    let mut body = vec![0; length.ok_or_else(|| format!("no length in {head:?}"))?];
    connection
        .read_exact(&mut body)
        .map_err(|error| format!("{error} in the body"))?;
    let body = String::from_utf8_lossy(&body).into_owned();
    if !head.starts_with("HTTP/1.1 200") {
        return Err(format!("{} {body}", head.lines().next().unwrap_or_default()));
    }
    let told: serde_json::Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
    Ok(Some(told["version"].as_str().unwrap_or_default().to_owned()))
}
