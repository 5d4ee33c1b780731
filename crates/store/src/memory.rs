//! A store in memory, for tests and simulation: it keeps what a disk would keep, and fails when it is told to.
//!
//! Every clone is the same store, so a test keeps one clone while the engine under test owns another, and
//! "restarting the process" is [`MemoryStore::crash`] and a new engine on a further clone. What was acknowledged
//! survives a crash and nothing else does; the writer from before the crash is refused from then on, as a
//! process that was killed can write no more.

mod faults;
mod state;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
pub use faults::{Fault, Hold, Witness};

use crate::{
    AuditPage, Definition, Delivery, DeliveryFilter, EntryRange, EventRow, ExecNo, ExecutionFilter, ExecutionRow,
    Housekeeping, JournalRecord, OpenExecution, Request, RequestKind, StartKeyRow, Store, StoreError, WaitFilter,
    WaitKind, WaitRow, Write, Writer,
};
use faults::Plan;
use state::State;

/// Simulations have to come out the same every time, so this one is no secret.
const TOKEN_KEY: &[u8; 32] = b"the token key of memory stores..";

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

    /// Writes beside the one who has the writer, as a fault in it would.
    ///
    /// # Errors
    /// As [`Writer::commit`].
    pub fn meddle(&self, batch: &[Write]) -> Result<(), StoreError> {
        self.shared.lock().apply(batch)
    }

    /// As if the process that writes were killed now: its writer can write no more (a commit that is under way and
    /// held back by [`MemoryStore::hold`] is lost), all that was acknowledged stays, and a new writer may be taken.
    pub fn crash(&self) {
        self.shared.lock().crash();
        self.shared.changed.notify_all();
    }

    /// `witness` is told of every commit that is durable, before whoever made it is, and of every crash that a fault
    /// makes. It must not use the store.
    pub fn witness(&self, witness: impl Fn(Witness<'_>) + Send + Sync + 'static) {
        self.shared.lock().witness = Some(Arc::new(witness));
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

    fn token_key(&self) -> Result<[u8; 32], StoreError> {
        Ok(*TOKEN_KEY)
    }

    fn definitions(&self, organization: &str, workflow: &str) -> Result<Vec<Definition>, StoreError> {
        Ok(self.shared.lock().definitions_of(organization, workflow))
    }

    fn organizations(&self) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.lock().organizations())
    }

    fn workflows(&self, organization: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.lock().workflows(organization))
    }

    fn paused_workflows(&self, organization: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.lock().paused_workflows(organization))
    }

    fn execution_by_no(&self, exec: ExecNo) -> Result<Option<ExecutionRow>, StoreError> {
        Ok(self.shared.lock().by_number(exec))
    }

    fn start_key(&self, organization: &str, workflow: &str, key: &str) -> Result<Option<StartKeyRow>, StoreError> {
        Ok(self.shared.lock().start_key(organization, workflow, key))
    }

    fn last_record(&self, exec: ExecNo) -> Result<Option<JournalRecord>, StoreError> {
        Ok(self.shared.lock().last_record(exec))
    }

    fn open_execution(&self, exec: ExecNo) -> Result<Option<OpenExecution>, StoreError> {
        Ok(self.shared.lock().open_execution(exec))
    }

    fn due(&self, after: (i64, ExecNo), limit: usize) -> Result<Vec<(i64, ExecNo)>, StoreError> {
        Ok(self.shared.lock().due(after, limit))
    }

    fn audit(&self, after: ExecNo, limit: usize) -> Result<AuditPage, StoreError> {
        Ok(self.shared.lock().audit(after, limit))
    }

    fn wait(&self, exec: ExecNo, tag: u64) -> Result<Option<WaitRow>, StoreError> {
        Ok(self.shared.lock().wait(exec, tag))
    }

    fn waits(&self, filter: &WaitFilter) -> Result<Vec<WaitRow>, StoreError> {
        Ok(self.shared.lock().list_waits(filter))
    }

    fn waits_by_key(
        &self,
        organization: &str,
        kind: WaitKind,
        name: &str,
        key: &str,
    ) -> Result<Vec<WaitRow>, StoreError> {
        Ok(self.shared.lock().waits_by_key(organization, kind, name, key))
    }

    fn event_waits(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
    ) -> Result<Vec<(ExecNo, u64, String)>, StoreError> {
        Ok(self.shared.lock().event_waits(organization, event, key))
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.shared.lock().list_deliveries(filter))
    }

    fn deliveries_for(
        &self,
        exec: ExecNo,
        tag: u64,
        name: &str,
        key: Option<&str>,
    ) -> Result<Vec<Delivery>, StoreError> {
        Ok(self.shared.lock().deliveries_for(exec, tag, name, key))
    }

    fn last_delivery(&self) -> Result<i64, StoreError> {
        Ok(self.shared.lock().last_delivery())
    }

    fn events_after(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
        after: i64,
        since: i64,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        let state = self.shared.lock();
        Ok(state.events_after(organization, event, key, after, since, limit))
    }

    fn finished(
        &self,
        organization: &str,
        workflow: &str,
        before: i64,
        limit: usize,
    ) -> Result<Vec<ExecutionRow>, StoreError> {
        Ok(self.shared.lock().finished(organization, workflow, before, limit))
    }

    fn kept_from(&self, organization: &str, workflow: &str, keep: usize) -> Result<Option<i64>, StoreError> {
        Ok(self.shared.lock().kept_from(organization, workflow, keep))
    }

    fn deleting(&self, limit: usize) -> Result<Vec<ExecNo>, StoreError> {
        Ok(self.shared.lock().deleting(limit))
    }

    fn housekeeping(&self) -> Result<Housekeeping, StoreError> {
        Ok(self.shared.lock().housekeeping())
    }

    fn blobs_of(&self, exec: ExecNo) -> Result<Vec<String>, StoreError> {
        Ok(self.shared.lock().blobs_of(exec))
    }

    fn blob_referenced(&self, blob: &str) -> Result<bool, StoreError> {
        Ok(self.shared.lock().blob_referenced(blob))
    }

    fn backup(&self, dest: &Path) -> Result<(), StoreError> {
        Err(state::no_backup(dest))
    }

    fn shrink(&self, _max_pages: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    fn entry(&self, space: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        Ok(self.shared.lock().entry(space, key))
    }

    fn entries(&self, range: &EntryRange) -> Result<Vec<(String, Bytes)>, StoreError> {
        Ok(self.shared.lock().list_entries(range))
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
                state.tell(Witness::Crashed);
                Err(faults::refused("the store crashed before it had written the batch"))
            }
            Some(Fault::CrashAfter) => state.apply(batch).and_then(|()| {
                state.tell(Witness::Durable(batch));
                state.crash();
                state.tell(Witness::Crashed);
                Err(faults::refused(
                    "the store crashed before it could acknowledge the batch",
                ))
            }),
            // Acknowledged, and never written: what no disk may do.
            Some(Fault::Lose) => Ok(()),
            None => state.apply(batch).inspect(|()| state.tell(Witness::Durable(batch))),
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
