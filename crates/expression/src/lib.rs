//! `${}` templates over JSONata, and secrets that stay secret.

mod masker;
mod secret;

pub use masker::Masker;
pub use secret::{MASK, Secret};
