//! The edge cases that a system for promotions has to decide, C1 to C58, each with the test that shows how this one does, or with
//! tests elsewhere that do. A number without either fails, and so does one whose test is not there.

mod approvals;
mod freezes;
mod gates;
mod rollbacks;
mod targets;
mod together;

use std::collections::BTreeSet;
use std::path::Path;

enum Case {
    /// Shown by a test of this crate.
    Here(fn()),
    /// Shown by tests of other parts: `file::function`, from the root of the repository.
    Elsewhere(&'static [&'static str]),
}

use Case::{Elsewhere, Here};

const CASES: &[(u8, &str, Case)] = &[
    // Releases and approvals
    (
        1,
        "an approval counts for the content, plan and rules that it was given for",
        Here(approvals::c01),
    ),
    (
        2,
        "authors, committers and whoever asked do not approve",
        Here(approvals::c02),
    ),
    (
        3,
        "one person counts once, however he is written",
        Here(approvals::c03),
    ),
    (
        4,
        "whether somebody may approve is judged when the quorum is, and not after the start",
        Here(approvals::c04),
    ),
    (
        5,
        "a rejection vetoes, can be taken back, and ends with its request",
        Here(approvals::c05),
    ),
    (
        6,
        "two rules both hold; one approval serves each rule that it satisfies",
        Here(approvals::c06),
    ),
    (
        7,
        "tighter rules hold at once, looser ones only when authorised",
        Here(approvals::c07),
    ),
    (
        8,
        "an approval and a cancellation at one instant: the log decides, and the later is refused",
        Here(approvals::c08),
    ),
    (
        9,
        "an approval counts once it is stored, and the start has seen it in its transaction",
        Here(approvals::c09),
    ),
    (
        10,
        "a request that follows a failed one keeps approvals of the very same plan",
        Here(approvals::c10),
    ),
    (
        11,
        "there is no bypass: no option of a request waives a gate",
        Here(approvals::c11),
    ),
    // Gates and evidence
    (
        12,
        "soak counts from the later of healthy and verified, and starts again when disturbed",
        Here(gates::c12),
    ),
    (
        13,
        "a stay that is over counts, until its evidence is revoked",
        Here(gates::c13),
    ),
    (
        14,
        "an environment joins or leaves `after` as a change of rules, never silently",
        Here(gates::c14),
    ),
    (
        15,
        "a release that upstream went back from is not promoted",
        Here(gates::c15),
    ),
    (
        16,
        "a verification that fails later stops what is queued",
        Here(gates::c16),
    ),
    (17, "inconclusive is neither passed nor failed", Here(gates::c17)),
    (
        18,
        "evidence of another digest, environment or attempt is not heard; a doubled one once",
        Here(gates::c18),
    ),
    (
        19,
        "gates are judged again at the start, with the time it takes; after that it finishes",
        Here(freezes::c19),
    ),
    (
        20,
        "a freeze holds up neither rollback nor cancel nor rejection",
        Here(freezes::c20),
    ),
    (
        21,
        "freezes keep local time over shifts, midnights and weeks; a clock that jumps back reopens nothing",
        Here(freezes::c21),
    ),
    (
        22,
        "what expires while waiting is asked for again, and is no failure",
        Here(freezes::c22),
    ),
    (23, "not known is not met, but for going back", Here(gates::c23)),
    (
        24,
        "the first deployment goes back to nothing, and has nothing to be rolled back to",
        Here(gates::c24),
    ),
    // Several at once
    (
        25,
        "two deployments of one environment: one acts; one key is one deployment",
        Here(together::c25),
    ),
    (
        26,
        "a newer one supersedes what waits, never what runs, never a rollback",
        Here(together::c26),
    ),
    (
        27,
        "what waits holds nothing; it is planned again, and another plan voids approvals",
        Here(together::c27),
    ),
    (
        28,
        "an older release is a rollback or refused; a revert makes it new",
        Here(together::c28),
    ),
    (
        29,
        "cancelling what never started changes nothing; twice is once; too late is refused",
        Here(together::c29),
    ),
    (
        30,
        "a release that is there already: soak goes on if nothing changed",
        Here(together::c30),
    ),
    (
        31,
        "automatic promotion does not try again by itself",
        Here(together::c31),
    ),
    (
        32,
        "deploying to the first environment again takes nothing from what was earned",
        Here(together::c32),
    ),
    (
        33,
        "a place that two environments share is locked in the place",
        Here(together::c33),
    ),
    // Going back
    (
        34,
        "going back puts back all that moved or may have, in reverse order of need",
        Here(rollbacks::c34),
    ),
    (
        35,
        "a rollback goes to the last release verified here that is not barred",
        Here(rollbacks::c35),
    ),
    (
        36,
        "a rollback never turns back, and going forward again is a promotion",
        Here(rollbacks::c36),
    ),
    (
        37,
        "a step of a rollback that fails is named, and the rest goes on",
        Here(rollbacks::c37),
    ),
    (
        38,
        "asking to go back while going back changes nothing",
        Here(rollbacks::c38),
    ),
    (39, "an answer of an older attempt is late", Here(rollbacks::c39)),
    (
        40,
        "automatic promotion stays frozen until somebody lifts it by the command named",
        Here(rollbacks::c40),
    ),
    (
        41,
        "a yank bars every way forward and touches nothing that runs",
        Here(rollbacks::c41),
    ),
    (
        42,
        "behind a point of no return there is no going back",
        Elsewhere(&["deploy-core/src/plan/tests/examples.rs::what_cannot_be_planned_is_said_all_at_once"]),
    ),
    (
        43,
        "what can be gone back to is kept",
        Elsewhere(&[
            "deploy-targets/ssh/src/tests/trouble.rs::prune_keeps_what_runs_what_ran_and_what_is_in_use",
        ]),
    ),
    (44, "a rollback needs no approval", Here(rollbacks::c44)),
    // Targets, crashes and time
    (
        45,
        "an unknown outcome is looked at; a late word moves no end",
        Here(targets::c45),
    ),
    (
        46,
        "the intent is stored before the effect; after a crash it is looked at first",
        Here(targets::c46),
    ),
    (
        47,
        "a crash while going back goes on going back, by the same deadline",
        Here(targets::c47),
    ),
    (48, "after a crash nothing is prepared again", Here(targets::c48)),
    (
        49,
        "what cannot be reached while going back is unknown, and no end calls it rolled back",
        Here(targets::c49),
    ),
    (
        50,
        "the plan in the journal says which slices there are",
        Here(targets::c50),
    ),
    (
        51,
        "what changed since it was planned is planned again",
        Here(targets::c51),
    ),
    (
        52,
        "an event of a newer version stops who decides, not who reads",
        Here(targets::c52),
    ),
    (
        53,
        "who was fenced off stops, claims again and looks",
        Here(targets::c53),
    ),
    (
        54,
        "from every state an end can be had, and the next deployment looks first",
        Here(targets::c54),
    ),
    (
        55,
        "the next batch waits for the one before it to be well",
        Here(targets::c55),
    ),
    (
        56,
        "an environment is not dropped under a deployment",
        Elsewhere(&["tests/tests/environments.rs::c56_an_environment_is_not_dropped_under_a_deployment"]),
    ),
    (
        57,
        "a transient error does not use up patience at once",
        Elsewhere(&[
            "deploy-engine/src/drive/retry.rs::only_what_certainly_did_not_happen_and_may_pass_is_repeated",
        ]),
    ),
    (
        58,
        "every beginning of a log can be loaded; a damaged one is refused, and never panics",
        Here(targets::c58),
    ),
];

