//! The runtime around the core: it owns time, threads and the store, and the core owns what happens.
//!
//! - [`committer`]: one thread, the only place that writes. It takes what all executions want written,
//!   writes it as one transaction, and while that syncs the next batch gathers.
//! - [`driver`]: a few tasks that own the executions in memory. They feed inputs to the core, hand its
//!   events to the committer, and perform its effects once the events are durable.
//! - Step bodies run on tokio, each as a task of its own, with its timeout around it; a panic in one is
//!   an error of that step.
//! - [`recovery`]: streams the unfinished executions back in, page by page.
//!
//! Invariant: no effect is performed, and nobody is told of a start or an end, before the events it
//! follows from are durable.

mod audit;
mod backlog;
mod blobs;
mod clock;
mod committer;
mod driver;
mod engine;
mod env;
mod events;
mod kept;
mod keys;
mod observe;
mod options;
mod outside;
mod owners;
mod pause;
mod places;
mod programs;
mod recovery;
mod requests;
mod retention;
mod retry;
mod routing;
mod running;
mod segments;
mod simulation;
mod timers;
mod waker;
mod wakes;

pub use audit::AuditReport;
pub use clock::Clock;
pub use engine::{Engine, EngineError, Handle, StartRequest};
pub use keys::{Conflict, Reuse, StartKey};
pub use observe::{Committed, Observer};
pub use options::Options;
pub use outside::Delivered;
pub use programs::{Migration, Programs};
pub use recovery::{RecoveryReport, Stuck};
pub use retention::Retention;
pub use retry::Retry;
pub use segments::{read_journal, read_record};
pub use simulation::Simulation;
