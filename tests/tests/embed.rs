//! The library on its own: who embeds the engine gets no command line and no platform that was not asked for.

use std::path::Path;
use std::process::Command;

fn tree(features: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--package",
            "deploy-engine",
            "--edges",
            "normal",
            "--prefix",
            "none",
            "--locked",
        ])
        .args(features)
        .current_dir(root)
        .output()
        .expect("cargo runs: it runs this test");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn has(tree: &str, name: &str) -> bool {
    tree.lines()
        .any(|line| line.split_whitespace().next() == Some(name))
}

#[test]
fn embedding_brings_neither_a_command_line_nor_a_kubernetes_client() {
    let default = tree(&[]);
    assert!(
        has(&default, "deploy-core") && has(&default, "deploy-target-ssh"),
        "the tree is the engine's"
    );
    for name in [
        "clap",
        "kube",
        "kube-client",
        "k8s-openapi",
        "indicatif",
        "openssl",
        "native-tls",
    ] {
        assert!(!has(&default, name), "{name} is in the tree of deploy-engine");
    }
    let bare = tree(&["--no-default-features"]);
    for name in ["deploy-target-ssh", "openssh"] {
        assert!(
            !has(&bare, name),
            "{name} is in the tree of deploy-engine without its ssh feature"
        );
    }
}

#[test]
fn the_example_is_as_short_as_it_is_said_to_be() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy-engine/examples/embed.rs");
    let text = std::fs::read_to_string(example).expect("the example is there");
    let body = text.split_once("async fn main").expect("it has a main").1;
    let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 32, "{lines} lines");
}
