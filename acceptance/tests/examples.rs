//! The examples, in this process: what each failure leads to, and a crash at every commit.
//!
//! A crash is injected before a commit is written (what a step did is lost: the step boundary) and after
//! it is durable but before anybody hears of it. Whatever the place, the execution ends as if nothing had
//! happened, no recorded step runs again, and what is repeated carries the same idempotency key.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_connector::Registry;
use bowline_core::{Event, Outcome, Payload, Program, StepError, decode};
use bowline_engine::{Clock, Committed, Engine, Observer, Options, Programs, StartRequest};
use bowline_expression::Masker;
use bowline_flow::{Bundle, FlowProgram, LoadOptions, Runtime, Settings, Source, load};
use bowline_store::{Definition, ExecutionFilter, Fault, MemoryStore, Status, Store};
use bowline_testing::{Call, MockServices};
use serde_json::{Value, json};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_connector_sql::register(&mut registry);
    bowline_connector_mail::register(&mut registry);
    registry
}

/// Loads bundles as the binary does, but resolves relative paths in a folder of the test's own.
struct Flows {
    registry: Arc<Registry>,
    runtime: Arc<Runtime>,
    folder: PathBuf,
}

impl Programs for Flows {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let bundle = Bundle::from_content(&definition.content).unwrap();
        let plan = load(bundle.main, &self.registry, &LoadOptions::default()).unwrap_or_else(|p| panic!("{p}"));
        Ok(Arc::new(FlowProgram::new(
            plan,
            Arc::clone(&self.runtime),
            self.folder.clone(),
        )))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Err(StepError::permanent("workflow.unknown", workflow))
    }
}

/// Which attempts began.
#[derive(Default)]
struct Attempts(Mutex<Vec<String>>);

impl Observer for Attempts {
    fn committed(&self, _: Committed<'_>) {}

    fn attempt(&self, _: &str, path: &str, _: u32) {
        self.0.lock().unwrap().push(path.to_owned());
    }
}

/// One example with its mocks running.
struct World {
    mocks: MockServices,
    definition: Definition,
    input: Payload,
    flows: Arc<Flows>,
    store: MemoryStore,
    clock: Clock,
    folder: tempfile::TempDir,
}

impl World {
    async fn new(example: &str, mocks: &str) -> Self {
        let folder = examples().join(example);
        let mocks = MockServices::start_file(folder.join(mocks)).await.unwrap();
        let source = Source::read(&folder.join(format!("{example}.yaml"))).unwrap_or_else(|p| panic!("{p}"));
        let bundle = Bundle::new("/".into(), source, BTreeMap::new());
        let definition = Definition {
            hash: bundle.hash(),
            workflow: example.into(),
            content: bundle.content().into(),
        };
        let input: Value = serde_json::from_slice(&std::fs::read(folder.join("input.json")).unwrap()).unwrap();
        let registry = Arc::new(registry());
        let settings = Settings {
            env: mocks.env(),
            ..Settings::default()
        };
        let runtime = Arc::new(Runtime::new(Arc::clone(&registry), Masker::default(), settings));
        let folder = tempfile::tempdir().unwrap();
        let flows = Arc::new(Flows {
            registry,
            runtime,
            folder: folder.path().to_owned(),
        });
        let (store, clock) = (MemoryStore::new(), Clock::virtual_now());
        Self {
            mocks,
            definition,
            input: Payload::of(&input).unwrap(),
            flows,
            store,
            clock,
            folder,
        }
    }

    fn engine(&self) -> (Engine, Arc<Attempts>) {
        let attempts = Arc::new(Attempts::default());
        let options = Options {
            clock: self.clock.clone(),
            commit_patience: Duration::ZERO,
            observer: Some(Arc::clone(&attempts) as Arc<dyn Observer>),
            ..Options::default()
        };
        let programs = Arc::clone(&self.flows) as Arc<dyn Programs>;
        let store = Arc::new(self.store.clone());
        (
            Engine::open(store, programs, tokio::runtime::Handle::current(), options).unwrap(),
            attempts,
        )
    }

    fn request(&self) -> StartRequest {
        StartRequest {
            id: None,
            ..StartRequest::new(self.definition.clone(), self.input.clone())
        }
    }

    async fn run(&self) -> Outcome {
        let (engine, _) = self.engine();
        let outcome = engine.start(self.request()).await.unwrap().outcome().await.unwrap();
        engine.stop(Duration::from_secs(5)).await;
        outcome
    }

    /// Every event that is recorded.
    fn journal(&self) -> Vec<Event> {
        let rows = self.store.executions(&ExecutionFilter::default()).unwrap();
        let records = rows
            .iter()
            .flat_map(|row| self.store.journal(row.exec, 0, 10_000).unwrap());
        records.flat_map(|record| decode(&record.events).unwrap()).collect()
    }

