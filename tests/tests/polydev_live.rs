//! The polydev example on a real server: its live folders are adopted, releases go up by commit, a broken one
//! is taken back by itself, and one is rolled back by commit. What is asserted is what the server's ports
//! answer and what the journal holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails there")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use deploy_tests::process::{self, Output};
use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd, free_port};
use deploy_tests::{service, wait};
use serde_json::Value;

/// npm is slow to start on a busy machine, and some of these deployments run it three times.
const LONG: Duration = Duration::from_mins(3);

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples/polydev")
}

/// The project, and a server that has run it from plain folders until now.
struct Polydev {
    project: Scratch,
    fleet: Fleet,
    controller: u16,
    frontend: u16,
}

impl Polydev {
    fn live() -> Self {
        let project = checkout();
        let fleet = Sshd::named(&["server"]);
        let polydev = Self {
            project,
            fleet,
            controller: free_port("127.0.0.1"),
            frontend: free_port("127.0.0.1"),
        };
        polydev.give_npm();
        polydev.run_from_plain_folders();
        let whoami = process::run(Command::new("id").arg("-un"), wait::PATIENCE);
        let project = &polydev.project;
        fs::create_dir(project.path("ops")).unwrap();
        fs::copy(polydev.fleet.ssh_config(), project.path("ops/ssh_config")).unwrap();
        change(
            project,
            "today.toml",
            "branches = [\"main\"]",
            "branches = [\"main\"]\nssh_config = \"ops/ssh_config\"",
        );
        project.commit("How the server is reached");
        for (name, value) in [
            ("DEPLOY_SERVER", "server"),
            ("DEPLOY_USER", whoami.expect_code(0).stdout.trim()),
            ("DATABASE_URL", "postgres://polydev:swordfish-7@db/polydev"),
            ("POLYDEV_ROOT", polydev.opt().to_str().unwrap()),
            ("CONTROLLER_PORT", &polydev.controller.to_string()),
            ("FRONTEND_PORT", &polydev.frontend.to_string()),
            ("HEALTH_CHECK_TIMEOUT", "20"),
            ("DEPLOY_BAKE", "1s"),
        ] {
            project.set(name, value);
        }
        polydev
    }

    fn opt(&self) -> PathBuf {
        self.fleet.host("server").root().join("opt")
    }

