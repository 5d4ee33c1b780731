//! What the library promises, on the real engine: loops, sagas, replay, restarts.
#![expect(clippy::unwrap_used, reason = "tests")]

mod callbacks;
mod loops;
mod losers;
mod misuse;
mod restarts;
mod sagas;
mod verified;
mod versions;

use std::sync::{Arc, Mutex};

/// What happened, in order; clones are the same log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}
