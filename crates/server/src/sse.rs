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
use bowline_host::{HistoryEvent, Host, HostError};
use futures_util::stream::{self, Stream};
use tokio::sync::Semaphore;

use crate::App;
use crate::accept::Taking;
use crate::config::Events;
use crate::problem::Problem;
use crate::stop::Stop;

/// Events read at once, at most.
const PAGE: usize = 64;

/// So many bytes of them are kept for a client that may not take them; what is more is read again.
const KEPT: usize = 2 * 1024;

/// The name of the last event of an execution.
const FINISHED: &str = "finished";

/// So many streams read the journal at the same time. What thousands follow has news for all of them at once, and each
/// reading takes a thread.
const READERS: usize = 4;

/// How many streams there are, and the places of those that read.
#[derive(Clone, Debug)]
pub struct Streams(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    count: AtomicUsize,
    readers: Semaphore,
}

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Shared {
            count: AtomicUsize::new(0),
            readers: Semaphore::new(READERS),
        }))
    }
}

/// One of them, until this is dropped.
#[derive(Debug)]
pub struct Open(Streams);

impl Streams {
    /// How many there are now.
    pub fn count(&self) -> usize {
        self.0.count.load(Ordering::Relaxed)
    }

    /// One more.
    ///
    /// # Errors
    /// There are as many as there may be, or the server is stopping.
    pub fn open(&self, limits: &Events, stop: &Stop) -> Result<Open, Problem> {
        if stop.is_stopping() {
            return Err(Problem::stopping());
        }
        if self.0.count.fetch_add(1, Ordering::Relaxed) >= limits.max {
            self.0.count.fetch_sub(1, Ordering::Relaxed);
            let detail = format!("there are {} streams of events, as many as there may be", limits.max);
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "events.too-many", detail).retry_after(5));
        }
        Ok(Open(self.clone()))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.0.count.fetch_sub(1, Ordering::Relaxed);
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
    /// How many events are read at once: more of small ones.
    limit: usize,
    ready: VecDeque<Told>,
    following: bowline_host::Following,
    taking: Taking,
    stop: Stop,
    open: Open,
}

/// The events of an execution, from the commit `from` on, live. Ends behind the end of the execution.
///
/// # Errors
/// There is no such execution, or there are too many streams.
pub(crate) async fn execution(
    app: &App,
    organization: &str,
    id: &str,
    from: u64,
    taking: Taking,
) -> Result<Response, Problem> {
    let open = app.streams.open(&app.config.events, &app.stop)?;
    // Before the first look: what is committed after it is news.
    let following = app.host.feed().execution(id);
    let first = app.host.history(organization, id, from, 1).await?;
    // Also for a client that has seen more than there is, of a store that was restored since.
    if first.items.is_empty() && app.host.execution(organization, id).await?.summary.status.is_finished() {
        // Tells an EventSource not to come back.
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let reader = Reader {
        host: app.host.clone(),
        organization: organization.to_owned(),
        id: id.to_owned(),
        next: from,
        limit: 8,
        ready: VecDeque::new(),
        following,
        taking,
        stop: app.stop.clone(),
        open,
    };
    Ok(response(&app.config.events, stream::unfold(Some(reader), step)))
}

/// An event as it is sent.
struct Told {
    event: Event,
    is_end: bool,
}

impl Reader {
    /// Reads what comes next. False where there is nothing yet.
    async fn read(&mut self) -> Result<bool, HostError> {
        let page = {
            // It is never closed.
            let _place = self.open.0.0.readers.acquire().await;
            // Boxed: while a stream waits, and most do, it has no room for this.
            let read = self.host.history(&self.organization, &self.id, self.next, self.limit);
            Box::pin(read).await?
        };
        let mut kept = 0;
        for event in page.items {
            let bytes = self.take(&event);
            kept += bytes;
            if event.last {
                self.next = event.seq + 1;
                if kept > KEPT {
                    self.limit = (self.limit / 2).max(1);
                    return Ok(true);
                }
            }
        }
        self.limit = (self.limit * 2).min(PAGE);
        Ok(kept > 0)
    }

    /// Takes an event up to be sent; how many bytes it has.
    fn take(&mut self, event: &HistoryEvent) -> usize {
        let text = serde_json::to_string(event).unwrap_or_else(|error| {
            // Its numbers and texts came from JSON.
            tracing::error!(%error, execution = %self.id, "an event cannot be told");
            "{}".to_owned()
        });
        let bytes = text.len();
        let told = Event::default().event("history").data(text);
        // Only the last one of a commit has its number: a client that was cut off before gets all of the commit again.
        self.ready.push_back(Told {
            event: if event.last {
                told.id(event.seq.to_string())
            } else {
                told
            },
            is_end: event.kind == FINISHED,
        });
        bytes
    }
}

type Sent = Result<Event, Infallible>;

async fn step(reader: Option<Reader>) -> Option<(Sent, Option<Reader>)> {
    let mut reader = reader?;
    loop {
        if let Some(told) = reader.ready.pop_front() {
            let is_over = told.is_end && reader.ready.is_empty();
            return Some((Ok(told.event), (!is_over).then_some(reader)));
        }
        tokio::select! {
            () = reader.taking.taking() => {}
            () = reader.stop.stopped() => return None,
        }
        match reader.read().await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, execution = %reader.id, "a stream of events ends");
                return None;
            }
        }
        reader.ready = VecDeque::new();
        tokio::select! {
            more = reader.following.changed() => if !more { return None },
            () = reader.stop.stopped() => return None,
        }
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
