//! The failpoints around effects: a sweep kills the driver at each of them.

use deploy_core::machine::Work;

macro_rules! points {
    ($($work:pat => $name:literal),* $(,)?) => {
        pub(super) fn before(work: Work) -> &'static str {
            match work { $($work => concat!("effect.", $name, ".before"),)* }
        }
        pub(super) fn after(work: Work) -> &'static str {
            match work { $($work => concat!("effect.", $name, ".after"),)* }
        }
        /// The failpoints around effects, for a sweep that has to hit them all.
        pub const POINTS: &[&str] = &[$(concat!("effect.", $name, ".before"), concat!("effect.", $name, ".after"),)*];
    };
}

points! {
    Work::Judge => "judge",
    Work::Claim(_) => "claim",
    Work::Survey => "survey",
    Work::Prepare(_) => "prepare",
    Work::Activate(_) => "activate",
    Work::Verify(_) => "verify",
    Work::Stop(_) => "stop",
    Work::KeepArmed => "keep_armed",
    Work::Watch => "watch",
    Work::Look => "look",
    Work::Confirm(_) => "confirm",
    Work::Bake => "bake",
    Work::Finish(_) => "finish",
    Work::Restore(_) => "restore",
    Work::VerifyOld(_) => "verify_old",
    Work::Release(_) => "release",
    Work::Reach => "reach",
}
