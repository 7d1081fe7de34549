//! A state in memory, for tests: the same answers as a file, without the file. Clones share it.

use super::chain::{self, Row, Walk, parse_stream, stream_key};
use super::lease::{self, Attempt, Held, LeaseRow, Leases, TERM};
use super::process::Process;
use super::{Mark, Store};
use crate::clock::{Clock, SystemClock};
use async_trait::async_trait;
use deploy_core::event::Recorded;
use deploy_core::id::{Actor, DeploymentId, EnvName, InboxSeq, Seq, StoreId};
use deploy_core::machine::Ask;
use deploy_core::port::journal::{
    Append, Journal, JournalError, LeaseError, LeaseHolder, LeaseToken, Message, Patience, Stream,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Default)]
struct State {
    /// All streams' rows in the order of their writing.
    rows: Vec<Row>,
    ends: BTreeMap<Stream, (Seq, String)>,
    leases: BTreeMap<EnvName, LeaseRow>,
    inbox: BTreeMap<InboxSeq, (EnvName, Message)>,
    messages: u64,
}

struct Inner {
    store: StoreId,
    state: Mutex<State>,
    written: watch::Sender<u64>,
    me: Process,
    term: Duration,
    clock: Arc<dyn Clock>,
}

/// The state in memory.
#[derive(Clone)]
pub struct MemoryJournal(Arc<Inner>);

impl MemoryJournal {
    /// An empty one.
    pub fn new(store: StoreId) -> Self {
        Self::with(store, TERM, Arc::new(SystemClock))
    }

    /// An empty one with its own term and clock.
    pub fn with(store: StoreId, term: Duration, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            store,
            state: Mutex::default(),
            written: watch::Sender::new(1),
            me: Process::me(),
            term,
            clock,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is made whole after its checks: a panic elsewhere leaves nothing half done.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.0.written.send_modify(|mark| *mark += 1);
    }

    fn rows(&self, keep: impl Fn(&Row) -> bool) -> Vec<Row> {
        self.state()
            .rows
            .iter()
            .filter(|row| keep(row))
            .cloned()
            .collect()
    }

    fn checked(rows: &[Row]) -> Result<Vec<Recorded>, JournalError> {
        rows.iter()
            .map(|row| {
                row.check().map_err(|what| JournalError::Corrupt {
                    stream: parse_stream(&row.stream).unwrap_or(Stream::Project),
                    seq: Seq(row.seq),
                    what,
                })
            })
            .collect()
    }
}

impl State {
    fn last(&self, stream: &Stream) -> Seq {
        self.ends.get(stream).map_or(Seq(0), |(last, _)| *last)
    }

    fn check(&self, append: &Append) -> Result<(), JournalError> {
        if let Some(token) = &append.lease
            && !self.holds(token)
        {
            return Err(JournalError::LeaseLost(token.environment.clone()));
        }
        let expected = std::iter::once((&append.stream, append.expected));
        let others = append
            .condition
            .unchanged
            .iter()
            .map(|(stream, seen)| (stream, *seen));
        for (stream, seen) in expected.chain(others) {
            let last = self.last(stream);
            if last != seen {
                return Err(JournalError::Moved {
                    stream: stream.clone(),
                    last,
                });
            }
        }
        let environment = match &append.stream {
            Stream::Environment(name) => Some(name),
            Stream::Project => append.lease.as_ref().map(|token| &token.environment),
        };
        match append.condition.inbox_read {
            Some(read)
                if self
                    .inbox
                    .iter()
                    .any(|(seq, (of, _))| *seq > read && environment.is_none_or(|name| name == of)) =>
            {
                Err(JournalError::InboxNotEmpty)
            }
            _ => Ok(()),
        }
    }

