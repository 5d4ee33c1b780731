//! Steps of an execution: what was asked for, its attempts, and what it waits for.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::{ErrorView, Omitted};

/// Where a step stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum StepState {
    /// It is being worked on.
    Running,
    /// It waits: for its next attempt, a time, or something from outside.
    Waiting,
    /// It has its result.
    Done,
    /// It failed for good.
    Failed,
    /// It was no longer wanted.
    Cancelled,
    /// The execution has passed it by.
    Skipped,
    /// It was done, and was undone.
    Compensated,
}

impl StepState {
    /// Its name, as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
            Self::Compensated => "compensated",
        }
    }
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AttemptState {
    /// It is due later.
    Scheduled,
    /// It is being made.
    Running,
    /// It brought the result.
    Done,
    /// It failed.
    Failed,
    /// It was cut off.
    Cancelled,
}

/// One attempt of a step.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttemptView {
    /// Which one, from 1.
    pub number: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// When it was due.
    pub started_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// When the next one is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_at: Option<String>,
}

/// What a step waits for from outside.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WaitsFor {
    /// `callback`, `approval`, `signal` or `event`.
    pub kind: String,
    /// The channel, signal or event; absent for a callback without a channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The reference or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// When the next sign of life is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat_by: Option<String>,
    /// What a person is asked to approve: `who`, `what`, `form`, `quorum`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval: Option<Value>,
}

/// An execution that a step has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ChildRef {
    /// Its id.
    pub id: String,
    /// Its workflow.
    pub workflow: String,
    /// Nobody waits for it.
    pub detached: bool,
}

/// A step of an execution.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepView {
    /// Its path in the execution, such as `items[2]/put`. Unique.
    pub path: String,
    /// The last part of it.
    pub name: String,
    /// Its path without the numbers of loops: its place in the workflow, such as `items/put`.
    pub place: String,
    /// The connector; or `timer`, `callback`, `approval`, `signal`, `event`, `emit`, `respond`, `workflow`.
    pub kind: String,
    /// Where it stands.
    pub state: StepState,
    /// Its attempts, oldest first. Of more than 100 the last ones.
    pub attempts: Vec<AttemptView>,
    /// How many attempts it has at most; absent where there is no bound, or none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// When it was asked for; absent for one that was passed by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// When something happens to it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// What it waits for, or waited for, from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<WaitsFor>,
    /// The execution that it started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<ChildRef>,
    /// The path of the step that it undoes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compensates: Option<String>,
    /// The event that it told others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emitted: Option<String>,
    /// Its result is that of the execution that this one was made from.
    pub kept: bool,
    /// Why it failed, or why its last attempt did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
}

/// A step with what went into it and what came out.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepDetail {
    /// What a page of the execution shows of it.
    #[serde(flatten)]
    pub step: StepView,
    /// What it was asked to do, with secrets masked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// What came out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Value>,
    /// Values over the bound that was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub omitted: Vec<Omitted>,
}
