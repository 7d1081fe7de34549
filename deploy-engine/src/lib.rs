//! Drives the core: journal store, leases, inbox, effects, recovery.
