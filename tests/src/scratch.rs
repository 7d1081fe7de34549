//! A project in a folder of its own, and the `deploy` command run in it.
//!
//! Every run gets a cleared environment, a HOME of its own and a time limit; git commits have fixed authors
//! and times, so that the same files give the same commits. Whatever was started is gone when the project is.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::{self, Output};
use crate::running::Running;
use crate::{procs, service, sshd, wait};

/// How long one run of `deploy` may take. Tests of slow things say so with [`Scratch::deploy_within`].
pub const LIMIT: Duration = Duration::from_mins(1);

/// A project's folder with its git history, and all around it that a run of `deploy` may touch.
pub struct Scratch {
    root: TempDir,
    variables: Mutex<BTreeMap<OsString, OsString>>,
    commits: AtomicU32,
    runs: AtomicU32,
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Scratch {
    /// An empty project on the branch `main`, without a commit.
    ///
    /// # Panics
    /// When git is missing or the folder cannot be made.
    #[track_caller]
    pub fn new() -> Self {
        process::require("git", "git");
        let root = tempfile::Builder::new()
            .prefix("dps")
            .tempdir()
            .expect("a temporary folder can be made");
        for part in ["project", "home", "tmp", "runs", "units"] {
            fs::create_dir(root.path().join(part)).expect("a new folder can be written");
        }
        let scratch = Self {
            root,
            variables: Mutex::default(),
            commits: AtomicU32::new(0),
            runs: AtomicU32::new(0),
        };
        scratch.git(&["init", "-q", "-b", "main"]);
        scratch
    }

    /// The folder around everything: project, home, units, and what a test likes to put beside them.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The project's folder.
    pub fn project(&self) -> PathBuf {
        self.root.path().join("project")
    }

    /// `$HOME` of every run.
    pub fn home(&self) -> PathBuf {
        self.root.path().join("home")
    }

    /// A folder of units for `local = true` hosts: see [`service::restart_command`].
    pub fn units(&self) -> PathBuf {
        self.root.path().join("units")
    }

    /// A path in the project.
    pub fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        self.project().join(path)
    }

    /// Writes a file of the project with the folders it needs.
    #[track_caller]
    pub fn write(&self, path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
        let file = self.path(path);
        let folder = file.parent().expect("a file of the project is in a folder");
        fs::create_dir_all(folder).expect("the project's folder can be written");
        fs::write(file, text).expect("the project's folder can be written");
    }

    /// Writes an executable file.
    #[track_caller]
    pub fn write_script(&self, path: impl AsRef<Path>, text: &str) {
        self.write(&path, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(path), mode).expect("a file of ours can be made executable");
    }

    /// Writes a release of the small web service into a folder of the project.
    #[track_caller]
    pub fn write_web(&self, folder: impl AsRef<Path>, release: &service::WebRelease) {
        for (name, text) in release.files() {
            self.write(folder.as_ref().join(name), text);
        }
    }

    /// Copies a folder into the project, with the files' modes; symlinks stay symlinks.
    #[track_caller]
    pub fn copy(&self, from: &Path, to: impl AsRef<Path>) {
        let to = self.path(to);
        fs::create_dir_all(&to).expect("the project's folder can be written");
        let mut command = Command::new("cp");
        command.arg("-a").arg(from.join(".")).arg(to);
        process::run(&mut command, wait::PATIENCE).expect_code(0);
    }

    /// Copies a file into the project, with its mode.
    #[track_caller]
    pub fn copy_file(&self, from: &Path, to: impl AsRef<Path>) {
        self.write(&to, b"");
        fs::copy(from, self.path(to)).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    }

    /// Commits all there is, changed or not, and returns the commit's full name. The n-th commit of a project
    /// is of the n-th minute of 2026.
    #[track_caller]
    pub fn commit(&self, message: &str) -> String {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
        self.head()
    }

    /// The full name of the commit that is checked out.
    #[track_caller]
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    /// Goes to a branch, made here if it is new.
    #[track_caller]
    pub fn branch(&self, name: &str) {
        let exists = self
            .git_output(&["rev-parse", "-q", "--verify", &format!("refs/heads/{name}")])
            .code
            == Some(0);
        // Before the first commit there is nothing that a branch could be made from.
        let born = self.git_output(&["rev-parse", "-q", "--verify", "HEAD"]).code == Some(0);
        match (exists, born) {
            (true, _) => self.git(&["checkout", "-q", name]),
            (false, true) => self.git(&["checkout", "-q", "-b", name]),
            (false, false) => self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{name}")]),
        };
    }

