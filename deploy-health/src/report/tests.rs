//! What bodies say by themselves.

use super::*;
use serde_json::json;

fn read_plain(body: &Value) -> Report {
    read(body, &BTreeMap::new())
}

/// The form that started it: status, components, uptime in seconds, metrics with units.
#[test]
fn the_usual_body_is_read_whole() {
    let body = json!({
        "status": "UP", "version": "1.4.2", "timestamp": "2026-11-21T07:00:00Z", "uptime": 84000,
        "components": {
            "database": { "status": "UP", "details": { "type": "postgres" } },
            "cache": { "status": "degraded" },
            "queue": { "status": "somewhat" },
        },
        "metrics": { "memory": "120MB", "instances": { "running": 3, "total": 5 } },
    });
    let report = read_plain(&body);
    assert_eq!(report.fault(), None);
    assert_eq!(report.uptime.map(|span| span.as_secs()), Some(84_000));
    assert_eq!(
        report.notes,
        [
            "component cache \"degraded\"",
            "component queue \"somewhat\", which says neither up nor down",
            "3 of 5 instances run",
        ]
    );
}

#[test]
fn every_component_is_judged_in_every_form() {
    for (body, fault) in [
        (
            json!({"components": {"db": {"status": "down"}}}),
            Some("component db \"down\""),
        ),
        (
            json!({"components": [{"name": "db", "status": "DOWN"}]}),
            Some("component db \"DOWN\""),
        ),
        (
            json!({"components": [{"status": "DOWN"}]}),
            Some("component 0 \"DOWN\""),
        ),
        (
            json!({"components": {"a": {"status": "UP", "components": {"b": {"status": "DOWN"}}}}}),
            Some("component a.b \"DOWN\""),
        ),
        (
            json!({"components": {"db": false}}),
            Some("component db \"false\""),
        ),
        (
            json!({"checks": {"db:time": [{"componentId": "x", "status": "fail"}]}}),
            Some("component db:time.x \"fail\""),
        ),
        (
            json!({"details": {"db": {"status": "down"}}}),
            Some("component db \"down\""),
        ),
        (json!({"details": {"message": "error"}}), None),
        (json!({"checks": 5, "components": "DOWN"}), None),
        (json!({"ok": false}), Some("ok false")),
        (json!({"status": false}), Some("status \"false\"")),
        (json!({"status": 200}), None),
        (json!({"status": "up", "healthy": true}), None),
        (json!([1]), None),
        (json!(null), None),
    ] {
        assert_eq!(read_plain(&body).fault().as_deref(), fault, "{body}");
    }
}

#[test]
fn what_is_asked_for_by_pointer_is_not_judged_twice() {
    let body = json!({"status": "DOWN", "components": {"a/b": {"status": "DOWN"}}});
    let asked = ["/status", "/components/a~1b/status"]
        .map(|pointer| (pointer.to_owned(), JsonRule::AnyOf(vec!["DOWN".into()])));
    assert_eq!(read(&body, &asked.into()).fault(), None);
}

#[test]
fn uptimes() {
    for (uptime, seconds) in [
        (json!(12.7), Some(12)),
        (json!("90s"), Some(90)),
        (json!("2h"), Some(7200)),
        (json!("5 minutes"), Some(300)),
        (json!("3 fortnights"), None),
        (json!("2h 5m"), None),
        (json!(-1), None),
        (json!(1e300), None),
    ] {
        let report = read_plain(&json!({ "uptime": uptime }));
        assert_eq!(report.uptime.map(|span| span.as_secs()), seconds, "{uptime}");
    }
}
