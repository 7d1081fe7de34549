//! What `deploy setup` does on a host, so that deployments work there: folders, their owner, the units that go back without a
//! confirmation (`arm.rs`), and packages where that is asked for.
//! What is there is left as it is; a second run finds nothing to do. Root's rights are used only where nothing else will do, by
//! `sudo -n`, which never asks; that is said of each thing, and what may not be done comes with the command that a person would use.

use crate::arm;
use crate::error::Nature;
use crate::host::{Host, Request, Step};
use crate::server::{Server, by_hand};
use crate::words;
use deploy_core::failure::{Failure, printable};
use std::time::Duration;

/// Folders are quick; packages come from far away.
const LIMIT: Duration = Duration::from_secs(30);
const INSTALLING: Duration = Duration::from_mins(10);

by_hand!(PACKAGES "setup" Write ["tools" "encode" "root" "packages"]);
by_hand!(LINGER "setup" Write ["encode" "root" "linger"]);
by_hand!(FOLDERS "setup" Write ["place" "encode" "root" "unit" "setup" "standby"]);

/// A service that a host is prepared for.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its path.
    pub path: String,
    /// Its folders that outlive releases.
    pub shared: Vec<String>,
}

/// Whether anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetupMode {
    /// Only said.
    Look,
    /// Done; programs that are missing are only named.
    Do,
    /// Done, and packages are installed.
    Install,
    /// Only said, as if packages were to be installed.
    LookInstall,
}

impl SetupMode {
    const fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Look => ("look", ""),
            Self::Do => ("do", ""),
            Self::Install => ("do", "install"),
            Self::LookInstall => ("look", "install"),
        }
    }
}

/// One thing that was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// What: `makes /opt/shop/web for deploy, with sudo`.
    pub what: String,
    /// How it is now.
    pub state: SetupState,
}

/// How it is with a thing that was missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SetupState {
    /// Done.
    Done,
    /// It would be done.
    Planned,
    /// It cannot be done from here.
    Cannot {
        /// What a person would do on the host.
        fix: String,
    },
}

impl Server {
    /// Prepares the host for these services; what is there already is not told.
    ///
    /// The unit that goes back without a confirmation is made here, too, where a service manager is there without a login and the path
    /// outlasts a start of the host. It does nothing while nothing is armed. What it runs is the next deployment's to replace.
    ///
    /// # Errors
    /// It cannot be reached, or a step failed half-way: what was done stays, and the next run goes on.
    pub async fn set_up(&self, services: &[Setup], mode: SetupMode) -> Result<Vec<SetupStep>, Box<Failure>> {
        let (mode, install) = mode.words();
        let limit = if install.is_empty() { LIMIT } else { INSTALLING };
        let request = Request::new(limit).arg(mode).arg(install);
        let mut steps = step(&self.host(None), PACKAGES, request).await?;
        let request = Request::new(LIMIT).arg(mode);
        steps.extend(step(&self.host(None), LINGER, request).await?);
        for service in services {
            let host = self.host(Some(&service.path));
            let request = Request::new(LIMIT).arg(mode).arg(words::list(&service.shared));
            steps.extend(step(&host, FOLDERS, arm::acting(request, &host)).await?);
        }
        Ok(steps)
    }
}

async fn step(host: &Host, step: Step, request: Request) -> Result<Vec<SetupStep>, Box<Failure>> {
    let reply = host.run(step, request).await.map_err(|error| error.failure)?;
    let text = |word: Option<&String>| {
        let bytes = word.and_then(|word| words::unword(word)).unwrap_or_default();
        printable(&String::from_utf8_lossy(&bytes), 1000)
    };
    let steps = reply.all("step").map(|words| SetupStep {
        what: text(words.get(1)),
        state: match words.first().map(String::as_str) {
            Some("did") => SetupState::Done,
            Some("would") => SetupState::Planned,
            _ => SetupState::Cannot {
                fix: text(words.get(2)),
            },
        },
    });
    Ok(steps.collect())
}
