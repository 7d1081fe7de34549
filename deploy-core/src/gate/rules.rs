//! The rules of one environment, in plain types: what the manifest says, merged and resolved. Comparing two versions tells which
//! lines are tighter or looser. Judging is not here.

use super::window::Window;
use crate::digest::Digest;
use crate::id::{Actor, EnvName, EvidenceName, GroupName};
use crate::plan::Kind;
use crate::time::{format_duration, human, optional_human};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The rules of one environment. A stored one without a line is of a version that had no such rule.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// Branches, by name or pattern, one of which must contain a commit of the release; `None`: any.
    pub branches: Option<BTreeSet<String>>,
    /// Environments that must have verified the release.
    pub after: BTreeSet<EnvName>,
    /// How long it must have been healthy in each of them.
    #[serde(with = "human")]
    pub soak: Duration,
    /// Evidence that must be there.
    pub checks: BTreeMap<EvidenceName, CheckRule>,
    /// Items of this environment's checklist.
    pub checklist: BTreeMap<EvidenceName, Item>,
    /// Items `after` of the checklists of the environments in `after`: they gate this one.
    pub upstream_items: BTreeMap<EnvName, BTreeMap<EvidenceName, Item>>,
    /// Who must say yes: all of these hold.
    pub approvals: BTreeMap<String, ApprovalRule>,
    /// When nothing moves forward.
    pub freezes: BTreeMap<String, Freeze>,
    /// Who may ask.
    pub allow: BTreeMap<Act, BTreeSet<GroupName>>,
    /// What must be confirmed by typing the environment's name.
    pub confirm: BTreeSet<Act>,
    /// Who is in the groups that these rules name.
    pub groups: BTreeMap<GroupName, BTreeSet<Actor>>,
}

/// What somebody may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Going forward: `up` and `promote`.
    Deploy,
    /// Going back.
    Rollback,
}

impl Act {
    /// Of a kind of deployment.
    pub const fn of(kind: Kind) -> Self {
        match kind {
            Kind::Deploy | Kind::Promote => Self::Deploy,
            Kind::Rollback => Self::Rollback,
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Rollback => "rollback",
        }
    }
}

/// Evidence that must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CheckRule {
    /// From which severity on it counts as failed; judged when the evidence is recorded.
    pub fail_on: Option<String>,
    /// How long a pass counts; `None`: for good.
    #[serde(with = "optional_human")]
    pub valid_for: Option<Duration>,
}

/// When nothing moves forward, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// When.
    #[serde(flatten)]
    pub window: Window,
    /// Why, for people; it decides nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<Window> for Freeze {
    fn from(window: Window) -> Self {
        Self { window, reason: None }
    }
}

/// An item of a checklist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// What a person reads.
    pub text: String,
    /// The evidence that ticks it; `None`: the item's own name, ticked by a person.
    pub evidence: Option<EvidenceName>,
    /// When it is due.
    pub when: When,
}

/// When an item of a checklist is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It gates this environment.
    Before,
    /// It is recorded.
    During,
    /// It gates the next one.
    After,
}

/// Who must say yes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// How many distinct people.
    pub count: u32,
    /// From these groups; empty: anybody.
    pub from: BTreeSet<GroupName>,
    /// Whether authors, committers and whoever asked do not count.
    pub not_author: bool,
}

/// Which way a line of the rules moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moved {
    /// It allows less: in force at once.
    Tighter,
    /// It allows more, or something else: an event, authorised under the old rules.
    Looser,
}

/// One line of the rules that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Which way.
    pub moved: Moved,
    /// What, for people: `soak: 10m → 5m`.
    pub text: String,
}

/// What differs between two versions of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Each line that differs.
    pub lines: Vec<Line>,
    /// The new rules with every loosened line as it was: what holds until the loosening is authorised.
    pub strictest: Rules,
}

impl Comparison {
    /// Whether any line is looser.
    pub fn loosened(&self) -> bool {
        self.looser().next().is_some()
    }

    /// The lines that are looser, for people.
    pub fn looser(&self) -> impl Iterator<Item = &str> {
        let looser = self.lines.iter().filter(|line| line.moved == Moved::Looser);
        looser.map(|line| line.text.as_str())
    }
}

impl Rules {
    /// What approvals bind to. Not to who is in a group: that is judged when the quorum is decided.
    pub fn digest(&self) -> Digest {
        let groups = BTreeMap::new();
        Digest::of_json(&(
            "deploy.rules/1",
            &Self {
                groups,
                ..self.clone()
            },
        ))
    }

