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
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")?;
    out.flush()
}
