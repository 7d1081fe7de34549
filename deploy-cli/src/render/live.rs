//! A terminal: what has happened stays, as [`super::plain`] prints it; below it one line per service and slice that something is
//! done to is redrawn. A layer above the same story, so that live and stored output cannot drift apart.

use super::activity::{Activity, Doing, Subject};
use super::plain::Plain;
use deploy_core::event::Event;
use deploy_core::failure::printable;
use deploy_core::machine::Effect;
use deploy_core::time::Timestamp;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

/// More lines than this would push what has happened off the screen.
const LINES: usize = 12;

/// What is on the screen.
pub(crate) struct Live {
    plain: Plain,
    activity: Activity,
    screen: MultiProgress,
    bars: BTreeMap<Subject, (&'static str, ProgressBar)>,
    style: ProgressStyle,
    muted: bool,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("plain", &self.plain)
            .field("activity", &self.activity)
            .finish_non_exhaustive()
    }
}

impl Live {
    /// Draws to stdout.
    pub(crate) fn new(plain: Plain) -> Self {
        Self::on_target(plain, ProgressDrawTarget::stdout())
    }

    fn on_target(plain: Plain, target: ProgressDrawTarget) -> Self {
        let style = ProgressStyle::with_template("  {spinner} {wide_msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner());
        Self {
            plain,
            activity: Activity::default(),
            screen: MultiProgress::with_draw_target(target),
            bars: BTreeMap::new(),
            style,
            muted: false,
        }
    }

    /// The story below it.
    pub(crate) fn plain(&mut self) -> &mut Plain {
        &mut self.plain
    }

    /// Prints what an event is worth, above what is redrawn.
    pub(crate) fn on(&mut self, event: &Event, out: &mut impl Write) -> io::Result<()> {
        let mut lines = Vec::new();
        self.plain.on(event, &mut lines)?;
        if !lines.is_empty() {
            self.screen
                .suspend(|| out.write_all(&lines).and_then(|()| out.flush()))?;
        }
        self.activity.on(event);
        self.draw();
        Ok(())
    }

    /// Shows how far something is.
    pub(crate) fn progress(&mut self, effect: Effect, note: &str, done: u64, total: u64) {
        self.activity.progress(effect, note, done, total);
        self.draw();
    }

    /// Says who is waited for before anything begins, once as long as it is the same, and that it is still so.
    pub(crate) fn waits(&mut self, note: String, now: Timestamp, out: &mut impl Write) -> io::Result<()> {
        if self.activity.waits(&note) {
            let mut line = Vec::new();
            self.plain.waits(note, now, &mut line)?;
            self.screen
                .suspend(|| out.write_all(&line).and_then(|()| out.flush()))?;
        }
        self.draw();
        Ok(())
    }

    /// Leaves the terminal to a question, or takes it back.
    pub(crate) fn mute(&mut self, muted: bool) {
        self.muted = muted;
        if muted {
            self.clear();
        } else {
            self.draw();
        }
    }

    /// Removes what is redrawn, and prints the end.
    pub(crate) fn close(&mut self, code: u8, now: Option<Timestamp>, out: &mut impl Write) -> io::Result<()> {
        self.clear();
        self.plain.close(code, now, out)
    }

    /// Removes what is redrawn.
    pub(crate) fn clear(&mut self) {
        for (_, bar) in std::mem::take(&mut self.bars).into_values() {
            bar.finish_and_clear();
        }
        let _gone = self.screen.clear();
    }

    fn draw(&mut self) {
        if self.muted {
            return;
        }
        let doing = self.activity.doing();
        self.bars.retain(|subject, (verb, bar)| {
            let same = doing.get(subject).is_some_and(|doing| doing.verb == *verb);
            if !same {
                bar.finish_and_clear();
                self.screen.remove(bar);
            }
            same
        });
        for (subject, doing) in doing.iter().take(LINES) {
            let (_, bar) = self.bars.entry(*subject).or_insert_with(|| {
                let bar = self
                    .screen
                    .add(ProgressBar::new_spinner().with_style(self.style.clone()));
                bar.enable_steady_tick(Duration::from_millis(120));
                (doing.verb, bar)
            });
            bar.set_message(message(&self.plain, *subject, doing));
        }
    }
}

fn message(plain: &Plain, subject: Subject, doing: &Doing) -> String {
    let columns = plain.story.columns();
    let note = printable(&doing.note, 200);
    let text = match subject {
        Subject::Whole => format!("{} {note}", doing.verb),
        Subject::Slice(slice) => {
            let (service, slice) = plain.story.names(slice);
            format!(
                "{service:<0$}  {slice:<1$}  {verb} {note}",
                columns.service,
                columns.slice,
                verb = doing.verb
            )
        }
    };
    text.trim_end().to_owned()
}

impl Drop for Live {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
impl Live {
    pub(super) fn hidden(plain: Plain) -> Self {
        Self::on_target(plain, ProgressDrawTarget::hidden())
    }
}
