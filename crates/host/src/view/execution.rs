//! Executions, as lists and pages show them.

use std::collections::BTreeMap;

use bowline_core::{ErrorKind, StepError};
use bowline_expression::Masker;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{StepView, Why};

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page<T> {
    /// What is on it. It may hold less than was asked for, and even nothing, although there is more: `next` tells.
    pub items: Vec<T>,
    /// What to ask for to get what comes after it; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// The same page of something made from each item.
    pub fn map<U>(self, each: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(each).collect(),
            next: self.next,
        }
    }
}

/// Where an execution stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Status {
    /// Not finished, and being worked on.
    Running,
    /// Not finished, and waiting for a time or for something from outside.
    Waiting,
    /// Not finished, and held back by somebody.
    Paused,
    /// Finished with a result.
    Succeeded,
    /// Finished with an error.
    Failed,
    /// Finished because it was cancelled; its compensations have run.
    Cancelled,
}

impl Status {
    /// Whether an execution that stands there has ended.
    #[must_use]
    pub fn is_finished(self) -> bool {
        bowline_store::Status::from(self).is_finished()
    }

    /// Its name, as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        bowline_store::Status::from(self).name()
    }
}

impl From<bowline_store::Status> for Status {
    fn from(status: bowline_store::Status) -> Self {
        match status {
            bowline_store::Status::Running => Self::Running,
            bowline_store::Status::Waiting => Self::Waiting,
            bowline_store::Status::Paused => Self::Paused,
            bowline_store::Status::Succeeded => Self::Succeeded,
            bowline_store::Status::Failed => Self::Failed,
            bowline_store::Status::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Status> for bowline_store::Status {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => Self::Running,
            Status::Waiting => Self::Waiting,
            Status::Paused => Self::Paused,
            Status::Succeeded => Self::Succeeded,
            Status::Failed => Self::Failed,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

/// An execution as a list shows it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecutionSummary {
    /// Its id.
    pub id: String,
    /// The organization that it belongs to.
    pub organization: String,
    /// Name of its workflow.
    pub workflow: String,
    /// The number of the deployed version that it runs; absent where that one was not deployed, but run from a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Hash of the definition that it runs.
    pub definition: String,
    /// Where it stands.
    pub status: Status,
    /// The code of the error that it failed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The execution that started it, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The execution that it was made from (a retry, a rerun), if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// When it began.
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<String>,
    /// When it is woken by itself, where it waits for a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wake_at: Option<String>,
}

/// Why something failed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorView {
    /// Stable name, such as `http.503`.
    pub code: String,
    /// `permanent`, `transient`, `after`, `outcomeUnknown`, `cancelled` or `timeout`.
    pub kind: String,
    /// One sentence.
    pub message: String,
    /// What is behind it, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What the service said, where that helps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

impl ErrorView {
    /// An error without the secrets that `masker` knows.
    #[must_use]
    pub fn of(error: &StepError, masker: &Masker) -> Self {
        let kind = match error.kind {
            ErrorKind::Permanent => "permanent",
            ErrorKind::Transient => "transient",
            ErrorKind::After(_) => "after",
            ErrorKind::OutcomeUnknown => "outcomeUnknown",
            ErrorKind::Cancelled => "cancelled",
            ErrorKind::Timeout => "timeout",
        };
        let text = |text: &str| masker.scrub_text(text).into_owned();
        Self {
            code: text(&error.code),
            kind: kind.to_owned(),
            message: text(&error.message),
            causes: error.causes.iter().map(|cause| text(cause)).collect(),
            data: error.data.as_deref().map(|data| {
                let mut data = data.clone();
                masker.scrub(&mut data);
                data
            }),
        }
    }
}

/// A value that is left out because it is large. It can be had by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Omitted {
    /// `input` or `output`.
    pub field: String,
    /// How many bytes of JSON it has.
    pub bytes: u64,
}

/// What a `respond` step answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// The status code.
    #[serde(default = "ok")]
    pub status: u16,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: text is sent as it is, everything else as JSON.
    #[serde(default)]
    pub body: Value,
}

fn ok() -> u16 {
    200
}

/// How a started execution came out, for whoever waited for it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ended {
    /// Its id.
    pub id: String,
    /// Where it stands: finished, or `running` where a `respond` step has answered before the end.
    pub status: Status,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Why it failed or was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// What its first `respond` step answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
}

/// One execution, whole.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: ExecutionSummary,
    /// What it was started with; absent where that is large (see `omitted`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Its result; absent where it has none yet, or a large one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Values that are left out because they are large.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<Omitted>,
    /// Why it failed or was cancelled. `error` in lists is its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<ErrorView>,
    /// Why it is being cancelled, while it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancelling: Option<String>,
    /// What a `respond` step answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<Response>,
    /// Its steps in the order in which they were asked for; those that it passed by come last.
    pub steps: Vec<StepView>,
    /// How many more steps there are than are told here: those that were asked for first.
    pub steps_omitted: usize,
    /// The executions that it started, newest first, at most 100.
    pub children: Vec<ExecutionSummary>,
    /// What it waits for, or how it ended, in one line.
    pub why: Why,
    /// Where its history stands now: what follows begins there.
    pub history: u64,
    /// Whether it can be resumed, retried and run again.
    pub can: Can,
}

/// What can be done to an execution as it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_excessive_bools, reason = "one for each button of a page")]
pub struct Can {
    /// It can be asked to stop.
    pub cancel: bool,
    /// It can be made to stand still.
    pub pause: bool,
    /// It can be let go on.
    pub unpause: bool,
    /// It can be taken up again where it failed.
    pub resume: bool,
    /// It can be done again as a new execution.
    pub retry: bool,
    /// It takes signals.
    pub signal: bool,
    /// It can be deleted.
    pub delete: bool,
}

impl Can {
    /// As this status allows.
    #[must_use]
    pub fn of(status: Status) -> Self {
        let over = status.is_finished();
        Self {
            cancel: !over,
            pause: !over && status != Status::Paused,
            unpause: status == Status::Paused,
            resume: matches!(status, Status::Failed | Status::Cancelled),
            retry: over,
            signal: !over,
            delete: over,
        }
    }
}

/// One event of a history.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEvent {
    /// The number of the commit that it was recorded in, from 0. Several events can share one; a page never parts them.
    /// Whoever reads on asks for this plus one.
    pub seq: u64,
    /// Its place within that commit, from 0.
    pub part: u32,
    /// Whether it is the last one of its commit.
    pub last: bool,
    /// When.
    pub at: String,
    /// What happened, such as `stepCompleted`.
    pub kind: String,
    /// The step that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Everything else that it says; large values are left out and stand there as `{"$omitted": bytes}`.
    pub data: Value,
}
