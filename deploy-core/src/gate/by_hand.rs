//! What holds for whoever changes hosts of an environment by hand (runs a command, prepares them): who may deploy there may, and
//! what has to be confirmed for a deployment has to be confirmed for this. It brings no release, so no other gate is about it; and
//! nobody can tell a command that only looks from one that does not.

use super::input::any_of;
use super::rules::Act;
use super::{GateKind, Opens, Rules, Unmet};
use crate::id::{Actor, EnvName};

/// What is not met. `command`: what was asked, as it would be typed.
pub fn by_hand(
    rules: &Rules,
    actor: &Actor,
    environment: &EnvName,
    confirmed: bool,
    command: &str,
) -> Vec<Unmet> {
    let unmet = |gate, reason, next| Unmet {
        gate,
        reason,
        earliest: None,
        opens: Opens::Never,
        next,
    };
    let groups = rules
        .allow
        .get(&Act::Deploy)
        .filter(|groups| !rules.is_in(actor, groups));
    let not_allowed = groups.map(|groups| {
        let groups = any_of(groups);
        unmet(
            GateKind::Authorization,
            format!("{actor} may not change hosts of {environment}: that is for {groups}"),
            format!("ask somebody in {groups} to run: {command}"),
        )
    });
    let wanted = rules.confirm.contains(&Act::Deploy) && !confirmed;
    let not_confirmed = wanted.then(|| {
        unmet(
            GateKind::Confirmation,
            format!("{environment} asks for a confirmation"),
            format!("{command} --confirm {environment}"),
        )
    });
    not_allowed.into_iter().chain(not_confirmed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn who_deploys_may_and_says_where() {
        let (alice, bob): (Actor, Actor) = ("alice".parse().expect("a name"), "bob".parse().expect("a name"));
        let environment = "production".parse().expect("a name");
        let group: crate::id::GroupName = "developers".parse().expect("a name");
        let mut rules = Rules::default();
        let asked = |rules: &Rules, actor: &Actor, confirmed| -> Vec<GateKind> {
            let unmet = by_hand(rules, actor, &environment, confirmed, "deploy run");
            unmet.into_iter().map(|unmet| unmet.gate).collect()
        };
        assert_eq!(asked(&rules, &bob, false), []);
        rules.allow.insert(Act::Deploy, BTreeSet::from([group.clone()]));
        rules.groups.insert(group, BTreeSet::from([alice.clone()]));
        rules.confirm.insert(Act::Deploy);
        assert_eq!(asked(&rules, &alice, true), []);
        assert_eq!(asked(&rules, &alice, false), [GateKind::Confirmation]);
        assert_eq!(asked(&rules, &bob, true), [GateKind::Authorization]);
    }
}
