//! The fixtures themselves: a fixture that lies makes every test above it lie.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use deploy_tests::scratch::Scratch;
use deploy_tests::service::{self, Behaviour, Unit, WebRelease};
use deploy_tests::sshd::{MARK, Sshd, free_port};
use deploy_tests::{process, procs, wait};

#[test]
fn a_command_runs_on_each_host_with_its_own_home_and_mark() {
    let fleet = Sshd::start(3);
    for host in fleet.hosts() {
        let output = fleet.ssh(
            host.name(),
            "echo $HOME; echo $SSH_CONNECTION; command -v systemctl; exit 7",
        );
        let output = output.expect_code(7);
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], host.home().display().to_string());
        assert!(
            lines[1].ends_with(&format!("{} {}", host.address(), host.port())),
            "{lines:?}"
        );
        assert_eq!(lines[2], host.bin().join("systemctl").display().to_string());
    }
    let keys = fs::read_to_string(fleet.known_hosts()).unwrap();
    let mut keys: Vec<&str> = keys.lines().filter_map(|line| line.split(' ').nth(2)).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 3, "each host has a key of its own");
}

#[test]
fn a_killed_host_refuses_loses_its_daemons_and_boots_again() {
    let fleet = Sshd::named(&["stage-1", "prod-1"]);
    let daemon = "setsid sh -c 'sleep 600; true' >/dev/null 2>&1 </dev/null & echo started";
    for name in ["stage-1", "prod-1"] {
        fleet.ssh(name, daemon).expect_code(0);
        wait::until(wait::PATIENCE, "the daemon", || {
            !fleet.host(name).processes().is_empty()
        });
    }
    fleet.kill("stage-1");
    assert!(fleet.host("stage-1").processes().is_empty());
    let refused = fleet.ssh("stage-1", "true").expect_code(255);
    assert!(refused.stderr.contains("Connection refused"), "{refused:?}");
    fleet.ssh("prod-1", "true").expect_code(0);
    assert!(
        !fleet.host("prod-1").processes().is_empty(),
        "another host's daemons live"
    );

    fleet.restart("stage-1");
    fleet.ssh("stage-1", "true").expect_code(0);
}

#[test]
fn an_unplugged_host_refuses_and_its_daemons_live() {
    let fleet = Sshd::start(1);
    let host = fleet.host("host-1");
    fleet
        .ssh(
            "host-1",
            "setsid sleep 600 >/dev/null 2>&1 </dev/null & echo started",
        )
        .expect_code(0);
    let scratch = Scratch::new();
    let mut session = Command::new("ssh");
    session
        .arg("-F")
        .arg(fleet.ssh_config())
        .args(["host-1", "echo inside; sleep 600"]);
    let mut session = scratch.spawn_command(session);
    session.until_says(wait::PATIENCE, "inside");

    fleet.unplug("host-1");
    session.wait(wait::PATIENCE).expect_code(255);
    fleet.ssh("host-1", "true").expect_code(255);
    wait::until(wait::PATIENCE, "the daemon", || !host.processes().is_empty());
    fleet.restart("host-1");
    fleet.ssh("host-1", "true").expect_code(0);
    assert!(!host.processes().is_empty(), "plugging in is no boot");
}

#[test]
fn a_stopped_host_accepts_and_is_silent_until_it_goes_on() {
    let fleet = Sshd::start(1);
    let scratch = Scratch::new();
    fleet.stop("host-1");
    let host = fleet.host("host-1");
    TcpStream::connect((host.address(), host.port())).unwrap();
    let ssh = |timeout: &str| {
        let mut command = Command::new("ssh");
        command
            .arg("-F")
            .arg(fleet.ssh_config())
            .args(["-o", timeout, "host-1", "echo awake"]);
        command
    };
    let silent = process::run(&mut ssh("ConnectTimeout=1"), wait::PATIENCE).expect_code(255);
    assert!(silent.stderr.contains("timed out"), "{silent:?}");
    let mut waiting = scratch.spawn_command(ssh("ConnectTimeout=30"));
    fleet.cont("host-1");
    assert_eq!(waiting.wait(wait::PATIENCE).expect_code(0).stdout, "awake\n");
}

