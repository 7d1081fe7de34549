//! Lines for whoever reads no live terminal: a log, a file, CI. Each has the time of its event (UTC), so that a log tells how long
//! things took. `deploy show` prints stored events through this too.

use super::Paint;
use super::activity::{Doing, Subject};
use super::line::{Line, Mark};
use super::pulse::Pulse;
use super::story::Story;
use crate::console::Loudness;
use deploy_core::event::Event;
use deploy_core::machine::Effect;
use deploy_core::time::Timestamp;
use std::io::{self, Write};

/// Whether lines begin with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamps {
    /// For logs.
    On,
    /// For terminals.
    Off,
}

/// Events → lines.
#[derive(Debug)]
pub(crate) struct Plain {
    pub(crate) story: Story,
    stamps: Stamps,
    paint: Paint,
    latest: Timestamp,
    pulse: Pulse,
}

impl Plain {
    /// Nothing is printed yet.
    pub(crate) fn new(story: Story, stamps: Stamps, paint: Paint) -> Self {
        Self {
            story,
            stamps,
            paint,
            latest: Timestamp(0),
            pulse: Pulse::default(),
        }
    }

    /// Prints what an event is worth.
    pub(crate) fn on(&mut self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        self.latest = event.at;
        self.pulse.on(event);
        let lines = self.story.on(event);
        self.print(&lines, out)
    }

    /// Takes note of how far something is.
    pub(crate) fn progress(&mut self, effect: Effect, note: &str, done: u64, total: u64) {
        self.pulse.progress(effect, note, done, total);
    }

    /// Prints a sign of life for each step that has been silent for a while.
    pub(crate) fn alive(&mut self, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
        let due = self.pulse.due(now);
        if due.is_empty() || self.story.loudness() == Loudness::Quiet {
            return Ok(());
        }
        let of = |(subject, doing): (Subject, Doing)| {
            let (service, slice) = match subject {
                Subject::Whole => (String::new(), String::new()),
                Subject::Slice(slice) => self.story.names(slice),
            };
            let note = match doing.note.as_str() {
                "" => doing.verb.to_owned(),
                seen => format!("{}: {seen}", doing.verb),
            };
            waiting(service, slice, note)
        };
        let lines: Vec<Line> = due.into_iter().map(of).collect();
        self.latest = self.latest.max(now);
        self.print(&lines, out)
    }

    /// Says who is waited for before anything begins.
    pub(crate) fn waits(&mut self, note: String, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
        if self.story.loudness() == Loudness::Quiet {
            return Ok(());
        }
        self.latest = self.latest.max(now);
        self.print(&[waiting(String::new(), String::new(), note)], out)
    }

    /// Prints the end.
    pub(crate) fn close(&mut self, code: u8, now: Option<Timestamp>, out: &mut impl Write) -> io::Result<()> {
        if let (Some(now), Some(false)) = (now, self.story.view().map(|view| view.ended)) {
            self.latest = self.latest.max(now);
        }
        let lines = self.story.close(code, now);
        self.print(&lines, out)
    }

    fn print(&self, lines: &[Line], out: &mut impl Write) -> io::Result<()> {
        let columns = self.story.columns();
        for line in lines {
            if self.stamps == Stamps::On {
                let time = self.latest.to_string();
                write!(out, "{} ", time.get(11..19).unwrap_or_default())?;
            }
            writeln!(out, "{}", line.text(columns, self.paint))?;
        }
        out.flush()
    }
}

fn waiting(service: String, slice: String, note: String) -> Line {
    Line::Step {
        mark: Mark::Wait,
        service,
        slice,
        note,
        took: None,
    }
}
