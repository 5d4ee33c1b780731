//! Webhooks and callbacks as senders see them: a real server, real requests, and what is in its store and its logs.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod callbacks;
mod inbox;
mod people;
mod refusals;
mod webhooks;
mod world;
