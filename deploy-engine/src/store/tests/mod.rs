//! Tests of both stores. What differs between them is files and processes; the answers must not.

mod children;
mod damage;
mod feed;
mod files;
mod leases;
mod model;

use super::*;
use deploy_core::event::{Draft, EventKind};
use deploy_core::id::{Actor, EnvName, InboxSeq, ProjectName, StoreId};
use deploy_core::port::journal::{Append, Condition, LeaseHolder, LeaseToken};
use deploy_core::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A term that tests can wait for, and that a busy machine does not miss by its own slowness.
const SHORT: Duration = Duration::from_millis(600);

fn project() -> ProjectName {
    ProjectName::new("shop").unwrap()
}

fn env(name: &str) -> EnvName {
    EnvName::new(name).unwrap()
}

fn staging() -> Stream {
    Stream::Environment(env("staging"))
}

fn deployment(nth: u8) -> DeploymentId {
    DeploymentId::new(format!("01JB9QF3ZK00000000000000{nth:02}")).unwrap()
}

fn actor() -> Actor {
    Actor::new("alice").unwrap()
}

fn draft(deployment: Option<DeploymentId>, reason: &str) -> Draft {
    Draft {
        at: Timestamp(1_700_000_000_000),
        deployment,
        actor: actor(),
        kind: EventKind::FrozenByHand {
            reason: reason.to_owned(),
        },
    }
}

fn plain(stream: Stream, expected: u64, events: usize) -> Append {
    Append {
        stream,
        expected: Seq(expected),
        lease: None,
        condition: Condition::default(),
        events: (0..events)
            .map(|nth| draft(None, &format!("reason {nth}")))
            .collect(),
        answers: Vec::new(),
    }
}

fn holder(who: &str) -> LeaseHolder {
    LeaseHolder {
        who: who.to_owned(),
        since: Timestamp(1_700_000_000_000),
        deployment: Some(deployment(1)),
        step: "preparing".to_owned(),
    }
}

fn options() -> OpenOptions {
    OpenOptions {
        term: SHORT,
        ..OpenOptions::new(project(), Create::Yes)
    }
}

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".deploy/state.db");
    (folder, path)
}

fn open(path: &Path) -> SqliteJournal {
    SqliteJournal::open(path, options()).unwrap()
}

fn memory() -> MemoryJournal {
    MemoryJournal::with(
        StoreId::new("01JB9QF3ZK0000000000000000").unwrap(),
        SHORT,
        Arc::new(crate::clock::SystemClock),
    )
}

/// Both stores, one after the other.
fn both() -> (TempDir, [Arc<dyn Store>; 2]) {
    let (folder, path) = place();
    (folder, [Arc::new(open(&path)), Arc::new(memory())])
}

/// Enough randomness for tests: xorshift64*, from a seed that is printed.
struct Dice(u64);

impl Dice {
    fn new(test: &str) -> Self {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        let seed = u64::try_from(nanos & u128::from(u64::MAX)).unwrap() | 1;
        println!("{test}: seed {seed}");
        Self(seed)
    }

    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let wide = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(wide).unwrap() % below
    }
}

#[tokio::test]
async fn an_append_answers_what_load_reads() {
    let (_folder, stores) = both();
    for store in stores {
        let written = store.append(plain(staging(), 0, 3)).await.unwrap();
        assert_eq!(store.load(&staging(), Seq(0)).await.unwrap(), written);
        assert_eq!(store.load(&staging(), Seq(2)).await.unwrap(), written[2..]);
        assert_eq!(store.head(&staging()).await.unwrap(), Seq(3));
        assert!(matches!(
            store.load(&staging(), Seq(4)).await,
            Err(JournalError::Corrupt { seq: Seq(4), .. })
        ));
    }
}

#[tokio::test]
async fn an_event_of_an_unknown_kind_is_not_written_and_nothing_beside_it() {
    let (_folder, stores) = both();
    for store in stores {
        let mut append = plain(staging(), 0, 2);
        append.events[1].kind = EventKind::Unknown;
        assert!(matches!(store.append(append).await, Err(JournalError::Write(_))));
        assert_eq!(store.head(&staging()).await.unwrap(), Seq(0));
        assert_eq!(store.streams().await.unwrap(), []);
    }
}

#[tokio::test]
async fn what_was_begun_is_finished_though_nobody_waits() {
    let (_folder, path) = place();
    let store = open(&path);
    for round in 0..20 {
        tokio::select! {
            biased;
            _ = store.append(plain(staging(), round * 3, 3)) => {}
            () = std::future::ready(()) => {}
        }
        // Queued behind the append.
        store
            .send(
                &env("staging"),
                &actor(),
                &deployment(1),
                deploy_core::machine::Ask::Cancel,
            )
            .await
            .unwrap();
        assert_eq!(store.head(&staging()).await.unwrap(), Seq(round * 3 + 3));
    }
}

#[tokio::test]
async fn messages_are_answered_with_the_events_or_not_at_all() {
    use deploy_core::machine::Ask;
    let (_folder, stores) = both();
    for store in stores {
        let first = store
            .send(&env("staging"), &actor(), &deployment(1), Ask::Pause)
            .await
            .unwrap();
        let second = store
            .send(&env("staging"), &actor(), &deployment(1), Ask::Cancel)
            .await
            .unwrap();
        let answered = |expected, read, answers: &[InboxSeq]| Append {
            condition: Condition {
                inbox_read: Some(read),
                unchanged: Vec::new(),
            },
            answers: answers.to_vec(),
            ..plain(staging(), expected, 1)
        };
        assert!(matches!(
            store.append(answered(0, first, &[first])).await,
            Err(JournalError::InboxNotEmpty)
        ));
        assert!(matches!(
            store.append(answered(1, second, &[first])).await,
            Err(JournalError::Moved { .. })
        ));
        assert_eq!(store.inbox(&env("staging")).await.unwrap().len(), 2);
        store.append(answered(0, second, &[first])).await.unwrap();
        let left = store.inbox(&env("staging")).await.unwrap();
        assert_eq!(
            left.iter()
                .map(|message| (message.seq, message.ask))
                .collect::<Vec<_>>(),
            [(second, Ask::Cancel)]
        );
        store.append(answered(1, second, &[second])).await.unwrap();
        // Numbers of answered messages are never used again.
        let third = store
            .send(&env("staging"), &actor(), &deployment(1), Ask::Pause)
            .await
            .unwrap();
        assert!(third > second);
    }
}

#[tokio::test]
async fn deployments_are_listed_newest_first_by_page() {
    let (_folder, stores) = both();
    for store in stores {
        for nth in 1..=5 {
            let stream = if nth == 3 { Stream::Project } else { staging() };
            let expected = store.head(&stream).await.unwrap();
            let append = Append {
                events: vec![
                    draft(Some(deployment(nth)), "a"),
                    draft(Some(deployment(nth)), "b"),
                    draft(None, "fact"),
                ],
                ..plain(stream, expected.0, 0)
            };
            store.append(append).await.unwrap();
        }
        let page = store.deployments(&staging(), None, 2).await.unwrap();
        assert_eq!(page, [deployment(5), deployment(4)]);
        let page = store.deployments(&staging(), page.last(), 9).await.unwrap();
        assert_eq!(page, [deployment(2), deployment(1)]);
        assert_eq!(store.facts(&staging()).await.unwrap().len(), 4);
        assert_eq!(store.deployment(&deployment(2)).await.unwrap().len(), 2);
    }
}
