//! Leases within one process. Other processes, killed and stopped ones: `children`.

use super::*;
use crate::store::lease::{Attempt, Leases};
use crate::store::process::Process;
use deploy_core::port::journal::{LeaseError, Patience};
use std::pin::pin;
use tokio::time::{Instant, interval};

fn lost(result: &Result<(), LeaseError>) -> bool {
    matches!(result, Err(LeaseError::Journal(JournalError::LeaseLost(_))))
}

#[tokio::test]
async fn a_live_holder_is_refused_at_once_and_named() {
    let (_folder, stores) = both();
    for store in stores {
        let token = store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        store.renew_lease(&token, "verifying web").await.unwrap();
        let begun = Instant::now();
        let Err(LeaseError::Held { holder: other, .. }) =
            store.take_lease(&env("staging"), &holder("bob")).await
        else {
            panic!("alice is alive");
        };
        assert!(begun.elapsed() < SHORT);
        assert_eq!(
            (other.who.as_str(), other.step.as_str()),
            ("alice", "verifying web")
        );
        // Another environment is another lease.
        store
            .take_lease(&env("production"), &holder("bob"))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_given_back_lease_comes_with_a_higher_term_and_the_old_one_is_worth_nothing() {
    let (_folder, stores) = both();
    for store in stores {
        let first = store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        store.release_lease(&first).await.unwrap();
        assert_eq!(store.lease_holder(&env("staging")).await.unwrap(), None);
        let append = Append {
            lease: Some(first.clone()),
            ..plain(staging(), 0, 1)
        };
        assert!(matches!(
            store.append(append.clone()).await,
            Err(JournalError::LeaseLost(_))
        ));
        let second = store.take_lease(&env("staging"), &holder("bob")).await.unwrap();
        assert!(second.term > first.term);
        assert!(lost(&store.renew_lease(&first, "x").await));
        assert!(matches!(
            store.append(append.clone()).await,
            Err(JournalError::LeaseLost(_))
        ));
        store.release_lease(&first).await.unwrap();
        store
            .append(Append {
                lease: Some(second),
                ..append
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn who_waits_gets_it_when_it_is_given_back() {
    let (_folder, stores) = both();
    for store in stores {
        let token = store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        let waiting = Arc::clone(&store);
        let waiter = tokio::spawn(async move {
            waiting
                .take_lease_waiting(
                    &env("staging"),
                    &holder("bob"),
                    Patience::For(Duration::from_mins(1)),
                )
                .await
        });
        // Alive all the time, for longer than a term: not taken from.
        let (begun, mut pace) = (Instant::now(), interval(SHORT / 20));
        while begun.elapsed() < SHORT * 2 {
            pace.tick().await;
            store.renew_lease(&token, "verifying").await.unwrap();
        }
        assert!(!waiter.is_finished());
        store.release_lease(&token).await.unwrap();
        assert!(waiter.await.unwrap().unwrap().term > token.term);
    }
}

#[tokio::test]
async fn waiting_ends_when_it_is_over() {
    let (_folder, stores) = both();
    for store in stores {
        store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        let patience = Patience::For(SHORT / 4);
        let answer = store
            .take_lease_waiting(&env("staging"), &holder("bob"), patience)
            .await;
        assert!(matches!(answer, Err(LeaseError::Held { .. })));
    }
}

#[tokio::test]
async fn a_silent_holder_is_watched_for_a_whole_term() {
    let (_folder, stores) = both();
    for store in stores {
        let old = store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        let begun = Instant::now();
        let patience = Patience::For(Duration::from_mins(1));
        let new = store
            .take_lease_waiting(&env("staging"), &holder("bob"), patience)
            .await
            .unwrap();
        assert!(begun.elapsed() >= SHORT);
        assert!(lost(&store.renew_lease(&old, "x").await));
        let append = Append {
            lease: Some(old),
            ..plain(staging(), 0, 1)
        };
        assert!(matches!(
            store.append(append).await,
            Err(JournalError::LeaseLost(_))
        ));
        store.renew_lease(&new, "x").await.unwrap();
    }
}

/// Makes the holder look as if it were another process.
async fn pretend(journal: &SqliteJournal, process: Process) {
    let json = serde_json::to_string(&process).unwrap();
    let writer = journal.writer.as_ref().unwrap();
    writer
        .run(move |connection| {
            connection
                .execute("UPDATE leases SET process = ?1", [json])
                .unwrap()
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn who_is_elsewhere_is_watched_and_who_is_gone_here_is_not() {
    let (_folder, path) = place();
    let journal = open(&path);
    let me = Process::me();
    let token = journal
        .take_lease(&env("staging"), &holder("alice"))
        .await
        .unwrap();

    let elsewhere = Process {
        scope: Some("another machine".to_owned()),
        ..me.clone()
    };
    pretend(&journal, elsewhere.clone()).await;
    let refused = journal
        .take_lease_waiting(&env("staging"), &holder("bob"), Patience::None)
        .await;
    assert!(matches!(refused, Err(LeaseError::Held { .. })));
    // A sign of life from there ends the watching.
    let (name, bob) = (env("staging"), holder("bob"));
    let (mut watching, mut pace) = (pin!(journal.take_lease(&name, &bob)), interval(SHORT / 10));
    let answer = loop {
        tokio::select! {
            answer = &mut watching => break answer,
            _ = pace.tick() => journal.renew_lease(&token, "x").await.unwrap(),
        }
    };
    assert!(matches!(answer, Err(LeaseError::Held { .. })));
    let begun = Instant::now();
    journal.take_lease(&env("staging"), &holder("bob")).await.unwrap();
    assert!(begun.elapsed() >= SHORT);

    pretend(
        &journal,
        Process {
            started: me.started.map(|ticks| ticks + 1),
            ..me
        },
    )
    .await;
    let begun = Instant::now();
    journal
        .take_lease_waiting(&env("staging"), &holder("carol"), Patience::None)
        .await
        .unwrap();
    assert!(begun.elapsed() < SHORT);
}

/// The last moment: a sign of life between the last look and the taking.
#[tokio::test]
async fn a_beat_after_the_last_look_still_counts() {
    async fn check(store: &(impl Leases + Store)) {
        let token = store.take_lease(&env("staging"), &holder("alice")).await.unwrap();
        let seen = store.look(&env("staging")).await.unwrap();
        let silent = Some((seen.term, seen.beat));
        store.renew_lease(&token, "x").await.unwrap();
        let attempt = store
            .attempt(&env("staging"), &holder("bob"), silent)
            .await
            .unwrap();
        assert!(matches!(attempt, Attempt::Held(_)));
        store.release_lease(&token).await.unwrap();
        let other = store.take_lease(&env("staging"), &holder("carol")).await.unwrap();
        let attempt = store
            .attempt(&env("staging"), &holder("bob"), silent)
            .await
            .unwrap();
        assert!(matches!(attempt, Attempt::Held(row) if row.term == other.term));
    }
    let (_folder, path) = place();
    check(&open(&path)).await;
    check(&memory()).await;
}
