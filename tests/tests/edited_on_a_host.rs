//! Somebody edits a file of the release that runs on a host: who says so, in which words, and what it holds up.

use std::fs;
use std::time::Duration;

use deploy_tests::shop::{Health, Shop, Where};

const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn an_edited_file_is_drift_by_its_name() {
    let shop = Shop::new(Where::Local, 1);
    let run = |arguments: &[&str]| shop.scratch.deploy_within(LIMIT, arguments);
    run(&["up"]).expect_code(0);
    run(&["verify", "-e", "production"]).expect_code(0);
    let host = &shop.hosts()[0];
    let file = shop.path_of("api", host).join("current/notes.txt");
    assert!(!file.exists(), "an extra file is a service's own");
    fs::write(&file, "of the service").expect("it may write where it lives");
    run(&["verify", "-e", "production"]).expect_code(0);

    let file = shop.path_of("api", host).join("current/VERSION");
    fs::write(&file, "9").expect("it is there");
    let said = run(&["verify", "-e", "production"]).expect_code(1);
    assert!(said.stdout.contains("VERSION: other content"), "{said:?}");
    let said = run(&["verify", "-e", "production", "--json"])
        .expect_code(1)
        .json();
    assert_eq!(said["well"], false, "{said}");
    assert_eq!(said["healthy"], true, "{said}");
    assert_eq!(said["drift"], "drifted", "{said}");
    let status = run(&["status", "--refresh", "--json"]).expect_code(0).json();
    let services = &status["environments"][0]["services"];
    let of = |name: &str| {
        let services = services.as_array().expect("a list");
        services
            .iter()
            .find(|service| service["service"] == name)
            .expect(name)
    };
    assert_eq!(of("api")["drift"], "drifted", "{status}");
    assert_eq!(of("api")["slices"][0]["edited"][0], "VERSION: other content");
    assert_eq!(of("web")["drift"], "none", "{status}");
    let status = run(&["status", "--refresh"]).expect_code(0);
    assert!(
        status.stdout.contains("drifted: VERSION: other content"),
        "{status:?}"
    );

    // A release goes over it, and a bad one goes back to what was found, saying what that is.
    shop.release(Health::Down);
    let back = run(&["up"]).expect_code(3);
    assert!(back.stdout.contains("VERSION: other content"), "{back:?}");
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "9");
    let good = shop.release(Health::Up);
    run(&["up"]).expect_code(0);
    assert_eq!(shop.whole(), Ok(good));
    run(&["verify", "-e", "production"]).expect_code(0);
}

/// What is not there cannot be taken from there for the next release: it is sent.
#[test]
fn a_file_that_is_gone_holds_no_release_up() {
    for place in [Where::Local, Where::Ssh] {
        let shop = Shop::new(place, 1);
        let run = |arguments: &[&str]| shop.scratch.deploy_within(LIMIT, arguments);
        shop.scratch.write("api/always", "the same");
        shop.release(Health::Up);
        run(&["up"]).expect_code(0);
        let gone = shop.path_of("api", &shop.hosts()[0]).join("current/always");
        fs::remove_file(&gone).expect("it is there");
        let next = shop.release(Health::Up);
        run(&["up"]).expect_code(0);
        assert_eq!(shop.whole(), Ok(next));
        assert!(gone.exists());
    }
}
