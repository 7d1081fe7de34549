//! The state in an SQLite file: two threads, one that writes and one that reads, and the ports in front of them.

use super::chain::Row;
use super::error::StoreError;
use super::lease::{self, Attempt, LeaseRow, Leases, TERM};
use super::open::{self, Create};
use super::process::Process;
use super::sql::{self, Fault};
use super::worker::Worker;
use super::{Mark, Store};
use crate::clock::{Clock, SystemClock};
use async_trait::async_trait;
use deploy_core::event::Recorded;
use deploy_core::id::{Actor, DeploymentId, EnvName, InboxSeq, ProjectName, Seq, StoreId};
use deploy_core::machine::Ask;
use deploy_core::port::journal::{
    Append, Journal, JournalError, LeaseError, LeaseHolder, LeaseToken, Message, Patience, Stream,
};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often a reader looks whether another process has written.
const POLL: Duration = Duration::from_millis(100);

/// How to open a state for writing.
#[derive(Clone)]
pub struct OpenOptions {
    /// Whose it must be, or will be.
    pub project: ProjectName,
    /// What to do where there is none.
    pub create: Create,
    /// How long a holder of a lease must be silent before it is taken; all processes on one state must use the same.
    pub term: Duration,
    /// Dates messages.
    pub clock: Arc<dyn Clock>,
}

impl OpenOptions {
    /// With the term and the clock that everybody uses.
    pub fn new(project: ProjectName, create: Create) -> Self {
        Self {
            project,
            create,
            term: TERM,
            clock: Arc::new(SystemClock),
        }
    }
}

/// The state in a file. Dropping it waits for what it was asked to write, and closes the file.
pub struct SqliteJournal {
    store: StoreId,
    path: Arc<Path>,
    me: Process,
    term: Duration,
    clock: Arc<dyn Clock>,
    /// Wakes readers in this process at once.
    written: watch::Sender<()>,
    // Dropped before the writer, which then is the last and folds the log into the file.
    pub(super) reader: Worker,
    pub(super) writer: Option<Worker>,
}

