//! Nodes: calls of a connector.

use std::sync::Arc;

use bowline_connector::transform::Shape;
use bowline_core::StepOptions;
use bowline_expression::Template;

use super::{CallbackPlan, Step, UnknownOutcome};

/// A call of a connector, with everything around it.
#[derive(Clone, Debug)]
pub struct NodePlan {
    /// The registered connector, such as `http-request`.
    pub connector: String,
    /// Its configuration. `retries` has been taken out of it; `timeout` has stayed where the connector
    /// knows such a field.
    pub config: Template,
    /// Timeouts and retries.
    ///
    /// Without any setting: 5 minutes for an attempt, no bound for all of them, and three attempts with
    /// pauses of 1 s, 2 s, ... up to 1 min, shortened by a random part of up to half. Where `timeout` is
    /// absent and `config.timeout` is given, an attempt may take that and one second more, so that the
    /// connector's own, more exact error comes first. HTTP statuses of `retryableStatusCodes` are in
    /// `retry.retryable` as `http.503`.
    pub options: StepOptions,
    /// What the last failure does, after the fallback.
    pub on_error: OnError,
    /// Called instead when all attempts have failed; has no fallback of its own. It may read `error`.
    pub fallback: Option<Arc<NodePlan>>,
    /// Undoes it when something later fails: in a saga, and where it lost a race in `parallel`.
    pub compensation: Option<Arc<Step>>,
    /// What becomes of the result.
    pub output: OutputPlan,
    /// The idempotency key to send, where the workflow has one of its own. `None`: derived from the
    /// execution and the step's path.
    pub idempotency_key: Option<Template>,
    /// What is waited for after the answer; it brings the step's result.
    pub callback: Option<Arc<CallbackPlan>>,
    /// What follows an attempt that may have been carried out.
    pub unknown_outcome: UnknownOutcome,
}

/// What the last failure of a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnError {
    /// It fails the step (the default; `retry` means the same, with the retries that are set).
    #[default]
    Fail,
    /// It is added to `workflow.errors`, the step's result is null, and the workflow goes on.
    Continue,
}

/// What becomes of the result of a node.
#[derive(Clone, Debug, Default)]
pub enum OutputPlan {
    /// It stays as the connector gave it.
    #[default]
    Whole,
    /// It is brought into a shape (`output: {format, transform}`).
    Shape {
        /// What is done with rows and fields.
        shape: Shape,
        /// `transform.expression`: what the result becomes after that; reads it as `result`.
        expression: Option<Template>,
    },
    /// The result is what this gives, reading `result` (`output: "${result.body.items}"`).
    Expression(Template),
    /// It stays, and fields of it get names of their own (`output: {accessToken: auth.accessToken}`).
    Names(Vec<OutputName>),
}

/// One entry of an `output` map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutputName {
    /// The field of the result, as a path of names (`body.id` is two). Looked up in the result, then in its
    /// `body` where the result has one.
    pub field: Vec<String>,
    /// The name it gets: the first part is what expressions read, the others are levels below it. What is
    /// put below `auth` or `credentials` is secret.
    pub name: Vec<String>,
}
