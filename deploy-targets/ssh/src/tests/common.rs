//! A service on hosts for the tests: this machine, or sshd on the loopback.

use crate::{
    Address, Check, Connections, Hook, HookPoint, HostBinding, HostScript, SshBinding, SshTarget, listing,
};
use deploy_core::command::Command;
use deploy_core::digest::Digest;
use deploy_core::id::{Attempt, DeploymentId, Epoch, PlaceId, ReleaseNumber, SliceName, StoreId};
use deploy_core::model::{ArtifactRef, Entry, ReleaseRef};
use deploy_core::port::target::{
    Adopt, Claim, ClaimRequest, Cleanup, Desired, HolderNote, Move, Op, Prepared, ProgressSink, Restore,
    Runs, Secret, Stop, Target, TargetError,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Ids as people would have them: `deployment(3)`.
pub(crate) fn deployment(number: u32) -> DeploymentId {
    DeploymentId::new(format!("01JB{number:022}")).unwrap()
}
pub(crate) fn store(number: u32) -> StoreId {
    StoreId::new(format!("01SS{number:022}")).unwrap()
}

#[derive(Debug, Default)]
pub(crate) struct Lines(pub(crate) Mutex<Vec<String>>);

impl ProgressSink for Lines {
    fn step(&self, _: u64, _: u64, _: &str) {}
    fn line(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) binding: SshBinding,
    pub(crate) lines: Arc<Lines>,
    pub(crate) connections: Connections,
}

pub(crate) fn shell(text: &str) -> HostScript {
    HostScript {
        command: Command::Shell(text.to_owned()),
        limit: Duration::from_secs(20),
    }
}

pub(crate) fn hook(name: &str, at: HookPoint, text: &str) -> Hook {
    Hook {
        name: name.to_owned(),
        at,
        if_changed: Vec::new(),
        produces: Vec::new(),
        script: shell(text),
    }
}

impl World {
    /// One local host; the service's path does not exist yet.
    pub(crate) fn local() -> Self {
        Self::at(Address::Local)
    }

    pub(crate) fn at(address: Address) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binding = SshBinding {
            service: "web".parse().unwrap(),
            environment: "staging".parse().unwrap(),
            hosts: vec![HostBinding {
                name: "web-1".parse().unwrap(),
                address,
                path: dir.path().join("opt/app").to_str().unwrap().to_owned(),
                variables: BTreeMap::new(),
            }],
            restart: Some(shell(
                "echo \"$DEPLOY_DIR\" >>\"$(dirname \"$DEPLOY_PATH\")/restarts\"",
            )),
            stop: None,
            shared: Vec::new(),
            links: false,
            hooks: Vec::new(),
            beside: None,
            failpoint: None,
        };
        Self {
            dir,
            binding,
            lines: Arc::default(),
            connections: Connections::default(),
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("opt/app")
    }

    pub(crate) fn target(&self) -> SshTarget {
        SshTarget::new(self.binding.clone(), &self.connections).unwrap()
    }

    /// Whether progress said so.
    pub(crate) fn told(&self, text: &str) -> bool {
        self.lines
            .0
            .lock()
            .unwrap()
            .iter()
            .any(|line| line.contains(text))
    }

    pub(crate) fn restarts(&self) -> usize {
        std::fs::read_to_string(self.dir.path().join("opt/restarts")).map_or(0, |text| text.lines().count())
    }

    pub(crate) fn op(&self, claim: &Claim) -> Op {
        Op {
            key: Digest::of("key"),
            claim: claim.clone(),
            attempt: Attempt(1),
            limit: Duration::from_secs(30),
            progress: Arc::clone(&self.lines) as Arc<dyn ProgressSink>,
        }
    }

    /// A release with these files.
    pub(crate) fn release(&self, number: u32, files: &[(&str, &str)]) -> Arc<Desired> {
        let folder = self.dir.path().join(format!("artifact-{number}"));
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in files {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        Self::release_of(number, &folder)
    }

    pub(crate) fn release_of(number: u32, folder: &Path) -> Arc<Desired> {
        let digest = listing::walk(folder).unwrap().digest();
        Arc::new(Desired {
            release: ReleaseRef {
                digest: Digest::of(format!("release {number}")),
                number: ReleaseNumber(number),
            },
            entry: Entry::Artifact(ArtifactRef::Tree { digest }),
            config: Digest::of("config"),
            local: Some(folder.to_owned()),
            facts: BTreeMap::from([("DEPLOY_RELEASE".to_owned(), format!("v{number}"))]),
            variables: BTreeMap::from([("TOKEN".to_owned(), Secret::new("a\"b\\c $d\n`e'"))]),
            secrets: BTreeSet::from(["TOKEN".to_owned()]),
        })
    }
}

pub(crate) fn slice() -> SliceName {
    SliceName::new("web-1").unwrap()
}

pub(crate) async fn place(target: &SshTarget) -> PlaceId {
    target.slices().await.unwrap()[0].place.clone()
}

pub(crate) fn request(deployment_number: u32) -> ClaimRequest {
    ClaimRequest {
        store: store(1),
        deployment: deployment(deployment_number),
        known: Epoch(0),
        may_take: Vec::new(),
        adopt: Adopt::Refuse,
        note: HolderNote {
            who: "alice@laptop (pid 1)".to_owned(),
            since: "2026-01-02T03:04:05Z".parse().ok(),
            step: "activating v2".to_owned(),
        },
    }
}

pub(crate) async fn claim(target: &SshTarget, deployment_number: u32) -> Result<Claim, TargetError> {
    target
        .claim(&place(target).await, &request(deployment_number))
        .await
}

/// What the doctor finds on every host.
pub(crate) async fn examined(target: &SshTarget) -> Vec<Check> {
    let mut checks = Vec::new();
    for host in target.host_names() {
        checks.extend(target.doctor_of(host).await);
    }
    checks
}

pub(crate) async fn seen(target: &SshTarget) -> Runs {
    target.observe(&[slice()]).await.unwrap().remove(0).runs.unwrap()
}

pub(crate) async fn step(target: &SshTarget, to: &Arc<Desired>) -> Move {
    Move {
        slice: slice(),
        to: Arc::clone(to),
        expect: seen(target).await,
        arm: None,
        checkpoint: None,
    }
}

pub(crate) fn back(prepared: &Prepared) -> Restore {
    Restore {
        slice: slice(),
        checkpoint: prepared.checkpoint.clone(),
        ours: vec![prepared.will_be.clone()],
    }
}

/// Takes out of service what a deployment brought, or found.
pub(crate) fn out(prepared: &Prepared) -> Stop {
    Stop {
        slice: slice(),
        may_run: vec![
            prepared.will_be.clone(),
            prepared.checkpoint.was.clone(),
            Runs::Nothing,
        ],
    }
}

/// Ends a deployment; the release before it is kept.
pub(crate) async fn end(target: &SshTarget, op: &Op) {
    let cleanup = Cleanup::Prune { keep: 5 };
    target.finish(op, &place(target).await, &cleanup).await.unwrap();
}

/// Claim, prepare, activate, verify.
pub(crate) async fn bring(
    world: &World,
    target: &SshTarget,
    number: u32,
    to: &Arc<Desired>,
) -> (Op, Move, Prepared) {
    let claim = claim(target, number).await.unwrap();
    let op = world.op(&claim);
    let mut step = step(target, to).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    let runs = target.activate(&op, &step).await.unwrap();
    assert_eq!(runs, prepared.will_be);
    target.verify(&op, &slice(), &runs).await.unwrap();
    (op, step, prepared)
}

/// The same, armed for this long.
pub(crate) async fn arm(
    world: &World,
    target: &SshTarget,
    number: u32,
    to: &Arc<Desired>,
    span: Duration,
) -> (Op, Prepared) {
    let op = world.op(&claim(target, number).await.unwrap());
    let mut step = step(target, to).await;
    let prepared = target.prepare(&op, &step).await.unwrap();
    step.checkpoint = Some(prepared.checkpoint.clone());
    step.arm = Some(span);
    assert_eq!(target.activate(&op, &step).await.unwrap(), prepared.will_be);
    (op, prepared)
}

/// The processes that wait to put the world's path back.
pub(crate) fn watchers(world: &World) -> Vec<u32> {
    let store = world.path().join(".deploy/revert");
    let wanted = store.to_str().unwrap().as_bytes();
    let is_one = |pid: &u32| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == wanted))
    };
    let pids = std::fs::read_dir("/proc").unwrap();
    pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(is_one)
        .collect()
}