    /// The groups that some rule names.
    pub fn named_groups(&self) -> BTreeSet<&GroupName> {
        let approving = self.approvals.values().map(|rule| &rule.from);
        approving.chain(self.allow.values()).flatten().collect()
    }

    /// Whether somebody is in one of these groups.
    pub fn is_in(&self, actor: &Actor, groups: &BTreeSet<GroupName>) -> bool {
        groups.iter().any(|group| {
            self.groups
                .get(group)
                .is_some_and(|members| members.contains(actor))
        })
    }

    /// Compares two versions, line by line.
    pub fn compare(old: &Self, new: &Self) -> Comparison {
        // Named one by one: a rule that is added here and compared nowhere could be loosened unseen.
        let Self {
            branches,
            after,
            soak,
            checks,
            checklist,
            upstream_items,
            approvals,
            freezes,
            allow,
            confirm,
            groups,
        } = new;
        let mut lines = Vec::new();
        let mut note = |moved, text: String| lines.push(Line { moved, text });
        let mut strictest = new.clone();

        if old.branches != *branches {
            let tighter = match (&old.branches, branches) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(old), Some(new)) => new.is_subset(old),
            };
            let words = |branches: &Option<BTreeSet<String>>| {
                branches
                    .as_ref()
                    .map_or_else(|| "any".to_owned(), super::input::list)
            };
            note(
                moved(tighter),
                format!("branches: {} → {}", words(&old.branches), words(branches)),
            );
            if !tighter {
                strictest.branches.clone_from(&old.branches);
            }
        }
        if old.soak != *soak {
            note(
                moved(old.soak < *soak),
                format!("soak: {} → {}", format_duration(old.soak), format_duration(*soak)),
            );
            strictest.soak = old.soak.max(*soak);
        }
        for name in old.after.difference(after) {
            note(Moved::Looser, format!("after: {name} is not needed any more"));
            strictest.after.insert(name.clone());
        }
        for name in after.difference(&old.after) {
            note(Moved::Tighter, format!("after: {name} is needed too"));
        }
        entries(
            "checks",
            &old.checks,
            checks,
            &mut strictest.checks,
            |old, new| {
                old.fail_on == new.fail_on
                    && match (old.valid_for, new.valid_for) {
                        (None, _) => true,
                        (Some(_), None) => false,
                        (Some(old), Some(new)) => new <= old,
                    }
            },
            &mut note,
        );
        entries(
            "checklist",
            &old.checklist,
            checklist,
            &mut strictest.checklist,
            |old, new| old.evidence == new.evidence && (old.when == new.when || old.when == When::During),
            &mut note,
        );
        for (name, items) in &old.upstream_items {
            let nothing = BTreeMap::new();
            entries(
                &format!("checklist after {name}"),
                items,
                upstream_items.get(name).unwrap_or(&nothing),
                strictest.upstream_items.entry(name.clone()).or_default(),
                |old, new| old.evidence == new.evidence,
                &mut note,
            );
        }
        for (name, items) in upstream_items {
            if !old.upstream_items.contains_key(name) {
                for item in items.keys() {
                    note(Moved::Tighter, format!("checklist after {name}: {item} is new"));
                }
            }
        }
        strictest.upstream_items.retain(|_, items| !items.is_empty());
        entries(
            "approvals",
            &old.approvals,
            approvals,
            &mut strictest.approvals,
            |old, new| {
                let from = old.from.is_empty() || (!new.from.is_empty() && new.from.is_subset(&old.from));
                new.count >= old.count && from && (new.not_author || !old.not_author)
            },
            &mut note,
        );
        entries(
            "freeze",
            &old.freezes,
            freezes,
            &mut strictest.freezes,
            // Another reason alone frees no time.
            |old, new| old.window == new.window,
            &mut note,
        );
        compare_allow(&old.allow, allow, &mut strictest, &mut note);
        for act in old.confirm.difference(confirm) {
            note(
                Moved::Looser,
                format!("confirm: {} needs none any more", act.word()),
            );
            strictest.confirm.insert(*act);
        }
        for act in confirm.difference(&old.confirm) {
            note(Moved::Tighter, format!("confirm: {} needs one", act.word()));
        }
        compare_groups(&old.groups, groups, &mut strictest, &mut note);
        Comparison { lines, strictest }
    }

    /// Whether somebody may loosen these rules: he may deploy under them, and is one of those whose yes each of them asks for.
    pub fn may_be_loosened_by(&self, actor: &Actor) -> bool {
        let is_in = |groups: &BTreeSet<GroupName>| self.is_in(actor, groups);
        self.allow.get(&Act::Deploy).is_none_or(is_in)
            && self
                .approvals
                .values()
                .all(|rule| rule.from.is_empty() || is_in(&rule.from))
    }
}

