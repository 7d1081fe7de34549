//! The `deploy` command: parses, calls the engine, prints. It has no rules of its own.

mod args;
mod commands;
mod console;
mod context;
mod error;
mod identity;
mod import;
mod init;
mod render;
mod run;

fn main() -> std::process::ExitCode {
    run::main()
}
