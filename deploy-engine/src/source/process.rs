//! Programs run on this machine: bounded in time, ended with their children, their output kept in bounds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Command;

/// The lines kept of a program's output, from the end.
const KEPT_LINES: usize = 200;
/// How long the rest of an ended program's output is read, where a child that left its process group keeps it open.
const REST: Duration = Duration::from_secs(1);

/// What to run.
#[derive(Debug, Clone)]
pub struct Program {
    /// Program and arguments.
    pub argv: Vec<String>,
    /// The folder to run in.
    pub dir: PathBuf,
    /// The whole environment; nothing else is inherited.
    pub env: BTreeMap<String, String>,
    /// The longest it may take.
    pub limit: Duration,
}

impl Program {
    /// A command for `sh -c`.
    pub fn shell(line: &str, dir: &Path, env: BTreeMap<String, String>, limit: Duration) -> Self {
        let argv = ["sh", "-c", line].map(str::to_owned).to_vec();
        Self {
            argv,
            dir: dir.to_owned(),
            env,
            limit,
        }
    }
}

/// Why a program gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("could not run `{program}` in {}", .dir.display())]
    Start {
        /// Which.
        program: String,
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It took too long and was ended, with its children.
    #[error("`{program}` took longer than {}", deploy_core::time::format_duration(*.limit))]
    TimedOut {
        /// Which.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// Its output could not be read.
    #[error("could not read the output of `{program}`")]
    Output {
        /// Which.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its status.
    pub status: ExitStatus,
    /// The last lines of standard output and error, as they came.
    pub tail: String,
}

/// Runs a program to its end, telling its lines as they come.
///
/// # Cancellation
/// Dropping the future ends the program and its whole process group.
pub async fn run(program: &Program, mut line: impl FnMut(&str) + Send) -> Result<Ended, ProcessError> {
    let name = program.argv.first().cloned().unwrap_or_default();
    let mut child = Command::new(&name)
        .args(program.argv.iter().skip(1))
        .current_dir(&program.dir)
        .env_clear()
        .envs(&program.env)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| ProcessError::Start {
            program: name.clone(),
            dir: program.dir.clone(),
            source,
        })?;
    let group = GroupGuard::of(&child);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (tell, mut lines) = tokio::sync::mpsc::channel(64);
    let mut tail = std::collections::VecDeque::new();
    let status = {
        let read = async {
            tokio::join!(read_lines(stdout, tell.clone()), read_lines(stderr, tell.clone()));
            drop(tell);
        };
        let take = async {
            while let Some(text) = lines.recv().await {
                line(&text);
                if tail.len() == KEPT_LINES {
                    tail.pop_front();
                }
                tail.push_back(text);
            }
        };
        let reading = async { tokio::join!(read, take) };
        tokio::pin!(reading);
        let work = async {
            // The program's end is the end, whoever still holds its output.
            let (status, read) = tokio::select! {
                biased;
                status = child.wait() => (status, false),
                _ = &mut reading => (child.wait().await, true),
            };
            (status, read)
        };
        match tokio::time::timeout(program.limit, work).await {
            Ok((Ok(status), true)) => status,
            Ok((Ok(status), false)) => {
                // What it left running would keep the pipe open, and what it wrote last is still in it.
                drop(group);
                let _a_child_that_left_the_group_holds_it = tokio::time::timeout(REST, reading).await;
                status
            }
            Ok((Err(source), _)) => {
                return Err(ProcessError::Output {
                    program: name,
                    source,
                });
            }
            Err(_) => {
                return Err(ProcessError::TimedOut {
                    program: name,
                    limit: program.limit,
                });
            }
        }
    };
    Ok(Ended {
        status,
        tail: tail.into_iter().collect::<Vec<_>>().join("\n"),
    })
}

async fn read_lines(from: Option<impl AsyncRead + Unpin>, tell: tokio::sync::mpsc::Sender<String>) {
    let Some(from) = from else { return };
    let mut reader = BufReader::new(from);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.read_until(b'\n', &mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {
                let text = String::from_utf8_lossy(&bytes).trim_end().to_owned();
                if tell.send(text).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Ends a process group when dropped: a build that was given up leaves nothing running.
struct GroupGuard(Option<rustix::process::Pid>);

impl GroupGuard {
    fn of(child: &tokio::process::Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for GroupGuard {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is what we want.
            let _gone = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
    }
}

/// The environment that a build or a check sees: what a person's shell gives to find programs, and no environment's variables.
pub fn plain_environment() -> BTreeMap<String, String> {
    const KEPT: [&str; 12] = [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "LANG",
        "LC_ALL",
        "TZ",
        "TMPDIR",
        "CARGO_HOME",
        "RUSTUP_HOME",
        "SSH_AUTH_SOCK",
    ];
    KEPT.iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ended(line: &str) -> Ended {
        let limit = Duration::from_mins(1);
        run(
            &Program::shell(line, Path::new("/"), plain_environment(), limit),
            |_| (),
        )
        .await
        .unwrap()
    }

    #[tokio::test]
    async fn what_it_said_last_is_kept_however_fast_it_ends() {
        for _ in 0..100 {
            let ended = ended("seq 1 14; echo bad >&2; exit 3").await;
            assert_eq!(ended.status.code(), Some(3));
            assert_eq!(ended.tail.lines().count(), 15, "{}", ended.tail);
        }
    }

    #[tokio::test]
    async fn what_it_left_running_is_not_waited_for() {
        let ended = ended("sleep 3600 & echo done").await;
        assert_eq!(ended.tail, "done");
    }

    #[tokio::test]
    async fn a_child_that_left_its_group_is_not_waited_for_either() {
        let ended = ended(
            "f=$(mktemp -u); setsid sh -c \"touch $f; exec sleep 5\" & while ! [ -e $f ]; do :; done; rm $f; echo done",
        )
        .await;
        assert_eq!(ended.tail, "done");
    }
}
