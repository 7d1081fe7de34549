//! This machine as a host.

use super::*;
use deploy_tests::wait;
use std::path::Path;
use std::time::Instant;

fn shell(text: &str) -> HostCommand {
    HostCommand::new(Command::Shell(text.to_owned()))
}

async fn run(command: &HostCommand) -> HostOutput {
    LocalExec
        .run(command, Duration::from_secs(10))
        .await
        .expect("it runs")
}

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.trim()).join("stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

fn until_gone(pid: &str) {
    wait::until(wait::PATIENCE, "the process ends", || !lives(pid));
}

#[tokio::test]
async fn statuses_streams_environment_and_folder() {
    let mut command = shell(r#"cat; printf '%s %s' "$NAME" "$(pwd)"; echo oops >&2; exit 3"#);
    command.stdin = b"in ".to_vec();
    command.env.push(("NAME".to_owned(), "a b; $(id)".to_owned()));
    command.dir = Some("/".to_owned());
    let output = run(&command).await;
    assert_eq!(output.status, 3);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "in a b; $(id) /");
    assert_eq!(output.stderr, b"oops\n");
    assert_eq!(run(&shell("kill -9 $$")).await.status, 137);
    let argv = ["printf", "%s|", "a b", "$x"].map(str::to_owned).to_vec();
    assert_eq!(
        run(&HostCommand::new(Command::Argv(argv))).await.stdout,
        b"a b|$x|"
    );
}

#[tokio::test]
async fn output_is_bounded_and_does_not_block() {
    let output = run(&shell(
        "head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo done >&2",
    ))
    .await;
    assert_eq!(
        (output.status, output.stdout.len(), output.stderr.len()),
        (0, HostOutput::LIMIT, HostOutput::LIMIT)
    );
    let mut unread = shell("true");
    unread.stdin = vec![b'x'; 1 << 20];
    assert_eq!(run(&unread).await.status, 0);
}

#[tokio::test]
async fn what_cannot_start_is_refused() {
    let argv = HostCommand::new(Command::Argv(vec!["/nonexistent/program".to_owned()]));
    let error = LocalExec
        .run(&argv, Duration::from_secs(1))
        .await
        .expect_err("no such program");
    assert!(
        matches!(&error, HostExecError::Refused(why) if why.contains("/nonexistent/program")),
        "{error}"
    );
}

#[tokio::test]
async fn the_whole_group_ends_at_the_limit_and_when_dropped() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("pid");
    let text = format!(
        "sleep 600 & echo $! >'{0}.new'; mv '{0}.new' '{0}'; wait",
        file.display()
    );
    let error = LocalExec.run(&shell(&text), Duration::from_millis(500)).await;
    assert_eq!(error, Err(HostExecError::TimedOut));
    until_gone(&std::fs::read_to_string(&file).expect("it started"));

    std::fs::remove_file(&file).expect("it is there");
    let command = shell(&text);
    {
        let running = LocalExec.run(&command, Duration::from_mins(1));
        tokio::pin!(running);
        while !file.exists() {
            assert!(
                tokio::time::timeout(Duration::from_millis(5), &mut running)
                    .await
                    .is_err()
            );
        }
    }
    until_gone(&std::fs::read_to_string(&file).expect("it started"));
}

#[tokio::test]
async fn what_stays_in_the_background_neither_holds_the_look_nor_outlives_it() {
    let began = Instant::now();
    let output = run(&shell("sleep 600 & echo $!")).await;
    assert!(began.elapsed() < Duration::from_secs(5));
    until_gone(&String::from_utf8_lossy(&output.stdout));
}