    /// Runs git in the project and returns its stdout.
    ///
    /// # Panics
    /// When git fails.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        self.git_output(arguments).expect_code(0).stdout
    }

    #[track_caller]
    fn git_output(&self, arguments: &[&str]) -> Output {
        let minute = self.commits.load(Ordering::Relaxed);
        let date = format!("2026-01-01T{:02}:{:02}:00Z", minute / 60, minute % 60);
        let mut command = Command::new("git");
        command.args(arguments).current_dir(self.project());
        self.surround(&mut command);
        for role in ["AUTHOR", "COMMITTER"] {
            command
                .env(format!("GIT_{role}_NAME"), "Alice")
                .env(format!("GIT_{role}_EMAIL"), "alice@shop.example");
            command.env(format!("GIT_{role}_DATE"), &date);
        }
        process::run(&mut command, LIMIT)
    }

    /// Sets a variable for all later runs.
    pub fn set(&self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.lock().insert(name.into(), value.into());
    }

    /// Takes back what [`Self::set`] set.
    pub fn unset(&self, name: &str) {
        self.lock().remove(std::ffi::OsStr::new(name));
    }

    /// Runs `deploy` in the project to its end.
    #[track_caller]
    pub fn deploy(&self, arguments: &[&str]) -> Output {
        self.deploy_within(LIMIT, arguments)
    }

    /// Runs `deploy` in the project to its end, which must come within `limit`.
    #[track_caller]
    pub fn deploy_within(&self, limit: Duration, arguments: &[&str]) -> Output {
        process::run(&mut self.command(arguments), limit)
    }

    /// The command that [`Self::deploy`] runs, for a test that changes something about it.
    #[track_caller]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command_of(&deploy_program());
        command.args(arguments);
        command
    }

    /// Another program with all that a run of `deploy` has around it.
    pub fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.project());
        self.surround(&mut command);
        command
    }

    /// Starts `deploy` in the background.
    #[track_caller]
    pub fn spawn(&self, arguments: &[&str]) -> Running {
        self.spawn_command(self.command(arguments))
    }

    /// Starts any command in the background, its output kept.
    #[track_caller]
    pub fn spawn_command(&self, command: Command) -> Running {
        let number = self.runs.fetch_add(1, Ordering::Relaxed);
        Running::start(command, &self.root.path().join("runs").join(number.to_string()))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<OsString, OsString>> {
        self.variables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn surround(&self, command: &mut Command) {
        command.env_clear();
        command.env(
            "PATH",
            std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
        );
        command
            .env("HOME", self.home())
            .env("TMPDIR", self.root.path().join("tmp"));
        command
            .env("LANG", "C.UTF-8")
            .env("TZ", "UTC")
            .env("GIT_CONFIG_NOSYSTEM", "1");
        command
            .env(sshd::MARK, self.root.path())
            .env(service::UNITS, self.units());
        command.envs(self.lock().iter());
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        service::end_all(&self.units());
        let mark = format!("{}={}", sshd::MARK, self.root.path().display());
        wait::until(
            wait::PATIENCE,
            "all that a project's runs left behind to be gone",
            || {
                let left: Vec<u32> = procs::with_mark(&mark)
                    .into_iter()
                    .filter(|pid| procs::runs(*pid))
                    .collect();
                for pid in &left {
                    procs::signal(*pid, Signal::KILL);
                }
                left.is_empty()
            },
        );
    }
}

/// The program under test: `$DEPLOY_BIN`, else what was built beside the test.
///
/// # Panics
/// When it is not there, saying how to build it.
#[track_caller]
pub fn deploy_program() -> PathBuf {
    match std::env::var_os("DEPLOY_BIN") {
        Some(path) => {
            let path = PathBuf::from(path);
            assert!(
                path.is_file(),
                "DEPLOY_BIN is {}, and there is no such file",
                path.display()
            );
            path
        }
        None => service::program("deploy"),
    }
}
