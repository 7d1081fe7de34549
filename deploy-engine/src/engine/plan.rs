//! From a scene to a plan: observe everything, hand it to the planner, have the plan checked by the linter.

use super::scene::{Scene, Views};
use super::{Engine, failed, usage};
use crate::api::{DeployAsk, EngineError};
use crate::configure::registry::Made;
use crate::drive::Needs;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, ServiceName, SliceName};
use deploy_core::manifest::{Service, StrategyKind, config_version};
use deploy_core::plan::{
    self, Kind, Limits, Plan, PlanInput, ServiceInput, Severity, SliceInput, StrategyInput, lint,
};
use deploy_core::port::target::{Difference, SliceSeen};
use deploy_core::view::EnvironmentView;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What shapes a plan, beside the scene.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    pub(super) environment: EnvName,
    pub(super) strategy: Option<StrategyKind>,
    pub(super) timeout: Option<Duration>,
    /// Whether people will read it: then differences are asked for.
    pub(super) differences: bool,
    /// A service that is to be removed.
    pub(super) retire: Option<ServiceName>,
}

impl Shape {
    pub(super) fn of(ask: &DeployAsk) -> Result<Self, EngineError> {
        let strategy = match ask.strategy.as_deref() {
            None => None,
            // What stands up beside what serves is said by the manifest alone, with its ports and its proxy.
            Some(text) => Some(
                StrategyKind::named(text)
                    .filter(|kind| *kind != StrategyKind::BlueGreen)
                    .ok_or_else(|| {
                        usage(
                            Code::Usage,
                            format!("`{text}` is not a strategy that acts here"),
                            "one of rolling, canary, recreate, all-at-once; blue-green is for the manifest to say",
                        )
                    })?,
            ),
        };
        Ok(Self {
            kind: ask.kind,
            environment: ask.environment.clone(),
            strategy,
            timeout: ask.timeout,
            differences: false,
            retire: ask.retire.clone(),
        })
    }
}

struct Seen {
    made: Made,
    slices: BTreeMap<SliceName, SliceSeen>,
    differences: BTreeMap<SliceName, Difference>,
}

impl Engine {
    /// Observes and plans.
    pub(super) async fn make_plan(
        &self,
        scene: &Scene,
        views: &Views,
        shape: &Shape,
    ) -> Result<Plan, EngineError> {
        let binder = self.binder(scene);
        let environment = &scene.to.environment;
        let view = views.environment(&environment.name);
        let mut services = Vec::new();
        let kept = environment
            .services
            .values()
            .filter(|service| shape.retire.as_ref() != Some(&service.name));
        for service in kept {
            let seen = self.look_at(&binder, service, shape, shape.differences).await?;
            services.push(input(service, &seen, shape, false, &view));
        }
        for service in dropped(scene, shape) {
            let seen = self.look_at(&binder, service, shape, false).await?;
            services.push(input(service, &seen, shape, true, &view));
        }
        let input = PlanInput {
            kind: shape.kind,
            environment: environment.name.clone(),
            release: &scene.to.release,
            reference: scene.to.release.to_ref(),
            config: config_version(environment),
            limits: Limits::within(shape.timeout, shape.kind, &services),
            services,
            disabled: environment.disabled.iter().cloned().collect(),
            facts: view.base_facts(),
            floor: None,
        };
        let plan = plan::build(&input).map_err(|problems| {
            let mut failures = problems.iter().map(deploy_core::plan::PlanProblem::failure);
            let mut first = failures.next().unwrap_or_else(|| {
                Failure::new(Code::Defect, "there is no plan and no reason", "please report it")
            });
            for failure in failures {
                // Several services on one host say the same.
                if failure.message != first.message && !first.causes.contains(&failure.message) {
                    first.causes.push(failure.message);
                }
            }
            match first.code {
                Code::Unreachable | Code::HostKey => EngineError::Unreachable(Box::new(first)),
                Code::ClaimHeld => EngineError::Held(Box::new(first)),
                Code::PermissionDenied | Code::ToolMissing => failed(first),
                Code::Defect => EngineError::Defect(Box::new(first)),
                _ => failed(first),
            }
        })?;
        let broken = lint(&plan)
            .into_iter()
            .find(|finding| finding.severity == Severity::Error);
        if let Some(finding) = broken {
            return Err(EngineError::Defect(Box::new(Failure::new(
                Code::Defect,
                format!("the plan breaks the rule {:?}: {}", finding.rule, finding.text),
                "please report it with the output of deploy plan --json",
            ))));
        }
        Ok(plan)
    }

