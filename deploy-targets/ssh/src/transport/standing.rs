//! A shell that stays on a host between steps: what takes no input is told to one and the same shell over one channel, one step after
//! the other. A channel of its own, a login shell and its start-up files cost more than most steps do.
//!
//! The shell reads commands from its standard input, and is told the next one only after it has answered the last. Each step is a
//! process of its own with its own time limit, as it is over a channel of its own; the shell itself only waits. A shell whose step
//! did not answer to the end is left alone and never told another. It ends with its channel.

use super::ssh::Connection;
use super::{Broken, Call, Last, Reply, exchange, seconds};
use crate::words;
use openssh::{Child, ChildStderr, ChildStdin, ChildStdout, Session};
use std::fmt::Write as _;
use std::sync::Arc;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::sync::OwnedSemaphorePermit;

/// What a login shell is told to begin one: it reads what is to be done.
pub(crate) const LINE: &str = "'sh'";

/// One of them.
pub(crate) struct Standing {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: BufReader<ChildStderr>,
    /// Dropping it closes the channel.
    _child: Child<Arc<Session>>,
    pub(crate) connection: Connection,
    _one: OwnedSemaphorePermit,
}

impl Standing {
    /// Around a channel on which [`LINE`] was begun; `None` if it has not all three streams.
    pub(crate) fn new(
        mut child: Child<Arc<Session>>,
        connection: Connection,
        one: OwnedSemaphorePermit,
    ) -> Option<Self> {
        Some(Self {
            stdin: child.stdin().take()?,
            stdout: BufReader::new(child.stdout().take()?),
            stderr: BufReader::new(child.stderr().take()?),
            _child: child,
            connection,
            _one: one,
        })
    }

    /// Runs a step that reads nothing; the shell comes back where it may be told another one.
    pub(crate) async fn run(mut self, call: &Call) -> (Result<Reply, Broken>, Option<Self>) {
        let text = told(call);
        let feeding = async {
            // A shell that is gone says so by the end of its output.
            let _ = self.stdin.write_all(text.as_bytes()).await;
            let _ = self.stdin.flush().await;
        };
        let (reply, whole) = exchange(call, Last::Over, feeding, &mut self.stdout, &mut self.stderr).await;
        let goes_on = reply.is_ok() && whole;
        (reply, goes_on.then_some(self))
    }
}

/// A step as the shell is told it: run, then two lines that say that it is over, in its answer and in its other output.
fn told(call: &Call) -> String {
    let mut text = format!(
        "timeout -k 5 {} sh -c '{}' sh",
        seconds(call.limit),
        call.script.replace('\'', r"'\''")
    );
    for arg in &call.args {
        write!(text, " '{}'", words::word(arg)).expect("a String takes all");
    }
    let nonce = &call.nonce;
    writeln!(
        text,
        " </dev/null; printf '\\n@{nonce} over\\n'; printf '\\n@{nonce} over\\n' >&2"
    )
    .expect("a String takes all");
    text
}
