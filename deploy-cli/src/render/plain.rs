//! Lines for whoever reads no live terminal: a log, a file, CI. Each has the time of its event (UTC), so that a log tells how long
//! things took. `deploy show` prints stored events through this too.

use super::Paint;
use super::line::Line;
use super::story::Story;
use deploy_core::event::Event;
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
}

impl Plain {
    /// Nothing is printed yet.
    pub(crate) fn new(story: Story, stamps: Stamps, paint: Paint) -> Self {
        Self {
            story,
            stamps,
            paint,
            latest: Timestamp(0),
        }
    }

    /// Prints what an event is worth.
    pub(crate) fn on(&mut self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        self.latest = event.at;
        let lines = self.story.on(event);
        self.print(&lines, out)
    }

    /// Prints the end.
    pub(crate) fn close(&mut self, code: u8, out: &mut impl Write) -> io::Result<()> {
        let lines = self.story.close(code);
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
