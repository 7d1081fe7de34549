//! Watches over real probes and a clock of their own.

use super::*;
use crate::prober::{Prober, unhealthy};
use crate::testing::{After, Server, closed_port, http};
use crate::{SystemClock, check_spec};
use deploy_core::failure::Code;
use deploy_core::health::{Fault, Verdict};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Tokio's paused clock, and what a suspended machine would add.
struct TestClock {
    base: tokio::time::Instant,
    asleep: AtomicU64,
}

impl TestClock {
    fn new() -> Self {
        Self {
            base: tokio::time::Instant::now(),
            asleep: AtomicU64::new(0),
        }
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        self.base.elapsed() + Duration::from_secs(self.asleep.load(Ordering::SeqCst))
    }
}

/// Answers by name from a script of marks: `p`ass, `b`ad, `u`nreachable, `h`ang, `z` (the machine sleeps for a minute, then pass).
/// The last mark goes on for ever.
struct Script<'a> {
    marks: Vec<(&'static str, &'static str)>,
    taken: Mutex<Vec<String>>,
    running: AtomicUsize,
    clock: &'a TestClock,
}

impl<'a> Script<'a> {
    fn new(clock: &'a TestClock, marks: &[(&'static str, &'static str)]) -> Self {
        Self {
            marks: marks.to_vec(),
            taken: Mutex::default(),
            running: AtomicUsize::new(0),
            clock,
        }
    }

    fn one(clock: &'a TestClock, marks: &'static str) -> Self {
        Self::new(clock, &[("ready", marks)])
    }
}

struct Leave<'a>(&'a AtomicUsize);

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Probe for Script<'_> {
    async fn look(&self, spec: &ProbeSpec) -> Look {
        self.running.fetch_add(1, Ordering::SeqCst);
        let _leave = Leave(&self.running);
        let index = {
            let mut taken = self.taken.lock().expect("no panic under it");
            taken.push(spec.name.clone());
            taken.iter().filter(|name| **name == spec.name).count() - 1
        };
        let marks = self
            .marks
            .iter()
            .find(|(name, _)| *name == spec.name)
            .map_or("p", |(_, marks)| marks);
        let latency = Duration::from_millis(10);
        tokio::time::sleep(latency).await;
        let verdict = match marks.as_bytes()[index.min(marks.len() - 1)] {
            b'b' => unhealthy("503".to_owned()),
            b'u' => cannot_look("no route to it".to_owned()),
            b'h' => std::future::pending().await,
            b'z' => {
                self.clock.asleep.fetch_add(60, Ordering::SeqCst);
                Verdict::Healthy
            }
            _ => Verdict::Healthy,
        };
        Look {
            uptime: Some(Duration::from_secs(1000)),
            ..Look::new(verdict, latency)
        }
    }
}

fn spec() -> ProbeSpec {
    http("http://localhost/")
}

async fn watch(clock: &TestClock, script: &Script<'_>, spec: &ProbeSpec) -> Settled {
    check_spec(spec).expect("a spec that can work");
    until_healthy(script, spec, clock, None, &mut |_| {}).await
}

