//! The rows of executions, definitions and journals, as they go into a store and come out of it.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The store's own number of an execution: small, ascending, never reused. Users see the id instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExecNo(pub i64);

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Not finished, and some process has it in memory or is to take it up at its next start.
    Running,
    /// Not finished and not in memory: it is found by its wake-up, or by what it waits for.
    Waiting,
    /// Not finished and not in memory, because somebody paused it: it goes on when that is taken back.
    Paused,
    /// Finished with a result.
    Succeeded,
    /// Finished with an error.
    Failed,
    /// Finished because it was cancelled; its compensations have run.
    Cancelled,
}

impl Status {
    /// All there are, unfinished ones first.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Waiting,
        Self::Paused,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Whether an execution that stands there has ended.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The name that users see and stores keep.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Paused => "paused",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads [`Status::name`].
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
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
    /// Whose it is.
    pub organization: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Hash of the definition that it runs.
    pub definition: String,
    /// The execution that started it, if one did.
    pub parent: Option<String>,
    /// The execution that it was made from (a retry, a rerun), if it was.
    pub origin: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub started_at: i64,
}

/// An execution that ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finish {
    /// The number of the execution.
    pub exec: ExecNo,
    /// How it ended: a status that [is finished](Status::is_finished).
    pub status: Status,
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// The code of the error that it ended with, if it failed.
    pub error: Option<String>,
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

/// An execution as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionRow {
    /// The store's number.
    #[serde(skip)]
    pub exec: ExecNo,
    /// The id that users see.
    pub id: String,
    /// Whose it is.
    pub organization: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Hash of the definition that it runs.
    pub definition: String,
    /// The execution that started it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The execution that it was made from (a retry, a rerun), if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Where it stands.
    pub status: Status,
    /// Milliseconds since the Unix epoch.
    pub started_at: i64,
    /// Milliseconds since the Unix epoch; none while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<i64>,
    /// The code of the error that it ended with, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When a waiting one is to be woken at the latest, in milliseconds since the Unix epoch; none where only what it
    /// waits for wakes it, and where it does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<i64>,
}

/// Which executions to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionFilter {
    /// Only those of this organization; none means those of every one.
    pub organization: Option<String>,
    /// Only those with this status.
    pub status: Option<Status>,
    /// Only those that have not finished.
    pub unfinished: bool,
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those that run the definition with this hash.
    pub definition: Option<String>,
    /// Only those that this execution started.
    pub parent: Option<String>,
    /// Only those that failed with an error of this code.
    pub error: Option<String>,
    /// Only those that began at the first time or later, and before the second (milliseconds since the Unix epoch).
    pub started: (Option<i64>, Option<i64>),
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

    /// Whether this filter lets `row` through, its page aside.
    #[must_use]
    pub fn fits(&self, row: &ExecutionRow) -> bool {
        let (since, until) = self.started;
        self.organization.as_ref().is_none_or(|name| row.organization == *name)
            && self.status.is_none_or(|status| row.status == status)
            && (!self.unfinished || !row.status.is_finished())
            && self.workflow.as_ref().is_none_or(|name| row.workflow == *name)
            && self.definition.as_ref().is_none_or(|hash| row.definition == *hash)
            && (self.parent.is_none() || row.parent == self.parent)
            && (self.error.is_none() || row.error == self.error)
            && since.is_none_or(|since| row.started_at >= since)
            && until.is_none_or(|until| row.started_at < until)
            && self
                .id_prefix
                .as_ref()
                .is_none_or(|prefix| row.id.starts_with(prefix.as_str()))
            && self.before.is_none_or(|before| row.exec < before)
    }
}

/// An execution with its journal, as recovery reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenExecution {
    /// Its row.
    pub row: ExecutionRow,
    /// Its journal in order, with condensed segments instead of the records that they stand for. A segment is one
    /// record whose `seq` is the first that it covers, so numbers have gaps.
    pub journal: Vec<JournalRecord>,
    /// The number that its next record gets.
    pub next_seq: u64,
}

/// Who started with a key. See [`Write::ClaimKey`](crate::Write::ClaimKey).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartKeyRow {
    /// The execution that has the key.
    pub exec: ExecNo,
    /// Its id.
    pub id: String,
    /// What the input of that start was, as whoever claimed the key hashed it.
    pub input_hash: Bytes,
}

/// A part of what [`Store::audit`](crate::Store::audit) finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditPage {
    /// Executions that are running, which somebody has to own, and executions that wait for nothing.
    pub found: Vec<ExecutionRow>,
    /// Where the next page begins; none at the end. There can be a next page after one that found nothing.
    pub next: Option<ExecNo>,
}

/// What there is to tidy up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Housekeeping {
    /// When the oldest event was emitted, in milliseconds since the Unix epoch.
    pub oldest_event: Option<i64>,
    /// How many deliveries are kept.
    pub deliveries: u64,
    /// When the first of the kept deliveries expires, in milliseconds since the Unix epoch.
    pub first_expiry: Option<i64>,
    /// How large the database is, in bytes.
    pub total_bytes: u64,
    /// How much of that is free and can be given back by [`Write::Shrink`](crate::Write::Shrink), in bytes. 0 for a
    /// store that gives nothing back.
    pub free_bytes: u64,
    /// The size of a page, in bytes.
    pub page_size: u32,
}
