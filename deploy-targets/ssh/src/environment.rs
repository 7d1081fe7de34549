//! What commands and services on a host get: `.deploy/env` for systemd's `EnvironmentFile`, and the same with facts for
//! hooks and restarts. Both are written where only their owner reads, and are on no argument list.

use crate::config::{HostBinding, SshBinding};
use crate::words;
use deploy_core::port::target::Desired;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The variables of a service on one host.
fn variables<'a>(to: &'a Desired, host: &'a HostBinding) -> BTreeMap<&'a str, &'a str> {
    let service = to
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.expose()));
    let own = host
        .variables
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    service.chain(own).filter(|(name, _)| is_name(name)).collect()
}

fn is_name(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// As systemd and `sh` both read it.
pub(crate) fn env_file(to: &Desired, host: &HostBinding) -> String {
    let mut text = String::new();
    for (name, value) in variables(to, host) {
        write!(text, "{name}=\"").expect("a String takes all");
        for c in value.chars() {
            if matches!(c, '"' | '\\' | '`' | '$') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push_str("\"\n");
    }
    text
}

/// For commands: facts and variables, ended by a line `.`. A secret is a line `NAME =word`, what may be shown `NAME =word plain`.
pub(crate) fn for_commands(to: &Desired, binding: &SshBinding, host: &HostBinding) -> String {
    let mut all: BTreeMap<&str, &str> = variables(to, host);
    all.insert("DEPLOY_SERVICE", binding.service.as_str());
    all.insert("DEPLOY_ENVIRONMENT", binding.environment.as_str());
    all.extend(
        to.facts
            .iter()
            .filter(|(name, _)| is_name(name))
            .map(|(name, value)| (name.as_str(), value.as_str())),
    );
    all.insert("DEPLOY_HOST", host.name.as_str());
    let mut text = String::new();
    for (name, value) in all {
        let kind = if to.secrets.contains(name) { "" } else { " plain" };
        writeln!(text, "{name} {}{kind}", words::word(value)).expect("a String takes all");
    }
    text.push_str(".\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_exported() {
        for (name, good) in [
            ("A_1", true),
            ("1A", false),
            ("", false),
            ("A-B", false),
            ("A=B", false),
        ] {
            assert_eq!(is_name(name), good, "{name}");
        }
    }
}
