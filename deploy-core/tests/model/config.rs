//! The configurations that are searched: small plans with a budget of faults each.

use crate::faults::Budget;
use crate::mutants::Mutant;
use crate::world::{BY_HAND, Base, PLACE_OF, SLICES, Value, release_of};
use deploy_core::digest::Digest;
use deploy_core::id::{
    EnvName, Fingerprint, PlaceId, PlaceIx, ReleaseNumber, ServiceIx, ServiceName, SliceIx, SliceName,
    UnitId, UnitIx,
};
use deploy_core::model::ReleaseRef;
use deploy_core::plan::{
    Base as PlanBase, Change, Kind, Limits, OnFailure, Plan, PlannedService, PlannedSlice, WayBack,
};
use deploy_core::port::target::{Abilities, Fence, Runs};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A world to search.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of a world, not a state"
)]
pub(crate) struct Config {
    pub(crate) name: &'static str,
    pub(crate) stores: u8,
    pub(crate) kind: Kind,
    /// Whether targets can arm.
    pub(crate) arms: bool,
    /// Whether there is a bake.
    pub(crate) bakes: bool,
    /// How many slices of a service may fail.
    pub(crate) max_failures: u16,
    /// Whether a failure of B holds.
    pub(crate) holds: bool,
    /// Whether A stays as it is.
    pub(crate) keeps_a: bool,
    /// Whether the slices of a service move one after the other.
    pub(crate) batches: bool,
    /// Whether the slices of a service are one restore unit.
    pub(crate) shares_unit: bool,
    /// Whether people must approve.
    pub(crate) approval: bool,
    /// How the places fence.
    pub(crate) fence: Fence,
    /// Whether a side may take another store's places.
    pub(crate) adopts: [bool; 2],
    pub(crate) attempts: u8,
    pub(crate) start: Base,
    pub(crate) budget: Budget,
    pub(crate) mutant: Option<Mutant>,
    /// Distinct states, pinned.
    pub(crate) states: usize,
    pub(crate) plans: RefCell<HashMap<(u8, Base), Arc<Plan>>>,
}

impl Config {
    pub(crate) fn new(name: &'static str, budget: Budget) -> Self {
        Self {
            name,
            stores: 1,
            kind: Kind::Deploy,
            arms: true,
            bakes: false,
            max_failures: 0,
            holds: false,
            keeps_a: false,
            batches: false,
            shares_unit: false,
            approval: false,
            fence: Fence::Write,
            adopts: [false; 2],
            attempts: 1,
            start: [0; SLICES],
            budget,
            mutant: None,
            states: 0,
            plans: RefCell::default(),
        }
    }

    pub(crate) fn arms(&self) -> bool {
        self.arms && self.kind != Kind::Rollback
    }

    /// The plan that a side would make for what runs now.
    pub(crate) fn plan(&self, side: u8, base: Base) -> Arc<Plan> {
        self.plans
            .borrow_mut()
            .entry((side, base))
            .or_insert_with(|| Arc::new(self.make(side, base)))
            .clone()
    }

    fn make(&self, side: u8, base: Base) -> Plan {
        let name = |text: &str| ServiceName::new(text).expect("a name");
        let service =
            |text: &str, needs: Vec<ServiceIx>, first: u16, keeps: bool, holds: bool| PlannedService {
                name: name(text),
                target: "fake".to_owned(),
                change: if keeps { Change::Keep } else { Change::Move },
                needs,
                batches: if self.batches {
                    vec![vec![SliceIx(first)], vec![SliceIx(first + 1)]]
                } else {
                    vec![vec![SliceIx(first), SliceIx(first + 1)]]
                },
                on_failure: if holds {
                    OnFailure::Hold
                } else {
                    OnFailure::Rollback
                },
                max_failures: if keeps { 0 } else { self.max_failures },
                // Not zero, and yet no time at all: every timer of a model is due at once.
                bake: if self.bakes {
                    Duration::from_nanos(1)
                } else {
                    Duration::ZERO
                },
                abilities: Abilities {
                    fence: self.fence,
                    arms: self.arms(),
                    removes: true,
                    unbroken_since: false,
                    stops: self.max_failures > 0,
                },
                interrupts: false,
            };
        let unit = |slice: usize| if self.shares_unit { slice / 2 } else { slice };
        Plan {
            kind: self.kind,
            environment: EnvName::new("production").expect("a name"),
            release: release(release_of(side)),
            base: PlanBase::Release(release(base[0])),
            config: Digest::of("configuration"),
            places: ["one", "two"]
                .map(|text| PlaceId::new(text).expect("a name"))
                .to_vec(),
            units: (0..if self.shares_unit { 2 } else { SLICES })
                .map(|unit| UnitId::new(format!("unit {unit}")).expect("a name"))
                .collect(),
            services: vec![
                service("A", Vec::new(), 0, self.keeps_a, false),
                service("B", vec![ServiceIx(0)], 2, false, self.holds),
            ],
            slices: (0..SLICES)
                .map(|slice| PlannedSlice {
                    name: SliceName::new(format!("s{slice}")).expect("a name"),
                    service: ServiceIx(u16::from(slice >= 2)),
                    place: PlaceIx(u16::from(PLACE_OF[slice] != 0)),
                    unit: UnitIx(u16::try_from(unit(slice)).expect("small")),
                    now: runs(base[slice]),
                    way_back: WayBack::Checkpoint,
                    hold: Duration::ZERO,
                })
                .collect(),
            limits: Limits {
                activation: Duration::ZERO,
                going_back: Duration::ZERO,
                bake: Duration::ZERO,
                attempts: self.attempts,
            },
            notices: Vec::new(),
            differences: Vec::new(),
        }
    }
}

fn release(value: Value) -> ReleaseRef {
    ReleaseRef {
        digest: Digest::of([value]),
        number: ReleaseNumber(u32::from(value)),
    }
}

/// What runs, in the words of the port.
pub(crate) fn runs(value: Value) -> Runs {
    Runs::Release {
        fingerprint: Fingerprint::new(format!("r{value}")).expect("a fingerprint"),
        release: (value != BY_HAND).then(|| release(value)),
    }
}

impl Config {
    /// The base that a plan of this configuration was made for.
    pub(crate) fn base_of(&self, side: u8, plan: &Plan) -> Base {
        let plans = self.plans.borrow();
        let found = plans
            .iter()
            .find(|((of, _), known)| *of == side && known.slices == plan.slices);
        found.expect("it was made here").0.1
    }
}
