//! Pinning a host's key, with real ssh and its tools.

use super::common::{World, claim};
use super::sshd::Sshd;
use crate::{Address, Connections, HostKeys, SshAddress, Standing};
use deploy_core::failure::Code;
use std::fs;
use std::process::Command;

async fn look(sshd: &Sshd, destination: &str) -> HostKeys {
    let address = Address::Ssh(SshAddress {
        destination: destination.to_owned(),
        config_file: Some(sshd.config()),
        password: None,
    });
    let name = "web-1".parse().unwrap();
    let server = Connections::default().server(&name, &address, Vec::new());
    server.keys().await.unwrap().expect("it is no local host")
}

fn fingerprint(sshd: &Sshd) -> String {
    let output = Command::new("ssh-keygen")
        .arg("-lf")
        .arg(sshd.dir.path().join("host.pub"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split(' ').nth(1).unwrap().to_owned()
}

fn known(sshd: &Sshd) -> String {
    fs::read_to_string(sshd.dir.path().join("known_hosts")).unwrap()
}

fn configure(sshd: &Sshd, more: &str) {
    let text = fs::read_to_string(sshd.config()).unwrap();
    fs::write(sshd.config(), text + more).unwrap();
}

#[tokio::test]
async fn an_unknown_key_is_pinned_once() {
    let sshd = Sshd::start("");
    fs::remove_file(sshd.dir.path().join("known_hosts")).unwrap();
    let world = World::at(sshd.address());
    let error = claim(&world.target(), 1).await.unwrap_err();
    assert_eq!(error.failure.code, Code::HostKey);
    assert!(
        error.failure.next.contains("deploy trust web-1"),
        "{}",
        error.failure.next
    );

    let keys = look(&sshd, "web").await;
    assert_eq!(keys.standing, Standing::Unknown);
    assert_eq!(keys.name, format!("[127.0.0.1]:{}", sshd.port));
    let fingerprints: Vec<_> = keys.offered.iter().map(|key| key.fingerprint.clone()).collect();
    assert_eq!(fingerprints, [fingerprint(&sshd)]);
    assert_eq!(keys.offered[0].kind, "ED25519");
    keys.pin(&fingerprints).await.unwrap();
    assert_eq!(look(&sshd, "web").await.standing, Standing::Trusted);
    assert_eq!(known(&sshd).lines().count(), 1);
    claim(&world.target(), 1).await.unwrap();
}

#[tokio::test]
async fn another_key_takes_its_place_only_where_that_is_meant() {
    let sshd = Sshd::start("");
    sshd.pin(&sshd.dir.path().join("client.pub"));
    // The last line has no end.
    let other = known(&sshd);
    fs::write(
        sshd.dir.path().join("known_hosts"),
        format!("elsewhere {}", other.trim_end().split_once(' ').unwrap().1) + "\n" + other.trim_end(),
    )
    .unwrap();
    let keys = look(&sshd, "web").await;
    assert!(
        matches!(&keys.standing, Standing::Differs { pinned } if pinned.len() == 1),
        "{keys:?}"
    );
    keys.pin(&[fingerprint(&sshd)]).await.unwrap();
    assert_eq!(look(&sshd, "web").await.standing, Standing::Trusted);
    let known = known(&sshd);
    assert!(
        known.starts_with("elsewhere ") && known.lines().count() == 2,
        "{known}"
    );
    claim(&World::at(sshd.address()).target(), 1).await.unwrap();
}

#[tokio::test]
async fn names_are_hashed_where_the_configuration_says_so() {
    let sshd = Sshd::start("");
    fs::write(sshd.dir.path().join("known_hosts"), "").unwrap();
    configure(&sshd, " HashKnownHosts yes\n");
    look(&sshd, "web").await.pin(&[fingerprint(&sshd)]).await.unwrap();
    assert!(known(&sshd).starts_with("|1|"), "{}", known(&sshd));
    assert_eq!(look(&sshd, "web").await.standing, Standing::Trusted);
}

#[tokio::test]
async fn the_key_behind_a_jump_host_is_seen_through_it() {
    let sshd = Sshd::start("");
    let files = sshd.dir.path().display().to_string();
    let inner = format!(
        "Host inner\n HostName 127.0.0.1\n HostKeyAlias inner\n Port {}\n ProxyCommand ssh -F {files}/ssh_config -W %h:%p web\n \
         UserKnownHostsFile {files}/inner_hosts\n",
        sshd.port
    );
    configure(&sshd, &inner);
    let keys = look(&sshd, "inner").await;
    assert_eq!(
        (keys.name.as_str(), &keys.standing),
        ("inner", &Standing::Unknown)
    );
    keys.pin(&[fingerprint(&sshd)]).await.unwrap();
    let known = fs::read_to_string(sshd.dir.path().join("inner_hosts")).unwrap();
    assert!(known.starts_with("inner ssh-ed25519 "), "{known}");
    assert_eq!(look(&sshd, "inner").await.standing, Standing::Trusted);
}

#[tokio::test]
async fn a_revoked_key_is_named_so() {
    let sshd = Sshd::start("");
    let text = format!("@revoked {}", known(&sshd));
    fs::write(sshd.dir.path().join("known_hosts"), text).unwrap();
    assert_eq!(look(&sshd, "web").await.standing, Standing::Revoked);
}

#[tokio::test]
async fn a_host_that_is_not_there_has_no_key() {
    let mut sshd = Sshd::start("");
    sshd.stop();
    let name = "web-1".parse().unwrap();
    let server = Connections::default().server(&name, &sshd.address(), Vec::new());
    let error = server.keys().await.unwrap_err();
    assert_eq!(error.code, Code::Unreachable, "{error:?}");
}
