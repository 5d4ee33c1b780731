//! What is done to executions: cancel, pause, resume, retry, signal, delete.

use bowline_core::Payload;
use bowline_engine::EngineError;
use bowline_store::ExecutionRow;

use crate::host::PATIENCE;
use crate::records::first_step;
use crate::{ErrorKind, Host, HostError, Rerun, Resume, Retry, Signal, Started};

impl Host {
    /// Asks an execution to stop: what it waits for ends as cancelled, and its compensations run. Returns when the wish
    /// is recorded; false where it has ended or was asked before.
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn cancel(&self, organization: &str, id: &str, reason: &str) -> Result<bool, HostError> {
        self.row(organization, id).await?;
        Ok(self.0.engine.cancel(id, reason).await?)
    }

    /// Makes an execution stand still. False where it has ended, or stands still already.
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn pause(&self, organization: &str, id: &str) -> Result<bool, HostError> {
        let row = self.row(organization, id).await?;
        Ok(self.0.engine.pause(id).await? && row.status != bowline_store::Status::Paused)
    }

    /// Lets a paused execution go on. False where it was not paused.
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn unpause(&self, organization: &str, id: &str) -> Result<bool, HostError> {
        self.row(organization, id).await?;
        Ok(self.0.engine.unpause(id).await?)
    }

    /// Takes up a failed or cancelled execution where it failed; with a version, any that has not succeeded, on that one.
    ///
    /// # Errors
    /// `execution.not-found`, `workflow.version-not-found`; `execution.not-resumable` where it cannot be taken up, or
    /// the version has no place for what was done.
    pub async fn resume(&self, organization: &str, id: &str, resume: Resume) -> Result<(), HostError> {
        let row = self.row(organization, id).await?;
        let reason = resume.reason.unwrap_or_else(|| "resumed by hand".to_owned());
        let onto = match resume.on {
            Some(version) => {
                let (definition, _) = self.version(organization, &row.workflow, version).await?;
                Some(definition)
            }
            None => None,
        };
        self.0.engine.resume_within(id, onto, &reason, PATIENCE).await?;
        Ok(())
    }

    /// Starts a new execution that does an ended one again from where it failed, or from a step.
    ///
    /// # Errors
    /// `execution.not-found`; `execution.not-resumable` where it has not ended or has no such step; `workflow.withdrawn`
    /// where its workflow is out of use.
    pub async fn retry(&self, organization: &str, id: &str, retry: Retry) -> Result<Started, HostError> {
        let row = self.row(organization, id).await?;
        self.refuse_withdrawn(organization, &row.workflow)?;
        let retry = bowline_engine::Retry {
            id: retry.id,
            from: retry.from,
            input: None,
            new_keys: retry.new_keys,
            reason: retry.reason.unwrap_or_else(|| "retried by hand".to_owned()),
            with: retry.with,
            patience: Some(PATIENCE),
        };
        self.again(id, retry).await
    }

    /// Starts a new execution that runs an ended one again, from the top or from a step, with the same input or another.
    ///
    /// # Errors
    /// As [`Host::retry`]; `input.invalid` where the input does not fit the version that it runs.
    pub async fn rerun(&self, organization: &str, id: &str, rerun: Rerun) -> Result<Started, HostError> {
        let row = self.row(organization, id).await?;
        self.refuse_withdrawn(organization, &row.workflow)?;
        if let Some(input) = &rerun.input {
            self.check_input_of(&row, input).await?;
        }
        let from = match rerun.from {
            Some(from) => Some(from),
            None => self.first_step(&row).await?,
        };
        let edited = rerun.input.is_some();
        let input = rerun
            .input
            .map(|input| Payload::of(&input))
            .transpose()
            .map_err(|error| HostError::internal("input.unwritable", &error))?;
        let retry = bowline_engine::Retry {
            id: rerun.id,
            from,
            input,
            new_keys: rerun.new_keys.unwrap_or(edited),
            reason: rerun.reason.unwrap_or_else(|| "run again by hand".to_owned()),
            with: rerun.with,
            patience: Some(PATIENCE),
        };
        self.again(id, retry).await
    }

