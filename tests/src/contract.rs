//! The contract of a target, as laws that hold on every kind of platform: what the protocol relies on, and nothing of any one kind.
//!
//! A kind brings a [`Ground`]: one slice in one place, that the test can also look at and change behind the target's back. One line
//! of [`crate::contract_suite`] then runs every law over it, each on a ground of its own. A law that needs what a target says it
//! cannot do (arming a revert, removing) checks instead that it says so.

pub mod armed;
pub mod back;
pub mod claims;
pub mod fencing;
pub mod moves;
pub mod stopped;

use std::sync::Arc;
use std::time::Duration;

use deploy_core::digest::Digest;
use deploy_core::id::{Attempt, DeploymentId, Epoch, PlaceId, SliceName, StoreId};
use deploy_core::port::target::{
    Adopt, Cause, Certainty, Claim, ClaimRequest, Cleanup, Desired, Held, HolderNote, Move, NoProgress, Op,
    Prepared, Restore, Runs, SliceSeen, Target, TargetError,
};

/// One slice in one place of a platform, with nothing in it yet.
pub trait Ground: Send + Sync {
    /// A target bound to it, with connections of its own: two of them are two orchestrators.
    fn target(&self) -> Arc<dyn Target>;

    /// A release whose content is this text; another text is another content.
    fn release(&self, number: u32, text: &str) -> Arc<Desired>;

    /// The text of what serves now, looked at past the target; `None` if nothing does.
    fn serves(&self) -> Option<String>;

    /// Makes something of its own serve this text, as a person would who knows of no deployments.
    fn change_by_hand(&self, text: &str);

    /// Everything that is in the place, in a form that differs if anything differs.
    fn picture(&self) -> String;

    /// Damages the body of every checkpoint in the place.
    fn damage_checkpoints(&self);
}

/// A ground, a target on it, and the names of its one slice and place.
pub struct Stage<'a> {
    /// Where.
    pub ground: &'a dyn Ground,
    /// Through what.
    pub target: Arc<dyn Target>,
    /// Its one slice.
    pub slice: SliceName,
    /// Its one place.
    pub place: PlaceId,
}

/// A deployment under way: what later verbs need of the earlier ones.
pub struct Under {
    /// With its claim.
    pub op: Op,
    /// As it was activated.
    pub step: Move,
    /// What preparing gave.
    pub prepared: Prepared,
}

impl Under {
    /// The way back.
    pub fn back(&self, stage: &Stage<'_>) -> Restore {
        Restore {
            slice: stage.slice.clone(),
            checkpoint: self.prepared.checkpoint.clone(),
            ours: vec![self.prepared.will_be.clone()],
        }
    }
}

/// Runs one law on a ground, on a runtime of its own.
pub fn check<F>(ground: &dyn Ground, law: impl FnOnce(Arc<dyn Target>) -> F)
where
    F: Future<Output = ()>,
{
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime can be made")
        .block_on(law(ground.target()));
}

/// The state of the tests; another number is another state.
pub fn store(number: u32) -> StoreId {
    StoreId::new(format!("01SS{number:022}")).expect("an id")
}

/// A deployment.
pub fn deployment(number: u32) -> DeploymentId {
    DeploymentId::new(format!("01JB{number:022}")).expect("an id")
}

/// What a claimer says of itself.
pub fn note(number: u32) -> HolderNote {
    HolderNote {
        who: format!("alice@laptop's \"{number}\" (pid 1)"),
        since: "2026-01-02T03:04:05Z".parse().ok(),
        step: format!("activating v{number}"),
    }
}

/// Asks for a claim for a deployment of the first state.
pub fn request(number: u32) -> ClaimRequest {
    ClaimRequest {
        store: store(1),
        deployment: deployment(number),
        known: Epoch(0),
        may_take: Vec::new(),
        adopt: Adopt::Refuse,
        note: note(number),
    }
}

/// An operation under a claim.
pub fn op(claim: &Claim) -> Op {
    Op {
        key: Digest::of(format!("{} {}", claim.deployment, claim.epoch)),
        claim: claim.clone(),
        attempt: Attempt(1),
        limit: Duration::from_mins(1),
        progress: Arc::new(NoProgress),
    }
}

impl<'a> Stage<'a> {
    /// Asks the target for its one slice.
    pub async fn new(ground: &'a dyn Ground, target: Arc<dyn Target>) -> Self {
        let mut slices = target.slices().await.expect("slices are listed");
        assert_eq!(slices.len(), 1, "a ground has one slice");
        let spec = slices.remove(0);
        Self {
            ground,
            target,
            slice: spec.name,
            place: spec.place,
        }
    }

    /// Takes the claim for a deployment of the first state.
    pub async fn claim(&self, number: u32) -> Claim {
        let claim = self.target.claim(&self.place, &request(number)).await;
        claim.expect("the place is free")
    }

