//! Events of deployments as a journal would have them: the release v42 with a schema, a web service on two hosts, and a search
//! that needs the web, going to production over v41.

use deploy_core::digest::Digest;
use deploy_core::event::{AttemptReason, Driver, Event, EventKind, Request, SCHEMA};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{Approval, GateKind, Opens, Unmet};
use deploy_core::id::{
    Actor, Attempt, CommitId, DeploymentId, EnvName, Epoch, Fingerprint, PlaceId, PlaceIx, ReleaseNumber,
    Seq, ServiceIx, ServiceName, SliceIx, SliceName, UnitId, UnitIx,
};
use deploy_core::machine::{Ask, Failed, Outcome, Refusal, Sight, SliceSight, TurnReason, Verb};
use deploy_core::model::{Release, ReleaseRef, Source};
use deploy_core::plan::{Base, Change, Kind, Limits, OnFailure, Plan, PlannedService, PlannedSlice, WayBack};
use deploy_core::port::target::{Abilities, Adopt, Checkpoint, Fence, HealthSeen, Runs};
use deploy_core::time::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

const START: i64 = 1_795_244_400_000;
/// What these notes stand for: a window of probes, or the platform's word alone.
fn looked(note: &str) -> HealthSeen {
    if note.starts_with("healthy") {
        HealthSeen::Healthy
    } else {
        HealthSeen::Unknown
    }
}

const SCHEMA_SLICE: SliceIx = SliceIx(0);
const WEB_1: SliceIx = SliceIx(1);
const WEB_2: SliceIx = SliceIx(2);
const SEARCH: SliceIx = SliceIx(3);

fn reference(number: u32) -> ReleaseRef {
    ReleaseRef {
        digest: Digest::of(number.to_string()),
        number: ReleaseNumber(number),
    }
}

fn actor() -> Actor {
    Actor::new("alice@shop.example").expect("an actor")
}

fn id() -> DeploymentId {
    DeploymentId::new("01JB9QF3ZK0000000000000000").expect("an id")
}

fn runs(number: u32) -> Runs {
    Runs::Release {
        fingerprint: Fingerprint::new(format!("f{number}")).expect("a fingerprint"),
        release: Some(reference(number)),
    }
}

/// The release that the first line names.
pub(super) fn release() -> Release {
    Release {
        number: ReleaseNumber(42),
        entries: BTreeMap::new(),
        files: Digest::of("files"),
        sources: vec![Source {
            commit: CommitId::new("3f9ac1e0123456789abcdef0123456789abcdef0").expect("a commit"),
            branch: Some("develop".to_owned()),
            subject: "Add basket".to_owned(),
            author: "Alice".to_owned(),
            committer: "Alice".to_owned(),
            committed_at: Timestamp(START),
        }],
        version: None,
        development: false,
    }
}

fn plan() -> Plan {
    let service = |name: &str, target: &str, needs: Vec<u16>, slices: Vec<Vec<SliceIx>>| PlannedService {
        name: ServiceName::new(name).expect("a name"),
        target: target.to_owned(),
        change: Change::Move,
        needs: needs.into_iter().map(ServiceIx).collect(),
        batches: slices,
        on_failure: OnFailure::Rollback,
        max_failures: u16::from(name == "web"),
        bake: Duration::ZERO,
        abilities: Abilities {
            fence: Fence::Lock,
            arms: false,
            removes: true,
            unbroken_since: false,
            stops: name == "web",
        },
        interrupts: false,
    };
    let slice = |at: u16, name: &str, service: u16| PlannedSlice {
        name: SliceName::new(name).expect("a name"),
        service: ServiceIx(service),
        place: PlaceIx(at),
        unit: UnitIx(at),
        now: runs(41),
        way_back: WayBack::Checkpoint,
        hold: Duration::ZERO,
    };
    let places = [
        "postgres:shop",
        "ssh:deploy@10.0.0.1:/opt/shop",
        "ssh:deploy@10.0.0.2:/opt/shop",
        "k8s:prod/shop",
    ];
    Plan {
        kind: Kind::Promote,
        environment: EnvName::new("production").expect("a name"),
        release: reference(42),
        base: Base::Release(reference(41)),
        config: Digest::of("config"),
        places: places
            .iter()
            .map(|place| PlaceId::new(place).expect("a place"))
            .collect(),
        units: places
            .iter()
            .map(|place| UnitId::new(place).expect("a unit"))
            .collect(),
        services: vec![
            service("schema", "migrations", vec![], vec![vec![SCHEMA_SLICE]]),
            service("web", "ssh", vec![0], vec![vec![WEB_1], vec![WEB_2]]),
            service("search", "k8s", vec![1], vec![vec![SEARCH]]),
        ],
        slices: vec![
            slice(0, "schema", 0),
            slice(1, "web-1", 1),
            slice(2, "web-2", 1),
            slice(3, "search", 2),
        ],
        limits: Limits {
            activation: Duration::from_secs(900),
            going_back: Duration::from_secs(900),
            bake: Duration::from_secs(900),
            attempts: 3,
        },
        notices: Vec::new(),
        differences: Vec::new(),
    }
}

