//! The whole target, on this machine and over sshd on the loopback.

mod armed;
mod beside;
mod by_hand;
mod cases;
mod common;
mod crowded;
mod doctor;
mod edited;
mod fences;
mod jumps;
mod kept;
mod killed;
mod linked;
mod over_ssh;
mod secrets;
mod setup;
mod shells;
mod sshd;
mod standing;
mod sudo;
mod trouble;
mod trust;
mod verbs;
