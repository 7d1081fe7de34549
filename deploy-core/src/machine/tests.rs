//! Stories: one deployment each, told by inputs.
