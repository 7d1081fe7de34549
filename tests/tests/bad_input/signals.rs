//! SIGINT and SIGTERM: it stops within five seconds, says how to go on, and goes on from there.

use std::time::Duration;

use insta::assert_snapshot;
use rustix::process::Signal;

use crate::world::{MANIFEST, look, next, recovers, serves, up};

const SOON: Duration = Duration::from_secs(5);

#[test]
fn while_nothing_serves_differently_yet() {
    let hook = "[services.web.hooks.slow]\nat = \"prepare\"\n\
                command = \"touch ../../../../ready; while test -e ../../../../hold; do sleep 0.1; done\"\n[services.web.health.ready]";
    let shop = up(&MANIFEST.replace("[services.web.health.ready]", hook));
    for (signal, page) in [(Signal::INT, "v2"), (Signal::TERM, "v3")] {
        next(&shop, page);
        shop.write("hold", "");
        std::fs::remove_file(shop.path("ready")).unwrap();
        let mut run = shop.spawn(&["up", "-e", "development"]);
        deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "the hook to run", || {
            shop.path("ready").exists()
        });
        run.signal(signal);
        let output = run.wait(SOON).expect_code(9);
        assert_ne!(serves(&shop, "web"), format!("{page}\n"));
        std::fs::remove_file(shop.path("hold")).unwrap();
        if signal == Signal::INT {
            assert_snapshot!("interrupted while it prepares", look(&shop, &output));
        }
        shop.deploy(&["resume"]).expect_code(0);
        assert_eq!(serves(&shop, "web"), format!("{page}\n"));
    }
    recovers(&shop);
}

#[test]
fn while_services_are_switched() {
    let shop = up(MANIFEST);
    for (signal, page) in [(Signal::INT, "v2"), (Signal::TERM, "v3")] {
        next(&shop, page);
        shop.write("hold", "");
        let mut run = shop.spawn(&["up", "-e", "development"]);
        deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "web to be switched", || {
            serves(&shop, "web") == format!("{page}\n")
        });
        run.signal(signal);
        let output = run.wait(SOON).expect_code(9);
        std::fs::remove_file(shop.path("hold")).unwrap();
        if signal == Signal::INT {
            assert_snapshot!("interrupted while it switches", look(&shop, &output));
        }
        let ended = shop.deploy(&["resume"]);
        let now = (serves(&shop, "api"), serves(&shop, "web"));
        assert!(matches!(ended.code, Some(0 | 3)), "{ended:?}");
        assert_eq!(now.0, now.1, "both or neither");
    }
    recovers(&shop);
}

/// Wherever the beginning is interrupted: either nothing was begun, or it says what is left.
#[test]
fn at_any_moment_of_the_beginning() {
    let shop = up(MANIFEST);
    for lines in 0..14_usize {
        next(&shop, &format!("v{}", lines + 2));
        let log = shop.root().join(format!("log-{lines}"));
        let mut command = shop.command(&["up", "-e", "development"]);
        command.env("DEPLOY_FAILPOINT_LOG", &log);
        let mut run = shop.spawn_command(command);
        deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "it to come that far", || {
            run.ended()
                || std::fs::read_to_string(&log).map_or(lines == 0, |text| text.lines().count() >= lines)
        });
        run.signal(Signal::INT);
        let output = run.wait(SOON);
        let resumed = shop.deploy(&["resume"]);
        match output.code {
            // Before it listens, the signal itself ends it: a shell says 130 too.
            Some(130) | None => {
                assert_eq!(resumed.code, Some(2), "{lines}: {output:?}\n{resumed:?}");
                assert!(resumed.stderr.contains("no deployment is open"), "{resumed:?}");
            }
            Some(9) => {
                assert!(output.stderr.contains("deploy resume 01"), "{lines}: {output:?}");
                assert_eq!(resumed.code, Some(0), "{lines}: {resumed:?}");
            }
            Some(0) => {}
            _ => panic!("{lines}: {output:?}"),
        }
    }
    recovers(&shop);
}
