//! The schemes against what the providers publish, and what every endpoint refuses.

#![expect(clippy::unwrap_used, reason = "tests")]

mod generic;
mod matrix;
mod support;
mod vectors;
