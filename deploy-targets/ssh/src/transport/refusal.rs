//! Why there is no connection, from what `ssh` said: a code, the reason in its words, and the next command.

use super::Broken;
use crate::config::SshAddress;
use deploy_core::failure::{Code, Failure, printable};
use deploy_core::port::target::Cause;

/// What `ssh` says of a network that does not get there, why that is, and what to do about it.
const NO_WAY: [(&str, &str, &str); 7] = [
    (
        "Can't open user config file",
        "there is no such ssh configuration",
        "correct `ssh_config` in the manifest",
    ),
    (
        "Connection refused",
        "nothing listens there",
        "start sshd on it, or correct the port",
    ),
    (
        "Could not resolve hostname",
        "its name is not known",
        "correct the host's name, here or in the ssh configuration",
    ),
    (
        "No route to host",
        "no route leads there",
        "look whether it is on, and whether a network or VPN is missing here",
    ),
    (
        "Network is unreachable",
        "this machine has no network that leads there",
        "look whether a network or VPN is missing here",
    ),
    (
        "timed out",
        "it does not answer",
        "look whether it is on, and whether a firewall drops what is sent to it",
    ),
    (
        "no answer in time",
        "it does not answer",
        "look whether it is on, and whether a firewall drops what is sent to it",
    ),
];

/// What pins a key; [`named`] says of which host.
const TRUST: &str = "deploy trust HOST";

/// The same next command with the host's name in the manifest, which only whoever connects knows.
pub(crate) fn named(next: &str, host: &str) -> String {
    next.replace(TRUST, &format!("deploy trust {host}"))
}

/// Whether it is not the host itself that was refused, but one on the way: then nobody said anything of the host's own key.
fn of_the_jump_host(said: &str) -> bool {
    said.contains("UNKNOWN port 65535")
}

/// A word as a shell takes it.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+%=".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// The command that tries a connection by hand.
fn by_hand(address: &SshAddress) -> String {
    let file = address.config_file.as_ref();
    let file = file.map_or_else(String::new, |file| {
        format!("-F {} ", quoted(&file.display().to_string()))
    });
    format!("ssh {file}{} true", quoted(&address.destination))
}

/// A host as its key is known: `web`, `[10.0.0.1]:2222`.
fn known_as(destination: &str) -> String {
    let host = destination.strip_prefix("ssh://").unwrap_or(destination);
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.trim_end_matches('/');
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if destination.starts_with("ssh://") && port.parse::<u16>().is_ok() => {
            (name, port)
        }
        _ => (host, "22"),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    if port == "22" {
        name.to_owned()
    } else {
        format!("'[{name}]:{port}'")
    }
}

/// The command that forgets the known key: as `ssh` itself names it where it does (not every build of it does), else by the name
/// and the file that it says the key is under, else by the host's name.
fn forget(destination: &str, said: &str) -> String {
    let lines = || said.lines().map(str::trim);
    let named = lines().find(|line| line.starts_with("ssh-keygen ") && line.contains(" -R "));
    if let Some(line) = named {
        return printable(line, 1000);
    }
    let between = |before: &str, after: &str| {
        lines().find_map(|line| {
            let rest = line.split_once(before)?.1;
            Some(printable(rest.rsplit_once(after)?.0, 500))
        })
    };
    // An alias of the configuration is known by its address and port, and not by the name it has here. (`Host key for`; older
    // builds say `ED25519 host key for`.)
    let name = between("ost key for ", " has changed and you have requested")
        .map_or_else(|| known_as(destination), |name| quoted(&name));
    let file = lines()
        .filter(|line| line.starts_with("Offending "))
        .find_map(|line| {
            let place = line.split_once(" key in ")?.1;
            let (file, number) = place.rsplit_once(':')?;
            number.parse::<u32>().is_ok().then(|| printable(file, 500))
        })
        .map_or_else(String::new, |file| format!(" -f {}", quoted(&file)));
    format!("ssh-keygen -R {name}{file}")
}

/// The last line of what was said that has one of these texts.
fn line_with<'a>(said: &'a str, texts: &[&str]) -> Option<&'a str> {
    said.lines()
        .rev()
        .map(str::trim)
        .find(|line| texts.iter().any(|text| line.contains(text)))
}

