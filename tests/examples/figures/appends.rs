//! Appends to the journal beside the same rows in bare SQLite with the same durability, one by one in turns:
//! a ratio, since both wait for one disk.

use crate::figure::Figure;
use deploy_core::event::{Draft, EventKind};
use deploy_core::id::{Actor, ProjectName, Seq};
use deploy_core::port::journal::{Append, Condition, Journal as _, Stream};
use deploy_core::time::Timestamp;
use deploy_engine::store::{Create, OpenOptions, SqliteJournal};
use rusqlite::Connection;
use std::path::Path;
use std::time::{Duration, Instant};

const ROUNDS: usize = 15;
/// Transactions in a round.
const APPENDS: usize = 40;
/// Events in a transaction: what one decision commonly writes.
const EVENTS: usize = 3;

/// The ratio of each round, and what one append takes on either side.
pub(crate) fn beside_bare_sqlite(folder: &Path) -> Vec<Figure> {
    std::fs::create_dir_all(folder).expect("a folder can be made");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime can be made");
    let project = ProjectName::new("bench").expect("a name");
    let options = OpenOptions::new(project, Create::Yes);
    let journal = SqliteJournal::open(folder.join("journal.db"), options).expect("a state can be made");
    let bare = bare(&folder.join("bare.db"));
    let stream = Stream::Environment("production".parse().expect("a name"));
    let (mut ratios, mut ours, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    let mut last = Seq(0);
    // One round first, for caches and the files' first growth.
    for round in 0..=ROUNDS {
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for _ in 0..APPENDS {
            let append = Append {
                stream: stream.clone(),
                expected: last,
                lease: None,
                condition: Condition::default(),
                events: vec![draft(); EVENTS],
                answers: Vec::new(),
            };
            let begun = Instant::now();
            let stored = runtime.block_on(journal.append(append)).expect("it is appended");
            one.push(begun.elapsed());
            let newest = stored.last().expect("what was stored").event();
            last = newest.seq;
            let body = serde_json::to_string(newest).expect("an event is JSON");
            let begun = Instant::now();
            write(&bare, &body).expect("a row can be written");
            other.push(begun.elapsed());
        }
        if round > 0 {
            let (one, other) = (middle(one), middle(other));
            ratios.push(one.as_secs_f64() / other.as_secs_f64());
            ours.push(one);
            theirs.push(other);
        }
    }
    vec![
        Figure::of("append, beside bare SQLite", "×", ratios)
            .goal("≤ 1.5 ×")
            .note(format!(
                "{EVENTS} events in a transaction, write-ahead log, synchronous = FULL on both sides"
            )),
        Figure::of_times("append", &ours),
        Figure::of_times("bare SQLite", &theirs),
    ]
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn draft() -> Draft {
    Draft {
        at: Timestamp(1_767_225_600_000),
        deployment: None,
        actor: Actor::new("alice").expect("a name"),
        kind: EventKind::FrozenByHand {
            reason: "as long as a reason, a note or a failure commonly is; it says what was seen and why. "
                .repeat(4),
        },
    }
}

fn bare(path: &Path) -> Connection {
    let connection = Connection::open(path).expect("a database can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
             CREATE TABLE rows (id INTEGER PRIMARY KEY, stream TEXT, at INTEGER, body TEXT);",
        )
        .expect("a table can be made");
    connection
}

fn write(connection: &Connection, body: &str) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    {
        let mut insert =
            transaction.prepare_cached("INSERT INTO rows (stream, at, body) VALUES (?1, ?2, ?3)")?;
        for _ in 0..EVENTS {
            insert.execute(("environment/production", 1_767_225_600_000_i64, body))?;
        }
    }
    transaction.commit()
}