fn unhealthy() -> Failure {
    let mut failure = Failure::new(
        Code::Unhealthy,
        "ready: 503 in 12 of 12 probes, wanted 30s healthy",
        "look at the service's own log",
    );
    failure.log_tail = vec![r#"{"status":"DOWN","components":{"db":"timeout"}}"#.to_owned()];
    failure
}

fn approval() -> Unmet {
    Unmet {
        gate: GateKind::Approval,
        reason: "release: 0 of 1 from release-managers".to_owned(),
        earliest: None,
        opens: Opens::ByPeople,
        next: "deploy approve 01JB9QF3ZK".to_owned(),
    }
}

/// Events, each a while after the one before.
pub(super) struct Stream {
    events: Vec<Event>,
    at: i64,
}

impl Stream {
    fn new() -> Self {
        let request = Request {
            key: "key".to_owned(),
            kind: Kind::Promote,
            release: reference(42),
            actor: actor(),
            established: "git".to_owned(),
            branch: Some("develop".to_owned()),
            reason: None,
            services: Vec::new(),
            adopt: Adopt::Refuse,
            options: deploy_core::event::RequestOptions::default(),
        };
        let digest = plan().digest();
        Self {
            events: Vec::new(),
            at: START,
        }
        .then(0, EventKind::Requested { request })
        .then(
            20,
            EventKind::Planned {
                plan: Box::new(plan()),
                digest,
            },
        )
    }

    fn then(mut self, ms: i64, kind: EventKind) -> Self {
        self.push(ms, kind);
        self
    }

    fn push(&mut self, ms: i64, kind: EventKind) {
        self.at += ms;
        let seq = u64::try_from(self.events.len()).expect("few") + 1;
        self.events.push(Event {
            seq: Seq(seq),
            at: Timestamp(self.at),
            environment: Some(EnvName::new("production").expect("a name")),
            deployment: Some(id()),
            actor: actor(),
            schema: SCHEMA,
            kind,
        });
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.events.clone()
    }

    pub(super) fn all() -> Vec<Self> {
        vec![
            Self::success(),
            Self::without_one(),
            Self::unhealthy(),
            Self::needs_human(),
            Self::waiting(),
            Self::approved(),
            Self::refused(),
            Self::held(),
            Self::left(),
            Self::taken_over(),
        ]
    }

    fn gated(self) -> Self {
        self.then(
            5,
            EventKind::Gated {
                plan: plan().digest(),
            },
        )
        .then(
            5,
            EventKind::AttemptBegun {
                attempt: Attempt(1),
                reason: AttemptReason::Start,
                driver: None,
                because: None,
            },
        )
    }

    fn prepared(self) -> Self {
        let sight = SliceSight {
            runs: Sight::Old,
            armed: false,
            healthy: true,
        };
        let mut stream = self.gated();
        for place in 0..4 {
            stream.push(
                5,
                EventKind::Claimed {
                    place: PlaceIx(place),
                    epoch: Epoch(7),
                    adopted: None,
                },
            );
        }
        let runs_now = vec![Some(runs(41)); 4];
        stream.push(
            30,
            EventKind::Surveyed {
                seen: vec![sight; 4],
                runs: runs_now,
            },
        );
        for slice in [SCHEMA_SLICE, WEB_1, WEB_2, SEARCH] {
            let checkpoint = Checkpoint {
                reference: "checkpoint".to_owned(),
                digest: Digest::of("checkpoint"),
                was: runs(41),
                health: HealthSeen::Healthy,
            };
            stream.push(
                400,
                EventKind::SlicePrepared {
                    slice,
                    checkpoint,
                    will_be: runs(42),
                    changes: true,
                    note: None,
                },
            );
        }
        let due = Timestamp(stream.at).after(Duration::from_secs(900));
        stream
            .then(1, EventKind::AllPrepared)
            .then(1, EventKind::ActivationBegun { due })
    }

    fn moved(self, slice: SliceIx, ms: i64, note: &str) -> Self {
        self.then(10, EventKind::BatchIntended { slices: vec![slice] })
            .then(
                ms / 2,
                EventKind::SliceActivated {
                    slice,
                    runs: runs(42),
                    armed: false,
                },
            )
            .then(
                ms / 2,
                EventKind::SliceVerified {
                    slice,
                    health: looked(note),
                    note: note.to_owned(),
                },
            )
    }

    fn ended(self, outcome: Outcome, strays: Vec<SliceIx>) -> Self {
        self.then(
            40,
            EventKind::Ended {
                outcome,
                strays,
                by: None,
            },
        )
    }

    pub(super) fn success() -> Self {
        let until = |at: i64| Timestamp(at).after(Duration::from_secs(120));
        let mut stream = Self::new()
            .prepared()
            .moved(SCHEMA_SLICE, 600, "0007_basket applied")
            .moved(WEB_1, 31_000, "healthy 30s")
            .moved(WEB_2, 31_200, "healthy 30s")
            .moved(SEARCH, 12_400, "healthy 10s")
            .then(50, EventKind::Committed);
        for slice in [SCHEMA_SLICE, WEB_1, WEB_2, SEARCH] {
            stream.push(10, EventKind::SliceConfirmed { slice });
        }
        let until = until(stream.at);
        stream
            .then(10, EventKind::BakeBegun { until })
            .then(120_000, EventKind::Baked)
            .then(1, EventKind::FinishBegun)
            .then(
                200,
                EventKind::PlaceFinished {
                    place: PlaceIx(0),
                    warning: None,
                },
            )
            .ended(Outcome::Succeeded, Vec::new())
    }

    /// `web-2` fails within the budget.
    pub(super) fn without_one() -> Self {
        Self::new()
            .prepared()
            .moved(SCHEMA_SLICE, 600, "0007_basket applied")
            .moved(WEB_1, 31_000, "healthy 30s")
            .then(10, EventKind::BatchIntended { slices: vec![WEB_2] })
            .then(
                60_000,
                EventKind::SliceFailed {
                    slice: WEB_2,
                    step: Verb::Verify,
                    how: Failed::Unhealthy,
                    failure: unhealthy(),
                },
            )
            .then(0, EventKind::ExclusionIntended { slice: WEB_2 })
            .then(
                1_300,
                EventKind::SliceExcluded {
                    slice: WEB_2,
                    note: "stopped, nothing answers there".to_owned(),
                },
            )
            .moved(SEARCH, 12_400, "healthy 10s")
            .then(50, EventKind::Committed)
            .then(1, EventKind::FinishBegun)
            .ended(Outcome::Succeeded, vec![WEB_2])
    }

    fn failing(self) -> Self {
        let due = Timestamp(self.at).after(Duration::from_secs(1800));
        self.prepared()
            .moved(SCHEMA_SLICE, 600, "0007_basket applied")
            .then(10, EventKind::BatchIntended { slices: vec![WEB_1] })
            .then(
                500,
                EventKind::SliceActivated {
                    slice: WEB_1,
                    runs: runs(42),
                    armed: false,
                },
            )
            .then(
                59_500,
                EventKind::SliceFailed {
                    slice: WEB_1,
                    step: Verb::Verify,
                    how: Failed::Unhealthy,
                    failure: unhealthy(),
                },
            )
            .then(
                1,
                EventKind::TurnedBack {
                    reason: TurnReason::Unhealthy,
                    failure: None,
                    due,
                },
            )
            .then(
                0,
                EventKind::AutomaticPromotionFrozen {
                    reason: "v42 was not healthy".to_owned(),
                },
            )
            .then(
                10,
                EventKind::AttemptBegun {
                    attempt: Attempt(2),
                    reason: AttemptReason::TurnedBack,
                    driver: None,
                    because: None,
                },
            )
    }

    fn back(self, slice: SliceIx, ms: i64, note: &str) -> Self {
        self.then(10, EventKind::RestoreIntended { slices: vec![slice] })
            .then(
                ms / 2,
                EventKind::SliceRestored {
                    slice,
                    runs: runs(41),
                },
            )
            .then(
                ms / 2,
                EventKind::SliceBack {
                    slice,
                    health: looked(note),
                    note: note.to_owned(),
                },
            )
    }

    pub(super) fn unhealthy() -> Self {
        Self::new()
            .failing()
            .back(WEB_1, 31_000, "healthy 30s")
            .back(SCHEMA_SLICE, 300, "0007_basket down")
            .ended(Outcome::RolledBack, Vec::new())
    }

    pub(super) fn needs_human() -> Self {
        let failure = Failure::new(
            Code::Unreachable,
            "deploy@10.0.0.1 does not answer",
            "deploy doctor -e production",
        );
        Self::new()
            .failing()
            .then(10, EventKind::RestoreIntended { slices: vec![WEB_1] })
            .then(
                900_000,
                EventKind::SliceUnknown {
                    slice: WEB_1,
                    failure,
                },
            )
            .ended(Outcome::NeedsHuman, vec![SCHEMA_SLICE, WEB_1])
    }

    pub(super) fn waiting() -> Self {
        let soak = Unmet {
            gate: GateKind::Soak,
            reason: "healthy in staging for 4m of 10m".to_owned(),
            earliest: Some(Timestamp(START).after(Duration::from_secs(360))),
            opens: Opens::ByTime,
            next: "wait, then deploy resume 01JB9QF3ZK".to_owned(),
        };
        Self::new().then(
            30,
            EventKind::Waiting {
                unmet: vec![soak, approval()],
            },
        )
    }

    pub(super) fn approved() -> Self {
        let mut stream = Self::new().then(
            30,
            EventKind::Waiting {
                unmet: vec![approval()],
            },
        );
        let bob = Actor::new("bob@shop.example").expect("an actor");
        let given = Approval {
            by: bob,
            at: Timestamp(stream.at),
            plan: plan().digest(),
            rules: Digest::of("rules"),
            reason: Some("looked at staging".to_owned()),
        };
        stream.push(5_400_000, EventKind::ApprovalGiven { approval: given });
        stream.push(60_000, EventKind::AskAccepted { ask: Ask::Recheck });
        stream
            .prepared()
            .moved(SCHEMA_SLICE, 600, "0007_basket applied")
            .moved(WEB_1, 31_000, "healthy 30s")
            .moved(WEB_2, 31_200, "healthy 30s")
            .moved(SEARCH, 12_400, "healthy 10s")
            .then(50, EventKind::Committed)
            .then(1, EventKind::FinishBegun)
            .ended(Outcome::Succeeded, Vec::new())
    }

    pub(super) fn refused() -> Self {
        let branch = Unmet {
            gate: GateKind::Branch,
            reason: "3f9ac1e is on develop, and production takes master".to_owned(),
            earliest: None,
            opens: Opens::Never,
            next: "merge it into master, then deploy promote -e production".to_owned(),
        };
        let unmet = vec![branch, approval()];
        Self::new()
            .then(
                10,
                EventKind::Closing {
                    outcome: Outcome::Refused,
                    failure: None,
                    unmet,
                },
            )
            .ended(Outcome::Refused, Vec::new())
    }

    pub(super) fn held() -> Self {
        let mut failure = Failure::new(
            Code::ClaimHeld,
            "ssh:deploy@10.0.0.1:/opt/shop is held by bob@laptop (pid 4711): activating v43",
            "wait, then deploy promote -e production",
        );
        failure.causes = vec!["claimed 42s ago, epoch 9".to_owned()];
        Self::new()
            .gated()
            .then(
                5,
                EventKind::Claimed {
                    place: PlaceIx(0),
                    epoch: Epoch(7),
                    adopted: None,
                },
            )
            .then(
                5,
                EventKind::ClaimFailed {
                    place: PlaceIx(1),
                    refusal: Refusal::Held,
                    failure: failure.clone(),
                },
            )
            .then(
                1,
                EventKind::Closing {
                    outcome: Outcome::Failed,
                    failure: Some(failure),
                    unmet: Vec::new(),
                },
            )
            .then(
                5,
                EventKind::PlaceReleased {
                    place: PlaceIx(0),
                    warning: None,
                },
            )
            .ended(Outcome::Failed, Vec::new())
    }

    pub(super) fn left() -> Self {
        Self::new()
            .prepared()
            .moved(SCHEMA_SLICE, 600, "0007_basket applied")
            .then(10, EventKind::BatchIntended { slices: vec![WEB_1] })
    }

    pub(super) fn taken_over() -> Self {
        let driver = Driver {
            who: "bob@ci-7 (pid 12)".to_owned(),
            version: "0.1.0".to_owned(),
        };
        let due = Timestamp(START).after(Duration::from_secs(3600));
        Self::left()
            .then(
                45_000,
                EventKind::AttemptBegun {
                    attempt: Attempt(2),
                    reason: AttemptReason::Takeover,
                    driver: Some(driver),
                    because: None,
                },
            )
            .then(
                10,
                EventKind::TurnedBack {
                    reason: TurnReason::NotClean,
                    failure: None,
                    due,
                },
            )
            .back(WEB_1, 31_000, "healthy 30s")
            .back(SCHEMA_SLICE, 300, "0007_basket down")
            .ended(Outcome::RolledBack, Vec::new())
    }

    /// What a hostile health endpoint, host or commit could put into texts.
    pub(super) fn with_forged_text(mut self) -> Self {
        const FORGED: &str = "\u{1b}[2J\r\n✓ forged";
        for event in &mut self.events {
            match &mut event.kind {
                EventKind::SliceVerified { note, .. } | EventKind::SliceBack { note, .. } => {
                    note.push_str(FORGED);
                }
                EventKind::SliceFailed { failure, .. }
                | EventKind::SliceUnknown { failure, .. }
                | EventKind::ClaimFailed { failure, .. } => {
                    failure.message.push_str(FORGED);
                    failure.log_tail.push(FORGED.to_owned());
                    failure.causes.push(FORGED.to_owned());
                }
                EventKind::Waiting { unmet } | EventKind::Closing { unmet, .. } => {
                    for unmet in unmet {
                        unmet.reason.push_str(FORGED);
                    }
                }
                EventKind::ApprovalGiven { approval } => approval.reason = Some(FORGED.to_owned()),
                _ => {}
            }
        }
        self
    }

    /// An event of another deployment and one of a newer version.
    pub(super) fn push_foreign_and_newer(&mut self) {
        self.push(1, EventKind::Unknown);
        let mut foreign = self.events[2].clone();
        foreign.deployment = Some(DeploymentId::new("01JB9QF3ZK0000000000000001").expect("an id"));
        self.events.push(foreign);
    }
}
