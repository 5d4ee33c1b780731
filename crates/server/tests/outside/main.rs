//! Webhooks and callbacks as senders see them: a real server, real requests, and what is in its store and its logs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod away;
mod callbacks;
mod credentials;
mod first;
mod inbox;
mod load;
mod once;
mod people;
mod refusals;
#[path = "../support/mod.rs"]
mod support;
mod told;
mod webhooks;
mod world;
