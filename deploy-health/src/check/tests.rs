//! Probes that cannot be meant.

use super::*;
use crate::testing::{command, http, tcp};
use deploy_core::health::VersionCheck;

#[test]
fn what_could_never_work_is_said_before_anybody_looks() {
    let with = |change: &dyn Fn(&mut ProbeSpec)| {
        let mut spec = http("http://localhost:4000/health");
        change(&mut spec);
        check_spec(&spec)
    };
    let rule = |rule: JsonRule| {
        move |spec: &mut ProbeSpec| {
            spec.expect.json.insert("/n".to_owned(), rule.clone());
        }
    };
    let cases: Vec<(&str, Result<(), String>)> = vec![
        ("fine", with(&|_| {})),
        ("scheme", check_spec(&http("ftp://x/"))),
        ("no host", check_spec(&http("http://"))),
        ("not a URL", check_spec(&http("localhost:4000/health"))),
        ("port 0", check_spec(&http("http://x:0/"))),
        ("no port", check_spec(&tcp("localhost"))),
        ("bare v6", check_spec(&tcp("::1:80"))),
        ("option", check_spec(&tcp("-oProxyCommand=x:80"))),
        ("shell", check_spec(&tcp("$(id):80"))),
        ("v6", check_spec(&tcp("[::1]:80"))),
        ("empty command", check_spec(&command(" "))),
        ("regex", with(&|spec| spec.expect.body = Some("(".to_owned()))),
        (
            "huge regex",
            with(&|spec| spec.expect.body = Some("(a{1000}){1000}".to_owned())),
        ),
        ("status", with(&|spec| spec.expect.status = vec![200, 99])),
        (
            "pointer",
            with(&|spec| {
                spec.expect
                    .json
                    .insert("status".to_owned(), JsonRule::AnyOf(vec!["UP".into()]));
            }),
        ),
        ("nothing to equal", with(&rule(JsonRule::AnyOf(vec![])))),
        ("no bound", with(&rule(JsonRule::Range { min: None, max: None }))),
        (
            "empty range",
            with(&rule(JsonRule::Range {
                min: Some(3.0),
                max: Some(1.0),
            })),
        ),
        (
            "latency",
            with(&|spec| spec.expect.latency = Some(spec.timeout * 2)),
        ),
        ("deadline", with(&|spec| spec.healthy_for = spec.deadline)),
        ("interval", with(&|spec| spec.interval = Duration::ZERO)),
        (
            "header",
            with(&|spec| {
                spec.version = Some(VersionCheck {
                    at: VersionAt::Header("a b".to_owned()),
                    equals: "1".to_owned(),
                });
            }),
        ),
        (
            "tcp with a status",
            check_spec(&{
                let mut spec = tcp("localhost:1");
                spec.expect.status = vec![200];
                spec
            }),
        ),
    ];
    let lines: Vec<_> = cases
        .into_iter()
        .map(|(name, result)| format!("{name}: {}", result.err().unwrap_or_else(|| "ok".to_owned())))
        .collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    fine: ok
    scheme: `ftp` is not a scheme for http probes: write http:// or https://
    no host: the URL cannot be read: empty host
    not a URL: `localhost` is not a scheme for http probes: write http:// or https://
    port 0: the URL needs a host, and a port that is not 0
    no port: a tcp probe is `host:port`, as in `localhost:5432`
    bare v6: an IPv6 address stands in brackets: `[::1]:5432`
    option: a tcp probe is `host:port`, as in `localhost:5432`
    shell: a tcp probe is `host:port`, as in `localhost:5432`
    v6: ok
    empty command: the command is empty
    regex: the body pattern cannot be read: unclosed group
    huge regex: the body pattern is too large
    status: 99 is no HTTP status
    pointer: a JSON pointer begins with `/`: write `/status`
    nothing to equal: /n has no value to equal
    no bound: /n needs `min` or `max`
    empty range: /n can never be at least 3 and at most 1
    latency: `latency` must be longer than 0 and not longer than `timeout`, else it says nothing
    deadline: `deadline` (1m) must be longer than `healthy_for` (1m), else it can never be healthy in time
    interval: `interval` must be longer than 0
    header: `a b` is no header name
    tcp with a status: a tcp probe has no answer to judge: of `expect` only `latency` can stand
    "#);
}
