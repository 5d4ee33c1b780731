//! What a connector is: typed configuration, the context of a step, the registry, connections and pools.
//!
//! A connector is a function `async fn run(ctx: StepContext, config: Config) -> Result<Output, StepError>`
//! and one line in its family's `register`. It knows nothing of stores, journals or other steps: retries,
//! timeouts, recording and secrets scrubbing happen around it.
//!
//! Contract of every connector:
//! - every field of its `Config` has a doc comment (meaning, unit, default): schema and reference come from it;
//! - it never blocks the async runtime (`spawn_blocking` for blocking libraries) and may be dropped at any await;
//! - its errors say with [`ErrorKind`] whether the call may be repeated, and whether it may have happened;
//! - it sends [`StepContext::idempotency_key`] wherever the service takes one;
//! - it truncates nothing: what is over a limit is an error that names the limit;
//! - secrets come as [`Secret`] and are exposed only where they go on the wire.

mod connections;
mod context;
mod registry;
mod retry_after;
mod trigger;
mod watch;

pub use bowline_core::{BlobError, BlobId, BlobInfo, BlobRef, BlobStore, ByteStream, ErrorKind, StepError};
pub use bowline_expression::{Masker, Secret};
pub use connections::{AnyConnection, Connections, Declared, Pools};
pub use context::StepContext;
pub use registry::{ConnectionEntry, ConnectorEntry, Registry, StepFuture, TestFuture, Tested};
pub use retry_after::retry_after;
pub use trigger::{Mistake, TriggerType};
pub use watch::{AttemptOutcome, Attempted, Watch};

mod duration;
pub use duration::Millis;

pub mod transform;
