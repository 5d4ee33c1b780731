//! Starting executions.

use std::sync::Arc;

use bowline_core::Payload;
use bowline_engine::StartRequest;
use bowline_flow::{Plan, misfits_of_input};
use bowline_store::{DEFAULT_ORGANIZATION, Definition};
use serde_json::Value;

use crate::deploy::Active;
use crate::host::PATIENCE;
use crate::{ErrorKind, Host, HostError, Problem, Start, Started, programs};

/// Stands between an organization and an id that was chosen in it. Nobody else's ids have it.
const OWNED: char = '~';

impl Host {
    /// Starts an execution, and returns when that is durable. Waits for 5 seconds at most while as many are in memory as
    /// may be.
    ///
    /// # Errors
    /// `host.busy` where there was no room in that time, and nothing was started; `workflow.not-found`; `input.invalid` with what is wrong where the input does not fit; `start-key.taken`,
    /// `execution.exists` and `entry.exists` where it contradicts what is there.
    pub async fn start(&self, organization: &str, start: Start) -> Result<Started, HostError> {
        let (definition, plan) = match (self.0.deployments.current(organization, &start.workflow), start.version) {
            (Some(active), None) => (active.definition.clone(), Arc::clone(&active.plan)),
            (Some(active), Some(version)) if active.version == version => {
                (active.definition.clone(), Arc::clone(&active.plan))
            }
            (None, None) => return Err(self.not_startable(organization, &start.workflow)),
            (None, Some(_)) if self.is_withdrawn(organization, &start.workflow) => {
                return Err(self.not_startable(organization, &start.workflow));
            }
            (_, Some(version)) => self.version(organization, &start.workflow, version).await?,
        };
        self.refuse_unfit(organization, &plan, &start.input)?;
        let id = match start.chosen_id {
            Some(chosen) => Some(owned(organization, &chosen)?),
            None => start.id,
        };
        let input = Payload::of(&start.input).map_err(|error| HostError::internal("input.unwritable", &error))?;
        let handle = self
            .0
            .engine
            .start_within(
                StartRequest {
                    id,
                    definition,
                    input,
                    key: start.key,
                    organization: organization.into(),
                    with: start.with,
                    trace: start.trace.or_else(|| self.0.trace.as_ref()?()),
                },
                PATIENCE,
            )
            .await?;
        Ok(Started {
            id: handle.id().to_owned(),
            created: handle.created(),
        })
    }

    /// The id that a choice becomes in this organization, as [`Start::chosen_id`] says.
    ///
    /// # Errors
    /// `execution.bad-id`.
    pub fn chosen_id(organization: &str, chosen: &str) -> Result<String, HostError> {
        owned(organization, chosen)
    }

    /// An input has to fit before anything is written.
    pub(crate) fn refuse_unfit(&self, organization: &str, plan: &Plan, input: &Value) -> Result<(), HostError> {
        let problems = misfits_of_input(plan, input);
        if problems.is_empty() {
            return Ok(());
        }
        let message = format!("the input does not fit the workflow {}", plan.name);
        let masker = self.masker(organization);
        let problems = problems
            .iter()
            .map(|misfit| {
                let pointer = format!("/input{}", misfit.pointer);
                Problem::of_body(pointer, masker.scrub_text(&misfit.message))
            })
            .collect();
        Err(HostError::invalid("input.invalid", message).with(problems))
    }

    pub(crate) fn is_withdrawn(&self, organization: &str, workflow: &str) -> bool {
        let known = self.0.deployments.known(organization, workflow);
        known.is_some_and(|known| known.withdrawn.is_some())
    }

    pub(crate) fn not_startable(&self, organization: &str, workflow: &str) -> HostError {
        let Some(known) = self.0.deployments.known(organization, workflow) else {
            return HostError::no_workflow(workflow);
        };
        if let Some(withdrawn) = known.withdrawn.as_ref().filter(|_| known.problems.is_empty()) {
            let (why, hint) = if let Some(by) = &withdrawn.by {
                let why = format!("{by} removed it at {}", withdrawn.at);
                (why, "deploy it again to use it")
            } else {
                let file = known.versions.last().map_or("", |last| last.file.as_str());
                let why = format!("its file {file} is gone since {}", withdrawn.at);
                (
                    why,
                    "put the file back into the folder of workflows, or deploy the workflow again",
                )
            };
            let message = format!("the workflow `{workflow}` is not in use any more: {why}");
            return HostError::new(ErrorKind::Gone, "workflow.withdrawn", message).hint(hint);
        }
        HostError::new(
            ErrorKind::Refused,
            "workflow.broken",
            format!("the workflow `{workflow}` has no version that can run"),
        )
        .hint("mend what is wrong with it and deploy it again")
        .with(known.problems)
    }

    /// A version of a workflow that is not the current one.
    pub(crate) async fn version(
        &self,
        organization: &str,
        workflow: &str,
        version: u32,
    ) -> Result<(Definition, Arc<Plan>), HostError> {
        let known = self
            .0
            .deployments
            .known(organization, workflow)
            .ok_or_else(|| HostError::no_workflow(workflow))?;
        let deployment = known.version(version).ok_or_else(|| no_version(workflow, version))?;
        if let Some(active) = known.active.as_deref().filter(|active| active.version == version) {
            return Ok((active.definition.clone(), Arc::clone(&active.plan)));
        }
        let hash = deployment.hash.clone();
        let definition = self.read(move |store| store.definition(&hash)).await?.ok_or_else(|| {
            HostError::internal("definition.missing", &format!("the definition of {workflow} is gone"))
        })?;
        let (_, plan) = programs::read(&definition, &self.0.registry)
            .map_err(|error| crate::error::of_step(ErrorKind::Refused, "definition.refused", &error))?;
        Ok((definition, Arc::new(plan)))
    }

    pub(crate) fn active_of(&self, organization: &str, workflow: &str) -> Result<Arc<Active>, HostError> {
        self.0
            .deployments
            .current(organization, workflow)
            .ok_or_else(|| self.not_startable(organization, workflow))
    }
}

/// The id that a choice becomes. Ids are the data folder's, so those of other organizations than the default one have
/// its name before them: no choice can meet one of somebody else's, or tell that it is there.
fn owned(organization: &str, chosen: &str) -> Result<String, HostError> {
    let is_bad = |c: char| c.is_control() || c == '/' || c == OWNED;
    if chosen.trim().is_empty() || chosen.len() > 200 || chosen.chars().any(is_bad) {
        return Err(HostError::invalid(
            "execution.bad-id",
            "the id is empty, longer than 200 bytes, or has a slash, a `~` or control characters",
        ));
    }
    if organization == DEFAULT_ORGANIZATION {
        return Ok(chosen.to_owned());
    }
    Ok(format!("{organization}{OWNED}{chosen}"))
}

/// There is no such version.
pub(crate) fn no_version(workflow: &str, version: u32) -> HostError {
    HostError::not_found(
        "workflow.version-not-found",
        format!("the workflow `{workflow}` has no version {version}"),
    )
    .hint("see the versions of the workflow")
}
