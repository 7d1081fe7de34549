//! `deploy doctor`: what an environment needs, tried; and how to mend what is not well. Who is looked at is said at once, and each
//! host's findings as they come.

use crate::args::setup::Doctor;
use crate::console::{Console, Loudness};
use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::render::Paint;
use deploy_core::failure::printable;
use deploy_core::id::HostName;
use deploy_engine::api::{Access, Diagnosis, DiagnosisState, Examining};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::pin::pin;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};

/// Told and not yet shown.
const TOLD: usize = 64;
/// How often it is said who has not answered yet.
const PULSE: Duration = Duration::from_secs(5);
/// Hosts that are named in one line.
const NAMED: usize = 8;

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    well: bool,
    checks: &'a [Diagnosis],
}

pub(crate) async fn run(context: &mut Context<'_>, args: Doctor) -> Result<Exit, CliError> {
    let engine = context.open(Access::Read).await?;
    let environment = context.environment(&engine.environments(), args.environment)?;
    let (tell, mut told) = mpsc::channel(TOLD);
    let mut sheet = Sheet::default();
    let mut looking = pin!(engine.doctor(&environment, tell));
    let mut pulse = interval_at(Instant::now() + PULSE, PULSE);
    let checks = loop {
        tokio::select! {
            biased;
            Some(told) = told.recv() => sheet.take(told, context.console),
            _ = pulse.tick() => sheet.not_yet(context.console),
            checks = &mut looking => break checks?,
        }
    };
    while let Ok(one) = told.try_recv() {
        sheet.take(one, context.console);
    }
    let well = checks.iter().all(|check| check.state.is_well());
    let paint = context.console.paint();
    let answer = Answer {
        schema: "deploy.doctor/1",
        well,
        checks: &checks,
    };
    context.console.answer(&answer, || {
        if well {
            paint.good("✓ all well")
        } else {
            paint.bad("✗ not all is well")
        }
    });
    Ok(if well { Exit::Done } else { Exit::Failed })
}

/// What is shown of a look at several hosts.
#[derive(Default)]
struct Sheet {
    /// The widest name of what is looked at.
    width: usize,
    /// Who has not answered yet.
    waits: BTreeSet<HostName>,
}

impl Sheet {
    fn take(&mut self, told: Examining, console: &mut Console) {
        match told {
            Examining::Begun { hosts } => {
                for (host, services) in hosts {
                    let on_it = services.iter().map(|service| service.as_str().len() + 1);
                    let widest = host.as_str().len() + on_it.max().unwrap_or(0);
                    self.width = self.width.max(widest);
                    self.waits.insert(host);
                }
                if !self.waits.is_empty() {
                    say(&format!("looking at {}", few(&self.waits)), console);
                }
            }
            Examining::Found { host, found } => {
                host.map(|host| self.waits.remove(&host));
                let own = found.iter().map(|check| check.subject.len());
                self.width = self.width.max(own.max().unwrap_or(0));
                console.data(&lines(&found, self.width, console.paint()));
            }
        }
    }

    fn not_yet(&self, console: &mut Console) {
        if !self.waits.is_empty() {
            say(&format!("no answer yet from {}", few(&self.waits)), console);
        }
    }
}

fn say(what: &str, console: &mut Console) {
    if console.loudness() > Loudness::Quiet {
        let mark = console.paint_err().dim("·");
        console.message(&format!("{mark} {what}"));
    }
}

/// `web-1, web-2 and 198 more`.
fn few(hosts: &BTreeSet<HostName>) -> String {
    let named: Vec<&str> = hosts.iter().take(NAMED).map(HostName::as_str).collect();
    match hosts.len() - named.len() {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

fn lines(found: &[Diagnosis], width: usize, paint: Paint) -> String {
    let mut text = String::new();
    for check in found {
        let mark = match check.state {
            DiagnosisState::Ok => paint.good("✓"),
            DiagnosisState::Warning { .. } => paint.warn("!"),
            DiagnosisState::Failed { .. } => paint.bad("✗"),
        };
        let found = printable(&check.found, 300);
        let _ = writeln!(
            text,
            "  {mark} {:<width$}  {:<7}  {found}",
            check.subject, check.check
        );
        if let Some(fix) = check.state.fix() {
            let (label, fix) = (paint.dim("fix"), printable(fix, 300));
            // `dim` may add what is not seen: it is padded here.
            let _ = writeln!(text, "    {:<width$}  {label}      {fix}", "");
        }
    }
    text
}
