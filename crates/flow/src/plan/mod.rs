//! The plan: a workflow that has been read and checked, as the interpreter walks it.
//!
//! [`load`](crate::load) makes it, and only from a document without problems. So whatever stands here is
//! known to be sound: names resolve, templates compile, durations are durations, blocks are not empty.
//! A plan holds no state of an execution and is shared by all of them behind an [`Arc`].
//!
//! What an expression may read, and what the interpreter therefore has to offer:
//! - `input`, `steps`, `workflow`, `env`, `credentials`, `auth`, `random` everywhere;
//! - the result of an earlier step of the same or of an enclosing block under its id. A step that ran
//!   inside `parallel`, `switch`, `try`, `repeat` or `saga` can be read after that block too (where it was
//!   skipped or did not finish, the name is bound to nothing); one inside `forEach` cannot, its results are
//!   the list under the id of the block;
//! - names that `set` and `output` maps made, from then on;
//! - the loop variable and the index inside `forEach`, `iteration` (from 1) inside `repeat`, what `as`
//!   names inside `catch`;
//! - `results` and `failures` in a gather expression, and `result` in its `min` and `max`;
//! - `callback` in the `config` of a node that has one: `callback.token` and `callback.url`; `response`, the
//!   node's answer, in `correlate`; both in `success` and `output`, where `callback.body` is what came;
//! - `callbacks.ID.token` and `callbacks.ID.url` of a `callback` or `approve` that stands alone in the same
//!   list of steps, or in one around it; with a quorum `callbacks.ID.each`, one for each of `who`;
//! - `event` (`type`, `key`, `data`, `source`, `at`) or `signal` (`name`, `data`) in `where`;
//! - in a `verify` step: `attempt`, `idempotencyKey`, `request` (the masked `config`) and `error`;
//! - in a compensation: all of this and `action`, the result of what is being undone, and `error`, the
//!   failure that causes it; in a fallback: all of this and `error`;
//! - in `triggers` nothing but `env`, `credentials` and, in `when`, `input` and `key`, `trigger`: what has come in.

mod node;
mod outside;
mod step;
mod templates;
mod trigger;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bowline_expression::Template;
use indexmap::IndexMap;
use jsonschema::Validator;
use serde_json::Value;

pub use node::{NodePlan, OnError, OutputName, OutputPlan};
pub use outside::{Approve, Awaited, CallbackPlan, Emit, Quorum, Respond, UnknownOutcome, WaitFor, Within};
pub use step::{
    Branch, Case, Catch, ChildMode, ForEach, Gather, Join, OnItemError, Repeat, RepeatCondition, Saga, SagaStep,
    ScatterGather, Step, StepKind, Try, Wait,
};
pub use trigger::{CallbackEndpoint, EndpointFailure, Heard, Selected, Trigger};

use crate::source::Source;

/// A workflow that is ready to run. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan(pub Arc<PlanParts>);

impl std::ops::Deref for Plan {
    type Target = PlanParts;

    fn deref(&self) -> &PlanParts {
        &self.0
    }
}

/// What a [`Plan`] consists of.
#[derive(Debug)]
pub struct PlanParts {
    /// Its `name`, or the name of its file without the ending.
    pub name: String,
    /// What people wrote about it.
    pub description: Option<String>,
    /// JSON Schema of the input. `None` takes anything.
    pub input_schema: Option<Value>,
    /// That schema, compiled when an input is first compared with it, or what is wrong with it.
    pub(crate) input_validator: OnceLock<Result<Validator, String>>,
    /// The label of the event that is to start it (`trigger: order-created`).
    pub trigger: Option<String>,
    /// What starts it by itself, in the order of the document.
    pub triggers: Vec<Trigger>,
    /// The callback endpoints of the shared file, by name.
    pub callbacks: BTreeMap<String, CallbackEndpoint>,
    /// Which of its finished executions are kept: its own word, or that of the shared file. `None` keeps all.
    pub retention: Option<Retention>,
    /// The connections it may use, its own before those of the shared file.
    pub connections: BTreeMap<String, ConnectionPlan>,
    /// The named nodes, in the order they are written. Steps hold copies of their own; this is for display.
    pub nodes: IndexMap<String, NodePlan>,
    /// What it does, in order. Never empty.
    pub steps: Vec<Step>,
    /// Its result. `None` gives the result of its last step (of the last one that was not skipped).
    pub output: Option<Template>,
    /// What it was made from.
    pub source: Source,
    /// sha256 of [`Source::content`], in hexadecimal: the identity of this version of the workflow.
    pub hash: String,
}

impl PlanParts {
    /// Every step, whatever block it is in, in the order of the document. Compensations are included.
    pub fn all_steps(&self) -> Vec<&Step> {
        let mut found = Vec::new();
        for step in &self.steps {
            step.walk(&mut |step| found.push(step));
        }
        found
    }
}

/// Which finished executions of a workflow are kept. With both bounds, what either of them lets go is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Those that ended longer ago than this are forgotten. Positive.
    pub after: Option<Duration>,
    /// All but so many, those that ended last, are forgotten. At least 1.
    pub keep: Option<usize>,
}

/// A declared connection. Its configuration is rendered when a step first uses it.
#[derive(Clone, Debug)]
pub struct ConnectionPlan {
    /// The registered type, such as `http`.
    pub kind: String,
    /// The configuration without `type`. May read `env`, `credentials` and `auth`.
    pub config: Template,
}

/// Where something stands in a file.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    /// The file as it was given to the program.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The path in the document, such as `steps[2].config.method`. Empty for the document itself.
    pub path: String,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}: {}", self.path)
    }
}
