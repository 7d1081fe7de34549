//! Whether nothing of a release answers any more, where nothing ran before it: asked by the version that its probes know, and
//! without one by whether they still pass. And whether nothing answers at all, where a slice was stopped.

use super::health::{self, NotWell};
use super::wiring::Eyes;
use deploy_core::failure::{Code, Failure};
use deploy_core::health::{Expect, ProbeKind, ProbeSpec, Verdict, VersionCheck};
use deploy_core::machine::Failed;
use std::time::Duration;
use tokio::time::Instant;

/// Every status that HTTP has: which one is answered does not matter, only by whom.
const ANY_STATUS: std::ops::Range<u16> = 100..600;
/// A version that nobody has.
const NO_VERSION: &str = "\u{0}";
/// Looks in a row that have to say the same, however short the window is: one between two lives of a process proves nothing.
const IN_A_ROW: u32 = 3;

/// Between two looks at what was stopped.
const SHORT_PAUSE: Duration = Duration::from_millis(200);

/// That nothing of the release answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gone {
    /// By probes that know its version.
    Seen,
    /// No probe knows it, or none could look. Those that do not know it do not pass.
    NotTold,
}

/// One look with every probe of the release.
enum Round<'a> {
    /// This probe says that it still answers.
    Answers(&'a ProbeSpec),
    /// It does not, by what the probes can tell.
    Quiet(Gone),
    /// No probe could look.
    NotTold,
}

/// Looks until nothing of the release has answered for a whole window, without a break: a process takes a moment to stop, and
/// whoever supervises it may start it again. Bounded by the probes' deadlines, and by one window more where it fell silent late.
///
/// # Errors
/// Something of it still answers.
pub(super) async fn wait(eyes: &Eyes) -> Result<Gone, NotWell> {
    let longest = |of: fn(&ProbeSpec) -> Duration| eyes.new.iter().map(of).max().unwrap_or_default();
    let window = longest(|spec| spec.healthy_for);
    let interval = longest(|spec| spec.interval);
    let end = Instant::now() + longest(|spec| spec.deadline);
    let (mut quiet, mut untold) = (None, 0);
    loop {
        let began = Instant::now();
        match round(eyes).await {
            Round::Answers(spec) if began + interval >= end => return Err(still(spec)),
            Round::Answers(_) => (quiet, untold) = (None, 0),
            Round::Quiet(gone) => {
                let (since, looks) = quiet.unwrap_or((began, 0));
                if looks + 1 >= IN_A_ROW && since.elapsed() >= window {
                    return Ok(gone);
                }
                (quiet, untold) = (Some((since, looks + 1)), 0);
            }
            // It breaks no window, and a probe that cannot look at all is not waited for.
            Round::NotTold => {
                untold += 1;
                if eyes.new.is_empty() || untold >= IN_A_ROW {
                    return Ok(Gone::NotTold);
                }
            }
        }
        tokio::time::sleep_until(began + interval).await;
    }
}

/// Looks again at what was gone already: whether it came back while others moved.
///
/// # Errors
/// It answers, look after look.
pub(super) async fn still_gone(eyes: &Eyes) -> Result<(), NotWell> {
    let mut answered = 0;
    loop {
        let Round::Answers(spec) = round(eyes).await else {
            return Ok(());
        };
        answered += 1;
        if answered >= IN_A_ROW {
            return Err(still(spec));
        }
        tokio::time::sleep(spec.interval).await;
    }
}

/// Looks until nobody has answered for a few looks in a row, whatever he would have said: the release and what ran before are both out.
/// Bounded by the probes' deadlines.
///
/// # Errors
/// Somebody answers still, or no probe could look.
pub(super) async fn until_silent(eyes: &Eyes) -> Result<(), NotWell> {
    let longest = |of: fn(&ProbeSpec) -> Duration| eyes.new.iter().map(of).max().unwrap_or_default();
    let end = Instant::now() + longest(|spec| spec.deadline);
    let mut silent = 0;
    loop {
        let began = Instant::now();
        match heard(eyes).await {
            Ok(()) => {
                silent += 1;
                if silent >= IN_A_ROW {
                    return Ok(());
                }
            }
            Err(not_well) if began >= end => return Err(not_well),
            Err(_) => silent = 0,
        }
        tokio::time::sleep_until(began + SHORT_PAUSE).await;
    }
}

