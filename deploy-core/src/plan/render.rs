//! A plan as `deploy plan` shows it: text alone, no colour, every state a word. What it says comes from the plan; only the header
//! names the commit, which the plan does not know.

use super::notice::names;
use super::{Base, Change, Kind, Plan, PlannedService};
use crate::failure::printable;
use crate::id::ServiceIx;
use crate::model::Release;
use crate::port::target::Runs;
use crate::time::format_duration;
use std::fmt::Write as _;
use std::time::Duration;

/// The whole plan, ending in a line break. With the release the header has its commit, subject and branch.
pub fn render_text(plan: &Plan, release: Option<&Release>) -> String {
    let mut text = header(plan, release);
    text.push('\n');
    let widest =
        |of: fn(&PlannedService) -> &str| plan.services.iter().map(|one| of(one).len()).max().unwrap_or(0);
    let (width, kind) = (widest(|one| one.name.as_str()), widest(|one| &one.target));
    if plan.changes_nothing() {
        text.push_str("nothing to do: every slice runs it\n");
    }
    let mut number = 0;
    for wave in plan.waves() {
        let moving: Vec<_> = with(plan, &wave, Shown::Moves).collect();
        if moving.is_empty() {
            continue;
        }
        number += 1;
        line(&mut text, &format!("wave {number}"));
        for (ix, service) in moving {
            let row = format!(
                "  {:width$}  {:kind$} {}",
                service.name,
                service.target,
                batches(plan, ix)
            );
            line(&mut text, &row);
            for detail in details(plan, service) {
                line(&mut text, &format!("  {:width$}  {:kind$} {detail}", "", ""));
            }
        }
    }
    let all: Vec<_> = plan.service_indices().collect();
    for (shown, title) in [
        (Shown::Stays, "unchanged"),
        (Shown::Removed, "removed at the end"),
    ] {
        let services: Vec<_> = with(plan, &all, shown).collect();
        if !services.is_empty() {
            line(&mut text, title);
            for (ix, service) in services {
                let row = format!(
                    "  {:width$}  {:kind$} {}",
                    service.name,
                    service.target,
                    batches(plan, ix)
                );
                line(&mut text, &row);
            }
        }
    }
    let differences: Vec<_> = plan
        .differences
        .iter()
        .filter(|difference| !difference.lines.is_empty())
        .collect();
    if !differences.is_empty() {
        line(&mut text, "changes");
        for difference in differences {
            let subject = match &difference.service {
                Some(service) => format!("{service:width$}  {}", difference.slice),
                None => difference.slice.to_string(),
            };
            for change in &difference.lines {
                line(&mut text, &format!("  {subject}  {}", printable(change, 300)));
            }
            if let Some(bytes) = difference.bytes {
                line(&mut text, &format!("  {subject}  {} to send", size(bytes)));
            }
        }
    }
    if !plan.notices.is_empty() {
        line(&mut text, "note");
        for notice in &plan.notices {
            line(&mut text, &format!("  ! {}", printable(notice, 300)));
        }
    }
    let longest = format_duration(plan.longest_duration());
    let _ = writeln!(
        text,
        "plan {}, at most {longest} from the start of activation",
        plan.digest().short()
    );
    text
}

fn line(text: &mut String, row: &str) {
    text.push_str(row.trim_end());
    text.push('\n');
}

/// Under which title a service is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Moves,
    Stays,
    Removed,
}

impl Shown {
    fn of(plan: &Plan, ix: ServiceIx) -> Self {
        match plan.service(ix).change {
            Change::Remove => Self::Removed,
            _ if plan.leaves(ix) => Self::Stays,
            Change::Keep | Change::Move => Self::Moves,
        }
    }
}

fn with<'a>(
    plan: &'a Plan,
    services: &'a [ServiceIx],
    shown: Shown,
) -> impl Iterator<Item = (ServiceIx, &'a PlannedService)> {
    services
        .iter()
        .map(|ix| (*ix, plan.service(*ix)))
        .filter(move |(ix, _)| Shown::of(plan, *ix) == shown)
}

/// The plan in a line: `v42 3f9ac1e "Add basket" (develop) → production, now v41`; with what it removes.
pub fn header(plan: &Plan, release: Option<&Release>) -> String {
    let mut text = plan.release.number.to_string();
    if let Some(source) = release.and_then(|release| release.sources.first()) {
        let _ = write!(
            text,
            " {} \"{}\"",
            source.commit.short(),
            printable(&source.subject, 60)
        );
        if let Some(branch) = &source.branch {
            let _ = write!(text, " ({})", printable(branch, 60));
        }
    }
    let arrow = match plan.kind {
        Kind::Deploy | Kind::Promote => "→",
        Kind::Rollback => "← back in",
    };
    let now = match plan.base {
        Base::Nothing => "now nothing".to_owned(),
        Base::Release(release) => format!("now {}", release.number),
        Base::Uniform => "now something that was not verified here".to_owned(),
        Base::Mixed => "now different things".to_owned(),
    };
    let _ = write!(text, " {arrow} {}, {now}", plan.environment);
    let removed = plan.removed();
    if !removed.is_empty() {
        let _ = write!(text, "; removes {}", names(&removed));
    }
    text
}

/// `web-1, then web-2 and web-3`.
fn batches(plan: &Plan, service: ServiceIx) -> String {
    let batches: Vec<_> = plan
        .service(service)
        .batches
        .iter()
        .map(|batch| {
            let slices = || batch.iter().map(|slice| plan.slice(*slice));
            let named = names(&slices().map(|slice| &slice.name).collect::<Vec<_>>());
            match slices().map(|slice| slice.hold).max() {
                Some(hold) if !hold.is_zero() => format!("{named} watched for {}", format_duration(hold)),
                _ => named,
            }
        })
        .collect();
    match batches.as_slice() {
        [first, middle @ .., last] if middle.len() > 3 => {
            format!("{first}, then {} more batches, then {last}", middle.len())
        }
        _ => batches.join(", then "),
    }
}

fn details(plan: &Plan, service: &PlannedService) -> Vec<String> {
    let mut details = Vec::new();
    let slices = || service.batches.iter().flatten().map(|slice| plan.slice(*slice));
    let new: Vec<_> = slices()
        .filter(|slice| slice.now == Runs::Nothing)
        .map(|slice| &slice.name)
        .collect();
    if !new.is_empty() && plan.base != Base::Nothing {
        details.push(format!("new: {}", names(&new)));
    }
    if !service.needs.is_empty() {
        let needs: Vec<_> = service
            .needs
            .iter()
            .map(|need| &plan.service(*need).name)
            .collect();
        let word = if plan.kind == Kind::Rollback {
            "before"
        } else {
            "after"
        };
        details.push(format!("{word} {}", names(&needs)));
    }
    if service.bake > Duration::ZERO {
        details.push(format!(
            "watched for {} at the end",
            format_duration(service.bake)
        ));
    }
    if service.on_failure == super::OnFailure::Hold && plan.kind != Kind::Rollback {
        details.push("a failure holds the deployment".to_owned());
    }
    details
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{}.{} kB", bytes / 1000, bytes % 1000 / 100),
        1_000_000..1_000_000_000 => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
        _ => format!(
            "{}.{} GB",
            bytes / 1_000_000_000,
            bytes % 1_000_000_000 / 100_000_000
        ),
    }
}
