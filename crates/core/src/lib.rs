//! The durable core: an execution is a deterministic program plus its journal.
//!
//! Start at [`Execution`]: events in, events and effects out. A [`Program`] is an async function over a
//! [`Context`]; whatever touches the world is an operation with a stable path, and its result is
//! recorded under that path. After a crash the program runs again from the top and the journal answers
//! what is done.
//!
//! This crate does no I/O, reads no clock, has no source of randomness and no async runtime: time and
//! results arrive inside inputs, and ids and random values are derived from names.

mod combine;
mod context;
mod effect;
mod error;
mod event;
mod execution;
mod ids;
mod memo;
mod payload;
mod policy;
mod saga;
mod state;

pub use combine::{Branch, Branches, join_all, race};
pub use context::{Canceller, Context, Detailed, Operation, Step};
pub use effect::{Attempt, BoxFuture, Effect, StepBody};
pub use error::{ErrorKind, StepError};
pub use event::{Event, Outcome, Path, decode, encode};
pub use execution::{Batch, Execution, Identity, Input, Program, Record, ReplayError, panicked};
pub use ids::{derived_id, derived_uuid, idempotency_key};
pub use payload::Payload;
pub use policy::{Backoff, RetryPolicy, StepOptions};
pub use saga::{NotUndone, Saga};
pub use state::Resolved;
