//! The statements: what each operation reads and writes, each in one transaction on one connection. No threads, no waiting.

mod events;
mod inbox;
mod leases;

pub(super) use events::{append, deployment, deployments, export, facts, head, load, streams, verify};
pub(super) use inbox::{inbox, send};
pub(super) use leases::{attempt, look, release, renew};

use deploy_core::port::journal::JournalError;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Transaction, TransactionBehavior};

/// What an operation ends in when it does not end well.
#[derive(Debug)]
pub(super) enum Fault {
    /// SQLite failed.
    Sql(rusqlite::Error),
    /// A row other than an event is not what was written.
    Damaged(String),
    /// The journal says no.
    Journal(JournalError),
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}
impl From<JournalError> for Fault {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

type Answer<T> = Result<T, Fault>;

fn damaged(what: &'static str) -> impl Fn(&dyn std::fmt::Display) -> Fault {
    move |error| Fault::Damaged(format!("{what}: {error}"))
}

fn writing(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

/// SQLite's integers are signed; sequence numbers and terms start at 1 and rise by one.
fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn number(value: ValueRef<'_>) -> u64 {
    value
        .as_i64()
        .ok()
        .and_then(|n| u64::try_from(n).ok())
        .unwrap_or(0)
}

/// Damaged text must reach the check of the chain, not fail before it: what is no UTF-8 becomes something that no hash fits.
fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

fn json(value: &impl serde::Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| JournalError::Write(Box::new(error)).into())
}

/// Changes whenever another connection has written.
pub(super) fn data_version(connection: &Connection) -> Answer<u64> {
    Ok(connection.query_row("PRAGMA data_version", [], |row| Ok(number(row.get_ref(0)?)))?)
}
