//! What can be wrong with a state file, and how each of it is told to people: the one place where errors of the state become
//! a [`Failure`].

use super::holder::Holder;
use deploy_core::failure::{Code, Failure};
use deploy_core::port::journal::{JournalError, LeaseError};
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why a state cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no file, and none was to be made.
    #[error("there is no state at {}", .path.display())]
    Missing {
        /// Where.
        path: PathBuf,
    },
    /// There is no file, and one made here would be lost with the CI job.
    #[error("a new state at {} would be lost with this CI job", .path.display())]
    Ephemeral {
        /// Where.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{} is not a state of deploy: {what}", .path.display())]
    NotAState {
        /// Which file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// Written by a newer version; left as it is.
    #[error("{} has form {found}, this version knows {known}", .path.display())]
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its form.
        found: i64,
        /// The newest that we know.
        known: i64,
    },
    /// Another project's.
    #[error("{} belongs to the project `{found}`, not to `{wanted}`", .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Whose it is.
        found: String,
        /// Whose it was to be.
        wanted: String,
    },
    /// The file, its folder or its disk cannot be written to.
    #[error("{} cannot be written: it is read-only here", .path.display())]
    ReadOnly {
        /// Which file.
        path: PathBuf,
    },
    /// No room, or the disk fails.
    #[error("{} cannot be written", .path.display())]
    Full {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// The file exists but cannot be read.
    #[error("{} cannot be read", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The database in the file is broken.
    #[error("{} is damaged: {what}", .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is broken.
        what: String,
    },
    /// Somebody else kept it locked for longer than we wait.
    #[error("{} is locked by {}", .path.display(), .holder.as_ref().map_or("another process".to_owned(), ToString::to_string))]
    Busy {
        /// Which file.
        path: PathBuf,
        /// Who, where the kernel tells.
        holder: Option<Holder>,
    },
    /// Another error of SQLite.
    #[error("{} failed", .path.display())]
    Sqlite {
        /// Which file.
        path: PathBuf,
        /// What SQLite says.
        #[source]
        source: rusqlite::Error,
    },
    /// On a network disk, where two machines would each have their own idea of SQLite's log.
    #[error("{} is on a network disk ({kind})", .path.display())]
    NetworkDisk {
        /// Which file.
        path: PathBuf,
        /// Which kind of disk.
        kind: &'static str,
    },
    /// This SQLite can damage a write-ahead log when it is reset.
    #[error("SQLite {found} is too old: 3.51.3 or newer is needed")]
    OldSqlite {
        /// The version at run time.
        found: &'static str,
    },
    /// The thread that owns the file has ended: a defect of ours.
    #[error("the state was closed while it was in use")]
    Closed,
}

