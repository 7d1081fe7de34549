//! One sshd on the loopback with its own key and configuration, as an ordinary test needs it.

use crate::{Address, SshAddress};
use deploy_tests::wait;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

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

fn open(folder: &Path, mode: u32) {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}

fn key(file: &Path) {
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(file));
}

impl Sshd {
    /// `extra` are more lines of its configuration.
    pub(crate) fn start(extra: &str) -> Self {
        Self::start_in("", extra)
    }

    /// In a mount namespace of its own, after what `prelude` does there, unless that is empty.
    pub(crate) fn start_in(prelude: &str, extra: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("dplt").tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let _ = fs::create_dir_all("/run/sshd");
        key(&at("host"));
        key(&at("client"));
        fs::copy(at("client.pub"), at("authorized")).unwrap();
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
        fs::write(at("sshd_config"), config).unwrap();
        let mut command = if prelude.is_empty() {
            Command::new("/usr/sbin/sshd")
        } else {
            // Other users are let in by a file that they may read.
            open(dir.path(), 0o755);
            let mut command = Command::new("unshare");
            command.args(["-m", "sh", "-c"]);
            command.arg(format!("{prelude}\nexec /usr/sbin/sshd \"$@\""));
            command.arg("sh");
            command
        };
        let child = command
            .args(["-D", "-e", "-f"])
            .arg(at("sshd_config"))
            .stderr(fs::File::create(at("log")).unwrap())
            .spawn()
            .expect("install openssh-server and util-linux");
        let sshd = Self { dir, child, port };
        sshd.pin(&sshd.dir.path().join("host.pub"));
        let up = wait::find_within(wait::PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(())
        });
        assert!(
            up.is_some(),
            "sshd does not come up (a host with mounts of its own needs root): {}",
            sshd.log()
        );
        sshd
    }

    /// The listener, which is in the host's namespace.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Makes the client know this host key, and no other.
    pub(crate) fn pin(&self, public: &Path) {
        let at = |name: &str| self.dir.path().join(name);
        let key = fs::read_to_string(public).unwrap();
        fs::write(at("known_hosts"), format!("[127.0.0.1]:{} {key}", self.port)).unwrap();
        let config = format!(
            "Host web\n HostName 127.0.0.1\n Port {}\n IdentityFile {1}/client\n IdentitiesOnly yes\n UserKnownHostsFile {1}/known_hosts\n\
             Host *\n",
            self.port,
            self.dir.path().display()
        );
        fs::write(at("ssh_config"), config).unwrap();
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
