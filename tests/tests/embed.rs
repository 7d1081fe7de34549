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

#[test]
fn the_example_deploys() {
    let shop = deploy_tests::scratch::Scratch::new();
    shop.write(".gitignore", "live/\n");
    shop.write(
        "deploy.toml",
        "[project]\nname = \"shop\"\n[services.web.ssh]\nsource = \"web/\"\npath = \"live\"\n\
         [services.web.health.ready]\ncommand = \"true\"\nhealthy_for = \"0s\"\n\
         [environments.development.hosts]\nhere = { local = true }\n",
    );
    shop.write("web/page", "v1");
    shop.commit("Begin");
    // Built by whoever tests `deploy-engine`, and here where nobody did.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let built = Command::new(env!("CARGO"))
        .args([
            "build",
            "--package",
            "deploy-engine",
            "--example",
            "embed",
            "--locked",
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .current_dir(root)
        .output()
        .expect("cargo runs: it runs this test");
    let messages = String::from_utf8_lossy(&built.stdout);
    let program = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message["executable"].as_str().map(str::to_owned))
        .unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&built.stderr)));
    let mut command = shop.command_of(Path::new(&program));
    command.args(["deploy.toml", "development"]);
    let result = deploy_tests::process::run(&mut command, deploy_tests::scratch::LIMIT)
        .expect_code(0)
        .json();
    assert_eq!(result["outcome"], "succeeded", "{result:#}");
    assert_eq!(result["actor"], "embed", "{result:#}");
    let page = std::fs::read_to_string(shop.path("live/current/page")).unwrap_or_default();
    assert_eq!(page, "v1");
}
