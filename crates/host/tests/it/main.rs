//! The host on a real data folder: every operation, for its own organization and for another one.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod connections;
mod deploy;
mod executions;
mod folder;
mod kill;
mod organizations;
mod outside;
mod search;
mod world;
