//! What a step waits for from outside, and what it tells others: callbacks, events, signals, approvals.

use std::sync::Arc;
use std::time::Duration;

use bowline_expression::Template;
use serde_json::Value;

/// `callback`: alone, or after a node's answer.
#[derive(Clone, Debug, Default)]
pub struct CallbackPlan {
    /// The channel that the reference belongs to; empty for none.
    pub channel: String,
    /// The other side's own reference: text or a number. Reads `response` on a node.
    pub correlate: Option<Template>,
    /// The step fails with `callback.timeout` after so long. `None` waits for ever.
    pub timeout: Option<Duration>,
    /// The step fails with `callback.heartbeat-timeout` when no sign of life came for so long.
    pub heartbeat: Option<Duration>,
    /// Where it is false the step fails with `callback.unsuccessful`. Reads `callback.body` and, on a node,
    /// `response`.
    pub success: Option<Template>,
    /// The step's result, reading the same. `None`: what the callback brought.
    pub output: Option<Template>,
}

/// `waitFor`.
#[derive(Clone, Debug)]
pub struct WaitFor {
    /// What is waited for.
    pub what: Awaited,
    /// Only what this is true for. Reads `event` or `signal`, which have `data`. What it cannot be evaluated
    /// for does not match.
    pub filter: Option<Template>,
    /// The step fails with `event.timeout` or `signal.timeout` after so long. `None` waits for ever.
    pub timeout: Option<Duration>,
}

/// What `waitFor` waits for.
#[derive(Clone, Debug)]
pub enum Awaited {
    /// An event that another execution emits.
    Event {
        /// Its type.
        event: String,
        /// Its key: text or a number. `None` takes any.
        key: Option<Template>,
    },
    /// A signal to this execution.
    Signal(String),
}

/// `emit`.
#[derive(Clone, Debug)]
pub struct Emit {
    /// The type of the event.
    pub event: String,
    /// What it is about: text or a number.
    pub key: Option<Template>,
    /// What is told. `None` gives null.
    pub data: Option<Template>,
}

/// `respond`: an HTTP answer to whoever waits for one. It is recorded as the event [`RESPONSE`](bowline_core::RESPONSE)
/// with `{status, headers, body}` as its data.
#[derive(Clone, Debug)]
pub struct Respond {
    /// The status: 200 to 599. `None` gives 200.
    pub status: Option<Template>,
    /// An object of texts and numbers. `None`: no headers.
    pub headers: Option<Template>,
    /// What is sent: text as it is, anything else as JSON. `None`: nothing.
    pub body: Option<Template>,
}

/// `approve`.
#[derive(Clone, Debug)]
pub struct Approve {
    /// Who may answer: a text or a list of texts.
    pub who: Template,
    /// What they are asked.
    pub what: Template,
    /// How long they have.
    pub within: Within,
    /// JSON Schema of an answer, with `approved`, `by` and `comment` beside the fields of `form`.
    pub form: Arc<Value>,
    /// Several of `who` have to approve, each with a link of their own. `None`: one answer decides.
    pub quorum: Option<Quorum>,
    /// Whether a rejection is the step's result and not its failure.
    pub may_be_rejected: bool,
}

/// How many of those who are asked have to approve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quorum {
    /// So many; at least 1.
    pub wanted: usize,
    /// Of so many, which `who` lists; at least `wanted`.
    pub of: usize,
}

/// How long an approval may take. After that the step fails with `approval.timeout`.
#[derive(Clone, Debug)]
pub enum Within {
    /// For ever.
    Unbounded,
    /// So long.
    Duration(Duration),
    /// Until this moment: RFC 3339 text, or milliseconds since 1970.
    Moment(Template),
}

/// What follows an attempt that may have been carried out although no answer came.
#[derive(Clone, Debug, Default)]
pub enum UnknownOutcome {
    /// It is repeated with the same idempotency key (`retry`, the default).
    #[default]
    Retry,
    /// The step fails with the error `outcome-unknown` (`fail`).
    Fail,
    /// A step finds out (`verify`). It reads `attempt`, `idempotencyKey`, `request` and `error`.
    Verify(Arc<super::Step>),
}
