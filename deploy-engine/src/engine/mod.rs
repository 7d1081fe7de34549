//! The front of the engine: a project that is open, and what can be asked of it. Each file is one kind of question.

mod approve;
mod asks;
mod attest;
mod by_hand;
mod checks;
mod deploy;
mod doctor;
mod dropped;
mod edited;
mod end;
mod folded;
mod holding;
mod hosts;
mod judge;
mod kept;
mod looks;
mod make;
mod plan;
mod read;
mod records;
mod release;
mod request;
mod retire;
mod rules;
mod scene;
mod setup;
mod status;
mod trust;
mod unreadable;
mod watch;
mod way_there;
mod which;
mod wired;

pub use checks::{JunitCount, junit};
pub use deploy::Wires;
pub use trust::SeenHost;
pub use unreadable::StandIn;

use crate::api::{Access, EngineError, Identity, Opening};
use crate::clock::{Clock, SystemClock};
use crate::configure::registry::Kit;
use crate::configure::{self, Caller, ConfigureError, From};
use crate::source::artifacts::Artifacts;
use crate::source::git::{Git, GitError};
use crate::store::{Create, OpenOptions, SqliteJournal, Store, StoreError};
use deploy_core::event::{Draft, EventKind};
use deploy_core::failure::{Code, Failure};
use deploy_core::id::{DeploymentId, EnvName, Seq};
use deploy_core::manifest::{Environment, Manifest, Project};
use deploy_core::port::journal::{Append, Condition, JournalError, Stream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::task::JoinSet;

/// A project that is open. Cheap to clone: all clones are the same project.
#[derive(Clone)]
pub struct Engine {
    manifest: Arc<Manifest>,
    project: Arc<Project>,
    folder: PathBuf,
    file: String,
    git: Arc<Result<Git, GitError>>,
    stand_in: Option<StandIn>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    artifacts: Artifacts,
    identity: Identity,
    caller: Caller,
    kit: Arc<Kit>,
    folded: folded::Folded,
    /// Connections that are being made ahead of their use; given up with the last clone.
    _greetings: Arc<JoinSet<()>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("project", &self.project.name)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Opens a project: reads its manifest, opens its state.
    ///
    /// # Errors
    /// The manifest, all of it at once; or the state.
    pub async fn open(opening: Opening) -> Result<Self, EngineError> {
        let path = std::path::absolute(&opening.manifest).unwrap_or(opening.manifest.clone());
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let file = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let caller = configure::caller();
        let kit = Kit::default();
        let greetings = match &opening.greets {
            Some(name) => greet(&kit, &opening.manifest, name, &folder, &caller).await,
            None => JoinSet::new(),
        };
        let git = Git::open(&folder).await;
        let (manifest, stand_in) =
            unreadable::read(&opening.manifest, &file, &git, opening.unreadable).await?;
        let look_up = |name: &str| caller.get(name).cloned();
        let project = manifest.project(&look_up).map_err(EngineError::Manifest)?;
        let configured = match opening.state {
            Some(state) => Some(state),
            None => manifest
                .state(&look_up)
                .map_err(EngineError::Manifest)?
                .filter(|state| !state.is_empty()),
        };
        let location = state_path(configured.as_deref(), &folder)?;
        let home = location.parent().unwrap_or(&folder).to_owned();
        let store = open_store(location, &project, opening.access).await?;
        let engine = Self {
            git: Arc::new(git),
            stand_in,
            manifest: Arc::new(manifest),
            project: Arc::new(project),
            file,
            folder,
            store,
            clock: Arc::new(SystemClock),
            artifacts: Artifacts::at(home.join("artifacts")),
            identity: opening.identity,
            caller,
            kit: Arc::new(kit),
            folded: folded::Folded::default(),
            _greetings: Arc::new(greetings),
        };
        if matches!(opening.access, Access::Write | Access::WriteExisting) {
            engine.record_state().await?;
            engine.make_ends_good().await?;
        }
        Ok(engine)
    }

    /// The first event of a state says whose it is.
    async fn record_state(&self) -> Result<(), EngineError> {
        if self.store.head(&Stream::Project).await.map_err(journal_error)? > Seq(0) {
            return Ok(());
        }
        let created = EventKind::StateCreated {
            store: self.store.store().clone(),
            project: self.project.name.clone(),
        };
        let append = Append {
            stream: Stream::Project,
            expected: Seq(0),
            lease: None,
            condition: Condition::default(),
            events: vec![self.draft(None, created)],
            answers: Vec::new(),
        };
        match self.store.append(append).await {
            // Somebody else opened it at the same moment.
            Ok(_) | Err(JournalError::Moved { .. }) => Ok(()),
            Err(error) => Err(journal_error(error)),
        }
    }

    /// What stands in for the manifest that lies there and cannot be read.
    pub fn stand_in(&self) -> Option<&StandIn> {
        self.stand_in.as_ref()
    }

    /// The manifest, as it lies there, or what stands in for it.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The environments, each after those that come before it.
    pub fn environments(&self) -> Vec<EnvName> {
        self.manifest.environments().to_vec()
    }

    /// One environment, as it lies there.
    ///
    /// # Errors
    /// Unset variables, values that break a rule, or an unreadable env file.
    pub async fn environment(&self, name: &EnvName) -> Result<Environment, EngineError> {
        configure::environment(&self.manifest, name, &From::WorkTree(&self.folder), &self.caller)
            .await
            .map_err(configure_error)
    }

    fn git(&self) -> Result<&Git, EngineError> {
        self.git
            .as_ref()
            .as_ref()
            .map_err(|error| failed(error.failure()))
    }

    /// Appends facts to a stream, again where somebody else wrote in between. It is read before, and so is
    /// the project's: nothing is written into a damaged state.
    async fn append_facts(&self, stream: &Stream, drafts: Vec<Draft>) -> Result<(), EngineError> {
        loop {
            let project = self.project_view().await?.last;
            let expected = match stream {
                Stream::Project => project,
                Stream::Environment(name) => self.environment_view(name).await?.last,
            };
            let append = Append {
                stream: stream.clone(),
                expected,
                lease: None,
                condition: Condition::default(),
                events: drafts.clone(),
                answers: Vec::new(),
            };
            match self.store.append(append).await {
                Ok(_) => return Ok(()),
                Err(JournalError::Moved { .. }) => {}
                Err(error) => return Err(journal_error(error)),
            }
        }
    }

    fn draft(&self, deployment: Option<DeploymentId>, kind: EventKind) -> Draft {
        Draft {
            at: self.clock.now(),
            deployment,
            actor: self.identity.actor.clone(),
            kind,
        }
    }
}

/// Begins the connections to an environment's hosts. What stands in the way is told by whoever needs them.
async fn greet(kit: &Kit, manifest: &Path, name: &EnvName, folder: &Path, caller: &Caller) -> JoinSet<()> {
    let Ok(manifest) = configure::read_manifest(manifest) else {
        return JoinSet::new();
    };
    match configure::environment(&manifest, name, &From::WorkTree(folder), caller).await {
        Ok(environment) => {
            let greetings = kit.greet(&environment, folder);
            // They begin now, and not when something here is first waited for.
            tokio::task::yield_now().await;
            greetings
        }
        Err(_) => JoinSet::new(),
    }
}

/// Where the state is: a path, or `sqlite:PATH`. Beside the manifest where nothing says otherwise.
fn state_path(configured: Option<&str>, folder: &Path) -> Result<PathBuf, EngineError> {
    let Some(text) = configured else {
        return Ok(folder.join(".deploy/state.db"));
    };
    let path = text
        .strip_prefix("sqlite://")
        .or_else(|| text.strip_prefix("sqlite:"))
        .unwrap_or(text);
    if path.contains("://") {
        return Err(EngineError::Usage(Box::new(Failure::new(
            Code::NotYetActing,
            format!(
                "the state {} is not an SQLite file",
                path.split("://").next().unwrap_or_default()
            ),
            "name a path, or sqlite:PATH",
        ))));
    }
    Ok(folder.join(path))
}

async fn open_store(path: PathBuf, project: &Project, access: Access) -> Result<Arc<dyn Store>, EngineError> {
    let name = project.name.clone();
    let opened = tokio::task::spawn_blocking(move || -> Result<Arc<dyn Store>, StoreError> {
        if access == Access::Look
            && let Ok(store) = SqliteJournal::open(&path, OpenOptions::new(name.clone(), Create::No))
        {
            return Ok(Arc::new(store));
        }
        let create = match access {
            Access::Read | Access::Look => {
                return match SqliteJournal::open_read_only(&path, &name) {
                    // Nothing was ever deployed: an empty state says so, and none is made.
                    Err(StoreError::Missing { .. }) => {
                        Ok(Arc::new(crate::store::MemoryJournal::new(empty_id())))
                    }
                    result => Ok(Arc::new(result?)),
                };
            }
            Access::Write => Create::Yes,
            Access::WriteExisting => Create::RefuseInCi,
        };
        Ok(Arc::new(SqliteJournal::open(
            &path,
            OpenOptions::new(name, create),
        )?))
    })
    .await
    .map_err(|error| defect(&error))?;
    opened.map_err(|error| EngineError::Failed(Box::new(error.into())))
}

/// The id of a state that is not there; nothing is ever written under it.
fn empty_id() -> deploy_core::id::StoreId {
    deploy_core::id::StoreId::new("0".repeat(26)).expect("26 digits are a ULID")
}

fn configure_error(error: ConfigureError) -> EngineError {
    match error {
        ConfigureError::Manifest(problems) => EngineError::Manifest(problems),
        ConfigureError::Git(error) => EngineError::Failed(Box::new(error.failure())),
        error => EngineError::Usage(Box::new(error.failure())),
    }
}

fn git_error(error: GitError) -> EngineError {
    EngineError::Failed(Box::new(error.failure()))
}

fn journal_error(error: JournalError) -> EngineError {
    let failure = Box::new(crate::store::journal_failure(&error));
    match error {
        JournalError::LeaseLost(_) => EngineError::Held(failure),
        _ => EngineError::Failed(failure),
    }
}

fn lease_error(error: deploy_core::port::journal::LeaseError) -> EngineError {
    use deploy_core::port::journal::LeaseError;
    match error {
        LeaseError::Held { .. } => EngineError::Held(Box::new(crate::store::lease_failure(&error))),
        LeaseError::Journal(error) => journal_error(error),
    }
}

fn defect(error: &dyn std::error::Error) -> EngineError {
    EngineError::Defect(Box::new(
        Failure::new(
            Code::Defect,
            "a task of ours ended in a panic",
            "please report it",
        )
        .caused_by(error),
    ))
}

fn usage(code: Code, message: impl Into<String>, next: impl Into<String>) -> EngineError {
    EngineError::Usage(Box::new(Failure::new(code, message, next)))
}

fn failed(failure: Failure) -> EngineError {
    EngineError::Failed(Box::new(failure))
}
