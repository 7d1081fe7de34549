//! A host that hangs after it was switched: the hosts that it has nothing to do with keep serving, none of them goes back by itself
//! while the deployer lives, and the one that hangs is named.

use std::fs;
use std::time::Duration;

use deploy_tests::process::Output;
use deploy_tests::running::Running;
use deploy_tests::shop::{Health, SERVICES, Shop, Where};
use deploy_tests::wait;

const LIMIT: Duration = Duration::from_mins(5);
/// How long a host waits to be confirmed.
const SPAN: Duration = Duration::from_secs(8);

/// Two hosts with two services that need nothing of each other, and a release that is looked at for long.
fn two_hosts() -> (Shop, String) {
    let shop = Shop::new(Where::Ssh, 2);
    shop.scratch
        .set("DEPLOY_REVERT_AFTER", format!("{}s", SPAN.as_secs()));
    let file = shop.scratch.path("deploy.toml");
    let manifest = fs::read_to_string(&file).expect("the shop has one");
    let alone = manifest.replace("needs = [\"api\"]\n", "").replace(
        "[environments.production]",
        "[defaults.strategy]\nkind = \"all-at-once\"\n[environments.production]",
    );
    shop.scratch.write("deploy.toml", &alone);
    let old = shop.release(Health::Up);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    assert_eq!(shop.whole(), Ok(old.clone()));
    let long = alone
        .replace("healthy_for = \"0s\"", "healthy_for = \"20s\"")
        .replace("deadline = \"1s\"", "deadline = \"60s\"");
    assert!(
        long.contains("20s") && long.contains("60s") && !long.contains("needs"),
        "{long}"
    );
    shop.scratch.write("deploy.toml", long);
    (shop, old)
}

/// Deploys, and stops the first host once everything is switched: for longer than any host waits alone.
fn hang(shop: &Shop) -> Running {
    let new = shop.release(Health::Up);
    let mut run = shop.scratch.spawn(&["up"]);
    wait::until(LIMIT, "everything to be switched", || {
        assert!(!run.ended(), "it ended: {:?}", run.wait(LIMIT));
        shop.whole() == Ok(new.clone())
    });
    shop.fleet().expect("it has one").stop("11");
    let fired = wait::find_within(SPAN * 3, || fired(shop).then_some(()));
    assert_eq!(fired, None, "12 went back by itself: {:?}", run.wait(LIMIT));
    run
}

/// Whether a service on the host that is well went back by itself.
fn fired(shop: &Shop) -> bool {
    let told = |service: &str| shop.path_of(service, "12").join(".deploy/reverted").exists();
    SERVICES.into_iter().any(told)
}

/// Nothing went back by itself where nothing was wrong, and the host that hung is named.
#[track_caller]
fn nothing_fired(shop: &Shop, ended: &Output) {
    assert!(!fired(shop), "12 went back by itself: {ended:?}");
    assert!(!ended.stdout.contains("12 went back by itself"), "{ended:?}");
    let named = ended
        .stdout
        .lines()
        .any(|line| line.contains('✗') && line.contains("11"));
    assert!(named, "11 is not named: {ended:?}");
}

#[test]
fn a_host_that_hangs_for_a_while_takes_no_other_with_it() {
    let (shop, old) = two_hosts();
    let mut run = hang(&shop);
    shop.fleet().expect("it has one").cont("11");
    let ended = run.wait(LIMIT).expect_code(3);
    nothing_fired(&shop, &ended);
    assert_eq!(shop.whole(), Ok(old));
}

/// Nobody waits for it to put back what can be.
#[test]
fn the_others_are_put_back_without_a_host_that_hangs() {
    let (shop, old) = two_hosts();
    let mut run = hang(&shop);
    wait::until(LIMIT, "the host that is well to be put back", || {
        let live = shop.live();
        let mut other = live.iter().filter(|live| live.slice.ends_with("12"));
        other.all(|live| live.answers.as_ref() == Some(&old))
    });
    assert!(!fired(&shop), "12 went back by itself: {}", run.stdout());
    shop.fleet().expect("it has one").cont("11");
    let ended = run.wait(LIMIT).expect_code(3);
    nothing_fired(&shop, &ended);
    assert_eq!(shop.whole(), Ok(old));
}
