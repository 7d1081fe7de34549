//! Judging one answer against what was expected. Pure: no I/O, no clock; the same answer always gets the same verdict.

use crate::report;
use deploy_core::failure::Code;
use deploy_core::health::{JsonRule, Look, ProbeSpec, Reason, Verdict, VersionAt};
use regex::{Regex, RegexBuilder};
use serde_json::Value;
use std::time::Duration;

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: Status,
    /// The value of the header that the spec's version is in.
    pub(crate) version_header: Option<String>,
    pub(crate) body: Body,
    pub(crate) latency: Duration,
}

#[derive(Debug, Clone)]
pub(crate) enum Status {
    Http {
        code: u16,
        /// Where a redirect leads.
        location: Option<String>,
    },
    Exit(i32),
}

/// A body, as far as it was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body {
    pub(crate) bytes: Vec<u8>,
    /// There is more than is ever read.
    pub(crate) cut: bool,
}

/// Where a redirect leads, without what may hold more than the way: servers send back the query that they were asked with, spelled in
/// ways of their own, and there may be a secret in it.
fn without_query(location: &str) -> &str {
    let end = location.find(['?', '#']).unwrap_or(location.len());
    &location[..end]
}

impl Status {
    fn is_good(&self, wanted: &[u16]) -> bool {
        match self {
            Self::Http { code, .. } if wanted.is_empty() => (200..300).contains(code),
            Self::Exit(code) if wanted.is_empty() => *code == 0,
            Self::Http { code, .. } => wanted.contains(code),
            Self::Exit(code) => wanted.iter().any(|wanted| i32::from(*wanted) == *code),
        }
    }

    /// Whether it claims that all is well, so that a body which says otherwise contradicts it.
    fn claims_success(&self) -> bool {
        self.is_good(&[])
    }

    fn name(&self) -> String {
        match self {
            Self::Http { code, .. } => code.to_string(),
            Self::Exit(code) => format!("exit {code}"),
        }
    }

    fn complaint(&self, wanted: &[u16]) -> String {
        let mut text = self.name();
        let plain = match self {
            Self::Http { code, location } => {
                if let Some(location) = location {
                    text.push_str(" to ");
                    text.push_str(without_query(location));
                }
                *code >= 400 && wanted.iter().all(|wanted| (200..300).contains(wanted))
            }
            Self::Exit(_) => wanted.is_empty(),
        };
        // Beside 503 nobody needs to be told that 200 was wanted.
        if !plain {
            let wanted = match (self, wanted) {
                (Self::Http { .. }, []) => "2xx".to_owned(),
                (Self::Exit(_), []) => "0".to_owned(),
                (_, wanted) => either(wanted),
            };
            text.push_str(" instead of ");
            text.push_str(&wanted);
        }
        text
    }
}

/// The verdict on an answer, with what else it tells.
pub(crate) fn judge(spec: &ProbeSpec, answer: &Answer) -> Look {
    let json = parse(&answer.body);
    let report = match (&json, answer.status.claims_success()) {
        (Ok(json), true) => report::read(json, &spec.expect.json),
        // A pattern says what the text has to be.
        (Err(NoJson::NotJson), true) if spec.expect.body.is_none() => report::read_text(&answer.body.bytes),
        _ => report::Report::default(),
    };
    let mut notes = report.notes.clone();
    if answer.body.cut {
        notes.push("the body is longer than 64 KiB, the rest was not read".to_owned());
    }
    let verdict = match fault(spec, answer, &json, &report) {
        None => Verdict::Healthy,
        Some((code, what)) => {
            let body = String::from_utf8_lossy(&answer.body.bytes);
            Verdict::Unhealthy(Reason::new(code, what).with_body(&body))
        }
    };
    Look {
        verdict,
        latency: answer.latency,
        uptime: report.uptime,
        notes,
    }
}

