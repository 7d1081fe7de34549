//! The whole target, on this machine and over sshd on the loopback.

mod by_hand;
mod common;
mod edited;
mod fences;
mod killed;
mod over_ssh;
mod secrets;
mod setup;
mod shells;
mod sshd;
mod sudo;
mod trouble;
mod trust;
mod verbs;
