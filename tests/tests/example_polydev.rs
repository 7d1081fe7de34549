//! The polydev example is what it says it is: its own checks pass, its services run under its own unit files,
//! and the manifest for today is the whole one without what is to come.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Sshd, free_port};
use deploy_tests::{process, service, wait};
use toml::Value;

/// npm is slow to start on a busy machine.
const NPM: Duration = Duration::from_mins(3);

/// What deploy.toml has and today.toml has not, until those parts act.
const TO_COME: [&str; 8] = [
    "artifacts.golden",
    "services.schema",
    "services.image",
    "services.controller.needs",
    "services.controller.analysis",
    "environments.development.services.schema",
    "environments.development.services.image",
    "environments.production.smoke",
];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/polydev")
}

fn scratch() -> Scratch {
    let scratch = Scratch::new();
    let tracked = process::run(
        std::process::Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z", "."])
            .current_dir(example()),
        wait::PATIENCE,
    );
    for file in tracked
        .expect_code(0)
        .stdout
        .split('\0')
        .filter(|file| !file.is_empty())
    {
        scratch.copy_file(&example().join(file), file);
    }
    scratch.set("npm_config_offline", "true");
    scratch.set("npm_config_update_notifier", "false");
    scratch
}

fn run(scratch: &Scratch, script: &str) -> process::Output {
    let mut command = scratch.command_of(Path::new("sh"));
    command.args(["-c", script]);
    process::run(&mut command, NPM)
}

fn remove(value: &mut Value, path: &str) {
    let (parents, last) = path.rsplit_once('.').unwrap_or(("", path));
    let table = parents
        .split('.')
        .filter(|key| !key.is_empty())
        .try_fold(value, |value, key| value.get_mut(key));
    let removed = table
        .and_then(Value::as_table_mut)
        .and_then(|table| table.remove(last));
    assert!(
        removed.is_some(),
        "deploy.toml has no {path}: take it off the list"
    );
}

#[test]
fn today_is_the_whole_manifest_without_what_is_to_come() {
    let read = |name: &str| -> Value {
        let text = std::fs::read_to_string(example().join(name)).unwrap();
        toml::from_str(&text).unwrap()
    };
    let mut whole = read("deploy.toml");
    for path in TO_COME {
        remove(&mut whole, path);
    }
    assert_eq!(whole, read("today.toml"));
}

#[test]
fn its_checks_and_its_build_pass_without_a_network() {
    let scratch = scratch();
    run(&scratch, "npm ci && npm run lint").expect_code(0);
    run(&scratch, "npm ci && npm test").expect_code(0);
    run(&scratch, "cd frontend && npm ci && npm run build").expect_code(0);
    assert!(scratch.path("frontend/.next/standalone/server.js").is_file());
}

#[test]
fn its_services_run_under_its_own_units() {
    let scratch = scratch();
    run(
        &scratch,
        "npm --prefix master-controller install --omit=dev && cd frontend && npm run build",
    )
    .expect_code(0);
    let fleet = Sshd::named(&["server"]);
    let server = fleet.host("server");
    let root = server.root().join("opt");
    let instead = [("/opt", root.to_str().unwrap())];
    for (unit, tree, path, wanted) in [
        (
            "master-controller",
            "master-controller",
            "/api/auth/health",
            r#"{"status":"healthy"}"#,
        ),
        (
            "polydev-frontend",
            "frontend/.next/standalone",
            "/api/health",
            r#"{"status":"ok"}"#,
        ),
    ] {
        let live = root.join(unit);
        let copy = format!(
            "mkdir -p '{0}' && cp -a '{1}/.' '{0}'",
            live.display(),
            scratch.path(tree).display()
        );
        run(&scratch, &copy).expect_code(0);
        service::install_file(
            &server.units(),
            &example().join(format!("systemd/{unit}@.service")),
            &instead,
        );
        let port = free_port("127.0.0.1");
        fleet
            .ssh("server", &format!("systemctl restart '{unit}@{port}'"))
            .expect_code(0);
        let answer = wait::until_some(wait::PATIENCE, unit, || service::get(port, path));
        assert_eq!(answer, (200, wanted.to_owned()));
        if unit == "master-controller" {
            assert_eq!(service::get(port, "/api/auth/session").unwrap().0, 401);
        }
        fleet
            .ssh("server", &format!("systemctl stop '{unit}@{port}'"))
            .expect_code(0);
        assert_eq!(service::get(port, path), None);
    }
}
