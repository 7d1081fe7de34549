//! The demo's own machine and service, without any deployment: one release takes over from another and no request is
//! lost, what does not start changes nothing, and nothing outlives whoever started it.
#![expect(clippy::unwrap_used, reason = "a test fails where it panics, its helpers too")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

const DEPLOY: &str = env!("CARGO_BIN_EXE_deploy");

struct Machine {
    folder: tempfile::TempDir,
    child: Child,
    port: u16,
}

impl Machine {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(DEPLOY)
            .args(["demo-service", "machine"])
            .arg(folder.path())
            .arg("here/web")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ports: serde_json::Value = serde_json::from_str(&line).unwrap();
        let port = ports["here/web"].as_u64().unwrap().try_into().unwrap();
        Self { folder, child, port }
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("hosts/here/web")
    }

    /// Makes a release that says `app`, and lets `current` say it.
    fn switch_to(&self, name: &str, app: &str) {
        let release = self.place().join("releases").join(name);
        std::fs::create_dir_all(&release).unwrap();
        std::fs::write(release.join("app.json"), app).unwrap();
        let _not_there = std::fs::remove_file(self.place().join("current"));
        std::os::unix::fs::symlink(&release, self.place().join("current")).unwrap();
    }

    fn restart(&self) -> Output {
        Command::new(DEPLOY)
            .args(["demo-service", "restart"])
            .arg(self.folder.path())
            .env("DEPLOY_PATH", self.place())
            .output()
            .unwrap()
    }

    fn get(&self, path: &str) -> std::io::Result<String> {
        get(self.port, path)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().unwrap();
        assert!(!self.folder.path().exists(), "the machine removes its folder");
    }
}

fn get(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.1\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

fn app(version: &str) -> String {
    format!(r#"{{"version":"{version}","message":"Hello","health":{{"status":"UP"}}}}"#)
}

#[test]
fn no_request_is_lost_while_one_release_takes_over_from_another() {
    let machine = Machine::start();
    machine.switch_to("r0", &app("0"));
    assert!(machine.restart().status.success());
    let (stop, asked) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let users: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let answer = get(machine.port, "/").unwrap();
                        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
                        asked.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for turn in 1..=10 {
            machine.switch_to(&format!("r{turn}"), &app(&turn.to_string()));
            assert!(machine.restart().status.success());
            let health = machine.get("/health").unwrap();
            assert!(
                health.contains(&format!("\"version\":\"{turn}\"")),
                "the new one answers: {health}"
            );
        }
        stop.store(true, Ordering::Relaxed);
        for user in users {
            user.join().unwrap();
        }
    });
    assert!(asked.into_inner() > 10, "the users asked meanwhile");
}

#[test]
fn a_release_that_does_not_start_leaves_the_old_one_serving_and_says_why() {
    let machine = Machine::start();
    machine.switch_to("good", &app("1"));
    assert!(machine.restart().status.success());
    machine.switch_to("bad", "{ this is no JSON");
    let failed = machine.restart();
    assert_eq!(failed.status.code(), Some(1));
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(
        said.contains("did not start") && said.contains("app.json"),
        "{said}"
    );
    assert!(machine.get("/health").unwrap().contains("\"version\":\"1\""));
}

#[test]
fn nothing_serves_where_nothing_is_deployed() {
    let machine = Machine::start();
    assert!(machine.restart().status.success());
    machine.switch_to("r1", &app("1"));
    assert!(machine.restart().status.success());
    std::fs::remove_file(machine.place().join("current")).unwrap();
    assert!(machine.restart().status.success());
    let begun = Instant::now();
    while running(machine.folder.path()) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(10), "the service ends");
        std::thread::yield_now();
    }
}

/// The services of this demo that run: they alone carry its mark, for the test itself sets none.
fn running(folder: &Path) -> usize {
    let mark = format!("DEPLOY_DEMO={}", folder.display());
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter(|entry| {
            std::fs::read(entry.path().join("environ"))
                .is_ok_and(|all| all.split(|byte| *byte == 0).any(|one| one == mark.as_bytes()))
        })
        .count()
}

#[test]
fn the_machine_ends_everything_when_its_demo_is_killed() {
    let mut machine = Machine::start();
    machine.switch_to("r1", &app("1"));
    assert!(machine.restart().status.success());
    assert_eq!(running(machine.folder.path()), 1);
    // What the kernel does to a killed demo's end of the pipe.
    drop(machine.child.stdin.take());
    machine.child.wait().unwrap();
    assert_eq!(running(machine.folder.path()), 0);
    assert!(machine.get("/").is_err(), "the port is free again");
}
