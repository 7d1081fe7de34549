//! Stories of going back: the last look before `rolled_back`, and the reason that travels with the attempt which looks into it.

use super::*;

/// A deployment whose `web` is unhealthy on the release: it goes back by itself.
fn unhealthy() -> Story {
    Story::of(plan(Kind::Deploy, 2)).twist(Work::Verify(SliceIx(2)), fails(Failed::Unhealthy))
}

#[test]
fn the_old_release_is_everywhere_only_when_every_slice_was_looked_at() {
    let mut story = unhealthy();
    assert_eq!(story.run(), Some(Outcome::RolledBack));
    assert!(story.names().contains(&"all_back".to_owned()));
    let looks = story.done.iter().filter(|work| **work == Work::Look).count();
    assert_eq!(looks, 1, "it never came to the look of going forward");
    assert!(
        unhealthy()
            .with_crashes()
            .iter()
            .all(|end| [Outcome::RolledBack, Outcome::Succeeded].contains(end))
    );
}

#[test]
fn a_slice_that_nobody_touched_and_somebody_else_changed_is_named() {
    for runs in [Sight::Foreign, Sight::New] {
        let mut story = unhealthy();
        story.until(in_step(Step::LookingBack));
        assert_eq!(story.at(3), At::Untouched, "its turn had not come");
        story.sights[3].runs = runs;
        assert_eq!(story.run(), Some(Outcome::NeedsHuman), "{runs:?}");
        let Some(EventKind::Ended { strays, .. }) = story.journal.last().map(|event| &event.event().kind)
        else {
            panic!("it ended");
        };
        assert_eq!(strays, &[SliceIx(3)]);
        assert_eq!(story.at(3), At::Overtaken);
    }
}

#[test]
fn a_slice_that_was_well_before_and_is_not_now_is_named() {
    let mut story = unhealthy();
    story.until(in_step(Step::LookingBack));
    story.sights[3].healthy = false;
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
    assert_eq!(story.at(3), At::Stuck);
}

#[test]
fn a_last_look_that_cannot_reach_a_slice_waits_for_it_until_its_time_is_over() {
    let mut story = unhealthy();
    story.until(in_step(Step::LookingBack));
    story.sights[3].runs = Sight::Unreachable;
    story.until(|machine| {
        machine
            .outstanding()
            .iter()
            .any(|effect| effect.work == Work::Reach)
    });
    let mut reached = story.clone();
    reached.sights[3].runs = Sight::Old;
    assert_eq!(reached.run(), Some(Outcome::RolledBack));
    let due = story.machine.wake_at().expect("going back has a deadline");
    story.feed_at(due, &Input::Elapsed).expect("it is due");
    assert_eq!(story.run(), Some(Outcome::NeedsHuman));
}

#[test]
fn a_slice_that_does_not_move_and_was_out_of_reach_for_a_while_is_back_again() {
    let mut plan = plan(Kind::Deploy, 2);
    plan.services[0].change = Change::Keep;
    let mut story = Story::of(plan).twist(Work::Verify(SliceIx(2)), fails(Failed::Unhealthy));
    story.sights[0].runs = Sight::Both;
    story.sights[1].runs = Sight::Both;
    story.until(|machine| machine.state().direction == Direction::Back);
    story.sights[1].runs = Sight::Unreachable;
    story.until(|machine| machine.state().slice(SliceIx(1)).at == At::Unknown);
    story.sights[1].runs = Sight::Both;
    assert_eq!(story.run(), Some(Outcome::RolledBack));
}

#[test]
fn what_went_wrong_travels_with_the_attempt_that_looks_into_it() {
    let mut story =
        Story::of(plan(Kind::Deploy, 2)).twist(Work::Activate(SliceIx(0)), fails(Failed::Unknown));
    assert_eq!(story.run(), Some(Outcome::Succeeded));
    let because: Vec<_> = story
        .journal
        .iter()
        .filter_map(|event| match &event.event().kind {
            EventKind::AttemptBegun {
                reason: AttemptReason::UnknownOutcome,
                because,
                ..
            } => because.clone(),
            _ => None,
        })
        .collect();
    let [because] = because.as_slice() else {
        panic!("one attempt looks into it, with its reason: {because:?}");
    };
    assert_eq!(because.message, "it failed");
    assert_eq!(because.service.as_ref().map(ServiceName::as_str), Some("db"));
    assert_eq!(because.slice.as_ref().map(SliceName::as_str), Some("s0"));
}