const fn moved(tighter: bool) -> Moved {
    if tighter { Moved::Tighter } else { Moved::Looser }
}

/// Compares named entries: a new one is tighter, one that is gone is looser, a changed one is what `tighter` says.
fn entries<K: Ord + Clone + ToString, V: PartialEq + Clone>(
    what: &str,
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
    strictest: &mut BTreeMap<K, V>,
    tighter: impl Fn(&V, &V) -> bool,
    note: &mut impl FnMut(Moved, String),
) {
    for (name, was) in old {
        let label = name.to_string();
        match new.get(name) {
            Some(is) if is == was => {}
            Some(is) if tighter(was, is) => note(Moved::Tighter, format!("{what}: {label} is stricter")),
            Some(_) => {
                note(Moved::Looser, format!("{what}: {label} is not what it was"));
                strictest.insert(name.clone(), was.clone());
            }
            None => {
                note(Moved::Looser, format!("{what}: {label} is gone"));
                strictest.insert(name.clone(), was.clone());
            }
        }
    }
    for name in new.keys().filter(|name| !old.contains_key(name)) {
        note(Moved::Tighter, format!("{what}: {} is new", name.to_string()));
    }
}

fn compare_allow(
    old: &BTreeMap<Act, BTreeSet<GroupName>>,
    new: &BTreeMap<Act, BTreeSet<GroupName>>,
    strictest: &mut Rules,
    note: &mut impl FnMut(Moved, String),
) {
    for act in [Act::Deploy, Act::Rollback] {
        let (was, is) = (old.get(&act), new.get(&act));
        if was == is {
            continue;
        }
        let tighter = match (was, is) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(was), Some(is)) => is.is_subset(was),
        };
        let words = |groups: Option<&BTreeSet<GroupName>>| {
            groups.map_or_else(|| "anybody".to_owned(), super::input::list)
        };
        note(
            moved(tighter),
            format!("allow {}: {} → {}", act.word(), words(was), words(is)),
        );
        if let (false, Some(was)) = (tighter, was) {
            strictest.allow.insert(act, was.clone());
        }
    }
}

/// More people in a group that stays named is looser, fewer is tighter.
fn compare_groups(
    old: &BTreeMap<GroupName, BTreeSet<Actor>>,
    new: &BTreeMap<GroupName, BTreeSet<Actor>>,
    strictest: &mut Rules,
    note: &mut impl FnMut(Moved, String),
) {
    for (group, was) in old {
        let Some(is) = new.get(group) else {
            // A rule that names it may hold on.
            strictest.groups.insert(group.clone(), was.clone());
            continue;
        };
        for actor in is.difference(was) {
            note(Moved::Looser, format!("groups: {actor} is in {group}"));
        }
        for actor in was.difference(is) {
            note(
                Moved::Tighter,
                format!("groups: {actor} is not in {group} any more"),
            );
        }
        strictest
            .groups
            .insert(group.clone(), was.intersection(is).cloned().collect());
    }
    let named: BTreeSet<_> = strictest.named_groups().into_iter().cloned().collect();
    strictest.groups.retain(|group, _| named.contains(group));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventKind;

    #[test]
    fn a_stored_row_without_a_rule_is_read() {
        let digest = Rules::default().digest();
        let row = format!(
            r#"{{"type":"rules_changed","rules":"{digest}","in_force":{{"soak":"10m","checks":{{"tests":{{}}}}}},"loosened":false,"lines":[]}}"#
        );
        let read: EventKind = serde_json::from_str(&row).expect("an older row");
        let EventKind::RulesChanged { in_force, .. } = read else {
            panic!("another kind: {read:?}")
        };
        let tests = EvidenceName::new("tests").expect("a name");
        let wanted = Rules {
            soak: Duration::from_secs(600),
            checks: BTreeMap::from([(tests, CheckRule::default())]),
            ..Rules::default()
        };
        assert_eq!(*in_force, wanted);
    }
}
