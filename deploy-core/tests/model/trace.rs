//! A run as a person reads it.

use crate::actions::{Action, How};
use crate::config::Config;
use crate::invariants::Violation;
use crate::world::{Ans, Cargo, World};
use deploy_core::event::EventKind;
use deploy_core::id::{PlaceIx, SliceIx};
use deploy_core::machine::{Failed, Work};
use std::fmt::Write as _;

const PROCS: [&str; 2] = ["alice", "bob"];
const SLICES: [&str; 4] = ["A1", "A2", "B1", "B2"];
const PLACES: [&str; 2] = ["place 1", "place 2"];

fn slice(slice: SliceIx) -> &'static str {
    SLICES[slice.at()]
}

fn place(place: PlaceIx) -> &'static str {
    PLACES[place.at()]
}

fn work(work: Work) -> String {
    match work {
        Work::Judge => "judges the gates".to_owned(),
        Work::Claim(at) => format!("claims {}", place(at)),
        Work::Survey => "looks at everything".to_owned(),
        Work::Prepare(at) => format!("prepares {}", slice(at)),
        Work::Activate(at) => format!("activates {}", slice(at)),
        Work::Verify(at) => format!("verifies {}", slice(at)),
        Work::Stop(at) => format!("stops {}", slice(at)),
        Work::KeepArmed => "renews what is armed".to_owned(),
        Work::Watch => "watches what is verified".to_owned(),
        Work::Look => "takes the last look".to_owned(),
        Work::Confirm(at) => format!("confirms {}", slice(at)),
        Work::Bake => "watches while it bakes".to_owned(),
        Work::Finish(at) => format!("finishes {}", place(at)),
        Work::Restore(at) => format!("restores {}", slice(at)),
        Work::VerifyOld(at) => format!("looks whether {} is back", slice(at)),
        Work::Release(at) => format!("releases {}", place(at)),
        Work::Reach => "waits until everything can be reached".to_owned(),
    }
}

/// An answer, in short.
pub(crate) fn answer(answer: &Ans) -> String {
    match answer {
        Ans::Holds { .. } => "all gates hold".to_owned(),
        Ans::Waits { .. } => "people have to approve".to_owned(),
        Ans::Refuses => "refused".to_owned(),
        Ans::Claimed(epoch) => format!("epoch {epoch}"),
        Ans::Refused(refusal) => format!("not to be had: {refusal:?}").to_lowercase(),
        Ans::Seen { seen, .. } => {
            let seen = seen.iter().zip(SLICES).map(|(sight, name)| {
                let armed = if sight.armed { ", armed" } else { "" };
                format!("{name} {:?}{armed}", sight.runs)
                    .replace("New", "new")
                    .replace("Old", "old")
            });
            seen.collect::<Vec<_>>().join("; ")
        }
        Ans::Prepared { .. } => "prepared".to_owned(),
        Ans::Moved { armed } => if *armed { "moved, armed" } else { "moved" }.to_owned(),
        Ans::Done => "done".to_owned(),
        Ans::Failed {
            how: Failed::Fenced, ..
        } => "refused: a newer claim is in force".to_owned(),
        Ans::Failed { how, slice: at } => {
            let at = at.map(|at| format!(" {}", slice(at))).unwrap_or_default();
            format!("failed{at}: {how:?}").to_lowercase()
        }
    }
}

/// An event, in short.
pub(crate) fn event(kind: &EventKind) -> String {
    let json = serde_json::to_value(kind).expect("events serialize");
    let name = json["type"].as_str().unwrap_or_default().to_owned();
    let names = |slices: &[SliceIx]| slices.iter().map(|at| slice(*at)).collect::<Vec<_>>().join(", ");
    let more = match kind {
        EventKind::BatchIntended { slices } | EventKind::RestoreIntended { slices } => names(slices),
        EventKind::ExclusionIntended { slice: at } | EventKind::SliceExcluded { slice: at, .. } => {
            slice(*at).to_owned()
        }
        EventKind::Closing { outcome, .. } | EventKind::Ended { outcome, .. } => format!("{outcome:?}"),
        EventKind::TurnedBack { reason, .. } => format!("{reason:?}"),
        EventKind::AttemptBegun { attempt, reason, .. } => format!("{attempt}, {reason:?}"),
        _ => String::new(),
    };
    if more.is_empty() {
        name
    } else {
        format!("{name} ({more})")
    }
}

