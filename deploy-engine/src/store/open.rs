//! Opening a state file: what it is, whether it is ours, and making a new one. A file that is not ours to write is looked at
//! without SQLite where that is possible, so that nothing in it or beside it changes.

use super::error::StoreError;
use crate::failpoint;
use deploy_core::id::{ProjectName, StoreId};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::fs::{DirBuilder, File, OpenOptions as FileOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The form of the tables, in `PRAGMA user_version`.
pub const FORM: i64 = 1;
/// `dply`, in `PRAGMA application_id`.
const APPLICATION: i64 = 0x6470_6c79;
/// Versions of SQLite before this can damage a write-ahead log when it is reset.
const OLDEST_SQLITE: i32 = 3_051_003;
/// How long a lock held by another process is waited for. Transactions here are a few milliseconds.
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE meta (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  store TEXT NOT NULL,
  project TEXT NOT NULL
) STRICT;
CREATE TABLE streams (
  name TEXT PRIMARY KEY,
  last INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;
CREATE TABLE events (
  id INTEGER PRIMARY KEY,
  stream TEXT NOT NULL REFERENCES streams (name),
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  deployment TEXT,
  prev TEXT NOT NULL,
  hash TEXT NOT NULL,
  body TEXT NOT NULL,
  UNIQUE (stream, seq)
) STRICT;
CREATE INDEX events_by_deployment ON events (deployment, id) WHERE deployment IS NOT NULL;
CREATE INDEX facts ON events (stream, seq) WHERE deployment IS NULL;
CREATE TABLE leases (
  environment TEXT PRIMARY KEY,
  term INTEGER NOT NULL,
  beat INTEGER NOT NULL,
  holder TEXT,
  process TEXT,
  CHECK ((holder IS NULL) = (process IS NULL))
) STRICT;
CREATE TABLE inbox (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  environment TEXT NOT NULL,
  at INTEGER NOT NULL,
  actor TEXT NOT NULL,
  deployment TEXT NOT NULL,
  ask TEXT NOT NULL
) STRICT;
CREATE INDEX inbox_by_environment ON inbox (environment, seq);
";

/// Names the network disks whose machines do not share memory: SQLite's log would be torn by two of them. Others (FUSE, 9p) are
/// mostly folders of this very machine, seen from a container.
fn network(kind: u64) -> Option<&'static str> {
    match kind {
        0x6969 => Some("NFS"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB"),
        _ => None,
    }
}

#[cfg(target_os = "linux")]
fn refuse_network_disks(path: &Path) -> Result<(), StoreError> {
    // What cannot be asked is said by whatever is done next.
    let Ok(disk) = rustix::fs::statfs(path) else {
        return Ok(());
    };
    // The kernel's numbers are 32 bits wide; some are negative in the type that the C library gives them.
    #[expect(clippy::cast_sign_loss, reason = "only the bits count")]
    let kind = disk.f_type as u64 & 0xffff_ffff;
    match network(kind) {
        Some(kind) => Err(StoreError::NetworkDisk {
            path: path.to_owned(),
            kind,
        }),
        None => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn refuse_network_disks(_: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// What to do where there is no state yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// Make one.
    Yes,
    /// [`StoreError::Missing`].
    No,
    /// [`StoreError::Ephemeral`]: this is a CI job, a new file would die with it.
    RefuseInCi,
}

/// What a look at the file showed.
enum Found {
    Nothing,
    /// An empty file, or one whose making was cut short before its tables.
    Blank,
    State,
}

pub(super) fn refuse_old_sqlite() -> Result<(), StoreError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(StoreError::OldSqlite {
            found: rusqlite::version(),
        });
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn has_log(path: &Path) -> bool {
    std::fs::metadata(beside(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

fn be32(header: &[u8], at: usize) -> i64 {
    header
        .get(at..at + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| i64::from(u32::from_be_bytes(bytes)))
}

fn inspect(path: &Path) -> Result<Found, StoreError> {
    let unreadable = |source| StoreError::Unreadable {
        path: path.to_owned(),
        source,
    };
    let not_ours = |what: &str| StoreError::NotAState {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let mut header = Vec::new();
    match File::open(path) {
        Ok(file) if file.metadata().map_err(unreadable)?.is_file() => {
            file.take(100).read_to_end(&mut header).map_err(unreadable)?;
        }
        Ok(_) => return Err(not_ours("it is not a file")),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(unreadable(error)),
    }
    if header.is_empty() {
        return Ok(Found::Blank);
    }
    if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") {
        return Err(not_ours("it is no SQLite database"));
    }
    // The header is the truth unless a log holds a newer one; only then SQLite has to be asked.
    let (mut form, mut application) = (be32(&header, 60), be32(&header, 68));
    let mut tables = None;
    if has_log(path) || application == 0 {
        let connection = read_connection(path)?;
        let ask = |sql: &str| {
            connection
                .query_row(sql, [], |row| row.get::<_, i64>(0))
                .map_err(|error| StoreError::sqlite(path, error))
        };
        form = ask("PRAGMA user_version")?;
        application = ask("PRAGMA application_id")?;
        tables = Some(ask("SELECT count(*) FROM sqlite_schema")?);
    }
    match (application, form) {
        (APPLICATION, FORM) => Ok(Found::State),
        (APPLICATION, found) => Err(StoreError::Newer {
            path: path.to_owned(),
            found,
            known: FORM,
        }),
        (0, 0) if tables == Some(0) => Ok(Found::Blank),
        _ => Err(not_ours("it is another program's database")),
    }
}

/// A connection that cannot write. Works in a folder that cannot be written to, as long as nobody else left a log there.
pub(super) fn read_connection(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |connection: rusqlite::Result<Connection>| {
        let connection = connection?;
        connection.busy_timeout(BUSY)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
        Ok::<_, rusqlite::Error>(connection)
    };
    let error = match open(Connection::open_with_flags(path, flags)) {
        Ok(connection) => return Ok(connection),
        Err(error) => error,
    };
    let no_folder = matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied)
    );
    if !no_folder || has_log(path) {
        return Err(StoreError::sqlite(path, error));
    }
    // SQLite wants to make its log's index beside the file and may not. Without a log there is nothing to index, and where we
    // cannot write, nobody like us writes at the same time.
    let uri = format!("file:{}?immutable=1", escape(path));
    open(Connection::open_with_flags(
        uri,
        flags | OpenFlags::SQLITE_OPEN_URI,
    ))
    .map_err(|error| StoreError::sqlite(path, error))
}

fn escape(path: &Path) -> String {
    use std::fmt::Write as _;
    use std::os::unix::ffi::OsStrExt as _;
    let mut escaped = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02x}");
        }
    }
    escaped
}

/// Opens for reading alone; says what is there if it is not a state.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    refuse_old_sqlite()?;
    match inspect(path)? {
        Found::State => read_connection(path),
        Found::Nothing | Found::Blank => Err(StoreError::Missing {
            path: path.to_owned(),
        }),
    }
}

/// Opens for writing; makes the file where that is wanted.
pub(super) fn open_to_write(
    path: &Path,
    create: Create,
    project: &ProjectName,
) -> Result<Connection, StoreError> {
    refuse_old_sqlite()?;
    let found = inspect(path)?;
    match (&found, create) {
        (Found::State, _) | (_, Create::Yes) => {}
        (_, Create::No) => {
            return Err(StoreError::Missing {
                path: path.to_owned(),
            });
        }
        (_, Create::RefuseInCi) => {
            return Err(StoreError::Ephemeral {
                path: path.to_owned(),
            });
        }
    }
    if matches!(found, Found::Nothing) {
        failpoint::hit("store.create.before");
        make_file(path).map_err(|source| match source.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly {
                path: path.to_owned(),
            },
            _ => StoreError::Unreadable {
                path: path.to_owned(),
                source,
            },
        })?;
        failpoint::hit("store.create.file");
    }
    refuse_network_disks(path)?;
    let failed = |error| StoreError::sqlite(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    if connection.is_readonly("main").map_err(failed)? {
        return Err(StoreError::ReadOnly {
            path: path.to_owned(),
        });
    }
    connection.busy_timeout(BUSY).map_err(failed)?;
    use_log(&connection).map_err(failed)?;
    connection
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )
        .map_err(failed)?;
    make_tables(&mut connection, project).map_err(failed)?;
    Ok(connection)
}

