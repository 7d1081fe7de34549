//! The statements: what each operation reads and writes, each in one transaction on one connection. No threads, no waiting.

use super::chain::{self, Row, Walk, parse_stream, stream_key};
use super::lease::{Attempt, Held, LeaseRow};
use super::process::Process;
use crate::failpoint;
use deploy_core::event::Recorded;
use deploy_core::id::{Actor, DeploymentId, EnvName, InboxSeq, Seq, StoreId};
use deploy_core::machine::Ask;
use deploy_core::port::journal::{Append, JournalError, LeaseHolder, LeaseToken, Message, Stream};
use deploy_core::time::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior};

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

/// In the order that [`row`] reads.
macro_rules! rows {
    ($rest:literal) => {
        concat!(
            "SELECT stream, seq, at, deployment, prev, hash, body FROM events ",
            $rest
        )
    };
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    let deployment = row.get_ref(3)?;
    Ok(Row {
        stream: text(row.get_ref(0)?),
        seq: number(row.get_ref(1)?),
        at: row.get_ref(2)?.as_i64().unwrap_or(i64::MIN),
        deployment: (deployment != ValueRef::Null).then(|| text(deployment)),
        prev: text(row.get_ref(4)?),
        hash: text(row.get_ref(5)?),
        body: text(row.get_ref(6)?),
    })
}

/// The recorded end of a stream, if it has begun.
fn end(connection: &Connection, key: &str) -> rusqlite::Result<Option<(Seq, String)>> {
    connection
        .prepare_cached("SELECT last, hash FROM streams WHERE name = ?1")?
        .query_row([key], |row| {
            Ok((Seq(number(row.get_ref(0)?)), text(row.get_ref(1)?)))
        })
        .optional()
}

pub(super) fn head(connection: &Connection, stream: &Stream) -> Answer<Seq> {
    Ok(end(connection, &stream_key(stream))?.map_or(Seq(0), |(last, _)| last))
}

fn holds(connection: &Connection, token: &LeaseToken) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM leases WHERE environment = ?1 AND term = ?2 AND holder IS NOT NULL")?
        .exists((token.environment.as_str(), int(token.term)))
}

