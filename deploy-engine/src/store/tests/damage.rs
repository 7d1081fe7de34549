//! Damage to what is stored: found, named, and never a panic.

use super::*;
use crate::store::chain::{Walk, genesis};
use rusqlite::Connection;

const STREAMS: [fn() -> Stream; 2] = [|| Stream::Project, staging];

async fn filled() -> (TempDir, PathBuf, StoreId) {
    let (folder, path) = place();
    let journal = open(&path);
    for stream in STREAMS {
        let mut append = plain(stream(), 0, 6);
        append.events[2].deployment = Some(deployment(1));
        append.events[4].deployment = Some(deployment(2));
        journal.append(append).await.unwrap();
    }
    let store = journal.store().clone();
    drop(journal);
    (folder, path, store)
}

#[tokio::test]
async fn every_flipped_bit_of_a_row_is_found_and_the_row_named() {
    let (_folder, path, store) = filled().await;
    let journal = open(&path);
    let rows = journal.export(&staging(), Seq(0), 99).await.unwrap();
    let mut flips = 0;
    for (at, good) in rows.iter().enumerate() {
        for column in 0..4 {
            let length = [
                good.body.len(),
                good.hash.len(),
                good.prev.len(),
                good.deployment.as_ref().map_or(0, String::len),
            ][column];
            for bit in 0..length * 8 {
                let flip = |text: &str| {
                    let mut bytes = text.as_bytes().to_vec();
                    bytes[bit / 8] ^= 1 << (bit % 8);
                    String::from_utf8_lossy(&bytes).into_owned()
                };
                let mut bad = good.clone();
                match column {
                    0 => bad.body = flip(&good.body),
                    1 => bad.hash = flip(&good.hash),
                    2 => bad.prev = flip(&good.prev),
                    _ => bad.deployment = good.deployment.as_deref().map(flip),
                }
                flips += 1;
                let mut walk = Walk::after(staging(), Seq(0), genesis(&store));
                let walked = rows[..at]
                    .iter()
                    .chain([&bad])
                    .try_for_each(|row| walk.step(row).map(drop));
                let named = Seq(at as u64 + 1);
                assert!(
                    matches!(walked, Err(JournalError::Corrupt { seq, .. }) if seq == named),
                    "{bad:?}"
                );
            }
        }
    }
    assert!(flips > 10_000, "{flips}");
}

