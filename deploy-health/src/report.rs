//! What a health body says by itself, read without being asked: `status`, the status of each component, uptime, instances.
//! Forms: `{status, components: {db: {status}}}`, nested or as an array; `checks` and `details` with a status each.

use crate::expect::number;
use deploy_core::health::JsonRule;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// What was said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    /// What is down by its own word: `component db "DOWN"`.
    faults: Vec<String>,
    /// What is worth saying and condemns nothing.
    pub(crate) notes: Vec<String>,
    /// How long it has been running.
    pub(crate) uptime: Option<Duration>,
}

impl Report {
    /// All that is down, as one fragment; components first, because they say more than the sum of them.
    pub(crate) fn fault(&self) -> Option<String> {
        let (first, rest) = self.faults.split_first()?;
        Some(match rest.len() {
            0 => first.clone(),
            more => format!("{first} and {more} more"),
        })
    }
}

/// What a status word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Up,
    /// It works with something missing: said, not condemned.
    Impaired,
    Down,
    Unknown,
}

fn read_word(word: &str) -> Word {
    let word: String = word
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    match word.as_str() {
        "up" | "ok" | "okay" | "pass" | "passed" | "passing" | "healthy" | "ready" | "running"
        | "serving" | "alive" | "live" | "connected" | "online" | "operational" | "available" | "active"
        | "success" | "green" | "good" | "true" => Word::Up,
        "warn" | "warning" | "degraded" | "partial" | "yellow" => Word::Impaired,
        "down" | "unhealthy" | "error" | "errored" | "fail" | "failed" | "failing" | "failure"
        | "critical" | "fatal" | "outofservice" | "notserving" | "notready" | "unready" | "offline"
        | "disconnected" | "unavailable" | "unreachable" | "timeout" | "timedout" | "refused" | "dead"
        | "crashed" | "stopped" | "stopping" | "shuttingdown" | "terminating" | "starting"
        | "initializing" | "broken" | "red" | "bad" | "false" => Word::Down,
        _ => Word::Unknown,
    }
}

/// Reads a body that is no JSON: one that is nothing but a word, `DOWN`, is a status.
pub(crate) fn read_text(body: &[u8]) -> Report {
    let mut report = Report::default();
    if let Ok(word) = std::str::from_utf8(body).map(str::trim)
        && word.len() <= 40
        && read_word(word) == Word::Down
    {
        report.faults.push(format!("{word:?}"));
    }
    report
}

/// Reads a body. What `asked` names by pointer is judged there, and not here.
pub(crate) fn read(body: &Value, asked: &BTreeMap<String, JsonRule>) -> Report {
    if let Value::String(text) = body {
        return if asked.contains_key("") {
            Report::default()
        } else {
            read_text(text.as_bytes())
        };
    }
    let mut reader = Reader {
        asked,
        report: Report::default(),
    };
    for key in ["components", "checks", "details"] {
        if let Some(parts) = body.get(key) {
            // Only `components` is so surely about health that a bare text in it is a status.
            reader.parts(parts, &format!("/{key}"), "", key == "components");
        }
    }
    reader.status(body, "", "status");
    for key in ["healthy", "ok"] {
        if body.get(key) == Some(&Value::Bool(false)) && !asked.contains_key(&format!("/{key}")) {
            reader.report.faults.push(format!("{key} false"));
        }
    }
    let mut report = reader.report;
    report.uptime = ["/uptime", "/uptime_seconds", "/uptimeSeconds", "/metrics/uptime"]
        .iter()
        .find_map(|pointer| body.pointer(pointer).and_then(span));
    if let Some(note) = instances(body) {
        report.notes.push(note);
    }
    report
}

struct Reader<'a> {
    asked: &'a BTreeMap<String, JsonRule>,
    report: Report,
}

impl Reader<'_> {
    fn parts(&mut self, parts: &Value, pointer: &str, parent: &str, bare: bool) {
        let named: Vec<(String, String, &Value)> = match parts {
            Value::Object(map) => map
                .iter()
                .map(|(key, value)| (key.clone(), key.replace('~', "~0").replace('/', "~1"), value))
                .collect(),
            Value::Array(list) => list
                .iter()
                .enumerate()
                .map(|(at, value)| {
                    let name = ["name", "id", "componentId", "component"]
                        .iter()
                        .find_map(|key| value.get(key)?.as_str());
                    (
                        name.map_or_else(|| at.to_string(), str::to_owned),
                        at.to_string(),
                        value,
                    )
                })
                .collect(),
            _ => return,
        };
        for (name, token, value) in named {
            let pointer = format!("{pointer}/{token}");
            let name = if parent.is_empty() {
                name
            } else {
                format!("{parent}.{name}")
            };
            match value {
                Value::Object(_) => {
                    for key in ["components", "details"] {
                        if let Some(parts) = value.get(key) {
                            self.parts(
                                parts,
                                &format!("{pointer}/{key}"),
                                &name,
                                key == "components" && bare,
                            );
                        }
                    }
                    self.status(value, &pointer, &format!("component {name}"));
                }
                // health+json has several measurements under one name.
                Value::Array(_) => self.parts(value, &pointer, &name, false),
                Value::String(_) | Value::Bool(_) if bare => {
                    self.word(value, &pointer, &format!("component {name}"));
                }
                _ => {}
            }
        }
    }

    fn status(&mut self, of: &Value, pointer: &str, label: &str) {
        if let Some(word) = of.get("status") {
            self.word(word, &format!("{pointer}/status"), label);
        }
    }

    fn word(&mut self, word: &Value, pointer: &str, label: &str) {
        if self.asked.contains_key(pointer) {
            return;
        }
        let text = match word {
            Value::String(text) => text.clone(),
            Value::Bool(word) => word.to_string(),
            _ => return,
        };
        let said = format!("{label} {text:?}");
        match read_word(&text) {
            Word::Up => {}
            Word::Down => self.report.faults.push(said),
            Word::Impaired => self.report.notes.push(said),
            Word::Unknown => self
                .report
                .notes
                .push(format!("{said}, which says neither up nor down")),
        }
    }
}

/// `3 of 5 instances run`, where fewer run than there are.
fn instances(body: &Value) -> Option<String> {
    let instances = body
        .pointer("/metrics/instances")
        .or_else(|| body.get("instances"))?;
    let running = number(instances.get("running")?)?;
    let total = ["total", "desired", "max"]
        .iter()
        .find_map(|key| number(instances.get(key)?))?;
    (running < total).then(|| format!("{running} of {total} instances run"))
}

/// A number is seconds; a text may have a unit: `"90s"`, `"2h"`, `"5 minutes"`.
fn span(value: &Value) -> Option<Duration> {
    let count = number(value)?;
    let factor = match value {
        Value::String(text) => {
            let unit = text
                .trim()
                .trim_start_matches(|c: char| c.is_ascii_digit() || ".+- ".contains(c));
            match unit {
                "" | "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                "ms" => 0.001,
                "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
                "h" | "hour" | "hours" => 3600.0,
                "d" | "day" | "days" => 86_400.0,
                _ => return None,
            }
        }
        _ => 1.0,
    };
    Duration::try_from_secs_f64(count * factor).ok()
}

#[cfg(test)]
mod tests;
