//! What a manifest says and this version does not do yet: named one line each, and refused where leaving it out would make
//! a gate weaker or a deployment something else than what was written.

use super::assemble;
use super::keys::artifact::ArtifactKind;
use super::keys::project::Records;
use super::keys::service::HookPoint;
use super::keys::strategy::StrategyKind;
use super::keys::target::TargetKind;
use super::model::{Content, Environment, Origin};
use super::parse::Manifest;
use crate::id::EvidenceName;
use crate::problem::position;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What `fail_on` of a check does not do.
const FAIL_ON: &str = "findings are not judged by their severity: only whether the check passed counts";

/// What the program at hand acts on. Which kinds are compiled in is for whoever holds them to say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Acts {
    /// The kinds of target, each with the strategies that it follows as they are written.
    pub kinds: BTreeMap<TargetKind, BTreeSet<StrategyKind>>,
    /// What can be made of a commit.
    pub artifacts: BTreeSet<ArtifactForm>,
}

/// What an artifact is, without how it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ArtifactForm {
    /// A tree of files.
    Tree,
    /// A container image.
    Image,
    /// A disk image.
    Disk,
}

impl ArtifactForm {
    const fn of(kind: &ArtifactKind) -> Self {
        match kind {
            ArtifactKind::Tree { .. } => Self::Tree,
            ArtifactKind::Image { .. } => Self::Image,
            ArtifactKind::Disk { .. } => Self::Disk,
        }
    }

    /// The key that makes an artifact one, and what is said while nothing acts on it.
    const fn later(self) -> (&'static str, &'static str) {
        match self {
            Self::Tree => ("output", "trees come later"),
            Self::Image => ("image", "container images come later"),
            Self::Disk => ("disk", "disk images come later"),
        }
    }
}

/// A key that is understood and checked, and on which nothing acts yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NotYet {
    /// The line it stands on, from 1; 0 where a default of ours or a variable says it.
    pub line: u32,
    /// The key: `environments.production.smoke`.
    pub key: String,
    /// Whether `up` refuses it: leaving it out would weaken a gate, or deploy otherwise than written.
    pub weakens_gate: bool,
    /// What does not happen, for people.
    pub reason: String,
}

impl std::fmt::Display for NotYet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "line {}: `{}` does not act yet: {}",
            self.line, self.key, self.reason
        )?;
        if self.weakens_gate {
            f.write_str("; `up` refuses it")
        } else {
            Ok(())
        }
    }
}

/// Everything in a manifest that does not act yet, in the order of the file. What only a variable decides is not in it.
pub fn not_yet(manifest: &Manifest, acts: &Acts) -> Vec<NotYet> {
    let mut found = of_project(manifest);
    for name in manifest.environments() {
        if let Some(environment) = assemble::leniently(manifest.draft(), name) {
            found.extend(of_environment(manifest, &environment, acts));
        }
    }
    found.sort();
    // A service's line is found once for every environment it is in.
    found.dedup_by(|a, b| {
        let same = (a.line, &a.reason) == (b.line, &b.reason) && a.line > 0;
        // A check that nothing asks for weakens nothing; where one environment asks for it, that counts.
        b.weakens_gate |= same && a.weakens_gate;
        same
    });
    found
}

/// What does not act yet in one environment; `up` refuses those that weaken a gate.
pub fn not_yet_in(manifest: &Manifest, environment: &Environment, acts: &Acts) -> Vec<NotYet> {
    let mut found = of_environment(manifest, environment, acts);
    found.sort();
    found
}

fn line(manifest: &Manifest, path: &[&str]) -> u32 {
    let entry = path
        .split_last()
        .and_then(|(key, table)| manifest.root.at(table)?.as_table()?.0.get(*key));
    entry.map_or(0, |entry| position(&manifest.text, entry.key.start).0)
}

fn of_project(manifest: &Manifest) -> Vec<NotYet> {
    let mut found = Vec::new();
    let mut add = |path: &[&str], reason: &str| {
        let line = line(manifest, path);
        found.push(NotYet {
            line,
            key: path.join("."),
            weakens_gate: false,
            reason: reason.to_owned(),
        });
    };
    for (table, reason) in [
        ("load", "no load is put on an environment"),
        ("notify", "nobody is told"),
        ("smoke", "smoke tests do not run"),
    ] {
        for name in manifest
            .root
            .at(&[table])
            .and_then(super::node::Node::as_table)
            .into_iter()
            .flat_map(|t| t.0.keys())
        {
            add(&[table, name], reason);
        }
    }
    if manifest.root.at(&["server"]).is_some() {
        add(&["server"], "there is no `deploy serve`");
    }
    for (name, entry) in manifest.root.entries(&["checks"]) {
        if entry.node.at(&["github"]).is_some() {
            add(
                &["checks", name, "github"],
                "results are not fetched; bring them with `deploy attest`",
            );
        }
    }
    for (name, entry) in manifest.root.entries(&["checks"]) {
        if entry.node.at(&["fail_on"]).is_some() {
            add(&["checks", name, "fail_on"], FAIL_ON);
        }
    }
    if let Ok(project) = manifest.project(&|_| None)
        && matches!(project.records, Some(Records::OnHosts(_)))
    {
        add(&["project", "records"], "records are written here only");
    }
    found
}