fn newest_message(connection: &Connection, append: &Append) -> rusqlite::Result<InboxSeq> {
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

pub(super) fn append(connection: &mut Connection, store: &StoreId, append: Append) -> Answer<Vec<Recorded>> {
    failpoint::hit("store.append.before");
    let transaction = writing(connection)?;
    if let Some(token) = &append.lease
        && !holds(&transaction, token)?
    {
        return Err(JournalError::LeaseLost(token.environment.clone()).into());
    }
    let key = stream_key(&append.stream);
    let known = end(&transaction, &key)?;
    let (mut last, mut hash) = known.clone().unwrap_or_else(|| (Seq(0), chain::genesis(store)));
    let expected = std::iter::once((&append.stream, append.expected));
    for (stream, seen) in expected.chain(
        append
            .condition
            .unchanged
            .iter()
            .map(|(stream, seen)| (stream, *seen)),
    ) {
        let last = head(&transaction, stream)?;
        if last != seen {
            return Err(JournalError::Moved {
                stream: stream.clone(),
                last,
            }
            .into());
        }
    }
    if let Some(read) = append.condition.inbox_read
        && newest_message(&transaction, &append)? > read
    {
        return Err(JournalError::InboxNotEmpty.into());
    }
    if known.is_none() && !append.events.is_empty() {
        transaction.execute(
            "INSERT INTO streams (name, last, hash) VALUES (?1, 0, ?2)",
            (&key, &hash),
        )?;
    }
    let mut stored = Vec::with_capacity(append.events.len());
    {
        let mut insert = transaction.prepare_cached(
            "INSERT INTO events (stream, seq, at, deployment, prev, hash, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?;
        for draft in append.events {
            last = last.next();
            let (row, recorded) = chain::seal(&hash, &append.stream, last, draft)
                .map_err(|error| JournalError::Write(Box::new(error)))?;
            insert.execute((
                &row.stream,
                int(row.seq),
                row.at,
                &row.deployment,
                &row.prev,
                &row.hash,
                &row.body,
            ))?;
            hash = row.hash;
            stored.push(recorded);
        }
    }
    if !stored.is_empty() {
        transaction
            .prepare_cached("UPDATE streams SET last = ?2, hash = ?3 WHERE name = ?1")?
            .execute((&key, int(last.0), &hash))?;
    }
    for message in append.answers {
        transaction
            .prepare_cached("DELETE FROM inbox WHERE seq = ?1")?
            .execute([int(message.0)])?;
    }
    failpoint::hit("store.append.commit");
    transaction.commit()?;
    failpoint::hit("store.append.after");
    Ok(stored)
}

pub(super) fn load(
    connection: &mut Connection,
    store: &StoreId,
    stream: &Stream,
    after: Seq,
) -> Answer<Vec<Recorded>> {
    let key = stream_key(stream);
    // One transaction: rows and end of the same moment.
    let snapshot = connection.transaction()?;
    let known = end(&snapshot, &key)?;
    let hash = match after {
        Seq(0) => chain::genesis(store),
        Seq(seq) => snapshot
            .prepare_cached("SELECT hash FROM events WHERE stream = ?1 AND seq = ?2")?
            .query_row((&key, int(seq)), |row| Ok(text(row.get_ref(0)?)))
            .optional()?
            .ok_or_else(|| {
                Walk::after(stream.clone(), after, String::new()).damage(after, "it is missing")
            })?,
    };
    let mut walk = Walk::after(stream.clone(), after, hash);
    let mut events = Vec::new();
    {
        let mut statement = snapshot.prepare_cached(rows!("WHERE stream = ?1 AND seq > ?2 ORDER BY seq"))?;
        let mut rows = statement.query((&key, int(after.0)))?;
        while let Some(next) = rows.next()? {
            events.push(walk.step(&row(next)?)?);
        }
    }
    match known {
        Some((last, hash)) => walk.end(last, &hash)?,
        None if events.is_empty() => {}
        None => return Err(walk.damage(Seq(1), "its stream is not recorded").into()),
    }
    Ok(events)
}

/// Rows that need not follow each other: each is checked by itself.
fn single(rows: impl Iterator<Item = rusqlite::Result<Row>>) -> Answer<Vec<Recorded>> {
    rows.map(|row| {
        let row = row?;
        row.check().map_err(|what| {
            let stream = parse_stream(&row.stream).unwrap_or(Stream::Project);
            JournalError::Corrupt {
                stream,
                seq: Seq(row.seq),
                what,
            }
            .into()
        })
    })
    .collect()
}

pub(super) fn deployment(connection: &Connection, id: &DeploymentId) -> Answer<Vec<Recorded>> {
    let mut statement = connection.prepare_cached(rows!("WHERE deployment = ?1 ORDER BY id"))?;
    single(statement.query_map([id.as_str()], row)?)
}

pub(super) fn facts(connection: &Connection, stream: &Stream) -> Answer<Vec<Recorded>> {
    let mut statement =
        connection.prepare_cached(rows!("WHERE stream = ?1 AND deployment IS NULL ORDER BY seq"))?;
    single(statement.query_map([stream_key(stream)], row)?)
}

pub(super) fn deployments(
    connection: &Connection,
    stream: &Stream,
    before: Option<DeploymentId>,
    limit: usize,
) -> Answer<Vec<DeploymentId>> {
    // The index of deployments, newest id first, skipping from one to the next: costs by `limit`, not by the journal's length.
    let mut found = Vec::new();
    let mut below = before.map_or_else(|| "~".to_owned(), String::from);
    let mut next = connection.prepare_cached(
        "SELECT max(deployment) FROM events WHERE deployment IS NOT NULL AND deployment < ?1",
    )?;
    let mut here = connection
        .prepare_cached("SELECT stream = ?2 FROM events WHERE deployment = ?1 ORDER BY id LIMIT 1")?;
    while found.len() < limit {
        let Some(id) = next.query_row([&below], |row| row.get::<_, Option<String>>(0))? else {
            break;
        };
        if here.query_row((&id, stream_key(stream)), |row| row.get::<_, bool>(0))? {
            found.push(DeploymentId::new(&id).map_err(|error| damaged("a deployment's id")(&error))?);
        }
        below = id;
    }
    Ok(found)
}

pub(super) fn streams(connection: &Connection) -> Answer<Vec<Stream>> {
    let mut statement = connection.prepare_cached("SELECT name FROM streams ORDER BY name")?;
    let names = statement.query_map([], |row| Ok(text(row.get_ref(0)?)))?;
    let mut streams = names
        .map(|name| {
            let name = name?;
            parse_stream(&name)
                .ok_or_else(|| Fault::Damaged(format!("a stream is named `{}`", name.escape_debug())))
        })
        .collect::<Answer<Vec<_>>>()?;
    streams.sort();
    Ok(streams)
}

/// Walks over every row of every stream; also over those of streams that are not recorded.
pub(super) fn verify(connection: &mut Connection, store: &StoreId) -> Answer<u64> {
    let snapshot = connection.transaction()?;
    let mut ends = {
        let mut statement = snapshot.prepare("SELECT name, last, hash FROM streams")?;
        let ends = statement.query_map([], |row| {
            Ok((
                text(row.get_ref(0)?),
                (Seq(number(row.get_ref(1)?)), text(row.get_ref(2)?)),
            ))
        })?;
        ends.collect::<rusqlite::Result<std::collections::BTreeMap<_, _>>>()?
    };
    let mut count = 0;
    let mut at: Option<(String, Walk)> = None;
    let finish = |at: Option<(String, Walk)>,
                  ends: &mut std::collections::BTreeMap<String, (Seq, String)>| {
        let Some((key, walk)) = at else { return Ok(()) };
        match ends.remove(&key) {
            Some((last, hash)) => walk.end(last, &hash),
            None => Err(walk.damage(Seq(1), "its stream is not recorded")),
        }
    };
    // By the table's own order, not by an index that might be damaged or miss a row.
    let mut statement = snapshot.prepare(rows!("NOT INDEXED ORDER BY stream, seq"))?;
    let mut rows = statement.query([])?;
    while let Some(next) = rows.next()? {
        let row = row(next)?;
        if at.as_ref().is_none_or(|(key, _)| *key != row.stream) {
            finish(at.take(), &mut ends)?;
            let stream = parse_stream(&row.stream).ok_or_else(|| JournalError::Corrupt {
                stream: Stream::Project,
                seq: Seq(row.seq),
                what: format!("it is in a stream named `{}`", row.stream.escape_debug()),
            })?;
            at = Some((
                row.stream.clone(),
                Walk::after(stream, Seq(0), chain::genesis(store)),
            ));
        }
        if let Some((_, walk)) = &mut at {
            walk.step(&row)?;
        }
        count += 1;
    }
    finish(at, &mut ends)?;
    for (key, (last, _)) in ends {
        let stream = parse_stream(&key)
            .ok_or_else(|| Fault::Damaged(format!("a stream is named `{}`", key.escape_debug())))?;
        if last > Seq(0) {
            return Err(Walk::after(stream, Seq(0), String::new())
                .damage(Seq(1), "it is missing")
                .into());
        }
    }
    Ok(count)
}

pub(super) fn export(connection: &Connection, stream: &Stream, after: Seq, limit: usize) -> Answer<Vec<Row>> {
    let mut statement =
        connection.prepare_cached(rows!("WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((stream_key(stream), int(after.0), limit), row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn look(connection: &Connection, environment: &EnvName) -> Answer<LeaseRow> {
    let stored = connection
        .prepare_cached("SELECT term, beat, holder, process FROM leases WHERE environment = ?1")?
        .query_row([environment.as_str()], |row| {
            Ok((
                number(row.get_ref(0)?),
                number(row.get_ref(1)?),
                row.get::<_, Option<String>>(2)?,
                row.get::<_, Option<String>>(3)?,
            ))
        })
        .optional()?;
    let Some((term, beat, holder, process)) = stored else {
        return Ok(LeaseRow::default());
    };
    let held = match (holder, process) {
        (Some(holder), Some(process)) => Some(Held {
            holder: serde_json::from_str(&holder).map_err(|error| damaged("a lease")(&error))?,
            process: serde_json::from_str(&process).map_err(|error| damaged("a lease")(&error))?,
        }),
        _ => None,
    };
    Ok(LeaseRow { term, beat, held })
}

pub(super) fn attempt(
    connection: &mut Connection,
    environment: &EnvName,
    holder: &LeaseHolder,
    me: &Process,
    silent: Option<(u64, u64)>,
) -> Answer<Attempt> {
    failpoint::hit("store.lease.take.before");
    let transaction = writing(connection)?;
    let row = look(&transaction, environment)?;
    if !row.may_be_taken(me, silent) {
        return Ok(Attempt::Held(row));
    }
    let token = LeaseToken {
        environment: environment.clone(),
        term: row.term + 1,
    };
    transaction.execute(
        "INSERT INTO leases (environment, term, beat, holder, process) VALUES (?1, ?2, 0, ?3, ?4)
         ON CONFLICT (environment) DO UPDATE SET term = ?2, beat = 0, holder = ?3, process = ?4",
        (environment.as_str(), int(token.term), json(holder)?, json(me)?),
    )?;
    transaction.commit()?;
    failpoint::hit("store.lease.take.after");
    Ok(Attempt::Taken(token))
}

fn json(value: &impl serde::Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| JournalError::Write(Box::new(error)).into())
}

pub(super) fn renew(connection: &mut Connection, token: &LeaseToken, step: &str) -> Answer<()> {
    failpoint::hit("store.lease.renew.before");
    let transaction = writing(connection)?;
    let row = look(&transaction, &token.environment)?;
    let held = row.held.filter(|_| row.term == token.term);
    let Some(Held { mut holder, .. }) = held else {
        return Err(JournalError::LeaseLost(token.environment.clone()).into());
    };
    step.clone_into(&mut holder.step);
    transaction
        .prepare_cached("UPDATE leases SET beat = beat + 1, holder = ?2 WHERE environment = ?1")?
        .execute((token.environment.as_str(), json(&holder)?))?;
    transaction.commit()?;
    failpoint::hit("store.lease.renew.after");
    Ok(())
}

pub(super) fn release(connection: &Connection, token: &LeaseToken) -> Answer<()> {
    failpoint::hit("store.lease.release.before");
    // Whose lease was taken over has nothing to give back.
    connection.execute(
        "UPDATE leases SET holder = NULL, process = NULL WHERE environment = ?1 AND term = ?2",
        (token.environment.as_str(), int(token.term)),
    )?;
    failpoint::hit("store.lease.release.after");
    Ok(())
}

pub(super) fn send(
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

pub(super) fn inbox(connection: &Connection, environment: &EnvName) -> Answer<Vec<Message>> {
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

/// Changes whenever another connection has written.
pub(super) fn data_version(connection: &Connection) -> Answer<u64> {
    Ok(connection.query_row("PRAGMA data_version", [], |row| Ok(number(row.get_ref(0)?)))?)
}
