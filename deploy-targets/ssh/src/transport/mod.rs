//! Running one step on one host and reading its framed answer. The border between what a step says and how it gets
//! there: this machine ([`local`]) or a connection ([`ssh`]). Nothing here knows what a step is for.

mod borrowed;
pub(crate) mod crowd;
mod jump;
pub(crate) mod local;
mod refusal;
pub(crate) mod ssh;
mod standing;

pub(crate) use refusal::{named, refused};

use crate::words;
use async_trait::async_trait;
use deploy_core::failure::Failure;
use deploy_core::port::target::{Cause, ProgressSink};
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _,
    BufReader,
};
use tokio::sync::mpsc;

/// Longest line of output that is kept whole, in bytes.
const LINE: u64 = 8 * 1024;
/// Lines of output kept for a failure.
const TAIL: usize = 40;
/// How long output may lag behind the answer.
const LAG: Duration = Duration::from_millis(500);
/// How much later than the host the caller gives up on a step.
const GRACE: Duration = Duration::from_secs(10);

/// One step to run.
pub(crate) struct Call {
    /// The whole script.
    pub(crate) script: String,
    /// Its arguments, any bytes but NUL; the first is the nonce.
    pub(crate) args: Vec<Vec<u8>>,
    /// Marks the step's own lines.
    pub(crate) nonce: String,
    /// What it reads.
    pub(crate) input: Input,
    /// The host ends it by then.
    pub(crate) limit: Duration,
    /// Takes its output line by line.
    pub(crate) sink: Option<Arc<dyn ProgressSink>>,
}

/// Standard input of a step.
pub(crate) enum Input {
    /// Nothing.
    Empty,
    /// These bytes.
    Bytes(Vec<u8>),
    /// Pieces as they come; an error ends it early.
    Stream(mpsc::Receiver<std::io::Result<Vec<u8>>>),
}

/// What a step answered.
#[derive(Debug, Default)]
pub(crate) struct Reply {
    /// Its records: words split at spaces, in order.
    pub(crate) records: Vec<Vec<String>>,
    /// Files it sent along.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    /// Its exit status.
    pub(crate) status: i32,
    /// The last lines of its other output.
    pub(crate) output: String,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) enum Broken {
    /// It was never started.
    NotSent(Cause, Box<Failure>),
    /// It was sent, and nothing is known of it since. `began`: it had started.
    Lost { began: bool, output: String },
    /// The host ended it, or should have, when its time was up.
    TimedOut,
}

/// A way to run steps on one host.
#[async_trait]
pub(crate) trait Shell: Send + Sync {
    /// Runs one. A dropped future ends what runs on this machine; a step on another host runs on to its own time limit, with its
    /// lock, and counts as unknown.
    async fn run(&self, call: Call) -> Result<Reply, Broken>;
}

impl Reply {
    /// The words after the first record of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&[String]> {
        let words = self.records.iter().find(|words| words[0] == name)?;
        Some(&words[1..])
    }

    /// All records of that name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [String]> {
        self.records
            .iter()
            .filter(move |words| words[0] == name)
            .map(|words| &words[1..])
    }

    /// The first word of the first record of that name.
    pub(crate) fn word(&self, name: &str) -> Option<&str> {
        self.get(name)?.first().map(String::as_str)
    }
}

/// The program and arguments that run a call, for any login shell once each is in single quotes.
pub(crate) fn argv(call: &Call) -> Vec<String> {
    let mut argv: Vec<String> = ["timeout", "-k", "5"].map(str::to_owned).into();
    argv.push(seconds(call.limit).to_string());
    argv.extend(["sh", "-c", words::BOOT, "sh"].map(str::to_owned));
    argv.push(words::script(&call.script));
    argv.extend(call.args.iter().map(words::word));
    argv
}

/// A time limit in whole seconds, at least one.
pub(crate) fn seconds(limit: Duration) -> u64 {
    limit
        .as_millis()
        .div_ceil(1000)
        .try_into()
        .unwrap_or(u64::MAX)
        .max(1)
}

/// Feeds a step and reads its answer until it says that it has ended. Does not wait for the ends of its output: what the step
/// left running may hold them open.
pub(crate) async fn converse(
    mut call: Call,
    stdin: Option<impl AsyncWrite + Unpin + Send>,
    stdout: impl AsyncRead + Unpin + Send,
    stderr: impl AsyncRead + Unpin + Send,
) -> Result<Reply, Broken> {
    let input = std::mem::replace(&mut call.input, Input::Empty);
    let (stdout, stderr) = (&mut BufReader::new(stdout), &mut BufReader::new(stderr));
    exchange(&call, Last::End, feed(input, stdin), stdout, stderr)
        .await
        .0
}

/// What is the last that is said of a step, in its answer and in its other output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    /// Its own last word.
    End,
    /// The word of a shell that stays, which comes after it, or in its place.
    Over,
}

