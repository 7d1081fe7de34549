//! The hash chain: how an event becomes a row, and how a row proves that it is what was written. No SQL and no I/O: all
//! stores use this one form.
//!
//! The hash of a row is SHA-256 over four lines, `prev`, `stream`, `seq` and the body, joined by a line feed and without one at
//! the end; `prev` is the hash of the row before it in its stream. Before the first row stands the hash of `deploy journal` and
//! the store's id, so that rows of one state do not pass in another.

use deploy_core::digest::{Digest, Digester};
use deploy_core::event::{Draft, Event, EventKind, Recorded, SCHEMA};
use deploy_core::id::{DeploymentId, EnvName, Seq, StoreId};
use deploy_core::port::journal::{JournalError, Stream};
use deploy_core::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A stored event, as it is stored: texts verbatim, so that whoever has it can check the chain without this program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// `project` or `environment/NAME`.
    pub stream: String,
    /// Position in the stream, from 1.
    pub seq: u64,
    /// When, in milliseconds since 1970 (again in the body).
    pub at: i64,
    /// Of which deployment (again in the body).
    pub deployment: Option<String>,
    /// Hash of the row before.
    pub prev: String,
    /// Hash of this row.
    pub hash: String,
    /// The event as JSON, verbatim.
    pub body: String,
}

/// How a stream is named in rows.
pub(super) fn stream_key(stream: &Stream) -> String {
    match stream {
        Stream::Project => "project".to_owned(),
        Stream::Environment(name) => format!("environment/{name}"),
    }
}

/// The stream of a name in rows, if it is one.
pub(super) fn parse_stream(key: &str) -> Option<Stream> {
    match key.split_once('/') {
        None if key == "project" => Some(Stream::Project),
        Some(("environment", name)) => EnvName::new(name).ok().map(Stream::Environment),
        _ => None,
    }
}

/// What stands before the first row of every stream.
pub(super) fn genesis(store: &StoreId) -> String {
    Digest::of(format!("deploy journal {store}")).to_string()
}

fn hash(prev: &str, stream: &str, seq: u64, body: &str) -> Digest {
    let mut digester = Digester::default();
    for piece in [prev, "\n", stream, "\n", &seq.to_string(), "\n", body] {
        digester.update(piece.as_bytes());
    }
    digester.finish()
}

/// Why an event cannot be stored: a defect of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unstorable {
    /// Its kind is unknown here: it came from a newer version and must not be written again without its content.
    #[error("an event of an unknown kind cannot be written")]
    Unknown,
    /// It is not the same after writing and reading.
    #[error("an event does not survive being written and read: {0}")]
    Lossy(String),
}

/// Makes the row of a draft, and proves that it can be read back: a row that cannot would close the stream for good.
pub(super) fn seal(
    prev: &str,
    stream: &Stream,
    seq: Seq,
    draft: Draft,
) -> Result<(Row, Recorded), Unstorable> {
    if draft.kind == EventKind::Unknown {
        return Err(Unstorable::Unknown);
    }
    let event = Event {
        seq,
        at: draft.at,
        environment: EventKind::environment_of(stream),
        deployment: draft.deployment,
        actor: draft.actor,
        schema: SCHEMA,
        kind: draft.kind,
    };
    let lossy = |error: serde_json::Error| Unstorable::Lossy(error.to_string());
    let body = serde_json::to_string(&event).map_err(lossy)?;
    if serde_json::from_str::<Event>(&body).map_err(lossy)? != event {
        return Err(Unstorable::Lossy(format!("event {seq} of {stream} changes")));
    }
    let stream = stream_key(stream);
    let hash = hash(prev, &stream, seq.0, &body);
    let row = Row {
        stream,
        seq: seq.0,
        at: event.at.0,
        deployment: event.deployment.as_ref().map(ToString::to_string),
        prev: prev.to_owned(),
        hash: hash.to_string(),
        body,
    };
    Ok((row, Recorded::stored(event, hash)))
}

/// What readers need even of an event whose content they cannot read.
#[derive(Deserialize)]
struct Envelope {
    seq: Seq,
    at: Timestamp,
    environment: Option<EnvName>,
    deployment: Option<DeploymentId>,
    actor: deploy_core::id::Actor,
    schema: u32,
}

/// Reads a body. Of a newer form, what is not understood becomes [`EventKind::Unknown`]; of our own form it is an error.
fn decode(body: &str) -> Result<Event, String> {
    let error = match serde_json::from_str::<Event>(body) {
        Ok(event) => return Ok(event),
        Err(error) => error,
    };
    match serde_json::from_str::<Envelope>(body) {
        Ok(envelope) if envelope.schema > SCHEMA => Ok(Event {
            seq: envelope.seq,
            at: envelope.at,
            environment: envelope.environment,
            deployment: envelope.deployment,
            actor: envelope.actor,
            schema: envelope.schema,
            kind: EventKind::Unknown,
        }),
        _ => Err(format!("its body cannot be read: {error}")),
    }
}

impl Row {
    /// Checks this row by itself, and that its place and columns are what its body says.
    ///
    /// # Errors
    /// What does not fit, for people.
    pub(super) fn check(&self) -> Result<Recorded, String> {
        let hash = hash(&self.prev, &self.stream, self.seq, &self.body);
        // Compared as text: a flipped bit that only changes the case of a digit is damage, too.
        if hash.to_string() != self.hash {
            return Err("its content does not match its hash".to_owned());
        }
        let event = decode(&self.body)?;
        let stream = parse_stream(&self.stream).ok_or("its stream has no valid name")?;
        if event.seq.0 != self.seq || event.environment != EventKind::environment_of(&stream) {
            return Err("its body belongs to another place".to_owned());
        }
        if event.at.0 != self.at
            || event.deployment.as_ref().map(DeploymentId::as_str) != self.deployment.as_deref()
        {
            return Err("its columns do not match its body".to_owned());
        }
        Ok(Recorded::stored(event, hash))
    }
}

/// Walks along one stream, row by row, from a known place to its recorded end.
#[derive(Debug)]
pub(super) struct Walk {
    stream: Stream,
    seq: Seq,
    hash: String,
}

impl Walk {
    /// Begins after the row with this number and hash; `Seq(0)` and [`genesis`] for the start.
    pub(super) fn after(stream: Stream, seq: Seq, hash: String) -> Self {
        Self { stream, seq, hash }
    }

    /// Damage at this row.
    pub(super) fn damage(&self, seq: Seq, what: impl Into<String>) -> JournalError {
        JournalError::Corrupt {
            stream: self.stream.clone(),
            seq,
            what: what.into(),
        }
    }

    /// Takes the next row.
    pub(super) fn step(&mut self, row: &Row) -> Result<Recorded, JournalError> {
        let next = self.seq.next();
        if row.seq != next.0 {
            return Err(self.damage(next, "it is missing"));
        }
        if row.prev != self.hash {
            return Err(self.damage(next, "it does not follow the event before it"));
        }
        let recorded = row.check().map_err(|what| self.damage(next, what))?;
        self.seq = next;
        self.hash.clone_from(&row.hash);
        Ok(recorded)
    }

    /// Compares with the recorded end of the stream: rows cut off leave the chain whole, but not this.
    pub(super) fn end(&self, last: Seq, hash: &str) -> Result<(), JournalError> {
        if self.seq < last {
            return Err(self.damage(self.seq.next(), "it is missing"));
        }
        if self.seq > last || self.hash != hash {
            return Err(self.damage(self.seq, "it is not the recorded end of its stream"));
        }
        Ok(())
    }
}