    fn holds(&self, token: &LeaseToken) -> bool {
        self.leases
            .get(&token.environment)
            .is_some_and(|row| row.term == token.term && row.held.is_some())
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    fn store(&self) -> &StoreId {
        &self.0.store
    }

    async fn append(&self, append: Append) -> Result<Vec<Recorded>, JournalError> {
        let mut state = self.state();
        state.check(&append)?;
        let known = state.ends.get(&append.stream).cloned();
        let (mut last, mut hash) = known.unwrap_or_else(|| (Seq(0), chain::genesis(&self.0.store)));
        let (mut rows, mut stored) = (Vec::new(), Vec::new());
        for draft in append.events {
            last = last.next();
            let (row, recorded) = chain::seal(&hash, &append.stream, last, draft)
                .map_err(|error| JournalError::Write(Box::new(error)))?;
            hash.clone_from(&row.hash);
            rows.push(row);
            stored.push(recorded);
        }
        if !rows.is_empty() {
            state.ends.insert(append.stream, (last, hash));
        }
        state.rows.extend(rows);
        for message in append.answers {
            state.inbox.remove(&message);
        }
        drop(state);
        self.wake();
        Ok(stored)
    }

    async fn load(&self, stream: &Stream, after: Seq) -> Result<Vec<Recorded>, JournalError> {
        let key = stream_key(stream);
        let state = self.state();
        let hash = match after {
            Seq(0) => chain::genesis(&self.0.store),
            after => state
                .rows
                .iter()
                .find(|row| row.stream == key && row.seq == after.0)
                .map(|row| row.hash.clone())
                .ok_or_else(|| {
                    Walk::after(stream.clone(), after, String::new()).damage(after, "it is missing")
                })?,
        };
        let mut walk = Walk::after(stream.clone(), after, hash);
        let rows = state
            .rows
            .iter()
            .filter(|row| row.stream == key && row.seq > after.0);
        rows.map(|row| walk.step(row)).collect()
    }

    async fn deployment(&self, id: &DeploymentId) -> Result<Vec<Recorded>, JournalError> {
        Self::checked(&self.rows(|row| row.deployment.as_deref() == Some(id.as_str())))
    }

    async fn streams(&self) -> Result<Vec<Stream>, JournalError> {
        Ok(self.state().ends.keys().cloned().collect())
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
        let mut state = self.state();
        let row = state
            .leases
            .get_mut(&token.environment)
            .filter(|row| row.term == token.term);
        let Some((row, held)) = row.and_then(|row| row.held.as_mut().map(|held| (&mut row.beat, held)))
        else {
            return Err(JournalError::LeaseLost(token.environment.clone()).into());
        };
        *row += 1;
        step.clone_into(&mut held.holder.step);
        drop(state);
        self.wake();
        Ok(())
    }

    async fn release_lease(&self, token: &LeaseToken) -> Result<(), JournalError> {
        if let Some(row) = self
            .state()
            .leases
            .get_mut(&token.environment)
            .filter(|row| row.term == token.term)
        {
            row.held = None;
        }
        self.wake();
        Ok(())
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
        let mut state = self.state();
        state.messages += 1;
        let message = Message {
            seq: InboxSeq(state.messages),
            at: self.0.clock.now(),
            actor: actor.clone(),
            deployment: deployment.clone(),
            ask,
        };
        let seq = message.seq;
        state.inbox.insert(seq, (environment.clone(), message));
        drop(state);
        self.wake();
        Ok(seq)
    }

    async fn inbox(&self, environment: &EnvName) -> Result<Vec<Message>, JournalError> {
        let state = self.state();
        let mine = state.inbox.values().filter(|(of, _)| of == environment);
        Ok(mine.map(|(_, message)| message.clone()).collect())
    }
}

#[async_trait]
impl Store for MemoryJournal {
    async fn changed(&self, since: Mark) -> Result<Mark, JournalError> {
        let mut written = self.0.written.subscribe();
        // The sender is our own and cannot be gone; if it were, there would be nothing to wait for.
        let now = written.wait_for(|mark| Mark(*mark) != since).await;
        Ok(now.map_or(since, |mark| Mark(*mark)))
    }

    async fn head(&self, stream: &Stream) -> Result<Seq, JournalError> {
        Ok(self.state().last(stream))
    }

    async fn facts(&self, stream: &Stream) -> Result<Vec<Recorded>, JournalError> {
        let key = stream_key(stream);
        Self::checked(&self.rows(|row| row.deployment.is_none() && row.stream == key))
    }

    async fn deployments(
        &self,
        stream: &Stream,
        before: Option<&DeploymentId>,
        limit: usize,
    ) -> Result<Vec<DeploymentId>, JournalError> {
        let key = stream_key(stream);
        let rows = self.rows(|row| row.stream == key);
        let ids: BTreeSet<_> = rows.into_iter().filter_map(|row| row.deployment).collect();
        let older = ids.into_iter().rev().filter_map(|id| DeploymentId::new(id).ok());
        Ok(older
            .filter(|id| before.is_none_or(|before| id < before))
            .take(limit)
            .collect())
    }

    async fn verify_chain(&self) -> Result<u64, JournalError> {
        let mut count = 0;
        for stream in self.streams().await? {
            count += self.load(&stream, Seq(0)).await?.len() as u64;
        }
        Ok(count)
    }

    async fn export(&self, stream: &Stream, after: Seq, limit: usize) -> Result<Vec<Row>, JournalError> {
        let key = stream_key(stream);
        let mut rows = self.rows(|row| row.stream == key && row.seq > after.0);
        rows.truncate(limit);
        Ok(rows)
    }
}

#[async_trait]
impl Leases for MemoryJournal {
    async fn look(&self, environment: &EnvName) -> Result<LeaseRow, JournalError> {
        Ok(self.state().leases.get(environment).cloned().unwrap_or_default())
    }

    async fn attempt(
        &self,
        environment: &EnvName,
        holder: &LeaseHolder,
        silent: Option<(u64, u64)>,
    ) -> Result<Attempt, JournalError> {
        let mut state = self.state();
        let row = state.leases.entry(environment.clone()).or_default();
        if !row.may_be_taken(&self.0.me, silent) {
            return Ok(Attempt::Held(row.clone()));
        }
        row.term += 1;
        row.beat = 0;
        row.held = Some(Held {
            holder: holder.clone(),
            process: self.0.me.clone(),
        });
        let token = LeaseToken {
            environment: environment.clone(),
            term: row.term,
        };
        drop(state);
        self.wake();
        Ok(Attempt::Taken(token))
    }

    fn me(&self) -> &Process {
        &self.0.me
    }

    fn term(&self) -> Duration {
        self.0.term
    }
}
