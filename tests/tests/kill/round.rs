//! One round: a release, a run that is killed, and another process that brings it to an end.

use std::collections::BTreeSet;
use std::mem::swap;
use std::time::Duration;

use deploy_tests::process::Output;
use deploy_tests::shop::{Health, Shop};

/// How long one run may take on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);

const KILLED: Option<i32> = Some(9);

/// What came of a round that ended as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Every slice is new.
    New,
    /// Every slice is old.
    Old,
    /// The run was killed before it began; every slice is old.
    NeverBegan,
}

/// A round that did not end as it may, with the shortest recipe.
#[derive(Debug)]
pub(crate) struct Wrong(pub(crate) String);

/// What is about to happen.
pub(crate) struct Round<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) health: Health,
    old: String,
    new: String,
    recipe: Vec<String>,
    way: Way,
    /// It was killed where nothing turns back any more.
    finishing: bool,
}

/// Which kind of deployment it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// `deploy up`, which may turn back.
    Up,
    /// `deploy rollback`, which only ever goes on.
    Rollback,
}

impl<'a> Round<'a> {
    /// Commits the release of this round.
    pub(crate) fn begin(shop: &'a Shop, health: Health) -> Result<Self, Wrong> {
        let old = shop.whole().map_err(Wrong)?;
        let new = shop.release(health);
        let recipe = vec![format!("{health:?} release")];
        Ok(Self {
            shop,
            health,
            old,
            new,
            recipe,
            way: Way::Up,
            finishing: false,
        })
    }

    /// Brings another release, so that there is one to go back to: what is new to this round is the release before.
    pub(crate) fn begin_rollback(shop: &'a Shop) -> Result<Self, Wrong> {
        let mut round = Self::begin(shop, Health::Up)?;
        let up = shop.scratch.deploy_within(LIMIT, &["up"]);
        round.note("deploy up".to_owned());
        if round.judge(&up)? != End::New {
            return Err(round.wrong("it did not come up", &up));
        }
        swap(&mut round.old, &mut round.new);
        round.way = Way::Rollback;
        Ok(round)
    }

    /// Runs `deploy` with one point armed; answers whether that killed it.
    pub(crate) fn killed_at(&mut self, point: &str, arguments: &[&str]) -> (bool, Output) {
        let mut command = self.shop.scratch.command(arguments);
        command.env("DEPLOY_FAILPOINT", point);
        // With its output in files: what it leaves running may hold a pipe.
        let output = self.shop.scratch.spawn_command(command).wait(LIMIT);
        self.recipe
            .push(format!("DEPLOY_FAILPOINT={point} deploy {}", arguments.join(" ")));
        let killed = output.signal == KILLED;
        self.finishing |= killed && point.starts_with("effect.finish.");
        (killed, output)
    }

    /// Remembers what was done otherwise.
    pub(crate) fn note(&mut self, done: String) {
        self.recipe.push(done);
    }

    /// Resumes in another process, and judges what is live.
    pub(crate) fn resume(mut self) -> Result<End, Wrong> {
        let resumed = self.shop.scratch.deploy_within(LIMIT, &["resume"]);
        self.recipe.push("deploy resume".to_owned());
        self.judge(&resumed)
    }

    /// Judges the run that brought it to an end.
    pub(crate) fn judge(&self, run: &Output) -> Result<End, Wrong> {
        let live = match self.shop.whole() {
            Err(mixed) => return Err(self.wrong(&mixed, run)),
            Ok(live) if live == self.new => End::New,
            Ok(live) if live == self.old => End::Old,
            Ok(other) => return Err(self.wrong(&format!("{other} is neither old nor new"), run)),
        };
        // Nothing open: it was killed before it began, or after its end was written.
        let nothing_open = run.code == Some(2) && run.stderr.contains("DPL0003");
        let end = match (run.code, live) {
            (Some(0), End::New) => End::New,
            (Some(3), End::Old) => End::Old,
            (Some(2), End::New) if nothing_open => End::New,
            (Some(2), End::Old) if nothing_open => End::NeverBegan,
            _ => return Err(self.wrong(&format!("exit {:?} and {live:?}", run.code), run)),
        };
        if self.health == Health::Up && self.finishing && end != End::New {
            return Err(self.wrong("it was finishing, and went back", run));
        }
        if self.way == Way::Rollback && end == End::Old {
            return Err(self.wrong("a rollback had begun, and did not go on", run));
        }
        if self.health == Health::Down && end == End::New {
            return Err(self.wrong("a release that is down was left in place", run));
        }
        if self.health == Health::Down
            && let Err(missing) = self.consequences()
        {
            return Err(self.wrong(&missing, run));
        }
        let verified = self.shop.scratch.deploy(&["audit", "verify"]);
        if verified.code != Some(0) {
            return Err(self.wrong("the journal is not whole", &verified));
        }
        Ok(end)
    }

    /// Whether all that was turned back for its health and has ended is barred, and has stopped automatic promotion: wherever its
    /// driver was killed, the next command that writes makes that good.
    fn consequences(&self) -> Result<(), String> {
        let rows = self
            .shop
            .scratch
            .deploy(&["audit", "export", "--events"])
            .expect_code(0)
            .events();
        let of = |wanted: &str| -> BTreeSet<&str> {
            rows.iter()
                .filter(|row| row["type"] == wanted)
                .filter_map(|row| row["deployment"].as_str())
                .collect()
        };
        let (ended, yanked, frozen) = (of("ended"), of("yanked"), of("automatic_promotion_frozen"));
        let unwell = rows
            .iter()
            .filter(|row| row["type"] == "turned_back" && row["reason"] == "unhealthy")
            .filter_map(|row| row["deployment"].as_str());
        for id in unwell.filter(|id| ended.contains(id)) {
            for (facts, what) in [(&yanked, "yanked"), (&frozen, "automatic promotion frozen")] {
                if !facts.contains(id) {
                    return Err(format!(
                        "{id} was not healthy and has ended, and nothing says: {what}"
                    ));
                }
            }
        }
        Ok(())
    }

    fn wrong(&self, what: &str, run: &Output) -> Wrong {
        let Self { old, new, .. } = self;
        let recipe = self.recipe.join("; ");
        Wrong(format!("{recipe}: {what} (old {old}, new {new})\n{run:?}"))
    }
}

/// Brings the shop to a whole, healthy release: `deploy up` works after all that was done.
///
/// # Panics
/// When it does not.
#[track_caller]
pub(crate) fn settle(shop: &Shop) {
    let version = shop.release(Health::Up);
    let up = shop.scratch.deploy_within(LIMIT, &["up"]);
    assert_eq!(up.code, Some(0), "{up:?}");
    assert_eq!(shop.whole(), Ok(version), "{up:?}");
}
