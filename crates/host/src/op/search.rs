//! Searching executions.

use std::time::{Duration, Instant};

use bowline_core::{Event, Outcome, Payload};
use bowline_store::{ExecNo, ExecutionFilter, ExecutionRow, Store, StoreError};
use serde_json::Value;

use super::describe::size;
use super::steps::{first_event, last_event};
use crate::fields::Wanted;
use crate::{ExecutionSummary, Host, HostError, Page, Search, cursor};

/// Executions of a page where nothing is said, and at most.
const DEFAULT: usize = 50;
const MOST: usize = 500;

/// Executions whose fields are looked at for one page at most.
const LOOKED_AT: usize = 5000;
/// How long a page is looked for.
const PATIENCE: Duration = Duration::from_millis(500);
/// Rows that are read at once while fields are looked at.
const TOGETHER: usize = 200;
/// An input or output of more bytes than this is not looked into.
const LARGEST: u64 = 1024 * 1024;

/// What is looked for in inputs and outputs.
#[derive(Clone)]
struct Fields {
    input: Vec<Wanted>,
    output: Vec<Wanted>,
}

/// A part of a search.
struct Part {
    rows: Vec<ExecutionRow>,
    next: Option<ExecNo>,
}

impl Host {
    /// Executions, newest first, as the search says. A search in fields of inputs or outputs looks at a bounded number of
    /// executions for each page, so a page may be short and even empty; `next` is there as long as there may be more.
    /// Values of more than 1 MiB, and those that are kept apart (more than 64 KiB), are not looked into.
    ///
    /// # Errors
    /// `search.cursor`, `search.path` and `search.version` where the search cannot be understood.
    pub async fn search(&self, organization: &str, search: &Search) -> Result<Page<ExecutionSummary>, HostError> {
        let limit = if search.limit == 0 {
            DEFAULT
        } else {
            search.limit.min(MOST)
        };
        let Some(mut filter) = self.filter(organization, search)? else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        let wanted = |fields: &[(String, String)]| -> Result<Vec<Wanted>, HostError> {
            fields.iter().map(|(path, text)| Wanted::new(path, text)).collect()
        };
        let fields = Fields {
            input: wanted(&search.input)?,
            output: wanted(&search.output)?,
        };
        let part = self
            .read(move |store| {
                if fields.input.is_empty() && fields.output.is_empty() {
                    // One more tells whether there is a next page.
                    filter.limit = limit + 1;
                    let mut rows = store.executions(&filter)?;
                    let next = (rows.len() > limit).then(|| rows.truncate(limit));
                    return Ok(Part {
                        next: next.and_then(|()| rows.last().map(|row| row.exec)),
                        rows,
                    });
                }
                by_fields(store, filter, &fields, limit)
            })
            .await?;
        Ok(Page {
            items: part.rows.iter().map(|row| self.summary_of(row)).collect(),
            next: part.next.map(|exec| cursor::write('e', &[exec.0])),
        })
    }

    /// What the store is asked; none where nothing can fit.
    fn filter(&self, organization: &str, search: &Search) -> Result<Option<ExecutionFilter>, HostError> {
        let definition = match (search.version, &search.workflow) {
            (None, _) => None,
            (Some(_), None) => {
                return Err(HostError::invalid(
                    "search.version",
                    "a version is one of a workflow, and none is named",
                ));
            }
            (Some(version), Some(workflow)) => {
                let known = self.0.deployments.known(organization, workflow);
                match known.as_ref().and_then(|known| known.version(version)) {
                    Some(version) => Some(version.hash.clone()),
                    None => return Ok(None),
                }
            }
        };
        let before = match &search.cursor {
            Some(text) => {
                let [exec] = cursor::read('e', text)?;
                Some(ExecNo(exec))
            }
            None => None,
        };
        Ok(Some(ExecutionFilter {
            organization: Some(organization.into()),
            status: search.status.map(Into::into),
            unfinished: search.unfinished,
            workflow: search.workflow.clone(),
            definition,
            parent: search.parent.clone(),
            id_prefix: search.id_prefix.clone(),
            error: search.error.clone(),
            started: (search.since, search.until),
            before,
            ..ExecutionFilter::default()
        }))
    }
}

fn by_fields(
    store: &dyn Store,
    mut filter: ExecutionFilter,
    fields: &Fields,
    limit: usize,
) -> Result<Part, StoreError> {
    let began = Instant::now();
    let mut found = Vec::new();
    let mut looked_at = 0;
    filter.limit = TOGETHER;
    loop {
        let page = store.executions(&filter)?;
        let is_last = page.len() < TOGETHER;
        for row in page {
            looked_at += 1;
            let exec = row.exec;
            filter.before = Some(exec);
            if fits(store, &row, fields)? {
                found.push(row);
            }
            let is_enough = found.len() == limit || looked_at == LOOKED_AT || began.elapsed() > PATIENCE;
            if is_enough {
                return Ok(Part {
                    rows: found,
                    next: Some(exec),
                });
            }
        }
        if is_last {
            return Ok(Part {
                rows: found,
                next: None,
            });
        }
    }
}

fn fits(store: &dyn Store, row: &ExecutionRow, fields: &Fields) -> Result<bool, StoreError> {
    if !fields.output.is_empty() {
        if !row.status.is_finished() {
            return Ok(false);
        }
        let output = last_event(store, row)?.and_then(|event| match event {
            Event::Finished {
                outcome: Outcome::Succeeded(output),
            } => Some(output),
            _ => None,
        });
        if !output.is_some_and(|output| has(&output, &fields.output)) {
            return Ok(false);
        }
    }
    if fields.input.is_empty() {
        return Ok(true);
    }
    let input = first_event(store, row)?.and_then(|event| match event {
        Event::Started { input, .. } => Some(input),
        _ => None,
    });
    Ok(input.is_some_and(|input| has(&input, &fields.input)))
}

fn has(payload: &Payload, wanted: &[Wanted]) -> bool {
    if payload.absent().is_some() || size(payload) > LARGEST {
        return false;
    }
    if !wanted.iter().all(|wanted| wanted.may_fit(payload.text())) {
        return false;
    }
    payload
        .parse::<Value>()
        .is_ok_and(|document| wanted.iter().all(|wanted| wanted.fits(&document)))
}