impl StoreError {
    /// Sorts an error of SQLite.
    pub(super) fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::DiskFull | ErrorCode::SystemIoFailure) => Self::Full { path, source },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::ReadOnly { path }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                let holder = Holder::of(&path);
                Self::Busy { path, holder }
            }
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged {
                path,
                what: source.to_string(),
            },
            Some(ErrorCode::NotADatabase) => Self::NotAState {
                path,
                what: source.to_string(),
            },
            _ => Self::Sqlite { path, source },
        }
    }

    const fn code(&self) -> Code {
        match self {
            Self::Missing { .. }
            | Self::ReadOnly { .. }
            | Self::Unreadable { .. }
            | Self::Sqlite { .. }
            | Self::NetworkDisk { .. }
            | Self::OldSqlite { .. } => Code::StateUnreadable,
            Self::Busy { .. } => Code::StateLocked,
            Self::Ephemeral { .. } => Code::StateEphemeral,
            Self::NotAState { .. } | Self::Damaged { .. } => Code::StateCorrupt,
            Self::Newer { .. } => Code::StateNewer,
            Self::Foreign { .. } => Code::StateForeign,
            Self::Full { .. } => Code::StateFull,
            Self::Closed => Code::Defect,
        }
    }

    fn next(&self) -> String {
        match self {
            Self::Missing { .. } => {
                "run `deploy up`, which makes one, or name another with --state".to_owned()
            }
            Self::Ephemeral { .. } => {
                "set DEPLOY_STATE or project.state to a state that outlives the job, or say --allow-ephemeral-state"
                    .to_owned()
            }
            Self::NotAState { path, .. } => {
                format!("name another file with --state; `{}` was left as it is", path.display())
            }
            Self::Newer { .. } => "use the version of deploy that wrote it, or a newer one".to_owned(),
            Self::Foreign { .. } => "run deploy in that project's folder, or name another file with --state".to_owned(),
            Self::ReadOnly { path } => format!(
                "make `{}` and its folder writable for this user; `deploy status` and `deploy history` work without",
                path.display()
            ),
            Self::Full { .. } => "free space on its disk, then run the command again".to_owned(),
            Self::Unreadable { path, .. } => {
                format!("run `ls -l {}`: it must belong to this user", path.display())
            }
            Self::Damaged { path, .. } => format!(
                "keep `{}` aside and restore a backup; `deploy audit verify` checks it",
                path.display()
            ),
            Self::Busy { holder: Some(Holder { pid, stopped: true, .. }), .. } => {
                format!("`kill -CONT {pid}` lets it go on; or end it with `kill -9 {pid}`, then run `deploy resume`")
            }
            Self::Busy { .. } => "run the command again once the other one has ended".to_owned(),
            Self::Sqlite { .. } => "run the command again; `deploy audit verify` checks the file".to_owned(),
            Self::NetworkDisk { .. } => "name a file on a disk of this machine with --state".to_owned(),
            Self::OldSqlite { .. } => "build deploy with its own SQLite (the default)".to_owned(),
            Self::Closed => "run `deploy resume`".to_owned(),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        store_failure(&error)
    }
}

fn store_failure(error: &StoreError) -> Failure {
    let failure = Failure::new(error.code(), error.to_string(), error.next());
    match std::error::Error::source(error) {
        Some(source) => {
            let mut failure = failure.caused_by(source);
            // SQLite's error has itself as its cause.
            failure.causes.dedup();
            failure
        }
        None => failure,
    }
}

/// An error of the journal, for people.
pub fn journal_failure(error: &JournalError) -> Failure {
    let message = error.to_string();
    match error {
        JournalError::Write(source) | JournalError::Read(source) => match source.downcast_ref::<StoreError>()
        {
            Some(error) => store_failure(error),
            None => Failure::new(Code::Defect, message, "run `deploy resume`").caused_by(source.as_ref()),
        },
        JournalError::Corrupt { .. } => Failure::new(
            Code::StateCorrupt,
            message,
            "restore a backup of the state; `deploy audit verify` checks it",
        ),
        JournalError::LeaseLost(_) => Failure::new(Code::LeaseLost, message, "deploy watch"),
        // Both are answered by loading and deciding again; only a defect lets them come this far.
        JournalError::Moved { .. } | JournalError::InboxNotEmpty => {
            Failure::new(Code::Defect, message, "run `deploy resume`")
        }
    }
}

/// Why there is no lease, for people.
pub fn lease_failure(error: &LeaseError) -> Failure {
    match error {
        LeaseError::Journal(error) => journal_failure(error),
        LeaseError::Held { environment, holder } => Failure::new(
            Code::LeaseHeld,
            format!(
                "{} has driven {environment} since {}, now at: {}",
                holder.who, holder.since, holder.step
            ),
            match &holder.deployment {
                Some(id) => format!(
                    "wait with --lock-wait 15m, or look on with `deploy watch {}`",
                    id.short()
                ),
                None => {
                    format!("wait with --lock-wait 15m; `deploy status -e {environment}` shows how far it is")
                }
            },
        ),
    }
}
