//! The durable core: an execution is a deterministic program plus its journal.
//!
//! Start at [`Execution`]: events in, events and effects out. A [`Program`] is an async function over a
//! [`Context`]; whatever touches the world is an operation with a stable path, and its result is
//! recorded under that path. After a crash the program runs again from the top and the journal answers
//! what is done.
//!
//! This crate does no I/O, reads no clock, has no source of randomness and no async runtime: time and
//! results arrive inside inputs, and ids and random values are derived from names.

mod blob;
mod combine;
mod condense;
mod contest;
mod context;
mod decide;
mod effect;
mod error;
mod event;
mod execution;
mod fold;
mod ids;
mod memo;
pub mod mutants;
mod open;
mod operation;
mod origin;
mod payload;
mod policy;
mod polling;
mod replay;
mod saga;
mod standing;
mod state;
mod stored;
mod token;
pub mod trace;
mod version;
mod wait;

pub use blob::{BlobError, BlobId, BlobInfo, BlobRef, BlobStore, ByteStream, Referenced};
pub use combine::{Branch, Branches, join_all, race};
pub use condense::condense;
pub use contest::Contestants;
pub use context::{Canceller, Context, Step};
pub use effect::{Attempt, BoxFuture, Effect, StepBody};
pub use error::{ErrorKind, StepError};
pub use event::{Event, Fold, Outcome, Path, RESPONSE, decode, encode};
pub use execution::{Batch, Beginnings, Execution, Identity, Input, Program, Record, panicked};
pub use fold::Folded;
pub use ids::{derived_id, derived_uuid, idempotency_key};
pub use operation::{Detailed, Operation};
pub use origin::{Kept, Origin};
pub use payload::Payload;
pub use policy::{Backoff, OnUnknown, RetryPolicy, StepOptions};
pub use replay::{ReplayError, Resumption};
pub use saga::{NotUndone, Saga};
pub use standing::{Awaited, Standing, Standpoint, standing};
pub use state::{Resolved, Rest};
pub use stored::{INLINE_LIMIT, externalize, externalize_events, internalize};
pub use token::TokenKey;
pub use wait::{Answer, CallbackOptions, Filter, Wait};
