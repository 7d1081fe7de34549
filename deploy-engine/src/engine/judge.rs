//! Judging the gates: gathers what is known and asks the core. No rule of its own.

use super::Engine;
use super::looks::Looks;
use super::plan::Shape;
use super::rules::rules;
use super::scene::{Of, Scene, Views};
use crate::api::{Asked, EngineError};
use crate::drive::{Judge, Judgement, Moment};
use deploy_core::event::{EventKind, Request};
use deploy_core::failure::Failure;
use deploy_core::gate::{self, GateInput, GateKind, PlanFacts, Rules, Trigger, Unmet, Verdict};
use deploy_core::id::{Actor, DeploymentId, EnvName};
use deploy_core::manifest::Environment;
use deploy_core::model::Release;
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::journal::Stream;
use deploy_core::time::Timestamp;
use deploy_core::view::EnvironmentView;
use std::collections::BTreeMap;

/// Who asks for what, as far as gates are concerned.
pub(super) struct Case<'a> {
    pub(super) kind: Kind,
    pub(super) environment: &'a EnvName,
    pub(super) deployment: Option<&'a DeploymentId>,
    pub(super) actor: &'a Actor,
    pub(super) confirmed: bool,
    pub(super) branch: Option<&'a str>,
    pub(super) plan: Option<PlanFacts>,
    pub(super) release: &'a Release,
    pub(super) at: Timestamp,
}

impl Engine {
    /// The rules that hold: those of the manifest as it lies there. A tighter line holds at once; a looser one only once somebody who
    /// may loosen the old rules has deployed with it.
    pub(super) fn rules_in_force(&self, environment: &Environment, view: &EnvironmentView) -> Rules {
        let wanted = rules(environment, &self.project);
        let Some(old) = &view.rules else { return wanted };
        let mut old = old.rules.clone();
        if old.groups.is_empty() {
            // Recorded before people were part of it.
            old.groups.clone_from(&wanted.groups);
        }
        if old.may_be_loosened_by(&self.identity.actor) {
            wanted
        } else {
            Rules::compare(&old, &wanted).strictest
        }
    }

    /// Records the rules in force, where they are others than before.
    pub(super) async fn record_rules(
        &self,
        environment: &Environment,
        view: &EnvironmentView,
    ) -> Result<(), EngineError> {
        let now = self.rules_in_force(environment, view);
        let digest = now.digest();
        let (lines, loosened) = match &view.rules {
            Some(old) if *old.rules == now => return Ok(()),
            None => (Vec::new(), false),
            Some(old) => {
                let comparison = Rules::compare(&old.rules, &now);
                let loosened = comparison.loosened();
                (
                    comparison.lines.into_iter().map(|line| line.text).collect(),
                    loosened,
                )
            }
        };
        let changed = EventKind::RulesChanged {
            rules: digest,
            in_force: Box::new(now),
            loosened,
            lines,
        };
        let stream = Stream::Environment(environment.name.clone());
        self.append_facts(&stream, vec![self.draft(None, changed)]).await
    }

    /// Judges a case by the views, and by what was just seen where a soak matters. The rules are those of the work tree, and not of
    /// the release: a release brings no rules with it.
    pub(super) async fn judge_case(
        &self,
        case: &Case<'_>,
        views: &Views,
        looks: &Looks,
    ) -> Result<Vec<gate::Judged>, EngineError> {
        let environment = self.environment(case.environment).await?;
        let rules = self.rules_in_force(&environment, &views.environment(case.environment));
        let contained_in = self.containment(&environment, case.release, case.branch).await;
        let not_acting = self.not_acting(&environment);
        let mut environments = views.environments.clone();
        for name in environment.after.iter().chain([&environment.name]) {
            environments
                .entry(name.clone())
                .or_insert_with(|| EnvironmentView::new(name.clone()));
        }
        let mut unseen = BTreeMap::new();
        for (name, look) in looks {
            match (look, environments.get_mut(name)) {
                // It may be in the view already; to hear it twice changes nothing.
                (Ok(event), Some(view)) => view.apply(event),
                (Ok(_), None) => {}
                (Err(why), _) => {
                    unseen.insert(name.clone(), why.clone());
                }
            }
        }
        let input = GateInput {
            now: case.at,
            environment: case.environment,
            deployment: case.deployment,
            kind: case.kind,
            actor: case.actor,
            trigger: Trigger::Command,
            confirmed: case.confirmed.then_some(case.environment),
            plan: case.plan,
            release: case.release,
            project: &views.project,
            environments: &environments,
            rules: &rules,
            contained_in: &contained_in,
            unseen: &unseen,
            not_acting: &not_acting,
        };
        Ok(gate::examine(&input))
    }
}

