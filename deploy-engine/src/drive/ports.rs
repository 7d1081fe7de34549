//! Two ports that a slice answers at in turn: which of them a probe means, and a look at a release that stands beside what serves.
//!
//! `${port}` in a probe is the port that serves, as the target last told. Every probe is written out for both ports when it is bound;
//! here the one that is asked for is replaced by the same one of the other port.

use super::calls::{failed, limited};
use super::health;
use super::retry::{Patience, retry};
use super::wiring::Eyes;
use deploy_core::command::Command;
use deploy_core::health::{Look, ProbeKind, ProbeSpec};
use deploy_core::id::SliceIx;
use deploy_core::machine::Answer;
use deploy_core::manifest::Fact;
use deploy_core::port::probe::Probe;
use deploy_core::port::target::{Move, Op, Stood, Target};
use std::sync::Arc;

/// Tells the port that serves now, as far as it is known.
pub(super) type Serving = Box<dyn Fn() -> Option<u16> + Send + Sync>;

/// A probe that looks at the port that serves; the first of the two where none is known to.
pub struct Ports {
    serving: Serving,
    at: [Arc<AtPort>; 2],
}

/// Looks at one of the ports.
struct AtPort {
    port: u16,
    probe: Arc<dyn Probe>,
    /// What is looked at by the probes of the first port, and what that is here; only where it differs.
    instead: Vec<(ProbeKind, ProbeKind)>,
}

impl Ports {
    /// Of two ports, each with who looks there and all probes written out for it, in the same order.
    pub fn new(serving: Serving, [first, second]: [(u16, Arc<dyn Probe>, Vec<ProbeSpec>); 2]) -> Self {
        let instead = first.2.iter().zip(&second.2);
        let instead = instead
            .filter(|(one, other)| one.kind != other.kind)
            .map(|(one, other)| (one.kind.clone(), other.kind.clone()))
            .collect();
        let at = |(port, probe, _), instead| Arc::new(AtPort { port, probe, instead });
        Self {
            serving,
            at: [at(first, Vec::new()), at(second, instead)],
        }
    }

    fn at(&self, port: Option<u16>) -> &Arc<AtPort> {
        let [first, second] = &self.at;
        if port == Some(second.port) { second } else { first }
    }

    /// Those that look at a port of the service's own, and not at what all its users see.
    fn own(&self, specs: &[ProbeSpec]) -> Vec<ProbeSpec> {
        let of_port = |kind: &ProbeKind| match kind {
            ProbeKind::Command { line, .. } => names_port(line),
            ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => {
                self.at[1].instead.iter().any(|(first, _)| first == kind)
            }
        };
        specs.iter().filter(|spec| of_port(&spec.kind)).cloned().collect()
    }
}

/// Whether a command asks for its port: it is not expanded, but gets it in its environment.
fn names_port(line: &Command) -> bool {
    let variable = Fact::Port.variable();
    line.argv().iter().any(|word| word.contains(&variable))
}

#[async_trait::async_trait]
impl Probe for Ports {
    async fn look(&self, spec: &ProbeSpec) -> Look {
        self.at((self.serving)()).look(spec).await
    }
}

#[async_trait::async_trait]
impl Probe for AtPort {
    async fn look(&self, spec: &ProbeSpec) -> Look {
        match self.instead.iter().find(|(first, _)| *first == spec.kind) {
            Some((_, here)) => {
                let kind = here.clone();
                self.probe.look(&ProbeSpec { kind, ..spec.clone() }).await
            }
            None => self.probe.look(spec).await,
        }
    }
}

/// Stands a release up where its target does that, and looks whether it is well before anything is led to it. Where it is not, nothing
/// that serves was changed.
pub(super) async fn stand(
    target: &dyn Target,
    op: &Op,
    step: &Move,
    slice: SliceIx,
    eyes: Option<&Eyes>,
) -> Result<(), Answer> {
    let verb = retry(Patience::Transient(op.limit), || target.stand(op, step));
    let Stood::Beside { port } = limited(op.limit, verb).await.map_err(failed)? else {
        return Ok(());
    };
    let Some((eyes, ports)) = eyes.and_then(|eyes| Some((eyes, eyes.ports.as_ref()?))) else {
        return Ok(());
    };
    op.progress
        .step(0, 0, &format!("stands at port {port}, beside what serves"));
    let there = &**ports.at(Some(port));
    let settled = health::settle(there, &ports.own(&eyes.new), None, &mut |line| {
        op.progress.step(0, 0, &line);
    })
    .await;
    settled.map(drop).map_err(|not_well| {
        let mut failure = not_well.failure;
        failure.message = format!(
            "{}, at port {port} beside what serves, which was not touched",
            failure.message
        );
        Answer::Failed {
            how: not_well.how,
            slice: Some(slice),
            failure,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::health::{Expect, Vantage, Verdict};
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicU16, Ordering};
    use std::time::Duration;

    /// Notes what it was asked to look at.
    #[derive(Default)]
    struct Notes(Mutex<Vec<ProbeKind>>);

    #[async_trait::async_trait]
    impl Probe for Notes {
        async fn look(&self, spec: &ProbeSpec) -> Look {
            self.0
                .lock()
                .expect("no test panics here")
                .push(spec.kind.clone());
            Look {
                verdict: Verdict::Healthy,
                latency: Duration::ZERO,
                uptime: None,
                notes: Vec::new(),
            }
        }
    }

    fn http(url: &str) -> ProbeSpec {
        ProbeSpec {
            name: "ready".to_owned(),
            kind: ProbeKind::Http { url: url.to_owned() },
            from: Vantage::Here,
            expect: Expect::default(),
            version: None,
            healthy_for: Duration::ZERO,
            timeout: Duration::from_secs(1),
            interval: Duration::from_secs(1),
            deadline: Duration::from_secs(1),
        }
    }

    #[tokio::test]
    async fn a_probe_means_the_port_that_serves() {
        let serving = Arc::new(AtomicU16::new(0));
        let told = Arc::clone(&serving);
        let looked: [Arc<Notes>; 2] = Default::default();
        let front = http("http://localhost/");
        let (own, other) = (http("http://localhost:1/"), http("http://localhost:2/"));
        let ports = Ports::new(
            Box::new(move || Some(told.load(Ordering::Relaxed)).filter(|port| *port != 0)),
            [
                (1, Arc::clone(&looked[0]) as _, vec![own.clone(), front.clone()]),
                (2, Arc::clone(&looked[1]) as _, vec![other.clone(), front.clone()]),
            ],
        );
        let asked = [own.clone(), front.clone()];
        for port in [0, 2, 1] {
            serving.store(port, Ordering::Relaxed);
            for spec in &asked {
                ports.look(spec).await;
            }
        }
        let seen = |at: usize| looked[at].0.lock().expect("no test panics here").clone();
        assert_eq!(
            seen(0),
            [&own.kind, &front.kind, &own.kind, &front.kind].map(Clone::clone)
        );
        assert_eq!(seen(1), [&other.kind, &front.kind].map(Clone::clone));
        // What all users see says nothing of what stands beside it.
        assert_eq!(ports.own(&asked).len(), 1);
    }
}
