//! Triggers on a real host: SQLite, the engine, workflows that run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod directories;
mod problems;
mod schedules;
mod world;
