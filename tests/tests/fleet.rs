//! Fleets of real sshd hosts. With a failure budget, a host that fails within it is stopped and left out, named everywhere, and taken
//! along by the next deployment; one more turns all of it back; one that cannot be reached is never left out. A canary is watched before
//! any other host is touched. Hosts have variables of their own.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use deploy_tests::points;
use deploy_tests::process::Output;
use deploy_tests::shop::{Health, Shop, Where};
use deploy_tests::wait;
use serde_json::Value;

const LIMIT: Duration = Duration::from_mins(2);

/// The shop with a strategy of `web`. A host's `web.broken` names the version that its restart fails with, `web.sick` the one that is not
/// well there, and `web.dying` the one that ends after some looks; `web.stuck` lets nobody stop it. Restarts are in `web.restarts`.
fn fleet_that(hosts: usize, strategy: &str) -> Shop {
    let shop = Shop::new(Where::Ssh, hosts);
    let restart = "restart = \"\"\"systemctl restart web-$DEPLOY_HOST\"\"\"";
    let fails = r#"restart = """v=$(cat VERSION); is() { grep -qx "$v" "$DEPLOY_PATH.$1" 2>/dev/null; }
echo "$v" >>"$DEPLOY_PATH.restarts"
if is broken; then echo boom >&2; exit 3; fi
if is sick; then echo '{"status":"DOWN"}' >health.json; fi
if is dying; then echo '{"crash_after":20}' >behaviour.json; fi
exec systemctl restart web-$DEPLOY_HOST"""
stop = """if test -e "$DEPLOY_PATH.stuck"; then echo stuck >&2; exit 4; fi
exec systemctl stop web-$DEPLOY_HOST""""#;
    rewrite(&shop, restart, fails);
    rewrite(
        &shop,
        "[environments.production]",
        &format!("{strategy}[environments.production]"),
    );
    shop.release(Health::Up);
    shop.scratch.deploy_within(LIMIT, &["up"]).expect_code(0);
    shop
}

fn fleet(hosts: usize, budget: &str) -> Shop {
    let strategy =
        format!("[services.web.strategy]\nkind = \"rolling\"\nbatch = 1\nmax_failures = {budget}\n");
    fleet_that(hosts, &strategy)
}

/// Other words in the manifest; the next commit has them.
#[track_caller]
fn rewrite(shop: &Shop, from: &str, to: &str) {
    let manifest = fs::read_to_string(shop.scratch.path("deploy.toml")).expect("the shop has one");
    assert!(manifest.contains(from), "no {from} in {manifest}");
    shop.scratch.write("deploy.toml", manifest.replace(from, to));
}

/// How often `web` was restarted on a host.
fn restarts(shop: &Shop, host: &str) -> usize {
    let told = fs::read_to_string(marker(shop, host, "restarts")).unwrap_or_default();
    told.lines().count()
}

fn marker(shop: &Shop, host: &str, what: &str) -> PathBuf {
    shop.path_of("web", host).with_file_name(format!("web.{what}"))
}

fn mark(shop: &Shop, host: &str, what: &str, version: &str) {
    fs::write(marker(shop, host, what), format!("{version}\n")).expect("the host's folder is there");
}

fn up(shop: &Shop) -> Output {
    shop.scratch.deploy_within(LIMIT, &["up", "--json"])
}

fn slice<'a>(told: &'a Value, host: &str) -> &'a Value {
    let services = told["services"].as_array().expect("services");
    let web = services.iter().find(|service| service["service"] == "web");
    let slices = web.expect("it is one")["slices"].as_array().expect("slices");
    slices
        .iter()
        .find(|slice| slice["slice"] == host)
        .expect("the host is one")
}

fn strays(told: &Value) -> Vec<&str> {
    let strays = told["strays"].as_array().expect("strays");
    strays
        .iter()
        .map(|stray| stray["slice"].as_str().expect("a name"))
        .collect()
}

/// `web` serves a version on these hosts and nothing at all on those; `api` is whole.
#[track_caller]
fn serves_but(shop: &Shop, version: &str, without: &[&str]) {
    for live in shop.live() {
        let out = without.iter().any(|host| live.slice == format!("web on {host}"));
        let wanted = (!out).then_some(version);
        assert_eq!(live.answers.as_deref(), wanted, "{live:?}");
        assert_eq!(live.on_disk.as_deref(), wanted, "{live:?}");
    }
}

#[test]
fn a_host_that_fails_within_the_budget_is_left_out_and_named() {
    let shop = fleet(3, "1");
    let new = shop.release(Health::Up);
    mark(&shop, "12", "broken", &new);
    let told = up(&shop).expect_code(0).json();
    assert_eq!(told["outcome"], "succeeded", "{told:#}");
    assert_eq!(strays(&told), ["12"], "{told:#}");
    let out = slice(&told, "12");
    assert_eq!(out["running"], "excluded", "{told:#}");
    assert_eq!(out["release"], Value::Null);
    assert_eq!(out["health"], "stopped");
    assert_eq!(slice(&told, "13")["running"], "new");
    let stray = &told["strays"][0];
    assert_eq!(stray["runs"], "nothing (excluded)");
    assert_eq!(stray["next"], "deploy up -e production");
    let why = stray["why"].as_str().expect("it says why");
    assert!(why.contains("ended with status 3"), "{why}");
    serves_but(&shop, &new, &["12"]);

    // Everywhere it is told, live and later.
    let id = told["deployment"].as_str().expect("an id");
    let shown = shop.scratch.deploy(&["show", id]).expect_code(0);
    assert!(shown.stdout.contains("excluded: stopped"), "{shown:?}");
    assert!(shown.stdout.contains("but not on web 12"), "{shown:?}");
    let status = shop
        .scratch
        .deploy_within(LIMIT, &["status", "--refresh", "--json"]);
    let status = status.expect_code(0).json();
    let production = &status["environments"][0];
    assert_eq!(production["next"], "deploy up -e production", "{production:#}");
    let there = slice(production, "12");
    assert_eq!(there["drift"], "drifted");
    assert_eq!(there["runs"], "nothing (excluded)");
    let status = shop.scratch.deploy(&["status"]).expect_code(0);
    assert!(status.stdout.contains("excluded"), "{status:?}");
    let history = shop.scratch.deploy(&["history", "--json"]).expect_code(0).json();
    assert_eq!(history["deployments"][0]["excluded"][0], "web 12", "{history:#}");
    let history = shop.scratch.deploy(&["history"]).expect_code(0);
    assert!(history.stdout.contains("not on web 12"), "{history:?}");

    // Mended, the next deployment of the same release takes it along.
    fs::remove_file(marker(&shop, "12", "broken")).expect("it is there");
    let told = up(&shop).expect_code(0).json();
    assert_eq!(strays(&told), Vec::<&str>::new(), "{told:#}");
    assert_eq!(shop.whole(), Ok(new));
    shop.scratch.deploy(&["audit", "verify"]).expect_code(0);
}

#[test]
fn one_more_than_the_budget_takes_all_back() {
    let shop = fleet(3, "1");
    let old = shop.whole().expect("one version");
    let new = shop.release(Health::Up);
    for host in ["11", "13"] {
        mark(&shop, host, "broken", &new);
    }
    let told = up(&shop).expect_code(3).json();
    assert_eq!(told["outcome"], "rolled_back", "{told:#}");
    assert_eq!(
        told["failure"]["slice"], "13",
        "the one that was too many: {told:#}"
    );
    assert_eq!(shop.whole(), Ok(old));
}

#[test]
fn half_of_the_hosts_may_be_unwell_where_the_budget_says_so() {
    let shop = fleet(4, "\"50%\"");
    let new = shop.release(Health::Up);
    for host in ["11", "14"] {
        mark(&shop, host, "sick", &new);
    }
    let told = up(&shop).expect_code(0).json();
    assert_eq!(strays(&told), ["11", "14"], "{told:#}");
    serves_but(&shop, &new, &["11", "14"]);

    // A rollback brings the old release to all of them.
    let back = shop
        .scratch
        .deploy_within(LIMIT, &["rollback", "-e", "production", "--yes", "--json"])
        .expect_code(0)
        .json();
    assert_eq!(strays(&back), Vec::<&str>::new(), "{back:#}");
    assert!(
        shop.whole().is_ok_and(|version| version != new),
        "{:?}",
        shop.whole()
    );
}

#[test]
fn a_host_that_cannot_be_stopped_takes_all_back() {
    let shop = fleet(3, "1");
    let old = shop.whole().expect("one version");
    let new = shop.release(Health::Up);
    mark(&shop, "12", "sick", &new);
    mark(&shop, "12", "stuck", "");
    let told = up(&shop).expect_code(3).json();
    let why = told["failure"]["message"].as_str().expect("it says why");
    assert!(why.contains("stop command on 12 ended with status 4"), "{told:#}");
    assert_eq!(shop.whole(), Ok(old));
}

/// Its link is cut while its restart runs: nobody knows what serves there.
#[test]
fn a_host_that_cannot_be_reached_is_never_left_out() {
    let shop = fleet(3, "1");
    let old = shop.whole().expect("one version");
    let new = shop.release(Health::Up);
    let slow = "touch \"$DEPLOY_PATH.began\"; while test -e \"$DEPLOY_PATH.hold\"; do sleep 0.1; done\nexec systemctl restart";
    rewrite(&shop, "exec systemctl restart", slow);
    shop.scratch.commit("a slow restart");
    mark(&shop, "12", "hold", "");
    let mut run = shop.scratch.spawn(&["up"]);
    let began = marker(&shop, "12", "began");
    wait::until(LIMIT, "the restart on 12", || began.exists());
    let fleet = shop.fleet().expect("it has one");
    fleet.unplug("12");
    run.until_says(LIMIT, "going back to");
    fs::remove_file(marker(&shop, "12", "hold")).expect("it is there");
    fleet.restart("12");
    let output = run.wait(LIMIT).expect_code(3);
    assert!(!output.stdout.contains("excluded"), "{output:?}");
    assert!(output.stdout.contains("12"), "it is named: {output:?}");
    assert_eq!(shop.whole(), Ok(old), "not {new}");
}

#[test]
fn a_deployer_killed_around_the_stop_ends_right() {
    let shop = fleet(3, "1");
    for point in points::STOPPING {
        let new = shop.release(Health::Up);
        mark(&shop, "12", "broken", &new);
        let mut command = shop.scratch.command(&["up"]);
        command.env("DEPLOY_FAILPOINT", point);
        let run = shop.scratch.spawn_command(command).wait(LIMIT);
        assert_eq!(run.signal, Some(9), "{point}: {run:?}");
        let told = shop
            .scratch
            .deploy_within(LIMIT, &["resume", "--json"])
            .expect_code(0)
            .json();
        assert_eq!(strays(&told), ["12"], "{point}: {told:#}");
        serves_but(&shop, &new, &["12"]);
        fs::remove_file(marker(&shop, "12", "broken")).expect("it is there");
        up(&shop).expect_code(0);
        assert_eq!(shop.whole(), Ok(new), "{point}");
    }
}

const CANARY: &str = "[services.web.strategy]\nkind = \"canary\"\nbatch = 1\nsteps = [{ to = 1, for = \"FOR\" }, { to = \"100%\" }]\n";

#[test]
fn a_canary_that_turns_bad_while_it_is_watched_takes_only_itself_back() {
    let shop = fleet_that(4, &CANARY.replace("FOR", "1m"));
    let old = shop.whole().expect("one version");
    let before: Vec<_> = shop.hosts().iter().map(|host| restarts(&shop, host)).collect();
    let new = shop.release(Health::Up);
    mark(&shop, "11", "dying", &new);
    let told = up(&shop).expect_code(3).json();
    assert_eq!(told["outcome"], "rolled_back", "{told:#}");
    assert_eq!(told["failure"]["slice"], "11", "{told:#}");
    let took = told["duration_ms"].as_u64().expect("it took some time");
    assert!(took < 45_000, "it was not waited for to the end: {took} ms");
    assert_eq!(shop.whole(), Ok(old));
    for (host, before) in shop.hosts().iter().zip(before).skip(1) {
        assert_eq!(restarts(&shop, host), before, "{host} was touched");
    }
}

#[test]
fn after_a_canary_that_stays_well_the_rest_follows_in_batches() {
    let shop = fleet_that(3, &CANARY.replace("FOR", "2s"));
    let new = shop.release(Health::Up);
    let told = up(&shop).expect_code(0).json();
    assert_eq!(shop.whole(), Ok(new));
    let canary = slice(&told, "11")["note"].as_str().expect("it was looked at");
    assert!(canary.contains("watched for 2s"), "{told:#}");
    let id = told["deployment"].as_str().expect("an id");
    let shown = shop.scratch.deploy(&["show", id, "--json"]).expect_code(0).json();
    let events = shown["events"].as_array().expect("events");
    let batches = events.iter().filter(|event| event["type"] == "batch_intended");
    let batches: Vec<usize> = batches
        .map(|event| event["slices"].as_array().expect("slices").len())
        .collect();
    // `api` one after the other, and so `web`.
    assert_eq!(batches, [1; 6], "{shown:#}");
}

#[test]
fn a_host_has_variables_of_its_own_in_its_paths_probes_hooks_and_environment() {
    let shop = fleet_that(2, "");
    rewrite(&shop, "127.0.0.${host}", "127.0.0.${LAST}");
    let (path, own) = (shop.path_of("web", "${host}"), shop.path_of("web", "${LAST}"));
    rewrite(&shop, path.to_str().expect("text"), own.to_str().expect("text"));
    rewrite(
        &shop,
        "exec systemctl restart web-$DEPLOY_HOST",
        "exec systemctl restart web-$LAST",
    );
    for host in ["11", "12"] {
        let vars =
            format!("{{ ssh = \"{host}\", vars = {{ LAST = {host}, GREETING = \"hello ${{host}}\" }} }}");
        rewrite(
            &shop,
            &format!("{host} = {{ ssh = \"{host}\" }}"),
            &format!("{host} = {vars}"),
        );
    }
    let hook = "[services.web.hooks.greet]\nat = \"before\"\ncommand = 'echo \"$GREETING\" >\"$DEPLOY_PATH.greeting\"'\n";
    rewrite(
        &shop,
        "[environments.production]",
        &format!("{hook}[environments.production]"),
    );
    let new = shop.release(Health::Up);
    up(&shop).expect_code(0);
    assert_eq!(shop.whole(), Ok(new));
    for host in ["11", "12"] {
        let said = fs::read_to_string(marker(&shop, host, "greeting")).expect("the hook ran");
        assert_eq!(said, format!("hello {host}\n"));
        let env =
            fs::read_to_string(shop.path_of("web", host).join("current/.deploy/env")).expect("it is there");
        assert!(env.contains(&format!("GREETING=\"hello {host}\"")), "{env}");
    }
    let config = shop
        .scratch
        .deploy(&["config", "-e", "production"])
        .expect_code(0);
    let line = config
        .stdout
        .lines()
        .find(|line| line.contains("hosts.11.vars.GREETING"));
    assert!(
        line.is_some_and(|line| line.contains("hello ${host}")),
        "{config:?}"
    );

    // What one host alone has changes that host alone.
    let before = restarts(&shop, "12");
    rewrite(
        &shop,
        "LAST = 11, GREETING = \"hello ${host}\"",
        "LAST = 11, GREETING = \"good day\"",
    );
    shop.scratch.commit("another greeting");
    up(&shop).expect_code(0);
    let said = fs::read_to_string(marker(&shop, "11", "greeting")).expect("the hook ran");
    assert_eq!(said, "good day\n");
    assert_eq!(restarts(&shop, "12"), before, "it was touched");
}
