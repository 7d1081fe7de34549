//! Where a service writes: as the manifest says it, or as its restart command shows it.

use crate::doctor::after_sudo;
use crate::server::LogSource;
use deploy_core::command::Command;

/// What a manifest's `logs` means: `journal:UNIT`, `user-journal:UNIT`, or a glob of files.
pub(crate) fn said(text: &str) -> LogSource {
    if let Some(unit) = text.strip_prefix("journal:") {
        LogSource::Journal(vec![unit.to_owned()])
    } else if let Some(unit) = text.strip_prefix("user-journal:") {
        LogSource::UserJournal(vec![unit.to_owned()])
    } else {
        LogSource::Files(text.to_owned())
    }
}

/// The journal of the units that a restart command names. `facts`: what its variables stand for, by their names.
pub(crate) fn shown(restart: &Command, facts: &[(&str, &str)]) -> Option<LogSource> {
    let commands: Vec<Vec<String>> = match restart {
        Command::Argv(words) => vec![words.clone()],
        Command::Shell(text) => text
            .split(['\n', ';', '&', '|'])
            .map(|part| part.split_whitespace().map(|word| filled(word, facts)).collect())
            .collect(),
    };
    let found: Vec<_> = commands.iter().filter_map(|words| units(words)).collect();
    let user = found.iter().any(|(user, _)| *user);
    let units: Vec<String> = found
        .into_iter()
        .filter(|(of_user, _)| *of_user == user)
        .flat_map(|(_, units)| units)
        .collect();
    match (units.is_empty(), user) {
        (true, _) => None,
        (false, true) => Some(LogSource::UserJournal(units)),
        (false, false) => Some(LogSource::Journal(units)),
    }
}

/// A word without its quotes and with these variables filled in.
fn filled(word: &str, facts: &[(&str, &str)]) -> String {
    let word: String = word.chars().filter(|c| !matches!(c, '"' | '\'')).collect();
    facts.iter().fold(word, |word, (name, value)| {
        word.replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value)
    })
}

/// The units that a call of `systemctl` is about, and whether they are the user's own.
fn units(words: &[String]) -> Option<(bool, Vec<String>)> {
    let set = |word: &&String| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'))
    };
    let words: Vec<String> = words.iter().skip_while(set).cloned().collect();
    let words = match words.first().map(String::as_str) {
        Some("sudo") => after_sudo(&words[1..])?,
        _ => words,
    };
    let (program, rest) = words.split_first()?;
    if program.rsplit('/').next() != Some("systemctl") {
        return None;
    }
    let user = rest.iter().any(|word| word == "--user");
    let mut plain = rest.iter().filter(|word| !word.starts_with('-'));
    let verb = plain.next()?;
    if !matches!(
        verb.as_str(),
        "restart" | "try-restart" | "reload" | "reload-or-restart" | "try-reload-or-restart" | "start"
    ) {
        return None;
    }
    // What only a shell could tell is no unit's name; units have patterns of their own.
    let named = |word: &&String| {
        word.chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.@:\\*".contains(c))
    };
    let units: Vec<String> = plain.filter(named).cloned().collect();
    (!units.is_empty()).then_some((user, units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(units: &[&str]) -> LogSource {
        LogSource::Journal(units.iter().map(|unit| (*unit).to_owned()).collect())
    }

    #[test]
    fn the_units_of_a_restart_are_read_from_its_words() {
        let facts = [
            ("DEPLOY_HOST", "web-1"),
            ("DEPLOY_SERVICE", "web"),
            ("DEPLOY_PORT", "*"),
        ];
        let shell = |text: &str| shown(&Command::Shell(text.to_owned()), &facts);
        for (text, wanted) in [
            ("systemctl restart shop-web", Some(journal(&["shop-web"]))),
            (
                "sudo -n /usr/bin/systemctl restart --no-block shop-web",
                Some(journal(&["shop-web"])),
            ),
            (
                "systemctl daemon-reload && systemctl restart a b",
                Some(journal(&["a", "b"])),
            ),
            (
                "systemctl restart \"web@$DEPLOY_HOST\"",
                Some(journal(&["web@web-1"])),
            ),
            ("systemctl restart ${DEPLOY_SERVICE}-x", Some(journal(&["web-x"]))),
            ("systemctl restart web@$PORT", None),
            ("systemctl restart web@$DEPLOY_PORT", Some(journal(&["web@*"]))),
            ("systemctl daemon-reload", None),
            ("./restart.sh", None),
            ("", None),
        ] {
            assert_eq!(shell(text), wanted, "{text}");
        }
        assert_eq!(
            shell("XDG_RUNTIME_DIR=/run/user/7 systemctl --user restart web"),
            Some(LogSource::UserJournal(vec!["web".to_owned()]))
        );
        let argv = ["systemctl", "restart", "web"].map(str::to_owned).to_vec();
        assert_eq!(shown(&Command::Argv(argv), &facts), Some(journal(&["web"])));
    }

    #[test]
    fn a_manifest_names_a_unit_or_files() {
        assert_eq!(said("journal:web"), journal(&["web"]));
        assert_eq!(
            said("user-journal:web"),
            LogSource::UserJournal(vec!["web".to_owned()])
        );
        assert_eq!(
            said("shared/log/*.log"),
            LogSource::Files("shared/log/*.log".to_owned())
        );
    }
}
