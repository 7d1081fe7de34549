//! What people do with their servers by hand, through the command and over real sshd: run, logs, trust, setup.

mod first_contact;
mod logs;
mod run;
mod sudo;
mod world;
