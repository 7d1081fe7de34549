//! As which release a service answers: with the facts that it was started with, whatever is released beside it later.

use deploy_tests::process::Output;
use deploy_tests::scratch::Scratch;
use deploy_tests::wait::PATIENCE;
use std::fs;

/// Two services that know the version they were started as, and are well only if that is the one that is asked for.
fn shop() -> Scratch {
    let shop = Scratch::new();
    let root = shop.root().display().to_string();
    let service = |name: &str, needs: &str| {
        format!(
            r#"[services.{name}]
{needs}
[services.{name}.ssh]
source = "{name}/"
path = "live/{name}"
restart = "printf %s $DEPLOY_VERSION > {root}/{name}-runs; ! grep -q sick page || touch {root}/sick"
[services.{name}.health.ready]
command = "! test -e {root}/sick && test $(cat {root}/{name}-runs) = $DEPLOY_VERSION && ! grep -q bad {root}/project/live/{name}/current/page"
healthy_for = "0s"
interval = "50ms"
deadline = "1s"
"#
        )
    };
    let manifest = format!(
        "[project]\nname = \"shop\"\n{}{}[environments.development.hosts]\nhere = {{ local = true }}\n",
        service("api", ""),
        service("web", "needs = [\"api\"]"),
    );
    shop.write("deploy.toml", manifest);
    shop.write(".gitignore", "live/\n");
    shop
}

fn up(shop: &Scratch, api: &str, web: &str) -> Output {
    shop.write("api/page", api);
    shop.write("web/page", web);
    shop.commit(&format!("{api} {web}"));
    shop.deploy(&["up"])
}

fn serves(shop: &Scratch) -> [String; 2] {
    ["api", "web"].map(|service| {
        fs::read_to_string(shop.path(format!("live/{service}/current/page"))).unwrap_or_default()
    })
}

/// Nobody restarts what does not change: it goes on as what it was started as, and that is right.
#[test]
fn a_service_that_a_release_leaves_as_it_is_answers_as_before() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    for web in ["2", "3"] {
        let said = up(&shop, "1", web).expect_code(0);
        assert!(!said.stdout.contains("yanked"), "{said:?}");
        shop.deploy(&["verify"]).expect_code(0);
        let looked = shop
            .deploy(&["status", "--refresh", "--json"])
            .expect_code(0)
            .json();
        for service in looked["environments"][0]["services"]
            .as_array()
            .expect("services")
        {
            assert_eq!(service["health"], "healthy", "{looked:#}");
            assert_eq!(service["drift"], "none", "{looked:#}");
        }
    }
    // Another environment's releases, or going back, find it as it is.
    up(&shop, "1", "bad").expect_code(3);
    assert_eq!(serves(&shop), ["1", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
    up(&shop, "2", "3").expect_code(0);
    shop.deploy(&["rollback", "--to", "v2"]).expect_code(0);
    assert_eq!(serves(&shop), ["1", "2"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// What has the content of an older release is put back as what it was started as last.
#[test]
fn what_is_put_back_answers_as_it_was_started_last() {
    let shop = shop();
    for (api, web) in [("1", "1"), ("2", "2"), ("1", "3")] {
        up(&shop, api, web).expect_code(0);
    }
    let said = up(&shop, "4", "bad").expect_code(3);
    assert!(
        said.stdout.contains("rolled back: v3 serves everywhere"),
        "{said:?}"
    );
    assert_eq!(serves(&shop), ["1", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// The switch happened, and its event was never written: whoever goes on knows as what it was started all the same.
#[test]
fn a_kill_between_the_switch_and_its_event_changes_nothing() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    shop.write("api/page", "2");
    shop.write("web/page", "2");
    shop.commit("2 2");
    let mut command = shop.command(&["up"]);
    command.env("DEPLOY_FAILPOINT", "ssh.activate.after");
    let killed = shop.spawn_command(command).wait(PATIENCE);
    assert_eq!(killed.signal, Some(9), "{killed:?}");
    shop.deploy(&["resume"]).expect_code(0);
    shop.deploy(&["verify"]).expect_code(0);
    up(&shop, "2", "3").expect_code(0);
    up(&shop, "2", "bad").expect_code(3);
    assert_eq!(serves(&shop), ["2", "3"]);
    shop.deploy(&["verify"]).expect_code(0);
}

/// Going back failed, and what is there is told as what it is: by the facts of the release that it was started as.
#[test]
fn what_needs_a_human_is_looked_at_as_what_runs() {
    let shop = shop();
    up(&shop, "1", "1").expect_code(0);
    // Once web was started as that, nothing is well until somebody helps.
    up(&shop, "2", "sick").expect_code(4);
    fs::remove_file(shop.root().join("sick")).expect("somebody helps");
    let looked = shop
        .deploy(&["status", "--refresh", "--json"])
        .expect_code(0)
        .json();
    for service in looked["environments"][0]["services"]
        .as_array()
        .expect("services")
    {
        assert_eq!(service["health"], "healthy", "{looked:#}");
    }
}

#[test]
fn looking_before_anything_is_known_is_no_error() {
    let shop = shop();
    shop.write("live/api/page", "by hand");
    shop.write("api/page", "1");
    shop.write("web/page", "1");
    shop.commit("Begin");
    let looked = shop.deploy(&["status", "--refresh"]).expect_code(0);
    assert!(!looked.stdout.contains("unhealthy"), "{looked:?}");
}