#[tokio::test]
async fn damage_in_the_file_is_found_by_verify_and_by_load() {
    let (_folder, path, _) = filled().await;
    let raw = Connection::open(&path).unwrap();
    raw.execute_batch("PRAGMA foreign_keys = OFF; PRAGMA synchronous = OFF")
        .unwrap();
    let journal = open(&path);
    let mut dice = Dice::new("damage_in_the_file");
    for column in ["body", "hash", "prev", "stream"] {
        for _ in 0..40 {
            let (id, seq, good): (i64, i64, String) = {
                let nth = i64::try_from(dice.roll(6) + 1).unwrap();
                let sql =
                    format!("SELECT id, seq, {column} FROM events WHERE seq = ?1 AND stream <> 'project'");
                raw.query_row(&sql, [nth], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                    .unwrap()
            };
            let mut bad = good.clone().into_bytes();
            let bit = dice.roll(bad.len() * 8);
            bad[bit / 8] ^= 1 << (bit % 8);
            let put = format!("UPDATE events SET {column} = CAST(?2 AS TEXT) WHERE id = ?1");
            raw.execute(&put, (id, bad)).unwrap();
            let verified = journal.verify_chain().await;
            assert!(
                matches!(verified, Err(JournalError::Corrupt { .. })),
                "{column} of {seq}: {verified:?}"
            );
            let loaded = journal.load(&staging(), Seq(0)).await;
            assert!(
                matches!(loaded, Err(JournalError::Corrupt { seq: named, .. }) if i64::try_from(named.0) == Ok(seq)),
                "{loaded:?}"
            );
            // Other streams are not affected.
            assert_eq!(journal.load(&Stream::Project, Seq(0)).await.unwrap().len(), 6);
            raw.execute(&put, (id, good.into_bytes())).unwrap();
        }
    }
    assert_eq!(journal.verify_chain().await.unwrap(), 12);
    for change in [
        "UPDATE events SET seq = 9 WHERE stream = 'project' AND seq = 3",
        "UPDATE events SET at = at + 1 WHERE stream = 'project' AND seq = 3",
        "UPDATE events SET deployment = NULL WHERE stream = 'project' AND seq = 3",
        "DELETE FROM events WHERE stream = 'project' AND seq = 3",
        "DELETE FROM events WHERE stream = 'project' AND seq = 6",
        "DELETE FROM events WHERE stream = 'project'",
        "DELETE FROM streams WHERE name = 'project'",
        "UPDATE streams SET last = 5 WHERE name = 'project'",
        "UPDATE streams SET last = 7 WHERE name = 'project'",
        "UPDATE streams SET hash = prev FROM events WHERE name = 'project' AND seq = 6",
    ] {
        let copy = path.with_file_name("copy.db");
        raw.execute("VACUUM INTO ?1", [copy.to_str().unwrap()]).unwrap();
        let tampered = Connection::open(&copy).unwrap();
        tampered
            .execute_batch(&format!("PRAGMA foreign_keys = OFF; {change}"))
            .unwrap();
        drop(tampered);
        let journal = open(&copy);
        assert!(
            matches!(journal.verify_chain().await, Err(JournalError::Corrupt { .. })),
            "{change}"
        );
        assert!(journal.load(&Stream::Project, Seq(0)).await.is_err(), "{change}");
        // What is cut off at the end is missed by whoever reads a part, and nothing is written behind it.
        if !change.contains("seq = 3") && !change.contains("DELETE FROM streams") {
            assert!(journal.head(&Stream::Project).await.is_err(), "{change}");
            assert!(journal.facts(&Stream::Project).await.is_err(), "{change}");
            assert!(
                journal.deployments(&Stream::Project, None, 1).await.is_err(),
                "{change}"
            );
            for expected in 5..=7 {
                let append = journal.append(plain(Stream::Project, expected, 1)).await;
                assert!(
                    matches!(append, Err(JournalError::Corrupt { .. })),
                    "{change}: {append:?}"
                );
            }
        }
        drop(journal);
        std::fs::remove_file(copy).unwrap();
    }
}

#[tokio::test]
async fn a_flipped_bit_anywhere_in_the_file_is_found_or_harmless() {
    let (_folder, path, _) = filled().await;
    let good = std::fs::read(&path).unwrap();
    let events = {
        let journal = SqliteJournal::open_read_only(&path, &project()).unwrap();
        (
            journal.load(&Stream::Project, Seq(0)).await.unwrap(),
            journal.load(&staging(), Seq(0)).await.unwrap(),
        )
    };
    let mut dice = Dice::new("a_flipped_bit_anywhere");
    let mut found = 0;
    for _ in 0..400 {
        let bit = dice.roll(good.len() * 8);
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, bad).unwrap();
        let Ok(journal) = SqliteJournal::open_read_only(&path, &project()) else {
            found += 1;
            continue;
        };
        match (
            journal.load(&Stream::Project, Seq(0)).await,
            journal.load(&staging(), Seq(0)).await,
        ) {
            (Ok(project), Ok(staging)) => assert_eq!((project, staging), events, "bit {bit}"),
            _ => {
                found += 1;
                // Whoever is told that the state is damaged is told to check it: that must find it.
                assert!(journal.verify_chain().await.is_err(), "bit {bit}");
            }
        }
    }
    assert!(found > 0);
}

#[tokio::test]
async fn events_of_a_newer_form_are_read_as_unknown_and_keep_their_place() {
    let (_folder, path, store) = filled().await;
    drop(store);
    let journal = open(&path);
    let good = journal.export(&staging(), Seq(5), 1).await.unwrap().remove(0);
    for (kind, schema, readable) in [
        (r#""type":"teleported","to":{"x":1}"#, 1, true),
        (r#""type":"teleported","to":{"x":1}"#, 2, true),
        (r#""type":"frozen_by_hand","reason":{"now":"a table"}"#, 2, true),
        (r#""type":"frozen_by_hand","reason":{"now":"a table"}"#, 1, false),
    ] {
        let body = format!(
            r#"{{"seq":6,"at":"2023-11-14T22:13:20.000Z","environment":"staging","deployment":null,"actor":"alice","schema":{schema},{kind}}}"#
        );
        let text = format!("{}\n{}\n6\n{body}", good.prev, good.stream);
        let row = Row {
            hash: deploy_core::digest::Digest::of(text).to_string(),
            body,
            ..good.clone()
        };
        match row.check() {
            Ok(recorded) => assert!(
                readable && recorded.event().kind == EventKind::Unknown && recorded.event().seq == Seq(6)
            ),
            Err(what) => assert!(!readable && what.contains("cannot be read"), "{what}"),
        }
    }
}
