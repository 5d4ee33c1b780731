//! Traces: a span for each execution and for each attempt of a step.
//!
//! An execution may last for months and end in another process than it began in. So its span is made when it ends; the ids
//! are computed (see [`bowline_core::trace`]), and those of its attempts, which are sent at once, name it as their parent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use bowline_connector::{AttemptOutcome, Attempted};
use bowline_core::trace::{TraceParent, attempt_span, execution_span};
use bowline_core::{Event, Outcome};
use bowline_engine::Committed;
use bowline_store::SharedStore;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::sync::{mpsc, oneshot};

use crate::export::{self, Item};
use crate::{Config, Figures, TelemetryError};

/// So many spans wait for being sent at most; more are lost, and counted.
const WAITING: usize = 8192;

/// Of so many running executions it is known without a look into the store when they began.
const KNOWN: usize = 65_536;

/// Sends spans.
pub struct Traces {
    items: mpsc::Sender<Item>,
    store: Arc<OnceLock<SharedStore>>,
    figures: Figures,
    sample: f64,
    /// Running executions; those that nobody wants spans of have nothing.
    begun: Mutex<HashMap<String, Option<Begun>>>,
}

#[derive(Clone, Copy)]
struct Begun {
    trace: TraceParent,
    at: SystemTime,
}

/// An execution that has ended.
pub(crate) struct EndedExecution {
    pub(crate) id: String,
    organization: String,
    workflow: String,
    parent: Option<String>,
    at: SystemTime,
    status: &'static str,
    error: Option<String>,
}

impl Traces {
    /// Begins to send where there is an endpoint.
    pub(crate) fn new(config: &Config, figures: &Figures) -> Result<Option<Self>, TelemetryError> {
        config.check()?;
        let Some(endpoint) = config.endpoint() else {
            return Ok(None);
        };
        let exporter = export::exporter(config, endpoint)?;
        let (items, receiver) = mpsc::channel(WAITING);
        let store = Arc::new(OnceLock::new());
        tokio::spawn(export::run(receiver, exporter, Arc::clone(&store), figures.clone()));
        Ok(Some(Self {
            items,
            store,
            figures: figures.clone(),
            sample: config.sample,
            begun: Mutex::default(),
        }))
    }

    /// A trace that begins here.
    pub(crate) fn begin(&self) -> Option<String> {
        let trace = uuid::Uuid::now_v7();
        // The second half of such an id is random, but for the first bits.
        let (_, span) = uuid::Uuid::now_v7().as_u64_pair();
        let chance = (trace.as_u64_pair().1 & (u64::MAX >> 11)) as f64 / (1_u64 << 53) as f64;
        if chance >= self.sample {
            return None;
        }
        let parent = TraceParent {
            trace: trace.into_bytes(),
            span: span.max(1).to_be_bytes(),
            sampled: true,
        };
        Some(parent.text())
    }

    pub(crate) fn look_in(&self, store: SharedStore) {
        // The first one is kept: there is one store.
        let _ = self.store.set(store);
    }

    pub(crate) async fn flush(&self) {
        let (done, sent) = oneshot::channel();
        if self.items.send(Item::Flush(done)).await.is_ok() {
            // Nothing comes where the task that sends has gone.
            let _ = sent.await;
        }
    }

    pub(crate) fn committed(&self, committed: &Committed<'_>) {
        for event in committed.events {
            match event {
                Event::Started { trace, .. } => {
                    let trace = trace.as_deref().and_then(TraceParent::parse);
                    let begun = trace.filter(|trace| trace.sampled).map(|trace| Begun {
                        trace,
                        at: time(committed.at),
                    });
                    let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
                    if all.len() < KNOWN {
                        all.insert(committed.id.to_owned(), begun);
                    }
                }
                Event::Finished { outcome } => self.ended(committed, outcome),
                _ => {}
            }
        }
    }

    fn ended(&self, committed: &Committed<'_>, outcome: &Outcome) {
        let begun = {
            let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(committed.id)
        };
        if matches!(begun, Some(None)) {
            return;
        }
        let (status, error) = match outcome {
            Outcome::Succeeded(_) => ("succeeded", None),
            Outcome::Failed(error) => ("failed", Some(error.code.clone())),
            Outcome::Cancelled(_) => ("cancelled", None),
        };
        let ended = EndedExecution {
            id: committed.id.to_owned(),
            organization: committed.organization.to_owned(),
            workflow: committed.workflow.to_owned(),
            parent: committed.parent.map(str::to_owned),
            at: time(committed.at),
            status,
            error,
        };
        self.give(match begun.flatten() {
            Some(Begun { trace, at }) => Item::Span(Box::new(execution(&ended, trace, at))),
            None => Item::LookUp(Box::new(ended)),
        });
    }

    pub(crate) fn attempted(&self, attempt: &Attempted<'_>) {
        let Some(trace) = attempt.trace.and_then(TraceParent::parse).filter(|trace| trace.sampled) else {
            return;
        };
        let error = match attempt.outcome {
            AttemptOutcome::Succeeded => None,
            AttemptOutcome::Failed(error) => Some(error.code.clone()),
            AttemptOutcome::GivenUp => Some("given-up".to_owned()),
        };
        let mut attributes = vec![
            KeyValue::new("bowline.execution.id", attempt.execution.to_owned()),
            KeyValue::new("bowline.workflow", attempt.workflow.to_owned()),
            KeyValue::new("bowline.step.path", attempt.path.to_owned()),
            KeyValue::new("bowline.connector", attempt.connector),
            KeyValue::new("bowline.attempt", i64::from(attempt.attempt)),
        ];
        attributes.extend(error.clone().map(|code| KeyValue::new("error.type", code)));
        self.give(Item::Span(Box::new(SpanData {
            span_context: context(trace, attempt_span(attempt.execution, attempt.path, attempt.attempt)),
            parent_span_id: SpanId::from_bytes(execution_span(attempt.execution)),
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: format!("{} {}", attempt.connector, attempt.path).into(),
            start_time: attempt.began,
            end_time: attempt.began + attempt.took,
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope(),
        })));
    }

    fn give(&self, item: Item) {
        if self.items.try_send(item).is_err() {
            self.figures.spans("lost", 1);
        }
    }
}

/// The span of an execution that has ended.
pub(crate) fn execution(ended: &EndedExecution, trace: TraceParent, began: SystemTime) -> SpanData {
    let mut attributes = vec![
        KeyValue::new("bowline.execution.id", ended.id.clone()),
        KeyValue::new("bowline.workflow", ended.workflow.clone()),
        KeyValue::new("bowline.organization", ended.organization.clone()),
        KeyValue::new("bowline.status", ended.status),
    ];
    attributes.extend(ended.error.clone().map(|code| KeyValue::new("error.type", code)));
    // A child is below its parent, and that one below whoever started it.
    let parent = ended.parent.as_deref().map_or(trace.span, execution_span);
    SpanData {
        span_context: context(trace, execution_span(&ended.id)),
        parent_span_id: SpanId::from_bytes(parent),
        parent_span_is_remote: ended.parent.is_none(),
        span_kind: SpanKind::Internal,
        name: format!("workflow {}", ended.workflow).into(),
        start_time: began,
        end_time: ended.at.max(began),
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: ended.error.clone().map_or(Status::Unset, Status::error),
        instrumentation_scope: scope(),
    }
}

fn context(trace: TraceParent, span: [u8; 8]) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(trace.trace),
        SpanId::from_bytes(span),
        TraceFlags::SAMPLED,
        false,
        TraceState::NONE,
    )
}

fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("bowline")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

fn time(ms: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}
