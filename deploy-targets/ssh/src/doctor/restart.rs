//! Which program a restart command begins with, as far as that can be read from its text.

use deploy_core::command::Command;

/// The program, and what follows `sudo` where that runs it: `None` where the text is more than words, and only a shell could tell.
pub(super) fn program(command: &Command) -> (Option<String>, Option<Vec<String>>) {
    let (words, plain) = match command {
        Command::Argv(words) => (words.clone(), true),
        Command::Shell(text) => {
            let words = text.split_whitespace().map(str::to_owned).collect();
            (words, !text.contains(|c| "|&;<>()$`\\\"'*?[]#~\n{}!".contains(c)))
        }
    };
    let shell = matches!(command, Command::Shell(_));
    let mut words = words
        .into_iter()
        .skip_while(|word| shell && word.contains('='))
        .peekable();
    // Relative to the release, which may not be there yet; or not a word at all.
    let first = words.next().filter(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+".contains(c);
        !word.is_empty() && word.chars().all(plain) && (word.starts_with('/') || !word.contains('/'))
    });
    let rest: Vec<_> = words.collect();
    let sudo = (plain && first.as_deref() == Some("sudo"))
        .then(|| after_sudo(&rest))
        .flatten();
    (first, sudo)
}

/// The user to run as, the program and its arguments; `None` where there is an option that is not known here.
pub(crate) fn after_sudo(words: &[String]) -> Option<Vec<String>> {
    let mut found = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "-n" | "--non-interactive" | "-E" | "-H" | "--" => {}
            "-u" | "-g" => found.extend([word.clone(), words.next()?.clone()]),
            option if option.starts_with('-') => return None,
            _ => {
                found.push(word.clone());
                found.extend(words.cloned());
                return Some(found);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_is_the_program_where_it_is_a_word() {
        let shell = |text: &str| program(&Command::Shell(text.to_owned()));
        for (text, first) in [
            ("systemctl restart web", Some("systemctl")),
            ("A=1 B=2 /usr/bin/env x", Some("/usr/bin/env")),
            ("cd x && make", Some("cd")),
            ("./restart.sh", None),
            ("\"$DEPLOY_DIR\"/restart", None),
            ("", None),
        ] {
            assert_eq!(shell(text), (first.map(str::to_owned), None), "{text}");
        }
        for (text, sudo) in [
            ("sudo systemctl restart web", Some("systemctl restart web")),
            (
                "sudo -n -u www systemctl restart web",
                Some("-u www systemctl restart web"),
            ),
            ("sudo -i x", None),
            ("sudo systemctl restart web && true", None),
        ] {
            let words = sudo.map(|text| text.split(' ').map(str::to_owned).collect());
            assert_eq!(shell(text), (Some("sudo".to_owned()), words), "{text}");
        }
    }
}
