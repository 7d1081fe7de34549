//! What people decide, end to end on this machine: each command that says yes, no, wait or go on, the exit code it leads to, what
//! serves afterwards, and the fields of `--json` that scripts rely on.

mod approvals;
mod confirming;
mod evidence;
mod going_on;
mod line;
mod meanwhile;
mod naming;
mod newer;
mod plans;
mod words;
mod world;
