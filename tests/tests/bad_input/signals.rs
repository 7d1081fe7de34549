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

/// Wherever the beginning is interrupted: either nothing was begun, or it says what is left. And it is interrupted: a run that is told
/// to stop right after its first step does not go on to the end.
#[test]
fn at_any_moment_of_the_beginning() {
    let shop = up(MANIFEST);
    let (mut in_time, mut heard) = (0, 0);
    // Up to where the first service is prepared.
    for lines in (0..42_usize).step_by(3) {
        next(&shop, &format!("v{}", lines + 2));
        let log = shop.root().join(format!("log-{lines}"));
        let mut command = shop.command(&["up", "-e", "development"]);
        command.env("DEPLOY_FAILPOINT_LOG", &log);
        let mut run = shop.spawn_command(command);
        deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "it to come that far", || {
            run.ended()
                || std::fs::read_to_string(&log).map_or(lines == 0, |text| text.lines().count() >= lines)
        });
        in_time += u32::from(!run.ended());
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
                heard += 1;
                assert!(output.stderr.contains("deploy resume 01"), "{lines}: {output:?}");
                assert_eq!(resumed.code, Some(0), "{lines}: {resumed:?}");
            }
            // It was told too late.
            Some(0) => in_time = in_time.saturating_sub(1),
            _ => panic!("{lines}: {output:?}"),
        }
    }
    println!("told in time {in_time} times, of which {heard} left a deployment to go on with");
    assert!(
        in_time >= 7 && heard >= 1,
        "told in time {in_time} times, heard {heard} times"
    );
    recovers(&shop);
}

/// Past the commit point nothing goes back: whoever is told to stop while it cleans up leaves that to be gone on with, or has ended.
#[test]
fn while_it_finishes() {
    let shop = up(MANIFEST);
    let mut stopped = 0;
    for round in 0..4 {
        let page = format!("v{}", round + 2);
        next(&shop, &page);
        let log = shop.root().join(format!("finishing-{round}"));
        let mut command = shop.command(&["up", "-e", "development"]);
        command.env("DEPLOY_FAILPOINT_LOG", &log);
        let mut run = shop.spawn_command(command);
        let seen = |point: &str| std::fs::read_to_string(&log).is_ok_and(|text| text.contains(point));
        deploy_tests::wait::until(deploy_tests::wait::PATIENCE, "it to finish", || {
            run.ended() || seen("effect.finish.before")
        });
        // Held still, so that it is told before it goes on.
        run.stop();
        let in_time = !run.ended();
        run.signal(Signal::INT);
        run.cont();
        let output = run.wait(SOON);
        assert_eq!(serves(&shop, "web"), format!("{page}\n"), "{output:?}");
        assert_eq!(serves(&shop, "api"), format!("{page}\n"), "{output:?}");
        match output.code {
            Some(9) => {
                stopped += 1;
                assert!(in_time, "{output:?}");
                assert!(output.stderr.contains("deploy resume 01"), "{output:?}");
                shop.deploy(&["resume"]).expect_code(0);
            }
            Some(0) => {
                let resumed = shop.deploy(&["resume"]).expect_code(2);
                assert!(resumed.stderr.contains("no deployment is open"), "{resumed:?}");
            }
            _ => panic!("{round}: {output:?}"),
        }
        assert_eq!(serves(&shop, "web"), format!("{page}\n"));
    }
    println!("{stopped} of 4 were left to be gone on with");
    recovers(&shop);
}