#[tokio::test(start_paused = true)]
async fn healthy_means_the_whole_window() {
    // The wanted ten seconds begin at the first pass that nothing breaks.
    for (marks, from, to) in [
        ("p", 0, 10),
        ("bbp", 2, 12),
        ("ppppbp", 5, 15),
        ("pppppppppup", 10, 20),
    ] {
        let clock = TestClock::new();
        let script = Script::one(&clock, marks);
        let settled = watch(&clock, &script, &spec()).await;
        let State::Healthy { since } = settled.state else {
            panic!("{marks}: {settled:?}")
        };
        assert_eq!((since.as_secs(), settled.took.as_secs()), (from, to), "{marks}");
        assert!(settled.failure(&spec()).is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_kept_and_says_why() {
    let down = spec();
    for (marks, code, message) in [
        (
            "b",
            Code::Unhealthy,
            "ready: 503 in 60 of 60 probes, wanted 10s healthy",
        ),
        (
            "u",
            Code::ProbeUnreachable,
            "ready: no route to it in 60 of 60 probes, wanted 10s healthy",
        ),
        (
            "h",
            Code::ProbeUnreachable,
            "ready: the look did not end in 7 of 7 probes, wanted 10s healthy",
        ),
    ] {
        let clock = TestClock::new();
        let settled = watch(&clock, &Script::one(&clock, marks), &down).await;
        let failure = settled.failure(&down).expect("late");
        assert_eq!((failure.code, failure.message.as_str()), (code, message));
        assert_eq!(settled.took.as_secs(), 60);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_flaps_for_ever_is_late() {
    let clock = TestClock::new();
    let script = Script::one(
        &clock,
        "ppppbppppbppppbppppbppppbppppbppppbppppbppppbppppbppppbppppbppppb",
    );
    let settled = watch(&clock, &script, &spec()).await;
    let State::Late(late) = settled.state else {
        panic!("flapping is not healthy")
    };
    assert_eq!(late.fault, Fault::Unhealthy);
    assert_eq!(late.to_string(), "503 in 12 of 60 probes, wanted 10s healthy");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_has_not_looked() {
    let clock = TestClock::new();
    let long = ProbeSpec {
        deadline: Duration::from_mins(10),
        ..spec()
    };
    let settled = watch(&clock, &Script::one(&clock, "pppppppzp"), &long).await;
    let State::Healthy { since } = settled.state else {
        panic!("{settled:?}")
    };
    assert_eq!(since.as_secs(), 67, "the window began again after the gap");
    assert_eq!(settled.took.as_secs(), 77);
}

#[tokio::test(start_paused = true)]
async fn several_probes_are_healthy_at_the_same_moment_or_not_at_all() {
    let named = |name: &str, deadline| ProbeSpec {
        name: name.to_owned(),
        deadline: Duration::from_secs(deadline),
        ..spec()
    };
    let specs = [named("fast", 15), named("slow", 60)];
    let slow = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbp";
    let clock = TestClock::new();
    let script = Script::new(&clock, &[("fast", "p"), ("slow", slow)]);
    let settled = until_all_healthy(&script, &specs, &clock, None, &mut |_| {}).await;
    assert!(settled.iter().all(Settled::is_healthy));
    assert_eq!(settled[0].took.as_secs(), 40);
    assert!(
        settled[0].looks > 35,
        "the fast one was looked at until the slow one was there"
    );

    let clock = TestClock::new();
    let script = Script::new(&clock, &[("fast", "ppppppppppppppppppppb"), ("slow", slow)]);
    let settled = until_all_healthy(&script, &specs, &clock, None, &mut |_| {}).await;
    assert!(
        matches!(settled[0].state, State::Late(_)),
        "broken after its own deadline"
    );
    assert!(matches!(settled[1].state, State::Pending { .. }));
    assert_eq!(settled[0].took.as_secs(), 20);
    assert!(
        until_all_healthy(&script, &[], &clock, None, &mut |_| {})
            .await
            .is_empty()
    );
}

#[tokio::test(start_paused = true)]
async fn dropping_the_watch_ends_its_look() {
    let clock = TestClock::new();
    let script = Script::one(&clock, "h");
    let spec = spec();
    let cut = tokio::time::timeout(Duration::from_secs(3), watch(&clock, &script, &spec)).await;
    assert!(cut.is_err());
    assert_eq!(script.running.load(Ordering::SeqCst), 0);
    assert_eq!(script.taken.lock().expect("no panic under it").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_look_is_told_and_an_old_process_is_noted_once() {
    let clock = TestClock::new();
    let script = Script::one(&clock, "bp");
    let mut told = Vec::new();
    let settled = until_healthy(
        &script,
        &spec(),
        &clock,
        Some(Duration::from_secs(5)),
        &mut |progress| {
            told.push((
                progress.name.to_owned(),
                progress.at.as_secs(),
                progress.look.verdict == Verdict::Healthy,
            ));
        },
    )
    .await;
    assert_eq!(told.len(), settled.looks as usize);
    assert_eq!(
        told[..2],
        [("ready".to_owned(), 0, false), ("ready".to_owned(), 1, true)]
    );
    assert_eq!(
        settled.notes,
        ["uptime: says it has been up for 1000 s, but was switched 5 s ago: it may be an old process"]
    );
}

/// The real thing: sockets, the machine's clock, short times.
#[tokio::test]
async fn on_real_sockets() {
    let quick = |url: String| ProbeSpec {
        healthy_for: Duration::from_millis(150),
        interval: Duration::from_millis(20),
        timeout: Duration::from_secs(1),
        deadline: Duration::from_secs(20),
        ..http(url)
    };
    let server = Server::answering("200 OK", "", r#"{"status":"UP"}"#).await;
    let probe = Prober::here();
    let settled = until_healthy(&probe, &quick(server.url("/")), &SystemClock, None, &mut |_| {}).await;
    assert!(settled.is_healthy(), "{settled:?}");
    assert!(settled.took >= Duration::from_millis(150));
    assert!(server.requests() >= 2);

    let down = Server::answering("200 OK", "", r#"{"status":"DOWN"}"#).await;
    for (url, says) in [
        (down.url("/"), "200 with status \"DOWN\" in "),
        (
            format!("http://{}/", closed_port().await),
            "connection refused in ",
        ),
    ] {
        let spec = ProbeSpec {
            deadline: Duration::from_millis(300),
            ..quick(url)
        };
        let settled = until_healthy(&probe, &spec, &SystemClock, None, &mut |_| {}).await;
        let failure = settled.failure(&spec).expect("late");
        assert_eq!(failure.code, Code::Unhealthy);
        assert!(
            failure.message.starts_with(&format!("ready: {says}")),
            "{failure}"
        );
        assert!(failure.message.ends_with(", wanted 150ms healthy"), "{failure}");
    }
}

/// Never as long without a failure as is wanted, though four of five answers are right.
#[tokio::test]
async fn a_flapping_server_is_never_healthy() {
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nUP".to_vec();
    let bad = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy".to_vec();
    let server = Server::in_turn(
        vec![good.clone(), good.clone(), good.clone(), good, bad],
        After::Close,
    )
    .await;
    let spec = ProbeSpec {
        // Longer than any four intervals take, also on a machine that is busy.
        healthy_for: Duration::from_millis(900),
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(1),
        deadline: Duration::from_millis(1200),
        ..http(server.url("/"))
    };
    let settled = until_healthy(&Prober::here(), &spec, &SystemClock, None, &mut |_| {}).await;
    let State::Late(late) = settled.state else {
        panic!("{settled:?}")
    };
    assert_eq!(late.fault, Fault::Unhealthy);
    assert!(late.passes > late.unhealthy && late.unhealthy > 1, "{late}");
    assert!(
        late.reason
            .is_some_and(|reason| reason.what == "503" && reason.body.as_deref() == Some("busy"))
    );
}
