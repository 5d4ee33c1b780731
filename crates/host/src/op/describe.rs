//! One execution, whole.

use std::sync::Arc;

use bowline_core::{Event, Outcome, Payload, Record, internalize};
use bowline_expression::Masker;
use bowline_store::{Definition, ExecutionFilter, ExecutionRow};

use super::wait::shown;
use crate::records::records;
use crate::shape::Shape;
use crate::time::rfc3339;
use crate::trace::Trace;
use crate::why::Looking;
use crate::{Can, ErrorView, Execution, ExecutionSummary, Host, HostError, Omitted, Response, Why, programs};

/// Steps that are told.
const STEPS: usize = 2000;
/// Children that are told.
const CHILDREN: usize = 100;
/// Inputs and outputs up to this many bytes stand in the description.
const INLINE: usize = 64 * 1024;

impl Host {
    /// One execution with its steps, its children and what it waits for.
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn execution(&self, organization: &str, id: &str) -> Result<Execution, HostError> {
        let row = self.row(organization, id).await?;
        let host = self.clone();
        let (row, definition, mut records, why, children, history) = self
            .read(move |store| {
                // Read again, so that row and journal are not far apart.
                let row = store.execution(&row.id)?.unwrap_or(row);
                let last = store.last_record(row.exec)?.map_or(0, |last| last.seq + 1);
                let records = records(store, &row)?;
                let definition = store.definition(&row.definition)?;
                let why = host.looking(store).why(&row)?;
                let filter = ExecutionFilter {
                    parent: Some(row.id.clone()),
                    limit: CHILDREN,
                    ..ExecutionFilter::default()
                };
                let children = store.executions(&filter)?;
                Ok((row, definition, records, why, children, last))
            })
            .await?;
        let shape = definition.as_ref().and_then(|definition| self.shape(definition));
        self.load_ends(&mut records).await?;
        let mut trace = Trace::new(&row.id, &row.workflow, row.started_at);
        trace.read(&records);
        let now = self.0.clock.now();
        let masker = self.masker(organization);
        let (steps, steps_omitted) = trace.steps(shape.as_deref(), &masker, STEPS, now);
        let mut omitted = Vec::new();
        let input = match &trace.view.input {
            Some(input) => small(&masker, "input", input, &mut omitted)?,
            None => None,
        };
        let (output, failure) = match &trace.view.outcome {
            Some(Outcome::Succeeded(output)) => (small(&masker, "output", output, &mut omitted)?, None),
            Some(Outcome::Failed(error) | Outcome::Cancelled(error)) => (None, Some(ErrorView::of(error, &masker))),
            None => (None, None),
        };
        let response = match &trace.response {
            Some(data) => response_of(&masker, data)?,
            None => None,
        };
        let is_over = row.status.is_finished();
        Ok(Execution {
            input,
            output,
            omitted,
            failure,
            cancelling: trace
                .view
                .cancel
                .as_ref()
                .filter(|_| !is_over)
                .map(|reason| masker.scrub_text(reason).into_owned()),
            response,
            steps,
            steps_omitted,
            children: children.iter().map(|row| self.summary_of(row)).collect(),
            why: scrubbed(&masker, why),
            history,
            can: Can::of(row.status.into()),
            summary: self.summary_of(&row),
        })
    }

    /// Why an execution does not go on, in one line, and what it waits for.
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn why(&self, organization: &str, id: &str) -> Result<Why, HostError> {
        let row = self.row(organization, id).await?;
        let host = self.clone();
        let why = self.read(move |store| host.looking(store).why(&row)).await?;
        Ok(scrubbed(&self.masker(organization), why))
    }

    /// An execution as a list shows it.
    pub(crate) fn summary_of(&self, row: &ExecutionRow) -> ExecutionSummary {
        ExecutionSummary {
            id: row.id.clone(),
            organization: row.organization.clone(),
            workflow: row.workflow.clone(),
            version: self
                .0
                .deployments
                .number(&row.organization, &row.workflow, &row.definition),
            definition: row.definition.clone(),
            status: row.status.into(),
            error: row.error.clone(),
            parent: row.parent.clone(),
            origin: row.origin.clone(),
            started_at: rfc3339(row.started_at),
            finished_at: row.finished_at.map(rfc3339),
            wake_at: row.wake_at.map(rfc3339),
        }
    }

    fn looking<'a>(&'a self, store: &'a dyn bowline_store::Store) -> Looking<'a> {
        Looking {
            store,
            registry: &self.0.registry,
            folder: None,
            is_run: true,
            now: self.0.clock.now(),
        }
    }

    /// What the workflow of a definition looks like, where this program can read it.
    pub(crate) fn shape(&self, definition: &Definition) -> Option<Arc<Shape>> {
        let plan = match self.0.deployments.plan(&definition.hash) {
            Some(plan) => bowline_flow::Plan::clone(&plan),
            None => programs::read(definition, &self.0.registry).ok()?.1,
        };
        Some(Arc::new(Shape::new(plan)))
    }

    /// Loads what is told whole: input, output and answer, where they are not too large for a page.
    async fn load_ends(&self, records: &mut [Record]) -> Result<(), HostError> {
        for event in records.iter_mut().flat_map(|record| &mut record.events) {
            let is_told = matches!(
                event,
                Event::Started { .. } | Event::Finished { .. } | Event::Emitted { .. } | Event::WaitRegistered { .. }
            );
            if is_told {
                let mut is_small = true;
                event.each_payload(&mut |payload| is_small &= size(payload) <= INLINE as u64);
                if is_small {
                    self.load(std::slice::from_mut(event)).await?;
                }
            }
        }
        Ok(())
    }

    /// Loads what events only refer to.
    pub(crate) async fn load(&self, events: &mut [Event]) -> Result<(), HostError> {
        internalize(events, self.0.blobs.as_ref())
            .await
            .map_err(|error| HostError::internal("blob.failed", &error))
    }
}

/// How many bytes of JSON a payload has.
pub(crate) fn size(payload: &Payload) -> u64 {
    payload.absent().map_or(payload.text().len() as u64, |blob| blob.size)
}

fn scrubbed(masker: &Masker, mut why: Why) -> Why {
    why.line = masker.scrub_text(&why.line).into_owned();
    for blocker in &mut why.waits_for {
        if let Some(key) = &mut blocker.key {
            *key = masker.scrub_text(key).into_owned();
        }
        if let Some(child) = blocker.child.take() {
            blocker.child = Some(Box::new(scrubbed(masker, *child)));
        }
    }
    why
}

fn small(
    masker: &Masker,
    field: &str,
    payload: &Payload,
    omitted: &mut Vec<Omitted>,
) -> Result<Option<serde_json::Value>, HostError> {
    let bytes = size(payload);
    if bytes > INLINE as u64 || payload.absent().is_some() {
        omitted.push(Omitted {
            field: field.to_owned(),
            bytes,
        });
        return Ok(None);
    }
    shown(masker, payload).map(Some)
}

pub(crate) fn response_of(masker: &Masker, data: &Payload) -> Result<Option<Response>, HostError> {
    if data.absent().is_some() {
        return Ok(None);
    }
    let value = shown(masker, data)?;
    serde_json::from_value(value).map(Some).map_err(|error| {
        HostError::internal(
            "response.unreadable",
            &format!("what a respond step recorded cannot be read: {error}"),
        )
    })
}
