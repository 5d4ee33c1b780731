//! `bowline serve` as a process: its socket, its signals, its configuration, what it takes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod beside;
mod configuration;
mod confinement;
mod figures;
mod handover;
mod keys;
mod packaging;
mod process;
mod streams;
mod triggers;
