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
