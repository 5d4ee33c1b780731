//! Content that is too large for a journal: kept by the hash of it, in a local folder or any other object store.
//!
//! [`Blobs`] is the [`BlobStore`](bowline_core::BlobStore) that ships. What always holds:
//! - what `put` has answered for is durable, and what `open` has read to its end is what was put;
//! - content goes through in pieces: memory does not grow with it;
//! - the same content is kept once, also when two put it at the same time;
//! - a process may die at any point: what is left over is of no consequence, and [`Blobs::collect`] removes it.
//!
//! Layout, below the folder or prefix: `sha256/<2 hex digits>/<62 hex digits>` for content, `tmp/<uuid>` for what is
//! being written.

mod blobs;
mod collect;
mod leftovers;
mod put;
mod verified;

pub use blobs::{Blobs, Kept};
pub use collect::{Collected, MIN_AGE};
