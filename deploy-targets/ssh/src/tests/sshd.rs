//! One sshd on the loopback with its own key and configuration, as an ordinary test needs it.

use crate::{Address, SshAddress};
use deploy_tests::wait;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running sshd; it and its sessions end when dropped.
pub(crate) struct Sshd {
    pub(crate) dir: tempfile::TempDir,
    child: Child,
    pub(crate) port: u16,
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .expect("install openssh-server and openssh-client");
    assert!(output.status.success(), "{output:?}");
}

fn key(file: &Path) {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file));
}

impl Sshd {
    /// `extra` are more lines of its configuration.
    pub(crate) fn start(extra: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("dplt").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _ = std::fs::create_dir_all("/run/sshd");
        key(&at("host"));
        key(&at("client"));
        std::fs::copy(at("client.pub"), at("authorized")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/authorized\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\n{extra}\n",
            dir.path().display()
        );
        std::fs::write(at("sshd_config"), config).unwrap();
        let child = Command::new("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(Stdio::null())
            .spawn()
            .expect("install openssh-server");
        let sshd = Self { dir, child, port };
        sshd.pin(&sshd.dir.path().join("host.pub"));
        wait::until(wait::PATIENCE, "sshd comes up", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        sshd
    }

    /// Makes the client know this host key, and no other.
    pub(crate) fn pin(&self, public: &Path) {
        let at = |name: &str| self.dir.path().join(name);
        let key = std::fs::read_to_string(public).unwrap();
        std::fs::write(at("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        let config = format!(
            "Host web\n HostName 127.0.0.1\n Port {}\n IdentityFile {1}/client\n IdentitiesOnly yes\n UserKnownHostsFile {1}/known_hosts\n\
             Host *\n",
            self.port,
            self.dir.path().display()
        );
        std::fs::write(at("ssh_config"), config).unwrap();
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("ssh_config")
    }

    pub(crate) fn address(&self) -> Address {
        Address::Ssh(SshAddress {
            destination: "web".to_owned(),
            config_file: Some(self.config()),
            password: None,
        })
    }

    /// Ends the listener and every connection.
    pub(crate) fn stop(&mut self) {
        // The sessions are its children's children; each is found by the configuration that is on its parent's command line.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop();
    }
}
