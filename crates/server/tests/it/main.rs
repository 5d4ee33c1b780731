//! The server as clients see it: a real one, on a port of its own, with a store of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod audit;
mod authorization;
mod connections;
mod documents;
mod events;
mod executions;
mod inspector;
mod limits;
mod origins;
mod outside;
mod restart;
mod running;
mod schedules;
mod schemathesis;
#[path = "../support/mod.rs"]
mod support;
mod walls;
mod workflows;
