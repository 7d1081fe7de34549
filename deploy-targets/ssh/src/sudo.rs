//! Sudo that wants to ask: a step has no terminal, so a command behind it fails. The error says so, with the one line for sudoers that
//! lets exactly this command through.

use crate::activate::SWITCH;
use crate::doctor::after_sudo;
use crate::error::Nature;
use crate::host::{Host, Request, Step};
use crate::server::by_hand;
use crate::transport::Reply;
use crate::words;
use deploy_core::command::Command;
use deploy_core::failure::{Failure, printable};
use deploy_core::port::target::TargetError;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(10);

by_hand!(WHERE "sudoers" Look ["encode" "where"]);

/// What sudo says when it would have to ask: as Debian's says it, as older ones did, and as sudo-rs does.
const ASKS: [&str; 5] = [
    "sudo: a password is required",
    "sudo: a terminal is required",
    "sudo: no tty present",
    "sudo: interactive authentication is required",
    "A terminal is required to authenticate",
];

/// The error of a command that failed, with what to do where that is because sudo wanted to ask.
pub(crate) async fn explained(host: &Host, step: &str, reply: &Reply, error: TargetError) -> TargetError {
    let failed = reply.word("fail").unwrap_or_default();
    let asked = ASKS.iter().any(|text| reply.output.contains(text));
    if !asked || !matches!(failed, "hook" | "restart" | "stop") {
        return error;
    }
    let meant = host.commands.iter().find(|(name, command)| {
        let named = (matches!(failed, "restart" | "stop") && name == failed) || *name == step;
        // Hooks around the switch are all in one step: the first that goes through sudo.
        let around = failed == "hook" && !matches!(name.as_str(), "restart" | "stop") && step == SWITCH;
        (named || around) && of(command).is_some()
    });
    let line = match meant.and_then(|(_, command)| of(command)) {
        Some(words) => line(host, &words).await,
        None => None,
    };
    let line =
        line.unwrap_or_else(|| "USER ALL=(root) NOPASSWD: and the whole command, from `/` on".to_owned());
    let failure = Failure {
        message: format!(
            "{}: sudo asks for a password, and nobody is there to type one",
            error.failure.message
        ),
        next: format!("on the host, let it through: visudo -f /etc/sudoers.d/deploy, with the line: {line}"),
        ..*error.failure
    };
    TargetError {
        failure: Box::new(failure),
        ..error
    }
}

/// The words after the first `sudo` of a command, as far as they are words.
fn of(command: &Command) -> Option<Vec<String>> {
    let plain = |words: &[String]| match words.split_first() {
        Some((first, rest)) if first == "sudo" => after_sudo(rest),
        _ => None,
    };
    match command {
        Command::Argv(words) => plain(words),
        Command::Shell(text) => text
            .split(['\n', ';', '&', '|'])
            .filter(|part| !part.contains(|c| "<>()$`\\\"'*?[]#~{}!".contains(c)))
            .find_map(|part| plain(&part.split_whitespace().map(str::to_owned).collect::<Vec<_>>())),
    }
}

/// The line of sudoers for this user of the host and these words: the user to be, the program and its arguments.
async fn line(host: &Host, words: &[String]) -> Option<String> {
    let mut words = words;
    let mut be = "root".to_owned();
    while let [option, value, rest @ ..] = words
        && matches!(option.as_str(), "-u" | "-g")
    {
        be = if option == "-u" {
            value.clone()
        } else {
            format!(":{value}")
        };
        words = rest;
    }
    let (program, rest) = words.split_first()?;
    let request = Request::new(LIMIT).arg(program);
    let reply = host.shell_reply(WHERE, request).await?;
    let told = |name: &str| {
        let bytes = words::unword(reply.word(name)?)?;
        Some(printable(&String::from_utf8_lossy(&bytes), 300)).filter(|text| !text.is_empty())
    };
    let (user, program) = (told("user")?, told("program")?);
    Some(sudoers(&user, &be, &program, rest))
}

fn sudoers(user: &str, be: &str, program: &str, arguments: &[String]) -> String {
    let escaped = |word: &str| {
        let mut text = String::new();
        for c in word.chars() {
            if matches!(c, ',' | ':' | '=' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text
    };
    let mut line = format!("{user} ALL=({be}) NOPASSWD: {}", escaped(program));
    for word in arguments {
        line.push(' ');
        line.push_str(&escaped(word));
    }
    if arguments.is_empty() {
        // Without it, any arguments would pass.
        line.push_str(" \"\"");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_behind_sudo_is_found_where_it_is_words() {
        let shell = |text: &str| of(&Command::Shell(text.to_owned())).map(|words| words.join(" "));
        for (text, wanted) in [
            ("sudo systemctl restart web", Some("systemctl restart web")),
            ("make x && sudo -n -u www ./x y", Some("-u www ./x y")),
            ("sudo systemctl restart web@$DEPLOY_HOST", None),
            ("systemctl restart web", None),
            ("", None),
        ] {
            assert_eq!(shell(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn a_line_lets_one_command_through() {
        let words = ["restart", "a:b"].map(str::to_owned);
        assert_eq!(
            sudoers("deploy", "root", "/usr/bin/systemctl", &words),
            r"deploy ALL=(root) NOPASSWD: /usr/bin/systemctl restart a\:b"
        );
        assert_eq!(
            sudoers("deploy", "www", "/bin/x", &[]),
            "deploy ALL=(www) NOPASSWD: /bin/x \"\""
        );
    }
}