    /// What is out of use is not started, and so not again either.
    fn refuse_withdrawn(&self, organization: &str, workflow: &str) -> Result<(), HostError> {
        if self.is_withdrawn(organization, workflow) {
            return Err(self.not_startable(organization, workflow));
        }
        Ok(())
    }

    async fn again(&self, id: &str, retry: bowline_engine::Retry) -> Result<Started, HostError> {
        let handle = self.0.engine.retry(id, retry).await.map_err(|error| match error {
            EngineError::NotResumable { why, .. } => HostError::new(
                ErrorKind::Refused,
                "execution.not-resumable",
                format!("execution {id} cannot be run again like this: {why}"),
            ),
            other => other.into(),
        })?;
        Ok(Started {
            id: handle.id().to_owned(),
            created: true,
        })
    }

    /// The path of what an execution asked for first; none where it asked for nothing.
    async fn first_step(&self, row: &ExecutionRow) -> Result<Option<String>, HostError> {
        let row = row.clone();
        self.read(move |store| first_step(store, &row)).await
    }

    async fn check_input_of(&self, row: &ExecutionRow, input: &serde_json::Value) -> Result<(), HostError> {
        let hash = row.definition.clone();
        let Some(definition) = self.read(move |store| store.definition(&hash)).await? else {
            return Ok(());
        };
        let Ok((_, plan)) = crate::programs::read(&definition, &self.0.registry) else {
            return Ok(());
        };
        self.refuse_unfit(&row.organization, &plan, input)
    }

    /// Sends a signal to an execution. Returns when it is recorded; false where that signal was recorded before.
    ///
    /// # Errors
    /// `execution.not-found`, `execution.ended`.
    pub async fn signal(&self, organization: &str, id: &str, signal: Signal) -> Result<bool, HostError> {
        self.row(organization, id).await?;
        if signal.name.trim().is_empty() {
            return Err(HostError::invalid("signal.name", "the signal has no name"));
        }
        let data = Payload::of(&signal.data).map_err(|error| HostError::internal("signal.unwritable", &error))?;
        Ok(self.0.engine.signal(id, &signal.name, data, signal.id).await?)
    }

    /// Deletes a finished execution with all that belongs to it.
    ///
    /// # Errors
    /// `execution.not-found`; `execution.unfinished` where it has not ended, or its parent still waits for it.
    pub async fn delete(&self, organization: &str, id: &str) -> Result<(), HostError> {
        let row = self.row(organization, id).await?;
        if !row.status.is_finished() {
            return Err(HostError::new(
                ErrorKind::Refused,
                "execution.unfinished",
                format!("execution {id} has not ended, so it cannot be deleted"),
            )
            .hint("cancel it first"));
        }
        self.0.engine.delete(id).await.map_err(|error| match error {
            EngineError::NotResumable { why, .. } => HostError::new(
                ErrorKind::Refused,
                "execution.unfinished",
                format!("execution {id}: {why}"),
            ),
            other => other.into(),
        })?;
        self.0.feed.touch(organization);
        Ok(())
    }

    /// Makes all executions of a workflow stand still, also those that start from now on.
    ///
    /// # Errors
    /// `workflow.not-found`.
    pub async fn pause_workflow(&self, organization: &str, workflow: &str) -> Result<(), HostError> {
        self.some_workflow(organization, workflow).await?;
        Ok(self.0.engine.pause_workflow(organization, workflow).await?)
    }

    /// Lets all paused executions of a workflow go on.
    ///
    /// # Errors
    /// `workflow.not-found`.
    pub async fn unpause_workflow(&self, organization: &str, workflow: &str) -> Result<(), HostError> {
        self.some_workflow(organization, workflow).await?;
        Ok(self.0.engine.unpause_workflow(organization, workflow).await?)
    }
}
