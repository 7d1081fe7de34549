//! What every command has at hand: the flags of everywhere, the console, the manifest and the engine, and the signals.

use crate::args::Global;
use crate::console::Console;
use crate::error::{CliError, Exit};
use crate::identity::{self, Variables};
use deploy_core::failure::Code;
use deploy_core::gate::Unmet;
use deploy_core::id::EnvName;
use deploy_core::manifest::{Environment, Manifest};
use deploy_core::plan::Kind;
use deploy_core::time::Timestamp;
use deploy_core::view::result::refused_code;
use deploy_engine::Engine;
use deploy_engine::api::{Access, EngineError, Opening};
use deploy_engine::configure::{self, ConfigureError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    pub(crate) global: Global,
    pub(crate) console: &'c mut Console,
}

/// A variable of the process's environment.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Now, by the wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp(0).after(since)
}

impl Context<'_> {
    /// The manifest's folder.
    pub(crate) fn folder(&self) -> PathBuf {
        let parent = self.global.file.parent().unwrap_or(Path::new(""));
        if parent.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            parent.to_owned()
        }
    }

    /// The manifest as it lies there.
    pub(crate) fn manifest(&self) -> Result<Manifest, CliError> {
        configure::read_manifest(&self.global.file).map_err(unreadable)
    }

    /// One environment of it, with the caller's variables.
    pub(crate) async fn resolved(
        &self,
        manifest: &Manifest,
        name: &EnvName,
    ) -> Result<Environment, CliError> {
        known(manifest.environments(), name)?;
        let caller = std::env::vars().collect();
        let from = self.folder();
        configure::environment(manifest, name, &configure::From::WorkTree(&from), &caller)
            .await
            .map_err(unreadable)
    }

    /// Opens the project.
    pub(crate) async fn open(&self, access: Access) -> Result<Engine, CliError> {
        let state = self.global.state.clone();
        let identity = identity::identity(&self.folder(), &variable);
        Ok(Engine::open(Opening {
            manifest: self.global.file.clone(),
            state,
            access,
            identity,
        })
        .await?)
    }

    /// Opens the project to change something. In CI a state that would be made is refused, unless that is meant.
    pub(crate) async fn open_to_deploy(&self, allow_ephemeral: bool) -> Result<Engine, CliError> {
        let variables: Variables<'_> = &variable;
        let careful = identity::is_ci(variables) && !allow_ephemeral;
        self.open(if careful {
            Access::WriteExisting
        } else {
            Access::Write
        })
        .await
    }

    /// Whether the caller named the environment to confirm it: by flag, or when asked. The gate is the engine's.
    pub(crate) async fn confirmed(
        &mut self,
        engine: &Engine,
        name: &EnvName,
        kind: Kind,
    ) -> Result<bool, CliError> {
        if let Some(given) = &self.global.confirm {
            if given == name {
                return Ok(true);
            }
            let message = format!("--confirm names {given}, and this is for {name}");
            return Err(CliError::usage(message, format!("--confirm {name}")));
        }
        if !self.console.asks() {
            return Ok(false);
        }
        let environment = engine.environment(name).await?;
        let wanted = match kind {
            Kind::Rollback => environment.confirm.rollback,
            Kind::Deploy | Kind::Promote => environment.confirm.deploy,
        };
        if !wanted {
            return Ok(false);
        }
        self.typed(name).map(|()| true)
    }

    /// Says what a person should know before anything begins.
    pub(crate) async fn forewarn(&mut self, engine: &Engine, name: &EnvName) -> Result<(), CliError> {
        let mark = self.console.paint_err().warn("!");
        for line in engine.forewarnings(name).await? {
            self.console.message(&format!("{mark} {line}"));
        }
        Ok(())
    }

    /// Has the environment's name typed.
    pub(crate) fn typed(&mut self, name: &EnvName) -> Result<(), CliError> {
        let answer = self
            .console
            .ask(&format!("This changes {name}. Type its name to go on: "));
        if answer.as_deref() == Some(name.as_str()) {
            return Ok(());
        }
        let message = format!("{name} was not confirmed: nothing was begun");
        Err(CliError::new(
            Code::ConfirmationMissing,
            message,
            format!("type {name} when asked, or give --confirm {name}"),
        ))
    }
}

/// An environment that the manifest has, or the one that was probably meant.
pub(crate) fn known(environments: &[EnvName], name: &EnvName) -> Result<(), CliError> {
    if environments.contains(name) {
        return Ok(());
    }
    let names: Vec<&str> = environments.iter().map(EnvName::as_str).collect();
    Err(CliError::unknown("environment", name.as_str(), &names))
}

fn unreadable(error: ConfigureError) -> CliError {
    match error {
        ConfigureError::Manifest(problems) => problems.into(),
        error => error.failure().into(),
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        let failure = error.failure();
        let exit = match &error {
            EngineError::Manifest(_) | EngineError::Usage(_) => Exit::Usage,
            EngineError::Held(_) => Exit::Held,
            EngineError::Refused { unmet, .. } if refused_code(unmet) == Exit::NotAllowed.code() => {
                Exit::NotAllowed
            }
            EngineError::Refused { .. } => Exit::Refused,
            EngineError::NotAllowed(_) => Exit::NotAllowed,
            EngineError::Unreachable(_) => Exit::Unreachable,
            EngineError::Failed(_) => Exit::Failed,
            EngineError::Open { .. } => Exit::Open,
            EngineError::Defect(_) => Exit::Defect,
        };
        let from = Self::from(failure);
        match error {
            EngineError::Manifest(problems) => problems.into(),
            EngineError::Refused { unmet, .. } => Self { exit, unmet, ..from },
            EngineError::Open { deployment, .. } => Self {
                exit,
                deployment: Some(deployment),
                ..from
            },
            _ => Self { exit, ..from },
        }
    }
}

/// How gates leave whoever asked: 0 where all hold, 11 where waiting helps, else 6 or 7.
pub(crate) fn exit_of(unmet: &[Unmet]) -> Exit {
    use deploy_core::gate::Opens;
    match unmet {
        [] => Exit::Done,
        _ if unmet.iter().all(|unmet| unmet.opens != Opens::Never) => Exit::Waiting,
        _ if refused_code(unmet) == Exit::NotAllowed.code() => Exit::NotAllowed,
        _ => Exit::Refused,
    }
}

/// What interrupts: SIGINT and SIGTERM, from the moment this is made.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interruption {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Signals {
    /// Listens; inside a runtime.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Interruption {
        tokio::select! {
            _ = self.interrupt.recv() => Interruption::Interrupt,
            _ = self.terminate.recv() => Interruption::Terminate,
        }
    }
}
