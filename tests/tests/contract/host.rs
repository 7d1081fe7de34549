//! A folder on a host as the ground of the contract: this machine's, directly or through a real sshd.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use deploy_core::command::Command;
use deploy_core::digest::Digest;
use deploy_core::id::ReleaseNumber;
use deploy_core::model::{ArtifactRef, Entry, ReleaseRef};
use deploy_core::port::target::{Desired, Secret, Target};
use deploy_target_ssh::{
    Address, Connections, HostBinding, HostScript, SshAddress, SshBinding, SshTarget, listing,
};
use deploy_tests::contract::Ground;
use deploy_tests::sshd::{Fleet, Sshd};
use tempfile::TempDir;

/// A host with room for one service.
pub(crate) struct HostGround {
    address: Address,
    folder: TempDir,
    _fleet: Option<Fleet>,
}

impl HostGround {
    /// This machine, without ssh.
    pub(crate) fn local() -> Self {
        Self::at(Address::Local, None)
    }

    /// The same machine through an sshd of its own: the folder can still be looked at past it.
    pub(crate) fn sshd() -> Self {
        let fleet = Sshd::named(&["web"]);
        let address = Address::Ssh(SshAddress {
            destination: "web".to_owned(),
            config_file: Some(fleet.ssh_config()),
            password: None,
        });
        Self::at(address, Some(fleet))
    }

    fn at(address: Address, fleet: Option<Fleet>) -> Self {
        Self {
            address,
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
            _fleet: fleet,
        }
    }

    fn host(&self) -> PathBuf {
        self.folder.path().join("host")
    }

    fn path(&self) -> PathBuf {
        self.host().join("app")
    }
}

impl Ground for HostGround {
    fn target(&self) -> Arc<dyn Target> {
        // Counts restarts beside the path, where the picture shows them.
        let restart = "echo restart >>\"$(dirname \"$DEPLOY_PATH\")/restarts\"";
        let binding = SshBinding {
            service: "web".parse().expect("a name"),
            environment: "staging".parse().expect("a name"),
            hosts: vec![HostBinding {
                name: "web-1".parse().expect("a name"),
                address: self.address.clone(),
                path: self.path().to_str().expect("a temporary path is text").to_owned(),
                variables: BTreeMap::new(),
            }],
            restart: Some(HostScript {
                command: Command::Shell(restart.to_owned()),
                limit: Duration::from_secs(30),
            }),
            shared: Vec::new(),
            stop: Some(HostScript {
                command: Command::Shell("echo stop >>\"$(dirname \"$DEPLOY_PATH\")/stops\"".to_owned()),
                limit: Duration::from_secs(30),
            }),
            links: false,
            hooks: Vec::new(),
            beside: None,
            failpoint: None,
        };
        Arc::new(SshTarget::new(binding, &Connections::default()).expect("a good binding"))
    }

    fn release(&self, number: u32, text: &str) -> Arc<Desired> {
        let folder = self.folder.path().join(format!("artifact-{number}"));
        fs::create_dir_all(folder.join("more")).expect("a folder can be made");
        fs::write(folder.join("text"), text).expect("a file can be written");
        fs::write(folder.join("more/same in all"), "x").expect("a file can be written");
        let digest = listing::walk(&folder).expect("it can be listed").digest();
        Arc::new(Desired {
            release: ReleaseRef {
                digest: Digest::of(format!("release {number}")),
                number: ReleaseNumber(number),
            },
            entry: Entry::Artifact(ArtifactRef::Tree { digest }),
            config: Digest::of("config"),
            local: Some(folder),
            facts: BTreeMap::from([("DEPLOY_RELEASE".to_owned(), format!("v{number}"))]),
            variables: BTreeMap::from([("TOKEN".to_owned(), Secret::new("a\"b\\c $d\n`e'"))]),
            secrets: BTreeSet::from(["TOKEN".to_owned()]),
        })
    }

    fn serves(&self) -> Option<String> {
        fs::read_to_string(self.path().join("current/text")).ok()
    }

    fn change_by_hand(&self, text: &str) {
        let other = self.host().join("by-hand");
        fs::create_dir_all(&other).expect("a folder can be made");
        fs::write(other.join("text"), text).expect("a file can be written");
        let link = self.path().join("current");
        fs::remove_file(&link).expect("there is a link");
        symlink(&other, &link).expect("a link can be made");
    }

    fn picture(&self) -> String {
        let mut text = String::new();
        draw(&self.host(), &mut text);
        text
    }

    fn damage_checkpoints(&self) {
        let bodies = fs::read_dir(self.path().join(".deploy/checkpoints")).expect("there are checkpoints");
        for body in bodies {
            let body = body.expect("a folder can be listed").path();
            let text = fs::read_to_string(&body).expect("a checkpoint is text");
            fs::write(&body, format!("{text}x")).expect("a file can be written");
        }
    }
}

/// Each entry below a folder, in order: a file with what is in it, a link with where it points.
fn draw(folder: &Path, text: &mut String) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect();
    paths.sort();
    for path in paths {
        if let Ok(link) = fs::read_link(&path) {
            writeln!(text, "{} -> {}", path.display(), link.display()).expect("text takes text");
        } else if path.is_dir() {
            writeln!(text, "{}/", path.display()).expect("text takes text");
            draw(&path, text);
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            writeln!(text, "{}: {}", path.display(), String::from_utf8_lossy(&bytes))
                .expect("text takes text");
        }
    }
}
