//! The laws of the window.

use super::*;
use proptest::prelude::*;

const PACE: Pace = Pace {
    healthy_for: Duration::from_secs(10),
    interval: Duration::from_secs(1),
    timeout: Duration::from_secs(2),
    deadline: Duration::from_mins(1),
};

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn s(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn pass() -> Look {
    Look::new(Verdict::Healthy, ms(5))
}

fn bad(what: &str) -> Look {
    Look::new(Verdict::Unhealthy(Reason::new(Code::Unhealthy, what)), ms(5))
}

fn lost() -> Look {
    Look::new(
        Verdict::Unreachable(Reason::new(Code::ProbeUnreachable, "no route to host")),
        ms(5),
    )
}

/// Looks at whole seconds: `p`ass, `b`ad, `u`nreachable, `.` none.
fn play(pace: Pace, script: &str) -> (Window, State) {
    let mut window = Window::new(pace);
    let mut state = State::Pending {
        healthy: Duration::ZERO,
    };
    for (at, mark) in script.chars().enumerate() {
        let look = match mark {
            'p' => pass(),
            'b' => bad("503"),
            'u' => lost(),
            _ => continue,
        };
        state = window.take(s(at as u64), &look);
    }
    (window, state)
}

fn late(window: &Window, now: Duration) -> Late {
    match window.state(now) {
        State::Late(late) => late,
        other => panic!("not late: {other:?}"),
    }
}

#[test]
fn unbroken_passes_over_the_window_and_nothing_less() {
    for (script, healthy_since) in [
        ("p", None),
        ("pppppppppp", None),
        ("ppppppppppp", Some(0)),
        ("bbppppppppppp", Some(2)),
        ("pppppppppbp", None),
        ("pppppppppup", None),
        ("pppppbppppppppppp", Some(6)),
        ("p.........p", None),
        ("p..p..p..p.p", Some(0)),
        ("pppp......pppppppppp", None),
        ("pppp......ppppppppppp", Some(10)),
        ("pppppppppppb", None),
    ] {
        let (_, state) = play(PACE, script);
        let since = match state {
            State::Healthy { since } => Some(since.as_secs()),
            _ => None,
        };
        assert_eq!(since, healthy_since, "{script}");
    }
}

#[test]
fn one_pass_is_enough_only_when_no_window_is_asked_for() {
    let pace = Pace {
        healthy_for: Duration::ZERO,
        ..PACE
    };
    assert_eq!(play(pace, "bp").1, State::Healthy { since: s(1) });
    assert_eq!(
        play(
            Pace {
                healthy_for: ms(1),
                ..PACE
            },
            "bp"
        )
        .1,
        State::Pending {
            healthy: Duration::ZERO
        }
    );
}

#[test]
fn the_deadline_says_the_last_reason_and_the_counts() {
    let say = |script: &str| late(&play(PACE, script).0, s(60)).to_string();
    let mut all: Vec<(&str, String)> = Vec::new();
    let twelve = ("b....".repeat(12), "all the same");
    let flap = ("ppppb".repeat(12), "flap");
    let slow = (format!("{}pppppp", "b".repeat(54)), "healthy too late");
    let gap = ("pppppppp.......".repeat(4), "gaps");
    let blip = (format!("{}ub", "b".repeat(57)), "mixed");
    for (script, name) in [twelve, flap, slow, gap, blip, (String::new(), "no look")] {
        all.push((name, say(&script)));
    }
    insta::assert_snapshot!(all.iter().map(|(name, text)| format!("{name}: {text}")).collect::<Vec<_>>().join("\n"), @r"
    all the same: 503 in 12 of 12 probes, wanted 10s healthy
    flap: 503 in 12 of 60 probes, wanted 10s healthy
    healthy too late: healthy for only 5s when the deadline came, before that 503 in 54 of 60 probes, wanted 10s healthy
    gaps: healthy in 32 of 32 probes, but with gaps, wanted 10s healthy
    mixed: 503 at last, 59 of 59 probes failed, wanted 10s healthy
    no look: no look ended within 1m, wanted 10s healthy
    ");
}

/// The last reason, and how many looks in a row gave just that: what was wrong first and is not any more counts for nothing.
#[test]
fn the_reason_is_the_last_one_seen() {
    let late_after = |whats: &[&str]| {
        let mut window = Window::new(PACE);
        for (at, what) in whats.iter().enumerate() {
            window.take(s(at as u64), &if what.is_empty() { pass() } else { bad(what) });
        }
        late(&window, s(60))
    };
    for (whats, what, same) in [
        (&["503", "503", "404"][..], "404", 1),
        (&["503", "404", "404", "404"], "404", 3),
        (&["503", "404", "503"], "503", 1),
        (&["404", "503", "", "503"], "503", 2),
    ] {
        let late = late_after(whats);
        let reason = late.reason.as_ref().expect("one failed");
        assert_eq!((reason.what.as_str(), late.same), (what, same), "{whats:?}");
        let text = late.to_string();
        assert!(text.starts_with(what), "{whats:?}: {text}");
    }
    // The code and the body are the last one's, too.
    let mut window = Window::new(PACE);
    window.take(s(0), &bad("503"));
    let reason = Reason::new(Code::WrongVersion, "version 1.0, wanted 1.1").with_body("1.0");
    window.take(s(1), &Look::new(Verdict::Unhealthy(reason.clone()), ms(1)));
    assert_eq!(late(&window, s(60)).reason, Some(reason));
}

#[test]
fn out_of_reach_is_not_unhealthy() {
    for (script, fault) in [
        ("u".repeat(60), Fault::Unreachable),
        (String::new(), Fault::Unreachable),
        ("ppppu".repeat(12), Fault::Unreachable),
        ("b".repeat(60), Fault::Unhealthy),
        (format!("{}b", "u".repeat(59)), Fault::Unhealthy),
        // One lost look at the end takes nothing back; out of reach for longer than it needs to become healthy does.
        (format!("{}uu", "b".repeat(58)), Fault::Unhealthy),
        (
            format!("{}{}", "b".repeat(40), "u".repeat(20)),
            Fault::Unreachable,
        ),
        (format!("{}ppp", "b".repeat(57)), Fault::Unhealthy),
    ] {
        let late = late(&play(PACE, &script).0, s(60));
        assert_eq!(late.fault, fault, "{script}");
    }
}

#[test]
fn a_look_that_ends_after_the_deadline_or_before_another_proves_nothing() {
    let mut window = Window::new(PACE);
    for at in 50..=60 {
        window.take(s(at) + ms(1), &pass());
    }
    assert_eq!(late(&window, s(60) + ms(1)).passes, 10);

    let mut window = Window::new(PACE);
    window.take(s(5), &bad("503"));
    window.take(s(1), &pass());
    assert_eq!(
        window.state(s(5)),
        State::Pending {
            healthy: Duration::ZERO
        }
    );
    for at in 6..=16 {
        window.take(s(at), &pass());
    }
    assert!(matches!(window.state(s(16)), State::Healthy { .. }));
    window.take(s(3), &bad("503"));
    assert!(
        matches!(window.state(s(16)), State::Pending { .. }),
        "a late failure breaks"
    );
}

#[test]
fn old_evidence_is_not_health_now() {
    let (window, state) = play(PACE, "ppppppppppp");
    assert!(matches!(state, State::Healthy { .. }));
    assert!(matches!(window.state(s(15)), State::Healthy { .. }));
    assert!(matches!(window.state(s(16)), State::Pending { .. }));
}

#[test]
fn a_full_window_is_kept_or_broken_after_the_deadline() {
    let (mut window, _) = play(PACE, &"p".repeat(61));
    assert!(matches!(window.take(s(64), &pass()), State::Healthy { .. }));
    assert!(matches!(window.clone().take(s(70), &pass()), State::Late(late) if late.gaps == 0));
    assert!(matches!(window.take(s(65), &bad("503")), State::Late(late) if late.fault == Fault::Unhealthy));
    assert!(
        matches!(window.take(s(66), &pass()), State::Late(_)),
        "too late to begin again"
    );
}

#[test]
fn the_next_look_completes_the_window() {
    let mut window = Window::new(PACE);
    assert_eq!(window.next_look(s(0)), s(1));
    window.take(ms(700), &pass());
    assert_eq!(window.next_look(ms(0)), s(1));
    window.take(ms(5_000), &pass());
    window.take(ms(9_900), &pass());
    assert_eq!(window.next_look(s(10)), ms(10_700));
    assert_eq!(
        window.next_look(ms(10_700)),
        ms(11_700),
        "a window that is complete is looked at as ever"
    );
}

#[test]
fn a_late_window_is_a_failure_with_the_right_code() {
    let spec = ProbeSpec {
        name: "ready".to_owned(),
        kind: super::super::ProbeKind::Tcp {
            addr: "localhost:1".to_owned(),
        },
        from: super::super::Vantage::Here,
        expect: super::super::Expect::default(),
        version: None,
        healthy_for: PACE.healthy_for,
        timeout: PACE.timeout,
        interval: PACE.interval,
        deadline: PACE.deadline,
    };
    let mut window = Window::new(PACE);
    let reason =
        Reason::new(Code::WrongVersion, "version 1.0, wanted 1.1").with_body("{\"version\":\"1.0\"}");
    window.take(s(59), &Look::new(Verdict::Unhealthy(reason), ms(1)));
    let failure = late(&window, s(60)).failure(&spec);
    assert_eq!(failure.code, Code::WrongVersion);
    assert_eq!(
        failure.message,
        "ready: version 1.0, wanted 1.1 in 1 of 1 probes, wanted 10s healthy"
    );
    assert_eq!(failure.causes, ["answered {\"version\":\"1.0\"}"]);
    let lost = late(&play(PACE, "uu").0, s(60)).failure(&spec);
    assert_eq!(lost.code, Code::ProbeUnreachable);
}

/// Steps of up to 8 s (more than the longest gap of 5 s), and what was seen after each.
fn looks() -> impl Strategy<Value = Vec<(u64, u8)>> {
    prop::collection::vec((1_u64..8_000, 0_u8..12), 0..80)
}

proptest! {
    /// Healthy means: every look within the window passed, without a gap, from `since` to the last look, and that is long enough.
    #[test]
    fn healthy_is_what_the_definition_says(steps in looks(), healthy_for in 0_u64..12_000) {
        let pace = Pace { healthy_for: ms(healthy_for), deadline: s(1_000), ..PACE };
        let mut window = Window::new(pace);
        let mut seen: Vec<(Duration, bool)> = Vec::new();
        let mut now = Duration::ZERO;
        for (step, kind) in steps {
            now += ms(step);
            let look = match kind { 0 => bad("503"), 1 => lost(), _ => pass() };
            let healthy = look.verdict == Verdict::Healthy;
            seen.push((now, healthy));
            let state = window.take(now, &look);

            // The definition, slowly: the longest run of passes that ends now and has no gap.
            let mut since = None;
            for pair in (0..seen.len()).rev() {
                let (at, passed) = seen[pair];
                let gap = seen.get(pair + 1).is_some_and(|(next, _)| next.saturating_sub(at) > pace.longest_gap());
                if !passed || gap { break; }
                since = Some(at);
            }
            match since.filter(|since| now.saturating_sub(*since) >= pace.healthy_for) {
                Some(since) => prop_assert_eq!(state, State::Healthy { since }),
                None => prop_assert!(matches!(state, State::Pending { .. }), "{:?}", state),
            }
            if healthy_for > 0 && seen.len() == 1 {
                prop_assert!(!matches!(window.state(now), State::Healthy { .. }), "one lucky pass");
            }
        }
    }

    /// No order of looks, ends of looks and questions panics or makes a fault of what was never seen unhealthy.
    #[test]
    fn any_order_is_survived(looks in prop::collection::vec((0_u64..90_000, 0_u8..3), 0..60), now in 0_u64..90_000) {
        let mut window = Window::new(PACE);
        for (at, kind) in &looks {
            window.take(ms(*at), &match kind { 0 => bad("503"), 1 => lost(), _ => pass() });
        }
        if let State::Late(late) = window.state(ms(now)) {
            prop_assert!(now >= 60_000);
            prop_assert!(late.fault == Fault::Unreachable || looks.iter().any(|(_, kind)| *kind == 0));
            prop_assert!(!late.to_string().is_empty());
        }
    }
}
