//! Stories told by events, and what readers see of them.
