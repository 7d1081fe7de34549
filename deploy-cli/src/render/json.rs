//! Events as NDJSON: one object a line, each with `type`, as the journal has them; the last is the `result`. With `--json` only
//! the last.

use deploy_core::event::Event;
use serde::Serialize;
use std::io::{self, Write};

/// One event, one line.
pub(crate) fn event(event: &Event, out: &mut impl Write) -> io::Result<()> {
    line(event, out)
}

/// Anything else that is told on the way: one object, one line.
pub(crate) fn line(object: &impl Serialize, out: &mut impl Write) -> io::Result<()> {
    let text = unprintable_escaped(serde_json::to_string(object)?);
    writeln!(out, "{text}")?;
    out.flush()
}

/// JSON for whoever looks at it on a terminal too: control characters that JSON allows as they are (U+007F to U+009F) are escaped.
pub(crate) fn unprintable_escaped(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let escaped = |c: char| match c {
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escaped).collect()
}
