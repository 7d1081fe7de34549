//! Files that cannot be used, each with its own error, and left as they were.

use super::*;
use deploy_core::failure::{Code, Failure};
use rusqlite::Connection;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn with(name: &str, create: Create) -> OpenOptions {
    OpenOptions {
        project: ProjectName::new(name).unwrap(),
        create,
        ..options()
    }
}

/// Everything in the folder, byte for byte, but SQLite's index of the log: it is memory, not content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with("-shm"))
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .filter(|(path, bytes)| !(bytes.is_empty() && path.to_string_lossy().ends_with("-wal")))
        .collect();
    files.sort();
    files
}

/// A state whose log has not been folded into it, as a killed process leaves it.
async fn killed(path: &Path) {
    let other = path.with_file_name("work/state.db");
    let journal = open(&other);
    journal.append(plain(staging(), 0, 3)).await.unwrap();
    for suffix in ["", "-wal"] {
        let name = |path: &Path| PathBuf::from(format!("{}{suffix}", path.display()));
        fs::copy(name(&other), name(path)).unwrap();
    }
    drop(journal);
    fs::remove_dir_all(other.parent().unwrap()).unwrap();
}

#[tokio::test]
async fn a_new_state_is_for_its_owner_alone() {
    let (_folder, path) = place();
    let journal = open(&path);
    journal.append(plain(staging(), 0, 1)).await.unwrap();
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(
            mode(Path::new(&format!("{}{suffix}", path.display()))),
            0o600,
            "{suffix}"
        );
    }
    let reader = journal.reader.run(|connection| {
        connection
            .query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))
            .unwrap()
    });
    assert_eq!(reader.await.unwrap(), "wal");
    let writer = journal.writer.as_ref().unwrap().run(|connection| {
        connection
            .query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))
            .unwrap()
    });
    assert_eq!(writer.await.unwrap(), 2, "FULL");
    let store = journal.store().clone();
    drop(journal);
    assert_eq!(open(&path).store(), &store);
}

#[tokio::test]
async fn a_state_is_made_only_where_that_is_wanted() {
    let (_folder, path) = place();
    let missing = SqliteJournal::open(&path, with("shop", Create::No)).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }));
    let missing = SqliteJournal::open_read_only(&path, &project()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing { .. }));
    let in_ci = SqliteJournal::open(&path, with("shop", Create::RefuseInCi)).unwrap_err();
    assert_eq!(Failure::from(in_ci).code, Code::StateEphemeral);
    assert!(!path.parent().unwrap().exists());
    drop(open(&path));
    SqliteJournal::open(&path, with("shop", Create::RefuseInCi)).unwrap();
    SqliteJournal::open(&path, with("shop", Create::No)).unwrap();
    // Cut short right after the file was made.
    let blank = path.with_file_name("blank.db");
    fs::write(&blank, "").unwrap();
    open(&blank).append(plain(staging(), 0, 1)).await.unwrap();
}

/// What it is, how to make it so, and what is said of it.
type Case<'a> = (&'a str, &'a dyn Fn(), Code);

#[tokio::test]
async fn what_is_not_ours_to_write_is_refused_and_left_as_it_was() {
    let (folder, path) = place();
    fs::create_dir(path.parent().unwrap()).unwrap();
    let raw = |sql: &str| {
        let connection = Connection::open(&path).unwrap();
        // As a killed process would: without folding the log in.
        connection
            .set_db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
            .unwrap();
        connection.execute_batch(sql).unwrap();
    };
    let cases: [Case<'_>; 8] = [
        (
            "newer",
            &|| raw("PRAGMA user_version = 7; PRAGMA wal_checkpoint(TRUNCATE)"),
            Code::StateNewer,
        ),
        (
            "newer, in the log alone",
            &|| raw("PRAGMA user_version = 7"),
            Code::StateNewer,
        ),
        (
            "another project's",
            &|| raw("UPDATE meta SET project = 'other'"),
            Code::StateForeign,
        ),
        (
            "another program's",
            &|| raw("PRAGMA application_id = 7"),
            Code::StateCorrupt,
        ),
        (
            "nobody's any more",
            &|| raw("DELETE FROM meta"),
            Code::StateCorrupt,
        ),
        (
            "text",
            &|| fs::write(&path, "events: []\n".repeat(20)).unwrap(),
            Code::StateCorrupt,
        ),
        (
            "cut",
            &|| fs::write(&path, &fs::read(&path).unwrap()[..5000]).unwrap(),
            Code::StateCorrupt,
        ),
        (
            "a folder",
            &|| {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            },
            Code::StateCorrupt,
        ),
    ];
    for (name, spoil, code) in cases {
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        if name == "cut" {
            drop(open(&path));
        } else {
            killed(&path).await;
        }
        spoil();
        let before = if path.is_file() {
            contents(path.parent().unwrap())
        } else {
            Vec::new()
        };
        for attempt in ["write", "read"] {
            let refused = match attempt {
                "write" => SqliteJournal::open(&path, options()).unwrap_err(),
                _ => SqliteJournal::open_read_only(&path, &project()).unwrap_err(),
            };
            let failure = Failure::from(refused);
            assert_eq!(failure.code, code, "{name}: {failure:?}");
            assert!(!failure.next.is_empty());
        }
        if path.is_file() {
            assert!(before == contents(path.parent().unwrap()), "{name}: changed");
        }
    }
    drop(folder);
}

