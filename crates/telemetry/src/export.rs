//! Sends spans: gathers them, looks up what is missing, and posts them in batches.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use bowline_core::trace::TraceParent;
use bowline_core::{Event, decode};
use bowline_store::SharedStore;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::traces::{EndedExecution, execution};
use crate::{Config, Figures, TelemetryError};

/// So many spans go in one request.
const BATCH: usize = 512;

/// A span waits so long for others at most.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What is to be sent.
pub(crate) enum Item {
    /// A span.
    Span(Box<SpanData>),
    /// An execution whose beginning has to be looked up.
    LookUp(Box<EndedExecution>),
    /// Send what is there, and say when.
    Flush(oneshot::Sender<()>),
}

/// The exporter that a configuration asks for.
pub(crate) fn exporter(config: &Config, endpoint: &str) -> Result<SpanExporter, TelemetryError> {
    let headers: HashMap<String, String> = config.headers.clone().into_iter().collect();
    // Redirects would take the headers elsewhere.
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_headers(headers)
        .with_timeout(PATIENCE)
        .build();
    let mut exporter = exporter.map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    let resource = Resource::builder_empty()
        .with_attribute(KeyValue::new("service.name", config.service_name.clone()))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .build();
    exporter.set_resource(&resource);
    Ok(exporter)
}

/// Sends what comes until nobody is left who could give something.
pub(crate) async fn run(
    mut items: mpsc::Receiver<Item>,
    exporter: SpanExporter,
    store: Arc<OnceLock<SharedStore>>,
    figures: Figures,
) {
    let mut batch: Vec<SpanData> = Vec::new();
    let mut due: Option<Instant> = None;
    loop {
        let next = match due {
            Some(due) => tokio::time::timeout_at(due, items.recv()).await.ok(),
            None => Some(items.recv().await),
        };
        let mut told = None;
        let mut is_over = false;
        match next {
            Some(Some(Item::Span(span))) => batch.push(*span),
            Some(Some(Item::LookUp(ended))) => batch.extend(look_up(&store, *ended).await),
            Some(Some(Item::Flush(done))) => told = Some(done),
            Some(None) => is_over = true,
            None => {}
        }
        let is_time = next_is_due(due);
        if batch.len() >= BATCH || is_time || told.is_some() || is_over {
            send(&exporter, std::mem::take(&mut batch), &figures).await;
            due = None;
        } else if due.is_none() && !batch.is_empty() {
            due = Some(Instant::now() + PAUSE);
        }
        if let Some(done) = told {
            // Whoever waited may have gone.
            let _ = done.send(());
        }
        if is_over {
            return;
        }
    }
}

fn next_is_due(due: Option<Instant>) -> bool {
    due.is_some_and(|due| Instant::now() >= due)
}

async fn send(exporter: &SpanExporter, batch: Vec<SpanData>, figures: &Figures) {
    if batch.is_empty() {
        return;
    }
    let count = batch.len();
    match exporter.export(batch).await {
        Ok(()) => figures.spans("sent", count),
        Err(error) => {
            figures.spans("lost", count);
            tracing::warn!(%error, count, "spans could not be sent, and are lost");
        }
    }
}

/// The span of an execution that began in another process, or long ago: its journal says when and for whom.
async fn look_up(store: &Arc<OnceLock<SharedStore>>, ended: EndedExecution) -> Option<SpanData> {
    let store = Arc::clone(store.get()?);
    let looked = tokio::task::spawn_blocking(move || {
        let row = store.execution(&ended.id).ok()??;
        let records = store.journal(row.exec, 0, 1).ok()?;
        let events = decode(&records.first()?.events).ok()?;
        let trace = events.iter().find_map(|event| match event {
            Event::Started { trace, .. } => trace.as_deref().and_then(TraceParent::parse),
            _ => None,
        })?;
        let began = u64::try_from(row.started_at).ok()?;
        let began = SystemTime::UNIX_EPOCH + Duration::from_millis(began);
        trace.sampled.then(|| execution(&ended, trace, began))
    });
    match looked.await {
        Ok(span) => span,
        Err(error) => {
            tracing::error!(%error, "looking up an execution for its span failed");
            None
        }
    }
}
