//! Accepting webhooks: verified over their raw bytes, and stored with their execution before they are answered.
//!
//! `cargo bench -p bowline-benches --bench webhook`. First as many as go through, 128 connections each sending the next
//! when the last is answered; then half of that, at an even pace, and how long each took. Beside it the least that such
//! a thing can cost: an axum handler that does one group-committed insert into the same kind of store. The sender is in
//! this process and shares the processors with both.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
// The allocator of the binary.
use bowline_benches as _;
use bowline_connector::Registry;
use bowline_expression::Masker;
use bowline_host::{EntryWrite, Host, HostOptions};
use bowline_server::{Config, Server, Stop};
use bowline_store::Entry;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

const CONNECTIONS: usize = 128;
const FOR: Duration = Duration::from_secs(5);
/// What has to hold on two cores.
const LEAST: f64 = 5_000.0;
const MOST_P99: Duration = Duration::from_millis(50);

const WORKFLOW: &str = "name: orders
triggers:
  - id: hook
    type: webhook-trigger
    config: { path: /webhooks/orders, authentication: { type: signature, secret: bench-secret } }
steps:
  - set: { id: \"${input.orderId}\" }
";

const BODY: &str =
    r#"{"orderId":"o-4711","customerId":"c-12","amount":129.5,"items":[{"sku":"a-1","n":2},{"sku":"b-7","n":1}]}"#;
/// HMAC-SHA-256 of [`BODY`] under `bench-secret`.
const SIGNATURE: &str = "20748f250529b89497d413a76cf83b7bc4bc9955738f86821da7c592cc009c20";

fn request(number: usize) -> String {
    format!(
        "POST /webhooks/orders HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         X-Webhook-Signature: {SIGNATURE}\r\nIdempotency-Key: order-{number}\r\n\r\n{BODY}",
        BODY.len()
    )
}

/// A connection that sends one request at a time.
struct Sender {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Sender {
    async fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
        })
    }

    /// Sends a request and reads its answer, which has to be a success.
    async fn send(&mut self, number: usize) -> Result<()> {
        self.stream.write_all(request(number).as_bytes()).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the connection was closed".into());
            }
            let text = std::str::from_utf8(&self.buffer)?;
            let Some((head, body)) = text.split_once("\r\n\r\n") else {
                continue;
            };
            if !head.starts_with("HTTP/1.1 2") {
                return Err(text.to_owned().into());
            }
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length")
                    .then(|| value.trim().parse::<usize>())
            });
            if body.len() >= length.transpose()?.unwrap_or(0) {
                return Ok(());
            }
        }
    }
}

/// As many as go through: accepts in a second.
async fn flood(address: SocketAddr, numbers: &Arc<AtomicUsize>) -> Result<f64> {
    let began = Instant::now();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let numbers = Arc::clone(numbers);
        senders.spawn(async move {
            let mut sender = Sender::connect(address).await?;
            let mut sent = 0;
            while began.elapsed() < FOR {
                sender.send(numbers.fetch_add(1, Ordering::Relaxed)).await?;
                sent += 1;
            }
            Ok::<usize, Box<dyn Error + Send + Sync>>(sent)
        });
    }
    let mut all = 0;
    while let Some(sent) = senders.join_next().await {
        all += sent??;
    }
    Ok(all as f64 / began.elapsed().as_secs_f64())
}

/// So many in a second at an even pace. How long each took, from the moment when it was due: one that has to wait for
/// its sender is late too.
async fn pace(address: SocketAddr, rate: f64, numbers: &Arc<AtomicUsize>) -> Result<Vec<Duration>> {
    let began = Instant::now() + Duration::from_millis(100);
    let mut senders = JoinSet::new();
    for place in 0..CONNECTIONS {
        let numbers = Arc::clone(numbers);
        senders.spawn(async move {
            let mut sender = Sender::connect(address).await?;
            let mut took = Vec::new();
            let mut turn = place;
            loop {
                let due = began + Duration::from_secs_f64(turn as f64 / rate);
                if due > began + FOR {
                    return Ok::<Vec<Duration>, Box<dyn Error + Send + Sync>>(took);
                }
                tokio::time::sleep_until(due.into()).await;
                sender.send(numbers.fetch_add(1, Ordering::Relaxed)).await?;
                took.push(due.elapsed());
                turn += CONNECTIONS;
            }
        });
    }
    let mut all = Vec::new();
    while let Some(took) = senders.join_next().await {
        all.extend(took??);
    }
    all.sort_unstable();
    Ok(all)
}

