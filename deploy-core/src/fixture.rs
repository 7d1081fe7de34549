//! A small world for tests: streams in memory, machines that are driven by answers, gates judged by the real function. Nothing in
//! it decides; whatever a test sees was decided by the code under test.

#![expect(clippy::unwrap_used, reason = "a fixture: a panic is a failed test")]

use crate::digest::Digest;
use crate::event::{Driver, Event, EventKind, Recorded, Request, SCHEMA};
use crate::failure::{Code, Failure};
use crate::gate::{
    About, Approval, Containment, Evidence, Finding, GateInput, PlanFacts, Rules, Trigger, Unmet, Verdict,
};
use crate::id::{
    Actor, DeploymentId, EnvName, Epoch, EvidenceName, Fingerprint, GroupName, PlaceId, PlaceIx,
    ReleaseNumber, Seq, ServiceIx, ServiceName, SliceIx, SliceName, UnitId, UnitIx,
};
use crate::machine::{
    Answer, Ask, Decision, Effect, Failed, Input, Machine, Outcome, Rejected, Sight, SliceSight, Work,
};
use crate::model::{ArtifactRef, Entry, Release, ReleaseRef, Source};
use crate::plan::{Base, Change, Kind, Limits, OnFailure, Plan, PlannedService, PlannedSlice, WayBack};
use crate::port::target::{Abilities, Adopt, Checkpoint, Fence, HealthSeen, Runs};
use crate::time::Timestamp;
use crate::view::{Current, DeploymentView, EnvironmentView, ProjectView};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// Saturday, 2026-11-21T07:00:00Z.
pub(crate) const START: Timestamp = Timestamp(1_795_244_400_000);

pub(crate) fn env(name: &str) -> EnvName {
    EnvName::new(name).unwrap()
}
pub(crate) fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}
pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}
pub(crate) fn evidence(name: &str) -> EvidenceName {
    EvidenceName::new(name).unwrap()
}
pub(crate) const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}
pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}
pub(crate) fn failure(code: Code, message: &str) -> Failure {
    Failure::new(code, message, "look")
}

/// The release `v<number>`, from a commit whose digits are all the number's last.
pub(crate) fn release(number: u32) -> Release {
    let digit = char::from_digit(number % 16, 16).unwrap();
    Release {
        number: ReleaseNumber(number),
        entries: [(
            ServiceName::new("web").unwrap(),
            Entry::Artifact(ArtifactRef::Tree {
                digest: Digest::of(format!("web {number}")),
            }),
        )]
        .into(),
        files: Digest::of("files"),
        sources: vec![source(digit, "Ann <ann@shop.example>")],
        version: None,
        development: false,
    }
}

pub(crate) fn source(digit: char, author: &str) -> Source {
    Source {
        commit: digit.to_string().repeat(40).parse().unwrap(),
        branch: Some("develop".to_owned()),
        subject: "A change".to_owned(),
        author: author.to_owned(),
        committer: author.to_owned(),
        committed_at: START,
    }
}

pub(crate) fn runs(release: ReleaseRef) -> Runs {
    Runs::Release {
        fingerprint: Fingerprint::new(release.digest.to_string()).unwrap(),
        release: Some(release),
    }
}

pub(crate) fn abilities() -> Abilities {
    Abilities {
        fence: Fence::Lock,
        arms: true,
        removes: true,
        unbroken_since: false,
    }
}

