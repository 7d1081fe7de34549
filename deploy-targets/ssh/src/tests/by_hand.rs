//! What people do by hand on a host: commands and logs, on this machine and over sshd, under each shell.

use super::common::{World, bring, end, shell};
use super::shells::{busybox, only_shell};
use super::sshd::Sshd;
use crate::server::{Ended, Listener, LogSource, Order, Said, Server, Tail};
use crate::{Address, Connections};
use deploy_core::command::Command;
use deploy_core::failure::Code;
use deploy_core::port::target::Certainty;
use deploy_tests::wait;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

type Heard = Arc<Mutex<Vec<(Said, String)>>>;

fn listener() -> (Heard, Listener) {
    let heard = Heard::default();
    let to = Arc::clone(&heard);
    let listener: Listener = Arc::new(move |said, line| to.lock().unwrap().push((said, line.to_owned())));
    (heard, listener)
}

fn server(world: &World) -> Server {
    let host = &world.binding.hosts[0];
    world
        .connections
        .server(&host.name, &host.address, vec![host.path.clone()])
}

fn order(text: &str) -> Order {
    Order {
        command: Command::Shell(text.to_owned()),
        path: None,
        limit: Duration::from_secs(20),
    }
}

fn in_the_service(world: &World, text: &str) -> Order {
    Order {
        path: Some(world.path().to_str().unwrap().to_owned()),
        ..order(text)
    }
}

async fn run(server: &Server, order: &Order) -> (Ended, Vec<(Said, String)>) {
    let (_stop, stopped) = watch::channel(false);
    let (heard, listener) = listener();
    let ended = server.run(order, stopped, listener).await.unwrap();
    let heard = heard.lock().unwrap().clone();
    (ended, heard)
}

fn out(text: &str) -> (Said, String) {
    (Said::Out, text.to_owned())
}

async fn runs_as_the_service(world: World) {
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    end(&target, &op).await;
    let server = server(&world);
    let text = "cat a; echo; pwd; echo $DEPLOY_RELEASE; printf '%s\\n' \"is $TOKEN\"; echo; echo last; printf more >&2; cat; exit 3";
    let (ended, heard) = run(&server, &in_the_service(&world, text)).await;
    assert_eq!(ended, Ended::Status(3));
    let current = world.path().join("current").display().to_string();
    let lines: Vec<_> = heard.iter().filter(|(said, _)| *said == Said::Out).collect();
    let wanted = ["1", &current, "v1", "is ***", "`e'", "", "last"].map(out);
    assert_eq!(lines, wanted.iter().collect::<Vec<_>>());
    assert!(heard.contains(&(Said::Err, "more".to_owned())), "{heard:?}");
    // Without a service: as the login has it, and still without what the host knows.
    let (ended, heard) = run(&server, &order("echo \"[${DEPLOY_RELEASE-}]\" 'and $d'")).await;
    assert_eq!((ended, heard), (Ended::Status(0), vec![out("[] and $d")]));
    let hidden = server
        .secrets_in("mysql --password=\"a\\\"b\\\\c $d and a\"b\\c $d")
        .await
        .unwrap();
    assert_eq!(hidden.into_iter().collect::<Vec<_>>(), ["a\"b\\c $d"]);
}

#[tokio::test]
async fn a_command_runs_as_the_service_under_dash() {
    let mut world = World::local();
    let tools = only_shell(&world, "dash");
    world.connections = Connections::with_tools(tools);
    runs_as_the_service(world).await;
}

#[tokio::test]
async fn a_command_runs_as_the_service_under_busybox() {
    let mut world = World::local();
    let tools = busybox(&world);
    world.connections = Connections::with_tools(tools);
    runs_as_the_service(world).await;
}

#[tokio::test]
async fn a_command_runs_as_the_service_over_ssh() {
    let sshd = Sshd::start("");
    runs_as_the_service(World::at(sshd.address())).await;
}

/// A command, and a child of it, that say their process ids and would run for long.
fn long(file: &Path) -> String {
    format!(
        "sleep 600 & echo $! $$ >'{0}.new'; mv '{0}.new' '{0}'; wait",
        file.display()
    )
}

