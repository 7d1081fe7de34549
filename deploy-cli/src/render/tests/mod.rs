//! What people read of a deployment, from streams of events made by hand.

mod streams;

use super::Paint;
use super::live::Live;
use super::plain::{Plain, Stamps};
use super::story::Story;
use crate::console::Loudness;
use deploy_core::event::Event;
use deploy_core::id::{Attempt, SliceIx};
use deploy_core::machine::{Effect, Work};
use deploy_core::view::result::ending;
use insta::assert_snapshot;
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
    plain.close(code, &mut out).expect("writing to memory");
    String::from_utf8(out).expect("text")
}

fn told(stream: Stream) -> String {
    plain(Loudness::Normal, false, Stamps::Off, &stream.events())
}

#[test]
fn a_success() {
    assert_snapshot!(told(Stream::success()), @"");
}

#[test]
fn a_failure_in_verify_goes_back() {
    assert_snapshot!(told(Stream::unhealthy()), @"");
}

#[test]
fn the_same_in_a_log() {
    assert_snapshot!(plain(Loudness::Normal, false, Stamps::On, &Stream::unhealthy().events()), @"");
}

#[test]
fn the_same_in_a_narrow_terminal() {
    assert_snapshot!(plain(Loudness::Normal, true, Stamps::Off, &Stream::unhealthy().events()), @"");
}

#[test]
fn the_same_quietly() {
    assert_snapshot!(plain(Loudness::Quiet, false, Stamps::Off, &Stream::unhealthy().events()), @"");
}

#[test]
fn every_step_of_a_success() {
    assert_snapshot!(plain(Loudness::Verbose, false, Stamps::Off, &Stream::success().events()), @"");
}

#[test]
fn what_needs_a_human() {
    assert_snapshot!(told(Stream::needs_human()), @"");
}

#[test]
fn what_waits_for_an_approval() {
    assert_snapshot!(told(Stream::waiting()), @"");
}

#[test]
fn what_waited_and_went_on() {
    assert_snapshot!(told(Stream::approved()), @"");
}

#[test]
fn what_a_gate_refuses() {
    assert_snapshot!(told(Stream::refused()), @"");
}

#[test]
fn a_claim_that_somebody_else_holds() {
    assert_snapshot!(told(Stream::held()), @"");
}

#[test]
fn what_is_left_open() {
    assert_snapshot!(told(Stream::left()), @"");
}

#[test]
fn what_was_taken_up_by_another_process() {
    assert_snapshot!(told(Stream::taken_over()), @"");
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
            let effect = Effect { attempt: Attempt(1), work: Work::Verify(SliceIx(1)) };
            live.progress(effect, "ready: 503", 1, 4);
        }
        let code = live.plain().story.view().map_or(0, |view| ending(view).code);
        live.close(code, &mut kept).expect("writing to memory");

        // As the journal gives them back.
        let text: Vec<String> = events.iter().map(|event| serde_json::to_string(event).expect("JSON")).collect();
        let mut story = Story::new(Loudness::Normal, false);
        story.about(Some(streams::release()));
        let mut stored = Plain::new(story, Stamps::Off, Paint::new(true));
        let mut shown = Vec::new();
        for event in &text {
            let event: Event = serde_json::from_str(event).expect("an event");
            stored.on(&event, &mut shown).expect("writing to memory");
        }
        stored.close(code, &mut shown).expect("writing to memory");
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
    let words = ["serves", "rolled back", "needs a human", "waiting", "refused", "failed", "open"];
    for stream in Stream::all() {
        let text = told(stream);
        let end = text.lines().find(|line| line.contains("· exit ")).expect("an end");
        assert!(end.starts_with(['✓', '✗', '…', '·']) && words.iter().any(|word| end.contains(word)), "{end}");
    }
}

#[test]
fn events_of_others_and_of_newer_versions_do_no_harm() {
    let mut stream = Stream::success();
    stream.push_foreign_and_newer();
    assert_eq!(told(stream).lines().filter(|line| line.contains("newer version")).count(), 1);
}

#[test]
fn spans_are_short() {
    use std::time::Duration;
    for (ms, text) in [
        (0, "0.0s"),
        (620, "0.6s"),
        (9_949, "9.9s"),
        (9_950, "9s"),
        (12_400, "12s"),
        (151_000, "2m31s"),
        (11_100_000, "3h05m"),
        (200_000_000, "2d7h"),
    ] {
        assert_eq!(super::span(Duration::from_millis(ms)), text);
    }
}
