//! The rows that go into a store and come out of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The store's own number of an execution: small, ascending, never reused. Users see the id instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecNo(pub i64);

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not finished: it runs, waits, or waits to be taken up.
    Running,
    /// Finished with a result.
    Succeeded,
    /// Finished with an error.
    Failed,
    /// Finished because it was cancelled; its compensations have run.
    Cancelled,
}

impl Status {
    /// The name that users see and stores keep.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`Status::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled]
            .into_iter()
            .find(|status| status.name() == name)
    }
}

/// A workflow definition, immutable: its hash is its identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// SHA-256 over the content, in hex.
    pub hash: String,
    /// Name of the workflow.
    pub workflow: String,
    /// The definition itself, as the language that made it wants it back.
    pub content: Bytes,
}

/// An execution that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewExecution {
    /// The number it has from now on.
    pub exec: ExecNo,
    /// The id that users see (UUIDv7 text). Unique.
    pub id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Hash of the definition that it runs.
    pub definition: String,
    /// The execution that started it, if one did.
    pub parent: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub started_at: i64,
}

/// An execution that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The number of the execution.
    pub exec: ExecNo,
    /// How it ended; not [`Status::Running`].
    pub status: Status,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
}

/// One entry of a journal: what one commit wrote for one execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalRecord {
    /// The number of the execution.
    pub exec: ExecNo,
    /// 0, 1, 2, ... without gaps within an execution.
    pub seq: u64,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// The events, encoded by whoever wrote them.
    pub events: Bytes,
}

/// One thing to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Keeps a definition; does nothing where its hash is known.
    Define(Definition),
    /// Begins an execution. An id that exists already is [`StoreError::Duplicate`](crate::StoreError).
    Start(NewExecution),
    /// Appends to a journal. A `seq` that exists already is [`StoreError::Conflict`](crate::StoreError).
    Append(JournalRecord),
    /// Ends an execution.
    Finish(Finish),
    /// Reopens a finished execution, so that it is found as unfinished again.
    Reopen(ExecNo),
    /// Forgets this request; does nothing where it is forgotten already.
    DropRequest(i64),
}

/// An execution as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionRow {
    /// The store's number.
    #[serde(skip)]
    pub exec: ExecNo,
    /// The id that users see.
    pub id: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Hash of the definition that it runs.
    pub definition: String,
    /// The execution that started it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Milliseconds since the Unix epoch.
    pub started_at: i64,
    /// Milliseconds since the Unix epoch; none while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<i64>,
}

/// Which executions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those that this execution started.
    pub parent: Option<String>,
    /// Only those whose id begins with this.
    pub id_prefix: Option<String>,
    /// Only those older than this number: the last one of the page before.
    pub before: Option<ExecNo>,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl ExecutionFilter {
    /// How many rows a page has at most: [`ExecutionFilter::limit`] with its default.
    #[must_use]
    pub fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }
}

/// An unfinished execution with its journal, as recovery reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenExecution {
    /// Its row.
    pub row: ExecutionRow,
    /// Its journal, whole and in order.
    pub journal: Vec<JournalRecord>,
}

/// What another process asks of the one that holds the writer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RequestKind {
    /// Cancel this execution.
    Cancel {
        /// Its id.
        id: String,
        /// Why, as the one who asks says it.
        reason: String,
    },
}

/// A [`RequestKind`] with its place in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Ascending.
    pub id: i64,
    /// What is asked.
    pub kind: RequestKind,
}
