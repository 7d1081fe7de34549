//! Hosts behind real ssh to try things on by hand: starts those that are named, prints how to reach them as
//! JSON, and ends them when its stdin does, or when it is ended itself, however that comes.

use std::io::{Read, Write};
use std::process::ExitCode;

use deploy_tests::sshd::Sshd;
use serde_json::json;

fn main() -> ExitCode {
    let names: Vec<String> = std::env::args().skip(1).collect();
    if names.is_empty() || names.iter().any(|name| name.starts_with('-')) {
        eprintln!("usage: deploy-test-fleet NAME...   (Ctrl-D ends it)");
        return ExitCode::from(2);
    }
    let fleet = Sshd::named(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let hosts = fleet.hosts().iter().map(|host| {
        json!({
            "name": host.name(), "address": host.address(), "port": host.port(),
            "root": host.root(), "units": host.units(), "bin": host.bin(),
        })
    });
    let all = json!({"ssh_config": fleet.ssh_config(), "hosts": hosts.collect::<Vec<_>>()});
    let mut out = std::io::stdout();
    if writeln!(out, "{all:#}").and_then(|()| out.flush()).is_err() {
        return ExitCode::FAILURE;
    }
    // Whatever comes, and an error too, means that nobody is there any more once it ends.
    let _end = std::io::stdin().read_to_end(&mut Vec::new());
    ExitCode::SUCCESS
}