#[tokio::test]
async fn what_a_killed_process_left_in_the_log_is_there() {
    let (_folder, path) = place();
    fs::create_dir(path.parent().unwrap()).unwrap();
    killed(&path).await;
    let reader = SqliteJournal::open_read_only(&path, &project()).unwrap();
    assert_eq!(reader.head(&staging()).await.unwrap(), Seq(3));
    drop(reader);
    assert_eq!(open(&path).verify_chain().await.unwrap(), 3);
}

#[tokio::test]
async fn who_opens_to_read_cannot_write() {
    let (_folder, path) = place();
    drop(open(&path));
    let journal = SqliteJournal::open_read_only(&path, &project()).unwrap();
    let Err(error) = journal.append(plain(staging(), 0, 1)).await else {
        panic!("written")
    };
    assert_eq!(journal_failure(&error).code, Code::StateUnreadable);
}

/// A disk without room, by a limit on the file: nothing is half done, what was there is readable, and it goes on afterwards.
#[tokio::test]
async fn a_full_disk_changes_nothing_and_it_goes_on_when_there_is_room() {
    let (_folder, path) = place();
    let journal = open(&path);
    let limit = |pages: i64| {
        let set = move |connection: &mut Connection| {
            let now: i64 = connection
                .query_row("PRAGMA page_count", [], |row| row.get(0))
                .unwrap();
            connection
                .pragma_update(None, "max_page_count", now + pages)
                .unwrap();
        };
        journal.writer.as_ref().unwrap().run(set)
    };
    limit(20).await.unwrap();
    let big = |expected| Append {
        events: (0..3).map(|_| draft(None, &"x".repeat(3000))).collect(),
        ..plain(staging(), expected, 0)
    };
    let mut last = 0;
    let error = loop {
        match journal.append(big(last)).await {
            Ok(_) => last += 3,
            Err(error) => break error,
        }
        assert!(last < 100, "the limit acts");
    };
    assert_eq!(journal_failure(&error).code, Code::StateFull);
    assert!(last > 0);
    assert_eq!(journal.head(&staging()).await.unwrap(), Seq(last));
    assert_eq!(journal.verify_chain().await.unwrap(), last);
    limit(1000).await.unwrap();
    journal.append(big(last)).await.unwrap();
    assert_eq!(journal.verify_chain().await.unwrap(), last + 3);
}

const ROLE: &str = "DEPLOY_TEST_READ_ONLY";

/// Runs itself again as a user without rights where this one is root, to whom nothing is read-only.
#[tokio::test]
async fn read_only_files_and_folders_can_be_read() {
    if let Some(path) = std::env::var_os(ROLE) {
        return as_a_reader(Path::new(&path)).await;
    }
    let (folder, path) = place();
    open(&path).append(plain(staging(), 0, 2)).await.unwrap();
    for (file, deploy) in [(0o444, 0o555), (0o444, 0o755), (0o644, 0o555), (0o000, 0o755)] {
        for (path, mode) in [
            (folder.path(), 0o755),
            (path.parent().unwrap(), deploy),
            (&path, file),
        ] {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        let test = "store::tests::files::read_only_files_and_folders_can_be_read";
        command.args(["--exact", test]).env(ROLE, &path);
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534).current_dir("/");
            for owned in [path.parent().unwrap(), &path] {
                std::os::unix::fs::chown(owned, Some(65534), Some(65534)).unwrap();
            }
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("1 passed"), "{said}");
        assert!(
            output.status.success(),
            "{file:o} {deploy:o}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
    }
    fs::set_permissions(path.parent().unwrap(), Permissions::from_mode(0o755)).unwrap();
}