#[test]
fn every_case_is_decided() {
    let numbers: BTreeSet<u8> = CASES.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=58).collect());
    assert_eq!(CASES.len(), numbers.len(), "a number stands twice");
    for (number, title, case) in CASES {
        assert!(title.len() > 20, "C{number} says too little");
        match case {
            Here(test) => test(),
            Elsewhere(tests) => {
                assert!(!tests.is_empty(), "C{number}: {title}: where?");
                for test in *tests {
                    assert!(is_a_test(test), "C{number}: {title}: there is no test {test}");
                }
            }
        }
    }
}

/// Whether a file has a test function of that name: `file::function`.
fn is_a_test(name: &str) -> bool {
    let (file, function) = name.split_once("::").expect("a file and a function");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let text = std::fs::read_to_string(root.join(file)).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.iter().enumerate().any(|(at, line)| {
        let begins = line
            .strip_prefix("async ")
            .unwrap_or(line)
            .strip_prefix("fn ")
            .is_some_and(|rest| rest.starts_with(&format!("{function}(")));
        let mut above = lines[..at].iter().rev().take_while(|line| line.starts_with("#["));
        begins && above.any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
    })
}

#[test]
fn a_test_that_is_not_there_is_missed() {
    let file = "deploy-core/src/edge_cases/mod.rs";
    assert!(is_a_test(&format!("{file}::a_test_that_is_not_there_is_missed")));
    assert!(!is_a_test(&format!("{file}::is_a_test")), "no test");
    assert!(!is_a_test(&format!("{file}::every_case")), "a part of a name");
    assert!(!is_a_test("no/such/file.rs::every_case_is_decided"));
}