/// Two services of two slices, each slice in a place of its own; `web` needs `api`.
pub(crate) fn plan(kind: Kind, environment: &EnvName, to: ReleaseRef, base: &Base) -> Plan {
    let now = match base {
        Base::Release(release) => runs(*release),
        _ => Runs::Nothing,
    };
    let service = |at: u16, name: &str, needs: Vec<ServiceIx>| PlannedService {
        name: ServiceName::new(name).unwrap(),
        target: "ssh".to_owned(),
        change: Change::Move,
        needs,
        batches: vec![vec![SliceIx(2 * at)], vec![SliceIx(2 * at + 1)]],
        on_failure: OnFailure::Rollback,
        bake: Duration::ZERO,
        abilities: abilities(),
        interrupts: false,
    };
    let slices = (0..4).map(|at: u16| PlannedSlice {
        name: SliceName::new(format!("host-{}", at + 1)).unwrap(),
        service: ServiceIx(at / 2),
        place: PlaceIx(at),
        unit: UnitIx(at),
        now: now.clone(),
        way_back: WayBack::Checkpoint,
    });
    Plan {
        kind,
        environment: environment.clone(),
        release: to,
        base: base.clone(),
        config: Digest::of("config"),
        places: (1..5)
            .map(|at| PlaceId::new(format!("ssh:host-{at}:/opt/{environment}")).unwrap())
            .collect(),
        units: (1..5)
            .map(|at| UnitId::new(format!("host-{at}")).unwrap())
            .collect(),
        services: vec![
            service(0, "api", Vec::new()),
            service(1, "web", vec![ServiceIx(0)]),
        ],
        slices: slices.collect(),
        limits: Limits {
            activation: minutes(10),
            going_back: minutes(10),
            bake: minutes(10),
            attempts: 3,
        },
        notices: Vec::new(),
        differences: Vec::new(),
    }
}

/// Streams, machines, rules, people.
pub(crate) struct World {
    pub(crate) now: Timestamp,
    pub(crate) project: Vec<Event>,
    pub(crate) streams: BTreeMap<EnvName, Vec<Event>>,
    pub(crate) rules: BTreeMap<EnvName, Rules>,
    pub(crate) groups: BTreeMap<GroupName, BTreeSet<Actor>>,
    pub(crate) contained_in: BTreeMap<String, Containment>,
    /// Where transactions ended: events stored, by deployment.
    pub(crate) transactions: BTreeMap<DeploymentId, Vec<usize>>,
    machines: BTreeMap<DeploymentId, Running>,
}

struct Running {
    environment: EnvName,
    machine: Machine,
    sights: Vec<SliceSight>,
}

/// How an effect is answered; `None`: well.
pub(crate) type Answers<'a> = &'a mut dyn FnMut(&Machine, Effect) -> Option<Answer>;

impl World {
    pub(crate) fn new() -> Self {
        Self {
            now: START,
            project: Vec::new(),
            streams: BTreeMap::new(),
            rules: BTreeMap::new(),
            groups: BTreeMap::new(),
            contained_in: BTreeMap::new(),
            transactions: BTreeMap::new(),
            machines: BTreeMap::new(),
        }
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.now = self.now.after(span);
    }

    pub(crate) fn project(&self) -> ProjectView {
        ProjectView::fold(&self.project)
    }

    pub(crate) fn environment(&self, name: &str) -> EnvironmentView {
        let name = env(name);
        EnvironmentView::fold(&name, self.streams.get(&name).into_iter().flatten())
    }

    pub(crate) fn view(&self, id: &DeploymentId) -> DeploymentView {
        DeploymentView::fold(id, &self.streams[&self.machines[id].environment]).unwrap()
    }

    pub(crate) fn machine(&self, id: &DeploymentId) -> &Machine {
        &self.machines[id].machine
    }

    /// A fact of the project.
    pub(crate) fn tell_project(&mut self, by: &str, kind: EventKind) {
        let seq = Seq(self.project.len() as u64 + 1);
        self.project.push(Event {
            seq,
            at: self.now,
            environment: None,
            deployment: None,
            actor: actor(by),
            schema: SCHEMA,
            kind,
        });
    }

    /// A fact of an environment, or of a deployment there.
    pub(crate) fn tell(
        &mut self,
        place: &str,
        by: &str,
        deployment: Option<&DeploymentId>,
        kind: EventKind,
    ) -> Event {
        let stream = self.streams.entry(env(place)).or_default();
        let event = Event {
            seq: Seq(stream.len() as u64 + 1),
            at: self.now,
            environment: Some(env(place)),
            deployment: deployment.cloned(),
            actor: actor(by),
            schema: SCHEMA,
            kind,
        };
        stream.push(event.clone());
        event
    }

