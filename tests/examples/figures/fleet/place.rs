//! A project of one service on many hosts, each behind an sshd of its own, and what both sides of a comparison need of it.

use deploy_tests::process;
use deploy_tests::scratch::Scratch;
use deploy_tests::sshd::{Fleet, Sshd};
use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What is deployed.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) files: u32,
    pub(crate) bytes: u32,
}

impl Size {
    pub(crate) const SOME: Self = Self {
        files: 1000,
        bytes: 20_000,
    };
    pub(crate) const MANY_SMALL: Self = Self {
        files: 20_000,
        bytes: 100,
    };
    pub(crate) const SMALL: Self = Self {
        files: 5,
        bytes: 1000,
    };

    /// What one file holds: no two alike, and none that compresses to nothing.
    pub(crate) fn content(self, file: u32, version: u32) -> Vec<u8> {
        let mut state = (u64::from(file) << 32 | u64::from(version)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(self.bytes as usize + 8);
        while bytes.len() < self.bytes as usize {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(self.bytes as usize);
        bytes
    }
}

/// Hosts and a project for them.
pub(crate) struct Place {
    pub(crate) scratch: Scratch,
    pub(crate) fleet: Fleet,
    size: Size,
    /// Whether releases share the files that are the same, as the floor's do.
    links: bool,
    /// Which of the folders on the hosts is in use: another one is another first deployment.
    ground: u32,
    version: u32,
}

impl Place {
    pub(crate) fn new(hosts: usize, size: Size) -> Self {
        Self::with(hosts, size, true)
    }

    /// The same, and each release has files of its own.
    pub(crate) fn copying(hosts: usize, size: Size) -> Self {
        Self::with(hosts, size, false)
    }

    fn with(hosts: usize, size: Size, links: bool) -> Self {
        let names: Vec<String> = (1..=hosts).map(|number| format!("h{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let fleet = Sshd::named(&names);
        let scratch = Scratch::new();
        symlink(fleet.ssh_config(), scratch.path("ssh_config")).expect("the project can be written");
        scratch.write(".gitignore", ".deploy/\nssh_config\n");
        for file in 0..size.files {
            scratch.write(Self::name(file), size.content(file, 0));
        }
        let mut place = Self {
            scratch,
            fleet,
            size,
            links,
            ground: 0,
            version: 0,
        };
        place.fresh_ground();
        place
    }

    fn name(file: u32) -> String {
        format!("web/part{}/page{file}.html", file / 100)
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        self.fleet
            .hosts()
            .iter()
            .map(|host| host.name().to_owned())
            .collect()
    }

    /// The folder on a host that `who` deploys to.
    pub(crate) fn folder(&self, who: &str, host: &str) -> PathBuf {
        let folder = format!("hosts/{host}/{who}-{}", self.ground);
        self.scratch.root().join(folder)
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.scratch.path("web")
    }

    /// Another folder on every host, and a state that knows of none.
    pub(crate) fn fresh_ground(&mut self) {
        self.ground += 1;
        let _none = std::fs::remove_dir_all(self.scratch.path(".deploy"));
        self.scratch.write("deploy.toml", self.manifest());
        self.scratch.commit("Somewhere else");
    }

    /// One file has another content.
    pub(crate) fn change_one(&mut self) {
        self.version += 1;
        let file = self.version * 37 % self.size.files;
        self.scratch
            .write(Self::name(file), self.size.content(file, self.version));
        self.scratch.commit("Change a page");
    }

    fn manifest(&self) -> String {
        let mut text = format!(
            "[project]\nname = \"bench\"\nkeep = 3\n\n[services.web.strategy]\nkind = \"all-at-once\"\n\n[services.web.ssh]\n\
             source = \"web/\"\npath = \"{}\"\nlinks = {}\n\n[environments.production]\nssh_config = \"ssh_config\"\n\
             [environments.production.hosts]\n",
            self.folder("ours", "${host}").display(),
            self.links,
        );
        for host in self.hosts() {
            writeln!(text, "{host} = {{ ssh = \"{host}\" }}").expect("text takes text");
        }
        text
    }

    /// A command with the surroundings of a run of ours.
    pub(crate) fn shell(&self, script: &str) -> Command {
        let mut command = self
            .scratch
            .command_of(&process::find("sh").expect("every system has `sh`"));
        command.args(["-c", script, "sh"]);
        command
    }
}

/// Runs it, and says how long it took; what it said only where it failed.
pub(crate) fn time(command: &mut Command) -> Duration {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let begun = Instant::now();
    let output = command.output().expect("it can be started");
    let spent = begun.elapsed();
    assert!(
        output.status.success(),
        "{command:?} ended with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    spent
}
