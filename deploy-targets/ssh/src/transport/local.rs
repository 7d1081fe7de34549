//! Steps on this machine: the same scripts, in a session of their own that ends with the future.

use super::{Broken, Call, Reply, Shell, argv, converse};
use async_trait::async_trait;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::target::Cause;
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// This machine.
#[derive(Debug, Clone, Default)]
pub(crate) struct Local {
    /// Where its tools are looked for first; for tests of other systems' tools.
    pub(crate) tools: Option<std::path::PathBuf>,
}

/// Ends all processes of a session when dropped, unless the step has ended by itself.
struct Session(Option<i32>);

impl Session {
    fn let_live(&mut self) {
        self.0 = None;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(leader) = self.0 else { return };
        // A second look, for what was just being started.
        for _ in 0..2 {
            for member in members(leader) {
                let _ = kill_process(member, Signal::KILL);
            }
        }
    }
}

/// The processes of a session, from /proc.
fn members(leader: i32) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Pid::from_raw(leader).into_iter().collect();
    };
    processes
        .filter_map(|entry| {
            let pid: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name, in parentheses, may hold anything: state, parent, group and session come after the last one.
            let session: i32 = stat.rsplit_once(')')?.1.split_whitespace().nth(3)?.parse().ok()?;
            (session == leader).then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}

#[async_trait]
impl Shell for Local {
    async fn run(&self, call: Call) -> Result<Reply, Broken> {
        let mut command = Command::new("setsid");
        if let Some(tools) = &self.tools {
            command.env("PATH", tools);
        }
        let mut child = command
            .args(argv(&call))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                let failure = Failure::new(
                    Code::ToolMissing,
                    "`setsid` cannot be run on this machine",
                    "install util-linux",
                );
                Broken::NotSent(Cause::Final, Box::new(failure.caused_by(&error)))
            })?;
        let mut session = Session(child.id().and_then(|id| i32::try_from(id).ok()));
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            unreachable!("all three were asked for");
        };
        let reply = converse(call, Some(stdin), stdout, stderr).await;
        if reply.is_ok() {
            session.let_live();
            // It has said its last word; only a shell's own end is left.
            let _ = tokio::time::timeout(Duration::from_secs(2), child.wait()).await;
        }
        reply
    }
}
