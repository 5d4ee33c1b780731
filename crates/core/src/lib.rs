//! The durable execution state machine.

mod error;

pub use error::{ErrorKind, StepError};
