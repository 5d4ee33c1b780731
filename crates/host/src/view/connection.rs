//! Connections of deployed workflows.

use schemars::JsonSchema;
use serde::Serialize;

/// A connection that a deployed workflow declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionView {
    /// The workflow.
    pub workflow: String,
    /// Its name there.
    pub name: String,
    /// Its type, such as `http`.
    pub kind: String,
    /// Where it leads, without secrets, such as `https://api.example`; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Names of `env` and `credentials` that it needs and that are not there.
    pub missing: Vec<String>,
    /// Whether this type can be tested.
    pub testable: bool,
}

/// What a test of a connection found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionReport {
    /// Whether everything that was tried worked.
    pub ok: bool,
    /// Whether the other side answered at all.
    pub reachable: bool,
    /// Whether it took the credentials; absent where there are none, or that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticated: Option<bool>,
    /// What was done and found, as one sentence.
    pub message: String,
    /// The code of the error, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}
