//! What can go wrong with a store, as far as whoever runs it can tell the cases apart.

use std::path::PathBuf;

/// Why a store could not do what it was asked. Nothing that was acknowledged before is lost by any of these.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process, or another writer of this one, is writing.
    #[error("{path} is in use by another process{}", holder.as_ref().map(|h| format!(" ({h})")).unwrap_or_default())]
    Locked {
        /// The database.
        path: PathBuf,
        /// What is known of who holds it, such as `pid 4711`.
        holder: Option<String>,
    },
    /// The file is not a database, or its contents are damaged.
    #[error("{path} is damaged: {detail}")]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was found.
        detail: String,
    },
    /// A newer Bowline wrote it.
    #[error("{path} was written by a newer version of bowline (schema {found}, this one knows up to {known})")]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest schema version that this program knows.
        known: i64,
    },
    /// It cannot be written to.
    #[error("{path} is read-only: {detail}")]
    ReadOnly {
        /// The database.
        path: PathBuf,
        /// What the system said.
        detail: String,
    },
    /// There is no space left.
    #[error("no space left for {path}")]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// An execution with this id exists.
    #[error("an execution with the id {id} exists already")]
    Duplicate {
        /// The id.
        id: String,
    },
    /// Something else wrote to this journal: the execution is no longer this process's to advance.
    #[error("the journal of execution {exec} has a record {seq} already")]
    Conflict {
        /// The execution's number.
        exec: i64,
        /// The record's number.
        seq: u64,
    },
    /// There is an entry where a new one was to be added.
    #[error("there is an entry {} in {space} already", key.replace('\0', "/"))]
    EntryExists {
        /// The space.
        space: String,
        /// The key.
        key: String,
    },
    /// An entry is not what whoever changes it took it for.
    #[error("the entry {} in {space} has been changed", key.replace('\0', "/"))]
    EntryChanged {
        /// The space.
        space: String,
        /// The key.
        key: String,
    },
    /// What was to be written does not fit what is there: the execution is gone, or has not finished, or the like.
    #[error("{0}")]
    Refused(String),
    /// Anything else.
    #[error("{context}: {source}")]
    Other {
        /// What was being done.
        context: String,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
