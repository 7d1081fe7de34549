//! A server that takes a connection and then says nothing, as behind a firewall or on a machine that hangs.

use std::net::{TcpListener, TcpStream};

use deploy_tests::scratch::Scratch;
use deploy_tests::wait::{PATIENCE, find_within, until_some};

use crate::world::{MANIFEST, look, shop};

/// A project on one such server, and what takes its connections.
fn on_a_silent_server() -> (Scratch, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.set_nonblocking(true).expect("it can be looked at");
    let port = listener.local_addr().expect("it is bound").port();
    let server = format!("web-1 = {{ ssh = \"ssh://nobody@127.0.0.1:{port}\" }}");
    let manifest = MANIFEST
        .replace("path = \"live/", "path = \"/opt/shop/")
        .replace("here = { local = true }", &server);
    (shop(&manifest), listener)
}

fn connected(listener: &TcpListener) -> TcpStream {
    until_some(PATIENCE, "a connection", || listener.accept().ok()).0
}

#[test]
fn doctor_says_at_once_whom_it_looks_at_and_tries_once() {
    let (shop, listener) = on_a_silent_server();
    let mut run = shop.spawn(&["doctor", "-e", "development"]);
    run.until_says(PATIENCE, "looking at web-1");
    let connection = connected(&listener);
    assert!(!run.ended(), "it waits for the answer");
    drop(connection);
    let output = run.wait(PATIENCE).expect_code(1);
    insta::assert_snapshot!(look(&shop, &output), @r#"
    exit 1
      ✗ web-1      reach    ssh://nobody@[address] takes no connection just now
                   fix      try again a little later
    ✗ not all is well
    · looking at web-1
    "#);
    let more = find_within(std::time::Duration::ZERO, || listener.accept().ok());
    assert!(more.is_none(), "one server is tried once, for both services");
}

#[test]
fn status_says_what_could_not_be_looked_at_and_why() {
    let (shop, listener) = on_a_silent_server();
    let look_now = |more: &[&str], code: i32| {
        let mut run = shop.spawn(&[&["status", "--refresh"], more].concat());
        drop(connected(&listener));
        run.wait(PATIENCE).expect_code(code)
    };
    let output = look_now(&[], 8);
    insta::assert_snapshot!(look(&shop, &output), @r#"
    exit 8
    development  -  empty  looked at just now
      ? unknown    api  ssh     unknown  drift unknown
      ? unknown    web  ssh     unknown  drift unknown
      ! api, web on web-1 could not be looked at: ssh://nobody@[address] takes no connection just now
        next  try again a little later
    "#);
    let told = look_now(&["--json"], 8).json();
    let unseen = &told["environments"][0]["not_looked_at"];
    assert_eq!(unseen[0]["service"], "api", "{told:#}");
    assert_eq!(unseen[1]["service"], "web", "{told:#}");
    assert_eq!(unseen[0]["slice"], "web-1", "{told:#}");
    assert_eq!(unseen[0]["code"], "DPL0501", "{told:#}");
    assert!(
        listener.accept().is_err(),
        "one server is tried once, for both services"
    );
}

/// Whoever waits is told for whom, before there is anything else to tell.
#[test]
fn who_is_waited_for_is_said() {
    for command in ["up", "plan"] {
        let (shop, listener) = on_a_silent_server();
        let mut run = shop.spawn(&[command, "-e", "development"]);
        run.until_says(PATIENCE, "looking at web-1 for ");
        assert!(!run.ended(), "it waits for the answer");
        // It, and whoever is still in its queue, is hung up on.
        drop(listener);
        run.wait(PATIENCE).expect_code(8);
    }
}

#[test]
fn what_takes_long_to_build_says_so() {
    let shop = shop(MANIFEST);
    let go = shop.root().join("go");
    let build = format!(
        "echo fetching parts; until test -e {}; do sleep 0.1; done; mkdir out; cp api/page out",
        go.display()
    );
    let artifact = format!(
        "[artifacts.api]\nbuild = \"{build}\"\noutput = \"out\"\n[services.api]\nartifact = \"api\"\n[services.api.ssh]\n"
    );
    let manifest = MANIFEST.replace("[services.api.ssh]\nsource = \"api/\"\n", &artifact);
    shop.write("deploy.toml", manifest);
    shop.commit("Build it");
    let mut run = shop.spawn(&["up", "-e", "development"]);
    run.until_says(PATIENCE, "building api for ");
    run.until_says(PATIENCE, ": fetching parts");
    std::fs::write(go, "").expect("the build is let go on");
    run.wait(PATIENCE).expect_code(0);
}
