//! Texts on their way through shells. Nothing that comes from outside is ever put into a shell's text: it travels as
//! words of harmless characters, which the script's first lines turn back into arguments.
//!
//! The one command line that a login shell sees is `timeout … sh -c '…' sh '…' '…'…` with every quoted part free of quotes,
//! backslashes before them, exclamation marks and newlines: `sh`, `fish` and `csh` all read it alike.

use deploy_core::command::Command;
use std::fmt::Write as _;

/// Decodes its first argument and runs it with the others.
pub(crate) const BOOT: &str = r#"d=$(printf %b. "$1");shift;eval "${d%.}""#;

/// Any bytes as one word: `=` (so that none is empty), then safe characters and `\0ooo`.
pub(crate) fn word(bytes: impl AsRef<[u8]>) -> String {
    let mut text = String::from("=");
    for byte in bytes.as_ref() {
        if byte.is_ascii_alphanumeric() || b"_./:,+@%-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            octal(&mut text, *byte);
        }
    }
    text
}

/// A script as one quotable text: less is escaped, for it is long.
pub(crate) fn script(source: &str) -> String {
    let mut text = String::with_capacity(source.len() * 5 / 4);
    for byte in source.bytes() {
        if (byte.is_ascii_graphic() || byte == b' ') && !b"'\\!".contains(&byte) {
            text.push(char::from(byte));
        } else {
            octal(&mut text, byte);
        }
    }
    text
}

fn octal(text: &mut String, byte: u8) {
    write!(text, "\\0{byte:03o}").expect("a String takes all");
}

/// Several words as one argument.
pub(crate) fn list<I: IntoIterator<Item: AsRef<[u8]>>>(items: I) -> String {
    items.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A command as the scripts' `run` takes it.
pub(crate) fn command(command: &Command) -> String {
    list(command.argv())
}

/// The bytes that a word stands for; `None` if we did not write it.
pub(crate) fn unword(text: &str) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix('=')?.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'\\' {
            let digits = std::str::from_utf8(tail.get(..4)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 8).ok()?);
            rest = &tail[4..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_survive_the_shell_and_come_back() {
        let nasty: Vec<u8> = (1..=255).collect();
        for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
            let mut command = std::process::Command::new(shell[0]);
            command.args(&shell[1..]).args(["-c", BOOT, "sh"]);
            command.arg(script(
                "d=$(printf %b. \"$1\"); d=${d%.}; printf '%s!' \"${d#=}\"\n",
            ));
            let output = command.arg(word(&nasty)).output().expect("the shell runs");
            assert_eq!(output.stdout.strip_suffix(b"!"), Some(&nasty[..]), "{shell:?}");
        }
        assert_eq!(unword(&word(&nasty)), Some(nasty));
        assert_eq!(word(""), "=");
        assert!(!list(["a b", "*", "$(id)"]).contains(['*', '$', '(']));
    }
}
