//! `http-request` as a durable step, 64 calls in flight, beside a bare client doing the same calls.
//!
//! Twice: with 64 executions, of which some are always in a commit instead of a call, and with 256 executions
//! over a connection that lets 64 calls out at once, so that as many calls are in flight as with the bare client.
//!
//! `cargo bench -p bowline-benches --bench http`. The server is in this process and answers at once, so it
//! shares the processors with both. Calls are bounded in number and go to 127.0.0.1 only.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_benches::{Flows, cpu_time};
use bowline_connector::Registry;
use bowline_core::Payload;
use bowline_engine::{Engine, Options, Programs, StartRequest};
use bowline_expression::Masker;
use bowline_flow::{Runtime, Settings};
use bowline_store::{Definition, SharedStore};
use bowline_store_sqlite::SqliteStore;
use serde_json::{Value, json};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const IN_FLIGHT: usize = 64;
const CALLS_EACH: usize = 500;

async fn server() -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let answer = || async { axum::Json(json!({ "ok": true, "id": 4711 })) };
    let routes = axum::Router::new().route("/call", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(format!("http://{address}"))
}

/// The bare loop: as many calls, as many at a time, read whole.
async fn bare(url: &str) -> Result<f64> {
    let client = reqwest::Client::new();
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (client, url) = (client.clone(), url.to_owned());
        callers.spawn(async move {
            for _ in 0..CALLS_EACH {
                let answer: Value = client.post(&url).json(&json!({ "n": 1 })).send().await?.json().await?;
                std::hint::black_box(answer);
            }
            Ok::<_, reqwest::Error>(())
        });
    }
    while let Some(done) = callers.join_next().await {
        done??;
    }
    Ok((IN_FLIGHT * CALLS_EACH) as f64 / began.elapsed().as_secs_f64())
}

/// Executions of ten calls each, as many at a time.
async fn ours(engine: &Arc<Engine>, definition: &Definition, executions: usize) -> Result<f64> {
    let began = Instant::now();
    let mut starters = JoinSet::new();
    for _ in 0..executions {
        let (engine, definition) = (Arc::clone(engine), definition.clone());
        starters.spawn(async move {
            for _ in 0..IN_FLIGHT * CALLS_EACH / executions / 10 {
                let request = StartRequest::new(definition.clone(), Payload::null());
                engine.start(request).await?.outcome().await?;
            }
            Ok::<_, bowline_engine::EngineError>(())
        });
    }
    while let Some(done) = starters.join_next().await {
        done??;
    }
    Ok((IN_FLIGHT * CALLS_EACH) as f64 / began.elapsed().as_secs_f64())
}

fn per_call(before: Duration) -> Duration {
    cpu_time().saturating_sub(before) / (IN_FLIGHT * CALLS_EACH) as u32
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let url = runtime.block_on(server())?;
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    let registry = Arc::new(registry);
    let settings = Runtime::new(Arc::clone(&registry), Masker::default(), Settings::default());
    let flows = Arc::new(Flows {
        registry,
        runtime: Arc::new(settings),
    });
    let mut text =
        format!("connections: {{ s: {{ type: http, baseUrl: \"{url}\", pool: {{ max: {IN_FLIGHT} }} }} }}\nsteps:\n");
    for step in 0..10 {
        text += &format!(
            "  - {{ id: c{step}, type: http-request, config: {{ connection: s, method: POST, url: /call, body: {{ n: 1 }} }} }}\n"
        );
    }
    let definition = Definition {
        hash: text.clone(),
        workflow: "calls".into(),
        content: text.into_bytes().into(),
    };
    for executions in [IN_FLIGHT, 4 * IN_FLIGHT] {
        let mut ratios = Vec::new();
        for _ in 0..3 {
            let before = cpu_time();
            let bare = runtime.block_on(bare(&format!("{url}/call")))?;
            let bare_cpu = per_call(before);
            let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
            let store: SharedStore = Arc::new(SqliteStore::open(
                folder.path(),
                bowline_store_sqlite::Options::default(),
            )?);
            let programs = Arc::clone(&flows) as Arc<dyn Programs>;
            let engine = Arc::new(Engine::open(
                store,
                programs,
                runtime.handle().clone(),
                Options::default(),
            )?);
            let before = cpu_time();
            let ours = runtime.block_on(ours(&engine, &definition, executions))?;
            let ours_cpu = per_call(before);
            runtime.block_on(engine.stop(Duration::from_secs(5)));
            println!(
                "{executions} executions: {ours:.0} durable calls/s; bare client {bare:.0}; {:.0} %; processor time a call {ours_cpu:?} against {bare_cpu:?}",
                ours / bare * 100.0
            );
            ratios.push(ours / bare);
        }
        ratios.sort_by(f64::total_cmp);
        println!("{executions} executions: median ratio {:.0} %", ratios[1] * 100.0);
    }
    Ok(())
}
