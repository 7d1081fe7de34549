//! Every help fits a screen and has an example; all of them are a snapshot, which is the reference of the command line.

use super::{Cli, command};
use clap::{Command, CommandFactory as _};

/// Every command that a person can see, itself first, in a small terminal.
fn commands() -> Vec<(String, String)> {
    helps_of(command().term_width(80))
}

fn helps_of(mut cli: Command) -> Vec<(String, String)> {
    cli.build();
    let mut helps = vec![("deploy".to_owned(), cli.render_help().to_string())];
    let names: Vec<String> = names(&cli);
    for name in names {
        let below = cli.find_subcommand_mut(&name).expect("listed just now");
        helps.push((format!("deploy {name}"), below.render_help().to_string()));
    }
    helps
}

fn names(cli: &Command) -> Vec<String> {
    cli.get_subcommands()
        .map(|below| below.get_name().to_owned())
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn the_definition_contradicts_itself_nowhere() {
    Cli::command().debug_assert();
}

#[test]
fn every_help_fits_a_screen_and_has_an_example() {
    for (name, help) in commands() {
        let lines = help.lines().count();
        assert!(lines <= 24, "{name} has {lines} lines:\n{help}");
        let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
        assert!(help.contains("Example:"), "{name} has no example");
    }
}

/// What is piped, or printed where nobody knows how wide it is.
#[test]
fn no_help_is_wider_than_a_small_terminal_by_itself() {
    for (name, help) in helps_of(command()) {
        let wide: Vec<&str> = help.lines().filter(|line| line.chars().count() > 80).collect();
        assert!(wide.is_empty(), "{name}: {wide:#?}");
    }
}

#[test]
fn the_first_help_names_every_command() {
    let (_, top) = commands().remove(0);
    for name in names(&Cli::command()) {
        let named = top
            .split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word == name);
        assert!(named, "{name} is not in `deploy --help`");
    }
}

#[test]
fn helps() {
    let mut text = String::new();
    for (name, help) in commands() {
        text.extend(["===== ", &name, "\n", help.trim_end(), "\n\n"]);
    }
    insta::assert_snapshot!("helps", text);
}