fn of_environment(manifest: &Manifest, environment: &Environment, acts: &Acts) -> Vec<NotYet> {
    let mut found = Vec::new();
    let name = environment.name.as_str();
    let mut own = |key: &str, used: bool, weakens_gate: bool, reason: &str| {
        if used {
            let line = line(manifest, &["environments", name, key]);
            let key = format!("environments.{name}.{key}");
            found.push(NotYet {
                line,
                key,
                weakens_gate,
                reason: reason.to_owned(),
            });
        }
    };
    own(
        "smoke",
        !environment.smoke.is_empty(),
        true,
        "smoke tests do not run",
    );
    own(
        "may_fail",
        !environment.may_fail.is_empty(),
        false,
        "smoke tests do not run",
    );
    own(
        "prometheus",
        environment.prometheus.is_some(),
        false,
        "metrics are not asked",
    );
    own(
        "flags",
        environment.flags.is_some(),
        false,
        "feature flags are not written",
    );
    own(
        "checklist",
        !environment.checklist.during.is_empty(),
        false,
        "`during` items are not recorded",
    );
    for check in asked_for(environment) {
        let path = ["checks", check.as_str(), "fail_on"];
        if manifest.root.at(&path).is_some() {
            found.push(NotYet {
                line: line(manifest, &path),
                key: path.join("."),
                weakens_gate: true,
                reason: FAIL_ON.to_owned(),
            });
        }
    }
    // The place of a service's key: where the merged value came from.
    let place = |key: &str| {
        let below = format!("{key}.");
        let setting = environment
            .settings
            .iter()
            .find(|s| s.key == key || s.key.starts_with(&below));
        match setting.map(|setting| &setting.origin) {
            Some(Origin::Manifest { line, .. }) => *line,
            _ => 0,
        }
    };
    for (name, service) in &environment.services {
        let mut add = |key: &str, weakens_gate: bool, reason: String| {
            let key = format!("services.{name}.{key}");
            found.push(NotYet {
                line: place(&key),
                key,
                weakens_gate,
                reason,
            });
        };
        let kind = service.kind();
        let chosen = service.strategy.kind;
        match acts.kinds.get(&kind) {
            None => add(kind.as_str(), true, format!("this program has no {kind} target")),
            Some(strategies) if !strategies.contains(&chosen) => {
                add("strategy.kind", true, format!("{chosen} comes later"));
            }
            Some(_) => {
                if chosen == StrategyKind::BlueGreen
                    && service
                        .strategy
                        .proxy
                        .as_ref()
                        .is_some_and(|proxy| proxy.haproxy.is_some())
                {
                    let reason = "HAProxy comes later: nginx and Caddy act".to_owned();
                    add("strategy.proxy.haproxy", true, reason);
                }
                if !service.strategy.max_failures.is_zero() && chosen != StrategyKind::Rolling {
                    let reason = format!("{chosen} has no failure budget: the first failure turns back");
                    add("strategy.max_failures", false, reason);
                }
            }
        }
        for hook in service.hooks.iter().filter(|hook| hook.at == HookPoint::Build) {
            let reason = "it does not run while the artifact is built".to_owned();
            add(&format!("hooks.{}.at", hook.name), true, reason);
        }
        for analysis in service.analysis.keys() {
            add(
                &format!("analysis.{analysis}"),
                true,
                "metrics are not compared".to_owned(),
            );
        }
        if let Content::Artifact(artifact) = &service.content
            && let Some((key, reason)) = artifact_not_yet(manifest, artifact.as_str(), acts)
        {
            let line = line(manifest, &["artifacts", artifact.as_str(), key]);
            found.push(NotYet {
                line,
                key: format!("artifacts.{artifact}.{key}"),
                weakens_gate: true,
                reason: reason.to_owned(),
            });
        }
    }
    found
}

/// The checks that gate an environment: its own, and those that are the evidence of an item of a checklist.
fn asked_for(environment: &Environment) -> BTreeSet<&EvidenceName> {
    let inherited = environment
        .inherited_checklist
        .values()
        .flat_map(BTreeMap::values);
    let items = environment.checklist.before.values().chain(inherited);
    let evidence = items.filter_map(|item| item.evidence.as_ref());
    environment.checks.iter().chain(evidence).collect()
}

fn artifact_not_yet(manifest: &Manifest, name: &str, acts: &Acts) -> Option<(&'static str, &'static str)> {
    let artifacts = assemble::lenient_artifacts(manifest.draft())?;
    let artifact = artifacts.get(name)?;
    if artifact.on.is_some() {
        return Some(("on", "artifacts are built here only"));
    }
    let form = ArtifactForm::of(&artifact.kind);
    (!acts.artifacts.contains(&form)).then(|| form.later())
}