#[test]
fn a_changed_host_key_is_detected_until_it_is_pinned() {
    let fleet = Sshd::start(2);
    fleet.change_host_key("host-2");
    let refused = fleet.ssh("host-2", "true").expect_code(255);
    assert!(
        refused.stderr.contains("REMOTE HOST IDENTIFICATION HAS CHANGED"),
        "{refused:?}"
    );
    fleet.ssh("host-1", "true").expect_code(0);
    fleet.pin();
    fleet.ssh("host-2", "true").expect_code(0);
}

#[test]
fn a_fleet_leaves_nothing_behind() {
    let fleet = Sshd::start(1);
    fleet
        .ssh("host-1", "setsid sleep 600 >/dev/null 2>&1 </dev/null & true")
        .expect_code(0);
    let (address, port) = (fleet.hosts()[0].address().to_owned(), fleet.hosts()[0].port());
    let left = fleet.hosts()[0].processes();
    let folder = fleet.ssh_config().parent().unwrap().to_owned();
    drop(fleet);
    assert!(!left.is_empty() && left.iter().all(|pid| !procs::runs(*pid)));
    TcpStream::connect((address, port)).unwrap_err();
    assert!(!folder.exists());
}

#[test]
fn a_fleet_ends_with_its_owner_even_when_that_is_killed() {
    let mut owner = Command::new(env!("CARGO_BIN_EXE_deploy-test-fleet"))
        .args(["alone"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said =
        serde_json::Deserializer::from_reader(owner.stdout.take().unwrap()).into_iter::<serde_json::Value>();
    let fleet = said.next().unwrap().unwrap();
    let config = fleet["ssh_config"].as_str().unwrap();
    let port = u16::try_from(fleet["hosts"][0]["port"].as_u64().unwrap()).unwrap();
    let address = fleet["hosts"][0]["address"].as_str().unwrap();
    let folder = Path::new(config).parent().unwrap();
    let mark = format!("{MARK}={}/alone", folder.display());
    let daemon = "setsid sleep 600 >/dev/null 2>&1 </dev/null & true";
    process::run(
        Command::new("ssh").args(["-F", config, "alone", daemon]),
        wait::PATIENCE,
    )
    .expect_code(0);
    assert!(!procs::with_mark(&mark).is_empty());

    owner.kill().unwrap();
    owner.wait().unwrap();
    wait::until(wait::PATIENCE, "sshd, daemon and folder to be gone", || {
        TcpStream::connect((address, port)).is_err() && procs::with_mark(&mark).is_empty() && !folder.exists()
    });
}

#[test]
fn a_service_is_restarted_by_systemctl_over_ssh() {
    let fleet = Sshd::start(1);
    let host = fleet.host("host-1");
    let port = free_port("127.0.0.1");
    let app = host.root().join("opt/web");
    WebRelease::healthy("v1").write(&app.join("releases/1"));
    WebRelease::down("v2").write(&app.join("releases/2"));
    WebRelease::behaving(
        "v3",
        Behaviour {
            exit_at_start: Some(9),
            ..Behaviour::default()
        },
    )
    .write(&app.join("releases/3"));
    let switch = |release: u32| {
        fleet
            .ssh(
                "host-1",
                &format!("ln -sfn releases/{release} {}/current", app.display()),
            )
            .expect_code(0);
    };
    let version = || {
        let body = service::get(port, "/version").unwrap().1;
        serde_json::from_str::<serde_json::Value>(&body).unwrap()
    };
    switch(1);
    Unit::web("web@", &app.join("current"), "%i").install(&host.units());
    let restart = format!("systemctl restart 'web@{port}'");

    fleet.ssh("host-1", &restart).expect_code(0);
    assert_eq!(
        service::get(port, "/health"),
        Some((200, "{\n  \"status\": \"UP\"\n}\n".to_owned()))
    );
    let first = version();
    assert_eq!(first["version"], "v1");
    switch(2);
    assert_eq!(
        version(),
        first,
        "what runs is what was started, not what lies there"
    );

    fleet.ssh("host-1", &restart).expect_code(0);
    assert_eq!(version()["version"], "v2");
    assert_ne!(version()["pid"], first["pid"]);
    assert!(service::get(port, "/health").unwrap().1.contains("DOWN"));
    assert_eq!(
        fleet
            .ssh("host-1", &format!("systemctl is-active web@{port}"))
            .expect_code(0)
            .stdout,
        "active\n"
    );

    switch(3);
    let failed = fleet.ssh("host-1", &restart).expect_code(1);
    assert!(failed.stderr.contains("told so by behaviour.json"), "{failed:?}");
    assert_eq!(service::get(port, "/health"), None);
    fleet
        .ssh("host-1", &format!("systemctl is-active web@{port}"))
        .expect_code(3);
    fleet.ssh("host-1", "systemctl restart nothing").expect_code(1);
}

#[test]
fn a_service_is_restarted_by_a_plain_command_without_ssh() {
    let scratch = Scratch::new();
    let port = free_port("127.0.0.1");
    let behaviour = Behaviour {
        unready_answers: 1,
        flap_every: Some(3),
        ..Behaviour::default()
    };
    scratch.write_web("web", &WebRelease::behaving("v1", behaviour));
    let mut unit = Unit::web("web", &scratch.path("web"), &port.to_string());
    scratch.write("env", "# of the release\nLOG_LEVEL=warn\nQUOTED=\"a b\"\n");
    unit.environment_file = Some(scratch.path("env"));
    unit.install(&scratch.units());
    let command = service::restart_command(&scratch.units(), "web");
    process::run(Command::new("sh").args(["-c", &command]), wait::PATIENCE).expect_code(0);

    let statuses: Vec<u16> = (0..6).map(|_| service::get(port, "/health").unwrap().0).collect();
    assert_eq!(statuses, [503, 200, 503, 200, 200, 503]);
    assert_eq!(
        service::get(port, "/env/LOG_LEVEL"),
        Some((200, "warn".to_owned()))
    );
    assert_eq!(service::get(port, "/env/QUOTED"), Some((200, "a b".to_owned())));
    assert_eq!(service::get(port, "/env/SSH_AUTH_SOCK").unwrap().0, 404);
    drop(scratch);
    assert_eq!(service::get(port, "/health"), None);
}

#[test]
fn commits_are_the_same_in_every_project() {
    let make = || {
        let scratch = Scratch::new();
        scratch.write("a/b.txt", "one\n");
        scratch.write_script("run.sh", "#!/bin/sh\n");
        let first = scratch.commit("first");
        scratch.branch("develop");
        let second = scratch.commit("second");
        scratch.branch("main");
        assert_eq!(scratch.head(), first);
        (first, second)
    };
    let (first, second) = make();
    assert_ne!(first, second);
    assert_eq!(make(), (first, second));
}

#[test]
fn a_run_sees_a_cleared_environment_and_ends_with_its_project() {
    let scratch = Scratch::new();
    scratch.set("GIVEN", "yes");
    scratch.write_script(
        "tool.sh",
        "#!/bin/sh\nenv\nsetsid sleep 600 </dev/null >/dev/null 2>&1 &\necho ready\nexec sleep 600\n",
    );
    let mut command = scratch.command_of(&scratch.path("tool.sh"));
    command.arg("up");
    let mut running = scratch.spawn_command(command);
    running.until_says(wait::PATIENCE, "ready");
    let environment = running.stdout();
    assert!(environment.contains("GIVEN=yes\n"));
    assert!(environment.contains(&format!("HOME={}\n", scratch.home().display())));
    assert!(!environment.contains("CARGO"), "{environment}");
    running.stop();
    running.cont();
    let ended = running.kill9();
    assert_eq!((ended.code, ended.signal), (None, Some(9)));
    let mark = format!("{}={}", MARK, scratch.root().display());
    assert!(!procs::with_mark(&mark).is_empty());
    drop(scratch);
    assert!(procs::with_mark(&mark).is_empty());
}

#[test]
fn waiting_is_bounded_and_says_for_what() {
    let failure = std::panic::catch_unwind(|| {
        wait::until(Duration::from_millis(20), "pigs to fly", || false);
    });
    let message = *failure.unwrap_err().downcast::<String>().unwrap();
    assert!(message.contains("pigs to fly"), "{message}");
}
