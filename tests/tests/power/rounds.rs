//! Rounds in which a host or the deployer is lost for a moment.
//!
//! Each time every host ends on one whole release that serves, within its deadline and 5 s, by itself where nobody can reach it; and
//! whoever goes on learns that from the host. By default a round of each kind on one host and on three; `DEPLOY_SWEEP=full` is 100 in
//! all, their faults drawn, and `DEPLOY_SEED=n` repeats faults and moments. A table at the end tells what came of each kind of fault,
//! and how late the latest host was.
//!
//! How late a host is, is looked at from outside, so that it is never told to be earlier than it was; and a look takes as long as this
//! machine takes to run something in a container. So every host is waited for far beyond its time, what it took is printed, and what is
//! asserted is the deadline and 5 s and the longest look of that very wait.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use deploy_tests::dice::Dice;
use deploy_tests::machines::{Account, Machine};
use deploy_tests::process::Output;
use deploy_tests::wait;

use crate::world::{LIMIT, SPAN, World, is_old_inside, is_whole};

/// How much later than that it is back, at the most.
const AFTER: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    /// The deployer is killed.
    Killed,
    /// The link to one host is cut, and mended when it is back.
    Cut,
    /// One host starts anew, in order.
    Rebooted,
    /// One host loses its power for a moment.
    PowerCut,
    /// The deployer is killed, and then one host loses its power.
    Both,
}

/// Of each kind one.
const EACH: [Fault; 5] = [
    Fault::Killed,
    Fault::Cut,
    Fault::Rebooted,
    Fault::PowerCut,
    Fault::Both,
];

/// What is drawn from where there are many.
const DRAWN: [Fault; 4] = [Fault::Killed, Fault::Cut, Fault::Rebooted, Fault::PowerCut];

/// What came of the rounds of one fault.
#[derive(Default)]
struct Came {
    on_the_old: u32,
    on_the_new: u32,
    /// From the fault until the last host that had to was back, in the worst round.
    worst: Duration,
}

/// What came of a round.
struct Round {
    /// What serves everywhere.
    now: String,
    back_after: Duration,
}

impl World {
    fn round(&mut self, fault: Fault, dice: &mut Dice, old: &str) -> Round {
        let new = self.release();
        let mut run = self.scratch.spawn(&["up"]);
        let hosts = self.machines.all();
        wait::until(LIMIT, "every host to be switched", || {
            assert!(!run.ended(), "it ended: {:?}", run.wait(LIMIT));
            hosts.iter().all(|machine| is_whole(machine, &new))
        });
        let moment = Duration::from_secs(6).mul_f64(dice.roll());
        wait::find_within(moment, || run.ended().then_some(()));
        let host = dice.one_of(hosts);
        println!("{fault:?} after {moment:?}, host {}", host.name());
        if matches!(fault, Fault::Killed | Fault::Both) {
            let killed = run.kill9();
            assert_eq!(
                killed.signal,
                Some(9),
                "it ended before it was killed: {killed:?}"
            );
        }
        let began = Instant::now();
        match fault {
            Fault::Killed => {}
            Fault::Cut => host.cut_link(),
            Fault::Rebooted => host.reboot(),
            Fault::PowerCut | Fault::Both => host.power_cut(),
        }
        let alone = match fault {
            Fault::Killed | Fault::Both => hosts,
            _ => std::slice::from_ref(host),
        };
        let back_after = self.back(fault, alone, old, began);
        if fault == Fault::Cut {
            host.mend_link();
        }
        let mut end = match fault {
            Fault::Killed | Fault::Both => self.scratch.deploy_within(LIMIT, &["resume"]),
            _ => run.wait(LIMIT),
        };
        if end.code == Some(9) {
            end = self.scratch.deploy_within(LIMIT, &["resume"]);
        }
        let now = self.judge(fault, &end, old);
        Round { now, back_after }
    }

    /// Waits until these hosts are back by themselves, and tells how long that took; not longer than it may.
    fn back(&self, fault: Fault, alone: &[Machine], old: &str, began: Instant) -> Duration {
        let mut longest_look = Duration::ZERO;
        for machine in alone {
            let back = wait::find_within(LIMIT, || {
                let look = Instant::now();
                let is_back = is_old_inside(machine, old);
                longest_look = longest_look.max(look.elapsed());
                is_back.then_some(())
            });
            let picture = || machine.picture(self.account.path());
            let took = began.elapsed();
            assert!(
                back.is_some(),
                "{fault:?}: host {} is not back after {took:?}\n{}",
                machine.name(),
                picture()
            );
            assert!(
                took <= SPAN + AFTER + longest_look,
                "{fault:?}: host {} was back after {took:?}, the longest look took {longest_look:?}\n{}",
                machine.name(),
                picture()
            );
        }
        let took = began.elapsed();
        println!("  back after {took:?}, the longest look took {longest_look:?}");
        took
    }

    /// All on one release: the old one, or the new one where nobody had written yet that it was switched to when it went back.
    fn judge(&self, fault: Fault, end: &Output, old: &str) -> String {
        let new = self.version();
        let now = match end.code {
            Some(3) => old,
            Some(0) => &new,
            _ => panic!("{fault:?}: {end:?}"),
        };
        for machine in self.machines.all() {
            assert!(
                is_whole(machine, now),
                "{fault:?}: host {} serves {:?} and not {now}: {end:?}",
                machine.name(),
                machine.serves("/VERSION")
            );
            machine.sh(&format!("test ! -e {}/.deploy/armed", self.account.path()));
        }
        self.scratch.deploy(&["audit", "verify"]).expect_code(0);
        println!("  ended with {:?}", end.code);
        now.to_owned()
    }
}

pub(crate) fn rounds(hosts: u8, account: Account, most: u32) {
    let (mut dice, seed) = Dice::seeded();
    let mut world = World::new(hosts, account);
    let full = std::env::var("DEPLOY_SWEEP").is_ok_and(|value| value == "full");
    let faults = if full {
        (0..most).map(|_| *dice.one_of(&DRAWN)).collect()
    } else {
        EACH.to_vec()
    };
    let number = faults.len();
    let mut old = "1".to_owned();
    let mut came: BTreeMap<Fault, Came> = BTreeMap::new();
    for fault in faults {
        let round = world.round(fault, &mut dice, &old);
        let came = came.entry(fault).or_default();
        if round.now == old {
            came.on_the_old += 1;
        } else {
            came.on_the_new += 1;
        }
        came.worst = came.worst.max(round.back_after);
        old = round.now;
    }
    println!(
        "{number} rounds on {hosts} hosts as {account:?}: each ended on one whole release (DEPLOY_SEED={seed})"
    );
    println!("fault     on the old  on the new  the latest was back after (deadline {SPAN:?})");
    for (fault, came) in came {
        let Came {
            on_the_old,
            on_the_new,
            worst,
        } = came;
        println!(
            "{:<9} {on_the_old:>10}  {on_the_new:>10}  {worst:.1?}",
            format!("{fault:?}")
        );
    }
    // And it works as ever.
    world.looks_for("0s");
    let last = world.release();
    world.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    assert!(
        world
            .machines
            .all()
            .iter()
            .all(|machine| is_whole(machine, &last))
    );
}
