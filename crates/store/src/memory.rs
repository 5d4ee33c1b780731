//! A store in memory, for tests and simulation: it keeps what a disk would keep, and fails when it is told to.
//!
//! Every clone is the same store, so a test keeps one clone while the engine under test owns another, and
//! "restarting the process" is [`MemoryStore::crash`] and a new engine on a further clone. What was acknowledged
//! survives a crash and nothing else does; the writer from before the crash is refused from then on, as a
//! process that was killed can write no more.

mod faults;
mod state;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub use faults::{Fault, Hold};

use crate::{
    Definition, ExecNo, ExecutionFilter, ExecutionRow, JournalRecord, OpenExecution, Request, RequestKind, Store,
    StoreError, Write, Writer,
};
use faults::Plan;
use state::State;

/// See the [module](self).
#[derive(Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Told whenever something that a commit or a test may wait for has changed.
    changed: Condvar,
}

impl Shared {
    /// Every change is made whole under the lock or undone, so a panic elsewhere leaves nothing half done.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next commit is refused, once; nothing of it is written and the writer stays usable.
    pub fn fail_next_commit(&self) {
        self.inject(0, Fault::Refuse);
    }

    /// `commits` more commits succeed, all later ones are refused until [`MemoryStore::heal`]: a disk that filled up.
    pub fn fail_after(&self, commits: usize) {
        self.shared.lock().plan = Some(Plan {
            after: commits,
            fault: Fault::Refuse,
            lasting: true,
        });
    }

    /// `commits` more commits succeed; `fault` then happens to the next one, once.
    pub fn inject(&self, commits: usize, fault: Fault) {
        self.shared.lock().plan = Some(Plan {
            after: commits,
            fault,
            lasting: false,
        });
    }

    /// Takes back whatever fault is still to come.
    pub fn heal(&self) {
        self.shared.lock().plan = None;
    }

    /// As if the process that writes were killed now: its writer can write no more (a commit that is under way and
    /// held back by [`MemoryStore::hold`] is lost), all that was acknowledged stays, and a new writer may be taken.
    pub fn crash(&self) {
        self.shared.lock().crash();
        self.shared.changed.notify_all();
    }

    /// Holds every commit back, before it has written anything, until the guard is dropped: a disk that takes its time.
    pub fn hold(&self) -> Hold {
        Hold::new(Arc::clone(&self.shared))
    }

    /// How many commits were acknowledged so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.shared.lock().commits
    }
}

impl Store for MemoryStore {
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        let generation = self.shared.lock().take_writer()?;
        Ok(Box::new(MemoryWriter {
            shared: Arc::clone(&self.shared),
            generation,
        }))
    }

    fn definition(&self, hash: &str) -> Result<Option<Definition>, StoreError> {
        Ok(self.shared.lock().definitions.get(hash).cloned())
    }

    fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError> {
        Ok(self.shared.lock().execution(id).cloned())
    }

    fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>, StoreError> {
        Ok(self.shared.lock().list(filter))
    }

    fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>, StoreError> {
        Ok(self.shared.lock().journal(exec, from, limit))
    }

    fn open_executions(&self, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>, StoreError> {
        Ok(self.shared.lock().open(after, limit))
    }

    fn requests(&self, after: i64) -> Result<Vec<Request>, StoreError> {
        Ok(self.shared.lock().requests(after))
    }

    fn request(&self, request: &RequestKind) -> Result<(), StoreError> {
        self.shared.lock().request(request);
        Ok(())
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.lock().check())
    }
}

/// The writer of one "process": the time between two crashes.
struct MemoryWriter {
    shared: Arc<Shared>,
    generation: u64,
}

impl Writer for MemoryWriter {
    fn next_exec(&mut self) -> Result<ExecNo, StoreError> {
        let state = self.shared.lock();
        state.alive(self.generation)?;
        Ok(state.next_exec())
    }

    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError> {
        let mut state = self.shared.lock();
        state.waiting += 1;
        self.shared.changed.notify_all();
        while state.held > 0 && state.alive(self.generation).is_ok() {
            state = self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting -= 1;
        state.alive(self.generation)?;
        let outcome = match state.next_fault() {
            Some(Fault::Refuse) => Err(faults::refused("this commit was told to fail")),
            Some(Fault::CrashBefore) => {
                state.crash();
                Err(faults::refused("the store crashed before it had written the batch"))
            }
            Some(Fault::CrashAfter) => state.apply(batch).and_then(|()| {
                state.crash();
                Err(faults::refused(
                    "the store crashed before it could acknowledge the batch",
                ))
            }),
            None => state.apply(batch),
        };
        if outcome.is_ok() {
            state.commits += 1;
        }
        self.shared.changed.notify_all();
        outcome
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.shared.lock().release_writer(self.generation);
    }
}

#[cfg(test)]
mod tests;