impl std::fmt::Debug for SqliteJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteJournal")
            .field("store", &self.store)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl SqliteJournal {
    /// Opens a state for reading and writing. Blocks for some milliseconds; for seconds where others hold it locked.
    ///
    /// # Errors
    /// See [`StoreError`]. A file that is refused is left byte for byte as it was.
    pub fn open(path: impl AsRef<Path>, options: OpenOptions) -> Result<Self, StoreError> {
        let path = path.as_ref();
        // Whose it is comes first: opening to write may already change a file (its log is folded in).
        match open::open_to_read(path) {
            Ok(connection) => drop(open::identity(&connection, path, &options.project)?),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
        let writer = open::open_to_write(path, options.create, &options.project)?;
        let store = open::identity(&writer, path, &options.project)?;
        Self::start(path, store, Some(writer), options.term, options.clock)
    }

    /// Opens a state for reading alone: also where it, its folder or its disk cannot be written to. Writes fail with
    /// [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open_read_only(path: impl AsRef<Path>, project: &ProjectName) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = open::open_to_read(path)?;
        let store = open::identity(&connection, path, project)?;
        drop(connection);
        Self::start(path, store, None, TERM, Arc::new(SystemClock))
    }

    fn start(
        path: &Path,
        store: StoreId,
        writer: Option<Connection>,
        term: Duration,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let unreadable = |source| StoreError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let reader = open::read_connection(path)?;
        let writer = writer
            .map(|connection| Worker::spawn("state-writer", connection))
            .transpose()
            .map_err(unreadable)?;
        Ok(Self {
            store,
            path: path.into(),
            me: Process::me(),
            term,
            clock,
            written: watch::Sender::new(()),
            reader: Worker::spawn("state-reader", reader).map_err(unreadable)?,
            writer,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, JournalError> {
        let error = match self.reader.run(job).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => self.sort(fault)?,
            Err(error) => error,
        };
        Err(JournalError::Read(Box::new(match error {
            // A failing disk, when reading, is no lack of room.
            StoreError::Full { path, source } => StoreError::Sqlite { path, source },
            other => other,
        })))
    }

    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, JournalError> {
        let Some(writer) = &self.writer else {
            return Err(JournalError::Write(Box::new(StoreError::ReadOnly {
                path: self.path.to_path_buf(),
            })));
        };
        let written = self.written.clone();
        let answer = writer
            .run(move |connection| {
                let answer = job(connection);
                // Here, not after the await: whoever waits for the answer may have gone.
                written.send_replace(());
                answer
            })
            .await;
        let error = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(fault)) => self.sort(fault)?,
            Err(error) => error,
        };
        Err(JournalError::Write(Box::new(error)))
    }

    /// What the journal itself says, or what is wrong with the file.
    fn sort(&self, fault: Fault) -> Result<StoreError, JournalError> {
        match fault {
            Fault::Journal(error) => Err(error),
            Fault::Sql(error) => Ok(StoreError::sqlite(&self.path, error)),
            Fault::Damaged(what) => Ok(StoreError::Damaged {
                path: self.path.to_path_buf(),
                what,
            }),
        }
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    fn store(&self) -> &StoreId {
        &self.store
    }

    async fn append(&self, append: Append) -> Result<Vec<Recorded>, JournalError> {
        let store = self.store.clone();
        self.write(move |connection| sql::append(connection, &store, append))
            .await
    }

    async fn load(&self, stream: &Stream, after: Seq) -> Result<Vec<Recorded>, JournalError> {
        let (store, stream) = (self.store.clone(), stream.clone());
        self.read(move |connection| sql::load(connection, &store, &stream, after))
            .await
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Vec<Recorded>, JournalError> {
        let id = id.clone();
        self.read(move |connection| sql::deployment(connection, &id))
            .await
    }

    async fn streams(&self) -> Result<Vec<Stream>, JournalError> {
        self.read(|connection| sql::streams(connection)).await
    }

    async fn take_lease_waiting(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
        patience: Patience,
    ) -> Result<LeaseToken, LeaseError> {
        lease::take(self, environment, holder, patience).await
    }

    async fn renew_lease(&self, token: &LeaseToken, step: &str) -> Result<(), LeaseError> {
        let (token, step) = (token.clone(), step.to_owned());
        Ok(self
            .write(move |connection| sql::renew(connection, &token, &step))
            .await?)
    }

    async fn release_lease(&self, token: &LeaseToken) -> Result<(), JournalError> {
        let token = token.clone();
        self.write(move |connection| sql::release(connection, &token))
            .await
    }

    async fn lease_holder(&self, environment: &EnvName) -> Result<Option<LeaseHolder>, JournalError> {
        Ok(self.look(environment).await?.holder(self.me()))
    }

    async fn send(
        &self,
        environment: &EnvName,
        actor: &Actor,
        deployment: &DeploymentId,
        ask: Ask,
    ) -> Result<InboxSeq, JournalError> {
        let (environment, actor, deployment) = (environment.clone(), actor.clone(), deployment.clone());
        let at = self.clock.now();
        self.write(move |connection| sql::send(connection, &environment, at, &actor, &deployment, ask))
            .await
    }

    async fn inbox(&self, environment: &EnvName) -> Result<Vec<Message>, JournalError> {
        let environment = environment.clone();
        self.read(move |connection| sql::inbox(connection, &environment))
            .await
    }
}

#[async_trait]
impl Store for SqliteJournal {
    async fn changed(&self, since: Mark) -> Result<Mark, JournalError> {
        let mut written = self.written.subscribe();
        loop {
            let now = Mark(self.read(|connection| sql::data_version(connection)).await?);
            if now != since {
                return Ok(now);
            }
            // Either way: look again. The sender is our own and cannot be gone.
            let _ = tokio::time::timeout(POLL, written.changed()).await;
        }
    }

    async fn head(&self, stream: &Stream) -> Result<Seq, JournalError> {
        let stream = stream.clone();
        self.read(move |connection| sql::head(connection, &stream)).await
    }

    async fn facts(&self, stream: &Stream) -> Result<Vec<Recorded>, JournalError> {
        let stream = stream.clone();
        self.read(move |connection| sql::facts(connection, &stream)).await
    }

    async fn deployments(
        &self,
        stream: &Stream,
        before: Option<&DeploymentId>,
        limit: usize,
    ) -> Result<Vec<DeploymentId>, JournalError> {
        let (stream, before) = (stream.clone(), before.cloned());
        self.read(move |connection| sql::deployments(connection, &stream, before, limit))
            .await
    }

    async fn verify_chain(&self) -> Result<u64, JournalError> {
        let store = self.store.clone();
        self.read(move |connection| sql::verify(connection, &store)).await
    }

    async fn export(&self, stream: &Stream, after: Seq, limit: usize) -> Result<Vec<Row>, JournalError> {
        let stream = stream.clone();
        self.read(move |connection| sql::export(connection, &stream, after, limit))
            .await
    }
}

#[async_trait]
impl Leases for SqliteJournal {
    async fn look(&self, environment: &EnvName) -> Result<LeaseRow, JournalError> {
        let environment = environment.clone();
        self.read(move |connection| sql::look(connection, &environment))
            .await
    }

    async fn attempt(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
        silent: Option<(u64, u64)>,
    ) -> Result<Attempt, JournalError> {
        let (environment, holder, me) = (environment.clone(), holder.clone(), self.me.clone());
        self.write(move |connection| sql::attempt(connection, &environment, &holder, &me, silent))
            .await
    }

    fn me(&self) -> &Process {
        &self.me
    }

    fn term(&self) -> Duration {
        self.term
    }
}
