//! What hosts say while something runs on them by hand, line by line with the host's name, to whoever reads; and what an interruption
//! means: the hosts are told to end it, and are waited for.

use crate::console::{Console, Loudness, Mode, Stdout};
use crate::context::{Context, Signals};
use crate::error::CliError;
use crate::render::{Paint, json};
use deploy_core::failure::{Code, printable};
use deploy_core::id::HostName;
use deploy_engine::api::EngineError;
use deploy_engine::api::by_hand::{ByHand, HostEnd, HostEnded, Onlooker, OutputStream};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::future::Future;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Longest line that is printed, in characters.
const LINE: usize = 8192;
/// What one object keeps of a stream of one host, in bytes: its end.
const KEPT: usize = 1 << 20;

/// What one host said, for the one object of `--json`.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Heard {
    stdout: String,
    stderr: String,
}

/// A host in the one object.
#[derive(Debug, Serialize)]
pub(super) struct HostObject<'a> {
    #[serde(flatten)]
    end: &'a HostEnd,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    heard: Option<Heard>,
}

/// Prints what is told.
pub(super) struct Printer {
    mode: Mode,
    loudness: Loudness,
    paint: Paint,
    width: usize,
    heard: Mutex<BTreeMap<HostName, Heard>>,
}

impl Printer {
    /// `hosts`: whose names are printed.
    pub(super) fn new<'h>(console: &Console, hosts: impl Iterator<Item = &'h HostName>) -> Arc<Self> {
        Arc::new(Self {
            mode: console.mode(),
            loudness: console.loudness(),
            paint: console.paint_err(),
            width: hosts.map(|host| host.as_str().len()).max().unwrap_or(0),
            heard: Mutex::default(),
        })
    }

    fn tell(&self, told: &ByHand) {
        match (self.mode, told) {
            (Mode::Events, _) => {
                let _gone = json::line(told, &mut Stdout);
            }
            (Mode::Json, ByHand::Output { host, stream, line }) => self.keep(host, *stream, line),
            (Mode::Json, ByHand::Ended(_)) => {}
            (Mode::Text, ByHand::Output { host, stream, line }) => {
                let line = printable(line, LINE);
                let text = format!("{:<1$}  {line}", host.as_str(), self.width);
                let text = format!("{}\n", text.trim_end());
                let _gone = match stream {
                    OutputStream::Stdout => Stdout.write_all(text.as_bytes()).and_then(|()| Stdout.flush()),
                    OutputStream::Stderr => std::io::stderr().lock().write_all(text.as_bytes()),
                };
            }
            (Mode::Text, ByHand::Ended(end)) => self.end(end),
        }
    }

    /// How a host ended: only what is not well, and with `-v` all.
    fn end(&self, end: &HostEnd) {
        let expected = end.how.is_well() || end.how == HostEnded::Stopped;
        if expected && self.loudness < Loudness::Verbose {
            return;
        }
        let mark = if expected {
            self.paint.good("✓")
        } else {
            self.paint.bad("✗")
        };
        let host = &end.host;
        let mut text = format!("{mark} {host}  {}\n", printable(&end.how.to_string(), 400));
        if let Some(failure) = end.how.failure() {
            for line in &failure.log_tail {
                let _infallible = writeln!(text, "    log   {}", printable(line, 300));
            }
            let _infallible = writeln!(text, "    next  {}", printable(&failure.next, 400));
        }
        let _gone = std::io::stderr().lock().write_all(text.as_bytes());
    }

    fn keep(&self, host: &HostName, stream: OutputStream, line: &str) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = heard.entry(host.clone()).or_default();
        let text = match stream {
            OutputStream::Stdout => &mut heard.stdout,
            OutputStream::Stderr => &mut heard.stderr,
        };
        text.push_str(line);
        text.push('\n');
        if text.len() > 2 * KEPT {
            let from = text.ceil_char_boundary(text.len() - KEPT);
            text.drain(..from);
        }
    }

    /// The hosts for the last object: with what they said where it was not told before.
    pub(super) fn objects<'a>(&self, ends: &'a [HostEnd]) -> Vec<HostObject<'a>> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let object = |end: &'a HostEnd| HostObject {
            end,
            heard: (self.mode == Mode::Json).then(|| heard.remove(&end.host).unwrap_or_default()),
        };
        ends.iter().map(object).collect()
    }
}

/// Looks on until all hosts have ended. The first interruption tells the hosts to end it, a second one no longer waits for them: they
/// end it all the same, because nobody listens any more.
pub(super) async fn look_on<F>(
    context: &mut Context<'_>,
    signals: &mut Signals,
    printer: &Arc<Printer>,
    start: impl FnOnce(Onlooker) -> F,
) -> Result<Vec<HostEnd>, CliError>
where
    F: Future<Output = Result<Vec<HostEnd>, EngineError>>,
{
    let (stop, stopped) = watch::channel(false);
    let told = Arc::clone(printer);
    let onlooker = Onlooker {
        stop: stopped,
        tell: Arc::new(move |what| told.tell(&what)),
    };
    let running = start(onlooker);
    tokio::pin!(running);
    tokio::select! {
        ends = &mut running => return Ok(ends?),
        _ = signals.next() => {}
    }
    let _ended = stop.send(true);
    if context.console.loudness() > Loudness::Quiet && !context.console.is_machine() {
        context
            .console
            .message("… the hosts end it (again: without waiting for them)");
    }
    tokio::select! {
        ends = &mut running => ends.map_err(|error| match error.failure().code {
            Code::Interrupted => CliError::interrupted(),
            _ => error.into(),
        }),
        _ = signals.next() => Err(CliError::interrupted()),
    }
}
