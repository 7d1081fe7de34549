//! A host whose disks, users, tools and clock a test decides about: a real sshd in a mount namespace of its own, so that what is
//! mounted there is nobody else's and is gone with it. The test looks into it through `/proc`.

use super::super::common::{World, bring, claim, end, seen, slice, step};
use super::super::sshd::Sshd;
use crate::{Address, SshAddress, SshTarget};
use deploy_core::failure::Code;
use deploy_core::model::ReleaseRef;
use deploy_core::port::target::{Certainty, Runs, Target as _, TargetError};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A host, and a service on it that was not deployed yet.
pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) sshd: Sshd,
}

/// A host as usual.
#[derive(Default)]
pub(crate) struct Setting<'a> {
    /// Commands that mount things, in the new namespace; `$P` is the service's path, `$D` a folder of the test.
    pub(crate) mounts: &'a str,
    /// More lines of sshd's configuration; `$D` as above.
    pub(crate) sshd: &'a str,
    /// Another user than root: its login shell; `$D` as above.
    pub(crate) shell: Option<&'a str>,
}

/// The user that is not root.
const USER: &str = "alice";
const USER_ID: u32 = 4242;

/// For [`Machine::every_command`].
pub(crate) const WRAPPED: &str = "ForceCommand $D/wrap";

impl Machine {
    /// With mounts of its own.
    pub(crate) fn mounted(mounts: &str) -> Self {
        Self::new(Setting {
            mounts,
            ..Setting::default()
        })
    }

    pub(crate) fn new(setting: Setting<'_>) -> Self {
        let mut world = World::local();
        let dir = world.dir.path().to_owned();
        fs::create_dir_all(world.path()).unwrap();
        open(&dir, 0o755);
        let mut prelude = format!("set -e\nD='{}'\nP='{}'\n", dir.display(), world.path().display());
        if let Some(shell) = setting.shell {
            let home = dir.join("home");
            fs::create_dir(&home).unwrap();
            let everybody = fs::read_to_string("/etc/passwd").unwrap();
            let shell = shell.replace("$D", dir.to_str().unwrap());
            let line = format!("{USER}:*:{USER_ID}:{USER_ID}::{}:{shell}\n", home.display());
            fs::write(dir.join("passwd"), everybody + &line).unwrap();
            prelude.push_str("mount --bind \"$D/passwd\" /etc/passwd\n");
            for folder in [home, dir.join("opt"), world.path()] {
                std::os::unix::fs::chown(folder, Some(USER_ID), Some(USER_ID)).unwrap();
            }
        }
        prelude.push_str(setting.mounts);
        if setting.sshd == WRAPPED {
            wrap(&dir, "exec");
        }
        let config = setting.sshd.replace("$D", dir.to_str().unwrap());
        let sshd = Sshd::start_in(&prelude, &config);
        let user = setting.shell.map(|_| USER);
        world.binding.hosts[0].address = address(&sshd, user);
        Self { world, sshd }
    }

    pub(crate) fn target(&self) -> SshTarget {
        self.world.target()
    }

    /// A path there, as the host sees it.
    pub(crate) fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.sshd.pid()));
        root.join(path.as_ref().strip_prefix("/").unwrap())
    }

    /// A path below the service's.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.inside(self.world.path().join(name))
    }

    /// Runs a command on the host, as root.
    pub(crate) fn root(&self, script: &str) {
        let output = Command::new("nsenter")
            .args(["-m", "-t", &self.sshd.pid().to_string(), "sh", "-ec"])
            .arg(format!("P='{}'\n{script}", self.world.path().display()))
            .output()
            .expect("install util-linux");
        assert!(output.status.success(), "{script}: {output:?}");
    }

    /// What the file `page` of the release that serves says.
    pub(crate) fn serves(&self) -> String {
        fs::read_to_string(self.at("current/page")).unwrap_or_default()
    }

    /// From here on every command of a session runs in this: a line of `sh`, after which the command follows.
    pub(crate) fn every_command(&self, runs_in: &str) {
        wrap(self.world.dir.path(), runs_in);
        self.world.connections.let_go();
    }

    /// The first release, ended well.
    pub(crate) async fn first(&self) -> Runs {
        let target = self.target();
        let to = self.world.release(1, &[("page", "one")]);
        let (op, ..) = bring(&self.world, &target, 1, &to).await;
        end(&target, &op).await;
        assert_eq!(self.serves(), "one");
        seen(&target).await
    }

    /// Tries a second release as far as it goes, and tells where that was.
    pub(crate) async fn second(&self) -> Result<ReleaseRef, (&'static str, TargetError)> {
        let target = self.target();
        let to = self.world.release(2, &[("page", "two")]);
        let claim = claim(&target, 2).await.map_err(|error| ("claim", error))?;
        let op = self.world.op(&claim);
        let mut step = step(&target, &to).await;
        let prepared = target
            .prepare(&op, &step)
            .await
            .map_err(|error| ("prepare", error))?;
        step.checkpoint = Some(prepared.checkpoint.clone());
        let runs = target
            .activate(&op, &step)
            .await
            .map_err(|error| ("activate", error))?;
        target
            .verify(&op, &slice(), &runs)
            .await
            .map_err(|error| ("verify", error))?;
        end(&target, &op).await;
        Ok(to.release)
    }

    /// That the second release does not come, with this code, nothing having happened, while the first one serves.
    pub(crate) async fn refused(&self, at: &str, code: Code) -> TargetError {
        let (step, error) = self.second().await.expect_err("it went through");
        assert_eq!(
            (step, error.failure.code, error.certainty),
            (at, code, Certainty::NotDone),
            "{error:?}"
        );
        assert_eq!(self.serves(), "one");
        error
    }
}

/// How this user gets to a host.
pub(crate) fn address(sshd: &Sshd, user: Option<&str>) -> Address {
    match (sshd.address(), user) {
        (Address::Ssh(address), Some(user)) => Address::Ssh(SshAddress {
            destination: format!("{user}@{}", address.destination),
            ..address
        }),
        (address, _) => address,
    }
}

fn wrap(dir: &Path, runs_in: &str) {
    let file = dir.join("wrap");
    fs::write(
        &file,
        format!("#!/bin/sh\n{runs_in} sh -c \"$SSH_ORIGINAL_COMMAND\"\n"),
    )
    .unwrap();
    open(&file, 0o755);
}

fn open(folder: &Path, mode: u32) {
    fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
}
