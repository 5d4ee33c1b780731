//! Executions that wait for the world: in memory and out of it, and whatever order things come in.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod apart;
mod callbacks;
mod keys;
mod long;
mod operating;
mod places;
mod world;
