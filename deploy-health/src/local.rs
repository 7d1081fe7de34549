//! This machine as a host to look from: commands run as child processes, addresses are reached directly.

use deploy_core::command::Command;
use deploy_core::port::probe::{ForwardedPort, HostCommand, HostExec, HostExecError, HostOutput};
use rustix::process::{Pid, Signal, kill_process_group};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;

/// How long output is still read after the command itself has ended: something it left in the background may hold the pipes open.
const DRAIN: Duration = Duration::from_millis(200);

/// This machine. Commands get its environment and what the command adds.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalExec;

#[async_trait::async_trait]
impl HostExec for LocalExec {
    async fn run(&self, command: &HostCommand, timeout: Duration) -> Result<HostOutput, HostExecError> {
        let mut child = spawn(command)?;
        // Dropped at every way out, so that nothing the command started outlives the look.
        let _group = Group(
            child
                .id()
                .and_then(|id| i32::try_from(id).ok())
                .and_then(Pid::from_raw),
        );
        tokio::time::timeout(timeout, wait(&mut child, &command.stdin))
            .await
            .map_err(|_| HostExecError::TimedOut)?
    }

    async fn forward(&self, _: &str, _: u16, _: Duration) -> Result<ForwardedPort, HostExecError> {
        Ok(ForwardedPort::direct())
    }
}

fn spawn(command: &HostCommand) -> Result<Child, HostExecError> {
    let refused = |what: String| HostExecError::Refused(what);
    let mut process = match &command.line {
        Command::Shell(text) => {
            let mut process = tokio::process::Command::new("sh");
            process.arg("-c").arg(text);
            process
        }
        Command::Argv(argv) => {
            let (program, arguments) = argv
                .split_first()
                .ok_or_else(|| refused("no program is named".to_owned()))?;
            let mut process = tokio::process::Command::new(program);
            process.args(arguments);
            process
        }
    };
    if let Some(dir) = &command.dir {
        process.current_dir(dir);
    }
    let stdin = if command.stdin.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    process
        .envs(command.env.iter().map(|(name, value)| (name, value)))
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    process.spawn().map_err(|error| {
        let name = match &command.line {
            Command::Shell(_) => "sh",
            Command::Argv(argv) => argv.first().map_or("", String::as_str),
        };
        refused(format!("{name} does not start: {error}"))
    })
}

/// A process group that ends when this is dropped. The number cannot have been given away while a member lives; when none does, the
/// kernel would have to go through all numbers in the moment since for it to hit another group.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn wait(child: &mut Child, input: &[u8]) -> Result<HostOutput, HostExecError> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let status = {
        let streams = async {
            let feed = async {
                if let Some(mut stdin) = stdin {
                    // A command need not read its input to the end.
                    let _ = stdin.write_all(input).await;
                }
            };
            tokio::join!(feed, read(stdout, &mut out), read(stderr, &mut err));
        };
        tokio::pin!(streams);
        let mut drained = false;
        let status = tokio::select! {
            status = child.wait() => status,
            () = &mut streams => { drained = true; child.wait().await }
        };
        if !drained {
            let _ = tokio::time::timeout(DRAIN, streams).await;
        }
        status
    };
    let status = status.map_err(|error| HostExecError::Refused(format!("cannot wait for it: {error}")))?;
    Ok(HostOutput {
        status: code(status),
        stdout: out,
        stderr: err,
    })
}

fn code(status: ExitStatus) -> i32 {
    status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

/// Reads to the end, keeps the beginning.
async fn read(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut piece = vec![0; 8 * 1024];
    while let Ok(count @ 1..) = stream.read(&mut piece).await {
        let room = HostOutput::LIMIT - kept.len();
        kept.extend_from_slice(&piece[..count.min(room)]);
    }
}

#[cfg(test)]
mod tests;
