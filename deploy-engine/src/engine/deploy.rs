//! Deploying: from a request to a deployment, and driving one as far as it goes.

use super::judge::{Bench, Case, verdict};
use super::plan::Shape;
use super::scene::Views;
use super::wired::Wired;
use super::{Engine, failed, journal_error, lease_error, usage};
use crate::api::{DeployAsk, Driven, EngineError, Preview};
use crate::drive::{Drive, DriveError, Left, Told, drive};
use crate::failpoint;
use crate::store::lease_failure;
use deploy_core::event::{Driver, EventKind, Recorded, Request};
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::PlanFacts;
use deploy_core::id::{DeploymentId, EnvName, Seq};
use deploy_core::machine::{Ask, Input, Machine};
use deploy_core::model::Release;
use deploy_core::plan::{Kind, Plan};
use deploy_core::port::journal::{Append, Condition, LeaseHolder, LeaseToken, Patience, Stream};
use deploy_core::view::result::result;
use deploy_core::view::{DeploymentView, ProjectView};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Where a frontend is told, and how it says stop.
pub struct Wires {
    /// Told what happens.
    pub tell: mpsc::Sender<Told>,
    /// True: stop starting steps.
    pub stop: watch::Receiver<bool>,
}

impl Wires {
    /// Nobody listens, and nobody stops it: the answer is all that is wanted.
    pub fn unheard() -> Self {
        let ((tell, _), (_, stop)) = (mpsc::channel(1), watch::channel(false));
        Self { tell, stop }
    }
}

impl Engine {
    /// What would happen. Makes the release where a commit is asked for; changes nothing else.
    ///
    /// # Errors
    /// What stands in the way of a plan; gates do not: they are in the answer.
    pub async fn preview(&self, ask: &DeployAsk) -> Result<Preview, EngineError> {
        let release = self.release_for(ask, &mut |_| {}).await?;
        let shape = Shape {
            differences: true,
            ..Shape::of(ask)?
        };
        let views = self.views().await?;
        let scene = self.scene(release.clone(), &ask.environment, &views).await?;
        let plan = self.make_plan(&scene, &views, &shape).await?;
        let case = Case {
            kind: ask.kind,
            environment: &ask.environment,
            deployment: None,
            actor: &self.identity.actor,
            // Whether it is confirmed is asked when it is done.
            confirmed: true,
            branch: ask.branch.as_deref(),
            plan: Some(PlanFacts::of(&plan)),
            release: &release,
            at: self.clock.now(),
        };
        let verdict = verdict(self.judge_case(&case, &views).await?);
        let way_back = way_back(&plan, &views, &ask.environment);
        Ok(Preview {
            release,
            plan,
            verdict,
            way_back,
        })
    }

    /// Deploys, promotes or rolls back: makes the deployment and drives it as far as it goes.
    ///
    /// # Cancellation
    /// Dropping the future is like a crash; `resume` goes on. To stop in an orderly way use `stop`.
    ///
    /// # Errors
    /// What stands in the way before there is a deployment. What happens to the deployment is in the answer.
    pub async fn deploy(&self, ask: DeployAsk, wires: Wires) -> Result<Driven, EngineError> {
        if let Some(known) = self.known_request(&ask).await? {
            return self
                .resume_one(&ask.environment, &known, ask.lock_wait, wires, ask.confirmed)
                .await;
        }
        self.refuse_not_acting(&ask.environment, ask.kind).await?;
        let configured = self.environment(&ask.environment).await?;
        self.record_rules(&configured, &self.views().await?.environment(&ask.environment))
            .await?;
        let release = self.release_for(&ask, &mut |_| {}).await?;
        self.run_checks(&ask.environment, &release).await?;
        let shape = Shape::of(&ask)?;
        let lease = self.lease(&ask.environment, ask.lock_wait, None).await?;
        let made = self.make_deployment(&ask, &release, &shape, &lease).await;
        let (deployment, request) = match made {
            Ok(made) => made,
            Err(error) => {
                self.give_back(&lease).await;
                return Err(error);
            }
        };
        let bench = Bench {
            engine: self.clone(),
            deployment: deployment.clone(),
            request,
            release: release.clone(),
            shape,
            confirmed: ask.confirmed,
            just_planned: AtomicBool::new(true),
        };
        self.drive_one(&ask.environment, &deployment, release, bench, lease, wires)
            .await
    }