/// A folder of ours in somebody's checkout: else the first deployment would make the tree dirty for the second, and the next
/// `git add -A` would commit the state.
fn hide_from_git(folder: &Path) -> std::io::Result<()> {
    if folder.file_name() != Some(".deploy".as_ref()) {
        return Ok(());
    }
    match FileOptions::new()
        .write(true)
        .create_new(true)
        .open(folder.join(".gitignore"))
    {
        Ok(mut file) => file.write_all(b"*\n"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// The file with its rights first, so that there is no moment in which others may read it. SQLite gives its log the same.
fn make_file(path: &Path) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    hide_from_git(folder)?;
    match FileOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Ok(_) => {}
        // Another process makes it at this moment.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    File::open(folder)?.sync_all()
}

/// Switching to the log needs the file for itself for a moment, and SQLite does not wait for that.
fn use_log(connection: &Connection) -> rusqlite::Result<()> {
    let begun = Instant::now();
    loop {
        match connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0)) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other.map(|_| ()),
        }
    }
}

/// Makes the tables unless they are there. Begins a write in any case: where that is not allowed, it shows now.
fn make_tables(connection: &mut Connection, project: &ProjectName) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let form: i64 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if form == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.execute(
            "INSERT INTO meta (one, store, project) VALUES (1, ?1, ?2)",
            (ulid::Ulid::new().to_string(), project.as_str()),
        )?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORM)?;
        failpoint::hit("store.create.commit");
        transaction.commit()?;
        failpoint::hit("store.create.after");
        return Ok(());
    }
    transaction.rollback()
}

/// Whose state it is; refuses another project's.
pub(super) fn identity(
    connection: &Connection,
    path: &Path,
    project: &ProjectName,
) -> Result<StoreId, StoreError> {
    let (store, found): (String, String) = connection
        .query_row("SELECT store, project FROM meta", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => StoreError::Damaged {
                path: path.to_owned(),
                what: "it does not say whose it is".to_owned(),
            },
            error => StoreError::sqlite(path, error),
        })?;
    if found != project.as_str() {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
            found,
            wanted: project.to_string(),
        });
    }
    StoreId::new(&store).map_err(|error| StoreError::Damaged {
        path: path.to_owned(),
        what: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_disks_are_told_from_others() {
        for (kind, name) in [
            (0x6969, Some("NFS")),
            (0xff53_4d42, Some("CIFS")),
            (0xfe53_4d42, Some("SMB")),
            (0xef53, None),
            (0x0102_1994, None),
            (0x6573_5546, None),
        ] {
            assert_eq!(network(kind), name, "{kind:x}");
        }
    }
}