/// Looks again at what was silent: one look that hears nobody is enough.
///
/// # Errors
/// Somebody answers, look after look, or no probe could look.
pub(super) async fn still_silent(eyes: &Eyes) -> Result<(), NotWell> {
    let mut looks = 0;
    loop {
        let Err(not_well) = heard(eyes).await else {
            return Ok(());
        };
        looks += 1;
        if looks >= IN_A_ROW {
            return Err(not_well);
        }
        tokio::time::sleep(SHORT_PAUSE).await;
    }
}

/// One look with every probe of the release, whatever is answered: an error is an answer too.
async fn heard(eyes: &Eyes) -> Result<(), NotWell> {
    for spec in &eyes.new {
        let anybody = ProbeSpec {
            expect: Expect {
                status: ANY_STATUS.collect(),
                ..Expect::default()
            },
            version: None,
            ..spec.clone()
        };
        let name = &spec.name;
        match eyes.probe.look(&anybody).await.verdict {
            Verdict::Healthy => {
                let message = format!("{name}: something answers still, where it was stopped");
                let next = "end the process that answers there; `stop` should have";
                return Err(NotWell {
                    how: Failed::NotDone,
                    failure: Failure::new(Code::Unhealthy, message, next),
                });
            }
            Verdict::Unhealthy(_) => {}
            Verdict::Unreachable(reason) => {
                let message = format!("{name}: whether it stopped cannot be seen: {reason}");
                return Err(NotWell {
                    how: Failed::Unreachable,
                    failure: Failure::new(
                        reason.code,
                        message,
                        "deploy status --refresh looks at what runs now",
                    ),
                });
            }
        }
    }
    Ok(())
}

async fn round(eyes: &Eyes) -> Round<'_> {
    let mut quiet = false;
    for spec in &eyes.new {
        let Some(version) = &spec.version else { continue };
        match answers(eyes, spec, version).await {
            Answers::Release => return Round::Answers(spec),
            Answers::NotRelease => quiet = true,
            Answers::NotTold => {}
        }
    }
    if quiet {
        return Round::Quiet(Gone::Seen);
    }
    // Whose answer it is cannot be told then; but where nothing ran, nothing should be well.
    let unversioned = || eyes.new.iter().filter(|spec| spec.version.is_none());
    let Some(first) = unversioned().next() else {
        return Round::NotTold;
    };
    let specs: Vec<_> = unversioned().cloned().collect();
    match health::look(&*eyes.probe, &specs).await.verdict() {
        Verdict::Healthy => Round::Answers(first),
        Verdict::Unhealthy(_) => Round::Quiet(Gone::NotTold),
        Verdict::Unreachable(_) => Round::NotTold,
    }
}

fn still(spec: &ProbeSpec) -> NotWell {
    let name = &spec.name;
    let (code, message, next) = match &spec.version {
        Some(version) => (
            Code::WrongVersion,
            format!(
                "{name}: version {} still answers, where nothing ran before",
                version.equals
            ),
            "end the process that answers there; `restart` should stop it when `current` is gone",
        ),
        None => {
            let still = match spec.kind {
                ProbeKind::Http { .. } | ProbeKind::Tcp { .. } => "still answers well",
                ProbeKind::Command { .. } => "still passes",
            };
            (
                Code::Unhealthy,
                format!("{name} {still} after going back to nothing: the old process may still run"),
                "stop it by hand, then: deploy verify; `restart` should stop it when `current` is gone",
            )
        }
    };
    NotWell {
        how: Failed::NotDone,
        failure: Failure::new(code, message, next),
    }
}

