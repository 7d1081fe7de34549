//! Reading along: all events, each once, in order, from whatever process.

use super::*;

async fn follow(mut subscription: Subscription, wanted: u64) {
    for seq in 1..=wanted {
        let next = tokio::time::timeout(Duration::from_secs(20), subscription.next()).await;
        assert_eq!(next.expect("an event comes").unwrap().event().seq, Seq(seq));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_misses_nothing_and_sees_nothing_twice() {
    let (_folder, path) = place();
    let memory = memory();
    let cases: [(Arc<dyn Store>, Arc<dyn Store>); 3] = {
        let file: Arc<dyn Store> = Arc::new(open(&path));
        // Another connection stands for another process: they share nothing but the file.
        let other: Arc<dyn Store> = Arc::new(open(&path.with_file_name("other.db")));
        let reader: Arc<dyn Store> =
            Arc::new(SqliteJournal::open_read_only(path.with_file_name("other.db"), &project()).unwrap());
        [
            (file.clone(), file),
            (other, reader),
            (Arc::new(memory.clone()), Arc::new(memory)),
        ]
    };
    for (writer, reader) in cases {
        let follower = tokio::spawn(follow(subscribe(reader, Scope::Stream(staging()), Seq(0)), 60));
        for round in 0..20 {
            writer.append(plain(staging(), round * 3, 3)).await.unwrap();
        }
        follower.await.unwrap();
    }
}

#[tokio::test]
async fn a_deployment_is_followed_before_it_exists() {
    let (_folder, stores) = both();
    for store in stores {
        let mut subscription = subscribe(Arc::clone(&store), Scope::Deployment(deployment(2)), Seq(0));
        assert_eq!(subscription.ready().await.unwrap(), []);
        for (expected, of) in [(0, Some(1)), (1, Some(2)), (2, None), (3, Some(2))] {
            let events = vec![draft(of.map(deployment), "x")];
            store
                .append(Append {
                    events,
                    ..plain(staging(), expected, 0)
                })
                .await
                .unwrap();
        }
        let mut seen = Vec::new();
        for _ in 0..2 {
            seen.push(subscription.next().await.unwrap().event().seq);
        }
        assert_eq!(seen, [Seq(2), Seq(4)]);
        let mut later = subscribe(store, Scope::Deployment(deployment(2)), Seq(2));
        assert_eq!(later.next().await.unwrap().event().seq, Seq(4));
    }
}
