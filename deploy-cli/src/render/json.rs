//! Events as NDJSON: one object a line, each with `type`, as the journal has them; the last is the `result`. With `--json` only
//! the last.

use deploy_core::event::Event;
use std::io::{self, Write};

/// One event, one line.
pub(crate) fn event(event: &Event, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer(&mut *out, event)?;
    out.write_all(b"\n")?;
    out.flush()
}
