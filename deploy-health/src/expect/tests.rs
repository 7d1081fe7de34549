//! What is expected, and what came.

use super::*;
use crate::testing::{command, http, say};
use deploy_core::health::VersionCheck;
use proptest::prelude::*;
use serde_json::json;

fn answer(code: u16, body: &str) -> Answer {
    Answer {
        status: Status::Http { code, location: None },
        version_header: None,
        body: Body {
            bytes: body.as_bytes().to_vec(),
            cut: false,
        },
        latency: Duration::from_millis(40),
    }
}

/// A spec, changed.
fn with(change: impl Fn(&mut ProbeSpec)) -> ProbeSpec {
    let mut spec = http("http://localhost/health");
    change(&mut spec);
    spec
}

fn json_rule(pointer: &str, rule: &JsonRule) -> ProbeSpec {
    with(|spec| {
        spec.expect.json.insert(pointer.to_owned(), rule.clone());
    })
}

fn any_of(pointer: &str, values: &[&str]) -> ProbeSpec {
    json_rule(
        pointer,
        &JsonRule::AnyOf(values.iter().map(|&value| value.into()).collect()),
    )
}

fn range(pointer: &str, min: Option<f64>, max: Option<f64>) -> ProbeSpec {
    json_rule(pointer, &JsonRule::Range { min, max })
}

fn version(at: &VersionAt) -> ProbeSpec {
    with(|spec| {
        spec.version = Some(VersionCheck {
            at: at.clone(),
            equals: "1.3".to_owned(),
        });
    })
}

#[test]
fn statuses() {
    let only = |status: &[u16]| with(|spec| spec.expect.status = status.to_vec());
    for (spec, code, verdict) in [
        (only(&[]), 200, "healthy"),
        (only(&[]), 204, "healthy"),
        (only(&[]), 503, "unhealthy DPL0601: 503"),
        (only(&[]), 301, "unhealthy DPL0601: 301 instead of 2xx"),
        (only(&[]), 101, "unhealthy DPL0601: 101 instead of 2xx"),
        (only(&[200]), 204, "unhealthy DPL0601: 204 instead of 200"),
        (only(&[200]), 500, "unhealthy DPL0601: 500"),
        (only(&[200, 204]), 204, "healthy"),
        (only(&[401]), 401, "healthy"),
        (only(&[401]), 200, "unhealthy DPL0601: 200 instead of 401"),
        (only(&[301, 302]), 302, "healthy"),
    ] {
        assert_eq!(say(&judge(&spec, &answer(code, "")).verdict), verdict);
    }
    let mut exit = answer(0, "");
    exit.status = Status::Exit(3);
    assert_eq!(
        say(&judge(&command("x"), &exit).verdict),
        "unhealthy DPL0601: exit 3"
    );
    let redirect = Answer {
        status: Status::Http {
            code: 302,
            location: Some("/login\u{1b}[31m".to_owned()),
        },
        ..answer(302, "")
    };
    assert_eq!(
        say(&judge(&only(&[]), &redirect).verdict),
        "unhealthy DPL0601: 302 to /login[31m instead of 2xx"
    );
    let echoing = Answer {
        status: Status::Http {
            code: 302,
            location: Some("http://evil.test/health?token=S3cr+t%20%22#top".to_owned()),
        },
        ..answer(302, "")
    };
    assert_eq!(
        say(&judge(&only(&[]), &echoing).verdict),
        "unhealthy DPL0601: 302 to http://evil.test/health instead of 2xx"
    );
}

