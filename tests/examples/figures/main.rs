//! The figures of `tests/bench`: how fast the things are that people wait for, and the parts below them, each beside what it can be
//! compared with on the same machine in the same minute. It measures and never judges: a figure that misses its goal is printed beside
//! the goal, and only what cannot be measured at all is an error (a panic, as in every fixture).

mod appends;
mod commands;
mod core;
mod figure;
mod fleet;
mod journal;

use deploy_tests::scratch::Scratch;
use figure::Figure;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(path) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: figures FILE.json [PART…] (tests/bench builds what it needs and starts it)");
        return ExitCode::from(2);
    };
    let parts: Vec<String> = arguments
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut figures: Vec<Figure> = Vec::new();
    let mut take = |more: Vec<Figure>| {
        for figure in more {
            println!("{figure}");
            figures.push(figure);
        }
    };
    if wanted("here") || wanted("demo") {
        take(commands::demo(&Scratch::new()));
    }
    if wanted("here") {
        let scratch = Scratch::new();
        take(commands::version(&scratch));
        take(core::steps());
        take(appends::beside_bare_sqlite(&scratch.root().join("appends")));
        take(commands::up(&scratch));
        let deployments = journal::fill(&scratch);
        take(commands::status(&scratch, deployments));
    }
    fleet::measure(&wanted, &mut take);
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let json = serde_json::json!({
        "schema": "deploy.bench/1",
        "cpus": cpus,
        "load": load.split(' ').next(),
        "figures": figures,
    });
    let text = serde_json::to_string_pretty(&json).expect("figures are plain values");
    if let Err(error) = std::fs::write(&path, text + "\n") {
        eprintln!("{}: {error}", path.display());
        return ExitCode::FAILURE;
    }
    println!("\nwritten to {}", path.display());
    ExitCode::SUCCESS
}
