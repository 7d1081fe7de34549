//! What is wrong, and what is said about it: each case has a clear error with the right exit code, changes nothing
//! that serves, and leaves a project that the next good run deploys.

mod dropped;
mod edited;
mod large;
mod left;
mod servers;
mod signals;
mod silent;
mod source;
mod state;
mod texts;
mod unreadable;
mod world;
