//! What operations are given.

use bowline_engine::StartKey;
use bowline_store::EntryWrite;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Status;

/// An execution to start.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// Name of the workflow.
    pub workflow: String,
    /// Which version of it; none means the current one.
    pub version: Option<u32>,
    /// What it is started with.
    pub input: Value,
    /// Makes starting it idempotent.
    pub key: Option<StartKey>,
    /// Its id, made at random by the program that asks; none makes a new one.
    pub id: Option<String>,
    /// In place of `id`: one that somebody outside has chosen. In organizations other than `default` the execution's id is
    /// this with the organization's name before it (`acme~order-7`), so that nobody can take or find another's.
    pub chosen_id: Option<String>,
    /// Entries that are written in the very commit that starts it, or not at all.
    pub with: Vec<EntryWrite>,
    /// The W3C `traceparent` of whoever starts it.
    pub trace: Option<String>,
}

impl Start {
    /// Starts the current version of `workflow` with `input`.
    pub fn new(workflow: impl Into<String>, input: Value) -> Self {
        Self {
            workflow: workflow.into(),
            input,
            ..Self::default()
        }
    }
}

/// An execution that was started, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Its id.
    pub id: String,
    /// False where its key led to one that was there already.
    pub created: bool,
}

/// Which executions to list. Everything that is given has to fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// Only those that stand there.
    pub status: Option<Status>,
    /// Only those that have not finished.
    pub unfinished: bool,
    /// Only those of this workflow.
    pub workflow: Option<String>,
    /// Only those that run this version of the workflow, which must be given too.
    pub version: Option<u32>,
    /// Only those started at this time or later, in milliseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Only those started before this time, in milliseconds since the Unix epoch.
    pub until: Option<i64>,
    /// Only those that failed with an error of this code.
    pub error: Option<String>,
    /// Only those that this execution started.
    pub parent: Option<String>,
    /// Only those whose id begins with this.
    pub id_prefix: Option<String>,
    /// Fields of the input, each with the text that its value has: a dotted path (`customer.id`, `items[0].sku`) or a
    /// JSON pointer (`/customer/id`). Values that are no text are compared by their JSON.
    pub input: Vec<(String, String)>,
    /// The same of the result.
    pub output: Vec<(String, String)>,
    /// Where the page begins: `next` of the one before.
    pub cursor: Option<String>,
    /// At most so many; 0 means 50, and 500 is the most.
    pub limit: usize,
}

/// How an ended execution is done again, as a new one, from where it failed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Retry {
    /// The id of the new execution. Default: a new UUID. One that exists is refused.
    pub id: Option<String>,
    /// The path of the step from which on everything is done again. Default: whatever was not done.
    pub from: Option<String>,
    /// Steps get idempotency keys of their own, so that services carry out again what they know already. Default false.
    pub new_keys: bool,
    /// Why, for the history.
    pub reason: Option<String>,
    /// Entries that are written in the commit that starts it.
    #[serde(skip)]
    pub with: Vec<EntryWrite>,
}

/// How an ended execution is run again, as a new one, from the top or from one of its steps.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rerun {
    /// The id of the new execution. Default: a new UUID. One that exists is refused.
    pub id: Option<String>,
    /// The path of the step from which on everything is done again. Default: the first one.
    pub from: Option<String>,
    /// The input instead of the one that it was started with.
    pub input: Option<Value>,
    /// Steps get idempotency keys of their own. Default: true where another input is given, because a service that knows
    /// the key would answer for the old one.
    pub new_keys: Option<bool>,
    /// Why, for the history.
    pub reason: Option<String>,
    /// Entries that are written in the commit that starts it.
    #[serde(skip)]
    pub with: Vec<EntryWrite>,
}

/// How an execution is taken up again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Resume {
    /// The version of the workflow that it goes on on. Default: its own.
    pub on: Option<u32>,
    /// Why, for the history.
    pub reason: Option<String>,
}

/// A signal to an execution.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Signal {
    /// Its name.
    pub name: String,
    /// What it carries. Default null.
    #[serde(default)]
    pub data: Value,
    /// Two signals to an execution with the same one here are the same signal.
    #[serde(default)]
    pub id: Option<String>,
}

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// Yes or no.
    pub approved: bool,
    /// Who says so.
    #[serde(default)]
    pub by: Option<String>,
    /// What they want to add.
    #[serde(default)]
    pub comment: Option<String>,
    /// The fields of the approval's form.
    #[serde(default)]
    pub form: Map<String, Value>,
}

/// Workflow files to deploy together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deploy {
    /// File names with their texts: workflows, and `bowline.yaml` for what they share. Workflows that they start have to
    /// be among them, or deployed already.
    pub files: Vec<(String, String)>,
    /// Checks everything and keeps nothing.
    pub dry_run: bool,
    /// Who brings them, for people.
    pub by: Option<String>,
    /// What the current version of the only workflow must be (its hash), so that nobody's change is overwritten.
    /// None does not look.
    pub expects: Option<String>,
    /// Entries that are written in the commit that keeps them, also where nothing is new.
    pub with: Vec<EntryWrite>,
}

/// Which open callbacks or approvals to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Only those of this execution.
    pub execution: Option<String>,
    /// Where the page begins: `next` of the one before.
    pub cursor: Option<String>,
    /// At most so many; 0 means 100, and 500 is the most.
    pub limit: usize,
    /// With the tokens that lead to them.
    pub tokens: bool,
}

/// Which payload of an execution is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// What the execution was started with.
    Input,
    /// Its result.
    Output,
    /// What the step at this path was asked to do.
    StepInput(String),
    /// What came out of the step at this path.
    StepOutput(String),
}