/// Who answers a probe that knows the version.
enum Answers {
    Release,
    NotRelease,
    NotTold,
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

    /// A service that answers some rounds of looks and not others: unwell where it tells its version, and well where not.
    struct Dying {
        looks: AtomicU32,
        answers: fn(u32) -> bool,
    }

    #[async_trait::async_trait]
    impl Probe for Dying {
        async fn look(&self, spec: &ProbeSpec) -> Look {
            let look = self.looks.fetch_add(1, Ordering::SeqCst);
            let Some(version) = &spec.version else {
                let verdict = if (self.answers)(look) {
                    Verdict::Healthy
                } else {
                    Verdict::Unhealthy(Reason::new(Code::Unhealthy, "nothing listens"))
                };
                return Look::new(verdict, Duration::ZERO);
            };
            // Asked twice each: for this version, and for one that nobody has.
            let (code, what) = match (self.answers)(look / 2) {
                true if version.equals != "2" => (Code::WrongVersion, "503 from version \"2\""),
                true => (Code::Unhealthy, "200 with \"DOWN\""),
                false => (Code::Unhealthy, "nothing listens"),
            };
            Look::new(Verdict::Unhealthy(Reason::new(code, what)), Duration::ZERO)
        }
    }

    fn eyes(version: Option<&str>, answers: fn(u32) -> bool) -> Eyes {
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
                looks: AtomicU32::new(0),
                answers,
            }),
            new: vec![spec],
            kept: None,
            old_probe: Arc::new(Dying {
                looks: AtomicU32::new(0),
                answers,
            }),
            old: Vec::new(),
            ports: None,
            untold: Vec::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_stops_late_is_waited_for_and_one_that_does_not_is_named() {
        let late = eyes(Some("2"), |round| round < 2);
        assert_eq!(wait(&late).await.expect("it stops in time"), Gone::Seen);
        let still = wait(&eyes(Some("2"), |_| true)).await.expect_err("it goes on");
        assert_eq!(still.how, Failed::NotDone);
        assert!(
            still.failure.message.contains("version 2 still answers"),
            "{}",
            still.failure
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_started_again_is_not_gone() {
        let supervised = |round: u32| !(1..3).contains(&round);
        assert!(wait(&eyes(Some("2"), supervised)).await.is_err());
        let mut patient = eyes(Some("2"), |round| !(1..5).contains(&round));
        assert!(
            wait(&patient).await.is_ok(),
            "with no window, three looks are enough"
        );
        patient = eyes(Some("2"), |round| !(1..5).contains(&round));
        patient.new[0].healthy_for = Duration::from_secs(4);
        assert!(wait(&patient).await.is_err(), "its window is longer");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_version_nothing_is_claimed_of_what_does_not_pass() {
        let gone = wait(&eyes(None, |round| round < 2)).await;
        assert_eq!(gone.expect("it does not pass"), Gone::NotTold);
        let mut none = eyes(None, |_| true);
        none.new.clear();
        assert_eq!(wait(&none).await.expect("nobody is asked"), Gone::NotTold);
    }

    #[tokio::test(start_paused = true)]
    async fn what_still_passes_where_nothing_ran_is_named_though_no_version_is_known() {
        let still = wait(&eyes(None, |_| true)).await.expect_err("it goes on");
        assert_eq!(
            (still.how, still.failure.message.as_str()),
            (
                Failed::NotDone,
                "ready still answers well after going back to nothing: the old process may still run"
            )
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_back_while_others_moved_is_named_and_one_answer_is_not_enough() {
        assert!(still_gone(&eyes(Some("2"), |_| true)).await.is_err());
        assert!(still_gone(&eyes(Some("2"), |round| round < 2)).await.is_ok());
        assert!(still_gone(&eyes(None, |_| true)).await.is_err());
    }
}
