//! Workflows, and what is deployed of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Problem;

/// Where a version came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DeploymentSource {
    /// The folder of workflows.
    Folder,
    /// The API.
    Api,
}

/// A version of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployment {
    /// Name of the workflow.
    pub workflow: String,
    /// Its number, from 1 in the order in which they came. The same content again is the same version.
    pub version: u32,
    /// Hash of the definition: its content, and the files that it refers to.
    pub hash: String,
    /// When it was put into use last.
    pub at: String,
    /// Who put it into use, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Where from.
    pub source: DeploymentSource,
    /// The name of its file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
}

/// What a deployment came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Deployed {
    /// The versions that the files are now (or would be, with `dryRun`), in the order of their workflows' names.
    pub deployments: Vec<Deployment>,
    /// The names of those that are no new content.
    pub unchanged: Vec<String>,
    /// Nothing was kept.
    pub dry_run: bool,
}

/// A trigger of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerView {
    /// Its id in the workflow.
    pub id: String,
    /// Its type, such as `schedule`.
    pub kind: String,
    /// What people wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A workflow as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowSummary {
    /// Its name.
    pub name: String,
    /// The version that a start runs; absent where no version is good yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Hash of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// When that version came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployed_at: Option<String>,
    /// Where that version came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<DeploymentSource>,
    /// Its file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What people wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What starts it by itself.
    pub triggers: Vec<TriggerView>,
    /// All of its executions stand still.
    pub paused: bool,
    /// What is wrong with its file now: the version above is the last good one.
    pub problems: Vec<Problem>,
    /// What keeps its triggers from working at the moment, such as a secret that is missing or a path that another
    /// workflow has. Starting it by hand works all the same.
    pub trigger_problems: Vec<Problem>,
    /// When it was taken out of use: nothing starts it, until it is deployed again. Absent while it is in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<String>,
    /// Names of `env` and `credentials` that it needs and that this server does not have.
    pub missing: Vec<String>,
}

/// Drawings of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkflowGraph {
    /// As Mermaid text.
    pub mermaid: String,
    /// As an SVG document.
    pub svg: String,
}

/// A version of a workflow, whole.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workflow {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: WorkflowSummary,
    /// The version that is shown here.
    pub deployment: Deployment,
    /// Whether this is the version that a start runs.
    pub current: bool,
    /// The text of the workflow.
    pub source_text: String,
    /// The text of the shared file beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_text: Option<String>,
    /// JSON Schema of the input; absent where anything is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_schema: Option<Value>,
    /// Every version, newest first, at most 100.
    pub versions: Vec<Deployment>,
    /// Its drawings; absent where this program can no longer read that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<WorkflowGraph>,
}

/// What a workflow would be, were it deployed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Its name.
    pub workflow: String,
    /// What people wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The version that a start runs now; absent for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<u32>,
    /// Hash of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_hash: Option<String>,
    /// The version that it would be: the current one where the content is the same.
    pub version: u32,
    /// What would change; absent where nothing runs now, or the same does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Difference>,
}

/// What is different between two versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Name of the workflow.
    pub workflow: String,
    /// The older version.
    pub from: u32,
    /// The newer version.
    pub to: u32,
    /// Steps that only the new version has.
    pub added: Vec<StepRef>,
    /// Steps that only the old version has.
    pub removed: Vec<StepRef>,
    /// Steps that ask for something else now: they run again.
    pub changed: Vec<StepChange>,
    /// Steps with other conditions, timeouts, retries and the like: they keep their results.
    pub adjusted: Vec<StepRef>,
    /// Steps that are the same and read something that is not: they keep their results all the same.
    pub affected: Vec<StepReads>,
    /// The two texts, line by line, in the unified form.
    pub text: String,
}

/// A step of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepRef {
    /// Its place: the path without numbers.
    pub path: String,
    /// What it is: the connector, the block's word, the child workflow.
    pub kind: String,
}

/// A step that asks for something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepChange {
    /// Its place.
    pub path: String,
    /// What it is in the old version.
    pub from: String,
    /// What it is in the new one.
    pub to: String,
    /// The fields that differ, such as `config`.
    pub fields: Vec<String>,
}

/// A step that reads what is not the same any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepReads {
    /// Its place.
    pub path: String,
    /// The names it reads that stand for something else now.
    pub reads: Vec<String>,
}