    /// One look.
    pub async fn look(&self) -> SliceSeen {
        let seen = self.target.observe(std::slice::from_ref(&self.slice)).await;
        let mut seen = seen.expect("it can be looked at");
        assert_eq!(seen.len(), 1, "one answer for each slice asked for");
        assert_eq!(seen[0].slice, self.slice);
        seen.remove(0)
    }

    /// What runs.
    pub async fn runs(&self) -> Runs {
        self.look().await.runs.expect("it can be told what runs")
    }

    /// What the place says about who may write.
    pub async fn held(&self) -> Held {
        self.look().await.held.expect("the place was claimed once")
    }

    /// A move from what runs now.
    pub async fn step(&self, to: &Arc<Desired>) -> Move {
        Move {
            slice: self.slice.clone(),
            to: Arc::clone(to),
            expect: self.runs().await,
            arm: None,
            checkpoint: None,
        }
    }

    /// Claim and prepare.
    pub async fn prepare(&self, number: u32, to: &Arc<Desired>) -> Under {
        let op = op(&self.claim(number).await);
        let mut step = self.step(to).await;
        let prepared = self.target.prepare(&op, &step).await.expect("it prepares");
        step.checkpoint = Some(prepared.checkpoint.clone());
        Under { op, step, prepared }
    }

    /// Claim, prepare, activate, verify.
    pub async fn bring(&self, number: u32, to: &Arc<Desired>) -> Under {
        let under = self.prepare(number, to).await;
        let runs = self
            .target
            .activate(&under.op, &under.step)
            .await
            .expect("it activates");
        assert_eq!(
            runs, under.prepared.will_be,
            "activating gives what preparing announced"
        );
        let seen = self.target.verify(&under.op, &self.slice, &runs).await;
        assert_eq!(seen.expect("it verifies").runs.ok(), Some(runs));
        under
    }

    /// A whole deployment that succeeds, of a release of the same number; the claim is free again.
    pub async fn deploy(&self, number: u32, text: &str) -> Runs {
        let under = self.bring(number, &self.ground.release(number, text)).await;
        self.finish(&under.op, &Cleanup::Prune { keep: 3 }).await;
        assert_eq!(self.ground.serves().as_deref(), Some(text));
        under.prepared.will_be
    }

    /// The last write.
    pub async fn finish(&self, op: &Op, cleanup: &Cleanup) {
        self.target
            .finish(op, &self.place, cleanup)
            .await
            .expect("it finishes");
    }
}

/// The verb said that it did nothing, and why.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, TargetError>, cause: Cause, what: &str) -> TargetError {
    let error = answer.expect_err(what);
    assert_eq!(
        (error.cause, error.certainty),
        (cause, Certainty::NotDone),
        "{what}: {error:?}"
    );
    assert!(
        !error.failure.next.is_empty(),
        "{what}: says no next step: {error:?}"
    );
    error
}

/// Every law as a test, for a kind of ground: its name, and an expression that makes one.
#[macro_export]
macro_rules! contract_suite {
    ($kind:ident, $ground:expr) => {
        mod $kind {
            use super::*;
            $crate::contract_laws! { $ground;
                claims::is_compare_and_set
                claims::goes_to_one_of_many
                claims::another_state_is_refused_until_it_adopts
                claims::looking_changes_nothing
                fencing::an_old_claim_writes_nothing
                fencing::a_released_claim_writes_nothing
                moves::nothing_that_serves_changes_in_prepare
                moves::the_checkpoint_is_taken_once
                moves::moves_only_from_what_was_expected
                moves::verify_believes_the_platform
                moves::each_verb_twice_is_once
                moves::what_runs_already_is_left
                moves::a_revert_is_armed_or_declared_impossible
                armed::what_nobody_confirms_goes_back
                armed::a_renewal_puts_it_off
                armed::confirming_and_going_back_have_one_winner
                armed::no_end_leaves_anything_armed
                back::comes_back_to_exactly_before
                back::comes_back_by_another_orchestrator
                back::what_was_nothing_is_nothing_again
                back::what_another_changed_is_not_put_back
                back::a_damaged_checkpoint_is_lost
                back::pruning_keeps_what_runs_and_what_ran
                back::removing_leaves_nothing_that_serves
                stopped::serves_nothing_until_it_is_put_back
                stopped::is_moved_by_the_next
                stopped::stops_only_what_is_its_own
            }
        }
    };
}

/// One test for each law.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_laws {
    ($ground:expr; $($part:ident :: $law:ident)+) => {
        $(
            #[test]
            fn $law() {
                let ground = $ground;
                $crate::contract::check(&ground, |target| $crate::contract::$part::$law(&ground, target));
            }
        )+
    };
}
