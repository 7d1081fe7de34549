//! The rules of an environment, from its configuration to the plain types that gates judge by; and the facts of git they need.

use super::Engine;
use crate::source::git::Git;
use deploy_core::gate::Containment;
use deploy_core::gate::rules::{Act, ApprovalRule, CheckRule, Freeze, Item, Rules, When};
use deploy_core::gate::window::{WeekTime, Window};
use deploy_core::id::{CommitId, EvidenceName, GroupName};
use deploy_core::manifest::{self, ChecklistItem, Environment, FreezeWindow, Glob, acting};
use deploy_core::model::Release;
use std::collections::{BTreeMap, BTreeSet};

/// The rules of an environment.
pub(super) fn rules(environment: &Environment, project: &manifest::Project) -> Rules {
    let branches: BTreeSet<_> = environment
        .branches
        .iter()
        .map(|glob| glob.as_str().to_owned())
        .collect();
    let groups = |names: &Option<Vec<GroupName>>, act| {
        names
            .as_ref()
            .map(|names| (act, names.iter().cloned().collect::<BTreeSet<_>>()))
    };
    let allow = [
        groups(&environment.allow.deploy, Act::Deploy),
        groups(&environment.allow.rollback, Act::Rollback),
    ];
    let mut confirm = BTreeSet::new();
    if environment.confirm.deploy {
        confirm.insert(Act::Deploy);
    }
    if environment.confirm.rollback {
        confirm.insert(Act::Rollback);
    }
    let mut rules = Rules {
        branches: (!branches.is_empty()).then_some(branches),
        after: environment.after.iter().cloned().collect(),
        soak: environment.soak,
        checks: environment
            .checks
            .iter()
            .map(|name| (name.clone(), check(project.checks.get(name))))
            .collect(),
        checklist: items(&environment.checklist.before, When::Before)
            .chain(items(&environment.checklist.during, When::During))
            .chain(items(&environment.checklist.after, When::After))
            .collect(),
        upstream_items: environment
            .inherited_checklist
            .iter()
            .map(|(name, list)| (name.clone(), items(list, When::After).collect()))
            .collect(),
        approvals: environment
            .approvals
            .iter()
            .filter(|(_, rule)| rule.count > 0)
            .map(|(name, rule)| {
                let rule = ApprovalRule {
                    count: rule.count,
                    from: rule.from.iter().cloned().collect(),
                    not_author: rule.not_author,
                };
                (name.to_string(), rule)
            })
            .collect(),
        freezes: environment
            .freezes
            .iter()
            .map(|(name, freeze)| (name.to_string(), self::freeze(freeze)))
            .collect(),
        allow: allow.into_iter().flatten().collect(),
        confirm,
        groups: BTreeMap::new(),
    };
    let named = |group: &&GroupName| project.groups.get(*group).cloned().unwrap_or_default();
    rules.groups = rules
        .named_groups()
        .iter()
        .map(|group| ((*group).clone(), named(group)))
        .collect();
    rules
}

fn check(check: Option<&manifest::Check>) -> CheckRule {
    CheckRule {
        fail_on: check
            .and_then(|check| check.fail_on)
            .map(|severity| severity.to_string()),
        valid_for: check.and_then(|check| check.valid_for).map(manifest::Period::get),
    }
}

fn items(
    list: &BTreeMap<EvidenceName, ChecklistItem>,
    when: When,
) -> impl Iterator<Item = (EvidenceName, Item)> + use<'_> {
    list.iter().map(move |(name, item)| {
        (
            name.clone(),
            Item {
                text: item.text.clone(),
                evidence: item.evidence.clone(),
                when,
            },
        )
    })
}

fn freeze(freeze: &manifest::Freeze) -> Freeze {
    let week = |time: &manifest::WeekTime| {
        time.to_string()
            .parse::<WeekTime>()
            .expect("the manifest checked the same form")
    };
    let window = match &freeze.window {
        FreezeWindow::Weekly { from, to } => Window::Weekly {
            from: week(from),
            to: week(to),
            tz: freeze.tz.as_str().parse().expect("the manifest checked the zone"),
        },
        FreezeWindow::Once { from, to } => Window::Once { from: *from, to: *to },
    };
    Freeze {
        window,
        reason: freeze.reason.clone(),
    }
}

impl Engine {
    /// For each branch of the rules: whether it contains a commit of the release. What git cannot tell is not known, and not met.
    pub(super) async fn containment(
        &self,
        environment: &Environment,
        release: &Release,
        claimed: Option<&str>,
    ) -> BTreeMap<String, Containment> {
        let mut facts = BTreeMap::new();
        if environment.branches.is_empty() {
            return facts;
        }
        let found = match &*self.git {
            Ok(git) => containing(git, release, claimed).await,
            Err(error) => Err(error.to_string()),
        };
        for glob in &environment.branches {
            facts.insert(glob.as_str().to_owned(), contained(glob, &found));
        }
        facts
    }

    /// Keys of the manifest that do not act yet and would weaken a gate here.
    pub(super) fn not_acting(&self, environment: &Environment) -> Vec<String> {
        acting::not_yet_in(&self.manifest, environment, &self.kit.acts())
            .into_iter()
            .filter(|key| key.weakens_gate)
            .map(|key| key.key)
            .collect()
    }
}

/// What git tells of the branches.
struct Branches {
    /// Those that contain a commit of the release, with it.
    holding: Vec<(String, CommitId)>,
    /// All there are.
    all: Vec<String>,
    /// Only a part of the history is here: that a branch holds a commit may be seen, and that it does not may not.
    shallow: bool,
}

/// The branches that contain a commit of the release. A detached checkout, as CI makes it, has no branch: what CI says counts for the
/// commit that is checked out.
async fn containing(git: &Git, release: &Release, claimed: Option<&str>) -> Result<Branches, String> {
    let mut holding = Vec::new();
    // Where a branch is checked out, git knows better than whoever claims.
    let detached = matches!(git.branch().await, Ok(None));
    let head = if detached {
        git.resolve("HEAD").await.ok()
    } else {
        None
    };
    for source in &release.sources {
        match git.branches_containing(&source.commit).await {
            Ok(names) => holding.extend(names.into_iter().map(|name| (name, source.commit.clone()))),
            Err(error) => return Err(error.to_string()),
        }
        if let Some(branch) = claimed
            && head.as_ref() == Some(&source.commit)
        {
            holding.push((branch.to_owned(), source.commit.clone()));
        }
    }
    let all = git.branches().await.map_err(|error| error.to_string())?;
    let shallow = git.is_shallow().await.map_err(|error| error.to_string())?;
    Ok(Branches {
        holding,
        all,
        shallow,
    })
}

fn contained(glob: &Glob, found: &Result<Branches, String>) -> Containment {
    match found {
        Err(why) => Containment::Unknown { why: why.clone() },
        Ok(found) => match found.holding.iter().find(|(name, _)| glob.is_match(name)) {
            Some((branch, commit)) => Containment::Contains {
                branch: branch.clone(),
                commit: commit.clone(),
            },
            None if found.all.iter().any(|name| glob.is_match(name)) && found.shallow => {
                Containment::Unknown {
                    why: "only a part of the history is here".to_owned(),
                }
            }
            None if found.all.iter().any(|name| glob.is_match(name)) => Containment::Not,
            None => Containment::NoBranch,
        },
    }
}