    /// Makes a release, so that the project knows it.
    pub(crate) fn make(&mut self, number: u32) -> Release {
        let release = release(number);
        self.tell_project(
            "ci",
            EventKind::ReleaseMade {
                release: Box::new(release.clone()),
            },
        );
        release
    }

    /// A deployment that was asked for and planned.
    pub(crate) fn ask(&mut self, place: &str, kind: Kind, release: &Release, by: &str) -> DeploymentId {
        self.ask_with(place, kind, release, by, |plan| plan)
    }

    pub(crate) fn ask_with(
        &mut self,
        place: &str,
        kind: Kind,
        release: &Release,
        by: &str,
        change: impl FnOnce(Plan) -> Plan,
    ) -> DeploymentId {
        let id: DeploymentId = format!("01J00000{:02}0000000000000000", self.machines.len())
            .parse()
            .unwrap();
        let request = Request {
            key: id.to_string(),
            kind,
            release: release.to_ref(),
            actor: actor(by),
            established: "os user".to_owned(),
            branch: Some("develop".to_owned()),
            reason: None,
            services: Vec::new(),
            adopt: Adopt::Refuse,
            options: BTreeMap::new(),
        };
        let base = match self.environment(place).current {
            Current::Nothing => Base::Nothing,
            Current::Release(release) => Base::Release(release),
            Current::Unknown => Base::Mixed,
        };
        let plan = change(plan(kind, &env(place), release.to_ref(), &base));
        self.tell(place, by, Some(&id), EventKind::Requested { request });
        self.tell(
            place,
            by,
            Some(&id),
            EventKind::Planned {
                digest: plan.digest(),
                plan: Box::new(plan.clone()),
            },
        );
        let old = SliceSight {
            runs: Sight::Old,
            armed: false,
            healthy: true,
        };
        self.machines.insert(
            id.clone(),
            Running {
                environment: env(place),
                sights: vec![old; plan.slices.len()],
                machine: Machine::new(Arc::new(plan)),
            },
        );
        id
    }

    /// What the world looks like to the machine's surveys.
    pub(crate) fn sights(&mut self, id: &DeploymentId) -> &mut Vec<SliceSight> {
        &mut self.machines.get_mut(id).unwrap().sights
    }

    /// Feeds inputs; stores and applies what follows.
    pub(crate) fn feed(&mut self, id: &DeploymentId, inputs: &[Input]) -> Result<Decision, Rejected> {
        let running = &self.machines[id];
        let place = running.environment.clone();
        let decision = running.machine.decide(self.now, inputs)?;
        for kind in &decision.events {
            let event = self.tell(place.as_str(), "engine", Some(id), kind.clone());
            self.machines
                .get_mut(id)
                .unwrap()
                .machine
                .apply(&Recorded::stored(event, Digest::of("")))
                .unwrap();
        }
        let stored = self.streams[&place]
            .iter()
            .filter(|event| event.deployment.as_ref() == Some(id))
            .count();
        self.transactions.entry(id.clone()).or_default().push(stored);
        if let Some(EventKind::Ended {
            outcome: Outcome::Succeeded,
            ..
        }) = decision.events.last()
        {
            let release = self.machines[id].machine.plan().release;
            self.verified(place.as_str(), release, Finding::Passed);
        }
        Ok(decision)
    }

    pub(crate) fn asked(&mut self, id: &DeploymentId, ask: Ask) -> Result<Decision, Rejected> {
        self.feed(id, &[Input::Asked { ask, by: None }])
    }

    pub(crate) fn take_over(&mut self, id: &DeploymentId) -> Result<Decision, Rejected> {
        self.feed(
            id,
            &[Input::Taken {
                driver: Driver {
                    who: "bob@ci (pid 1)".to_owned(),
                    version: "0.1.0".to_owned(),
                },
            }],
        )
    }

