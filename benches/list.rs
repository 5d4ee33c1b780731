//! Lists and searches over a million executions through HTTP, as a client of the API and a browser of the inspector get
//! them.
//!
//! `cargo bench -p bowline-benches --bench list`. One connection, one request at a time; the pages are read whole. What
//! the store alone takes is in the bench of the same name of `bowline-store-sqlite`.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

// The allocator of the binary.
use bowline_benches as _;
use bowline_connector::Registry;
use bowline_expression::Masker;
use bowline_host::{Host, HostOptions};
use bowline_server::{Config, Server, Stop};
use bowline_store::load::{APART, BEGAN, WORKFLOWS, many, mixed};
use bowline_store::{Status, Store};
use bowline_store_sqlite::{Options, SqliteStore};
use tokio::net::TcpListener;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const EXECUTIONS: i64 = 1_000_000;
const RUNS: i64 = 300;
/// What a page may take at the 99th percentile, and a search by status and workflow.
const PAGE: Duration = Duration::from_millis(50);
const SEARCH: Duration = Duration::from_millis(100);

/// The path of a list, made of a number that is another one each time.
type Make = fn(i64) -> String;

fn status(run: i64) -> &'static str {
    let all = Status::ALL;
    let at = usize::try_from(run).unwrap_or_default() % all.len();
    all.get(at).map_or("failed", |status| status.name())
}

fn workflow(run: i64) -> String {
    format!("workflow-{}", mixed(run) % WORKFLOWS)
}

/// A moment, in the form of the API.
fn moment(run: i64, later: i64) -> String {
    let at = BEGAN + mixed(run) % (EXECUTIONS * APART) + later;
    jiff::Timestamp::from_millisecond(at).map_or_else(|_| String::new(), |at| at.to_string())
}

fn lists() -> Vec<(&'static str, Duration, Make)> {
    vec![
        ("first page", PAGE, |_| "/api/v1/executions".into()),
        ("unfinished", PAGE, |_| "/api/v1/executions?unfinished=true".into()),
        ("status", PAGE, |run| {
            format!("/api/v1/executions?status={}", status(run))
        }),
        ("workflow and status", SEARCH, |run| {
            format!("/api/v1/executions?workflow={}&status={}", workflow(run), status(run))
        }),
        ("workflow, status and a minute", SEARCH, |run| {
            let (since, until) = (moment(run, 0), moment(run, 60_000));
            let (workflow, status) = (workflow(run), status(run));
            format!("/api/v1/executions?workflow={workflow}&status={status}&since={since}&until={until}")
        }),
        ("rare error", SEARCH, |_| "/api/v1/executions?error=rare.error".into()),
        ("inspector, first page", PAGE, |_| "/ui/executions".into()),
        ("inspector, workflow and status", SEARCH, |run| {
            format!("/ui/executions?workflow={}&status={}", workflow(run), status(run))
        }),
    ]
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get(sorted.len() * percent / 100).copied().unwrap_or_default()
}

fn tell(what: &str, mut times: Vec<Duration>, limit: Duration) -> bool {
    times.sort_unstable();
    let p99 = percentile(&times, 99);
    let held = p99 < limit;
    println!(
        "{what:34} p50 {:>10.1?}  p99 {p99:>10.1?}  limit {limit:?}: {}",
        percentile(&times, 50),
        if held { "held" } else { "NOT HELD" }
    );
    held
}

/// Each list again and again; whether all were in time.
async fn measure(base: &str) -> Result<bool> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut held = true;
    for (what, limit, make) in lists() {
        let mut times = Vec::new();
        for run in 0..RUNS {
            let url = format!("{base}{}", make(run));
            let began = Instant::now();
            let answer = client.get(&url).send().await?.error_for_status()?;
            answer.bytes().await?;
            times.push(began.elapsed());
        }
        held &= tell(what, times, limit);
    }
    held &= tell("page after page", pages(&client, base).await?, PAGE);
    Ok(held)
}

/// From page to page, as their cursors lead.
async fn pages(client: &reqwest::Client, base: &str) -> Result<Vec<Duration>> {
    let mut times = Vec::new();
    let mut cursor = String::new();
    for _ in 0..RUNS {
        let began = Instant::now();
        let url = format!("{base}/api/v1/executions?limit=100{cursor}");
        let page: serde_json::Value = client.get(&url).send().await?.error_for_status()?.json().await?;
        times.push(began.elapsed());
        let next = page.get("next").and_then(serde_json::Value::as_str);
        cursor = format!("&cursor={}", next.ok_or("the list ended")?);
    }
    Ok(times)
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let began = Instant::now();
    {
        let store = SqliteStore::open(folder.path(), Options::default())?;
        many(&mut *store.writer()?, EXECUTIONS)?;
    }
    println!(
        "{EXECUTIONS} executions written in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    let began = Instant::now();
    let options = HostOptions::new(
        folder.path().to_owned(),
        Arc::new(Registry::default()),
        Masker::default(),
    );
    let host = Host::open(options).await?;
    println!("opened in {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    let stop = Stop::new();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = Server::new(Config::default(), host.clone(), listener, stop.clone())?;
    let base = format!("http://{}", server.address());
    let serving = tokio::spawn(server.run());
    let held = measure(&base).await?;
    stop.stop();
    serving.await?;
    host.stop(Duration::from_secs(5)).await;
    if !held {
        std::process::exit(1);
    }
    Ok(())
}
