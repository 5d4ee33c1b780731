//! Webhooks and callbacks as senders see them: a real server, real requests, and what is in its store and its logs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod callbacks;
mod first;
mod inbox;
mod load;
mod people;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod webhooks;
mod world;