    fn count(&self, service: &str, what: &str) -> usize {
        self.mocks
            .calls(service)
            .iter()
            .filter(|call| format!("{} {}", call.method, call.path).starts_with(what))
            .count()
    }
}

/// The result without what is random or new each time.
fn stable(outcome: &Outcome) -> Value {
    let (status, value) = match outcome {
        Outcome::Succeeded(output) => ("succeeded", output.parse::<Value>().unwrap()),
        Outcome::Failed(error) => ("failed", json!(error.code)),
        Outcome::Cancelled(error) => ("cancelled", json!(error.code)),
    };
    json!([status, without_ids(value)])
}

fn without_ids(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(name, _)| name != "headers")
            .map(|(name, value)| (name, without_ids(value)))
            .collect(),
        Value::Array(items) => items.into_iter().map(without_ids).collect(),
        Value::String(text)
            if text.len() > 30 || text.starts_with("txn-") || text.starts_with("shp-") || text.starts_with("msg-") =>
        {
            json!("(an id)")
        }
        other => other,
    }
}

struct Row {
    mocks: &'static str,
    succeeded: bool,
    /// Calls by service: `POST /profiles`, `DELETE /profiles`, `POST /payments`, mails, SMS.
    calls: [usize; 5],
    /// What the error, or the collected errors, begin with.
    errors: &'static [&'static str],
    saved: bool,
}

/// The error table of the registration: what is critical, what is undone, what is best effort.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_failure_of_the_registration_leads_to_what_the_table_says() {
    let rows = [
        Row {
            mocks: "mocks.yaml",
            succeeded: true,
            calls: [1, 0, 1, 1, 1],
            errors: &[],
            saved: true,
        },
        Row {
            mocks: "mocks.profile-fails.yaml",
            succeeded: false,
            calls: [1, 0, 0, 0, 0],
            errors: &["http.422"],
            saved: false,
        },
        Row {
            mocks: "mocks.payment-fails.yaml",
            succeeded: false,
            calls: [1, 1, 5, 0, 0],
            errors: &["http.503"],
            saved: false,
        },
        Row {
            mocks: "mocks.payment-declined.yaml",
            succeeded: false,
            calls: [1, 1, 1, 0, 0],
            errors: &["http.402"],
            saved: false,
        },
        Row {
            mocks: "mocks.database-fails.yaml",
            succeeded: true,
            calls: [1, 0, 1, 1, 1],
            errors: &["save_user: "],
            saved: false,
        },
        Row {
            mocks: "mocks.email-fails.yaml",
            succeeded: true,
            calls: [1, 0, 1, 0, 1],
            errors: &["send_welcome_email: "],
            saved: true,
        },
        Row {
            mocks: "mocks.sms-fails.yaml",
            succeeded: true,
            calls: [1, 0, 1, 1, 0],
            errors: &["send_welcome_sms: "],
            saved: true,
        },
    ];
    for row in rows {
        let world = World::new("user-registration", row.mocks).await;
        let outcome = world.run().await;
        let name = row.mocks;
        let delivered = world
            .mocks
            .calls("mail")
            .iter()
            .filter(|call| call.method == "SEND" && call.is_effect())
            .count();
        let texted = world.mocks.calls("sms").iter().filter(|call| call.is_effect()).count();
        let calls = [
            world.count("profile", "POST /profiles"),
            world.count("profile", "DELETE /profiles/user-1001"),
            world.count("payment", "POST /payments"),
            delivered,
            texted,
        ];
        assert_eq!(calls, row.calls, "{name}: {outcome:?}");
        match &outcome {
            Outcome::Succeeded(output) => {
                assert!(row.succeeded, "{name}: {outcome:?}");
                let errors: Vec<String> =
                    serde_json::from_value(output.parse::<Value>().unwrap()["errors"].take()).unwrap();
                assert_eq!(errors.len(), row.errors.len(), "{name}: {errors:?}");
                for (error, expected) in errors.iter().zip(row.errors) {
                    assert!(error.starts_with(expected), "{name}: {error}");
                }
            }
            Outcome::Failed(error) => {
                assert!(!row.succeeded, "{name}: {error}");
                assert_eq!([error.code.as_str()], row.errors, "{name}");
            }
            Outcome::Cancelled(error) => panic!("{name}: {error}"),
        }
        let keys: BTreeSet<_> = world
            .mocks
            .calls("payment")
            .into_iter()
            .filter_map(|call| call.idempotency_key)
            .collect();
        assert!(keys.len() <= 1, "{name}: one payment, one key: {keys:?}");
        assert_eq!(world.folder.path().join("users.db").exists(), row.saved, "{name}");
    }
}

