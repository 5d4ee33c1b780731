//! Waiting for an execution's end, or for what its `respond` step answers.

use std::time::Duration;

use bowline_core::{Event, Outcome, Payload, RESPONSE, internalize};
use bowline_engine::read_record;
use bowline_expression::Masker;

use super::describe::response_of;
use crate::records::unreadable;
use crate::{Ended, ErrorKind, ErrorView, Host, HostError, Response, Status};

impl Host {
    /// Waits until the execution has ended, or a `respond` step of it has answered; none where neither has come about
    /// within `limit`.
    ///
    /// # Errors
    /// `execution.not-found`; `host.stopping` where the host stops before.
    pub async fn wait(&self, organization: &str, id: &str, limit: Duration) -> Result<Option<Ended>, HostError> {
        // Before the journal is read, so that nothing falls in between.
        let mut following = self.feed().execution(id);
        self.row(organization, id).await?;
        let waited = async {
            let mut look = true;
            loop {
                let news = following.news();
                if look || news.responded || news.ended {
                    let row = self.row(organization, id).await?;
                    let response = self.response(&row).await?;
                    if row.status.is_finished() {
                        return Ok(Some(self.ended(&row, response).await?));
                    }
                    if response.is_some() {
                        return Ok(Some(Ended {
                            id: row.id.clone(),
                            status: Status::Running,
                            output: None,
                            error: None,
                            response,
                        }));
                    }
                    look = false;
                }
                if !following.changed().await {
                    return Err(stopping());
                }
            }
        };
        match tokio::time::timeout(limit, waited).await {
            Ok(ended) => ended,
            Err(_) => Ok(None),
        }
    }

    async fn ended(&self, row: &bowline_store::ExecutionRow, response: Option<Response>) -> Result<Ended, HostError> {
        let (exec, about) = (row.exec, row.clone());
        let mut events = self
            .read(move |store| {
                let Some(record) = store.last_record(exec)? else {
                    return Ok(Vec::new());
                };
                let records = read_record(&record).map_err(|error| unreadable(&about, record.seq, &error))?;
                Ok(records.into_iter().flat_map(|record| record.events).collect())
            })
            .await?;
        internalize(&mut events, self.0.blobs.as_ref())
            .await
            .map_err(|error| HostError::internal("blob.failed", &error))?;
        let outcome = events.into_iter().rev().find_map(|event| match event {
            Event::Finished { outcome } => Some(outcome),
            _ => None,
        });
        let masker = self.masker(&row.organization);
        let (output, error) = match outcome {
            Some(Outcome::Succeeded(output)) => (Some(shown(&masker, &output)?), None),
            Some(Outcome::Failed(error) | Outcome::Cancelled(error)) => (None, Some(ErrorView::of(&error, &masker))),
            None => (None, None),
        };
        Ok(Ended {
            id: row.id.clone(),
            status: row.status.into(),
            output,
            error,
            response,
        })
    }

    /// What the first `respond` step of an execution answered.
    pub(crate) async fn response(&self, row: &bowline_store::ExecutionRow) -> Result<Option<Response>, HostError> {
        let about = row.clone();
        let found = self
            .read(move |store| {
                let mut from = 0;
                loop {
                    let page = store.journal(about.exec, from, 500)?;
                    let Some(last) = page.last() else { return Ok(None) };
                    from = last.seq + 1;
                    for record in &page {
                        // Most records have none, and are not parsed for it.
                        if !contains(&record.events, RESPONSE.as_bytes()) {
                            continue;
                        }
                        let records = read_record(record).map_err(|error| unreadable(&about, record.seq, &error))?;
                        let mut events = records.into_iter().flat_map(|record| record.events);
                        let is_it =
                            |event: &Event| matches!(event, Event::Emitted { event, .. } if &**event == RESPONSE);
                        if let Some(event) = events.find(is_it) {
                            return Ok(Some(vec![event]));
                        }
                    }
                }
            })
            .await?;
        let Some(mut events) = found else { return Ok(None) };
        internalize(&mut events, self.0.blobs.as_ref())
            .await
            .map_err(|error| HostError::internal("blob.failed", &error))?;
        let data = events.into_iter().find_map(|event| match event {
            Event::Emitted { data, .. } => Some(data),
            _ => None,
        });
        let Some(data) = data else { return Ok(None) };
        response_of(&self.masker(&row.organization), &data)
    }
}

/// The value of a payload that has been loaded, without secrets.
pub(crate) fn shown(masker: &Masker, payload: &Payload) -> Result<serde_json::Value, HostError> {
    let mut value = payload
        .parse()
        .map_err(|error| HostError::internal("payload.unreadable", &error))?;
    masker.scrub(&mut value);
    Ok(value)
}

/// The host stops before what is waited for.
pub(crate) fn stopping() -> HostError {
    HostError::new(
        ErrorKind::Unavailable,
        "host.stopping",
        "the host stops before this has come about; the execution goes on at the next start",
    )
}

pub(crate) fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}
