//! 500 MB from one service to another, through two steps of a workflow: how fast, and in how much memory.
//!
//! `cargo bench -p bowline-benches --bench blob`. The services are in this process, so their memory counts too. Beside
//! it a bare client does the same by way of a synced file. Needs 1 GB of disk.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::routing::{get, put};
use bowline_benches::{Flows, peak_memory_mib};
use bowline_blobs::Blobs;
use bowline_connector::Registry;
use bowline_core::{Outcome, Payload};
use bowline_engine::{Engine, Options, Programs, StartRequest};
use bowline_expression::Masker;
use bowline_flow::{Runtime, Settings};
use bowline_store::{Definition, SharedStore};
use bowline_store_sqlite::SqliteStore;
use futures_util::{StreamExt, stream};
use tokio::io::AsyncWriteExt;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const PIECE: usize = 50_000;
const PIECES: usize = 10_000;
const SIZE: usize = PIECE * PIECES;
const LIMIT_MIB: u64 = 143;

/// `/down` sends so much, `/up` says how much it was sent.
async fn server() -> Result<String> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let down = || async {
        let pieces = (0..PIECES).map(|at| Ok::<_, std::io::Error>(Bytes::from(vec![at as u8; PIECE])));
        ([("content-type", "video/mp4")], Body::from_stream(stream::iter(pieces)))
    };
    let up = |body: Body| async move {
        let mut pieces = body.into_data_stream();
        let mut size = 0;
        while let Some(Ok(piece)) = pieces.next().await {
            size += piece.len();
        }
        size.to_string()
    };
    let routes = axum::Router::new().route("/down", get(down)).route("/up", put(up));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Ok(format!("http://{address}"))
}

/// What somebody would write by hand: down into a file, synced, and up from it.
async fn bare(url: &str, folder: &Path) -> Result<Duration> {
    let began = Instant::now();
    let client = reqwest::Client::new();
    let path = folder.join("bare");
    let mut file = tokio::fs::File::create(&path).await?;
    let mut answer = client.get(format!("{url}/down")).send().await?;
    while let Some(piece) = answer.chunk().await? {
        file.write_all(&piece).await?;
    }
    file.sync_all().await?;
    let body = reqwest::Body::from(tokio::fs::File::open(&path).await?);
    let told = client.put(format!("{url}/up")).body(body).send().await?.text().await?;
    tokio::fs::remove_file(&path).await?;
    if told.parse() == Ok(SIZE) {
        Ok(began.elapsed())
    } else {
        Err(format!("the service was sent {told} bytes").into())
    }
}

async fn ours(engine: &Engine, url: &str) -> Result<Duration> {
    let text = format!(
        "steps:\n  - {{ id: down, type: http-request, config: {{ url: \"{url}/down\", timeout: 10m }} }}\n  \
         - {{ id: up, type: http-request, config: {{ method: PUT, url: \"{url}/up\", body: \"${{down.body}}\", timeout: 10m }} }}\n\
         output: ${{up.body}}\n"
    );
    let definition = Definition {
        hash: text.clone(),
        workflow: "blob".into(),
        content: text.into_bytes().into(),
    };
    let began = Instant::now();
    let request = StartRequest::new(definition, Payload::null());
    match engine.start(request).await?.outcome().await? {
        Outcome::Succeeded(told) if told.parse::<String>()?.parse() == Ok(SIZE) => Ok(began.elapsed()),
        other => Err(format!("{other:?}").into()),
    }
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let url = runtime.block_on(server())?;
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let blobs = Blobs::local(folder.path().join("blobs"))?;
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    let registry = Arc::new(registry);
    let settings = Runtime::new(Arc::clone(&registry), Masker::default(), Settings::default());
    let flows: Arc<dyn Programs> = Arc::new(Flows {
        registry,
        runtime: Arc::new(settings.with_blobs(Arc::new(blobs))),
    });
    let store: SharedStore = Arc::new(SqliteStore::open(
        folder.path().join("store"),
        bowline_store_sqlite::Options::default(),
    )?);
    let engine = Engine::open(store, flows, runtime.handle().clone(), Options::default())?;
    let ours = runtime.block_on(ours(&engine, &url))?;
    let memory = peak_memory_mib();
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    let bare = runtime.block_on(bare(&url, folder.path()))?;
    let speed = |took: Duration| SIZE as f64 / 1e6 / took.as_secs_f64();
    println!(
        "{} MB down and up: {ours:?} ({:.0} MB/s), by hand {bare:?} ({:.0} MB/s)",
        SIZE / 1_000_000,
        speed(ours),
        speed(bare)
    );
    println!("peak memory {memory} MiB, limit {LIMIT_MIB} MiB (150 MB)");
    if memory > LIMIT_MIB {
        return Err("over the limit".into());
    }
    Ok(())
}