    pub(crate) fn answer(
        &mut self,
        id: &DeploymentId,
        effect: Effect,
        answer: Answer,
    ) -> Result<Decision, Rejected> {
        self.feed(id, &[Input::Answered { effect, answer }])
    }

    /// The outstanding effect of this work.
    pub(crate) fn effect(&self, id: &DeploymentId, work: Work) -> Effect {
        let outstanding = self.machine(id).outstanding();
        *outstanding
            .iter()
            .find(|effect| effect.work == work)
            .unwrap_or_else(|| panic!("{work:?} is not outstanding: {outstanding:?}"))
    }

    /// Answers everything that is outstanding until nothing follows any more.
    pub(crate) fn run(&mut self, id: &DeploymentId) {
        self.run_with(id, &mut |_, _| None);
    }

    /// The same, with some answers given by the test.
    pub(crate) fn run_with(&mut self, id: &DeploymentId, answers: Answers<'_>) {
        self.run_until(id, answers, |_| false);
    }

    /// The same, until a condition holds.
    pub(crate) fn run_until(
        &mut self,
        id: &DeploymentId,
        answers: Answers<'_>,
        done: impl Fn(&Machine) -> bool,
    ) {
        for _ in 0..200 {
            if done(self.machine(id)) {
                return;
            }
            let open: Vec<Effect> = self
                .machine(id)
                .outstanding()
                .into_iter()
                .filter(|effect| !matches!(effect.work, Work::KeepArmed | Work::Watch))
                .collect();
            let Some(effect) = open.first().copied() else {
                return;
            };
            let answer = answers(self.machine(id), effect).unwrap_or_else(|| self.well(id, effect));
            match self.answer(id, effect, answer) {
                Ok(_) => {}
                Err(why) => panic!("{effect:?}: {why}"),
            }
        }
        panic!("it does not come to rest");
    }

    fn well(&mut self, id: &DeploymentId, effect: Effect) -> Answer {
        let release = self.machine(id).plan().release;
        let before = |world: &Self, slice: SliceIx| world.machine(id).plan().slice(slice).now.clone();
        match effect.work {
            Work::Judge => Answer::Judged {
                verdict: self.verdict(id),
                replanned: None,
            },
            Work::Claim(place) => {
                let known = self.machine(id).state().place(place).epoch;
                let environment = self.machines[id].environment.clone();
                let named = &self.machine(id).plan().places[place.at()];
                let journal = self.environment(environment.as_str()).epochs.get(named).copied();
                Answer::Claimed {
                    epoch: known.max(journal).unwrap_or(Epoch(0)).next(),
                    adopted: None,
                }
            }
            Work::Survey | Work::Look => Answer::Seen {
                seen: self.machines[id].sights.clone(),
                runs: vec![None; self.machines[id].sights.len()],
                outdated: false,
                fresh: true,
                failure: None,
            },
            Work::Prepare(slice) => Answer::Prepared {
                checkpoint: Checkpoint {
                    reference: "checkpoint".to_owned(),
                    digest: Digest::of("checkpoint"),
                    was: before(self, slice),
                    health: HealthSeen::Healthy,
                },
                will_be: runs(release),
                changes: true,
            },
            Work::Activate(slice) => {
                let sight = &mut self.sights(id)[slice.at()];
                (sight.runs, sight.armed) = (Sight::New, true);
                Answer::Moved {
                    runs: runs(release),
                    armed: true,
                }
            }
            Work::Restore(slice) => {
                let sight = &mut self.sights(id)[slice.at()];
                (sight.runs, sight.armed) = (Sight::Old, false);
                Answer::Moved {
                    runs: before(self, slice),
                    armed: false,
                }
            }
            Work::Confirm(slice) => {
                self.sights(id)[slice.at()].armed = false;
                done()
            }
            _ => done(),
        }
    }

    /// Deploys and comes to an end; everything answers well.
    pub(crate) fn deploy(&mut self, place: &str, release: &Release) -> DeploymentId {
        self.go(place, Kind::Deploy, release)
    }

