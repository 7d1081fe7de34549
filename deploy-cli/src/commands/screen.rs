//! Where a deployment's events go: redrawn on a terminal, as lines in a log, as NDJSON to a program.

use crate::console::{Console, Loudness, Mode, Stdout};
use crate::render::live::Live;
use crate::render::plain::{Plain, Stamps};
use crate::render::prelude::{self, Prelude};
use crate::render::queue::{self, Queue};
use crate::render::story::Story;
use crate::render::{Paint, json};
use deploy_core::event::Event;
use deploy_core::id::DeploymentId;
use deploy_core::model::Release;
use deploy_core::time::Timestamp;
use deploy_core::view::DeploymentView;
use deploy_engine::api::{Before, WaitsFor};
use deploy_engine::drive::Progress;
use std::io;

/// Below this many columns names and notes follow each other.
const NARROW: usize = 70;

/// Who reads.
#[derive(Debug)]
enum Reader {
    /// Somebody at a terminal.
    Live(Box<Live>),
    /// A log.
    Log(Plain),
    /// A program that reads events; the story is kept for what it knows of the deployment.
    Events(Story),
    /// A program that reads the last object, and a person who reads stderr.
    Aside(Plain),
}

/// One deployment on its way to whoever reads.
#[derive(Debug)]
pub(crate) struct Screen {
    reader: Reader,
    prelude: Prelude,
    queue: Queue,
}

impl Screen {
    /// As the console says.
    pub(crate) fn new(console: &Console) -> Self {
        let narrow = console.width().is_some_and(|width| width < NARROW);
        let story = Story::new(console.loudness(), narrow);
        let reader = match console.mode() {
            Mode::Events => Reader::Events(story),
            Mode::Json => Reader::Aside(Plain::new(story, Stamps::On, Paint::new(false))),
            Mode::Text if console.is_live() => Reader::Live(Box::new(Live::new(Plain::new(
                story,
                Stamps::Off,
                console.paint(),
            )))),
            Mode::Text => Reader::Log(Plain::new(story, Stamps::On, console.paint())),
        };
        Self::of(reader)
    }

    fn of(reader: Reader) -> Self {
        Self {
            reader,
            prelude: Prelude::default(),
            queue: Queue::default(),
        }
    }

    /// The same for events that are stored: nothing is redrawn, and they are what is asked for.
    pub(crate) fn stored(console: &Console) -> Self {
        match Self::new(console).reader {
            Reader::Live(_) => {
                let narrow = console.width().is_some_and(|width| width < NARROW);
                let story = Story::new(console.loudness(), narrow);
                Self::of(Reader::Log(Plain::new(story, Stamps::Off, console.paint())))
            }
            reader => Self::of(reader),
        }
    }

    fn story(&mut self) -> &mut Story {
        match &mut self.reader {
            Reader::Live(live) => &mut live.plain().story,
            Reader::Log(plain) | Reader::Aside(plain) => &mut plain.story,
            Reader::Events(story) => story,
        }
    }

    /// The release that the first line names; before the plan's event.
    pub(crate) fn about(&mut self, release: Option<Release>) {
        self.story().about(release);
    }

    /// The deployment, once there is one.
    pub(crate) fn deployment(&mut self) -> Option<DeploymentId> {
        self.story().view().map(|view| view.id.clone())
    }

    /// What is known of it.
    pub(crate) fn view(&mut self) -> Option<&DeploymentView> {
        self.story().view()
    }

    /// Shows an event.
    pub(crate) fn event(&mut self, event: &Event) {
        self.queue.over();
        self.prelude.over();
        // A deployment does not stop because nobody looks any more.
        let _gone = match &mut self.reader {
            Reader::Live(live) => live.on(event, &mut Stdout),
            Reader::Log(plain) => plain.on(event, &mut Stdout),
            Reader::Aside(plain) => plain.on(event, &mut io::stderr()),
            Reader::Events(story) => {
                let _lines = story.on(event);
                json::event(event, &mut Stdout)
            }
        };
    }

    /// Shows how far something is.
    pub(crate) fn progress(&mut self, progress: &Progress) {
        let (effect, note) = (progress.effect, &progress.note);
        match &mut self.reader {
            Reader::Live(live) => live.progress(effect, note, progress.done, progress.total),
            Reader::Log(plain) | Reader::Aside(plain) => {
                plain.progress(effect, note, progress.done, progress.total);
            }
            Reader::Events(_) => {}
        }
    }

    /// Takes what goes on before there is a deployment; [`Self::alive`] says it where it takes its time.
    pub(crate) fn before(&mut self, before: Before, now: Timestamp) {
        self.prelude.on(before, now);
    }

    fn still_before(&mut self, now: Timestamp) {
        let Some((before, since)) = self.prelude.due(now) else {
            return;
        };
        let text = || prelude::text(before, since, now);
        let _gone = match &mut self.reader {
            Reader::Live(live) => live.waits(text(), now, &mut Stdout),
            Reader::Log(plain) => plain.waits(text(), now, &mut Stdout),
            Reader::Aside(plain) => plain.waits(text(), now, &mut io::stderr()),
            Reader::Events(_) => json::line(&prelude::object(before, now), &mut Stdout),
        };
    }

    /// Shows who is waited for, at once; [`Self::alive`] says it again.
    pub(crate) fn waits(&mut self, waits: WaitsFor, now: Timestamp) {
        self.queue.on(waits);
        self.queue_up(now);
    }

    fn queue_up(&mut self, now: Timestamp) {
        let Some(waits) = self.queue.due(now) else {
            return;
        };
        let _gone = match &mut self.reader {
            Reader::Live(live) => live.waits(queue::text(waits), now, &mut Stdout),
            Reader::Log(plain) => plain.waits(queue::text(waits), now, &mut Stdout),
            Reader::Aside(plain) => plain.waits(queue::text(waits), now, &mut io::stderr()),
            Reader::Events(_) => json::line(&queue::object(waits, now), &mut Stdout),
        };
    }

    /// Shows that it goes on, to whoever sees nothing move.
    pub(crate) fn alive(&mut self, now: Timestamp) {
        self.queue_up(now);
        self.still_before(now);
        let _gone = match &mut self.reader {
            Reader::Log(plain) => plain.alive(now, &mut Stdout),
            Reader::Aside(plain) => plain.alive(now, &mut io::stderr()),
            Reader::Live(_) | Reader::Events(_) => Ok(()),
        };
    }

    /// Leaves the terminal to a question, or takes it back.
    pub(crate) fn asking(&mut self, asking: bool) {
        if let Reader::Live(live) = &mut self.reader {
            live.mute(asking);
        }
    }

    /// Shows the end; in text only, as programs get the result. `now`: where somebody looked on until now.
    pub(crate) fn close(&mut self, code: u8, now: Option<Timestamp>) {
        let _gone = match &mut self.reader {
            Reader::Live(live) => live.close(code, now, &mut Stdout),
            Reader::Log(plain) => plain.close(code, now, &mut Stdout),
            Reader::Aside(plain) if plain.story.loudness() > Loudness::Quiet => {
                plain.close(code, now, &mut io::stderr())
            }
            Reader::Aside(_) | Reader::Events(_) => Ok(()),
        };
    }

    /// Removes what is redrawn, before an error is printed.
    pub(crate) fn clear(&mut self) {
        if let Reader::Live(live) = &mut self.reader {
            live.clear();
        }
    }
}
