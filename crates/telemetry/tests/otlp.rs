//! Spans as a receiver of OTLP gets them.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::post;
use bowline_connector::{AttemptOutcome, Attempted, Watch};
use bowline_core::trace::{attempt_span, execution_span};
use bowline_core::{BoxFuture, Context, Event, Outcome, Payload, Program, StepError};
use bowline_engine::{Committed, Engine, Observer, Options, Programs, StartRequest};
use bowline_store::{Definition, MemoryStore};
use bowline_telemetry::{Config, Telemetry};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::mpsc;

/// Workflows that are done at once.
struct Nothing;

impl Program for Nothing {
    fn run(&self, _: Context, _: Payload) -> BoxFuture<Result<Payload, StepError>> {
        Box::pin(async { Ok(Payload::null()) })
    }
}

impl Programs for Nothing {
    fn load(&self, _: &str, _: &Definition) -> Result<Arc<dyn Program>, StepError> {
        Ok(Arc::new(Self))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Err(StepError::permanent("workflow.unknown", workflow))
    }
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A receiver: its address, and what it gets.
#[expect(clippy::unwrap_used, reason = "a receiver that cannot listen fails the test")]
async fn receiver() -> (String, mpsc::UnboundedReceiver<(HeaderMap, ExportTraceServiceRequest)>) {
    let (sender, received) = mpsc::unbounded_channel();
    let take = move |headers: HeaderMap, body: Bytes| {
        let sender = sender.clone();
        async move {
            sender
                .send((headers, ExportTraceServiceRequest::decode(body).unwrap()))
                .unwrap();
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/traces", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{address}/v1/traces"), received)
}

fn begin(telemetry: &Telemetry, id: &str, parent: Option<&str>, trace: Option<&str>) {
    let events = [Event::Started {
        input: Payload::null(),
        origin: None,
        trace: trace.map(Into::into),
    }];
    tell(telemetry, id, parent, 1_000, &events);
}

fn end(telemetry: &Telemetry, id: &str, parent: Option<&str>, outcome: Outcome) {
    tell(telemetry, id, parent, 61_000, &[Event::Finished { outcome }]);
}

fn tell(telemetry: &Telemetry, id: &str, parent: Option<&str>, at: i64, events: &[Event]) {
    telemetry.committed(Committed {
        id,
        organization: "default",
        workflow: "order",
        parent,
        at,
        events,
    });
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

#[tokio::test]
async fn an_execution_its_attempts_and_its_child_are_spans_of_one_trace() {
    let (endpoint, mut received) = receiver().await;
    let config = Config {
        endpoint: Some(endpoint),
        headers: [("x-api-key".to_owned(), "k".to_owned())].into(),
        ..Config::default()
    };
    let telemetry = Telemetry::new(&config).unwrap();
    begin(&telemetry, "e", None, Some(TRACE));
    begin(&telemetry, "child", Some("e"), Some(TRACE));
    // Whoever started this one wants no spans, and this one belongs to no trace.
    begin(&telemetry, "other", None, Some(&TRACE.replace("-01", "-00")));
    begin(&telemetry, "alone", None, None);
    let told = bowline_core::trace::attempt_parent(TRACE, "e", "pay", 2).unwrap();
    let error = StepError::permanent("http.402", "a text that is not sent");
    telemetry.attempted(&Attempted {
        connector: "http-request",
        workflow: "order",
        execution: "e",
        path: "pay",
        attempt: 2,
        trace: Some(&told),
        began: SystemTime::UNIX_EPOCH + Duration::from_secs(2),
        took: Duration::from_secs(3),
        outcome: AttemptOutcome::Failed(&error),
    });
    end(&telemetry, "child", Some("e"), Outcome::Succeeded(Payload::null()));
    end(&telemetry, "other", None, Outcome::Succeeded(Payload::null()));
    end(&telemetry, "alone", None, Outcome::Succeeded(Payload::null()));
    end(&telemetry, "e", None, Outcome::Failed(error.clone()));
    telemetry.flush().await;

    let (headers, request) = received.recv().await.unwrap();
    assert_eq!(headers["x-api-key"], "k");
    let resource = &request.resource_spans[0];
    let service = resource.resource.as_ref().unwrap();
    assert!(
        service
            .attributes
            .iter()
            .any(|attribute| attribute.key == "service.name")
    );
    let spans: Vec<&Span> = resource.scope_spans.iter().flat_map(|scope| &scope.spans).collect();
    let trace = bowline_core::trace::TraceParent::parse(TRACE).unwrap();
    assert_eq!(spans.len(), 3, "{spans:?}");
    assert!(spans.iter().all(|span| span.trace_id == trace.trace));
    let of = |id: &[u8]| *spans.iter().find(|span| span.span_id == id).unwrap();

    let whole = of(&execution_span("e"));
    assert_eq!(
        (&*whole.name, &*whole.parent_span_id),
        ("workflow order", &trace.span[..])
    );
    assert_eq!(
        (whole.start_time_unix_nano, whole.end_time_unix_nano),
        (1_000_000_000, 61_000_000_000)
    );
    assert_eq!(text(whole, "bowline.status"), Some("failed"));
    assert_eq!(text(whole, "error.type"), Some("http.402"));
    let attempt = of(&attempt_span("e", "pay", 2));
    assert_eq!(
        (&*attempt.name, &*attempt.parent_span_id),
        ("http-request pay", &execution_span("e")[..])
    );
    assert_eq!(
        (attempt.start_time_unix_nano, attempt.end_time_unix_nano),
        (2_000_000_000, 5_000_000_000)
    );
    let child = of(&execution_span("child"));
    assert_eq!(child.parent_span_id, execution_span("e"));
    assert!(!format!("{request:?}").contains("a text that is not sent"));
    assert!(
        telemetry
            .figures()
            .text()
            .contains("bowline_spans_total{outcome=\"sent\"} 3")
    );
}

#[tokio::test]
async fn an_execution_of_an_earlier_process_is_looked_up() {
    let (endpoint, mut received) = receiver().await;
    let config = Config {
        endpoint: Some(endpoint),
        ..Config::default()
    };
    let telemetry = Telemetry::new(&config).unwrap();
    let store = MemoryStore::new();
    let runtime = tokio::runtime::Handle::current();
    let engine = Engine::open(Arc::new(store.clone()), Arc::new(Nothing), runtime, Options::default()).unwrap();
    let definition = Definition {
        hash: "h".into(),
        workflow: "order".into(),
        content: Vec::new().into(),
    };
    let request = StartRequest {
        id: Some("old".to_owned()),
        trace: Some(TRACE.to_owned()),
        ..StartRequest::new(definition, Payload::null())
    };
    engine.start(request).await.unwrap().outcome().await.unwrap();
    telemetry.look_in(Arc::new(store));
    end(&telemetry, "old", None, Outcome::Succeeded(Payload::null()));
    end(&telemetry, "gone", None, Outcome::Succeeded(Payload::null()));
    telemetry.flush().await;
    let (_, request) = received.recv().await.unwrap();
    let spans: Vec<&Span> = request.resource_spans[0]
        .scope_spans
        .iter()
        .flat_map(|scope| &scope.spans)
        .collect();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].span_id, execution_span("old"));
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_nanos();
    let ago = now - u128::from(spans[0].start_time_unix_nano);
    assert!(ago < 60_000_000_000, "it began {ago} ns ago");
}

#[tokio::test]
async fn nothing_is_sent_unless_it_is_asked_for_and_wrong_settings_are_named() {
    let off = Telemetry::new(&Config::default()).unwrap();
    assert!(!off.is_tracing() && off.new_trace().is_none());
    off.flush().await;
    let wrong = |endpoint: &str, sample: f64| {
        let config = Config {
            endpoint: Some(endpoint.to_owned()),
            sample,
            ..Config::default()
        };
        Telemetry::new(&config)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    assert!(wrong("collector:4318", 1.0).contains("\"collector:4318\" is not the address"));
    assert!(wrong("http://127.0.0.1:1/v1/traces", 1.5).contains("`sample` is 1.5"));
    let config = |sample| Config {
        endpoint: Some("http://127.0.0.1:1/v1/traces".to_owned()),
        sample,
        ..Config::default()
    };
    assert_eq!(Telemetry::new(&config(0.0)).unwrap().new_trace(), None);
    let trace = Telemetry::new(&config(1.0)).unwrap().new_trace().unwrap();
    assert!(bowline_core::trace::TraceParent::parse(&trace).is_some_and(|trace| trace.sampled));
}
