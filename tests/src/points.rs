//! Failpoints that a run passes only in a world of its own. The test that has such a world kills a run at each of them, and the sweep of
//! `tests/tests/kill` counts on that: it and the test go by the same list.

/// Where a host is stopped that failed within its service's budget: `tests/tests/fleet.rs`, on three hosts over ssh.
pub const STOPPING: [&str; 4] = [
    "effect.stop.before",
    "ssh.stop.before",
    "ssh.stop.after",
    "effect.stop.after",
];

/// Where two ports take turns behind a proxy: `tests/tests/blue_green.rs`, with a real nginx.
pub const TAKING_TURNS: [&str; 4] = [
    "ssh.stand.before",
    "ssh.stand.after",
    "ssh.pass.before",
    "ssh.pass.after",
];
