//! What a store of executions is: the rows, the trait, and the suite that every store passes.
//!
//! A store keeps definitions (immutable, by content hash), executions (one row each), their journals (append-only
//! records), what they wait for, and the answers and events that wait for them. It never looks inside a record. Reading may happen from any
//! thread and process at any time; writing happens through the one [`Writer`] that a process may hold.
//!
//! [`MemoryStore`] is the store for tests and simulation; [`testkit`] is what every store has to pass; [`load`]
//! is the load that benches put on a writer.

mod entries;
mod error;
pub mod load;
mod memory;
mod requests;
mod rows;
pub mod testkit;
mod waits;
mod write;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub use entries::{
    DEFAULT_ORGANIZATION, Entry, EntryRange, EntryWrite, KEPT_BLOBS, is_blob_kept, key, key_parts, prefix,
};
pub use error::StoreError;
pub use memory::{Fault, Hold, MemoryStore, Witness};
pub use requests::{CallbackAddress, PauseTarget, Request, RequestKind};
pub use rows::{
    AuditPage, Definition, ExecNo, ExecutionFilter, ExecutionRow, Finish, Housekeeping, JournalRecord, NewExecution,
    OpenExecution, StartKeyRow, Status,
};
pub use waits::{Delivery, DeliveryFilter, EventRow, WaitFilter, WaitKind, WaitRow, WaitState};
pub use write::Write;