/// The user is let in, and the login shell or the command that sshd forces on the user runs no commands.
pub(crate) fn runs_nothing(address: &SshAddress, said: &str) -> Broken {
    let last = said.lines().rev().map(str::trim).find(|line| !line.is_empty());
    let said_so = last.map_or_else(String::new, |line| format!(": {}", printable(line, 200)));
    let message = format!("{} lets us in and runs no commands{said_so}", address.destination);
    let next = format!(
        "give the user there a login shell (chsh -s /bin/sh), without a forced command; to try: {}",
        by_hand(address)
    );
    let failure = Failure::new(Code::PermissionDenied, message, next).with_log(said);
    Broken::NotSent(Cause::Final, Box::new(failure))
}

/// Why there is no connection.
pub(crate) fn refused(address: &SshAddress, said: &str) -> Broken {
    blamed(address, said, "")
}

/// The same, with where on the way that is before it.
pub(super) fn blamed(address: &SshAddress, said: &str, on_the_way: &str) -> Broken {
    let (cause, code, message, next) = why(address, said);
    let failure = Failure::new(code, format!("{on_the_way}{message}"), next);
    Broken::NotSent(cause, Box::new(failure.with_log(said)))
}

fn why(address: &SshAddress, said: &str) -> (Cause, Code, String, String) {
    let destination = &address.destination;
    let by_hand = by_hand(address);
    if said.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") {
        let message = format!("the host key of {destination} is not the one known for it");
        let forget = forget(destination, said);
        let next = if of_the_jump_host(said) {
            format!("if the change is expected: {forget}, then connect once by hand: {by_hand}")
        } else {
            format!("if the change is expected: {TRUST} --replace (or by hand: {forget}, then {by_hand})")
        };
        (Cause::Final, Code::HostKey, message, next)
    } else if said.contains("Host key verification failed") || said.contains("host key is known for") {
        let message = format!("the host key of {destination} is not known");
        let next = if of_the_jump_host(said) {
            format!("connect once by hand, and compare the fingerprints: {by_hand}")
        } else {
            format!("pin it, comparing its fingerprint: {TRUST} (or by hand: {by_hand})")
        };
        (Cause::Final, Code::HostKey, message, next)
    } else if let Some(line) = line_with(said, &["Permission denied", "Too many authentication failures"]) {
        let line = printable(line, 200);
        let message = format!("{destination} lets nobody in with these keys: {line}");
        let next = format!("add your key there (ssh-copy-id), or load it (ssh-add); to try: {by_hand}");
        (Cause::Final, Code::PermissionDenied, message, next)
    } else if said.contains("No such file or directory (os error 2)") {
        let message = "there is no `ssh` on this machine".to_owned();
        let next = "install it: apt-get install openssh-client".to_owned();
        (Cause::Final, Code::ToolMissing, message, next)
    } else if said.contains("kex_exchange_identification") || said.contains("closed by remote host") {
        // So many connections at once that the server drops some.
        let message = format!("{destination} takes no connection just now");
        let next = "try again a little later".to_owned();
        (Cause::Transient, Code::Unreachable, message, next)
    } else {
        let known = NO_WAY
            .iter()
            .find_map(|(text, why, next)| Some((line_with(said, &[text])?, why, next)));
        let (message, next) = match known {
            Some((line, why, next)) => (
                format!(
                    "{destination} cannot be reached: {why} ({})",
                    printable(line, 200)
                ),
                format!("{next}; to try: {by_hand}"),
            ),
            None => (format!("{destination} cannot be reached"), by_hand),
        };
        (Cause::Unreachable, Code::Unreachable, message, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(destination: &str) -> SshAddress {
        SshAddress {
            destination: destination.to_owned(),
            config_file: None,
            password: None,
        }
    }

    /// What OpenSSH says.
    #[test]
    fn every_reason_has_words_and_a_next_command() {
        for (said, code, has, next) in [
            (
                "connect to host 10.0.0.1 port 22: Connection refused",
                Code::Unreachable,
                "nothing listens there (connect to host 10.0.0.1 port 22",
                "sshd",
            ),
            (
                "Could not resolve hostname nowhere.example: Name or service not known",
                Code::Unreachable,
                "name is not known",
                "correct the host's name",
            ),
            (
                "connect to host 10.0.0.1 port 22: No route to host",
                Code::Unreachable,
                "no route",
                "VPN",
            ),
            (
                "connect to host 10.0.0.1 port 22: Connection timed out",
                Code::Unreachable,
                "does not answer",
                "firewall",
            ),
            (
                "connect to host ::1 port 22: Network is unreachable",
                Code::Unreachable,
                "no network",
                "VPN",
            ),
            (
                "deploy@web: Permission denied (publickey,password).",
                Code::PermissionDenied,
                "Permission denied (publickey,password)",
                "ssh-add",
            ),
            (
                "No ED25519 host key is known for web and you have requested strict checking.\nHost key verification failed.",
                Code::HostKey,
                "is not known",
                "deploy trust HOST (or by hand: ssh deploy@web true",
            ),
            (
                "something new",
                Code::Unreachable,
                "deploy@web cannot be reached",
                "ssh deploy@web true",
            ),
        ] {
            let (_, is, message, then) = why(&address("deploy@web"), said);
            assert_eq!(is, code, "{said}");
            assert!(message.contains(has) && then.contains(next), "{message} / {then}");
            assert!(then.contains("ssh deploy@web true"), "{then}");
        }
    }

    #[test]
    fn a_key_is_forgotten_by_the_name_it_is_known_by() {
        for (destination, name) in [
            ("web", "web"),
            ("deploy@10.0.0.1", "10.0.0.1"),
            ("ssh://deploy@10.0.0.1:2222", "'[10.0.0.1]:2222'"),
            ("ssh://web:22/", "web"),
            ("ssh://deploy@[::1]:2222", "'[::1]:2222'"),
        ] {
            assert_eq!(known_as(destination), name);
        }
        let changed = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @";
        let (.., next) = why(&address("ssh://deploy@10.0.0.1:2222"), changed);
        assert!(
            next.contains("deploy trust HOST --replace (or by hand: ssh-keygen -R '[10.0.0.1]:2222', then"),
            "{next}"
        );
        let said = format!("{changed}\n  remove with:\n  ssh-keygen -f \"/k\" -R \"[10.0.0.1]:2222\"");
        let (.., next) = why(&address("web"), &said);
        assert!(
            next.contains("ssh-keygen -f \"/k\" -R \"[10.0.0.1]:2222\", then"),
            "{next}"
        );
    }

    /// As builds of `ssh` say it that name no command, for an alias of the configuration.
    #[test]
    fn a_changed_key_is_forgotten_in_the_file_and_by_the_name_that_ssh_says() {
        let said = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
            Offending ED25519 key in /my keys/known_hosts:3\r\n\
            Host key for [10.0.0.1]:2222 has changed and you have requested strict checking.\r\n\
            Host key verification failed.";
        let (.., next) = why(&address("web-1"), said);
        assert!(
            next.contains("ssh-keygen -R '[10.0.0.1]:2222' -f '/my keys/known_hosts', then"),
            "{next}"
        );
        let plain = said
            .replace("[10.0.0.1]:2222", "10.0.0.1")
            .replace("my keys", "k");
        let (.., next) = why(&address("web-1"), &plain);
        assert!(
            next.contains("ssh-keygen -R 10.0.0.1 -f /k/known_hosts, then"),
            "{next}"
        );
    }

    #[test]
    fn a_key_is_pinned_by_the_hosts_name_unless_it_is_the_one_on_the_way() {
        let unknown = "No ED25519 host key is known for web\nHost key verification failed.";
        let (.., next) = why(&address("deploy@web"), unknown);
        let named = named(&next, "web-1");
        assert!(
            named.contains("fingerprint: deploy trust web-1 (or by hand"),
            "{named}"
        );
        let jump = format!("{unknown}\nConnection closed by UNKNOWN port 65535");
        let (_, code, _, next) = why(&address("deploy@web"), &jump);
        assert_eq!(code, Code::HostKey);
        assert!(!next.contains("deploy trust"), "{next}");
    }

    #[test]
    fn the_command_to_try_has_the_configuration_in_use() {
        let mut address = address("web");
        address.config_file = Some("/my ops/ssh_config".into());
        assert_eq!(by_hand(&address), "ssh -F '/my ops/ssh_config' web true");
    }
}
