//! What a running server tells of its work: figures for Prometheus, and a trace from who calls it to whom it calls.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::process::{LONG, Process};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// A request that the other side has got.
struct Got {
    path: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// The other side of everything: a service that is called, and a receiver of spans.
async fn other_side() -> (String, mpsc::UnboundedReceiver<Got>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let mut line = String::new();
                stream.read_line(&mut line).await.unwrap();
                let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
                let mut headers = BTreeMap::new();
                loop {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                    let Some((name, value)) = line.trim().split_once(':') else {
                        break;
                    };
                    headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
                }
                let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
                let mut body = vec![0; length];
                stream.read_exact(&mut body).await.unwrap();
                sender.send(Got { path, headers, body }).unwrap();
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
            });
        }
    });
    (url, received)
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn holds(body: &[u8], part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_and_traces_are_as_their_readers_take_them() {
    let (url, mut received) = other_side().await;
    let folder = tempfile::tempdir().unwrap();
    let traced = format!(
        "name: traced\nsteps:\n  - id: call\n    type: http-request\n    config: {{ url: \"{url}/service\" }}\n"
    );
    std::fs::write(folder.path().join("traced.yaml"), traced).unwrap();
    let shared = format!("server: {{ traces: {{ endpoint: \"{url}/v1/traces\" }} }}\n");
    std::fs::write(folder.path().join("bowline.yaml"), shared).unwrap();
    let server = Process::start(folder.path(), &[]);
    let client = reqwest::Client::builder().no_proxy().timeout(LONG).build().unwrap();
    let start = client
        .post(server.url("/api/v1/executions?wait=30s"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .json(&json!({ "workflow": "traced" }));
    let ended: Value = start.send().await.unwrap().json().await.unwrap();
    assert_eq!(ended["status"], "succeeded", "{ended}");

    // The service is told of the same trace, and of the span of the attempt that calls it.
    let service = tokio::time::timeout(LONG, received.recv()).await.unwrap().unwrap();
    assert_eq!(service.path, "/service");
    let told = &service.headers["traceparent"];
    let [version, trace, span, flags] = told.split('-').collect::<Vec<_>>()[..] else {
        panic!("{told} is no traceparent");
    };
    assert_eq!((version, trace, flags), ("00", TRACE, "01"));
    assert_ne!(span, CALLER);

    // Both spans arrive: the attempt under the execution, and that one under whoever called.
    let mut spans = Vec::new();
    while !(holds(&spans, b"workflow traced") && holds(&spans, b"http-request call")) {
        let got = tokio::time::timeout(LONG, received.recv()).await.unwrap().unwrap();
        assert_eq!(
            (got.path.as_str(), got.headers["content-type"].as_str()),
            ("/v1/traces", "application/x-protobuf")
        );
        spans.extend(got.body);
    }
    for id in [TRACE, span, CALLER] {
        assert!(holds(&spans, &bytes(id)), "{id} is not in the spans");
    }

    let figures = client.get(server.url("/metrics")).send().await.unwrap();
    assert_eq!(
        figures.headers()["content-type"],
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    check(&figures.text().await.unwrap());
    server.stop();
}

/// Each sample belongs to a figure with a type and a meaning, and its name has the form that its type and unit ask for.
fn check(text: &str) {
    let (mut types, mut units, mut helps) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    let mut samples = BTreeMap::new();
    assert!(text.ends_with("# EOF\n"));
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(about) = line.strip_prefix("# ") {
            let [what, name, rest] = about.splitn(3, ' ').collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            match what {
                "TYPE" => drop(types.insert(name, rest)),
                "UNIT" => drop(units.insert(name, rest)),
                "HELP" => assert!(!rest.is_empty() && helps.insert(name), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap();
        let value: f64 = value.parse().unwrap();
        assert!(samples.insert(sample, value).is_none(), "{sample} is there twice");
        let name = sample.split('{').next().unwrap();
        let family = ["_total", "_bucket", "_sum", "_count", "_info", ""]
            .into_iter()
            .find_map(|suffix| {
                let family = name.strip_suffix(suffix)?;
                types
                    .get_key_value(family)
                    .map(|(family, kind)| (*family, *kind, suffix))
            });
        let (family, kind, suffix) = family.unwrap_or_else(|| panic!("{name} has no type"));
        assert!(helps.contains(family), "{family} has no meaning");
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "gauge" => &[""],
            other => panic!("{family} is a {other}"),
        };
        assert!(suffixes.contains(&suffix), "{name} is a {kind}");
        if kind == "histogram" {
            assert_eq!(units.get(family), Some(&"seconds"), "{family}");
        }
    }
    for (family, unit) in &units {
        assert!(family.ends_with(&format!("_{unit}")), "{family} is in {unit}");
    }
    for (sample, least) in [
        (
            r#"bowline_executions_started_total{organization="default",workflow="traced"}"#,
            1.0,
        ),
        (
            r#"bowline_executions_ended_total{organization="default",workflow="traced",status="succeeded"}"#,
            1.0,
        ),
        (
            r#"bowline_step_attempts_total{connector="http-request",outcome="succeeded"}"#,
            1.0,
        ),
        (
            r#"bowline_http_requests_total{method="POST",route="/api/v1/executions",status="200"}"#,
            1.0,
        ),
        (r#"bowline_executions_places{organization="default"}"#, 0.0),
        (r#"bowline_spans_total{outcome="sent"}"#, 0.0),
        ("bowline_executions_in_memory", 0.0),
        ("bowline_commit_seconds_count", 1.0),
        ("process_resident_memory_bytes", 1.0),
        ("process_start_time_seconds", 1.0),
    ] {
        let found = samples.get(sample);
        assert!(
            found.is_some_and(|value| *value >= least),
            "{sample}: {found:?}\n{text}"
        );
    }
}