    /// Goes on with a deployment: the one named, or the only one that is left to resume.
    ///
    /// # Errors
    /// See [`Engine::deploy`].
    pub async fn resume(
        &self,
        id: Option<&str>,
        environment: Option<&EnvName>,
        lock_wait: Duration,
        wires: Wires,
    ) -> Result<Driven, EngineError> {
        let (environment, deployment) = self.left_to_resume(id, environment).await?;
        // Asking to go on with what waits means: look at the gates again.
        let view = self.deployment_view(&deployment).await?;
        if view.is_waiting() {
            self.leave(&environment, &deployment, Ask::Recheck).await?;
        } else if matches!(view.phase(), deploy_core::view::Phase::Paused) {
            self.leave(&environment, &deployment, Ask::Continue).await?;
        }
        self.resume_one(&environment, &deployment, lock_wait, wires, false)
            .await
    }

    /// Takes up a deployment and drives it.
    pub(super) async fn resume_one(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        lock_wait: Duration,
        wires: Wires,
        confirmed: bool,
    ) -> Result<Driven, EngineError> {
        let view = self.deployment_view(deployment).await?;
        if view.ended {
            self.after_the_end(deployment, &wires.tell).await?;
            return self.driven(deployment).await;
        }
        let lease = self.lease(environment, lock_wait, Some(deployment)).await?;
        let request = view.request.clone().ok_or_else(|| {
            EngineError::Defect(Box::new(Failure::new(
                Code::Defect,
                "the deployment has no request",
                "please report it",
            )))
        })?;
        let views = self.views().await?;
        let release = views.project.by_digest(request.release.digest).cloned();
        let Some(release) = release else {
            self.give_back(&lease).await;
            return Err(usage(
                Code::UnknownName,
                "the deployment's release is not in this state",
                "deploy releases",
            ));
        };
        let shape = Shape {
            kind: request.kind,
            environment: environment.clone(),
            strategy: request.options.strategy,
            timeout: request.options.timeout,
            differences: false,
            retire: request.options.retire.clone(),
        };
        // Confirmed once is confirmed: the request says so.
        let confirmed = confirmed || request.options.confirmed;
        let bench = Bench {
            engine: self.clone(),
            deployment: deployment.clone(),
            request,
            release: release.clone(),
            shape,
            confirmed,
            just_planned: AtomicBool::new(false),
        };
        self.drive_one(environment, deployment, release, bench, lease, wires)
            .await
    }

