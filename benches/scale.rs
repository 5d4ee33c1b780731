//! Size without cliffs: a million executions that wait, a million timers, a million steps in one execution.
//!
//! `cargo bench -p bowline-benches --bench scale`. `BENCH_ONLY=parked|timers|steps` takes one; `BENCH_MILLION=0.1`
//! takes a tenth of everything.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bowline_benches::{definition, percentile, resident_memory_mib};
use bowline_core::{Answer, Attempt, CallbackOptions, Context, Payload, Program, Step, StepError, StepOptions};
use bowline_engine::{Committed, Engine, Observer, Options, Programs, StartRequest};
use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION, Definition, SharedStore};
use bowline_store_sqlite::SqliteStore;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let only = std::env::var("BENCH_ONLY").unwrap_or_default();
    let part: f64 = std::env::var("BENCH_MILLION").map_or(Ok(1.0), |part| part.parse())?;
    let million = (1_000_000.0 * part) as usize;
    if only.is_empty() || only == "parked" {
        parked(&runtime, million)?;
    }
    if only.is_empty() || only == "timers" {
        timers(&runtime, million)?;
    }
    if only.is_empty() || only == "steps" {
        steps(&runtime, million)?;
    }
    Ok(())
}

/// Programs that wait, and one that is long.
struct Waits;

fn no_op(name: &str) -> Step {
    Step {
        name: name.into(),
        kind: "no-op".into(),
        input: None,
        options: StepOptions::default(),
        compensates: None,
        key_of: None,
        body: Arc::new(|_: Attempt| std::future::ready(Ok(Payload::null()))),
    }
}

