//! Deploying: from a request to a deployment, and driving one as far as it goes.

use super::judge::{Bench, Case, verdict, without_asked};
use super::plan::Shape;
use super::scene::Of;
use super::wired::Wired;
use super::{Engine, usage};
use crate::api::{Before, DeployAsk, Driven, EngineError, Hear, Preview};
use crate::drive::{Drive, Left, Told, drive};
use deploy_core::event::Driver;
use deploy_core::failure::{Code, Failure};
use deploy_core::gate::{GateKind, Judged, PlanFacts};
use deploy_core::id::{DeploymentId, EnvName};
use deploy_core::machine::Ask;
use deploy_core::manifest::Environment;
use deploy_core::model::Release;
use deploy_core::plan::Kind;
use deploy_core::port::journal::LeaseToken;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// Where a frontend is told, and how it says stop.
pub struct Wires {
    /// Told what happens.
    pub tell: mpsc::Sender<Told>,
    /// True: stop starting steps.
    pub stop: watch::Receiver<bool>,
}

/// What one drive is done with.
struct Driving {
    lease: LeaseToken,
    wires: Wires,
    /// Whether the deployment and its plan were made just now.
    just_planned: bool,
}

impl Wires {
    /// Nobody listens, and nobody stops it: the answer is all that is wanted.
    pub fn unheard() -> Self {
        let ((tell, _), (_, stop)) = (mpsc::channel(1), watch::channel(false));
        Self { tell, stop }
    }
}

impl Engine {
    /// What would happen. Makes the release where a commit is asked for; changes nothing else. `hear` is told what takes its time.
    ///
    /// # Errors
    /// What stands in the way of a plan; gates do not: they are in the answer.
    pub async fn preview(&self, ask: &DeployAsk, hear: Hear<'_>) -> Result<Preview, EngineError> {
        let release = self.release_for(ask, hear).await?;
        let shape = Shape {
            differences: true,
            ..Shape::of(ask)?
        };
        let views = self.views().await?;
        self.keeps_apart(ask.kind, &ask.environment).await?;
        let scene = self
            .scene(release.clone(), &ask.environment, &views, Of::Now)
            .await?;
        hear(looks_at(&scene.to.environment));
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
        let rules = self.rules_in_force(
            &self.environment(&ask.environment).await?,
            &views.environment(&ask.environment),
        );
        let looks = self.look_upstream(ask.kind, &rules, &release, &views).await;
        let judged = self.judge_case(&case, &views, &looks).await?;
        let (judged, mut asked) = without_asked(judged, &ask.environment);
        if ask.confirmed {
            asked.clear();
        }
        let soaked = judged
            .iter()
            .filter_map(|judged| match judged {
                Judged::Met {
                    gate: GateKind::Soak,
                    by,
                } => Some(by.clone()),
                _ => None,
            })
            .collect();
        let verdict = verdict(judged);
        let way_back = plan.way_back_in_words();
        Ok(Preview {
            release,
            plan,
            verdict,
            asked,
            soaked,
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
        let views = self.views().await?;
        let view = views.environment(&ask.environment);
        self.refuse_edited(&ask, &configured, &view).await?;
        self.refuse_dropped(ask.kind, &views)?;
        self.record_rules(&configured, &view).await?;
        // While the release is made; what is not needed after all ends with this.
        let _greetings = self.kit.greet(&configured, &self.folder);
        let tell = wires.tell.clone();
        let mut hear = move |before| {
            // A sign of life that finds no room is not missed.
            let _full = tell.try_send(Told::Before(before));
        };
        let release = self.release_for(&ask, &mut hear).await?;
        // Going back asks for no evidence: neither a check nor what it runs on may hold it up.
        if ask.kind != Kind::Rollback {
            self.run_checks(&ask.environment, &release, &mut hear).await?;
        }
        let shape = Shape::of(&ask)?;
        let lease = self
            .lease(&ask.environment, ask.lock_wait, None, Some(&wires.tell))
            .await?;
        hear(looks_at(&configured));
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
        };
        let wires = Driving {
            lease,
            wires,
            just_planned: true,
        };
        self.drive_one(&ask.environment, &deployment, release, bench, wires)
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
        let (environment, deployment) = self.open_one(id, environment).await?;
        let resumed = self
            .resume_found(&environment, &deployment, lock_wait, wires)
            .await;
        match resumed {
            Err(error) => Err(self.still_open(&deployment, error).await),
            driven => driven,
        }
    }

    async fn resume_found(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        lock_wait: Duration,
        wires: Wires,
    ) -> Result<Driven, EngineError> {
        // Asking to go on with what waits means: look at the gates again.
        let view = self.deployment_view(deployment).await?;
        if view.is_waiting() {
            self.leave(environment, deployment, Ask::Recheck).await?;
        } else if matches!(view.phase(), deploy_core::view::Phase::Paused) {
            self.leave(environment, deployment, Ask::Continue).await?;
        }
        self.resume_one(environment, deployment, lock_wait, wires, false)
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
            return self.closed(deployment, &wires.tell).await;
        }
        let lease = self
            .lease(environment, lock_wait, Some(deployment), Some(&wires.tell))
            .await?;
        let request = view.request.clone().ok_or_else(|| {
            EngineError::Defect(Box::new(Failure::new(
                Code::Defect,
                "the deployment has no request",
                "please report it",
            )))
        })?;
        let views = self.views().await?;
        let release = views.project.by_digest(request.release.digest);
        // Called what it was called when it was asked for.
        let release = release.map(|release| Release {
            version: request.options.version.clone(),
            ..release.clone()
        });
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
        };
        let wires = Driving {
            lease,
            wires,
            just_planned: false,
        };
        self.drive_one(environment, deployment, release, bench, wires)
            .await
    }

    async fn drive_one(
        &self,
        environment: &EnvName,
        deployment: &DeploymentId,
        release: Release,
        bench: Bench,
        driving: Driving,
    ) -> Result<Driven, EngineError> {
        let Driving {
            lease,
            wires,
            just_planned,
        } = driving;
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
                deployment: deployment.clone(),
                making: Semaphore::new(1),
            }),
            judge: Arc::new(bench),
            just_planned,
            stop: wires.stop,
            tell: wires.tell,
        };
        let tell = task.tell.clone();
        let left = drive(task, lease.clone()).await;
        self.give_back(&lease).await;
        match left {
            Ok(Left::Ended(_)) => self.closed(deployment, &tell).await,
            Ok(Left::Waiting | Left::Paused | Left::Stopped) => self.driven(deployment).await,
            Err(error) => Err(self.left_open(environment, deployment, error).await),
        }
    }
}

fn looks_at(environment: &Environment) -> Before {
    Before::LooksAt {
        hosts: environment.hosts.keys().cloned().collect(),
    }
}