/// Reads a step's answer while it is fed. Says also whether its other output was read to its last word.
async fn exchange(
    call: &Call,
    last: Last,
    feeding: impl Future<Output = ()>,
    stdout: &mut (impl AsyncBufRead + Unpin),
    stderr: &mut (impl AsyncBufRead + Unpin),
) -> (Result<Reply, Broken>, bool) {
    let limit = call.limit.saturating_add(GRACE);
    let mut output = Vec::new();
    let (answer, whole) = {
        let reading = read_answer(&call.nonce, last, stdout);
        let lines = follow(stderr, &call.nonce, last, call.sink.as_deref(), &mut output);
        tokio::pin!(feeding, reading, lines);
        let (mut fed, mut followed) = (false, None);
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(deadline);
        let answer = loop {
            tokio::select! {
                answer = &mut reading => break Some(answer),
                ended = &mut lines, if followed.is_none() => followed = Some(ended),
                () = &mut feeding, if !fed => fed = true,
                () = &mut deadline => break None,
            }
        };
        if followed.is_none() {
            // What is late by more than this is lost: it is for people only.
            followed = tokio::time::timeout(LAG, &mut lines).await.ok();
        }
        (answer, followed == Some(true))
    };
    let output = output.join("\n");
    let reply = match answer {
        None => Err(Broken::TimedOut),
        Some(Err(Unanswered { began, said })) => {
            let output = [said, output].join("\n").trim().to_owned();
            Err(Broken::Lost { began, output })
        }
        // `timeout` and our own trap: the host ended it.
        Some(Ok(reply)) if matches!(reply.status, 124 | 137 | 143) && reply.get("fail").is_none() => {
            Err(Broken::TimedOut)
        }
        Some(Ok(reply)) => Ok(Reply { output, ..reply }),
    };
    (reply, whole)
}

async fn feed(input: Input, stdin: Option<impl AsyncWrite + Unpin>) {
    let Some(mut stdin) = stdin else { return };
    // A step that ends before it has read all says why in its answer.
    match input {
        Input::Empty => {}
        Input::Bytes(bytes) => {
            let _ = stdin.write_all(&bytes).await;
        }
        Input::Stream(mut pieces) => {
            while let Some(Ok(piece)) = pieces.recv().await {
                if stdin.write_all(&piece).await.is_err() {
                    break;
                }
            }
        }
    }
    let _ = stdin.shutdown().await;
}

/// The output ended before the answer did.
struct Unanswered {
    began: bool,
    /// The last words of whoever spoke instead of the step: a login shell that runs no commands.
    said: String,
}

/// The records between `begin` and `exit`.
async fn read_answer(
    nonce: &str,
    last: Last,
    stdout: &mut (impl AsyncBufRead + Unpin),
) -> Result<Reply, Unanswered> {
    let mark = format!("@{nonce} ");
    let mut reply = Reply::default();
    let (mut began, mut ended) = (false, false);
    let mut said = String::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        // A login that floods is read and dropped, piece by piece.
        match (&mut *stdout).take(LINE * 8).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) if ended => return Ok(reply),
            Ok(0) | Err(_) => return Err(Unanswered { began, said }),
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let Some(record) = text.trim_end_matches('\n').strip_prefix(&mark) else {
            if !began && !text.trim().is_empty() {
                text.trim().clone_into(&mut said);
            }
            continue;
        };
        let words: Vec<String> = record.split(' ').map(str::to_owned).collect();
        match words[0].as_str() {
            "begin" => began = true,
            "over" if ended => return Ok(reply),
            // It came to no end of its own.
            "over" => return Err(Unanswered { began, said }),
            "exit" if began => {
                reply.status = words.get(1).and_then(|status| status.parse().ok()).unwrap_or(-1);
                if last == Last::End {
                    return Ok(reply);
                }
                ended = true;
            }
            "raw" if began && words.len() == 3 => {
                let Ok(size) = words[2].parse::<u64>() else {
                    return Err(Unanswered { began, said });
                };
                let mut bytes = Vec::new();
                let read = (&mut *stdout).take(size).read_to_end(&mut bytes).await;
                if read.map(|read| read as u64).ok() != Some(size) {
                    return Err(Unanswered { began, said });
                }
                reply.files.insert(words[1].clone(), bytes);
            }
            _ if began => reply.records.push(words),
            _ => {}
        }
    }
}

/// Passes output on line by line, until it ends or says so; whether it said so.
async fn follow(
    stderr: &mut (impl AsyncBufRead + Unpin),
    nonce: &str,
    last: Last,
    sink: Option<&dyn ProgressSink>,
    tail: &mut Vec<String>,
) -> bool {
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut *stderr).take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return false,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        let word = text.strip_prefix('@').and_then(|text| text.strip_prefix(nonce));
        match (word, last) {
            (Some(" end"), Last::End) | (Some(" over"), Last::Over) => return true,
            (Some(" end"), Last::Over) => continue,
            _ => {}
        }
        if text.is_empty() {
            continue;
        }
        if let Some(sink) = sink {
            sink.line(text);
        }
        if tail.len() == TAIL {
            tail.remove(0);
        }
        tail.push(text.to_owned());
    }
}
