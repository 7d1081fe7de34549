//! Manifests, checkouts, secrets and hosts that are wrong.

use deploy_tests::{process, wait};
use insta::assert_snapshot;

use crate::world::{MANIFEST, look, next, on_a_server, recovers, serves, shop, up, without_web};

#[test]
fn a_place_that_another_environment_has() {
    let shop = up(MANIFEST);
    next(&shop, "v2");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    shop.write(
        "deploy.toml",
        format!("{MANIFEST}[environments.staging]\nafter = [\"development\"]\n[environments.staging.hosts]\nthere = {{ local = true }}\n"),
    );
    shop.commit("Staging where development is");
    for command in [
        ["up", "-e", "development"],
        ["plan", "-e", "development"],
        ["promote", "-e", "staging"],
    ] {
        let output = shop.deploy(&command).expect_code(2);
        assert!(
            output
                .stderr
                .contains("web of development and web of staging are both in live/web on there"),
            "{output:?}"
        );
    }
    // Going back is held up by no such thing, and takes what git calls a release's commit.
    shop.deploy(&["rollback", "-e", "development", "--to", "HEAD~2"])
        .expect_code(0);
    assert_eq!(serves(&shop, "web"), "v1\n");
    next(&shop, "v3");
    let none = shop.deploy(&["rollback", "-e", "development", "--to", "HEAD"]);
    assert!(
        none.stderr.contains(", and no release was made of it [DPL"),
        "{none:?}"
    );
}

#[test]
fn manifests_that_cannot_be_read_as_meant() {
    let shop = up(MANIFEST);
    let unreadable = [MANIFEST.as_bytes(), b"# \xff\n"].concat();
    for (name, bytes) in [
        (
            "an unknown key",
            MANIFEST.replace("restart =", "restrat =").into_bytes(),
        ),
        (
            "a wrong type",
            MANIFEST.replace("needs = [\"api\"]", "needs = 7").into_bytes(),
        ),
        (
            "a circle of needs",
            MANIFEST
                .replace(
                    "[services.api.ssh]",
                    "[services.api]\nneeds = [\"web\"]\n[services.api.ssh]",
                )
                .into_bytes(),
        ),
        (
            "a circle of after",
            MANIFEST
                .replace(
                    "[environments.development.hosts]",
                    "[environments.staging]\nafter = [\"development\"]\n[environments.staging.hosts]\nthere = { local = true }\n\
                     [environments.development]\n\
                     after = [\"staging\"]\n[environments.development.hosts]",
                )
                .into_bytes(),
        ),
        (
            "an unsupported strategy",
            MANIFEST
                .replace(
                    "[services.web.ssh]",
                    "[services.web.strategy]\nkind = \"blue-green\"\n[services.web.ssh]",
                )
                .into_bytes(),
        ),
        ("not UTF-8", unreadable),
        (
            "ten megabytes",
            [MANIFEST.as_bytes(), &vec![b'#'; 10 << 20]].concat(),
        ),
    ] {
        shop.write("deploy.toml", bytes);
        let output = shop.deploy(&["up", "-e", "development"]);
        assert_eq!(serves(&shop, "web"), "v1\n", "{name}");
        assert_snapshot!(name, look(&shop, &output));
    }
    shop.write("deploy.toml", MANIFEST);
    recovers(&shop);
}

#[test]
fn not_a_checkout() {
    let shop = shop(MANIFEST);
    std::fs::remove_dir_all(shop.path(".git")).unwrap();
    assert_snapshot!(look(&shop, &shop.deploy(&["up", "-e", "development"])));
    shop.git(&["init", "-q", "-b", "main"]);
    shop.commit("As the message says");
    recovers(&shop);
}

#[test]
fn a_dirty_tree_and_a_commit_that_is_not_there() {
    let shop = up(MANIFEST);
    shop.write("web/page", "changed\n");
    assert_snapshot!(
        "a dirty tree",
        look(&shop, &shop.deploy(&["up", "-e", "development"]))
    );
    shop.git(&["checkout", "-q", "."]);
    let missing = "0123456789abcdef0123456789abcdef01234567";
    let output = shop.deploy(&["up", "-e", "development", "--commit", missing]);
    assert_snapshot!("a commit that is not there", look(&shop, &output));
    assert_eq!(serves(&shop, "web"), "v1\n");
    recovers(&shop);
}

