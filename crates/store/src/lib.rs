//! What a store of executions is: the rows, the trait, and the suite that every store passes.
//!
//! A store keeps three things: definitions (immutable, by content hash), executions (one row each), and
//! their journals (append-only records). It never looks inside a record. Reading may happen from any
//! thread and process at any time; writing happens through the one [`Writer`] that a process may hold.
//!
//! [`MemoryStore`] is the store for tests and simulation; [`testkit`] is what every store has to pass; [`load`]
//! is the load that benches put on a writer.

mod error;
pub mod load;
mod memory;
mod rows;
pub mod testkit;

use std::sync::Arc;

pub use error::StoreError;
pub use memory::{Fault, Hold, MemoryStore};
pub use rows::{
    Definition, ExecNo, ExecutionFilter, ExecutionRow, Finish, JournalRecord, NewExecution, OpenExecution, Request,
    RequestKind, Status, Write,
};

/// Reading, and the way to the writer. All calls block; call them from a thread that may.
pub trait Store: Send + Sync + 'static {
    /// Takes the right to write. One process at a time has it, from this call until the writer is dropped.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process (or another writer of this one) has it.
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// The definition with this content hash.
    fn definition(&self, hash: &str) -> Result<Option<Definition>, StoreError>;

    /// The execution with this id.
    fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError>;

    /// Executions newest first, as the filter says.
    fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>, StoreError>;

    /// The records of an execution with `seq >= from`, in order, at most `limit`.
    fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>, StoreError>;

    /// Unfinished executions with `exec > after` in ascending order with their whole journals, at most
    /// `limit` executions. Recovery pages through this; it must not scan finished ones. A page shows one moment.
    /// A page may be shorter than `limit` where journals are large: only an empty page is the end.
    fn open_executions(&self, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>, StoreError>;

    /// Requests (such as a cancellation) that other processes left for whoever holds the writer, oldest
    /// first, with `id > after`. Must be cheap when there are none: it is polled.
    fn requests(&self, after: i64) -> Result<Vec<Request>, StoreError>;

    /// Leaves a request for whoever holds the writer. Works from any process, also beside a writer.
    fn request(&self, request: &RequestKind) -> Result<(), StoreError>;

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
