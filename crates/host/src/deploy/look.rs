//! What is shown of deployments.

use std::path::Path;
use std::sync::Arc;

use bowline_flow::{Bundle, Plan, graph};
use bowline_store::Definition;

use super::{Active, Known};
use crate::op::no_version;
use crate::{
    Difference, Host, HostError, StepChange, StepReads, StepRef, TriggerView, Workflow, WorkflowGraph, WorkflowSummary,
    names, programs,
};

/// Versions that are shown.
const VERSIONS: usize = 100;

impl Host {
    pub(crate) fn summary(&self, organization: &str, name: &str, known: &Known, paused: bool) -> WorkflowSummary {
        let current = known.current();
        let plan = known.active.as_ref().map(|active| Arc::clone(&active.plan));
        WorkflowSummary {
            name: name.to_owned(),
            version: current.map(|current| current.version),
            hash: current.map(|current| current.hash.clone()),
            deployed_at: current.map(|current| current.at.clone()),
            source: current.map(|current| current.source),
            file: known
                .file
                .clone()
                .or_else(|| current.map(|current| current.file.clone()))
                .filter(|file| !file.is_empty()),
            description: plan.as_ref().and_then(|plan| plan.description.clone()),
            triggers: plan.as_ref().map(|plan| triggers(plan)).unwrap_or_default(),
            paused,
            problems: known.problems.clone(),
            trigger_problems: match &known.active {
                Some(_) => self.0.trigger_problems.of(organization, name),
                None => Vec::new(),
            },
            withdrawn_at: known.withdrawn.as_ref().map(|withdrawn| withdrawn.at.clone()),
            missing: known.active.as_deref().map(missing).unwrap_or_default(),
        }
    }

    /// One workflow with the text of a version, the current one if none is named, and of the last one where it was taken
    /// out of use.
    ///
    /// # Errors
    /// `workflow.not-found`, `workflow.version-not-found`.
    pub async fn workflow(&self, organization: &str, name: &str, version: Option<u32>) -> Result<Workflow, HostError> {
        let known = self
            .0
            .deployments
            .known(organization, name)
            .ok_or_else(|| HostError::no_workflow(name))?;
        let deployment = match version {
            Some(version) => known.version(version).ok_or_else(|| no_version(name, version))?,
            None => known.current().or(known.versions.last()).ok_or_else(|| {
                HostError::no_workflow(name)
                    .hint("its file has problems, and there is no earlier version; the list of workflows tells them")
            })?,
        };
        let owner = organization.to_owned();
        let paused = self.read(move |store| store.paused_workflows(&owner)).await?;
        let definition = self.definition(&deployment.hash).await?;
        let bundle = Bundle::from_content(&definition.content)
            .map_err(|error| HostError::internal("definition.unreadable", &error))?;
        let plan = programs::read(&definition, &self.0.registry).ok().map(|(_, plan)| plan);
        Ok(Workflow {
            summary: self.summary(organization, name, &known, paused.iter().any(|paused| paused == name)),
            current: known.current == Some(deployment.version),
            deployment: deployment.clone(),
            source_text: bundle.main.text,
            shared_text: bundle.main.shared.map(|shared| shared.text),
            input_schema: plan.as_ref().and_then(|plan| plan.input_schema.clone()),
            versions: known.versions.iter().rev().take(VERSIONS).cloned().collect(),
            graph: plan.as_ref().map(|plan| WorkflowGraph {
                mermaid: graph::mermaid(plan),
                svg: graph::svg(plan),
            }),
        })
    }

    /// What is different between two versions of a workflow.
    ///
    /// # Errors
    /// `workflow.not-found`, `workflow.version-not-found`; `definition.refused` where this program can no longer read
    /// one of them.
    pub async fn diff(&self, organization: &str, name: &str, from: u32, to: u32) -> Result<Difference, HostError> {
        let (_, old) = self.version(organization, name, from).await?;
        let (_, new) = self.version(organization, name, to).await?;
        Ok(difference(name, (from, &old), (to, &new)))
    }

    pub(crate) async fn definition(&self, hash: &str) -> Result<Definition, HostError> {
        let wanted = hash.to_owned();
        self.read(move |store| store.definition(&wanted))
            .await?
            .ok_or_else(|| HostError::internal("definition.missing", &format!("definition {hash} is not in the store")))
    }
}

/// What is different between two plans of a workflow, each with the number of its version.
pub(super) fn difference(name: &str, (from, old): (u32, &Plan), (to, new): (u32, &Plan)) -> Difference {
    let difference = bowline_flow::diff(old, new);
    let step = |named: &bowline_flow::diff::Named| StepRef {
        path: named.path.clone(),
        kind: named.kind.clone(),
    };
    let file = |version: u32| {
        let file = Path::new(&new.source.file);
        format!("{} (version {version})", file.display())
    };
    let text = similar::TextDiff::from_lines(&old.source.text, &new.source.text)
        .unified_diff()
        .header(&file(from), &file(to))
        .to_string();
    Difference {
        workflow: name.to_owned(),
        from,
        to,
        added: difference.added.iter().map(step).collect(),
        removed: difference.removed.iter().map(step).collect(),
        changed: difference
            .changed
            .iter()
            .map(|change| StepChange {
                path: change.path.clone(),
                from: change.from.clone(),
                to: change.to.clone(),
                fields: change.fields.clone(),
            })
            .collect(),
        adjusted: difference.adjusted.iter().map(step).collect(),
        affected: difference
            .affected
            .iter()
            .map(|affected| StepReads {
                path: affected.path.clone(),
                reads: affected.reads.clone(),
            })
            .collect(),
        text,
    }
}

/// The names of `env` and `credentials` that it needs and that its organization was not given.
fn missing(active: &Active) -> Vec<String> {
    names::missing(&active.plan, &active.settings.env, &active.settings.credentials)
        .into_iter()
        .collect()
}

fn triggers(plan: &Plan) -> Vec<TriggerView> {
    plan.triggers
        .iter()
        .map(|trigger| TriggerView {
            id: trigger.id.clone(),
            kind: trigger.kind.clone(),
            description: trigger.description.clone(),
        })
        .collect()
}