/// The first thing that is wrong, the most telling first: what the wrong version says about itself does not matter.
fn fault(
    spec: &ProbeSpec,
    answer: &Answer,
    json: &Result<Value, NoJson>,
    report: &report::Report,
) -> Option<(Code, String)> {
    let unhealthy = |what: String| Some((Code::Unhealthy, what));
    let name = answer.status.name();
    let version = spec
        .version
        .as_ref()
        .map(|check| (check, answered_version(&check.at, answer, json)));
    if let Some((check, Some(found))) = &version
        && *found != check.equals
    {
        let what = format!("{name} from version {found:?}, wanted {:?}", check.equals);
        return Some((Code::WrongVersion, what));
    }
    if !answer.status.is_good(&spec.expect.status) {
        return unhealthy(answer.status.complaint(&spec.expect.status));
    }
    if let Some(said) = report.fault() {
        return unhealthy(format!("{name} with {said}"));
    }
    for (pointer, rule) in &spec.expect.json {
        let wrong = match json {
            Err(NoJson::Cut) => Some(format!("a body of more than 64 KiB, so {pointer} cannot be read")),
            Err(NoJson::NotJson) => Some(format!("a body that is not JSON, wanted {pointer} in it")),
            Ok(json) => breaks(rule, json.pointer(pointer)).map(|wrong| format!("{pointer} {wrong}")),
        };
        if let Some(wrong) = wrong {
            return unhealthy(format!("{name} with {wrong}"));
        }
    }
    if let Some(text) = &spec.expect.body {
        match pattern(text) {
            Err(error) => return unhealthy(error),
            Ok(regex) if !regex.is_match(&String::from_utf8_lossy(&answer.body.bytes)) => {
                let part = if answer.body.cut {
                    "the first 64 KiB of the body"
                } else {
                    "the body"
                };
                return unhealthy(format!("{name}, but {part} does not match {text:?}"));
            }
            Ok(_) => {}
        }
    }
    if let Some(reason) = too_slow(spec, answer.latency) {
        return unhealthy(reason);
    }
    match version {
        Some((check, None)) => {
            let place = match &check.at {
                VersionAt::Json(pointer) => format!("at {pointer}"),
                VersionAt::Header(header) => format!("in header {header}"),
            };
            let what = format!("{name} without a version {place}, wanted {:?}", check.equals);
            Some((Code::WrongVersion, what))
        }
        _ => None,
    }
}

/// The complaint about a look that took longer than the spec allows.
pub(crate) fn too_slow(spec: &ProbeSpec, latency: Duration) -> Option<String> {
    let limit = spec.expect.latency?;
    (latency > limit).then(|| {
        format!(
            "answers in {} ms, wanted {} ms",
            latency.as_millis(),
            limit.as_millis()
        )
    })
}

fn answered_version(at: &VersionAt, answer: &Answer, json: &Result<Value, NoJson>) -> Option<String> {
    match at {
        VersionAt::Header(_) => answer
            .version_header
            .as_deref()
            .map(|text| text.trim().to_owned()),
        VersionAt::Json(pointer) => match json.as_ref().ok()?.pointer(pointer)? {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        },
    }
}

enum NoJson {
    Cut,
    NotJson,
}

fn parse(body: &Body) -> Result<Value, NoJson> {
    if body.cut {
        return Err(NoJson::Cut);
    }
    serde_json::from_slice(&body.bytes).map_err(|_| NoJson::NotJson)
}

/// How a value breaks its rule.
fn breaks(rule: &JsonRule, value: Option<&Value>) -> Option<String> {
    let wanted = match rule {
        JsonRule::AnyOf(values) => either(values),
        JsonRule::Range {
            min: Some(min),
            max: Some(max),
        } => format!("{min} to {max}"),
        JsonRule::Range { min: Some(min), .. } => format!("at least {min}"),
        JsonRule::Range { max: Some(max), .. } => format!("at most {max}"),
        JsonRule::Range { .. } => "a number".to_owned(),
    };
    let Some(value) = value else {
        return Some(format!("missing, wanted {wanted}"));
    };
    let holds = match rule {
        JsonRule::AnyOf(values) => values.iter().any(|wanted| equal(wanted, value)),
        JsonRule::Range { min, max } => {
            number(value).is_some_and(|n| min.is_none_or(|min| n >= min) && max.is_none_or(|max| n <= max))
        }
    };
    (!holds).then(|| format!("{value}, wanted {wanted}"))
}

/// Equal as people write values: manifests expand variables to text, and services write `"3"` where others write `3`.
fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::String(text), scalar @ (Value::Number(_) | Value::Bool(_)))
        | (scalar @ (Value::Number(_) | Value::Bool(_)), Value::String(text)) => {
            let spelled = scalar.to_string();
            *text == spelled
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => wanted == found,
    }
}

/// A number, or the number that a text begins with: `"120MB"`, `"99.5 %"`. `"1,024 MB"` and `"1.2.3"` are none.
pub(crate) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => {
            let text = text.trim();
            let end = text
                .char_indices()
                .find(|(at, c)| !(c.is_ascii_digit() || *c == '.' || (*at == 0 && matches!(c, '-' | '+'))))
                .map_or(text.len(), |(at, _)| at);
            let unit_follows = text[end..]
                .chars()
                .next()
                .is_none_or(|c| c.is_alphabetic() || c == '%' || c == ' ');
            text[..end].parse().ok().filter(|_| unit_follows)
        }
        _ => None,
    }
}

fn either<T: std::fmt::Display>(values: &[T]) -> String {
    values
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(" or ")
}

/// A body pattern; its size is bounded, and matching takes time linear in the body.
pub(crate) fn pattern(text: &str) -> Result<Regex, String> {
    RegexBuilder::new(text)
        .size_limit(1 << 20)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the body pattern is too large".to_owned(),
            // The last line of the message says what; those before it draw where.
            error => format!(
                "the body pattern cannot be read: {}",
                error
                    .to_string()
                    .lines()
                    .last()
                    .unwrap_or_default()
                    .trim_start_matches("error: ")
            ),
        })
}

#[cfg(test)]
mod tests;