    async fn drive_one(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        release: Release,
        bench: Bench,
        lease: LeaseToken,
        wires: Wires,
    ) -> Result<Driven, EngineError> {
        let task = Drive {
            journal: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            environment: environment.clone(),
            deployment: deployment.clone(),
            actor: self.identity.actor.clone(),
            who: Driver {
                who: self.identity.who.clone(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
            },
            wiring: Arc::new(Wired {
                engine: self.clone(),
                release,
            }),
            judge: Arc::new(bench),
            stop: wires.stop,
            tell: wires.tell,
        };
        let tell = task.tell.clone();
        let left = drive(task, lease.clone()).await;
        self.give_back(&lease).await;
        match left {
            Ok(Left::Ended(_)) => {
                self.after_the_end(deployment, &tell).await?;
                let mut driven = self.driven(deployment).await?;
                // The deployment is what it is, whether its record could be written or not.
                if let Err(error) = self.write_record(&self.deployment_view(deployment).await?).await {
                    driven.result.warnings.push(error.failure());
                }
                Ok(driven)
            }
            Ok(Left::Waiting | Left::Paused | Left::Stopped) => self.driven(deployment).await,
            Err(error) => Err(self.open_error(environment, deployment, error)),
        }
    }

    fn open_error(&self, environment: &EnvName, deployment: &DeploymentId, error: DriveError) -> EngineError {
        let next = format!("deploy resume {}", deployment.short());
        let failure = match &error {
            DriveError::Journal(error) => crate::store::journal_failure(error),
            DriveError::Lease(error) => lease_failure(error),
            DriveError::Wiring(failure) => (**failure).clone(),
            DriveError::Corrupt(error) => Failure::new(
                Code::StateCorrupt,
                format!("the journal of {environment} cannot be followed: {error}"),
                "deploy audit verify",
            ),
        };
        let mut failure = failure;
        if failure.code != Code::StateCorrupt {
            failure.next = next;
        }
        EngineError::Open {
            deployment: deployment.clone(),
            failure: Box::new(failure),
        }
    }

    /// Takes the lease of an environment, or says who holds it.
    pub(super) async fn lease(
        &self,
        environment: &EnvName,
        wait: Duration,
        deployment: Option<&DeploymentId>,
    ) -> Result<LeaseToken, EngineError> {
        let holder = LeaseHolder {
            who: self.identity.who.clone(),
            since: self.clock.now(),
            deployment: deployment.cloned(),
            step: "starting".to_owned(),
        };
        let patience = if wait.is_zero() {
            Patience::WhileSilent
        } else {
            Patience::For(wait)
        };
        self.store
            .take_lease_waiting(environment, &holder, patience)
            .await
            .map_err(lease_error)
    }

    pub(super) async fn give_back(&self, lease: &LeaseToken) {
        // Whoever comes next takes it from a process that is gone.
        if let Err(error) = self.store.release_lease(lease).await {
            tracing::debug!(%error, "the lease could not be given back");
        }
    }

    async fn make_deployment(
        &self,
        ask: &DeployAsk,
        release: &Release,
        shape: &Shape,
        lease: &LeaseToken,
    ) -> Result<(DeploymentId, Request), EngineError> {
        let views = self.views().await?;
        let view = views.environment(&ask.environment);
        // What the last end meant may not have been written, if its driver was killed just then.
        if let Some(last) = view.last_moved.as_ref().filter(|last| last.ended) {
            let (tell, _nobody) = mpsc::channel(1);
            self.after_the_end(&last.id, &tell).await?;
        }
        if let Some(open) = view.active() {
            let next = format!(
                "deploy resume {0} goes on, deploy cancel {0} goes back",
                open.id.short()
            );
            let failure = Failure::new(
                Code::Open,
                format!(
                    "deployment {} of {} is not finished",
                    open.id.short(),
                    ask.environment
                ),
                next,
            );
            return Err(EngineError::Open {
                deployment: open.id.clone(),
                failure: Box::new(failure),
            });
        }
        let scene = self.scene(release.clone(), &ask.environment, &views).await?;
        let plan = self.make_plan(&scene, &views, shape).await?;
        if let Some(only) = ask.only.filter(|only| *only != plan.digest()) {
            return Err(failed(Failure::new(
                Code::Overtaken,
                format!(
                    "the plan is not {} any more: something changed since it was made",
                    only.short()
                ),
                "deploy plan again, look at it, then apply it",
            )));
        }
        self.keep(&scene.to.environment).await?;
        let deployment = DeploymentId::new(ulid::Ulid::new().to_string()).expect("a ULID is one");
        self.supersede(&ask.environment, &deployment, lease, ask.kind)
            .await?;
        let request = self.request(ask, release, shape, &deployment).await?;
        let drafts = [
            EventKind::Requested {
                request: request.clone(),
            },
            EventKind::Planned {
                digest: plan.digest(),
                plan: Box::new(plan),
            },
        ]
        .map(|kind| self.draft(Some(deployment.clone()), kind));
        let stream = Stream::Environment(ask.environment.clone());
        let append = Append {
            expected: self.store.head(&stream).await.map_err(journal_error)?,
            stream,
            lease: Some(lease.clone()),
            condition: Condition::default(),
            events: drafts.to_vec(),
            answers: Vec::new(),
        };
        self.store.append(append).await.map_err(journal_error)?;
        Ok((deployment, request))
    }

    /// A newer deployment supersedes older waiting ones, never a rollback.
    async fn supersede(
        &self,
        environment: &EnvName,
        by: &DeploymentId,
        lease: &LeaseToken,
        kind: Kind,
    ) -> Result<(), EngineError> {
        if kind == Kind::Rollback {
            return Ok(());
        }
        let waiting: Vec<_> = self
            .views()
            .await?
            .environment(environment)
            .waiting()
            .map(|view| view.id.clone())
            .collect();
        for id in waiting {
            let asked = Input::Asked {
                ask: Ask::Supersede,
                by: Some(by.clone()),
            };
            self.decide_for(environment, &id, asked, Some(lease)).await?;
        }
        Ok(())
    }

    /// Decides one input for a deployment that nobody drives, and stores what follows.
    pub(super) async fn decide_for(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        input: Input,
        lease: Option<&LeaseToken>,
    ) -> Result<bool, EngineError> {
        let recorded = self.store.deployment(deployment).await.map_err(journal_error)?;
        let drives = recorded.iter().filter(|recorded| recorded.event().kind.drives());
        let machine = Machine::load(drives).map_err(|error| {
            failed(Failure::new(
                Code::StateCorrupt,
                error.to_string(),
                "deploy audit verify",
            ))
        })?;
        let Ok(decision) = machine.decide(self.clock.now(), &[input]) else {
            return Ok(false);
        };
        let stream = Stream::Environment(environment.clone());
        let events = decision
            .events
            .into_iter()
            .map(|kind| self.draft(Some(deployment.clone()), kind))
            .collect();
        let append = Append {
            expected: self.store.head(&stream).await.map_err(journal_error)?,
            stream,
            lease: lease.cloned(),
            condition: Condition::default(),
            events,
            answers: Vec::new(),
        };
        self.store.append(append).await.map_err(journal_error)?;
        Ok(true)
    }

    /// A deployment, folded.
    pub(super) async fn deployment_view(&self, id: &DeploymentId) -> Result<DeploymentView, EngineError> {
        let recorded = self.store.deployment(id).await.map_err(journal_error)?;
        DeploymentView::fold(id, recorded.iter().map(Recorded::event)).ok_or_else(|| {
            usage(
                Code::UnknownName,
                format!("there is no deployment {id}"),
                "deploy history",
            )
        })
    }

    pub(super) async fn driven(&self, id: &DeploymentId) -> Result<Driven, EngineError> {
        let view = self.deployment_view(id).await?;
        let project = self
            .store
            .load(&Stream::Project, Seq(0))
            .await
            .map_err(journal_error)?;
        let project = ProjectView::fold(project.iter().map(Recorded::event));
        Ok(Driven {
            deployment: id.clone(),
            result: result(&view, &project),
        })
    }

    /// What an end means for the project: a failed health verdict bars the release; the record is written.
    async fn after_the_end(&self, id: &DeploymentId, tell: &mpsc::Sender<Told>) -> Result<(), EngineError> {
        use deploy_core::machine::TurnReason;
        failpoint::hit("engine.end.before");
        let view = self.deployment_view(id).await?;
        // Once for each deployment: a bar that was lifted since stays lifted.
        let written = self
            .events_of(id)
            .await?
            .iter()
            .any(|event| matches!(event.kind, EventKind::Yanked { .. }));
        if view.turned_back == Some(TurnReason::Unhealthy)
            && !written
            && let (Some(release), Some(environment)) = (view.release(), &view.environment)
        {
            let reason = format!("not healthy in {environment}: deployment {}", id.short());
            let yanked = EventKind::Yanked { release, reason };
            self.append_facts(&Stream::Project, vec![self.draft(Some(id.clone()), yanked)])
                .await?;
            let barred = self
                .events_of(id)
                .await?
                .into_iter()
                .rev()
                .find(|event| event.kind.belongs_to_project());
            if let Some(event) = barred {
                // A frontend that went away or is full reads it in the journal.
                let _gone = tell.try_send(Told::Event(Box::new(event)));
            }
        }
        failpoint::hit("engine.end.after");
        Ok(())
    }

    /// The deployment that is meant.
    async fn left_to_resume(
        &self,
        id: Option<&str>,
        environment: Option<&EnvName>,
    ) -> Result<(EnvName, DeploymentId), EngineError> {
        if let Some(id) = id {
            let (environment, deployment) = self.find(id).await?;
            return Ok((environment, deployment));
        }
        let views = self.views().await?;
        let open: Vec<_> = views
            .environments
            .values()
            .filter(|view| environment.is_none_or(|name| *name == view.name))
            .flat_map(|view| view.unended.keys().map(|id| (view.name.clone(), id.clone())))
            .collect();
        match open.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(usage(
                Code::UnknownName,
                "no deployment is left to resume",
                "deploy history shows what happened",
            )),
            many => {
                let names: Vec<_> = many
                    .iter()
                    .map(|(name, id)| format!("{} ({name})", id.short()))
                    .collect();
                Err(usage(
                    Code::Usage,
                    format!("several deployments are open: {}", names.join(", ")),
                    "name one: deploy resume ID",
                ))
            }
        }
    }
}

/// Whether and how one can come back, in a sentence.
fn way_back(plan: &Plan, views: &Views, environment: &EnvName) -> String {
    use deploy_core::plan::{Base, WayBack};
    let none = plan
        .slices
        .iter()
        .filter(|slice| slice.way_back == WayBack::None)
        .count();
    match &plan.base {
        _ if none > 0 => format!("{none} slices have no way back: a failure there needs a human"),
        Base::Nothing => "nothing ran before: going back removes what this deployment creates".to_owned(),
        Base::Release(release) => format!("back to {} by its checkpoints", release.number),
        Base::Uniform => "back to what runs now, by its checkpoints".to_owned(),
        Base::Mixed => match views.environment(environment).destination(None, &views.project) {
            Ok(release) => format!("what runs is mixed: back to {}", release.number),
            Err(_) => {
                "what runs is mixed, and no release was verified here: a failure needs a human".to_owned()
            }
        },
    }
}
