//! Drives the real binary: what it prints, what it leaves behind, what it ends with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod common;
mod examples;
mod executions;
mod interrupts;
mod json;
mod operations;
mod outside;
mod pages;
mod recovery;
mod runs;
mod rust;
mod secrets;
mod simulate;
mod soundness;
mod why;
