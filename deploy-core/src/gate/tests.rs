//! Each gate by its table.