#[test]
fn values_in_json() {
    let body = r#"{"status":"UP","version":"1.2","n":3,"b":true,"memory":"120MB","load":"0.7 %","big":"1,024 MB","v":"1.2.3","a/b":{"~c":[5]},"nil":null}"#;
    let up = any_of("/status", &["UP", "healthy"]);
    for (spec, verdict) in [
        (up.clone(), "healthy"),
        (
            any_of("/status", &["up"]),
            r#"unhealthy DPL0601: 200 with /status "UP", wanted "up""#,
        ),
        (
            any_of("/state", &["UP"]),
            r#"unhealthy DPL0601: 200 with /state missing, wanted "UP""#,
        ),
        (any_of("/n", &["3"]), "healthy"),
        (any_of("/b", &["true"]), "healthy"),
        (
            any_of("/b", &["false"]),
            r#"unhealthy DPL0601: 200 with /b true, wanted "false""#,
        ),
        (
            json_rule("/n", &JsonRule::AnyOf(vec![json!(3.0), json!(4)])),
            "healthy",
        ),
        (json_rule("/nil", &JsonRule::AnyOf(vec![json!(null)])), "healthy"),
        (range("/n", Some(3.0), None), "healthy"),
        (
            range("/n", Some(4.0), None),
            "unhealthy DPL0601: 200 with /n 3, wanted at least 4",
        ),
        (range("/memory", None, Some(120.0)), "healthy"),
        (
            range("/memory", None, Some(100.0)),
            r#"unhealthy DPL0601: 200 with /memory "120MB", wanted at most 100"#,
        ),
        (range("/load", Some(0.5), Some(0.9)), "healthy"),
        (
            range("/big", Some(0.0), None),
            r#"unhealthy DPL0601: 200 with /big "1,024 MB", wanted at least 0"#,
        ),
        (
            range("/v", Some(0.0), None),
            r#"unhealthy DPL0601: 200 with /v "1.2.3", wanted at least 0"#,
        ),
        (
            range("/nil", Some(0.0), None),
            "unhealthy DPL0601: 200 with /nil null, wanted at least 0",
        ),
        (range("/a~1b/~0c/0", Some(5.0), Some(5.0)), "healthy"),
    ] {
        assert_eq!(say(&judge(&spec, &answer(200, body)).verdict), verdict);
    }
    assert_eq!(
        say(&judge(&up, &answer(200, "<html>")).verdict),
        "unhealthy DPL0601: 200 with a body that is not JSON, wanted /status in it"
    );
    let mut cut = answer(200, body);
    cut.body.cut = true;
    assert_eq!(
        say(&judge(&up, &cut).verdict),
        "unhealthy DPL0601: 200 with a body of more than 64 KiB, so /status cannot be read"
    );
}

