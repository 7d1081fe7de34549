//! Checks with a command: run on the files of the commit when a release is made for an environment that asks for them, and recorded
//! as evidence about the commit.

use super::{Engine, defect, failed, git_error};
use crate::api::{Before, EngineError, Hear};
use crate::source::process::{self, Program, plain_environment};
use deploy_core::event::EventKind;
use deploy_core::failure::{Code, Failure, printable};
use deploy_core::gate::{About, Evidence, Finding, Ledgers};
use deploy_core::id::{CommitId, EnvName, EvidenceName};
use deploy_core::manifest::{Check, Command, Period};
use deploy_core::model::Release;
use deploy_core::port::journal::Stream;
use std::path::Path;

/// Lines of a failed check's output that are kept with the evidence.
const TAIL: usize = 10;

/// What `JUnit` files told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JunitCount {
    /// Tests in them.
    pub tests: u64,
    /// Those that failed or ended in an error.
    pub failed: u64,
}

impl Engine {
    /// Runs the checks that an environment asks for, that have a command, and that nothing is known of yet.
    pub(super) async fn run_checks(
        &self,
        name: &EnvName,
        release: &Release,
        hear: Hear<'_>,
    ) -> Result<(), EngineError> {
        let environment = self.environment(name).await?;
        let views = self.views().await?;
        let view = views.environment(name);
        let git = self.git()?;
        for name in &environment.checks {
            let Some(check) = self.project.checks.get(name) else {
                continue;
            };
            let Some(command) = &check.command else { continue };
            let ledgers = Ledgers {
                here: Some(&view.evidence),
                everywhere: &views.project.evidence,
            };
            let valid_for = check.valid_for.map(Period::get);
            let now = self.clock.now().max(view.latest);
            if ledgers.hold(name, release, &environment.name, valid_for, now) {
                continue;
            }
            let commit = self.commit_of(git, release).await?;
            let (finding, note) = self.run_check(name, check, command, &commit, hear).await?;
            let at = self.clock.now();
            let evidence = Evidence {
                name: name.clone(),
                about: About::Commit(commit),
                environment: None,
                finding,
                by: self.identity.actor.clone(),
                at,
                valid_until: check.valid_for.map(Period::get).map(|span| at.after(span)),
                run: Some(ulid::Ulid::new().to_string()),
                note,
            };
            let draft = self.draft(None, EventKind::EvidenceGiven { evidence });
            self.append_facts(&Stream::Project, vec![draft]).await?;
        }
        Ok(())
    }

    async fn run_check(
        &self,
        name: &EvidenceName,
        check: &Check,
        command: &Command,
        commit: &CommitId,
        hear: Hear<'_>,
    ) -> Result<(Finding, String), EngineError> {
        let git = self.git()?;
        let scratch = tempfile::tempdir().map_err(|error| {
            failed(
                Failure::new(
                    Code::BuildFailed,
                    "no temporary folder could be made",
                    "free space, or set TMPDIR",
                )
                .caused_by(&error),
            )
        })?;
        let checkout = scratch.path().join("commit");
        std::fs::create_dir_all(&checkout).map_err(|error| defect(&error))?;
        git.export(commit, &checkout).await.map_err(git_error)?;
        let dir = check
            .dir
            .as_ref()
            .map_or(checkout.clone(), |dir| checkout.join(dir.as_str()));
        let program = Program {
            argv: command.argv(),
            dir,
            env: plain_environment(),
            limit: check.timeout.get(),
        };
        let mut say = |line: &str| {
            hear(Before::Checks {
                check: name.clone(),
                line: line.to_owned(),
            });
        };
        say("");
        let ended = match process::run(&program, say).await {
            Ok(ended) => ended,
            Err(error) => return Ok((Finding::Inconclusive, error.to_string())),
        };
        let count = match &check.junit {
            Some(glob) => junit_below(&checkout, glob.as_str())?,
            None => JunitCount::default(),
        };
        if !ended.status.success() {
            return Ok((
                Finding::Failed,
                what_it_said(&ended.status.to_string(), &ended.tail),
            ));
        }
        Ok(match (&check.junit, count) {
            (None, _) => (Finding::Passed, "the command succeeded".to_owned()),
            (Some(_), JunitCount { tests: 0, .. }) => (Finding::Inconclusive, "no test ran".to_owned()),
            (Some(_), JunitCount { tests, failed: 0 }) => {
                (Finding::Passed, format!("{tests} tests, 0 failed"))
            }
            (Some(_), JunitCount { tests, failed }) => {
                (Finding::Failed, format!("{tests} tests, {failed} failed"))
            }
        })
    }
}

/// How a check ended, and, where it said more than a line, its last lines below.
fn what_it_said(status: &str, output: &str) -> String {
    let lines: Vec<String> = output
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| printable(line, 200))
        .collect();
    let last = lines.last().map(String::as_str).unwrap_or_default();
    let mut said = format!("{status}: {last}");
    if lines.len() > 1 {
        for line in &lines[lines.len().saturating_sub(TAIL)..] {
            said.push('\n');
            said.push_str(line);
        }
    }
    said
}

fn junit_below(folder: &Path, pattern: &str) -> Result<JunitCount, EngineError> {
    let set = crate::source::git::glob_set(&[pattern.to_owned()]).map_err(git_error)?;
    let listing = crate::source::tree::list(folder).map_err(|error| defect(&error))?;
    let mut total = JunitCount::default();
    for path in listing.nodes.keys() {
        let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
        if !set.is_match(&name) {
            continue;
        }
        let text = std::fs::read_to_string(folder.join(&name)).unwrap_or_default();
        let count = junit(&text).map_err(|why| {
            failed(Failure::new(
                Code::BuildFailed,
                format!("{name} is not a JUnit file: {why}"),
                "see what writes it",
            ))
        })?;
        total.tests += count.tests;
        total.failed += count.failed;
    }
    Ok(total)
}

/// Counts the tests of a `JUnit` file: a `testcase` with a `failure` or an `error` in it failed.
///
/// # Errors
/// If it is not XML, or has no `testsuite`.
pub fn junit(text: &str) -> Result<JunitCount, String> {
    use quick_xml::events::Event as Xml;
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut count, mut suites, mut failing) = (JunitCount::default(), 0_u64, false);
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Xml::Start(tag) => match tag.name().as_ref() {
                b"testsuite" | b"testsuites" => suites += 1,
                b"testcase" => (count.tests, failing) = (count.tests + 1, false),
                b"failure" | b"error" => failing = true,
                _ => {}
            },
            Xml::Empty(tag) => match tag.name().as_ref() {
                b"testsuite" | b"testsuites" => suites += 1,
                b"testcase" => count.tests += 1,
                b"failure" | b"error" => failing = true,
                _ => {}
            },
            Xml::End(tag) if tag.name().as_ref() == b"testcase" => {
                count.failed += u64::from(failing);
                failing = false;
            }
            Xml::Eof if suites == 0 => return Err("there is no testsuite in it".to_owned()),
            Xml::Eof => return Ok(count),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junit_counts_what_failed() {
        let text = r#"<testsuites><testsuite name="a" tests="3">
            <testcase name="ok"/><testcase name="bad"><failure message="no"/></testcase>
            <testcase name="worse"><error>boom</error></testcase></testsuite></testsuites>"#;
        assert_eq!(junit(text), Ok(JunitCount { tests: 3, failed: 2 }));
        assert!(junit("<html></html>").is_err());
        assert!(junit("<testsuite><testcase>").is_ok_and(|count| count.failed == 0));
        assert!(junit("<testsuite></testcase>").is_err());
    }
}
