//! A file of gigabytes: it is sent whole, and how much memory that takes does not depend on how large it is.
//!
//! One of 1 GB by default, of 5 GB where all is asked for (`DEPLOY_SWEEP=full`).

use std::fs;
use std::time::Duration;

use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};
use deploy_tests::{procs, wait};

const LIMIT: Duration = Duration::from_mins(20);
const MIB: u64 = 1 << 20;
/// What differs from run to run by itself.
const MORE: u64 = 32;

/// A tree with one file of so many MiB, almost all of it a hole.
fn sized(shop: &Scratch, mib: u64) {
    let manifest = fs::read_to_string(shop.path("deploy.toml")).expect("it has one");
    let build = format!("build = \"mkdir -p out && echo {mib} >out/large && truncate -s {mib}M out/large\"");
    let text: Vec<&str> = manifest
        .lines()
        .map(|line| {
            if line.starts_with("build = ") {
                build.as_str()
            } else {
                line
            }
        })
        .collect();
    shop.write("deploy.toml", text.join("\n"));
    shop.write("size", mib.to_string());
    shop.commit(&format!("{mib} MiB"));
}

fn shop(fleet: &Fleet) -> Scratch {
    let shop = Scratch::new();
    let root = fleet.host("web-1").root().display().to_string();
    shop.write(
        "deploy.toml",
        format!(
            r#"[project]
name = "shop"
keep = 1
[artifacts.app]
build = ""
inputs = ["size"]
output = "out"
[services.web]
artifact = "app"
[services.web.ssh]
path = "{root}/web"
[environments.production]
ssh_config = "ssh_config"
[environments.production.hosts]
web-1 = {{ ssh = "web-1" }}
"#
        ),
    );
    shop.write(".gitignore", "out/\nssh_config\n.deploy/\n");
    fs::copy(fleet.ssh_config(), shop.path("ssh_config")).expect("the project can be written");
    shop
}

/// Deploys, and tells the most memory that the deployer held, in MiB.
fn peak_of_up(shop: &Scratch) -> u64 {
    let mut run = shop.spawn(&["up"]);
    let mut peak = 0;
    wait::until(LIMIT, "the run to end", || {
        peak = peak.max(procs::peak_memory(run.pid()).unwrap_or_default());
        run.ended()
    });
    run.wait(LIMIT).expect_code(0);
    peak / 1024
}

#[test]
fn a_file_of_gigabytes_takes_no_more_memory_than_a_small_one() {
    let full = std::env::var("DEPLOY_SWEEP").is_ok_and(|value| value == "full");
    let large = if full { 5 * 1024 } else { 1024 };
    let fleet = Sshd::named(&["web-1"]);
    let shop = shop(&fleet);
    let served = fleet.host("web-1").root().join("web/current/large");
    sized(&shop, 1);
    let small = peak_of_up(&shop);
    assert_eq!(fs::metadata(&served).expect("it serves").len(), MIB);
    sized(&shop, large);
    let began = std::time::Instant::now();
    let peak = peak_of_up(&shop);
    println!(
        "1 MiB: at most {small} MiB of memory; {large} MiB: at most {peak} MiB, in {:?}",
        began.elapsed()
    );
    assert_eq!(fs::metadata(&served).expect("it serves").len(), large * MIB);
    assert!(small > 0 && peak <= small + MORE, "{small} MiB, then {peak} MiB");
}