async fn as_a_reader(path: &Path) {
    if mode(path) == 0 {
        let error = SqliteJournal::open_read_only(path, &project()).unwrap_err();
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
        return;
    }
    let before = contents(path.parent().unwrap());
    let error = SqliteJournal::open(path, options()).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly { .. }), "{error:?}");
    let journal = SqliteJournal::open_read_only(path, &project()).unwrap();
    assert_eq!(journal.load(&staging(), Seq(0)).await.unwrap().len(), 2);
    assert_eq!(journal.verify_chain().await.unwrap(), 2);
    assert!(before == contents(path.parent().unwrap()));
}

#[test]
fn how_the_errors_read() {
    let path = PathBuf::from("/srv/shop/.deploy/state.db");
    let full = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(13), None);
    let texts: Vec<_> = [
        StoreError::Missing { path: path.clone() },
        StoreError::Ephemeral { path: path.clone() },
        StoreError::NotAState {
            path: path.clone(),
            what: "it is no SQLite database".to_owned(),
        },
        StoreError::Newer {
            path: path.clone(),
            found: 7,
            known: 1,
        },
        StoreError::Foreign {
            path: path.clone(),
            found: "blog".to_owned(),
            wanted: "shop".to_owned(),
        },
        StoreError::ReadOnly { path: path.clone() },
        StoreError::Full {
            path: path.clone(),
            source: full,
        },
        StoreError::OldSqlite { found: "3.50.0" },
        StoreError::Busy {
            path: path.clone(),
            holder: None,
        },
        StoreError::Busy {
            path,
            holder: Some(Holder {
                pid: 4711,
                program: "deploy".to_owned(),
                stopped: true,
            }),
        },
    ]
    .into_iter()
    .map(|error| {
        let failure = Failure::from(error);
        let causes: Vec<_> = failure
            .causes
            .iter()
            .map(|cause| ["\n  because ", cause].concat())
            .collect();
        let causes = causes.concat();
        format!(
            "{} {}{causes}\n  next    {}",
            failure.code, failure.message, failure.next
        )
    })
    .collect();
    insta::assert_snapshot!(texts.join("\n"), @"
    DPL0201 there is no state at /srv/shop/.deploy/state.db
      next    run `deploy up`, which makes one, or name another with --state
    DPL0205 a new state at /srv/shop/.deploy/state.db would be lost with this CI job
      next    set DEPLOY_STATE or project.state to a state that outlives the job, or say --allow-ephemeral-state
    DPL0204 /srv/shop/.deploy/state.db is not a state of deploy: it is no SQLite database
      next    name another file with --state; `/srv/shop/.deploy/state.db` was left as it is
    DPL0202 /srv/shop/.deploy/state.db has form 7, this version knows 1
      next    use the version of deploy that wrote it, or a newer one
    DPL0203 /srv/shop/.deploy/state.db belongs to the project `blog`, not to `shop`
      next    run deploy in that project's folder, or name another file with --state
    DPL0201 /srv/shop/.deploy/state.db cannot be written: it is read-only here
      next    make `/srv/shop/.deploy/state.db` and its folder writable for this user; `deploy status` and `deploy history` work without
    DPL0206 /srv/shop/.deploy/state.db cannot be written
      because Error code 13: database or disk is full
      next    free space on its disk, then run the command again
    DPL0201 SQLite 3.50.0 is too old: 3.51.3 or newer is needed
      next    build deploy with its own SQLite (the default)
    DPL0207 /srv/shop/.deploy/state.db is locked by another process
      next    run the command again once the other one has ended
    DPL0207 /srv/shop/.deploy/state.db is locked by deploy (pid 4711), which is stopped
      next    `kill -CONT 4711` lets it go on; or end it with `kill -9 4711`, then run `deploy resume`
    ");
}