/// The waits between attempts are those of the example's two option sets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_option_sets_wait_as_they_say() {
    for (mocks, path, waits) in [
        (
            "mocks.payment-fails.yaml",
            "registration/process_payment",
            vec![2000, 4000, 8000, 16_000],
        ),
        ("mocks.sms-fails.yaml", "send_welcome_sms", vec![1000, 1500]),
    ] {
        let world = World::new("user-registration", mocks).await;
        world.run().await;
        let rows = world.store.executions(&ExecutionFilter::default()).unwrap();
        let mut found = Vec::new();
        for record in world.store.journal(rows[0].exec, 0, 1000).unwrap() {
            for event in decode(&record.events).unwrap() {
                if let Event::AttemptFailed { path: of, next_at, .. } = event
                    && &*of == path
                {
                    found.push(next_at - record.at);
                }
            }
        }
        if found.is_empty() {
            // A permanent refusal is not retried; the mock decides which of the two it plays.
            assert_eq!(mocks, "mocks.sms-fails.yaml");
        } else {
            assert_eq!(found, waits, "{mocks}");
        }
    }
}

const EXAMPLES: [(&str, &str); 7] = [
    ("user-registration", "mocks.yaml"),
    ("user-registration", "mocks.payment-fails.yaml"),
    ("user-registration", "mocks.email-fails.yaml"),
    ("order-saga", "mocks.yaml"),
    ("order-saga", "mocks.shipping-fails.yaml"),
    ("fan-out", "mocks.yaml"),
    ("scatter-gather", "mocks.yaml"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_commit_of_any_example_changes_nothing() {
    let mut crashes = 0;
    for (example, mocks) in EXAMPLES {
        let calm = World::new(example, mocks).await;
        let expected = stable(&calm.run().await);
        let commits = calm.store.commits();
        let effects = effects(&calm.mocks.all_calls());
        for commit in 0..commits {
            for fault in [Fault::CrashBefore, Fault::CrashAfter] {
                crashes += 1;
                crash(example, mocks, commit, fault, &expected, &effects).await;
            }
        }
    }
    assert!(crashes > 60, "{crashes}");
}

/// What was done, by service and call, each key once.
fn effects(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.service != "mail") {
        let key = call.idempotency_key.clone().unwrap_or_else(|| "none".into());
        keys.entry(format!(
            "{} {}",
            call.service,
            call.route.as_deref().unwrap_or(&call.path)
        ))
        .or_default()
        .insert(key);
    }
    keys.into_iter().map(|(call, keys)| (call, keys.len())).collect()
}

async fn crash(
    example: &str,
    mocks: &str,
    commit: u64,
    fault: Fault,
    expected: &Value,
    effects_expected: &BTreeMap<String, usize>,
) {
    let what = format!("{example} with {mocks}, {fault:?} at commit {commit}");
    let world = World::new(example, mocks).await;
    world.store.inject(usize::try_from(commit).unwrap(), fault);
    let (engine, before) = world.engine();
    let started = engine.start(world.request()).await;
    if let Ok(handle) = started {
        // It ended by the crash, or just before it.
        let _ = handle.outcome().await;
    }
    drop(engine);
    world.store.crash();
    world.store.heal();
    let recorded: BTreeSet<String> = world
        .journal()
        .iter()
        .filter_map(|event| match event {
            Event::StepCompleted { path, .. } | Event::StepFailed { path, .. } => Some(path.to_string()),
            _ => None,
        })
        .collect();
    let (engine, after) = world.engine();
    engine.recover().await.unwrap();
    engine.idle().await.unwrap();
    if world.store.executions(&ExecutionFilter::default()).unwrap().is_empty() {
        // The crash came before the start was durable: the caller was told so and starts it again.
        assert_eq!((commit, fault), (0, Fault::CrashBefore), "{what}");
        engine.start(world.request()).await.unwrap().outcome().await.unwrap();
    }
    engine.stop(Duration::from_secs(5)).await;
    for path in after.0.lock().unwrap().iter() {
        assert!(!recorded.contains(path), "{what}: {path} was recorded and ran again");
    }
    let rows = world.store.executions(&ExecutionFilter::default()).unwrap();
    assert_eq!(rows.len(), 1, "{what}");
    assert_ne!(rows[0].status, Status::Running, "{what}");
    let outcome = world.journal().into_iter().rev().find_map(|event| match event {
        Event::Finished { outcome } => Some(outcome),
        _ => None,
    });
    assert_eq!(&stable(&outcome.unwrap()), expected, "{what}");
    let calls = world.mocks.all_calls();
    if (commit, fault) != (0, Fault::CrashBefore) {
        assert_eq!(
            &effects(&calls),
            effects_expected,
            "{what}: every call has the one key it had without a crash"
        );
    }
    let mut attempts: HashMap<String, usize> = HashMap::new();
    for path in before.0.lock().unwrap().iter().chain(after.0.lock().unwrap().iter()) {
        *attempts.entry(path.clone()).or_default() += 1;
    }
    for (path, count) in attempts {
        assert!(count <= 6, "{what}: {path} had {count} attempts");
    }
}