    async fn look_at(
        &self,
        binder: &crate::configure::bind::Binder<'_>,
        service: &Service,
        shape: &Shape,
        differences: bool,
    ) -> Result<Seen, EngineError> {
        // Going back is held up by no secret.
        let needs = match shape.kind {
            Kind::Rollback => Needs::Nothing,
            _ => Needs::Everything,
        };
        let made = binder.target(service, needs).await.map_err(failed)?;
        let names: Vec<_> = made.slices.iter().map(|spec| spec.name.clone()).collect();
        let seen = made.target.observe(&names).await.map_err(|error| {
            let failure = error.failure.on(&service.name, None);
            EngineError::Unreachable(Box::new(failure))
        })?;
        let reached: Vec<_> = seen
            .iter()
            .filter(|seen| seen.runs.is_ok())
            .map(|seen| seen.slice.clone())
            .collect();
        let seen = seen.into_iter().map(|seen| (seen.slice.clone(), seen)).collect();
        let mut found = BTreeMap::new();
        if differences {
            let desired = binder
                .desired(service, crate::configure::bind::Secrets::LeaveOut)
                .await
                .map_err(failed)?;
            let desired = Arc::new(desired);
            let mut tasks = JoinSet::new();
            for name in reached {
                let (target, desired) = (Arc::clone(&made.target), Arc::clone(&desired));
                tasks.spawn(async move { target.plan(&name, &desired).await });
            }
            while let Some(joined) = tasks.join_next().await {
                // What would change is for people to read; a plan does without it.
                if let Ok(Ok(difference)) = joined {
                    found.insert(difference.slice.clone(), difference);
                }
            }
        }
        Ok(Seen {
            made,
            slices: seen,
            differences: found,
        })
    }
}

/// Services that run here and that the release does not have any more.
fn dropped<'a>(scene: &'a Scene, shape: &'a Shape) -> impl Iterator<Item = &'a Service> {
    let now: BTreeSet<_> = scene
        .to
        .environment
        .services
        .keys()
        .chain(&scene.to.environment.disabled)
        .collect();
    let gone = scene
        .before
        .iter()
        .flat_map(|before| before.environment.services.values())
        .filter(move |service| !now.contains(&service.name));
    let retired = shape
        .retire
        .iter()
        .filter_map(|name| scene.to.environment.services.get(name));
    gone.chain(retired)
}

fn input(
    service: &Service,
    seen: &Seen,
    shape: &Shape,
    dropped: bool,
    view: &EnvironmentView,
) -> ServiceInput {
    let last = view.observed.get(&service.name);
    ServiceInput {
        name: service.name.clone(),
        target: service.kind().to_string(),
        needs: service.needs.clone(),
        strategy: StrategyInput::configured(&service.strategy, shape.strategy),
        on_failure: service.on_failure.into(),
        bake: shape.kind.bake(service.bake),
        abilities: seen.made.target.abilities(),
        slices: seen
            .made
            .slices
            .iter()
            .map(|spec| SliceInput {
                spec: spec.clone(),
                seen: seen
                    .slices
                    .get(&spec.name)
                    .cloned()
                    .unwrap_or_else(|| not_told(&spec.name)),
                last_known: last
                    .and_then(|slices| slices.get(&spec.name))
                    .and_then(|seen| seen.runs.clone()),
                wanted: None,
                difference: seen.differences.get(&spec.name).cloned(),
            })
            .collect(),
        dropped,
    }
}

/// A slice that its target listed and then said nothing of.
fn not_told(slice: &SliceName) -> SliceSeen {
    SliceSeen {
        inside: deploy_core::port::target::Inside::default(),
        slice: slice.clone(),
        runs: Err(Failure::new(
            Code::Unreachable,
            format!("nothing was told of {slice}"),
            "deploy doctor looks closer",
        )),
        held: None,
        armed: None,
        unbroken_since: None,
        kept: Vec::new(),
    }
}
