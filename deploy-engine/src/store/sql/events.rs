//! Events and the ends of their streams.

use super::{Answer, Fault, damaged, inbox, int, leases, number, text, writing};
use crate::failpoint;
use crate::store::chain::{self, Row, Walk, parse_stream, stream_key};
use deploy_core::event::Recorded;
use deploy_core::id::{DeploymentId, Seq, StoreId};
use deploy_core::port::journal::{Append, JournalError, Stream};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::BTreeMap;

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

/// The recorded end of a stream, if it has begun, and with the event that it names: rows that were cut off are missed by whoever
/// reads or writes there next, not only by who walks over all of it.
fn end(connection: &Connection, stream: &Stream) -> Answer<Option<(Seq, String)>> {
    let known = connection
        .prepare_cached(
            "SELECT last, streams.hash, events.hash FROM streams
             LEFT JOIN events ON events.stream = name AND events.seq = last WHERE name = ?1",
        )?
        .query_row([stream_key(stream)], |row| {
            let newest = row.get_ref(2)?;
            Ok((
                Seq(number(row.get_ref(0)?)),
                text(row.get_ref(1)?),
                (newest != ValueRef::Null).then(|| text(newest)),
            ))
        })
        .optional()?;
    let Some((last, hash, newest)) = known else {
        return Ok(None);
    };
    let damage = |what| Walk::after(stream.clone(), last, String::new()).damage(last, what);
    match newest {
        None if last > Seq(0) => Err(damage("it is missing").into()),
        Some(newest) if newest != hash => Err(damage("it is not the recorded end of its stream").into()),
        _ => Ok(Some((last, hash))),
    }
}

pub(in crate::store) fn head(connection: &Connection, stream: &Stream) -> Answer<Seq> {
    Ok(end(connection, stream)?.map_or(Seq(0), |(last, _)| last))
}

pub(in crate::store) fn append(
    connection: &mut Connection,
    store: &StoreId,
    append: Append,
) -> Answer<Vec<Recorded>> {
    failpoint::hit("store.append.before");
    let transaction = writing(connection)?;
    if let Some(token) = &append.lease
        && !leases::holds(&transaction, token)?
    {
        return Err(JournalError::LeaseLost(token.environment.clone()).into());
    }
    let key = stream_key(&append.stream);
    let known = end(&transaction, &append.stream)?;
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
        && inbox::newest(&transaction, &append)? > read
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

pub(in crate::store) fn load(
    connection: &mut Connection,
    store: &StoreId,
    stream: &Stream,
    after: Seq,
) -> Answer<Vec<Recorded>> {
    let key = stream_key(stream);
    // One transaction: rows and end of the same moment.
    let snapshot = connection.transaction()?;
    let known = end(&snapshot, stream)?;
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

pub(in crate::store) fn deployment(connection: &Connection, id: &DeploymentId) -> Answer<Vec<Recorded>> {
    let mut statement = connection.prepare_cached(rows!("WHERE deployment = ?1 ORDER BY id"))?;
    single(statement.query_map([id.as_str()], row)?)
}

pub(in crate::store) fn facts(connection: &Connection, stream: &Stream) -> Answer<Vec<Recorded>> {
    end(connection, stream)?;
    let mut statement =
        connection.prepare_cached(rows!("WHERE stream = ?1 AND deployment IS NULL ORDER BY seq"))?;
    single(statement.query_map([stream_key(stream)], row)?)
}

pub(in crate::store) fn deployments(
    connection: &Connection,
    stream: &Stream,
    before: Option<DeploymentId>,
    limit: usize,
) -> Answer<Vec<DeploymentId>> {
    end(connection, stream)?;
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

pub(in crate::store) fn streams(connection: &Connection) -> Answer<Vec<Stream>> {
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
pub(in crate::store) fn verify(connection: &mut Connection, store: &StoreId) -> Answer<u64> {
    let snapshot = connection.transaction()?;
    let mut ends = {
        let mut statement = snapshot.prepare("SELECT name, last, hash FROM streams")?;
        let ends = statement.query_map([], |row| {
            Ok((
                text(row.get_ref(0)?),
                (Seq(number(row.get_ref(1)?)), text(row.get_ref(2)?)),
            ))
        })?;
        ends.collect::<rusqlite::Result<BTreeMap<_, _>>>()?
    };
    let mut count = 0;
    let mut at: Option<(String, Walk)> = None;
    let finish = |at: Option<(String, Walk)>, ends: &mut BTreeMap<String, (Seq, String)>| {
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
    // The chain is walked by the table's own order; readers go by the indices, which have to say the same.
    let whole: String = snapshot.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if whole != "ok" {
        return Err(Fault::Damaged(whole));
    }
    Ok(count)
}

pub(in crate::store) fn export(
    connection: &Connection,
    stream: &Stream,
    after: Seq,
    limit: usize,
) -> Answer<Vec<Row>> {
    let mut statement =
        connection.prepare_cached(rows!("WHERE stream = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3"))?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map((stream_key(stream), int(after.0), limit), row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
