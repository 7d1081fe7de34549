//! States that cannot be used: each is named, and left as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use deploy_tests::scratch::{Scratch, deploy_program};
use deploy_tests::{process, wait};
use insta::assert_snapshot;

use crate::world::{MANIFEST, look, next, recovers, serves, up};

const UP: [&str; 3] = ["up", "-e", "development"];

fn state(shop: &Scratch) -> std::path::PathBuf {
    shop.path(".deploy/state.db")
}

#[test]
fn states_that_are_not_ours_to_write() {
    let shop = up(MANIFEST);
    let good = fs::read(state(&shop)).unwrap();
    next(&shop, "v2");

    fs::write(
        state(&shop),
        "this is no database, and longer than the header of one would be ......",
    )
    .unwrap();
    assert_snapshot!("a state that is corrupt", look(&shop, &shop.deploy(&UP)));

    // The version of the tables is the big-endian word at byte 60 of SQLite's header.
    let mut newer = good.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    fs::write(state(&shop), &newer).unwrap();
    assert_snapshot!("a state that is newer", look(&shop, &shop.deploy(&UP)));
    assert_eq!(fs::read(state(&shop)).unwrap(), newer, "left as it was");
    fs::write(state(&shop), &good).unwrap();

    shop.write("deploy.toml", MANIFEST.replace("\"shop\"", "\"other\""));
    shop.commit("Another name");
    assert_snapshot!("a state of another project", look(&shop, &shop.deploy(&UP)));
    shop.write("deploy.toml", MANIFEST);
    assert_eq!(serves(&shop, "web"), "v1\n");
    recovers(&shop);
}

#[test]
fn a_state_that_is_read_only() {
    let shop = up(MANIFEST);
    next(&shop, "v2");
    let allow = |folder: u32, file: u32| {
        fs::set_permissions(state(&shop), fs::Permissions::from_mode(file)).unwrap();
        fs::set_permissions(shop.path(".deploy"), fs::Permissions::from_mode(folder)).unwrap();
    };
    allow(0o500, 0o400);
    // Root may write everywhere: without that capability it is a user as any other.
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = shop.command_of(&process::require("setpriv", "util-linux"));
        command
            .arg("--bounding-set=-dac_override,-dac_read_search,-fowner")
            .arg("--inh-caps=-dac_override,-dac_read_search,-fowner")
            .arg(deploy_program())
            .args(UP);
        command
    } else {
        shop.command(&UP)
    };
    let output = process::run(&mut command, wait::PATIENCE);
    allow(0o700, 0o600);
    assert_snapshot!(look(&shop, &output));
    assert_eq!(serves(&shop, "web"), "v1\n");
    recovers(&shop);
}

#[test]
fn a_disk_that_is_full() {
    let mut left_open = 0;
    for blocks in [8, 128, 136, 144, 160, 192] {
        let shop = up(MANIFEST);
        next(&shop, "v2");
        // No file may grow beyond this many blocks of 512 bytes.
        let cramped = |what: &str| {
            let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" {what}");
            let mut command = shop.command_of(Path::new("sh"));
            command.args(["-c", &script]).arg(deploy_program());
            process::run(&mut command, wait::PATIENCE)
        };
        let output = cramped("up -e development");
        if blocks == 8 {
            assert_snapshot!("full from the beginning", look(&shop, &output));
        }
        match output.code {
            Some(1) => assert_eq!(serves(&shop, "web"), "v1\n", "{output:?}"),
            Some(9) => {
                left_open += 1;
                let next = "free space where the state lies, then deploy resume 01";
                assert!(output.stderr.contains(next), "{output:?}");
                let still = cramped("resume");
                assert_eq!(still.code, Some(9), "{still:?}");
                assert!(still.stderr.contains(next), "{still:?}");
                shop.deploy(&["resume"]).expect_code(0);
                assert_eq!(serves(&shop, "web"), "v2\n");
            }
            Some(0) => assert_eq!(serves(&shop, "web"), "v2\n"),
            _ => panic!("{output:?}"),
        }
        recovers(&shop);
    }
    assert!(left_open > 0, "no size stopped a deployment half-way");
}
