//! What a [`MemoryStore`](super::MemoryStore) can be told to do wrong.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Shared;
use crate::{StoreError, Write};

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It fails, nothing of it is written, and the writer stays usable.
    Refuse,
    /// The process dies before anything of it is written.
    CrashBefore,
    /// The process dies when all of it is durable, but before the caller hears of it.
    CrashAfter,
    /// It is acknowledged, and nothing of it is written: a disk that lies. For tests of tests.
    Lose,
}

/// What a [`MemoryStore::witness`](super::MemoryStore::witness) is told.
#[derive(Clone, Copy, Debug)]
pub enum Witness<'a> {
    /// These writes are durable. Whoever wrote them does not know yet, and may never.
    Durable(&'a [Write]),
    /// The process that writes died of a fault.
    Crashed,
}

pub(super) type Witnessing = Arc<dyn Fn(Witness<'_>) + Send + Sync>;

/// A fault that is still to come.
pub(super) struct Plan {
    /// So many commits succeed first.
    pub(super) after: usize,
    pub(super) fault: Fault,
    /// Whether it happens to every commit from then on.
    pub(super) lasting: bool,
}

/// Commits wait while this lives. See [`MemoryStore::hold`](super::MemoryStore::hold).
#[must_use = "commits go on as soon as this is dropped"]
pub struct Hold {
    shared: Arc<Shared>,
}

impl Hold {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        shared.lock().held += 1;
        Self { shared }
    }

    /// Waits until a commit has come and is being held; whether one came within `patience`.
    #[must_use]
    pub fn wait_for_commit(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        while state.waiting == 0 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.shared.lock().held -= 1;
        self.shared.changed.notify_all();
    }
}

/// The error of a commit that was made to fail.
pub(super) fn refused(why: &str) -> StoreError {
    StoreError::Other {
        context: "memory store".into(),
        source: why.into(),
    }
}
