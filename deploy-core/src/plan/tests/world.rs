//! Makes inputs for tests: an environment written as a few words.

use crate::digest::Digest;
use crate::failure::{Code, Failure};
use crate::id::Epoch;
use crate::id::{
    CommitId, EnvName, Fingerprint, PlaceId, ReleaseNumber, ServiceName, SliceName, StoreId, UnitId,
};
use crate::model::{ArtifactRef, Entry, Release, ReleaseRef, Source};
use crate::plan::{BaseFacts, Kind, Limits, OnFailure, PlanInput, ServiceInput, SliceInput, StrategyInput};
use crate::port::target::{Abilities, Fence, Held, HolderNote, Inside, Runs, SliceSeen, SliceSpec};
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub(in crate::plan) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a name")
}

pub(in crate::plan) fn reference(number: u32) -> ReleaseRef {
    ReleaseRef {
        digest: Digest::of(number.to_string()),
        number: ReleaseNumber(number),
    }
}

pub(in crate::plan) const LIMITS: Limits = Limits {
    activation: Duration::from_mins(15),
    going_back: Duration::from_mins(10),
    bake: Duration::from_mins(5),
    attempts: 3,
};

pub(in crate::plan) const ABLE: Abilities = Abilities {
    fence: Fence::Lock,
    arms: false,
    removes: true,
    unbroken_since: false,
    stops: false,
};

/// What runs: `-` nothing, `?` not to be learned, `live` something adopted, `v41` that release, `v41*` the same, known to be
/// wanted (so that nothing moves).
pub(in crate::plan) fn slice(service: &str, slice: &str, runs: &str) -> SliceInput {
    let release = |number: &str| {
        let number: ReleaseNumber = number.parse().expect("a release number");
        Runs::Release {
            fingerprint: Fingerprint::new(format!("{service} {number}")).expect("a label"),
            release: Some(reference(number.0)),
        }
    };
    let seen = match runs {
        "-" => Ok(Runs::Nothing),
        "?" => Err(Failure::new(
            Code::Unreachable,
            "connection refused",
            "deploy doctor",
        )),
        "live" => Ok(Runs::Release {
            fingerprint: Fingerprint::new("plain directory").expect("a label"),
            release: None,
        }),
        number => Ok(release(number.trim_end_matches('*'))),
    };
    let ours = matches!(&seen, Ok(Runs::Release { release: Some(_), .. }));
    SliceInput {
        spec: SliceSpec {
            name: SliceName::new(slice).expect("a name"),
            place: PlaceId::new(format!("ssh:{slice}:/opt/{service}")).expect("a place"),
            unit: UnitId::new(format!("{slice}:/opt/{service}")).expect("a unit"),
        },
        wanted: runs.ends_with('*').then(|| seen.clone().expect("it runs")),
        seen: SliceSeen {
            inside: Inside::default(),
            slice: SliceName::new(slice).expect("a name"),
            runs: seen,
            held: ours.then(|| Held {
                store: StoreId::new("01JB9QF3ZK0000000000000000").expect("an id"),
                deployment: None,
                epoch: Epoch(7),
                note: HolderNote::default(),
            }),
            armed: None,
            unbroken_since: None,
            kept: Vec::new(),
        },
        last_known: None,
        difference: None,
    }
}

/// A service from `name: slice=runs slice=runs < need need`.
pub(in crate::plan) fn service(text: &str) -> ServiceInput {
    let (of, rest) = text.split_once(':').expect("a name");
    let (slices, needs) = rest.split_once('<').unwrap_or((rest, ""));
    ServiceInput {
        name: name(of),
        target: "ssh".to_owned(),
        needs: needs.split_whitespace().map(name).collect(),
        strategy: StrategyInput::default(),
        on_failure: OnFailure::Rollback,
        bake: Duration::ZERO,
        abilities: ABLE,
        slices: slices
            .split_whitespace()
            .map(|one| {
                let (of_slice, runs) = one.split_once('=').expect("slice=runs");
                slice(of, of_slice, runs)
            })
            .collect(),
        dropped: false,
    }
}

/// Release v42 with an artifact for each of these services.
pub(in crate::plan) fn release<'a>(services: impl IntoIterator<Item = &'a ServiceName>) -> Release {
    Release {
        number: ReleaseNumber(42),
        entries: services
            .into_iter()
            .map(|service| {
                let digest = Digest::of(service.as_str());
                (service.clone(), Entry::Artifact(ArtifactRef::Tree { digest }))
            })
            .collect(),
        files: Digest::of("deploy.toml"),
        sources: vec![Source {
            commit: CommitId::new(&"3f9ac1e".repeat(6)[..40]).expect("a commit"),
            branch: Some("develop".to_owned()),
            subject: "Add basket".to_owned(),
            author: "alice@shop.example".to_owned(),
            committer: "alice@shop.example".to_owned(),
            committed_at: Timestamp(0),
        }],
        version: None,
        development: false,
    }
}

/// A deployment of v42 to production, where v41 was verified last.
pub(in crate::plan) fn input<'a>(release: &'a Release, services: &[&str]) -> PlanInput<'a> {
    PlanInput {
        kind: Kind::Deploy,
        environment: EnvName::new("production").expect("a name"),
        release,
        reference: reference(42),
        config: Digest::of("configuration"),
        limits: LIMITS,
        services: services.iter().map(|text| service(text)).collect(),
        disabled: BTreeSet::new(),
        facts: BaseFacts {
            current: Some(reference(41)),
            fingerprints: BTreeMap::new(),
            places: BTreeMap::new(),
        },
        floor: None,
    }
}

/// A release of all the services that are written.
pub(in crate::plan) fn release_of(services: &[&str]) -> Release {
    release(&services.iter().map(|text| service(text).name).collect::<Vec<_>>())
}