fn part(sorted: &[Duration], part: f64) -> Duration {
    let at = (sorted.len() as f64 * part) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or_default()
}

async fn measure(name: &str, address: SocketAddr) -> Result<(f64, Duration)> {
    let numbers = Arc::new(AtomicUsize::new(0));
    // Whatever is made at the first use is made now.
    let mut first = Sender::connect(address).await?;
    for _ in 0..100 {
        first.send(numbers.fetch_add(1, Ordering::Relaxed)).await?;
    }
    let rate = flood(address, &numbers).await?;
    let took = pace(address, rate / 2.0, &numbers).await?;
    let p99 = part(&took, 0.99);
    println!(
        "{name:<28} {rate:>8.0}/s   at {:>6.0}/s: p50 {:>6.2} ms, p99 {:>6.2} ms, most {:>6.2} ms",
        rate / 2.0,
        part(&took, 0.5).as_secs_f64() * 1e3,
        p99.as_secs_f64() * 1e3,
        part(&took, 1.0).as_secs_f64() * 1e3,
    );
    Ok((rate, p99))
}

async fn host(folder: &std::path::Path) -> Result<Host> {
    let mut registry = Registry::default();
    bowline_webhooks::register(&mut registry);
    let workflows = folder.join("workflows");
    std::fs::create_dir_all(&workflows)?;
    std::fs::write(workflows.join("orders.yaml"), WORKFLOW)?;
    let mut options = HostOptions::new(folder.join("data"), Arc::new(registry), Masker::default());
    options.workflows = Some(workflows);
    Ok(Host::open(options).await?)
}

async fn insert(State((host, numbers)): State<(Host, Arc<AtomicUsize>)>, body: Bytes) -> StatusCode {
    let key = format!("{:020}", numbers.fetch_add(1, Ordering::Relaxed));
    let write = EntryWrite::Put(Entry::new("bench", key, body));
    match host.engine().record(Vec::new(), vec![write]).await {
        Ok(()) => StatusCode::ACCEPTED,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn bare() -> Result<(f64, Duration)> {
    let folder = tempfile::tempdir()?;
    let host = host(folder.path()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let routes = axum::Router::new()
        .route("/webhooks/orders", axum::routing::post(insert))
        .with_state((host.clone(), Arc::default()));
    let serving = tokio::spawn(async move { axum::serve(listener, routes).await });
    let measured = measure("axum and one insert", address).await;
    serving.abort();
    host.stop(Duration::from_secs(5)).await;
    measured
}

async fn bowline() -> Result<(f64, Duration)> {
    let folder = tempfile::tempdir()?;
    let host = host(folder.path()).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let stop = Stop::new();
    let server = Server::new(Config::default(), host.clone(), listener, stop.clone())?;
    let address = server.address();
    let serving = tokio::spawn(server.run());
    let measured = measure("webhook, verified and started", address).await;
    stop.stop();
    serving.await?;
    host.stop(Duration::from_secs(5)).await;
    measured
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<()> {
    let (least, _) = bare().await?;
    let (rate, p99) = bowline().await?;
    println!("{:.0} % of the bare handler", 100.0 * rate / least);
    println!(
        "limit: at least {LEAST:.0}/s, p99 under {} ms at half",
        MOST_P99.as_millis()
    );
    if rate < LEAST || p99 > MOST_P99 {
        println!("over the limit");
        std::process::exit(1);
    }
    Ok(())
}
