//! The whole target, on this machine and over sshd on the loopback.

mod armed;
mod cases;
mod common;
mod doctor;
mod edited;
mod fences;
mod jumps;
mod killed;
mod over_ssh;
mod secrets;
mod shells;
mod sshd;
mod trouble;
mod verbs;
