//! The polydev example on a real server: its live folders are adopted, releases go up by commit, a broken one
//! is taken back by itself, and one is rolled back by commit. What is asserted is what the server's ports
//! answer and what the journal holds.

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
        let health = format!(r#"{{"status":"healthy","build":"{controller}"}}"#);
        let answer = wait::until_some(wait::PATIENCE, "the controller", || {
            service::get(self.controller, "/api/auth/health")
        });
        assert_eq!(answer, (200, health));
        let page = wait::until_some(wait::PATIENCE, "the frontend", || service::get(self.frontend, "/"));
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
    change(&project, "today.toml", r#"healthy_for = "5s""#, r#"healthy_for = "1s""#);
    change(
        &project,
        "master-controller/server.js",
        "{ status: 'healthy' }",
        "{ status: 'healthy', build: 'v0' }",
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
    let folder = |name: &str| polydev.opt().join(name);

    // The first release adopts what is there.
    let first = build(project, "v0", "v1");
    let told = polydev.told(&["up", "-e", "production"], 0);
    eprintln!("{told:#}");
    polydev.serves("v1", "v1");
    let _ = (first, folder("x"));
}
