//! What is armed is kept armed, also while its deployment claims anew and looks at everything.

use super::*;

/// A deployment whose first slices are switched, and which begins another attempt.
fn anew() -> Story {
    let mut story = Story::of(plan(Kind::Deploy, 2));
    story.until(|machine| [0, 1].map(|at| machine.state().slice(SliceIx(at)).at) == [At::Verified; 2]);
    story.take();
    assert_eq!(story.machine.state().stage, Stage::Moving(Step::Claiming));
    story
}

fn works(story: &Story) -> Vec<Work> {
    let outstanding = story.machine.outstanding();
    outstanding.into_iter().map(|effect| effect.work).collect()
}

/// The first place does not answer: the other one is claimed meanwhile, and kept from then on.
#[test]
fn one_place_that_does_not_answer_lets_no_other_run_out() {
    let mut story = anew();
    let both = [Work::Claim(PlaceIx(0)), Work::Claim(PlaceIx(1))];
    assert_eq!(works(&story), both);
    assert!(
        !story.machine.to_disarm(SliceIx(1)),
        "its claim is the one before"
    );
    let effect = story.machine.outstanding()[1];
    let answer = story.answer(effect.work);
    let claimed = story.feed(&Input::Answered { effect, answer });
    assert!(claimed.is_ok(), "{claimed:?}");
    assert_eq!(works(&story), [both[0], Work::KeepArmed]);
    assert!(story.machine.to_disarm(SliceIx(1)));
    assert!(!story.machine.to_disarm(SliceIx(0)));
    assert!(story.step(), "the first answers at last");
    assert_eq!(works(&story), [Work::Survey, Work::KeepArmed]);
    assert_eq!(story.run(), Some(Outcome::Succeeded));
}

/// What the survey is about to see is no news.
#[test]
fn a_revert_that_acts_meanwhile_is_learned_by_the_survey() {
    let mut story = anew();
    story.until(in_step(Step::Surveying));
    let keep = story.machine.outstanding()[1];
    assert_eq!(keep.work, Work::KeepArmed);
    assert!(!story.machine.hears_of_reverts());
    let lost = Input::Answered {
        effect: keep,
        answer: fails(Failed::NotDone),
    };
    assert_eq!(story.feed(&lost), Err(Rejected::NoChange));
    story.sights[1] = SliceSight {
        runs: Sight::Old,
        armed: false,
        healthy: true,
    };
    assert_eq!(story.run(), Some(Outcome::RolledBack));
}

/// Of two deployers with the same places exactly one gets past the first.
#[test]
fn at_the_start_the_first_place_is_claimed_alone() {
    let mut story = Story::of(plan(Kind::Deploy, 2));
    story.until(in_step(Step::Claiming));
    assert_eq!(works(&story), [Work::Claim(PlaceIx(0))]);
}
