//! The `deploy` command.

mod demo;

fn main() -> std::process::ExitCode {
    let words: Vec<_> = std::env::args_os().skip(1).collect();
    match words.split_first() {
        Some((first, rest)) if first == "demo-service" => demo::part(rest),
        Some((first, rest)) if first == "demo" => demo::run(demo::DemoArgs {
            keep: rest.iter().any(|word| word == "--keep"),
        }),
        _ => std::process::ExitCode::from(2),
    }
}