/// What was judged of a case that counts as confirmed: each rule but those that are asked when it is done, and these.
pub(super) fn without_asked(
    judged: Vec<gate::Judged>,
    environment: &EnvName,
) -> (Vec<gate::Judged>, Vec<Asked>) {
    let is_asked = |judged: &gate::Judged| matches!(judged, gate::Judged::Met { gate, .. } if *gate == GateKind::Confirmation);
    let (asked, judged): (Vec<_>, _) = judged.into_iter().partition(is_asked);
    let by = |judged: gate::Judged| Asked {
        gate: judged.gate(),
        by: format!("--confirm {environment}"),
    };
    (judged, asked.into_iter().map(by).collect())
}

/// The verdict of what was judged.
pub(super) fn verdict(judged: Vec<gate::Judged>) -> Verdict {
    Verdict::of(unmet(judged))
}

/// What is not met of what was judged.
pub(super) fn unmet(judged: Vec<gate::Judged>) -> Vec<Unmet> {
    let unmet = |judged| match judged {
        gate::Judged::Unmet(unmet) => Some(unmet),
        gate::Judged::Met { .. } => None,
    };
    judged.into_iter().filter_map(unmet).collect()
}

/// Has each unmet rule name what opens it for the next request, where it named a deployment that ends here. `again`: the same, judged
/// for nobody's deployment.
fn for_the_next(unmet: &mut [Unmet], again: &[gate::Judged], ended: &DeploymentId) {
    let rule = |reason: &str| reason.split(':').next().unwrap_or_default().to_owned();
    for one in unmet.iter_mut().filter(|one| one.next.contains(ended.short())) {
        let same = again.iter().find_map(|judged| match judged {
            gate::Judged::Unmet(other) if other.gate == one.gate => {
                (rule(&other.reason) == rule(&one.reason)).then_some(other)
            }
            _ => None,
        });
        if let Some(same) = same {
            one.next.clone_from(&same.next);
        }
    }
}

/// The judge of one deployment.
pub(super) struct Bench {
    pub(super) engine: Engine,
    pub(super) deployment: DeploymentId,
    pub(super) request: Request,
    pub(super) release: Release,
    pub(super) shape: Shape,
    pub(super) confirmed: bool,
}

impl Bench {
    async fn look_upstream(&self) -> Result<Looks, EngineError> {
        let (engine, name) = (&self.engine, &self.shape.environment);
        let views = engine.views().await?;
        let rules = engine.rules_in_force(&engine.environment(name).await?, &views.environment(name));
        Ok(engine
            .look_upstream(self.request.kind, &rules, &self.release, &views)
            .await)
    }

    async fn try_judge(&self, plan: &Plan, moment: Moment) -> Result<Judgement, EngineError> {
        let looks = self.look_upstream().await?;
        // Read after the looks: what was written of them is in what this judgement rests on.
        let views = self.engine.views().await?;
        let replanned = if moment == Moment::Open {
            let scene: Scene = self
                .engine
                .scene(self.release.clone(), &self.shape.environment, &views, Of::Now)
                .await?;
            let new = self.engine.make_plan(&scene, &views, &self.shape).await?;
            (new.digest() != plan.digest()).then(|| Box::new(new))
        } else {
            None
        };
        let case = Case {
            kind: self.request.kind,
            environment: &self.shape.environment,
            deployment: Some(&self.deployment),
            actor: &self.request.actor,
            confirmed: self.confirmed,
            branch: self.request.branch.as_deref(),
            plan: Some(PlanFacts::of(replanned.as_deref().unwrap_or(plan))),
            release: &self.release,
            at: self.engine.clock.now(),
        };
        let mut verdict = verdict(self.engine.judge_case(&case, &views, &looks).await?);
        if let Verdict::Refuses { unmet } = &mut verdict {
            // It ends here: what is next is next for whoever asks again.
            let again = Case {
                deployment: None,
                ..case
            };
            let again = self.engine.judge_case(&again, &views, &looks).await?;
            for_the_next(unmet, &again, &self.deployment);
        }
        Ok(Judgement {
            verdict,
            replanned,
            read: views.read,
        })
    }
}

#[async_trait::async_trait]
impl Judge for Bench {
    async fn judge(&self, plan: &Plan, moment: Moment) -> Result<Judgement, Box<Failure>> {
        self.try_judge(plan, moment)
            .await
            .map_err(|error| Box::new(error.failure()))
    }
}
