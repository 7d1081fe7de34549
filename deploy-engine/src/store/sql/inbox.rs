//! The inbox: what others ask of the holder of a lease.

use super::{Answer, damaged, json, number, text, writing};
use crate::failpoint;
use deploy_core::id::{Actor, DeploymentId, EnvName, InboxSeq};
use deploy_core::machine::Ask;
use deploy_core::port::journal::{Append, Message, Stream};
use deploy_core::time::Timestamp;
use rusqlite::Connection;

/// The newest unanswered message that concerns an append.
pub(super) fn newest(connection: &Connection, append: &Append) -> rusqlite::Result<InboxSeq> {
    // The project's stream has no inbox of its own: then it is the one of the lease, and without a lease anybody's.
    let environment = match (&append.stream, &append.lease) {
        (Stream::Environment(name), _) => Some(name),
        (Stream::Project, lease) => lease.as_ref().map(|token| &token.environment),
    };
    connection
        .prepare_cached("SELECT max(seq) FROM inbox WHERE ?1 IS NULL OR environment = ?1")?
        .query_row([environment.map(EnvName::as_str)], |row| {
            Ok(InboxSeq(number(row.get_ref(0)?)))
        })
}

pub(in crate::store) fn send(
    connection: &mut Connection,
    environment: &EnvName,
    at: Timestamp,
    actor: &Actor,
    deployment: &DeploymentId,
    ask: Ask,
) -> Answer<InboxSeq> {
    failpoint::hit("store.inbox.before");
    let transaction = writing(connection)?;
    transaction.execute(
        "INSERT INTO inbox (environment, at, actor, deployment, ask) VALUES (?1, ?2, ?3, ?4, ?5)",
        (
            environment.as_str(),
            at.0,
            actor.as_str(),
            deployment.as_str(),
            json(&ask)?,
        ),
    )?;
    let seq = transaction.last_insert_rowid();
    transaction.commit()?;
    failpoint::hit("store.inbox.after");
    Ok(InboxSeq(u64::try_from(seq).unwrap_or(0)))
}

pub(in crate::store) fn inbox(connection: &Connection, environment: &EnvName) -> Answer<Vec<Message>> {
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, actor, deployment, ask FROM inbox WHERE environment = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([environment.as_str()])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let bad = damaged("a message");
        messages.push(Message {
            seq: InboxSeq(number(row.get_ref(0)?)),
            at: Timestamp(row.get(1)?),
            actor: Actor::new(text(row.get_ref(2)?)).map_err(|error| bad(&error))?,
            deployment: DeploymentId::new(text(row.get_ref(3)?)).map_err(|error| bad(&error))?,
            ask: serde_json::from_str(&text(row.get_ref(4)?)).map_err(|error| bad(&error))?,
        });
    }
    Ok(messages)
}
