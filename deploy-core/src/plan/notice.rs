//! The sentences of a plan's notices: what a person should know before saying yes. One place, so that they read alike: the
//! service first, then what is so, then what follows. No rule decides by them, but the linter asks that they are there.

use std::fmt::Display;

/// At most four names, then how many more there are.
pub(super) fn names<T: Display>(all: &[T]) -> String {
    let shown: Vec<_> = all.iter().take(4).map(ToString::to_string).collect();
    let more = all.len() - shown.len();
    match (more, shown.as_slice()) {
        (0, [init @ .., last]) if !init.is_empty() => format!("{} and {last}", init.join(", ")),
        (0, _) => shown.concat(),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// A sentence about one service.
pub(super) fn of(service: &impl Display, text: impl Display) -> String {
    format!("{service}: {text}")
}