#[test]
fn what_a_body_says_by_itself_counts_without_being_asked_for() {
    let plain = with(|_| {});
    for (body, verdict) in [
        (
            r#"{"status":"DOWN"}"#,
            r#"unhealthy DPL0601: 200 with status "DOWN""#,
        ),
        (
            r#"{"status":"unhealthy"}"#,
            r#"unhealthy DPL0601: 200 with status "unhealthy""#,
        ),
        (
            r#"{"status":"error","message":"x"}"#,
            r#"unhealthy DPL0601: 200 with status "error""#,
        ),
        (
            r#"{"status":"OUT_OF_SERVICE"}"#,
            r#"unhealthy DPL0601: 200 with status "OUT_OF_SERVICE""#,
        ),
        (
            r#"{"status":"UP","components":{"db":{"status":"DOWN"}}}"#,
            r#"unhealthy DPL0601: 200 with component db "DOWN""#,
        ),
        (
            r#"{"status":"DOWN","components":{"db":"timeout","ui":"ok"}}"#,
            r#"unhealthy DPL0601: 200 with component db "timeout" and 1 more"#,
        ),
        (" DOWN\n", r#"unhealthy DPL0601: 200 with "DOWN""#),
        (r#""DOWN""#, r#"unhealthy DPL0601: 200 with "DOWN""#),
        ("OK", "healthy"),
        ("DOWN in the list of things that are not a status", "healthy"),
    ] {
        assert_eq!(say(&judge(&plain, &answer(200, body)).verdict), verdict, "{body}");
    }
    // Asked for means judged as asked; and where failure is what is wanted, DOWN is no contradiction.
    let wants_down = any_of("/status", &["DOWN"]);
    assert_eq!(
        judge(&wants_down, &answer(200, r#"{"status":"DOWN"}"#)).verdict,
        Verdict::Healthy
    );
    let wants_text = with(|spec| spec.expect.body = Some("DOWN".to_owned()));
    assert_eq!(judge(&wants_text, &answer(200, "DOWN")).verdict, Verdict::Healthy);
    let wants_503 = with(|spec| spec.expect.status = vec![503]);
    assert_eq!(
        judge(&wants_503, &answer(503, r#"{"status":"DOWN"}"#)).verdict,
        Verdict::Healthy
    );
}

#[test]
fn the_right_status_from_the_old_version_is_not_health() {
    let by_body = version(&VersionAt::Json("/version".to_owned()));
    for (code, body, verdict) in [
        (200, r#"{"version":"1.3"}"#, "healthy"),
        (
            200,
            r#"{"version":"1.2"}"#,
            r#"unhealthy DPL0602: 200 from version "1.2", wanted "1.3""#,
        ),
        (200, r#"{"version":1.3}"#, "healthy"),
        (
            200,
            r#"{"version":"1.3 "}"#,
            r#"unhealthy DPL0602: 200 from version "1.3 ", wanted "1.3""#,
        ),
        (
            200,
            r#"{"status":"DOWN","version":"1.2"}"#,
            r#"unhealthy DPL0602: 200 from version "1.2", wanted "1.3""#,
        ),
        (
            200,
            r#"{"version":null}"#,
            r#"unhealthy DPL0602: 200 without a version at /version, wanted "1.3""#,
        ),
        (
            200,
            "",
            r#"unhealthy DPL0602: 200 without a version at /version, wanted "1.3""#,
        ),
        (503, "", "unhealthy DPL0601: 503"),
    ] {
        assert_eq!(
            say(&judge(&by_body, &answer(code, body)).verdict),
            verdict,
            "{body}"
        );
    }
    let by_header = version(&VersionAt::Header("x-version".to_owned()));
    let mut headed = answer(200, "");
    assert_eq!(
        say(&judge(&by_header, &headed).verdict),
        r#"unhealthy DPL0602: 200 without a version in header x-version, wanted "1.3""#
    );
    headed.version_header = Some(" 1.3".to_owned());
    assert_eq!(judge(&by_header, &headed).verdict, Verdict::Healthy);
    headed.version_header = Some("1.2".to_owned());
    assert_eq!(
        say(&judge(&by_header, &headed).verdict),
        r#"unhealthy DPL0602: 200 from version "1.2", wanted "1.3""#
    );
}

#[test]
fn patterns_and_latency() {
    let pattern = with(|spec| spec.expect.body = Some("^ready: \\d+$".to_owned()));
    assert_eq!(
        judge(&pattern, &answer(200, "ready: 7")).verdict,
        Verdict::Healthy
    );
    assert_eq!(
        say(&judge(&pattern, &answer(200, "ready")).verdict),
        r#"unhealthy DPL0601: 200, but the body does not match "^ready: \\d+$""#
    );
    let fast = |ms| with(|spec| spec.expect.latency = Some(Duration::from_millis(ms)));
    assert_eq!(judge(&fast(40), &answer(200, "")).verdict, Verdict::Healthy);
    assert_eq!(
        say(&judge(&fast(39), &answer(200, "")).verdict),
        "unhealthy DPL0601: answers in 40 ms, wanted 39 ms"
    );
}

proptest! {
    /// Whatever comes back, judging it ends, says so in one printable line, and the wrong status is never healthy.
    #[test]
    fn any_answer_is_judged(body in prop::collection::vec(any::<u8>(), 0..200), code in 100_u16..600, text in "\\PC{0,30}") {
        for spec in [with(|_| {}), any_of("/status", &[&text]), version(&VersionAt::Json(format!("/{text}")))] {
            let look = judge(&spec, &Answer { body: Body { bytes: body.clone(), cut: false }, ..answer(code, "") });
            if let Some(reason) = look.verdict.reason() {
                prop_assert!(!reason.what.is_empty() && !reason.what.chars().any(char::is_control));
                prop_assert!(reason.body.as_ref().is_none_or(|body| !body.chars().any(char::is_control)));
            } else {
                prop_assert!((200..300).contains(&code));
            }
        }
    }

    /// A number followed by a unit is that number.
    #[test]
    fn numbers_with_units(n in -1_000_000.0_f64..1_000_000.0, unit in "( ?[A-Za-z%]{0,4})") {
        let n = (n * 100.0).round() / 100.0;
        prop_assert_eq!(number(&json!(format!("{n}{unit}"))), Some(n));
    }
}