/// Reading, and the way to the writer. All calls block; call them from a thread that may.
pub trait Store: Send + Sync + 'static {
    /// Takes the right to write. One process at a time has it, from this call until the writer is dropped.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process (or another writer of this one) has it.
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// The key that callback tokens are made with: made with the store, kept in it, and copied by a backup.
    fn token_key(&self) -> Result<[u8; 32], StoreError>;

    /// The definition with this content hash.
    fn definition(&self, hash: &str) -> Result<Option<Definition>, StoreError>;

    /// The definitions that an organization has started executions of a workflow with, in the order in which they came.
    fn definitions(&self, organization: &str, workflow: &str) -> Result<Vec<Definition>, StoreError>;

    /// The organizations that have executions or paused workflows, in alphabetical order.
    fn organizations(&self) -> Result<Vec<String>, StoreError>;

    /// The names of workflows that an organization has executions of, in alphabetical order.
    fn workflows(&self, organization: &str) -> Result<Vec<String>, StoreError>;

    /// The workflows of an organization that are paused, in alphabetical order.
    fn paused_workflows(&self, organization: &str) -> Result<Vec<String>, StoreError>;

    /// The execution with this id.
    fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError>;

    /// The execution with this number.
    fn execution_by_no(&self, exec: ExecNo) -> Result<Option<ExecutionRow>, StoreError>;

    /// Who started with this key of a workflow of an organization.
    fn start_key(&self, organization: &str, workflow: &str, key: &str) -> Result<Option<StartKeyRow>, StoreError>;

    /// Executions newest first, as the filter says.
    fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>, StoreError>;

    /// The records of an execution with `seq >= from`, in order, at most `limit`.
    fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>, StoreError>;

    /// The last record of an execution.
    fn last_record(&self, exec: ExecNo) -> Result<Option<JournalRecord>, StoreError>;

    /// An execution, whatever its status, with its journal as recovery needs it, of one moment. Records that a
    /// condensed segment stands for are not read.
    fn open_execution(&self, exec: ExecNo) -> Result<Option<OpenExecution>, StoreError>;

    /// Running executions with `exec > after` in ascending order, each as [`Store::open_execution`] reads it, at most
    /// `limit` executions. Recovery pages through this; it must not scan finished or waiting ones. A page shows one
    /// moment. A page may be shorter than `limit` where journals are large: only an empty page is the end.
    fn open_executions(&self, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>, StoreError>;

    /// When waiting executions are to be woken: those after this time and number, in ascending order of both, at most
    /// `limit`. Must not scan those that have no such time.
    fn due(&self, after: (i64, ExecNo), limit: usize) -> Result<Vec<(i64, ExecNo)>, StoreError>;

    /// Running executions, and waiting ones that nothing wakes: they have no time, no open wait and no unfinished child.
    /// With `exec > after` in ascending order, at most `limit` of them. Each page takes a short time only.
    fn audit(&self, after: ExecNo, limit: usize) -> Result<AuditPage, StoreError>;

    /// One wait of an execution.
    fn wait(&self, exec: ExecNo, tag: u64) -> Result<Option<WaitRow>, StoreError>;

    /// Waits, ordered by execution and tag, as the filter says.
    fn waits(&self, filter: &WaitFilter) -> Result<Vec<WaitRow>, StoreError>;

    /// Waits of an organization for this key: first all open ones in the order in which they were opened, then up to 16 others, those
    /// opened last first. Signals have no keys.
    fn waits_by_key(
        &self,
        organization: &str,
        kind: WaitKind,
        name: &str,
        key: &str,
    ) -> Result<Vec<WaitRow>, StoreError>;

    /// Whose open waits an event of an organization with this name and key is for: execution, tag and path, in ascending order.
    fn event_waits(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
    ) -> Result<Vec<(ExecNo, u64, String)>, StoreError>;

    /// Kept deliveries, oldest first, as the filter says.
    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError>;

    /// Kept deliveries for one wait, oldest first: those that name it, and those of its organization for its key if it
    /// has one.
    fn deliveries_for(
        &self,
        exec: ExecNo,
        tag: u64,
        name: &str,
        key: Option<&str>,
    ) -> Result<Vec<Delivery>, StoreError>;

    /// The highest number that a delivery ever had; 0 where there was none. Whoever holds the writer counts on from it.
    fn last_delivery(&self) -> Result<i64, StoreError>;

    /// Events of an organization with this name, in the order of their numbers, at most `limit`: those with a number above `after`, not
    /// emitted before `since` (milliseconds since the Unix epoch), and with this key if one is given.
    fn events_after(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
        after: i64,
        since: i64,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError>;

    /// Finished executions of a workflow that ended before this time, those that ended first first, at most `limit`.
    fn finished(
        &self,
        organization: &str,
        workflow: &str,
        before: i64,
        limit: usize,
    ) -> Result<Vec<ExecutionRow>, StoreError>;

    /// The time before which finished executions have to have ended so that deleting them leaves the `keep` of this
    /// workflow that ended last; none where there are not more than that.
    fn kept_from(&self, organization: &str, workflow: &str, keep: usize) -> Result<Option<i64>, StoreError>;

    /// Executions that were deleted in part, at most `limit`. See [`Write::DeleteSlice`].
    fn deleting(&self, limit: usize) -> Result<Vec<ExecNo>, StoreError>;

    /// What there is to tidy up.
    fn housekeeping(&self) -> Result<Housekeeping, StoreError>;

    /// The blobs that an execution refers to, in alphabetical order.
    fn blobs_of(&self, exec: ExecNo) -> Result<Vec<String>, StoreError>;

    /// Whether any execution refers to this blob.
    fn blob_referenced(&self, blob: &str) -> Result<bool, StoreError>;

    /// The value of an entry.
    fn entry(&self, space: &str, key: &str) -> Result<Option<Bytes>, StoreError>;

    /// Entries with their keys, as the range says.
    fn entries(&self, range: &EntryRange) -> Result<Vec<(String, Bytes)>, StoreError>;

    /// Requests (such as a cancellation) that other processes left for whoever holds the writer, oldest
    /// first, with `id > after`. Must be cheap when there are none: it is polled.
    fn requests(&self, after: i64) -> Result<Vec<Request>, StoreError>;

    /// Leaves a request for whoever holds the writer. Works from any process, also beside a writer.
    fn request(&self, request: &RequestKind) -> Result<(), StoreError>;

    /// Copies the store, as it is at one moment, to `dest`, which must not exist, while whoever holds the writer goes
    /// on. The copy is under its name only when it is whole, synced and checked.
    ///
    /// # Errors
    /// [`StoreError::Other`] where `dest` exists or the store cannot be copied, [`StoreError::Full`], ...
    fn backup(&self, dest: &Path) -> Result<(), StoreError>;

    /// Gives up to `max_pages` free pages back to the system; how many those were. Waits for the one that writes: an
    /// engine commits [`Write::Shrink`] instead.
    fn shrink(&self, max_pages: u32) -> Result<u32, StoreError>;

    /// Reads everything there is and says what is wrong with it; empty when nothing is.
    fn check(&self) -> Result<Vec<String>, StoreError>;
}

/// The one way to write.
pub trait Writer: Send {
    /// The number that the next new execution gets: higher than any that was ever committed, 1 in a new store.
    /// The caller counts on from it.
    fn next_exec(&mut self) -> Result<ExecNo, StoreError>;

    /// Writes all of `batch`, in order, as one transaction, and returns when it is durable (it survives a
    /// power loss). On an error nothing of the batch is written, and the writer stays usable, unless the error
    /// says that it does not.
    ///
    /// An append, a finish or a reopening names an execution that was started, earlier or in the same batch.
    ///
    /// # Errors
    /// [`StoreError::Duplicate`], [`StoreError::Conflict`], [`StoreError::Full`], or what else stops a disk.
    fn commit(&mut self, batch: &[Write]) -> Result<(), StoreError>;
}

/// Stores are shared.
pub type SharedStore = Arc<dyn Store>;
