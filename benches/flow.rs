//! The language on the embedded store: a 1,000-branch `parallel` and a 100,000-item `forEach`, each beside
//! the same at a fraction of the size, to see that cost is linear; and the memory they take.
//!
//! `cargo bench -p bowline-benches --bench flow`.
#![expect(clippy::print_stdout, reason = "a bench tells its figures on stdout")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_benches::{Flows, peak_memory_mib};
use bowline_connector::{Registry, StepContext, StepError};
use bowline_core::{Outcome, Payload};
use bowline_engine::{Engine, Options, Programs, StartRequest};
use bowline_expression::Masker;
use bowline_flow::{Runtime, Settings};
use bowline_store::{Definition, SharedStore};
use bowline_store_sqlite::SqliteStore;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// A step that does nothing.
#[derive(Deserialize, JsonSchema)]
struct NoOp {
    /// The result.
    #[serde(default)]
    answer: Value,
}

async fn no_op(_: StepContext, config: NoOp) -> std::result::Result<Value, StepError> {
    Ok(config.answer)
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let mut registry = Registry::default();
    registry.add("no-op", no_op);
    let registry = Arc::new(registry);
    let settings = Runtime::new(Arc::clone(&registry), Masker::default(), Settings::default());
    let flows = Arc::new(Flows {
        registry,
        runtime: Arc::new(settings),
    });
    let run = |text: String, input: Value| -> Result<Duration> {
        let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
        let store: SharedStore = Arc::new(SqliteStore::open(
            folder.path(),
            bowline_store_sqlite::Options::default(),
        )?);
        let programs = Arc::clone(&flows) as Arc<dyn Programs>;
        let engine = Engine::open(store, programs, runtime.handle().clone(), Options::default())?;
        let definition = Definition {
            hash: text.clone(),
            workflow: "bench".into(),
            content: text.into_bytes().into(),
        };
        let request = StartRequest::new(definition, Payload::of(&input)?);
        let began = Instant::now();
        let outcome = runtime.block_on(async { engine.start(request).await?.outcome().await })?;
        let took = began.elapsed();
        runtime.block_on(engine.stop(Duration::from_secs(5)));
        match outcome {
            Outcome::Succeeded(_) => Ok(took),
            other => Err(format!("{other:?}").into()),
        }
    };
    let parallel = |branches: usize| {
        let mut text = "steps:\n  - id: all\n    parallel:\n".to_owned();
        for branch in 0..branches {
            text += &format!("      - {{ id: b{branch}, type: no-op, config: {{ answer: \"${{input.n}}\" }} }}\n");
        }
        text
    };
    let each = |items: usize, concurrency: usize| {
        let text = format!(
            "steps:\n  - id: all\n    forEach: \"${{input.items}}\"\n    concurrency: {concurrency}\n    steps: [ {{ id: s, type: no-op, config: {{ answer: \"${{item + index}}\" }} }} ]\noutput: \"${{$count(all)}}\""
        );
        (text, json!({ "items": (0..items).collect::<Vec<_>>() }))
    };
    let input = json!({ "n": 1 });
    let (small, large) = (run(parallel(100), input.clone())?, run(parallel(1000), input)?);
    tell("parallel", 100, small, 1000, large);
    for concurrency in [1, 64] {
        let (text, input) = each(10_000, concurrency);
        let small = run(text, input)?;
        let (text, input) = each(100_000, concurrency);
        let large = run(text, input)?;
        tell(
            &format!("forEach, {concurrency} at a time"),
            10_000,
            small,
            100_000,
            large,
        );
    }
    println!("peak memory: {} MiB", peak_memory_mib());
    Ok(())
}

fn tell(what: &str, few: usize, small: Duration, many: usize, large: Duration) {
    let each = |took: Duration, count: usize| took.as_secs_f64() * 1e6 / count as f64;
    println!(
        "{what}: {few} in {small:?} ({:.1} µs each), {many} in {large:?} ({:.1} µs each); ratio of the cost of one {:.2}",
        each(small, few),
        each(large, many),
        each(large, many) / each(small, few)
    );
}
