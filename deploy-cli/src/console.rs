//! Where output goes: data on stdout, messages on stderr; text, one JSON object, or one a line. Knows what the terminal can do.
//! A reader that goes away (`| head`) is no error: a deployment goes on without it. What a full disk did not take is one, told at the
//! end.

use crate::args::Global;
use crate::render::Paint;
use crate::render::json::unprintable_escaped;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

/// How answers are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Text.
    Text,
    /// Exactly one JSON object.
    Json,
    /// One JSON object a line, the last a `result`.
    Events,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loudness {
    /// Only the outcome.
    Quiet,
    /// What a person needs to follow.
    Normal,
    /// Every step.
    Verbose,
}

/// The process's output, and what it may ask.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(crate) struct Console {
    mode: Mode,
    loudness: Loudness,
    asks: bool,
    yes: bool,
    colour: bool,
    answered: bool,
}

impl Console {
    /// As the flags and the environment say.
    pub(crate) fn new(global: &Global) -> Self {
        let mode = match (global.json, global.events) {
            (true, _) => Mode::Json,
            (_, true) => Mode::Events,
            _ => Mode::Text,
        };
        let loudness = match (global.quiet, global.verbose) {
            (true, _) => Loudness::Quiet,
            (_, 0) => Loudness::Normal,
            _ => Loudness::Verbose,
        };
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            mode,
            loudness,
            asks: mode == Mode::Text
                && !global.no_input
                && io::stdin().is_terminal()
                && io::stderr().is_terminal(),
            yes: global.yes,
            colour: !set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
            answered: false,
        }
    }

    /// How answers are given.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }
    /// How much is said.
    pub(crate) fn loudness(&self) -> Loudness {
        self.loudness
    }
    /// Whether a program reads.
    pub(crate) fn is_machine(&self) -> bool {
        self.mode != Mode::Text
    }
    /// Whether a program reads events.
    pub(crate) fn is_events(&self) -> bool {
        self.mode == Mode::Events
    }
    /// Whether somebody is there to be asked.
    pub(crate) fn asks(&self) -> bool {
        self.asks
    }
    /// Whether questions are answered with yes beforehand.
    pub(crate) fn says_yes(&self) -> bool {
        self.yes
    }
    /// Whether text on stdout is redrawn for somebody.
    pub(crate) fn is_live(&self) -> bool {
        self.mode == Mode::Text
            && io::stdout().is_terminal()
            && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
    }
    /// Colour for stdout.
    pub(crate) fn paint(&self) -> Paint {
        Paint::new(self.colour && self.mode == Mode::Text && io::stdout().is_terminal())
    }
    /// Colour for stderr.
    pub(crate) fn paint_err(&self) -> Paint {
        Paint::new(self.colour && io::stderr().is_terminal())
    }
    /// How wide the terminal is; `None` where there is none.
    #[expect(clippy::unused_self, reason = "a fact of the console")]
    pub(crate) fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }

    /// Data: a text, in text mode.
    pub(crate) fn data(&mut self, text: &str) {
        if self.mode == Mode::Text {
            let end = if text.ends_with('\n') || text.is_empty() {
                ""
            } else {
                "\n"
            };
            let text = self.paint().harmless(text);
            emit(&mut Stdout, &format!("{text}{end}"));
        }
    }

    /// The one answer: as text, or as an object. Exactly once in a command.
    pub(crate) fn answer(&mut self, object: &impl Serialize, text: impl FnOnce() -> String) {
        if self.is_machine() {
            self.last(object);
        } else {
            self.data(&text());
        }
    }

    /// One of several objects before the last.
    #[expect(clippy::unused_self, reason = "whoever speaks has a console")]
    pub(crate) fn object(&mut self, object: &impl Serialize) {
        emit(&mut Stdout, &format!("{}\n", json(object)));
    }

    /// The last object, once; with `--events` it says that it is the result.
    pub(crate) fn last(&mut self, object: &impl Serialize) {
        if !std::mem::replace(&mut self.answered, true) {
            let text = json(object);
            let text = match text.strip_prefix('{') {
                Some(rest) if self.is_events() => format!(r#"{{"type":"result",{rest}"#),
                _ => text,
            };
            emit(&mut Stdout, &format!("{text}\n"));
        }
    }

    /// A message for people.
    pub(crate) fn message(&mut self, text: &str) {
        let text = self.paint_err().harmless(text);
        emit(&mut io::stderr().lock(), &format!("{text}\n"));
    }

    /// Asks for a line; `None` where nobody can answer. Dropped, it leaves a thread that waits for the line.
    pub(crate) async fn ask(&mut self, question: &str) -> Option<String> {
        if !self.asks {
            return None;
        }
        let question = self.paint_err().harmless(question);
        emit(&mut io::stderr().lock(), &question);
        let line = tokio::task::spawn_blocking(read_line).await.ok()??;
        Some(line.trim().to_owned())
    }
}

/// A line of stdin; `None` at its end. Blocks.
pub(crate) fn read_line() -> Option<String> {
    let mut line = String::new();
    let read = io::stdin().read_line(&mut line).ok()?;
    (read > 0).then_some(line)
}

fn json(object: &impl Serialize) -> String {
    let text = serde_json::to_string(object)
        .unwrap_or_else(|error| format!(r#"{{"error":{:?}}}"#, error.to_string()));
    unprintable_escaped(text)
}

/// Writes what can be written: whoever went away does not want it.
fn emit(out: &mut impl Write, text: &str) {
    let _gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Why stdout did not take something: the first time of this process.
static UNWRITTEN: OnceLock<String> = OnceLock::new();

/// Why a part of the answer is not on stdout, though somebody wants it.
pub(crate) fn unwritten() -> Option<&'static str> {
    UNWRITTEN.get().map(String::as_str)
}

/// What came of writing to stdout: a reader that went away does not want it, and anything else is told at the end.
pub(crate) fn written(result: io::Result<()>) {
    if let Err(error) = result
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // As people say it, without the number of the system's error.
        let text = error.to_string();
        let text = text.split(" (os error").next().unwrap_or_default();
        UNWRITTEN.get_or_init(|| text.to_owned());
    }
}

/// Stdout as a writer that never fails: whoever speaks goes on, and what could not be written is told at the end.
#[derive(Debug)]
pub(crate) struct Stdout;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        written(io::stdout().lock().write_all(bytes));
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        written(io::stdout().lock().flush());
        Ok(())
    }
}
