//! Streams of events (server-sent events).
//!
//! A stream keeps no queue: it waits for news, reads the next page of the journal from where it is, and sends that as
//! fast as its client takes it. One that stands still costs what it costs to be connected. The id of an event is the
//! number of its commit, so a client that comes back (`Last-Event-ID`) goes on behind it, whatever process it meets.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::http::header::{CACHE_CONTROL, HeaderName};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use bowline_host::{HistoryEvent, Host};
use futures_util::stream::{self, Stream};

use crate::App;
use crate::config::Events;
use crate::problem::Problem;
use crate::stop::Stop;

/// Events read at once.
const PAGE: usize = 64;

/// The name of the last event of an execution.
const FINISHED: &str = "finished";

/// How many streams there are.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<AtomicUsize>);

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct Open(Streams);

impl Streams {
    /// How many there are now.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// One more.
    ///
    /// # Errors
    /// There are as many as there may be, or the server is stopping.
    pub fn open(&self, limits: &Events, stop: &Stop) -> Result<Open, Problem> {
        if stop.is_stopping() {
            return Err(Problem::stopping());
        }
        if self.0.fetch_add(1, Ordering::Relaxed) >= limits.max {
            self.0.fetch_sub(1, Ordering::Relaxed);
            let detail = format!("there are {} streams of events, as many as there may be", limits.max);
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "events.too-many", detail).retry_after(5));
        }
        Ok(Open(self.clone()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a client goes on: behind the commit that it has seen last, else at `from`.
pub fn position(headers: &HeaderMap, from: u64) -> Result<u64, Problem> {
    let Some(last) = headers.get("last-event-id") else {
        return Ok(from);
    };
    let read = last.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
    read.map(|seen| seen.saturating_add(1))
        .ok_or_else(|| Problem::invalid("Last-Event-ID must be the id of an event of this stream: a number"))
}

/// What a stream of an execution's events stands on.
struct Reader {
    host: Host,
    organization: String,
    id: String,
    /// The next commit to read.
    next: u64,
    ready: VecDeque<HistoryEvent>,
    following: bowline_host::Following,
    stop: Stop,
    _open: Open,
}

/// The events of an execution, from the commit `from` on, live. Ends behind the end of the execution.
///
/// # Errors
/// There is no such execution, or there are too many streams.
pub async fn execution(app: &App, organization: &str, id: &str, from: u64) -> Result<Response, Problem> {
    let open = app.streams.open(&app.config.events, &app.stop)?;
    // Before the first look: what is committed after it is news.
    let following = app.host.feed().execution(id);
    let first = app.host.history(organization, id, from, PAGE).await?;
    if first.items.is_empty() && has_ended(app, organization, id, from).await? {
        // Tells an EventSource not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let reader = Reader {
        host: app.host.clone(),
        organization: organization.to_owned(),
        id: id.to_owned(),
        next: from,
        ready: VecDeque::new(),
        following,
        stop: app.stop.clone(),
        _open: open,
    };
    let reader = reader.with(first.items);
    Ok(response(&app.config.events, stream::unfold(Some(reader), step)))
}

/// Whether the commit before this one is the last of an execution.
async fn has_ended(app: &App, organization: &str, id: &str, from: u64) -> Result<bool, Problem> {
    let Some(before) = from.checked_sub(1) else {
        return Ok(false);
    };
    let page = app.host.history(organization, id, before, 1).await?;
    Ok(page.items.last().is_some_and(|event| event.kind == FINISHED))
}

impl Reader {
    fn with(mut self, items: Vec<HistoryEvent>) -> Self {
        if let Some(last) = items.last() {
            self.next = last.seq + 1;
        }
        self.ready.extend(items);
        self
    }
}

type Sent = Result<Event, Infallible>;

async fn step(reader: Option<Reader>) -> Option<(Sent, Option<Reader>)> {
    let mut reader = reader?;
    loop {
        if let Some(event) = reader.ready.pop_front() {
            let ended = event.kind == FINISHED && reader.ready.is_empty();
            return Some((Ok(history(&event)), (!ended).then_some(reader)));
        }
        let read = reader.host.history(&reader.organization, &reader.id, reader.next, PAGE);
        match read.await {
            Ok(page) if page.items.is_empty() => {}
            Ok(page) => {
                reader = reader.with(page.items);
                continue;
            }
            Err(error) => {
                tracing::debug!(%error, execution = %reader.id, "a stream of events ends");
                return None;
            }
        }
        tokio::select! {
            more = reader.following.changed() => if !more { return None },
            () = reader.stop.stopped() => return None,
        }
    }
}

fn history(event: &HistoryEvent) -> Event {
    let sent = Event::default().event("history");
    // Only the last one of a commit has its number: a client that was cut off before gets all of the commit again.
    let sent = if event.last {
        sent.id(event.seq.to_string())
    } else {
        sent
    };
    match serde_json::to_string(event) {
        Ok(text) => sent.data(text),
        Err(error) => sent.comment(format!("an event cannot be told: {error}")),
    }
}

/// Ticks of an organization's list of executions: something in it has changed.
///
/// # Errors
/// There are too many streams.
pub fn list(app: &App, organization: &str) -> Result<Response, Problem> {
    let open = app.streams.open(&app.config.events, &app.stop)?;
    let following = app.host.feed().list(organization);
    let state = (following, app.stop.clone(), open);
    let ticks = stream::unfold(state, |(mut following, stop, open)| async move {
        let more = tokio::select! {
            more = following.changed() => more,
            () = stop.stopped() => false,
        };
        more.then(|| {
            (
                Ok(Event::default().event("changed").data("{}")),
                (following, stop, open),
            )
        })
    });
    Ok(response(&app.config.events, ticks))
}

/// A stream as an answer, with heartbeats. What is first sent is how long to wait before coming back.
pub fn response(config: &Events, events: impl Stream<Item = Sent> + Send + 'static) -> Response {
    let retry = Event::default().retry(config.retry.duration());
    let first = stream::once(std::future::ready(Ok(retry)));
    let all = futures_util::StreamExt::chain(first, events);
    let sse = Sse::new(all).keep_alive(KeepAlive::new().interval(config.heartbeat.duration()));
    let headers = [
        (CACHE_CONTROL, "no-store"),
        // Proxies would hold events back until there are enough of them.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, sse).into_response()
}
