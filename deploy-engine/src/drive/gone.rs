//! Whether nothing of a release answers any more, where nothing ran before it: asked by the version that its probes know.

use super::health::NotWell;
use super::wiring::Eyes;
use deploy_core::failure::{Code, Failure};
use deploy_core::health::{Expect, ProbeSpec, Verdict, VersionCheck};
use deploy_core::machine::Failed;
use tokio::time::Instant;

/// Every status that HTTP has: which one is answered does not matter, only by whom.
const ANY_STATUS: std::ops::Range<u16> = 100..600;
/// A version that nobody has.
const NO_VERSION: &str = "\u{0}";

/// That nothing of the release answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// By probes that know its version.
    Seen,
    /// No probe knows it, or none could look.
    NotTold,
}

enum Answers {
    Release,
    NotRelease,
    NotTold,
}

/// Looks until nothing of the release answers any more; a process takes a moment to stop. Bounded by the probes' own deadlines.
///
/// # Errors
/// Something of it still answers.
pub(super) async fn wait(eyes: &Eyes) -> Result<Gone, NotWell> {
    let mut gone = Gone::NotTold;
    for spec in &eyes.new {
        let Some(version) = &spec.version else { continue };
        let end = Instant::now() + spec.deadline;
        loop {
            match answers(eyes, spec, version).await {
                Answers::NotRelease => gone = Gone::Seen,
                Answers::NotTold => {}
                Answers::Release if Instant::now() + spec.interval < end => {
                    tokio::time::sleep(spec.interval).await;
                    continue;
                }
                Answers::Release => return Err(still(spec, version)),
            }
            break;
        }
    }
    Ok(gone)
}

fn still(spec: &ProbeSpec, version: &VersionCheck) -> NotWell {
    NotWell {
        how: Failed::NotDone,
        failure: Failure::new(
            Code::WrongVersion,
            format!(
                "{}: version {} still answers, where nothing ran before",
                spec.name, version.equals
            ),
            "end the process that answers there; `restart` should stop it when `current` is gone",
        ),
    }
}

async fn answers(eyes: &Eyes, spec: &ProbeSpec, version: &VersionCheck) -> Answers {
    let asked = |equals: &str| ProbeSpec {
        expect: Expect {
            status: ANY_STATUS.collect(),
            ..Expect::default()
        },
        version: Some(VersionCheck {
            at: version.at.clone(),
            equals: equals.to_owned(),
        }),
        ..spec.clone()
    };
    let wrong_version = |verdict: &Verdict| matches!(verdict, Verdict::Unhealthy(reason) if reason.code == Code::WrongVersion);
    match eyes.probe.look(&asked(&version.equals)).await.verdict {
        Verdict::Healthy => Answers::Release,
        Verdict::Unreachable(_) => Answers::NotTold,
        verdict if wrong_version(&verdict) => Answers::NotRelease,
        // Nobody answers, or somebody who says that he is not well: whose version is it, if he tells any?
        Verdict::Unhealthy(_) => {
            let told = eyes.probe.look(&asked(NO_VERSION)).await.verdict;
            if wrong_version(&told) {
                Answers::Release
            } else {
                Answers::NotRelease
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use deploy_core::health::{Look, ProbeKind, Reason, Vantage, VersionAt};
    use deploy_core::port::probe::Probe;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    /// A service that answers so many looks more, as unwell as it is, and tells its version.
    struct Dying {
        looks: AtomicU32,
    }

    #[async_trait::async_trait]
    impl Probe for Dying {
        async fn look(&self, spec: &ProbeSpec) -> Look {
            let left = self
                .looks
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            let wanted = &spec.version.as_ref().expect("only versions are asked for").equals;
            let (code, what) = match left {
                Ok(_) if wanted != "2" => (Code::WrongVersion, "503 from version \"2\""),
                Ok(_) => (Code::Unhealthy, "200 with \"DOWN\""),
                Err(_) => (Code::Unhealthy, "nothing listens"),
            };
            Look::new(Verdict::Unhealthy(Reason::new(code, what)), Duration::ZERO)
        }
    }

    fn eyes(version: Option<&str>, looks: u32) -> Eyes {
        let spec = ProbeSpec {
            name: "ready".to_owned(),
            kind: ProbeKind::Http {
                url: "http://localhost/".to_owned(),
            },
            from: Vantage::Here,
            expect: Expect::default(),
            version: version.map(|equals| VersionCheck {
                at: VersionAt::Json("/version".to_owned()),
                equals: equals.to_owned(),
            }),
            healthy_for: Duration::ZERO,
            timeout: Duration::from_secs(1),
            interval: Duration::from_secs(1),
            deadline: Duration::from_secs(5),
        };
        Eyes {
            probe: Arc::new(Dying {
                looks: AtomicU32::new(looks),
            }),
            new: vec![spec],
            old: Vec::new(),
            untold: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stops_late_is_waited_for_and_one_that_does_not_is_named() {
        assert_eq!(
            wait(&eyes(Some("2"), 4)).await.expect("it stops in time"),
            Gone::Seen
        );
        let still = wait(&eyes(Some("2"), u32::MAX)).await.expect_err("it goes on");
        assert_eq!(still.how, Failed::NotDone);
        assert!(
            still.failure.message.contains("version 2 still answers"),
            "{}",
            still.failure
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_version_nothing_is_claimed() {
        assert_eq!(
            wait(&eyes(None, u32::MAX)).await.expect("nothing is known"),
            Gone::NotTold
        );
    }
}
