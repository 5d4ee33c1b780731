//! Drives the real binary: what it prints, what it leaves behind, what it ends with.

mod common;
mod executions;
mod interrupts;
mod json;
mod pages;
mod recovery;
mod runs;
mod secrets;
