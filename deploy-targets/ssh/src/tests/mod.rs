//! The whole target, on this machine and over sshd on the loopback.

mod armed;
mod cases;
mod common;
mod crowded;
mod doctor;
mod edited;
mod fences;
mod killed;
mod linked;
mod over_ssh;
mod secrets;
mod shells;
mod sshd;
mod trouble;
mod verbs;
