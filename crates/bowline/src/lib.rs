//! Durable workflows as ordinary async Rust.
//!
//! A workflow is an `async fn` from an input to an output. Whatever it does in the world is a *step* with a name,
//! and the result of a step is recorded before anything follows from it. After a crash the function runs again
//! from the top, and what is recorded is not done again: loops, branches, errors and cleaning up are written as
//! in any other program, and go on where they were.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use bowline::{testing, Bowline, Context, RetryPolicy, StepOptions, Workflow};
//!
//! /// What the workflow calls: an ordinary trait, so that tests put a mock in its place.
//! trait Payments: Send + Sync {
//!     fn charge(&self, amount: u32, key: &str) -> bowline::Result<String>;
//! }
//!
//! async fn pay(ctx: Context, payments: Arc<dyn Payments>, amount: u32) -> bowline::Result<String> {
//!     let patient = StepOptions {
//!         timeout: Some(Duration::from_mins(5)),
//!         retry: RetryPolicy { max_attempts: 5, ..RetryPolicy::default() },
//!         ..StepOptions::default()
//!     };
//!     let payments = ctx.service(&payments, &patient);
//!     let receipt = payments
//!         .call("charge", amount, |payments, amount, call| async move {
//!             // The same key for every attempt, also after a crash: the service charges once.
//!             payments.charge(amount, &call.idempotency_key())
//!         })
//!         .await?;
//!     ctx.sleep("cooling-off", Duration::from_hours(24)).await?;
//!     Ok(receipt)
//! }
//!
//! struct Always;
//! impl Payments for Always {
//!     fn charge(&self, amount: u32, _key: &str) -> bowline::Result<String> {
//!         Ok(format!("paid {amount}"))
//!     }
//! }
//!
//! # testing::block_on(async {
//! let pay = Workflow::with("pay", Arc::new(Always) as Arc<dyn Payments>, pay);
//! // In memory and in virtual time: the day passes at once.
//! let world = testing::World::new(Bowline::builder().workflow(&pay)).await?;
//! assert_eq!(world.run(&pay, 30).await?, "paid 30");
//! assert_eq!(world.elapsed(), Duration::from_hours(24));
//! # Ok(())
//! # });
//! ```
//!
//! - [`Context`] is what a workflow sees of the world; [`Workflow`] gives it a name and a version.
//! - [`Bowline`] runs workflows on a data folder, and goes on with what an earlier process left.
//! - [`Error`] is made of any error; [`Classify`] says whether another attempt makes sense.
//! - [`testing`] has virtual time, a check that code still replays old journals, and crashes at every commit.
//!
//! A workflow must do the same each time it is given the same results. `docs/rust.md` in the repository lists
//! what breaks that, what is noticed by itself, and how to have clippy find the rest.

mod builder;
mod combine;
mod context;
mod engine;
mod error;
mod folding;
mod handle;
mod iterate;
mod journal;
mod operate;
mod operation;
mod saga;
mod service;
mod start;
mod step;
pub mod testing;
mod value;
mod verified;
mod wait;
mod workflow;

pub use bowline_core::{
    Answer, Attempt, Backoff, Branch, Canceller, ErrorKind, Event, NotUndone, OnUnknown, Outcome, Payload, Record,
    RetryPolicy, StepError, StepOptions,
};
pub use bowline_engine::{
    AuditReport, Clock, Committed, Conflict, Delivered, Engine, Observer, Options as EngineOptions, RecoveryReport,
    Retention, Retry, Reuse, StartKey, Stuck,
};
pub use bowline_store::{CallbackAddress, ExecutionFilter, ExecutionRow, MemoryStore, SharedStore, Status};
pub use builder::Builder;
pub use combine::{Parallel, branch, parallel, race};
pub use context::Context;
pub use engine::Bowline;
pub use error::{Caught, Classify, Error, Result};
pub use handle::Handle;
pub use journal::Journal;
pub use operation::Operation;
pub use saga::Saga;
pub use service::Service;
pub use start::Start;
pub use step::Step;
pub use verified::Verified;
pub use wait::{Callback, Emitted, Signal};
pub use workflow::{Workflow, WorkflowName};

/// Runs the examples of the page for users.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/rust.md")]
struct Page;