    pub(crate) fn roll_back(&mut self, place: &str, release: &Release) -> DeploymentId {
        self.go(place, Kind::Rollback, release)
    }

    fn go(&mut self, place: &str, kind: Kind, release: &Release) -> DeploymentId {
        let id = self.ask(place, kind, release, "ann@shop.example");
        self.run(&id);
        assert_eq!(self.machine(&id).ended(), Some(Outcome::Succeeded));
        id
    }

    /// Evidence that a release was verified somewhere.
    pub(crate) fn verified(&mut self, place: &str, release: ReleaseRef, finding: Finding) {
        let evidence = self.found("verified", About::Digest(release.digest), finding);
        let evidence = Evidence {
            environment: Some(env(place)),
            ..evidence
        };
        self.tell(place, "engine", None, EventKind::EvidenceGiven { evidence });
    }

    pub(crate) fn found(&self, name: &str, about: About, finding: Finding) -> Evidence {
        Evidence {
            name: evidence(name),
            about,
            environment: None,
            finding,
            by: actor("ci"),
            at: self.now,
            valid_until: None,
            run: None,
            note: "128 tests".to_owned(),
        }
    }

    /// Somebody approves what a deployment plans, under the rules as they are.
    pub(crate) fn approve(&mut self, id: &DeploymentId, by: &str) {
        let place = self.machines[id].environment.clone();
        let approval = Approval {
            by: actor(by),
            at: self.now,
            plan: self.machine(id).plan().digest(),
            rules: self.rules_of(&place).digest(),
            reason: None,
        };
        self.tell(
            place.as_str(),
            by,
            Some(id),
            EventKind::ApprovalGiven { approval },
        );
    }

    pub(crate) fn reject(&mut self, id: &DeploymentId, by: &str) {
        let place = self.machines[id].environment.clone();
        let rejected = EventKind::ApprovalRejected {
            by: actor(by),
            reason: Some("not today".to_owned()),
        };
        self.tell(place.as_str(), by, Some(id), rejected);
    }

    fn rules_of(&self, place: &EnvName) -> Rules {
        self.rules.get(place).cloned().unwrap_or_default()
    }

    /// What all gates say of a deployment now.
    pub(crate) fn verdict(&self, id: &DeploymentId) -> Verdict {
        self.gates(id, crate::gate::judge)
    }

    pub(crate) fn unmet(&self, id: &DeploymentId) -> Vec<Unmet> {
        self.verdict(id).unmet().to_vec()
    }

    /// Hands a test the input that a deployment's gates are judged by.
    pub(crate) fn gates<T>(&self, id: &DeploymentId, judge: impl FnOnce(&GateInput<'_>) -> T) -> T {
        let running = &self.machines[id];
        let view = self.view(id);
        let request = view.request.as_ref().unwrap();
        let project = self.project();
        let release = project.by_digest(request.release.digest).unwrap();
        let environments: BTreeMap<EnvName, EnvironmentView> = self
            .streams
            .keys()
            .map(|name| (name.clone(), self.environment(name.as_str())))
            .collect();
        judge(&GateInput {
            now: self.now,
            environment: &running.environment,
            deployment: Some(id),
            kind: request.kind,
            actor: &request.actor,
            trigger: Trigger::Command,
            confirmed: None,
            plan: Some(PlanFacts::of(running.machine.plan())),
            release,
            project: &project,
            environments: &environments,
            rules: &self.rules_of(&running.environment),
            groups: &self.groups,
            contained_in: &self.contained_in,
            not_acting: &[],
        })
    }
}

pub(crate) fn done() -> Answer {
    Answer::Done {
        note: "healthy 10s".to_owned(),
        warning: None,
    }
}

pub(crate) fn fails(how: Failed) -> Answer {
    Answer::Failed {
        how,
        slice: None,
        failure: failure(Code::RemoteFailed, "it did not work"),
    }
}
