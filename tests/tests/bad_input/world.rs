//! A small project on this machine or on a server, and what a run of `deploy` in it looks like.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails there")]

use std::fs;

use deploy_tests::pages;
pub(crate) use deploy_tests::pages::serves;
use deploy_tests::process::Output;
use deploy_tests::redact::Redactions;
use deploy_tests::running::Running;
use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};
use deploy_tests::wait::{PATIENCE, until};
use rustix::process::Signal;
use serde_json::Value;

/// Two services on this machine.
pub(crate) const MANIFEST: &str = r#"[project]
name = "shop"
[services.api.ssh]
source = "api/"
path = "live/api"
[services.api.health.ready]
command = "true"
healthy_for = "100ms"
[services.web]
needs = ["api"]
[services.web.ssh]
source = "web/"
path = "live/web"
restart = "echo restarted; while test -e ../../../../hold; do sleep 0.1; done"
[services.web.health.ready]
command = "true"
healthy_for = "100ms"
[environments.development.hosts]
here = { local = true }
"#;

/// A committed project that nothing was deployed of yet.
pub(crate) fn shop(manifest: &str) -> Scratch {
    let shop = Scratch::new();
    shop.write("deploy.toml", manifest);
    shop.write(".gitignore", "live/\nhold\nready\n");
    pages::next(&shop, "v1\n", "Begin");
    shop
}

/// The same, with its first release up.
pub(crate) fn up(manifest: &str) -> Scratch {
    let shop = shop(manifest);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(serves(&shop, "web"), "v1\n");
    shop
}

/// The same on a server.
pub(crate) fn on_a_server() -> (Scratch, Fleet) {
    let fleet = Sshd::named(&["web-1"]);
    let root = fleet.host("web-1").root().display().to_string();
    let manifest = MANIFEST
        .replace("path = \"live/", &format!("path = \"{root}/"))
        .replace(
            "[environments.development.hosts]\nhere = { local = true }",
            "[environments.development]\nssh_config = \"ssh_config\"\n[environments.development.hosts]\n\
             web-1 = { ssh = \"web-1\" }",
        );
    let shop = shop(&manifest);
    fs::copy(fleet.ssh_config(), shop.path("ssh_config")).unwrap();
    shop.commit("How the server is reached");
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    (shop, fleet)
}

/// A run that was stopped by nothing yet, half-way: api is on v2, web is switched and still being restarted.
pub(crate) fn half_way(shop: &Scratch) -> Running {
    next(shop, "v2");
    shop.write("hold", "");
    let run = shop.spawn(&["up", "-e", "development"]);
    until(PATIENCE, "web to be switched", || serves(shop, "web") == "v2\n");
    run
}

/// The same, killed there: nothing is held any more, and nobody drives it.
pub(crate) fn left_half_way(shop: &Scratch) {
    let mut run = half_way(shop);
    run.signal(Signal::KILL);
    run.wait(PATIENCE);
    fs::remove_file(shop.path("hold")).unwrap();
}

/// The manifest without web.
pub(crate) fn without_web(manifest: &str) -> String {
    let at = manifest.find("[services.web]").unwrap();
    let end = manifest.find("[environments").unwrap();
    format!("{}{}", &manifest[..at], &manifest[end..])
}

/// What `status` says of the environment.
#[track_caller]
pub(crate) fn status(shop: &Scratch) -> Value {
    let all = shop.deploy(&["status", "--json"]).expect_code(0).json();
    all["environments"][0].clone()
}

/// Another commit of both services.
pub(crate) fn next(shop: &Scratch, page: &str) -> String {
    pages::next(shop, &format!("{page}\n"), &format!("Page {page}"))
}

/// Exit code and messages, as a person sees them, without what differs from run to run.
pub(crate) fn look(shop: &Scratch, output: &Output) -> String {
    let rules = Redactions::new()
        .path(&shop.project(), "project")
        .path(shop.root(), "root");
    let ended = output
        .code
        .map_or_else(|| "signal".to_owned(), |code| code.to_string());
    let text = rules.apply(&format!("exit {ended}\n{}{}", output.stdout, output.stderr));
    // Short ids, keys' fingerprints and bracketed addresses are in what only these tests print.
    let words = [
        (r"\b01[0-9A-HJKMNP-TV-Z]{8}\b", "[id]"),
        (r"SHA256:[A-Za-z0-9+/]+", "SHA256:[key]"),
        (r"\[127\.[0-9.]+\]:[0-9]+", "[address]"),
        (r" [0-9a-f]{7} ", " [commit] "),
        (r"Error code \d+", "Error code [n]"),
    ];
    words.iter().fold(text, |text, (pattern, name)| {
        regex::Regex::new(pattern)
            .unwrap()
            .replace_all(&text, *name)
            .into_owned()
    })
}

/// That the next good run goes through, whatever was before.
#[track_caller]
pub(crate) fn recovers(shop: &Scratch) {
    let page = format!("after {}", shop.head());
    next(shop, &page);
    shop.deploy(&["up", "-e", "development"]).expect_code(0);
    assert_eq!(serves(shop, "web"), format!("{page}\n"));
    assert_eq!(serves(shop, "api"), format!("{page}\n"));
    shop.deploy(&["audit", "verify"]).expect_code(0);
}
