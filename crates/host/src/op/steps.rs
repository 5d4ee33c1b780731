//! One step of an execution, and values too large for a page.

use bowline_core::{Event, Outcome, Payload, Record};
use bowline_engine::read_record;
use bowline_expression::Masker;
use bowline_store::{ExecutionRow, Store, StoreError};
use serde_json::Value;

use super::describe::size;
use super::wait::contains;
use super::wait::shown;
use crate::records::unreadable;
use crate::trace::Trace;
use crate::{Host, HostError, Omitted, StepDetail, Which};

/// Values up to this many bytes stand in the detail.
const INLINE: u64 = 256 * 1024;

/// Records read at once.
const PAGE: usize = 500;

/// What went into a step and what came out, the last time that it was asked for.
#[derive(Default)]
struct Values {
    input: Option<Payload>,
    output: Option<Payload>,
}

impl Host {
    /// One step with what went into it and what came out; values over 256 KiB are left out, and had by
    /// [`Host::payload`].
    ///
    /// # Errors
    /// `execution.not-found`, `step.not-found`.
    pub async fn step(&self, organization: &str, id: &str, path: &str) -> Result<StepDetail, HostError> {
        let row = self.row(organization, id).await?;
        let wanted = path.to_owned();
        let (row, definition, records) = self
            .read(move |store| {
                let definition = store.definition(&row.definition)?;
                let records = records_of(store, &row, &wanted)?;
                Ok((row, definition, records))
            })
            .await?;
        let shape = definition.as_ref().and_then(|definition| self.shape(definition));
        let mut trace = Trace::new(&row.id, &row.workflow, row.started_at);
        trace.read(&records);
        let mut values = values_of(records, path);
        let step = trace
            .one(path, shape.as_deref(), &self.masker(organization), self.0.clock.now())
            .ok_or_else(|| no_step(id, path))?;
        let mut detail = StepDetail {
            step,
            input: None,
            output: None,
            omitted: Vec::new(),
        };
        for (field, value) in [("input", values.input.take()), ("output", values.output.take())] {
            let Some(payload) = value else { continue };
            let bytes = size(&payload);
            if bytes > INLINE {
                detail.omitted.push(Omitted {
                    field: field.to_owned(),
                    bytes,
                });
                continue;
            }
            let value = Some(self.loaded(&self.masker(organization), payload).await?);
            match field {
                "input" => detail.input = value,
                _ => detail.output = value,
            }
        }
        Ok(detail)
    }

    /// One value of an execution, however large it is. None where there is none (yet).
    ///
    /// # Errors
    /// `execution.not-found`, `step.not-found`.
    pub async fn payload(&self, organization: &str, id: &str, which: Which) -> Result<Option<Value>, HostError> {
        let row = self.row(organization, id).await?;
        let found = self
            .read(move |store| {
                Ok(match which {
                    Which::Input => first_event(store, &row)?.and_then(|event| match event {
                        Event::Started { input, .. } => Some(input),
                        _ => None,
                    }),
                    Which::Output => last_event(store, &row)?.and_then(|event| match event {
                        Event::Finished {
                            outcome: Outcome::Succeeded(output),
                        } => Some(output),
                        _ => None,
                    }),
                    Which::StepInput(path) => values_of(records_of(store, &row, &path)?, &path).input,
                    Which::StepOutput(path) => values_of(records_of(store, &row, &path)?, &path).output,
                })
            })
            .await?;
        match found {
            Some(payload) => Ok(Some(self.loaded(&self.masker(organization), payload).await?)),
            None => Ok(None),
        }
    }

    /// A payload's value, loaded if need be, without secrets.
    pub(crate) async fn loaded(&self, masker: &Masker, payload: Payload) -> Result<Value, HostError> {
        let mut holder = [Event::Emitted {
            path: "".into(),
            event: "".into(),
            key: None,
            data: payload,
        }];
        self.load(&mut holder).await?;
        match &holder {
            [Event::Emitted { data, .. }] => shown(masker, data),
            _ => Ok(Value::Null),
        }
    }
}

fn no_step(id: &str, path: &str) -> HostError {
    HostError::not_found(
        "step.not-found",
        format!("execution {id} has not come to a step `{path}`"),
    )
    .hint("steps are named by their path, such as items[2]/put; see the steps of the execution")
}

pub(crate) fn first_event(store: &dyn Store, row: &ExecutionRow) -> Result<Option<Event>, StoreError> {
    let Some(record) = store.journal(row.exec, 0, 1)?.into_iter().next() else {
        return Ok(None);
    };
    let records = read_record(&record).map_err(|error| unreadable(row, record.seq, &error))?;
    Ok(records.into_iter().flat_map(|record| record.events).next())
}

pub(crate) fn last_event(store: &dyn Store, row: &ExecutionRow) -> Result<Option<Event>, StoreError> {
    let Some(record) = store.last_record(row.exec)? else {
        return Ok(None);
    };
    let records = read_record(&record).map_err(|error| unreadable(row, record.seq, &error))?;
    Ok(records.into_iter().flat_map(|record| record.events).last())
}

/// The records that are about a step, or about the execution as a whole. Goes through the whole journal, also through what
/// nothing depends on any more, and parses no others.
fn records_of(store: &dyn Store, row: &ExecutionRow, path: &str) -> Result<Vec<Record>, StoreError> {
    let quoted = serde_json::to_string(path).unwrap_or_default();
    let undo = format!("{}.compensation", quoted.trim_end_matches('"'));
    let wanted = [quoted.as_bytes(), undo.as_bytes(), b"\"resumed\"", b"\"finished\""];
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let page = store.journal(row.exec, from, PAGE)?;
        let Some(last) = page.last() else { return Ok(found) };
        from = last.seq + 1;
        for record in page {
            let is_about = record.seq == 0 || wanted.iter().any(|wanted| contains(&record.events, wanted));
            if is_about {
                found.extend(read_record(&record).map_err(|error| unreadable(row, record.seq, &error))?);
            }
        }
    }
}

fn values_of(records: Vec<Record>, path: &str) -> Values {
    let mut values = Values::default();
    for event in records.into_iter().flat_map(|record| record.events) {
        take(&mut values, event, path);
    }
    values
}

fn take(values: &mut Values, event: Event, wanted: &str) {
    match event {
        Event::Started {
            origin: Some(origin), ..
        } => {
            if let Some(kept) = origin.kept.into_iter().find(|kept| *kept.path == *wanted) {
                values.output = Some(kept.output);
            }
        }
        Event::StepScheduled { path, input, .. } if *path == *wanted => *values = Values { input, output: None },
        Event::ChildStarted { path, input, .. } if *path == *wanted => {
            *values = Values {
                input: Some(input),
                output: None,
            }
        }
        Event::WaitRegistered { path, .. } if *path == *wanted => *values = Values::default(),
        Event::StepCompleted { path, output, .. } | Event::WaitCompleted { path, output, .. } if *path == *wanted => {
            values.output = Some(output);
        }
        Event::ChildEnded {
            path,
            outcome: Outcome::Succeeded(output),
        } if *path == *wanted => values.output = Some(output),
        Event::Emitted { path, data, .. } if *path == *wanted => values.input = Some(data),
        _ => {}
    }
}
