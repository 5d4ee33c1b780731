//! What comes from outside, and who waits for it.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use super::Status;
use crate::time::rfc3339;

/// What became of an answer, durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "outcome")]
pub enum Delivered {
    /// The execution has recorded it.
    Accepted {
        /// The execution's id.
        execution: String,
    },
    /// It was answered before: this changed nothing.
    Duplicate {
        /// The execution's id.
        execution: String,
    },
    /// The execution no longer waits for it: it has ended, or went another way. This changed nothing.
    Late {
        /// The execution's id.
        execution: String,
        /// Where it stands.
        status: Status,
    },
    /// Nobody waits for it yet. It is kept, and delivered to the first wait that it fits.
    Kept {
        /// The number under which it is kept.
        id: i64,
        /// The execution that will wait for it, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        execution: Option<String>,
        /// Until when.
        expires_at: String,
    },
    /// A heartbeat that nobody waits for. It is not kept.
    NotAwaited,
}

impl From<bowline_engine::Delivered> for Delivered {
    fn from(delivered: bowline_engine::Delivered) -> Self {
        use bowline_engine::Delivered as From;
        match delivered {
            From::Accepted { execution } => Self::Accepted { execution },
            From::Duplicate { execution } => Self::Duplicate { execution },
            From::Late { execution, status } => Self::Late {
                execution,
                status: status.into(),
            },
            From::Kept {
                id,
                execution,
                expires_at,
            } => Self::Kept {
                id,
                execution,
                expires_at: rfc3339(expires_at),
            },
            From::NotAwaited => Self::NotAwaited,
        }
    }
}

/// A callback that an execution waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenCallback {
    /// The execution's id.
    pub execution: String,
    /// Its workflow.
    pub workflow: String,
    /// The step's path.
    pub path: String,
    /// The channel of the reference; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The other side's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Since when.
    pub opened_at: String,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Whether a person is asked to approve something.
    pub approval: bool,
    /// The token that leads to it, for those who may answer; whoever has it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// Who waits at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressed {
    /// A person is asked to approve something.
    Approval,
    /// Another system's answer is waited for.
    Callback,
    /// Nobody does now; somebody may later.
    Nobody,
}

/// An answer that came and that nobody waits for.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeptCallback {
    /// The number under which it is kept.
    pub id: i64,
    /// The execution that it is for, where its token said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution: Option<String>,
    /// The channel of the reference; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The other side's reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why it is kept.
    pub why: String,
    /// When it came.
    pub received_at: String,
    /// When it is forgotten.
    pub expires_at: String,
    /// `succeeded` or `failed`.
    pub answer: &'static str,
    /// What it brought; absent where it is large or cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
}

/// Something that a person is asked to decide.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Approval {
    /// The execution's id.
    pub execution: String,
    /// Its workflow.
    pub workflow: String,
    /// The step's path; it names the approval together with the execution.
    pub path: String,
    /// Who is asked.
    pub who: Vec<String>,
    /// What is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// How many of them have to say yes; absent where one is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorum: Option<Value>,
    /// JSON Schema of the fields that the answer has besides `approved`, `by` and `comment`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<Value>,
    /// Since when.
    pub opened_at: String,
    /// When it ends by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}
