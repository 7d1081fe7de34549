//! What people read of a deployment, from streams of events made by hand.

mod streams;

use super::Paint;
use super::live::Live;
use super::plain::{Plain, Stamps};
use super::story::Story;
use crate::console::Loudness;
use deploy_core::event::{Event, EventKind};
use deploy_core::id::{Attempt, SliceIx};
use deploy_core::machine::{Effect, Work};
use deploy_core::view::result::ending;
use insta::assert_snapshot;
use std::time::Duration;
use streams::Stream;

fn plain(loudness: Loudness, narrow: bool, stamps: Stamps, events: &[Event]) -> String {
    let mut story = Story::new(loudness, narrow);
    story.about(Some(streams::release()));
    let mut plain = Plain::new(story, stamps, Paint::new(false));
    let mut out = Vec::new();
    for event in events {
        plain.on(event, &mut out).expect("writing to memory");
    }
    let code = plain.story.view().map_or(0, |view| ending(view).code);
    plain.close(code, None, &mut out).expect("writing to memory");
    String::from_utf8(out).expect("text")
}

fn told(stream: Stream) -> String {
    plain(Loudness::Normal, false, Stamps::Off, &stream.events())
}

#[test]
fn a_success() {
    assert_snapshot!(told(Stream::success()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema           0007_basket applied                     0.6s
      ✓ web     web-1    v42 serves, healthy 30s                 31s
      ✓ web     web-2    v42 serves, healthy 30s                 31s
      ✓ search           v42 serves, healthy 10s                 12s
      · watching for 2m00s more
    ✓ v42 serves everywhere, verified · 3m17s · exit 0
    "#);
}

#[test]
fn a_success_without_a_host() {
    assert_snapshot!(told(Stream::without_one()));
}

#[test]
fn a_failure_in_verify_goes_back() {
    assert_snapshot!(told(Stream::unhealthy()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema           0007_basket applied                     0.6s
      ✗ web     web-1    ready: 503 in 12 of 12 probes, wanted 30s healthy  1m00s
                body     {"status":"DOWN","components":{"db":"timeout"}}
    ← going back to v41
      ✓ web     web-1    v41 serves, healthy 30s                 31s
      ✓ schema           0007_basket down                        0.3s
    ✗ rolled back: v41 serves everywhere, verified · 1m34s · exit 3
      untouched  web-2, search
      now        automatic promotion frozen
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn the_same_in_a_log() {
    assert_snapshot!(plain(Loudness::Normal, false, Stamps::On, &Stream::unhealthy().events()), @r#"
    07:00:00 v42 3f9ac1e "Add basket" (develop) → production, now v41
    07:00:02   ✓ schema           0007_basket applied                     0.6s
    07:01:02   ✗ web     web-1    ready: 503 in 12 of 12 probes, wanted 30s healthy  1m00s
    07:01:02             body     {"status":"DOWN","components":{"db":"timeout"}}
    07:01:02 ← going back to v41
    07:01:33   ✓ web     web-1    v41 serves, healthy 30s                 31s
    07:01:33   ✓ schema           0007_basket down                        0.3s
    07:01:33 ✗ rolled back: v41 serves everywhere, verified · 1m34s · exit 3
    07:01:33   untouched  web-2, search
    07:01:33   now        automatic promotion frozen
    07:01:33   see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn the_same_in_a_narrow_terminal() {
    assert_snapshot!(plain(Loudness::Normal, true, Stamps::Off, &Stream::unhealthy().events()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema  0007_basket applied  0.6s
      ✗ web web-1  ready: 503 in 12 of 12 probes, wanted 30s healthy  1m00s
        body     {"status":"DOWN","components":{"db":"timeout"}}
    ← going back to v41
      ✓ web web-1  v41 serves, healthy 30s  31s
      ✓ schema  0007_basket down  0.3s
    ✗ rolled back: v41 serves everywhere, verified · 1m34s · exit 3
      untouched  web-2, search
      now        automatic promotion frozen
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn the_same_quietly() {
    assert_snapshot!(plain(Loudness::Quiet, false, Stamps::Off, &Stream::unhealthy().events()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
    ✗ rolled back: v41 serves everywhere, verified · 1m34s · exit 3
      untouched  web-2, search
      now        automatic promotion frozen
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn every_step_of_a_success() {
    assert_snapshot!(plain(Loudness::Verbose, false, Stamps::Off, &Stream::success().events()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      · schema           prepared
      · web     web-1    prepared
      · web     web-2    prepared
      · search           prepared
      · schema           switched, not yet verified
      ✓ schema           0007_basket applied                     0.6s
      · web     web-1    switched, not yet verified
      ✓ web     web-1    v42 serves, healthy 30s                 31s
      · web     web-2    switched, not yet verified
      ✓ web     web-2    v42 serves, healthy 30s                 31s
      · search           switched, not yet verified
      ✓ search           v42 serves, healthy 10s                 12s
      · committed: every slice is verified
      · schema           confirmed
      · web     web-1    confirmed
      · web     web-2    confirmed
      · search           confirmed
      · watching for 2m00s more
    ✓ v42 serves everywhere, verified · 3m17s · exit 0
    "#);
}

#[test]
fn what_needs_a_human() {
    assert_snapshot!(told(Stream::needs_human()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema           0007_basket applied                     0.6s
      ✗ web     web-1    ready: 503 in 12 of 12 probes, wanted 30s healthy  1m00s
                body     {"status":"DOWN","components":{"db":"timeout"}}
    ← going back to v41
      ✗ web     web-1    unknown: deploy@10.0.0.1 does not answer  15m00s
    ✗ needs a human: 2 slices are not where they should be · 16m02s · exit 4
      untouched  web-2, search
      stray      schema schema runs v42: it is still on the new release
      next       deploy rollback -e production --to v41
      stray      web web-1 runs unknown: deploy@10.0.0.1 does not answer
      next       deploy doctor -e production && deploy rollback -e production --to v41
      now        automatic promotion frozen
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn what_waits_for_an_approval() {
    assert_snapshot!(told(Stream::waiting()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
    … waiting: nothing was changed · 0.1s · exit 11
      unmet      soak: healthy in staging for 4m of 10m (earliest 2026-11-21T07:06:00Z)
      next       wait, then deploy resume 01JB9QF3ZK
      unmet      approval: release: 0 of 1 from release-managers
      next       deploy approve 01JB9QF3ZK
      then       deploy resume 01JB9QF3ZK
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn what_waited_and_went_on() {
    assert_snapshot!(told(Stream::approved()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      · approved by bob@shop.example: looked at staging
      … waited 1h31m for approval
      ✓ schema           0007_basket applied                     0.6s
      ✓ web     web-1    v42 serves, healthy 30s                 31s
      ✓ web     web-2    v42 serves, healthy 30s                 31s
      ✓ search           v42 serves, healthy 10s                 12s
    ✓ v42 serves everywhere, verified · 1h32m · exit 0
    "#);
}

#[test]
fn what_a_gate_refuses() {
    assert_snapshot!(told(Stream::refused()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
    ✗ refused: nothing was changed · 0.1s · exit 6
      unmet      branch: 3f9ac1e is on develop, and production takes master
      next       merge it into master, then deploy promote -e production
      unmet      approval: release: 0 of 1 from release-managers
      next       deploy approve 01JB9QF3ZK
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn a_claim_that_somebody_else_holds() {
    assert_snapshot!(told(Stream::held()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✗ ssh:deploy@10.0.0.1:/opt/shop is held by bob@laptop (pid 4711): activating v43
                because  claimed 42s ago, epoch 9
    ✗ failed: nothing that serves was changed · 0.1s · exit 5
      next       wait, then deploy promote -e production
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn what_is_left_open() {
    assert_snapshot!(told(Stream::left()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema           0007_basket applied                     0.6s
    … open: left activating, to be resumed · 2.3s · exit 9
      untouched  web-2, search
      next       deploy resume 01JB9QF3ZK  goes on
                 deploy cancel 01JB9QF3ZK  goes back
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn what_was_taken_up_by_another_process() {
    assert_snapshot!(told(Stream::taken_over()), @r#"
    v42 3f9ac1e "Add basket" (develop) → production, now v41
      ✓ schema           0007_basket applied                     0.6s
      ! taken up again by bob@ci-7 (pid 12)
    ← interrupted in the middle: going back to v41
      ✓ web     web-1    v41 serves, healthy 30s                 31s
      ✓ schema           0007_basket down                        0.3s
    ✗ rolled back: v41 serves everywhere, verified · 1m19s · exit 3
      untouched  web-2, search
      see        deploy show 01JB9QF3ZK
    "#);
}

#[test]
fn a_long_silence_says_what_it_is_at_every_ten_seconds() {
    let mut story = Story::new(Loudness::Normal, false);
    story.about(Some(streams::release()));
    let mut plain = Plain::new(story, Stamps::On, Paint::new(false));
    let mut out = Vec::new();
    let mut begun = None;
    for mut event in Stream::success().events() {
        if let EventKind::SliceActivated {
            slice: SliceIx(1),
            armed,
            ..
        } = &mut event.kind
        {
            *armed = true;
        }
        plain.on(&event, &mut out).expect("writing to memory");
        if matches!(
            event.kind,
            EventKind::SliceActivated {
                slice: SliceIx(1),
                ..
            }
        ) {
            begun = Some(event.at);
            break;
        }
    }
    let begun = begun.expect("web-1 is activated");
    out.clear();
    // What is left lasted until it was left, not until its last event.
    let mut left = Vec::new();
    let lines = plain.story.close(9, Some(begun.after(Duration::from_mins(5))));
    left.extend(
        lines
            .iter()
            .map(|line| line.text(plain.story.columns(), Paint::new(false))),
    );
    assert!(
        left[0].starts_with("… open: left activating") && left[0].contains("5m"),
        "{left:?}"
    );
    let back = begun.after(Duration::from_mins(5) + Duration::from_secs(60));
    let back = format!(
        "web-1 goes back by itself by {} unless it is resumed",
        back.to_the_second()
    );
    assert!(left.iter().any(|line| line.trim() == back), "{back}: {left:?}");
    for second in 1..=35_u64 {
        let now = begun.after(Duration::from_secs(second));
        let effect = Effect {
            attempt: Attempt(1),
            work: Work::Verify(SliceIx(1)),
        };
        let note = format!("ready: {second}s of 1m healthy, 3ms");
        plain.progress(effect, &note, 0, 0);
        plain.alive(now, &mut out).expect("writing to memory");
        // A clock that is asked more often says nothing more.
        plain.alive(now, &mut out).expect("writing to memory");
    }
    assert_snapshot!(String::from_utf8_lossy(&out), @r#"
    07:00:27   … web     web-1    verifying: ready: 10s of 1m healthy, 3ms
    07:00:37   … web     web-1    verifying: ready: 20s of 1m healthy, 3ms
    07:00:47   … web     web-1    verifying: ready: 30s of 1m healthy, 3ms
    "#);
}

/// Live and stored are one: what a terminal keeps is what `deploy show` prints, byte for byte.
#[test]
fn what_is_stored_reads_as_it_did_live() {
    for stream in Stream::all() {
        let events = stream.events();
        let mut story = Story::new(Loudness::Normal, false);
        story.about(Some(streams::release()));
        let mut live = Live::hidden(Plain::new(story, Stamps::Off, Paint::new(true)));
        let mut kept = Vec::new();
        for event in &events {
            live.on(event, &mut kept).expect("writing to memory");
            let effect = Effect {
                attempt: Attempt(1),
                work: Work::Verify(SliceIx(1)),
            };
            live.progress(effect, "ready: 503", 1, 4);
        }
        let code = live.plain().story.view().map_or(0, |view| ending(view).code);
        live.close(code, None, &mut kept).expect("writing to memory");

        // As the journal gives them back.
        let text: Vec<String> = events
            .iter()
            .map(|event| serde_json::to_string(event).expect("JSON"))
            .collect();
        let mut story = Story::new(Loudness::Normal, false);
        story.about(Some(streams::release()));
        let mut stored = Plain::new(story, Stamps::Off, Paint::new(true));
        let mut shown = Vec::new();
        for event in &text {
            let event: Event = serde_json::from_str(event).expect("an event");
            stored.on(&event, &mut shown).expect("writing to memory");
        }
        stored.close(code, None, &mut shown).expect("writing to memory");
        assert_eq!(String::from_utf8_lossy(&kept), String::from_utf8_lossy(&shown));
    }
}

#[test]
fn a_remote_text_cannot_move_the_cursor() {
    for stream in Stream::all() {
        let text = told(stream.with_forged_text());
        assert!(!text.contains('\u{1b}') && !text.contains('\r'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("✓ forged")), "{text}");
    }
}

#[test]
fn without_colour_every_state_has_a_mark_and_a_word() {
    let words = [
        "serves",
        "rolled back",
        "needs a human",
        "waiting",
        "refused",
        "failed",
        "open",
    ];
    for stream in Stream::all() {
        let text = told(stream);
        let end = text
            .lines()
            .find(|line| line.contains("· exit "))
            .expect("an end");
        assert!(
            end.starts_with(['✓', '✗', '…', '·']) && words.iter().any(|word| end.contains(word)),
            "{end}"
        );
    }
}

#[test]
fn events_of_others_and_of_newer_versions_do_no_harm() {
    let mut stream = Stream::success();
    stream.push_foreign_and_newer();
    assert_eq!(
        told(stream)
            .lines()
            .filter(|line| line.contains("newer version"))
            .count(),
        1
    );
}

#[test]
fn spans_are_short() {
    for (ms, text) in [
        (0, "0.0s"),
        (620, "0.6s"),
        (9_949, "9.9s"),
        (9_950, "10s"),
        (12_400, "12s"),
        (151_000, "2m31s"),
        (11_100_000, "3h05m"),
        (200_000_000, "2d7h"),
    ] {
        assert_eq!(super::span(Duration::from_millis(ms)), text);
    }
}

#[test]
fn only_our_own_colours_get_through() {
    let plain = Paint::new(false);
    let coloured = Paint::new(true);
    let text = format!("{}\u{1b}[2J\u{1b}[8m\u{9b}2J\r\u{7}\n", coloured.good("✓ fine"));
    assert_eq!(coloured.harmless(&text), "\u{1b}[32m✓ fine\u{1b}[0m[2J[8m2J\n");
    assert_eq!(plain.harmless(&text), "[32m✓ fine[0m[2J[8m2J\n");
    let all = [
        coloured.good("a"),
        coloured.bad("b"),
        coloured.warn("c"),
        coloured.dim("d"),
        coloured.bold("e\tf"),
    ];
    for text in all {
        assert_eq!(coloured.harmless(&text), text);
    }
}
