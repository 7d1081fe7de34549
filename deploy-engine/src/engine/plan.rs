//! From a scene to a plan: observe everything, hand it to the planner, have the plan checked by the linter.

use super::scene::{Scene, Views};
use super::{Engine, failed, usage};
use crate::api::{DeployAsk, EngineError};
use crate::configure::registry::Made;
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{EnvName, ServiceName, SliceName};
use deploy_core::manifest::{Amount, OnFailure, Service, ServiceStrategy, StrategyKind, config_version};
use deploy_core::plan::{
    self, BaseFacts, Batch, CanaryStep, Kind, Limits, Percent, Plan, PlanInput, ServiceInput, Severity,
    SliceInput, StrategyInput, lint,
};
use deploy_core::port::target::{Difference, SliceSeen};
use deploy_core::view::EnvironmentView;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// From the start of activation to the commit point, where nothing says otherwise.
const ACTIVATION: Duration = Duration::from_secs(30 * 60);
/// For going back.
const GOING_BACK: Duration = Duration::from_secs(5 * 60);
/// The longest an unclear health extends the bake.
const UNCLEAR_BAKE: Duration = Duration::from_secs(10 * 60);
/// Attempts in one direction because of unknown or fenced outcomes.
const ATTEMPTS: u8 = 4;

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
            Some(text) => Some(
                StrategyKind::named(text)
                    .filter(|kind| *kind != StrategyKind::BlueGreen)
                    .ok_or_else(|| {
                        usage(
                            Code::Usage,
                            format!("`{text}` is not a strategy that acts here"),
                            "one of rolling, canary, recreate, all-at-once",
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
            let seen = self.look_at(&binder, service, shape.differences).await?;
            services.push(input(service, &seen, shape, false, &view));
        }
        for service in dropped(scene, shape) {
            let seen = self.look_at(&binder, service, false).await?;
            services.push(input(service, &seen, shape, true, &view));
        }
        let input = PlanInput {
            kind: shape.kind,
            environment: environment.name.clone(),
            release: &scene.to.release,
            reference: scene.to.release.to_ref(),
            config: config_version(environment),
            limits: Limits {
                activation: shape.timeout.unwrap_or(ACTIVATION),
                going_back: GOING_BACK,
                bake: UNCLEAR_BAKE,
                attempts: ATTEMPTS,
            },
            services,
            disabled: environment.disabled.iter().cloned().collect(),
            facts: base_facts(&view),
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
        differences: bool,
    ) -> Result<Seen, EngineError> {
        let made = binder.target(service).await.map_err(failed)?;
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
        strategy: strategy(&service.strategy, shape.strategy),
        on_failure: match service.on_failure {
            OnFailure::Rollback => plan::OnFailure::Rollback,
            OnFailure::Hold => plan::OnFailure::Hold,
        },
        bake: if shape.kind == Kind::Rollback {
            Duration::ZERO
        } else {
            service.bake
        },
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

fn strategy(strategy: &ServiceStrategy, other: Option<StrategyKind>) -> StrategyInput {
    match other.unwrap_or(strategy.kind) {
        StrategyKind::Recreate => StrategyInput::Recreate,
        StrategyKind::AllAtOnce => StrategyInput::AllAtOnce,
        StrategyKind::Canary if !strategy.steps.is_empty() => StrategyInput::Canary {
            steps: strategy
                .steps
                .iter()
                .map(|step| CanaryStep {
                    to: batch(step.to),
                    hold: step.hold.get(),
                })
                .collect(),
        },
        StrategyKind::Canary => StrategyInput::Canary {
            steps: vec![CanaryStep {
                to: Batch::Count(NonZeroU16::MIN),
                hold: Duration::ZERO,
            }],
        },
        // Blue-green does not act yet, and is refused by name before it comes here.
        StrategyKind::Rolling | StrategyKind::BlueGreen => StrategyInput::Rolling {
            batch: batch(strategy.batch),
            max_failures: 0,
        },
    }
}

fn batch(amount: Amount) -> Batch {
    match amount {
        Amount::Count(count) => {
            let count = u16::try_from(count).unwrap_or(u16::MAX);
            Batch::Count(NonZeroU16::new(count).unwrap_or(NonZeroU16::MIN))
        }
        Amount::Percent(share) => Percent::new(share).map_or(Batch::Count(NonZeroU16::MIN), Batch::Percent),
    }
}

fn base_facts(view: &EnvironmentView) -> BaseFacts {
    use deploy_core::port::target::Runs;
    let mut fingerprints: BTreeMap<_, BTreeMap<_, BTreeSet<_>>> = BTreeMap::new();
    let current = view.current.release();
    for (service, slices) in &view.observed {
        for seen in slices.values() {
            if let (Some(release), Some(Runs::Release { fingerprint, .. })) =
                (seen.release.or(current), &seen.runs)
            {
                fingerprints
                    .entry(release)
                    .or_default()
                    .entry(service.clone())
                    .or_default()
                    .insert(fingerprint.clone());
            }
        }
    }
    BaseFacts {
        current,
        fingerprints,
    }
}
