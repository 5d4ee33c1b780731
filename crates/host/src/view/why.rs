//! The answer to "why does it not go on?".

use schemars::JsonSchema;
use serde::Serialize;

/// What an execution waits for, or how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// The execution's id.
    pub execution: String,
    /// Its workflow.
    pub workflow: String,
    /// What its row says.
    pub status: String,
    /// What keeps it from going on, besides what it waits for: `paused`, `workflowPaused`, `stuck`, `noProcess`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<&'static str>,
    /// All of it as one line.
    pub line: String,
    /// What it waits for.
    pub waits_for: Vec<Blocker>,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Blocker {
    /// `step`, `retry`, `timer`, `callback`, `approval`, `signal`, `event`, `child`.
    pub kind: &'static str,
    /// Its path.
    pub path: String,
    /// Since when.
    pub since: String,
    /// When something happens by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Which attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u32>,
    /// The code of the last attempt's error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The channel, signal or event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The reference or key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The command that brings it, for those who sit at a terminal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The child, and what that waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub child: Option<Box<Why>>,
    /// In words.
    #[serde(skip)]
    pub told: String,
}
