//! The `deploy` command: parses, calls the engine, prints. It has no rules of its own.

mod args;
mod commands;
mod console;
mod context;
mod demo;
mod error;
mod identity;
mod import;
mod init;
mod render;
mod run;

fn main() -> std::process::ExitCode {
    // Not a command that people give: the demo's own processes, which start often and need none of it.
    match demo::part_words(std::env::args_os()) {
        Some(words) => demo::part(&words),
        None => run::main(),
    }
}