/// What the job deploys is in `main` one commit below its tip: that is known only where history goes deep enough.
#[test]
fn a_shallow_and_detached_checkout_as_ci_makes_it() {
    // One place for whoever deploys: a checkout of CI's lies elsewhere.
    let live = tempfile::tempdir().expect("a folder");
    let here = format!("path = \"{}/", live.path().display());
    let manifest =
        MANIFEST.replace("path = \"live/", &here) + "[environments.development]\nbranches = [\"main\"]\n";
    let page_there = || std::fs::read_to_string(live.path().join("web/current/page")).unwrap_or_default();
    let shop = crate::world::shop(&manifest);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    let second = next(&shop, "v2");
    next(&shop, "v3");
    let job = crate::world::shop(&manifest);
    for (name, depth, code, page) in [
        ("one commit deep", "1", 6, "v1\n"),
        ("deep enough", "2", 0, "v2\n"),
    ] {
        std::fs::remove_dir_all(job.path(".git")).unwrap();
        let from = format!("file://{}", shop.project().display());
        job.git(&["init", "-q", "-b", "work"]);
        let tip = "main:refs/remotes/origin/main";
        job.git(&["fetch", "-q", "--depth", depth, &from, tip]);
        job.git(&["fetch", "-q", "--depth", "1", &from, &second]);
        job.git(&["checkout", "-q", "-f", "--detach", &second]);
        let mut command = job.command(&["up", "-e", "development"]);
        command
            .env("CI", "true")
            .env("DEPLOY_STATE", shop.path(".deploy/state.db"));
        let output = process::run(&mut command, wait::PATIENCE).expect_code(code);
        assert_eq!(page_there(), page, "{output:?}");
        assert_snapshot!(
            name,
            look(&job, &output)
                .replace(&shop.root().display().to_string(), "[state]")
                .replace(&second[..7], "[commit]")
        );
    }
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(page_there(), "v3\n");
}

#[test]
fn a_secret_without_a_value() {
    let manifest = MANIFEST.replace("needs = [\"api\"]", "needs = [\"api\"]\nsecrets = [\"TOKEN\"]")
        + "[environments.development.secrets]\nTOKEN = { env = \"SHOP_TOKEN\" }\n";
    let shop = shop(&manifest);
    assert_snapshot!(look(&shop, &shop.deploy(&["up", "-e", "development"])));
    assert_eq!(serves(&shop, "api") + &serves(&shop, "web"), "");
    shop.set("SHOP_TOKEN", "swordfish-7");
    recovers(&shop);
}

#[test]
fn a_service_dropped_while_it_runs() {
    let shop = up(MANIFEST);
    shop.write("deploy.toml", without_web(MANIFEST));
    next(&shop, "v2");
    let plan = shop.deploy(&["plan", "-e", "development"]).expect_code(0);
    assert!(plan.stdout.contains("web: dropped"), "{plan:?}");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(
        (serves(&shop, "api").as_str(), serves(&shop, "web").as_str()),
        ("v2\n", "")
    );
    shop.write("deploy.toml", MANIFEST);
    recovers(&shop);
}

#[test]
fn hosts_that_cannot_be_trusted_or_reached() {
    let (shop, fleet) = on_a_server();
    let page = fleet.host("web-1").root().join("web/current/page");
    next(&shop, "v2");
    fleet.kill("web-1");
    let output = shop.deploy(&["up", "-e", "development"]);
    assert_snapshot!("a host that cannot be reached", look(&shop, &output));
    fleet.restart("web-1");
    fleet.change_host_key("web-1");
    let output = shop.deploy(&["up", "-e", "development"]);
    assert_snapshot!("a changed host key", look(&shop, &output));
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "v1\n");
    fleet.pin();
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(std::fs::read_to_string(&page).unwrap(), "v2\n");
}
