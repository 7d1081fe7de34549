//! Leases: one row for each environment that ever had one; its term never falls.

use super::{Answer, damaged, int, json, number, writing};
use crate::failpoint;
use crate::store::lease::{Attempt, Held, LeaseRow};
use crate::store::process::Process;
use deploy_core::id::EnvName;
use deploy_core::port::journal::{JournalError, LeaseHolder, LeaseToken};
use rusqlite::{Connection, OptionalExtension as _};

/// Whether a token is the lease in force; compared in the transaction of an append.
pub(super) fn holds(connection: &Connection, token: &LeaseToken) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM leases WHERE environment = ?1 AND term = ?2 AND holder IS NOT NULL")?
        .exists((token.environment.as_str(), int(token.term)))
}

pub(in crate::store) fn look(connection: &Connection, environment: &EnvName) -> Answer<LeaseRow> {
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

pub(in crate::store) fn attempt(
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

pub(in crate::store) fn renew(connection: &mut Connection, token: &LeaseToken, step: &str) -> Answer<()> {
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

pub(in crate::store) fn release(connection: &Connection, token: &LeaseToken) -> Answer<()> {
    failpoint::hit("store.lease.release.before");
    // Whose lease was taken over has nothing to give back.
    connection.execute(
        "UPDATE leases SET holder = NULL, process = NULL WHERE environment = ?1 AND term = ?2",
        (token.environment.as_str(), int(token.term)),
    )?;
    failpoint::hit("store.lease.release.after");
    Ok(())
}