    /// npm on the server, which writes down each of its runs and needs no network.
    fn give_npm(&self) {
        let server = self.fleet.host("server");
        let npm = process::require("npm", "npm");
        let script = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
            self.npm_runs().display(),
            npm.display()
        );
        let file = server.bin().join("npm");
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let settings = "offline=true\naudit=false\nfund=false\nupdate-notifier=false\n";
        fs::write(server.home().join(".npmrc"), settings).unwrap();
    }

    fn npm_runs(&self) -> PathBuf {
        self.fleet.host("server").root().join("npm-runs")
    }

    /// How often npm ran on the server.
    fn installs(&self) -> usize {
        fs::read_to_string(self.npm_runs())
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// As it was before there was `deploy`: copied by hand, started by the units.
    fn run_from_plain_folders(&self) {
        let server = self.fleet.host("server");
        let opt = self.opt();
        let build = "npm --prefix master-controller install --omit=dev && cd frontend && npm run build";
        self.shell(build).expect_code(0);
        for (unit, tree, port) in [
            ("master-controller", "master-controller", self.controller),
            ("polydev-frontend", "frontend/.next/standalone", self.frontend),
        ] {
            let live = opt.join(unit);
            let copy = format!(
                "mkdir -p '{0}' && cp -a '{1}/.' '{0}'",
                live.display(),
                self.project.path(tree).display()
            );
            self.shell(&copy).expect_code(0);
            let file = example().join(format!("systemd/{unit}@.service"));
            service::install_file(&server.units(), &file, &[("/opt", opt.to_str().unwrap())]);
            self.fleet
                .ssh("server", &format!("systemctl restart '{unit}@{port}'"))
                .expect_code(0);
        }
        self.project.git(&["clean", "-fdxq"]);
        self.serves("v0", "v0");
    }

    fn shell(&self, script: &str) -> Output {
        let mut command = self.project.command_of(Path::new("sh"));
        process::run(command.args(["-c", script]), LONG)
    }

    fn deploy(&self, words: &[&str]) -> Output {
        let words = [&["-f", "today.toml"], words].concat();
        self.project.deploy_within(LONG, &words)
    }

    /// The last line of `--json`, with its exit code.
    fn told(&self, words: &[&str], code: i32) -> Value {
        self.deploy(&[&["--json"], words].concat())
            .expect_code(code)
            .json()
    }

    /// Both ports answer, each with the release that is named.
    #[track_caller]
    fn serves(&self, controller: &str, frontend: &str) {
        let build = wait::until_some(wait::PATIENCE, "the controller", || {
            service::get(self.controller, "/api/build")
        });
        assert_eq!(build, (200, format!(r#"{{"build":"{controller}"}}"#)));
        let health = service::get(self.controller, "/api/auth/health");
        assert_eq!(health, Some((200, r#"{"status":"healthy"}"#.to_owned())));
        let page = wait::until_some(wait::PATIENCE, "the frontend", || {
            service::get(self.frontend, "/")
        });
        assert_eq!(page.0, 200);
        assert!(
            page.1.contains(&format!("<!-- {frontend} -->")),
            "wanted {frontend}: {}",
            page.1
        );
    }

    /// What a folder of the server is, and what is in its file `name`.
    #[track_caller]
    fn live_file(&self, folder: &str, name: &str) -> String {
        fs::read_to_string(self.opt().join(folder).join(name)).unwrap()
    }
}

/// The example in a checkout of its own, with a mark in what each service answers.
fn checkout() -> Scratch {
    let project = Scratch::new();
    let listed = process::run(
        Command::new("git")
            .args(["-c", "safe.directory=*", "ls-files", "-z", "."])
            .current_dir(example()),
        wait::PATIENCE,
    );
    for file in listed
        .expect_code(0)
        .stdout
        .split('\0')
        .filter(|file| !file.is_empty())
    {
        project.copy_file(&example().join(file), file);
    }
    project.set("npm_config_offline", "true");
    project.set("npm_config_update_notifier", "false");
    // A shorter window than the real one's, for the sake of the test's time.
    change(
        &project,
        "today.toml",
        r#"healthy_for = "5s""#,
        r#"healthy_for = "1s""#,
    );
    change(
        &project,
        "master-controller/server.js",
        "    } else {\n      json(response, 404",
        "    } else if (pathname === '/api/build') {\n      json(response, 200, { build: 'v0' });\n    } else {\n      json(response, 404",
    );
    let index = fs::read_to_string(project.path("frontend/app/index.html")).unwrap();
    project.write("frontend/app/index.html", format!("{index}<!-- v0 -->\n"));
    project.write("vm-agent/BUILD", "v0\n");
    project.git(&["config", "user.email", "vera@polydev.ai"]);
    project.git(&["config", "user.name", "Vera"]);
    project.commit("What runs today");
    project
}

#[track_caller]
fn change(project: &Scratch, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(project.path(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from}");
    project.write(file, text.replace(from, to));
}

/// A commit in which all three services are another build.
fn build(project: &Scratch, from: &str, to: &str) -> String {
    change(
        project,
        "master-controller/server.js",
        &format!("'{from}'"),
        &format!("'{to}'"),
    );
    change(
        project,
        "frontend/app/index.html",
        &format!("<!-- {from} -->"),
        &format!("<!-- {to} -->"),
    );
    project.write("vm-agent/BUILD", format!("{to}\n"));
    project.commit(&format!("Build {to}"))
}

#[test]
fn it_goes_up_breaks_goes_back_and_is_rolled_back_by_commit() {
    let polydev = Polydev::live();
    let project = &polydev.project;
    polydev.serves("v0", "v0");
    let before = polydev.installs();

    // The first release adopts what is there: the paths go on to work, as links to what serves.
    let first = build(project, "v0", "v1");
    let told = polydev.told(&["up", "-e", "production"], 0);
    assert_eq!(told["outcome"], "succeeded");
    assert_eq!(told["commit"], first);
    polydev.serves("v1", "v1");
    assert_eq!(polydev.live_file("polydev-ai/vm-agent/current", "BUILD"), "v1\n");
    for name in ["master-controller", "polydev-frontend"] {
        let path = polydev.opt().join(name);
        assert!(
            fs::symlink_metadata(&path).unwrap().is_symlink(),
            "{name} is a link"
        );
        assert!(path.join("server.js").is_file(), "and its path still works");
        assert!(polydev.opt().join(format!("{name}.deploy")).is_dir());
    }
    let secrets = fs::read_to_string(polydev.opt().join("master-controller/.deploy/env")).unwrap();
    assert!(secrets.contains("DATABASE_URL=\"postgres://polydev:swordfish-7@db/polydev\""));
    let installed = polydev.installs();
    assert!(installed > before, "the first release installs");

    // The second changes no package.json: what the first installed is carried over.
    let second = build(project, "v1", "v2");
    polydev.told(&["up", "-e", "production"], 0);
    polydev.serves("v2", "v2");
    assert_eq!(
        polydev.installs(),
        installed,
        "nothing is installed where package.json is as it was"
    );
    assert!(
        polydev
            .opt()
            .join("master-controller/node_modules/@polydev/guard/index.js")
            .is_file()
    );

    // Where it changed, npm runs again.
    for file in ["package.json", "package-lock.json"] {
        let file = format!("master-controller/{file}");
        change(
            project,
            &file,
            "\"version\": \"1.0.0\",\n",
            "\"version\": \"1.1.0\",\n",
        );
    }
    let third = build(project, "v2", "v3");
    polydev.told(&["up", "-e", "production"], 0);
    polydev.serves("v3", "v3");
    assert_eq!(polydev.installs(), installed + 1);

    // One that passes its own tests and is not healthy on the server is taken back without anybody.
    change(
        project,
        "master-controller/server.js",
        "{ status: 'healthy' }",
        "{ status: process.env.PORT ? 'starting' : 'healthy' }",
    );
    let broken = build(project, "v3", "v4");
    let told = polydev.told(&["up", "-e", "production"], 3);
    assert_eq!(told["outcome"], "rolled_back");
    assert_eq!(told["failure"]["code"], "DPL0601");
    assert_eq!(told["failure"]["service"], "controller");
    polydev.serves("v3", "v3");
    assert_eq!(polydev.live_file("polydev-ai/vm-agent/current", "BUILD"), "v3\n");
    let id = told["deployment"].as_str().unwrap();
    let shown = polydev.deploy(&["show", id]).expect_code(0).stdout;
    assert!(
        shown.contains("starting"),
        "what was seen is in the journal: {shown}"
    );

    // A bad release does not come again by mistake.
    let refused = polydev.told(&["up", "-e", "production", "--commit", &broken], 6);
    assert_eq!(refused["changed"], false);
    polydev.serves("v3", "v3");

    // Who may not roll back is told who may.
    project.git(&["config", "user.email", "mallory@polydev.ai"]);
    polydev
        .deploy(&["rollback", "-e", "production", "--to", &first[..7]])
        .expect_code(7);
    polydev.serves("v3", "v3");

    // Back by commit, as people write one.
    project.git(&["config", "user.email", "vera@polydev.ai"]);
    let told = polydev.told(&["rollback", "-e", "production", "--to", &first[..7]], 0);
    assert_eq!(
        (told["kind"].as_str(), told["commit"].as_str()),
        (Some("rollback"), Some(first.as_str()))
    );
    polydev.serves("v1", "v1");
    assert_eq!(polydev.live_file("polydev-ai/vm-agent/current", "BUILD"), "v1\n");

    // Everything is in the journal, whole and without the secret.
    let history = polydev.told(&["history"], 0);
    let outcomes: Vec<_> = history["deployments"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|deployment| deployment["phase"].as_str())
        .collect();
    assert_eq!(outcomes.first(), Some(&"succeeded"), "{history:#}");
    assert!(outcomes.contains(&"rolled_back"), "{history:#}");
    polydev.deploy(&["audit", "verify"]).expect_code(0);
    let journal = polydev.deploy(&["--events", "audit"]).expect_code(0).stdout;
    assert!(!journal.contains("swordfish"));
    for commit in [&first, &second, &third, &broken] {
        assert!(journal.contains(commit.as_str()));
    }
    let status = polydev.told(&["status", "-e", "production", "--refresh"], 0);
    assert_eq!(status["environments"][0]["commit"], first, "{status:#}");
    for service in status["environments"][0]["services"].as_array().unwrap() {
        assert_eq!(service["drift"], "none", "{service:#}");
    }
}

#[test]
fn gates_hold_and_one_target_goes_alone() {
    let polydev = Polydev::live();
    let project = &polydev.project;

    // From another branch nothing goes to production.
    project.branch("feature/x");
    build(project, "v0", "x1");
    let told = polydev.told(&["up", "-e", "production"], 6);
    assert_eq!(told["unmet"][0]["gate"], "branch", "{told:#}");
    polydev.serves("v0", "v0");
    project.branch("main");

    // Nor does what fails its own tests.
    change(
        project,
        "master-controller/server.js",
        "{ status: 'healthy' }",
        "{ status: 'ill' }",
    );
    project.commit("Break the health");
    let told = polydev.told(&["up", "-e", "production"], 6);
    assert_eq!(told["unmet"][0]["gate"], "check", "{told:#}");
    polydev.serves("v0", "v0");
    project.git(&["revert", "--no-edit", "HEAD"]);

    // Nor what is not committed.
    project.write("vm-agent/BUILD", "dirty\n");
    polydev.deploy(&["up", "-e", "production"]).expect_code(1);
    project.git(&["checkout", "-q", "vm-agent/BUILD"]);

    let whole = build(project, "v0", "v1");
    polydev.told(&["up", "-e", "production"], 0);
    polydev.serves("v1", "v1");

    // The controller alone; the rest is what runs there.
    let part = build(project, "v1", "v2");
    polydev.told(&["up", "-e", "production", "-s", "controller"], 0);
    polydev.serves("v2", "v1");
    assert_eq!(polydev.live_file("polydev-ai/vm-agent/current", "BUILD"), "v1\n");
    let releases = polydev.deploy(&["--json", "releases"]).expect_code(0).stdout;
    assert!(
        releases.contains(&whole) && releases.contains(&part),
        "{releases}"
    );
}

#[test]
fn an_old_manifest_is_imported() {
    let project = Scratch::new();
    project.write(
        ".deploy.yaml",
        "version: \"1.0\"\n\
         name: polydev\n\
         targets:\n\
         \x20 controller:\n\
         \x20   path: /opt/master-controller\n\
         \x20   source: master-controller/\n\
         \x20   restart: systemctl restart master-controller\n\
         \x20   health_check: http://localhost:4000/api/auth/health\n\
         \x20   post_deploy: npm install --omit=dev\n\
         \x20 frontend:\n\
         \x20   path: /opt/polydev-frontend\n\
         \x20   build_command: npm ci && npm run build\n\
         \x20   source: frontend/\n\
         \x20   health_check: http://localhost:3000/api/health\n",
    );
    project.write("master-controller/package.json", "{}\n");
    project.write("frontend/package.json", "{}\n");
    project.set("DEPLOY_SERVER", "polydev.example");
    project.set("DEPLOY_USER", "root");
    project.deploy(&["import"]).expect_code(0);
    let manifest = fs::read_to_string(project.path("deploy.toml")).unwrap();
    for wanted in [
        "root@polydev.example",
        "/opt/master-controller",
        "npm install --omit=dev",
        "npm ci && npm run build",
        "http://localhost:4000/api/auth/health",
    ] {
        assert!(manifest.contains(wanted), "{wanted}: {manifest}");
    }
    project.deploy(&["check"]).expect_code(0);
}