fn action(world: &World, action: Action) -> String {
    let proc = |at: u8| PROCS[usize::from(at)];
    let of = |at: u8| SLICES[usize::from(at)];
    let at_place = |at: u8| PLACES[usize::from(at)];
    match action {
        Action::Take(who, _) => format!("{} takes the lease", proc(who)),
        Action::Perform(who, what, how) => {
            let how = match how {
                How::Well | How::Fails(_) | How::Refuses => "",
                How::RequestLost => ", but the request is lost",
                How::AnswerLost => ", but the answer is lost",
                How::Delayed => ", and the answer takes its time",
                How::CutOff => ", but is cut off half-way",
                How::Stale => ", for too long",
            };
            format!("{} {}{how}", proc(who), work(what))
        }
        Action::Linger(who, what) => format!(
            "a copy of a request stays in the network: {} {}",
            proc(who),
            work(what)
        ),
        Action::Arrive(at) => {
            let msg = world.bag[usize::from(at)];
            format!("the old request arrives: {} {}", proc(msg.from), work(msg.work))
        }
        Action::Deliver(at, again) => {
            let msg = world.bag[usize::from(at)];
            let Cargo::Answer(known) = msg.cargo else {
                return String::new();
            };
            let again = if again { ", and will again" } else { "" };
            format!(
                "the late answer reaches {}{again}: {} → {}",
                proc(msg.from),
                work(msg.work),
                answer(&known)
            )
        }
        Action::Ask(_, ask) => format!("somebody asks: {ask:?}").to_lowercase(),
        Action::Hear(who) => format!("{} reads the inbox", proc(who)),
        Action::Elapse(who) => format!("{}'s deadline passes", proc(who)),
        Action::Approve(_) => "a person approves the plan".to_owned(),
        Action::Revoke(_) => "the approval is withdrawn".to_owned(),
        Action::Crash(who) => format!("{} is killed", proc(who)),
        Action::Sleep(who) => format!("{} sleeps past the lease", proc(who)),
        Action::Stop(who) => format!("{} wakes up, finds the lease gone and stops", proc(who)),
        Action::Fire(at) => format!("the revert of {} fires", of(at)),
        Action::RunOut(at) => format!("nobody renews the revert of {}: it fires", of(at)),
        Action::Hand(at) => format!("somebody changes {} by hand", of(at)),
        Action::Sicken(at) => format!("{} becomes unhealthy", of(at)),
        Action::Cut(at) => format!("{} cannot be reached any more", at_place(at)),
        Action::Mend(at) => format!("{} can be reached again", at_place(at)),
        Action::Intrude(at) => format!("another store takes {}", at_place(at)),
    }
}

/// The whole run, one line a step, and what it breaks.
pub(crate) fn story(config: &Config, run: &[Action], violation: &Violation) -> String {
    let mut text = String::new();
    let mut world = World::new(config);
    for (at, step) in run.iter().enumerate() {
        let line = action(&world, *step);
        world.log = Some(Vec::new());
        let next = world.after(config, *step);
        let mut told = match &next {
            Ok(Some(next)) => next.log.clone().unwrap_or_default(),
            Ok(None) => Vec::new(),
            Err(_) => vec!["✗".to_owned()],
        };
        told.retain(|told| !told.is_empty());
        let told = if told.is_empty() {
            String::new()
        } else {
            format!(" → {}", told.join(", "))
        };
        let _ = writeln!(text, "{:>2}. {line}{told}", at + 1);
        if let Ok(Some(next)) = next {
            world = next;
        }
    }
    let _ = writeln!(text, "broken: {}", violation.invariant);
    let _ = writeln!(text, "        {}", violation.detail);
    text
}
