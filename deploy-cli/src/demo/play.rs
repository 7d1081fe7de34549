//! Playing the story: says what is expected, runs it, looks at what really serves, and compares. It judges with its own
//! eyes (exit codes and the services' own answers), not with what `deploy` prints.

use super::probe::{Count, Users, serves};
use super::project::Project;
use super::stage::{Ended, Stage, Trouble};
use super::story::{ACTS, Act, ENVIRONMENTS, End, SERVICES, Serves};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long what serves may take to be as announced: a service that takes over is asked again.
const SETTLE: Duration = Duration::from_secs(2);

/// What came of the whole.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// Acts that ended as announced.
    pub(super) acts: usize,
    /// Requests of the users.
    pub(super) requests: u64,
    /// Those that failed.
    pub(super) failed: u64,
}

/// Plays every act; stops at the first that does not end as announced.
///
/// # Errors
/// [`Trouble`], with what was announced and what came.
pub(super) fn play(
    stage: &Stage,
    out: &mut dyn Write,
    tally: &mut Tally,
    interrupted: &AtomicBool,
) -> Result<(), Trouble> {
    let project = Project::create(&stage.folder, &stage.ports)?;
    let users = Users::start(&stage.ports);
    for (index, act) in ACTS.iter().enumerate() {
        if interrupted.load(Ordering::Relaxed) {
            return Err(Trouble::Interrupted);
        }
        let before = total(&users.count());
        let begun = Instant::now();
        if let Some(commit) = act.commit {
            project.commit(commit)?;
        }
        say(out, &format!("\n{}/{}  {}", index + 1, ACTS.len(), act.title));
        say(out, &format!("     announced  {}", act.end.announced()));
        say(out, &format!("     $ deploy {}", act.command.join(" ")));
        let came = one(stage, &project, act, out, interrupted)?;
        let after = total(&users.count());
        (tally.requests, tally.failed) = (after.asked, after.failed);
        let took = begun.elapsed().as_secs_f32();
        let requests = format!(
            "{} requests, {} failed",
            after.asked - before.asked,
            after.failed - before.failed
        );
        match came {
            Ok(end) => {
                tally.acts += 1;
                say(out, &format!("     ✓ {end} · {took:.1}s · {requests}"));
            }
            Err(end) => {
                say(out, &format!("     ✗ {end} · {took:.1}s · {requests}"));
                return Err(Trouble::Failed(format!(
                    "act {} did not end as announced",
                    index + 1
                )));
            }
        }
    }
    let counted = users.count();
    drop(users);
    summary(out, &counted);
    Ok(())
}

/// Plays one act. The inner result is how it ended: as announced, or not.
fn one(
    stage: &Stage,
    project: &Project,
    act: &Act,
    out: &mut dyn Write,
    interrupted: &AtomicBool,
) -> Result<Result<String, String>, Trouble> {
    let mut strike = || match act.end {
        End::Killed {
            environment,
            old,
            new,
        } => [new, old].iter().zip(SERVICES).all(|(version, service)| {
            serves(stage.ports[&format!("{environment}/{service}")]).as_deref() == Ok(version)
        }),
        End::Itself(_) => false,
    };
    let mut print = |line: &str| say(out, &format!("       {line}"));
    let ended = stage.run(&project.folder, act.command, interrupted, &mut print, &mut strike)?;
    Ok(match (act.end, ended) {
        (End::Killed { old, new, .. }, Ended::Killed(pid)) => {
            say(out, &format!("     $ kill -9 {pid}"));
            Ok(format!(
                "killed with {} on {new} and {} on {old}",
                SERVICES[0], SERVICES[1]
            ))
        }
        (End::Killed { .. }, Ended::Itself(code)) => Err(format!(
            "it was over ({}) before it could be killed half-way",
            exit(code)
        )),
        (End::Itself(_), Ended::Killed(_)) => Err("it was killed".to_owned()),
        (End::Itself(ways), Ended::Itself(code)) => match ways.iter().find(|way| Some(way.code) == code) {
            None => Err(exit(code)),
            Some(way) => settled(stage, way.serves)
                .map(|()| way.announced())
                .map_err(|seen| format!("{}, but {seen}", exit(code))),
        },
    })
}

fn exit(code: Option<i32>) -> String {
    code.map_or("ended by a signal".to_owned(), |code| format!("exit {code}"))
}

/// Whether both services of each environment serve what was announced.
fn settled(stage: &Stage, wanted: &[Serves]) -> Result<(), String> {
    let begun = Instant::now();
    loop {
        let wrong = wanted.iter().find_map(|(environment, version)| {
            SERVICES.iter().find_map(|service| {
                let name = format!("{environment}/{service}");
                match serves(stage.ports[&name]) {
                    Ok(serves) if serves == *version => None,
                    Ok(serves) => Some(format!("{name} serves {serves}, not {version}")),
                    Err(why) => Some(format!("{name}: {why}")),
                }
            })
        });
        match wrong {
            None => return Ok(()),
            Some(wrong) if begun.elapsed() > SETTLE => return Err(wrong),
            Some(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn total(counted: &BTreeMap<String, Count>) -> Count {
    let mut total = Count::default();
    for count in counted.values() {
        total.asked += count.asked;
        total.failed += count.failed;
    }
    total
}

fn summary(out: &mut dyn Write, counted: &BTreeMap<String, Count>) {
    let all = total(counted);
    let each: Vec<_> = ENVIRONMENTS
        .iter()
        .filter_map(|name| Some(format!("{name} {}", counted.get(*name)?.asked)))
        .collect();
    say(
        out,
        &format!(
            "\n{} requests meanwhile ({}): {} failed",
            all.asked,
            each.join(", "),
            all.failed
        ),
    );
    for (environment, count) in counted {
        if let Some(why) = &count.why {
            say(
                out,
                &format!("  {environment}: {} failed, the first with: {why}", count.failed),
            );
        }
        let versions: Vec<_> = count
            .by_version
            .iter()
            .map(|(version, n)| format!("{n} by {version}"))
            .collect();
        say(
            out,
            &format!("  {environment:<12} answered {}", versions.join(", ")),
        );
    }
}

/// Prints a line. Whoever reads may be gone; the demo ends as it would have.
pub(super) fn say(out: &mut dyn Write, line: &str) {
    let _gone = writeln!(out, "{line}");
    let _gone = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_failed_and_who_answered() {
        let count = |asked, failed, why: Option<&str>, versions: &[(&str, u64)]| Count {
            asked,
            failed,
            why: why.map(str::to_owned),
            by_version: versions
                .iter()
                .map(|(version, n)| ((*version).to_owned(), *n))
                .collect(),
        };
        let counted = BTreeMap::from([
            (
                "development".to_owned(),
                count(12, 2, Some("status 503"), &[("1.0.0", 7), ("1.1.0", 3)]),
            ),
            ("staging".to_owned(), count(5, 0, None, &[("1.0.0", 5)])),
        ]);
        let mut out = Vec::new();
        summary(&mut out, &counted);
        insta::assert_snapshot!(String::from_utf8(out).unwrap(), @r"

        17 requests meanwhile (development 12, staging 5): 2 failed
          development: 2 failed, the first with: status 503
          development  answered 7 by 1.0.0, 3 by 1.1.0
          staging      answered 5 by 1.0.0
        ");
    }
}
