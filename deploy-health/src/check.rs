//! What is wrong with a spec before anybody looks: for `deploy check`.

use crate::expect::pattern;
use deploy_core::command::Command;
use deploy_core::health::{Expect, JsonRule, ProbeKind, ProbeSpec, VersionAt};
use deploy_core::time::format_duration;
use std::time::Duration;

/// Whether a probe can ever do its work.
///
/// # Errors
/// One sentence: what is wrong, and what would be right.
pub fn check_spec(spec: &ProbeSpec) -> Result<(), String> {
    check_times(spec)?;
    match &spec.kind {
        ProbeKind::Http { url } => check_url(url)?,
        ProbeKind::Tcp { addr } => {
            split_addr(addr)?;
        }
        ProbeKind::Command { line, .. } => check_command(line)?,
    }
    check_expect(spec)
}

fn check_times(spec: &ProbeSpec) -> Result<(), String> {
    for (name, span) in [
        ("timeout", spec.timeout),
        ("interval", spec.interval),
        ("deadline", spec.deadline),
    ] {
        if span.is_zero() {
            return Err(format!("`{name}` must be longer than 0"));
        }
    }
    let needed = spec.healthy_for.saturating_add(Duration::from_millis(1));
    if spec.deadline < needed {
        return Err(format!(
            "`deadline` ({}) must be longer than `healthy_for` ({}), else it can never be healthy in time",
            format_duration(spec.deadline),
            format_duration(spec.healthy_for)
        ));
    }
    Ok(())
}

fn check_url(url: &str) -> Result<(), String> {
    let parsed = reqwest::Url::parse(url).map_err(|error| format!("the URL cannot be read: {error}"))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(format!(
            "`{}` is not a scheme for http probes: write http:// or https://",
            parsed.scheme()
        ));
    }
    if parsed.host_str().is_none_or(str::is_empty) || parsed.port() == Some(0) {
        return Err("the URL needs a host, and a port that is not 0".to_owned());
    }
    Ok(())
}

/// `host:port` or `[v6]:port`, taken apart; the brackets go.
pub(crate) fn split_addr(addr: &str) -> Result<(String, u16), String> {
    const RULE: &str = "a tcp probe is `host:port`, as in `localhost:5432`";
    let (host, port) = addr.rsplit_once(':').ok_or(RULE)?;
    let host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').ok_or(RULE)?,
        None if host.contains(':') => {
            return Err("an IPv6 address stands in brackets: `[::1]:5432`".to_owned());
        }
        None => host,
    };
    // The host may end up in a command's arguments.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    match port.parse::<u16>() {
        Ok(port) if port > 0 && !host.is_empty() && !host.starts_with('-') && host.chars().all(plain) => {
            Ok((host.to_owned(), port))
        }
        _ => Err(RULE.to_owned()),
    }
}

fn check_command(line: &Command) -> Result<(), String> {
    match line {
        Command::Shell(text) if text.trim().is_empty() => Err("the command is empty".to_owned()),
        Command::Argv(argv) if argv.first().is_none_or(String::is_empty) => {
            Err("the command has no program".to_owned())
        }
        _ => Ok(()),
    }
}

fn check_expect(spec: &ProbeSpec) -> Result<(), String> {
    let Expect {
        status,
        json,
        body,
        latency,
    } = &spec.expect;
    match &spec.kind {
        ProbeKind::Tcp { .. } => {
            if !status.is_empty() || !json.is_empty() || body.is_some() || spec.version.is_some() {
                return Err(
                    "a tcp probe has no answer to judge: of `expect` only `latency` can stand".to_owned(),
                );
            }
        }
        ProbeKind::Http { .. } => {
            if let Some(bad) = status.iter().find(|status| !(100..=599).contains(*status)) {
                return Err(format!("{bad} is no HTTP status"));
            }
        }
        ProbeKind::Command { .. } => {
            if let Some(bad) = status.iter().find(|status| **status > 255) {
                return Err(format!("{bad} is no exit status"));
            }
        }
    }
    let pointers = json.keys().map(String::as_str);
    let version = spec.version.as_ref().map(|version| &version.at);
    for pointer in pointers.chain(version.and_then(|at| match at {
        VersionAt::Json(pointer) => Some(pointer.as_str()),
        VersionAt::Header(_) => None,
    })) {
        if !pointer.is_empty() && !pointer.starts_with('/') {
            return Err(format!("a JSON pointer begins with `/`: write `/{pointer}`"));
        }
    }
    for (pointer, rule) in json {
        match rule {
            JsonRule::AnyOf(values) if values.is_empty() => {
                return Err(format!("{pointer} has no value to equal"));
            }
            JsonRule::Range { min: None, max: None } => {
                return Err(format!("{pointer} needs `min` or `max`"));
            }
            JsonRule::Range {
                min: Some(min),
                max: Some(max),
            } if min > max => {
                return Err(format!("{pointer} can never be at least {min} and at most {max}"));
            }
            _ => {}
        }
    }
    if let Some(VersionAt::Header(name)) = version {
        if !matches!(spec.kind, ProbeKind::Http { .. }) {
            return Err(
                "only an http probe has headers: take the version from the JSON of the output".to_owned(),
            );
        }
        reqwest::header::HeaderName::try_from(name.as_str())
            .map_err(|_| format!("`{name}` is no header name"))?;
    }
    if let Some(body) = body {
        pattern(body)?;
    }
    if latency.is_some_and(|latency| latency.is_zero() || latency > spec.timeout) {
        return Err(
            "`latency` must be longer than 0 and not longer than `timeout`, else it says nothing".to_owned(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests;