fn pids(file: &Path) -> Vec<u32> {
    let text = wait::find_within(wait::PATIENCE, || fs::read_to_string(file).ok()).expect("it began");
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

fn all_gone(pids: &[u32]) {
    wait::until(wait::PATIENCE, "the command to be gone", || {
        pids.iter().all(|pid| !deploy_tests::procs::runs(*pid))
    });
}

async fn ends_when_told(address: Address, tools: Option<fn(&World) -> std::path::PathBuf>) {
    let mut world = World::at(address);
    if let Some(tools) = tools {
        world.connections = Connections::with_tools(tools(&world));
    }
    let server = server(&world);
    let file = world.dir.path().join("pids");
    let (stop, stopped) = watch::channel(false);
    let (_, listener) = listener();
    let order = order(&long(&file));
    let running = server.run(&order, stopped, listener);
    let telling = async {
        let found = tokio::task::spawn_blocking(move || pids(&file)).await.unwrap();
        stop.send(true).unwrap();
        found
    };
    let (ended, found) = tokio::join!(running, telling);
    assert_eq!(ended.unwrap(), Ended::Stopped);
    all_gone(&found);
}

#[tokio::test]
async fn a_command_ends_when_told_here() {
    ends_when_told(Address::Local, None).await;
}

#[tokio::test]
async fn a_command_ends_when_told_under_busybox() {
    ends_when_told(Address::Local, Some(busybox)).await;
}

#[tokio::test]
async fn a_command_ends_when_told_over_ssh() {
    let sshd = Sshd::start("");
    ends_when_told(sshd.address(), None).await;
}

/// As when whoever asked is killed: nothing is said, the connection's end is all there is.
#[tokio::test]
async fn a_command_ends_with_whoever_asked() {
    let sshd = Sshd::start("");
    for address in [Address::Local, sshd.address()] {
        let world = World::at(address);
        let server = server(&world);
        let file = world.dir.path().join("pids");
        let (_stop, stopped) = watch::channel(false);
        let (_, listener) = listener();
        let order = order(&long(&file));
        let found = {
            let running = server.run(&order, stopped, listener);
            tokio::select! {
                ended = running => panic!("{ended:?}"),
                found = tokio::task::spawn_blocking(move || pids(&file)) => found.unwrap(),
            }
        };
        all_gone(&found);
    }
}

#[tokio::test]
async fn a_command_has_a_limit_and_leaves_nothing_behind() {
    let world = World::local();
    let server = server(&world);
    let file = world.dir.path().join("pids");
    let mut slow = order(&long(&file));
    slow.limit = Duration::from_secs(1);
    assert_eq!(run(&server, &slow).await.0, Ended::TimedOut);
    all_gone(&pids(&file));
    fs::remove_file(&file).unwrap();
    let left = order(&format!("sleep 600 & echo $! >'{}'", file.display()));
    assert_eq!(run(&server, &left).await.0, Ended::Status(0));
    all_gone(&pids(&file));
}

#[tokio::test]
async fn nothing_runs_where_nothing_is() {
    let world = World::local();
    let (_stop, stopped) = watch::channel(false);
    let order = in_the_service(&world, "true");
    let error = server(&world)
        .run(&order, stopped, listener().1)
        .await
        .unwrap_err();
    assert_eq!(
        (error.failure.code, error.certainty),
        (Code::NotAdopted, Certainty::NotDone)
    );
    assert!(error.failure.message.contains("there is no"), "{error:?}");
}

fn tail(lines: u64) -> Tail {
    Tail {
        lines: Some(lines),
        since: None,
        follow: false,
        limit: Duration::from_secs(20),
    }
}

#[tokio::test]
async fn logs_are_the_last_lines_and_those_to_come() {
    let mut world = World::local();
    world.binding.restart = Some(shell("true"));
    let target = world.target();
    let (op, ..) = bring(&world, &target, 1, &world.release(1, &[("a", "1")])).await;
    end(&target, &op).await;
    let logs = world.path().join("shared/log");
    fs::create_dir_all(&logs).unwrap();
    let file = logs.join("web 1.log");
    fs::write(&file, "one\ntwo\nthree with a\"b\\c $d\n").unwrap();
    let server = server(&world);
    let path = world.path().to_str().unwrap().to_owned();
    let source = LogSource::Files("shared/log/*.log".to_owned());
    let (stop, stopped) = watch::channel(false);
    let (heard, to) = listener();
    let ended = server.logs(&path, &source, &tail(2), stopped.clone(), to).await;
    assert_eq!(ended.unwrap(), Ended::Status(0));
    assert_eq!(*heard.lock().unwrap(), ["two", "three with ***"].map(out));

    let (heard, to) = listener();
    let following = Tail {
        follow: true,
        ..tail(1)
    };
    let last = Arc::clone(&heard);
    let writing = tokio::task::spawn_blocking(move || {
        let says = |text: &str| last.lock().unwrap().iter().any(|(_, line)| line == text);
        wait::until(wait::PATIENCE, "the last line", || says("three with ***"));
        fs::write(&file, "one\ntwo\nthree with a\"b\\c $d\nfour\n").unwrap();
        wait::until(wait::PATIENCE, "the next line", || says("four"));
        stop.send(true).unwrap();
    });
    let ended = server.logs(&path, &source, &following, stopped.clone(), to).await;
    writing.await.unwrap();
    assert_eq!(ended.unwrap(), Ended::Stopped);

    let source = LogSource::Files("log/none*".to_owned());
    let (_stop, stopped) = watch::channel(false);
    let error = server
        .logs(&path, &source, &tail(1), stopped, listener().1)
        .await
        .unwrap_err();
    assert!(error.failure.message.contains("no file log/none*"), "{error:?}");
}

/// The journal by a stand-in that says what it was asked.
#[tokio::test]
async fn the_journal_is_asked_for_the_units() {
    let mut world = World::local();
    let tools = only_shell(&world, "dash");
    let journalctl = tools.join("journalctl");
    fs::write(&journalctl, "#!/bin/sh\nprintf '%s|' \"$@\"; echo\n").unwrap();
    fs::set_permissions(&journalctl, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    world.connections = Connections::with_tools(tools);
    let server = server(&world);
    let asked = async |source: LogSource, tail: Tail| {
        let (_stop, stopped) = watch::channel(false);
        let (heard, to) = listener();
        server
            .logs("/nowhere", &source, &tail, stopped, to)
            .await
            .unwrap();
        let heard = heard.lock().unwrap();
        heard[0].1.clone()
    };
    let units = vec!["web".to_owned(), "web worker".to_owned()];
    let said = asked(LogSource::Journal(units), tail(7)).await;
    assert_eq!(said, "--no-pager|-o|short-iso|-n|7|-u|web|-u|web worker|");
    let since = Tail {
        lines: None,
        since: Some(Duration::from_secs(600)),
        follow: true,
        ..tail(0)
    };
    let said = asked(LogSource::UserJournal(vec!["web".to_owned()]), since).await;
    let (before, after) = said.split_once("--since|@").expect(&said);
    assert_eq!(before, "--no-pager|-o|short-iso|-n|all|-f|");
    assert!(after.ends_with("|--user|-u|web|"), "{said}");
}