impl Programs for Waits {
    fn load(&self, _: &str, definition: &Definition) -> std::result::Result<Arc<dyn Program>, StepError> {
        let name = definition.workflow.clone();
        Ok(Arc::new(move |ctx: Context, input: Payload| {
            let name = name.clone();
            async move {
                let number: u64 = input
                    .parse()
                    .map_err(|error| StepError::permanent("bench", "no number").caused_by(&error))?;
                match name.as_str() {
                    "valuation" => {
                        ctx.step(no_op("ask")).await?;
                        let options = CallbackOptions {
                            key: Some(format!("VAL-{number:08}")),
                            ..CallbackOptions::default()
                        };
                        ctx.callback("answer", options).await
                    }
                    "timer" => ctx.sleep_until("wait", number as i64).await,
                    _ => long(ctx, number).await,
                }
            }
        }))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> std::result::Result<Definition, StepError> {
        Ok(definition(workflow))
    }
}

async fn long(ctx: Context, rounds: u64) -> std::result::Result<Payload, StepError> {
    let mut from = 0;
    while from < rounds {
        let to = (from + 1000).min(rounds);
        let inside = ctx.clone();
        let stretch = async move {
            for round in from..to {
                inside.scope(&format!("round[{round}]")).step(no_op("do")).await?;
            }
            Ok(Payload::null())
        };
        ctx.folded("round", Some((from, to)), stretch).await?;
        from = to;
    }
    Ok(Payload::null())
}

fn open(runtime: &Runtime, folder: &Path, options: Options) -> Result<(SharedStore, Engine)> {
    let store: SharedStore = Arc::new(SqliteStore::open(folder, bowline_store_sqlite::Options::default())?);
    let engine = Engine::open(Arc::clone(&store), Arc::new(Waits), runtime.handle().clone(), options)?;
    Ok((store, engine))
}

fn request(workflow: &str, number: u64) -> Result<StartRequest> {
    Ok(StartRequest::new(definition(workflow), Payload::of(&number)?))
}

fn bytes_in(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

async fn start_many(
    engine: &Arc<Engine>,
    workflow: &'static str,
    count: usize,
    number: impl Fn(usize) -> u64 + Send + Sync + Clone + 'static,
) -> Result<()> {
    const STARTERS: usize = 512;
    let next = Arc::new(AtomicUsize::new(0));
    let mut starters = JoinSet::new();
    for _ in 0..STARTERS {
        let (engine, next, number) = (Arc::clone(engine), Arc::clone(&next), number.clone());
        starters.spawn(async move {
            loop {
                let mine = next.fetch_add(1, Ordering::Relaxed);
                if mine >= count {
                    return Ok::<_, Box<dyn Error + Send + Sync>>(());
                }
                // Whoever started it does not wait for it.
                drop(engine.start(request(workflow, number(mine))?).await?);
            }
        });
    }
    while let Some(ended) = starters.join_next().await {
        ended??;
    }
    Ok(())
}

fn key(number: usize) -> CallbackAddress {
    CallbackAddress::Key {
        organization: DEFAULT_ORGANIZATION.into(),
        name: String::new(),
        key: format!("VAL-{number:08}"),
    }
}

/// Executions that wait for callbacks: what they cost, and how fast an answer brings one back.
fn parked(runtime: &Runtime, count: usize) -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let (_, engine) = open(runtime, folder.path(), Options::default())?;
    let engine = Arc::new(engine);
    let began = Instant::now();
    runtime.block_on(start_many(&engine, "valuation", count, |mine| mine as u64))?;
    runtime.block_on(engine.idle())?;
    println!(
        "{count} executions parked on callbacks in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    println!("  resident memory after parking: {} MiB", resident_memory_mib());
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    drop(engine);
    println!(
        "  disk: {:.0} bytes each",
        bytes_in(folder.path())? as f64 / count as f64
    );

    let began = Instant::now();
    let (_, engine) = open(runtime, folder.path(), Options::default())?;
    runtime.block_on(engine.recover())?;
    println!("  start-up with them: {:?}", began.elapsed());
    println!("  resident memory after start-up: {} MiB", resident_memory_mib());

    let engine = Arc::new(engine);
    let mut times = Vec::new();
    runtime.block_on(async {
        for number in 0..2000.min(count / 10) {
            let number = number * 7919 % (count / 2);
            let answer = Answer::Succeeded {
                output: Payload::of(&250_000)?,
                event: None,
            };
            let began = Instant::now();
            engine.deliver(&key(number), answer).await?;
            times.push(began.elapsed());
        }
        Ok::<_, Box<dyn Error + Send + Sync>>(())
    })?;
    println!(
        "  one callback at a time: p50 {:?}, p99 {:?}",
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
    sustained(runtime, &engine, count)?;
    println!("  resident memory after that: {} MiB", resident_memory_mib());
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    Ok(())
}

/// A thousand callbacks a second for a minute (or for as many as there are).
fn sustained(runtime: &Runtime, engine: &Arc<Engine>, count: usize) -> Result<()> {
    const EACH_SECOND: usize = 1000;
    let wanted = (60 * EACH_SECOND).min(count / 4);
    let (mut times, accepted) = runtime.block_on(async {
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut under_way = JoinSet::new();
        let (mut times, mut accepted) = (Vec::new(), 0);
        let mut sent = 0;
        while sent < wanted {
            ticks.tick().await;
            // Tasks that have ended are memory until they are asked.
            while let Some(ended) = under_way.try_join_next() {
                let (time, was_accepted) = ended??;
                times.push(time);
                accepted += usize::from(was_accepted);
            }
            for _ in 0..EACH_SECOND / 100 {
                // From the end: the beginning has been used by the figures before.
                let (engine, number) = (Arc::clone(engine), count - 1 - sent);
                sent += 1;
                under_way.spawn(async move {
                    let answer = Answer::Succeeded {
                        output: Payload::of(&1)?,
                        event: None,
                    };
                    let began = Instant::now();
                    let told = engine.deliver(&key(number), answer).await?;
                    let accepted = matches!(told, bowline_engine::Delivered::Accepted { .. });
                    Ok::<_, Box<dyn Error + Send + Sync>>((began.elapsed(), accepted))
                });
            }
        }
        while let Some(ended) = under_way.join_next().await {
            let (time, was_accepted) = ended??;
            times.push(time);
            accepted += usize::from(was_accepted);
        }
        Ok::<_, Box<dyn Error + Send + Sync>>((times, accepted))
    })?;
    println!(
        "  {EACH_SECOND} callbacks a second, {wanted} in all: {accepted} accepted, p50 {:?}, p99 {:?}",
        percentile(&mut times, 50),
        percentile(&mut times, 99)
    );
    Ok(())
}

/// How late timers fire.
#[derive(Default)]
struct Lateness(std::sync::Mutex<Vec<(i64, i64)>>);

impl Observer for Lateness {
    fn committed(&self, committed: Committed<'_>) {
        let fired = committed
            .events
            .iter()
            .any(|event| matches!(event, bowline_core::Event::TimerFired { .. }));
        if fired {
            let now = bowline_engine::Clock::System.now();
            let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            all.push((committed.at, now));
        }
    }
}

/// Pending timers, of which a thousand a second come due; and what was due while nobody was there.
fn timers(runtime: &Runtime, count: usize) -> Result<()> {
    const EACH_SECOND: u64 = 1000;
    const FOR: u64 = 20;
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let (_, engine) = open(runtime, folder.path(), Options::default())?;
    let engine = Arc::new(engine);
    let far = bowline_engine::Clock::System.now() as u64 + 100 * 86_400_000;
    let began = Instant::now();
    runtime.block_on(start_many(&engine, "timer", count, move |mine| far + mine as u64))?;
    println!("{count} timers set in {:.1} s", began.elapsed().as_secs_f64());
    let soon = bowline_engine::Clock::System.now() as u64 + 30_000;
    let due = (EACH_SECOND * FOR) as usize;
    runtime.block_on(start_many(&engine, "timer", due, move |mine| soon + mine as u64))?;
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    drop(engine);

    let lateness = Arc::new(Lateness::default());
    let options = Options {
        observer: Some(Arc::clone(&lateness) as Arc<dyn Observer>),
        ..Options::default()
    };
    let (_, engine) = open(runtime, folder.path(), options)?;
    runtime.block_on(engine.recover())?;
    println!("  resident memory with them: {} MiB", resident_memory_mib());
    wait_until(runtime, soon + FOR * 1000 + 2000);
    let all = std::mem::take(&mut *lateness.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    // They were due one a millisecond, in order.
    let mut late: Vec<Duration> = all
        .iter()
        .enumerate()
        .map(|(place, (_, told))| Duration::from_millis((told - (soon as i64 + place as i64)).max(0) as u64))
        .collect();
    println!(
        "  {EACH_SECOND} due a second, {} of {due} fired; later than due: p50 {:?}, p99 {:?}, most {:?}",
        all.len(),
        percentile(&mut late, 50),
        percentile(&mut late, 99),
        percentile(&mut late, 100)
    );

    // What comes due while nobody is there.
    let overdue = (count / 20).max(1);
    let engine = Arc::new(engine);
    let at = bowline_engine::Clock::System.now() as u64 + 20_000;
    runtime.block_on(start_many(&engine, "timer", overdue, move |mine| {
        at + (mine % 1000) as u64
    }))?;
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    drop(engine);
    wait_until(runtime, at + 1500);
    let lateness = Arc::new(Lateness::default());
    let options = Options {
        observer: Some(Arc::clone(&lateness) as Arc<dyn Observer>),
        ..Options::default()
    };
    let began = Instant::now();
    let (_, engine) = open(runtime, folder.path(), options)?;
    runtime.block_on(engine.recover())?;
    let fired = || {
        lateness
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .len()
    };
    let mut most = 0;
    while fired() < overdue && began.elapsed() < Duration::from_secs(120) {
        wait_until(runtime, bowline_engine::Clock::System.now() as u64 + 10);
        most = most.max(resident_memory_mib());
    }
    println!(
        "  {overdue} overdue after a stop: {} fired within {:?} of the start, resident memory at most {most} MiB",
        fired(),
        began.elapsed()
    );
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    Ok(())
}

fn wait_until(runtime: &Runtime, at: u64) {
    let now = bowline_engine::Clock::System.now() as u64;
    let pause = Duration::from_millis(at.saturating_sub(now));
    runtime.block_on(async move { tokio::time::sleep(pause).await });
}

/// When steps were recorded.
struct Pace {
    steps: AtomicUsize,
    marks: std::sync::Mutex<Vec<Instant>>,
    every: usize,
}

impl Observer for Pace {
    fn committed(&self, committed: Committed<'_>) {
        let done = committed
            .events
            .iter()
            .filter(|event| matches!(event, bowline_core::Event::StepCompleted { .. }))
            .count();
        for _ in 0..done {
            if self.steps.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every) {
                let mut marks = self.marks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                marks.push(Instant::now());
            }
        }
    }
}

/// One execution of many steps, one after the other: the time of a step at the end against that at the start, and
/// how long it takes to come back near the end.
fn steps(runtime: &Runtime, count: usize) -> Result<()> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let pace = Arc::new(Pace {
        steps: AtomicUsize::new(0),
        marks: std::sync::Mutex::default(),
        every: count / 50,
    });
    let options = || Options {
        observer: Some(Arc::clone(&pace) as Arc<dyn Observer>),
        ..Options::default()
    };
    let (_, engine) = open(runtime, folder.path(), options())?;
    let began = Instant::now();
    let id = runtime.block_on(async {
        let handle = engine.start(request("long", count as u64)?).await?;
        Ok::<_, Box<dyn Error + Send + Sync>>(handle.id().to_owned())
    })?;
    while pace.steps.load(Ordering::Relaxed) < count - count / 200 {
        runtime.block_on(async { tokio::time::sleep(Duration::from_millis(20)).await });
    }
    let took = began.elapsed();
    println!(
        "{count} steps in a row: {:.0} s to near the end, resident memory {} MiB",
        took.as_secs_f64(),
        resident_memory_mib()
    );
    // As a crash leaves it.
    drop(engine);
    let marks = pace
        .marks
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .clone();
    let spans: Vec<Duration> = marks.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let fifth = spans.len() / 5;
    let sum = |spans: &[Duration]| spans.iter().sum::<Duration>().as_secs_f64() / spans.len() as f64;
    let (first, last) = (sum(&spans[..fifth]), sum(&spans[spans.len() - fifth..]));
    println!(
        "  a step takes {:.1} µs in the first fifth and {:.1} µs in the last: ratio {:.2}",
        first * 1e6 / pace.every as f64,
        last * 1e6 / pace.every as f64,
        last / first
    );
    let began = Instant::now();
    let before = pace.steps.load(Ordering::Relaxed);
    let (_, engine) = open(runtime, folder.path(), options())?;
    runtime.block_on(engine.recover())?;
    println!("  taken up after a crash near the end in {:?}", began.elapsed());
    runtime.block_on(async { engine.watch(&id).await?.outcome().await })?;
    println!(
        "  and ended after {} more steps",
        pace.steps.load(Ordering::Relaxed) - before
    );
    runtime.block_on(engine.stop(Duration::from_secs(5)));
    Ok(())
}
