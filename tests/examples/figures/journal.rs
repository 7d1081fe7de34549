//! A long journal: the last real deployment of each environment, written again and again with ids and releases of its own, so that its
//! events are the ones that the engine writes. Most deployments are development's, and each of those brings a new release.

use crate::commands::ENVIRONMENTS;
use deploy_core::digest::Digest;
use deploy_core::event::{Draft, EventKind, Recorded};
use deploy_core::id::{DeploymentId, EnvName, ProjectName, ReleaseNumber, Seq};
use deploy_core::model::{Release, ReleaseRef};
use deploy_core::port::journal::{Append, Condition, Journal as _, Stream};
use deploy_engine::store::{Create, OpenOptions, SqliteJournal, Store as _};
use deploy_tests::scratch::Scratch;
use std::collections::BTreeMap;

const DEPLOYMENTS: u32 = 10_000;
/// Deployments written in one transaction.
const BATCH: u32 = 200;

/// One environment's deployment as drafts, with the release in it.
struct Pattern {
    drafts: String,
    release: String,
    id: String,
}

/// Fills the project's state; how many deployments it holds then, at least.
pub(crate) fn fill(scratch: &Scratch) -> u32 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(write(scratch))
}

async fn write(scratch: &Scratch) -> u32 {
    let options = OpenOptions::new(ProjectName::new("bench").expect("a name"), Create::No);
    let path = scratch.project().join(".deploy/state.db");
    let journal = SqliteJournal::open(path, options).expect("there is a state");
    let newest = newest(&journal).await;
    let mut patterns = Vec::new();
    for name in ENVIRONMENTS {
        patterns.push(pattern(&journal, &stream(name)).await);
    }
    let mut number = newest.number.0;
    let mut current = newest.clone();
    let mut batches: BTreeMap<Stream, Vec<Draft>> = BTreeMap::new();
    for count in 1..=DEPLOYMENTS {
        // Of ten deployments, seven are development's, two staging's, one production's.
        let which = match count % 10 {
            0 => 2,
            1 | 5 => 1,
            _ => 0,
        };
        if which == 0 {
            number += 1;
            current.number = ReleaseNumber(number);
            current.files = Digest::of(format!("release {number}"));
            let mut made = one(&patterns[0], count, &current.to_ref()).swap_remove(0);
            made.deployment = None;
            made.kind = EventKind::ReleaseMade {
                release: Box::new(current.clone()),
            };
            batches.entry(Stream::Project).or_default().push(made);
        }
        let drafts = one(&patterns[which], count, &current.to_ref());
        batches
            .entry(stream(ENVIRONMENTS[which]))
            .or_default()
            .extend(drafts);
        if count % BATCH == 0 {
            for (stream, events) in std::mem::take(&mut batches) {
                let expected = journal.head(&stream).await.expect("it can be read");
                let (condition, answers) = (Condition::default(), Vec::new());
                let append = Append {
                    stream,
                    expected,
                    lease: None,
                    condition,
                    events,
                    answers,
                };
                journal.append(append).await.expect("it is appended");
            }
        }
    }
    DEPLOYMENTS
}

fn stream(name: &str) -> Stream {
    Stream::Environment(EnvName::new(name).expect("a name"))
}

async fn newest(journal: &SqliteJournal) -> Release {
    let events = journal
        .load(&Stream::Project, Seq(0))
        .await
        .expect("it can be read");
    let made = events
        .into_iter()
        .rev()
        .find_map(|recorded| match recorded.into_event().kind {
            EventKind::ReleaseMade { release } => Some(*release),
            _ => None,
        });
    made.expect("a release was made")
}

/// The newest deployment of an environment that did something, and what belongs to it.
async fn pattern(journal: &SqliteJournal, stream: &Stream) -> Pattern {
    let ids = journal
        .deployments(stream, None, 20)
        .await
        .expect("it can be read");
    let mut longest: Vec<Recorded> = Vec::new();
    for id in &ids {
        let events = journal.deployment(id).await.expect("it can be read");
        if events.len() > longest.len() {
            longest = events;
        }
    }
    let first = longest.first().expect("something was deployed").event();
    let (EventKind::Requested { request }, Some(id)) = (&first.kind, &first.deployment) else {
        panic!("a deployment begins with its request, not with {first:?}");
    };
    let (release, id) = (json(&request.release), id.to_string());
    let drafts: Vec<Draft> = longest
        .into_iter()
        .map(|recorded| {
            let event = recorded.into_event();
            Draft {
                at: event.at,
                deployment: event.deployment,
                actor: event.actor,
                kind: event.kind,
            }
        })
        .collect();
    assert!(drafts.len() > 10, "a whole deployment: {drafts:?}");
    Pattern {
        drafts: json(&drafts),
        release,
        id,
    }
}

/// The pattern as another deployment of another release.
fn one(pattern: &Pattern, count: u32, release: &ReleaseRef) -> Vec<Draft> {
    // Above every id of this century, and rising.
    let id = DeploymentId::new(format!("0Z{count:024}")).expect("an id");
    let text = pattern
        .drafts
        .replace(&pattern.release, &json(release))
        .replace(&pattern.id, id.as_str());
    serde_json::from_str(&text).expect("it is what it was, with other ids")
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("it was stored as JSON")
}
