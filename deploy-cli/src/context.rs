//! What every command has at hand: the flags of everywhere, the console, the manifest and the engine, and the signals.

use crate::args::Global;
use crate::console::{Console, Loudness};
use crate::error::CliError;
use crate::identity;
use deploy_core::failure::Code;
use deploy_core::id::EnvName;
use deploy_core::manifest::{Environment, Manifest};
use deploy_core::time::Timestamp;
use deploy_engine::api::{Access, EngineError, Opening, Unreadable};
use deploy_engine::configure::{self, ConfigureError};
use deploy_engine::{Engine, StandIn};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context<'c> {
    pub(crate) global: Global,
    /// The manifest: the one named, or the nearest one from here upwards.
    pub(crate) file: PathBuf,
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
        let parent = self.file.parent().unwrap_or(Path::new(""));
        if parent.as_os_str().is_empty() {
            PathBuf::from(".")
        } else {
            parent.to_owned()
        }
    }

    /// The manifest as it lies there.
    pub(crate) fn manifest(&self) -> Result<Manifest, CliError> {
        configure::read_manifest(&self.file).map_err(|error| self.unread(error))
    }

    /// One environment of it, with the caller's variables.
    pub(crate) async fn resolved(
        &self,
        manifest: &Manifest,
        name: &EnvName,
    ) -> Result<Environment, CliError> {
        known(manifest.environments(), name)?;
        let caller = configure::caller();
        let from = self.folder();
        configure::environment(manifest, name, &configure::From::WorkTree(&from), &caller)
            .await
            .map_err(unreadable)
    }

    /// These environments, with the caller's variables, and everything that is wrong with them at once.
    pub(crate) async fn checked(
        &self,
        manifest: &Manifest,
        names: &[EnvName],
    ) -> Result<Vec<Environment>, CliError> {
        let caller = configure::caller();
        configure::check(manifest, names, &self.folder(), &caller)
            .await
            .map_err(unreadable)
    }

    /// Where no manifest was named and none was found, that is what to say.
    fn unread(&self, error: ConfigureError) -> CliError {
        if self.global.file.is_none() && !self.file.exists() {
            return no_manifest();
        }
        unreadable(error)
    }

    /// Opens the project, to bring something new.
    pub(crate) async fn open(&self, access: Access) -> Result<Engine, CliError> {
        self.open_by(access, Unreadable::Refuse, None).await
    }

    /// Opens the project to go on with what there is, to go back, or to look: a manifest that cannot be read is no reason not to, and
    /// that another one is gone by is told.
    pub(crate) async fn open_anyway(&mut self, access: Access) -> Result<Engine, CliError> {
        let engine = self.open_by(access, Unreadable::AsCommitted, None).await?;
        if let Some(StandIn { commit, why }) = engine.stand_in() {
            let (file, commit) = (self.file.display(), commit.short());
            self.console.message(&format!(
                "! {file} cannot be read ({why}; deploy check): going by it as committed in {commit}\n"
            ));
        }
        Ok(engine)
    }

    async fn open_by(
        &self,
        access: Access,
        unreadable: Unreadable,
        greets: Option<EnvName>,
    ) -> Result<Engine, CliError> {
        if self.global.file.is_none() && !self.file.exists() {
            return Err(no_manifest());
        }
        let state = self.global.state.clone();
        let identity = identity::identity(&self.folder(), &variable);
        Ok(Engine::open(Opening {
            manifest: self.file.clone(),
            state,
            access,
            unreadable,
            identity,
            greets,
        })
        .await?)
    }

    /// Opens the project to change something. In CI a state that would be made is refused, unless that is meant.
    pub(crate) async fn open_to_deploy(&self, allow_ephemeral: bool) -> Result<Engine, CliError> {
        self.open(to_deploy(allow_ephemeral)).await
    }

    /// The same where it is known at once which environment: its hosts are connected to while the rest is opened.
    pub(crate) async fn open_to_deploy_to(
        &self,
        greets: Option<EnvName>,
        allow_ephemeral: bool,
    ) -> Result<Engine, CliError> {
        self.open_by(to_deploy(allow_ephemeral), Unreadable::Refuse, greets)
            .await
    }

    /// The same, to go back.
    pub(crate) async fn open_to_go_back(&mut self, allow_ephemeral: bool) -> Result<Engine, CliError> {
        self.open_anyway(to_deploy(allow_ephemeral)).await
    }

    /// The environment named, or the only one there is: then it is said which.
    pub(crate) fn environment(
        &mut self,
        all: &[EnvName],
        named: Option<EnvName>,
    ) -> Result<EnvName, CliError> {
        match (named, all) {
            (Some(named), _) => known(all, &named).map(|()| named),
            (None, [only]) => {
                self.taken(&format!("environment {only}: the only one there is"));
                Ok(only.clone())
            }
            (None, several) => {
                let them: Vec<&str> = several.iter().map(EnvName::as_str).collect();
                let first = them.first().copied().unwrap_or("ENV");
                let message = format!("which environment? there are {}", them.join(", "));
                Err(CliError::usage(message, format!("name one: -e {first}")))
            }
        }
    }

    /// Says what was taken where nothing was named.
    pub(crate) fn taken(&mut self, what: &str) {
        if self.console.loudness() > Loudness::Quiet {
            let mark = self.console.paint_err().dim("·");
            self.console.message(&format!("{mark} {what}"));
        }
    }

    /// Asks for a line, unless something interrupts first; `None` where nobody can answer.
    pub(crate) async fn asked(
        &mut self,
        signals: &mut Signals,
        question: &str,
    ) -> Result<Option<String>, CliError> {
        tokio::select! {
            biased;
            _ = signals.next() => Err(CliError::interrupted()),
            answer = self.console.ask(question) => Ok(answer),
        }
    }

    /// Says what a person should know before anything begins.
    pub(crate) async fn forewarn(&mut self, engine: &Engine, name: &EnvName) -> Result<(), CliError> {
        let mark = self.console.paint_err().warn("!");
        for line in engine.forewarnings(name).await? {
            self.console.message(&format!("{mark} {line}"));
        }
        Ok(())
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

/// The manifest's name where nothing else is said.
pub(crate) const MANIFEST: &str = "deploy.toml";

/// The manifest that is meant: the one named, else the nearest from here upwards, as git and cargo look. Where there is none, the
/// one that would be here.
pub(crate) fn manifest_file(named: Option<&Path>) -> PathBuf {
    if let Some(named) = named {
        return named.to_owned();
    }
    let depth = std::env::current_dir().map_or(1, |here| here.ancestors().count());
    let mut file = PathBuf::from(MANIFEST);
    for _ in 0..depth {
        if file.is_file() {
            return file;
        }
        file = Path::new("..").join(file);
    }
    PathBuf::from(MANIFEST)
}

fn to_deploy(allow_ephemeral: bool) -> Access {
    if identity::is_ci(&variable) && !allow_ephemeral {
        Access::WriteExisting
    } else {
        Access::Write
    }
}

fn no_manifest() -> CliError {
    let here =
        std::env::current_dir().map_or_else(|_| "this folder".to_owned(), |here| here.display().to_string());
    CliError::new(
        Code::ManifestUnreadable,
        format!("there is no {MANIFEST} in {here}, nor in a folder above it"),
        "go to the project's folder, or name the file: -f FILE; deploy init writes a first one here",
    )
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
        let exit = error.exit();
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
