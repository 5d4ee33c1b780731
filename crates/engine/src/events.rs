//! Events: emitted by executions, taken by those who wait for them.
//!
//! Each wait is offered the events of its type in the order of their numbers, from where it was offered them last:
//! whoever offers begins there, so that two who do it at the same time miss nothing.

use std::sync::{Arc, PoisonError};

use bowline_core::{Answer, Input, Path, Payload};
use bowline_store::{EventRow, ExecNo, ExecutionRow, Status, WaitFilter, WaitKind, WaitRow, WaitState};
use serde::Serialize;

use crate::engine::EngineError;
use crate::env::Env;
use crate::routing::Routed;

/// Events that are offered at once.
const EVENTS: usize = 100;

/// Who waits for which events.
pub(crate) struct EventWait {
    /// Whose events: those of the organization of the execution.
    pub(crate) organization: Path,
    pub(crate) exec: ExecNo,
    pub(crate) tag: u64,
    pub(crate) path: Path,
    pub(crate) event: Path,
    pub(crate) key: Option<String>,
    /// Only events with a higher number; 0 for those since the execution began.
    pub(crate) after: i64,
    pub(crate) began_at: i64,
}

impl EventWait {
    fn of(wait: &WaitRow, row: &ExecutionRow) -> Self {
        let after = wait
            .detail
            .as_deref()
            .and_then(|after| std::str::from_utf8(after).ok())
            .and_then(|after| after.parse().ok())
            .unwrap_or_default();
        Self {
            organization: row.organization.as_str().into(),
            exec: wait.exec,
            tag: wait.tag,
            path: wait.path.as_str().into(),
            event: wait.name.as_str().into(),
            key: wait.key.clone(),
            after,
            began_at: row.started_at,
        }
    }
}

impl Env {
    /// Offers events to one wait, oldest first, until it takes one.
    pub(crate) async fn offer_events(self: &Arc<Self>, wait: &EventWait) -> Result<(), EngineError> {
        let place = (wait.exec, wait.tag);
        let mut after = self.offered().get(&place).copied().unwrap_or(wait.after);
        let since = if wait.after == 0 { wait.began_at } else { 0 };
        loop {
            let (owner, name, key) = (
                Arc::clone(&wait.organization),
                Arc::clone(&wait.event),
                wait.key.clone(),
            );
            let page = self
                .blocking(move |env| {
                    env.store
                        .events_after(&owner, &name, key.as_deref(), after, since, EVENTS)
                })
                .await??;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id;
            for row in page {
                let answer = Answer::Succeeded {
                    output: envelope(&row)?,
                    event: Some(row.id),
                };
                let input = Input::WaitAnswered {
                    path: Arc::clone(&wait.path),
                    answer,
                };
                if self.route(wait.exec, input).await? != Routed::Ignored {
                    self.offered().remove(&place);
                    return Ok(());
                }
            }
            let mut offered = self.offered();
            let to = offered.entry(place).or_insert(after);
            *to = after.max(*to);
        }
    }

    fn offered(&self) -> std::sync::MutexGuard<'_, std::collections::HashMap<(ExecNo, u64), i64>> {
        self.offered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A wait begins, or is over: what it was offered is of no interest any more.
    pub(crate) fn offers_end(&self, exec: ExecNo, tag: u64) {
        self.offered().remove(&(exec, tag));
    }

    /// After a start: whether executions that wait have missed events.
    pub(crate) async fn bring_events_to_waits(self: &Arc<Self>) -> Result<(), EngineError> {
        let mut filter = WaitFilter {
            kind: Some(WaitKind::Event),
            state: Some(WaitState::Open),
            ..WaitFilter::default()
        };
        loop {
            let wanted = filter.clone();
            let page = self.blocking(move |env| env.store.waits(&wanted)).await??;
            let Some(last) = page.last() else { return Ok(()) };
            filter.after = Some((last.exec, last.tag));
            for wait in page {
                let exec = wait.exec;
                let row = self.blocking(move |env| env.store.execution_by_no(exec)).await??;
                // One that is in memory has looked by itself.
                if let Some(row) = row.filter(|row| row.status == Status::Waiting) {
                    self.offer_events(&EventWait::of(&wait, &row)).await?;
                }
            }
        }
    }

    /// Tells those who wait of an event that is durable.
    pub(crate) fn spawn_publish(self: &Arc<Self>, organization: Path, event: Path, key: Option<String>) {
        let (env, errand) = (Arc::clone(self), self.errand());
        self.runtime.spawn(async move {
            let _errand = errand;
            if let Err(error) = env.publish(organization, &event, key).await {
                tracing::warn!(%error, %event, "an event could not be passed on; the next start passes it on");
            }
        });
    }

    async fn publish(
        self: &Arc<Self>,
        organization: Path,
        event: &Path,
        key: Option<String>,
    ) -> Result<(), EngineError> {
        let name = Arc::clone(event);
        let waits = self
            .blocking(move |env| env.store.event_waits(&organization, &name, key.as_deref()))
            .await??;
        for (exec, tag, _) in waits {
            let found = self
                .blocking(move |env| {
                    let wait = env.store.wait(exec, tag)?.filter(|wait| wait.state == WaitState::Open);
                    Ok::<_, bowline_store::StoreError>(wait.zip(env.store.execution_by_no(exec)?))
                })
                .await??;
            if let Some((wait, row)) = found {
                self.offer_events(&EventWait::of(&wait, &row)).await?;
            }
        }
        Ok(())
    }
}

/// What a wait for an event is given.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    id: i64,
    #[serde(rename = "type")]
    event: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    data: serde_json::Value,
    source: &'a str,
    at: i64,
}

fn envelope(row: &EventRow) -> Result<Payload, EngineError> {
    let data = serde_json::from_slice(&row.data)
        .map_err(|error| EngineError::Invalid(format!("event {} cannot be read: {error}", row.id)))?;
    Payload::of(&Envelope {
        id: row.id,
        event: &row.event,
        key: row.key.as_deref(),
        data,
        source: &row.source,
        at: row.at,
    })
    .map_err(|error| EngineError::Invalid(error.to_string()))
}
