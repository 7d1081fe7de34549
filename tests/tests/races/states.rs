//! Two state files on one host: the host's claim decides, for the two know nothing of each other.

use deploy_tests::shop::{Health, Shop, Where};

use crate::claim::Hosts;
use crate::{LIMIT, rounds};

#[test]
fn the_other_state_is_told_who_holds_the_host_and_may_adopt_it() {
    let shop = Shop::new(Where::Local, 1);
    let states = ["first.db", "second.db"].map(|name| shop.scratch.root().join(name));
    let states = states.map(|path| path.display().to_string());
    let up = |state: &str, more: &[&str]| {
        let arguments = [&["up", "--state", state], more].concat();
        shop.scratch.deploy_within(LIMIT, &arguments)
    };
    up(&states[0], &[]).expect_code(0);
    for round in 0..rounds(10, 100) {
        let (holder, other) = if round % 2 == 0 { (0, 1) } else { (1, 0) };
        let before = (shop.live(), Hosts::of(&shop));
        let version = shop.release(Health::Up);
        let refused = up(&states[other], &[]).expect_code(5);
        assert!(
            refused.stdout.contains("belongs to another state")
                || refused.stderr.contains("belongs to another state"),
            "round {round}: {refused:?}"
        );
        assert_eq!(
            (shop.live(), Hosts::of(&shop)),
            before,
            "round {round}: {refused:?}"
        );

        let adopted = up(&states[other], &["--adopt"]).expect_code(0);
        assert_eq!(shop.whole(), Ok(version), "round {round}: {adopted:?}");
        let after = (shop.live(), Hosts::of(&shop));
        let refused = up(&states[holder], &[]).expect_code(5);
        assert_eq!(
            (shop.live(), Hosts::of(&shop)),
            after,
            "round {round}: {refused:?}"
        );
    }
    for state in &states {
        shop.scratch
            .deploy(&["audit", "verify", "--state", state])
            .expect_code(0);
    }
}

#[test]
fn of_two_states_at_the_same_moment_one_acts() {
    let shop = Shop::new(Where::Local, 1);
    for round in 0..rounds(20, 100) {
        // Places that nobody has claimed yet, and two states that know nothing of them.
        for host in shop.hosts() {
            let folder = shop.path_of("web", host);
            let folder = folder.parent().expect("a service's path is in a folder");
            if folder.exists() {
                std::fs::remove_dir_all(folder).expect("the hosts' folders are ours");
            }
        }
        let states = ["a", "b"].map(|name| shop.scratch.root().join(format!("{name}-{round}.db")));
        let states = states.map(|path| path.display().to_string());
        let version = shop.release(Health::Up);
        let mut runs = [0, 1].map(|one: usize| shop.scratch.spawn(&["up", "--state", &states[one]]));
        let outputs = [runs[0].wait(LIMIT), runs[1].wait(LIMIT)];
        let won = match [outputs[0].code, outputs[1].code] {
            [Some(0), Some(5)] => 0,
            [Some(5), Some(0)] => 1,
            // Not both 5 either: who has the first place of the fixed order has them all.
            _ => panic!("round {round}: {outputs:?}"),
        };
        assert_eq!(shop.whole(), Ok(version), "round {round}: {outputs:?}");
        let refused = &outputs[1 - won];
        let said = format!("{}{}", refused.stdout, refused.stderr);
        assert!(
            said.contains(&format!("(pid {})", runs[won].pid())),
            "round {round}: {outputs:?}"
        );
        let store = crate::claim::store(&shop, &states[won]);
        assert!(
            Hosts::of(&shop).all_claimed_by(&store),
            "round {round}: {outputs:?}"
        );
    }
}

/// A state that was put back from a backup has the right name and an old journal: what it does not know of, it does not take.
#[test]
fn a_copied_state_is_told_of_a_deployment_that_it_does_not_know() {
    let shop = Shop::new(Where::Local, 1);
    let [state, copy] = ["first.db", "copy.db"].map(|name| shop.scratch.root().join(name));
    let [state_name, copy_name] = [&state, &copy].map(|path| path.display().to_string());
    let run = |arguments: &[&str]| shop.scratch.deploy_within(LIMIT, arguments);
    run(&["up", "--state", &state_name]).expect_code(0);
    std::fs::copy(&state, &copy).expect("the last one closes the file whole");

    let version = shop.release(Health::Up);
    let mut command = shop.scratch.command(&["up", "--state", &state_name]);
    command.env("DEPLOY_FAILPOINT", "ssh.activate.before");
    let killed = shop.scratch.spawn_command(command).wait(LIMIT);
    assert_eq!(killed.signal, Some(9), "{killed:?}");

    let before = (shop.live(), Hosts::of(&shop));
    let refused = run(&["up", "--state", &copy_name]).expect_code(5);
    let said = format!("{}{}", refused.stdout, refused.stderr);
    for text in ["which this journal does not know", "--adopt"] {
        assert!(said.contains(text), "{refused:?}");
    }
    assert_eq!((shop.live(), Hosts::of(&shop)), before, "{refused:?}");

    let adopted = run(&["up", "--state", &copy_name, "--adopt"]).expect_code(0);
    assert_eq!(shop.whole(), Ok(version), "{adopted:?}");
    // What the one that was adopted away from began is over, and it says that it cannot tell what became of it.
    let after = shop.live();
    let resumed = run(&["resume", "--state", &state_name]).expect_code(4);
    assert_eq!(shop.live(), after, "{resumed:?}");
    for state in [&state_name, &copy_name] {
        run(&["audit", "verify", "--state", state]).expect_code(0);
    }
}
