//! Looks at health: http, tcp and command probes, and windows of unbroken passes.
