//! The engine on the embedded store with full durability, beside the bare store doing the same commits.
//!
//! `cargo bench -p bowline-benches --bench engine`. Each figure is taken with its limit in the same run,
//! because disks and neighbours change from minute to minute.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_benches::{NoOps, STEPS, definition, peak_memory_mib, percentile};
use bowline_core::Payload;
use bowline_engine::{Engine, Options, StartRequest};
use bowline_store::SharedStore;
use bowline_store::load::drive;
use bowline_store_sqlite::SqliteStore;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    // `BENCH_ONLY=recovery` leaves the others out.
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    if only == "recovery" {
        return recovery(&runtime);
    }
    one_at_a_time(&runtime)?;
    if only == "latency" {
        return Ok(());
    }
    for in_flight in [16, 256, 4096] {
        many_in_flight(&runtime, in_flight)?;
    }
    recovery(&runtime)?;
    println!("peak memory: {} MiB", peak_memory_mib());
    Ok(())
}

struct Place {
    _folder: tempfile::TempDir,
    store: SharedStore,
}

fn place() -> Result<Place> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let store = SqliteStore::open(folder.path(), bowline_store_sqlite::Options::default())?;
    Ok(Place {
        _folder: folder,
        store: Arc::new(store),
    })
}

fn engine(runtime: &Runtime, store: &SharedStore) -> Result<Engine> {
    engine_that_parks(runtime, store, Options::default().park_beyond)
}

fn engine_that_parks(runtime: &Runtime, store: &SharedStore, park_beyond: Option<Duration>) -> Result<Engine> {
    let options = Options {
        max_in_flight: 200_000,
        park_beyond,
        ..Options::default()
    };
    Ok(Engine::open(
        Arc::clone(store),
        Arc::new(NoOps),
        runtime.handle().clone(),
        options,
    )?)
}

fn request(workflow: &str) -> StartRequest {
    StartRequest::new(definition(workflow), Payload::null())
}

fn bare(in_flight: usize, executions: usize) -> Result<bowline_store::load::LoadReport> {
    let place = place()?;
    let mut writer = place.store.writer()?;
    Ok(drive(writer.as_mut(), executions, in_flight, STEPS, 300)?)
}

/// Ten steps, one execution at a time: p50 against ten bare commits.
fn one_at_a_time(runtime: &Runtime) -> Result<()> {
    const RUNS: usize = 300;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let report = bare(1, RUNS)?;
        theirs.push(report.p50 * STEPS as u32);
        let place = place()?;
        let engine = engine(runtime, &place.store)?;
        let mut times = Vec::with_capacity(RUNS);
        runtime.block_on(async {
            for _ in 0..RUNS {
                let began = Instant::now();
                engine.start(request("steps")).await?.outcome().await?;
                times.push(began.elapsed());
            }
            engine.stop(Duration::from_secs(5)).await;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        })?;
        ours.push(percentile(&mut times, 50));
    }
    let (ours, theirs) = (percentile(&mut ours, 50), percentile(&mut theirs, 50));
    let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
    println!("1 in flight: 10 steps p50 {ours:?}; ten bare commits {theirs:?}; ratio {ratio:.2}");
    Ok(())
}

/// Durable steps a second, against the same records without the engine.
fn many_in_flight(runtime: &Runtime, in_flight: usize) -> Result<()> {
    let executions = (in_flight * 8).max(2000);
    let mut ratios = Vec::new();
    let mut best = (0.0f64, 0.0f64);
    for _ in 0..3 {
        let bare = bare(in_flight, executions)?.steps_per_second();
        let place = place()?;
        let engine = Arc::new(engine(runtime, &place.store)?);
        let began = Instant::now();
        runtime.block_on(async {
            let mut starters = JoinSet::new();
            for starter in 0..in_flight {
                let engine = Arc::clone(&engine);
                let mine = executions / in_flight + usize::from(starter < executions % in_flight);
                starters.spawn(async move {
                    for _ in 0..mine {
                        engine.start(request("steps")).await?.outcome().await?;
                    }
                    Ok::<_, bowline_engine::EngineError>(())
                });
            }
            while let Some(done) = starters.join_next().await {
                done??;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        })?;
        let ours = (executions * STEPS) as f64 / began.elapsed().as_secs_f64();
        runtime.block_on(engine.stop(Duration::from_secs(5)));
        ratios.push(ours / bare);
        best = (best.0.max(ours), best.1.max(bare));
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "{in_flight} in flight: {:.0} steps/s; bare store {:.0}; median ratio {:.0} %",
        best.0,
        best.1,
        ratios[1] * 100.0
    );
    Ok(())
}

/// 100,000 unfinished executions with five steps done: how long until all go on.
fn recovery(runtime: &Runtime) -> Result<()> {
    const EXECUTIONS: usize = 100_000;
    let place = place()?;
    {
        // What waits would leave memory, and would not be there to be taken up.
        let engine = Arc::new(engine_that_parks(runtime, &place.store, None)?);
        runtime.block_on(async {
            let mut starters = JoinSet::new();
            for _ in 0..64 {
                let engine = Arc::clone(&engine);
                starters.spawn(async move {
                    let mut handles = Vec::new();
                    for _ in 0..=(EXECUTIONS / 64) {
                        handles.push(engine.start(request("wait")).await?);
                    }
                    Ok::<_, bowline_engine::EngineError>(handles.len())
                });
            }
            while let Some(done) = starters.join_next().await {
                done??;
            }
            engine.stop(Duration::from_secs(30)).await;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        })?;
    }
    let began = Instant::now();
    let engine = engine_that_parks(runtime, &place.store, None)?;
    let report = runtime.block_on(engine.recover())?;
    let took = began.elapsed();
    println!(
        "recovery: {} executions in {took:?}; stuck {}; peak memory {} MiB",
        report.resumed,
        report.stuck.len(),
        peak_memory_mib()
    );
    Ok(())
}
