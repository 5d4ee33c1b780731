//! Workflows on a store in memory, in virtual time, with connectors that do as they are told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bowline_connector::{ErrorKind, Registry, StepContext, StepError};
use bowline_core::{Answer, Outcome, Payload, Program};
use bowline_engine::{Clock, Engine, Options, Programs, StartRequest};
use bowline_expression::Masker;
use bowline_flow::{FlowProgram, LoadOptions, Plan, Runtime, Settings, Source, load};
use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION, Definition, MemoryStore};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

/// What a `do` step is told: what to answer, and how often to fail first.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Do {
    /// The result.
    #[serde(default)]
    answer: Value,
    /// The code of the error to fail with.
    #[serde(default)]
    fail: Option<String>,
    /// So many attempts fail, then it succeeds. All of them, if absent.
    #[serde(default)]
    times: Option<u32>,
    /// Never ends.
    #[serde(default)]
    hang: bool,
    /// Tells its idempotency key and its path.
    #[serde(default)]
    key: bool,
    /// The error's kind, where it is not permanent.
    #[serde(default)]
    kind: Option<String>,
    /// Answers a callback, and gives what became of it.
    #[serde(default)]
    deliver: Option<Deliver>,
    /// Sends this execution a signal: its name and data.
    #[serde(default)]
    signal: Option<(String, Value)>,
}

/// An answer to a callback.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Deliver {
    /// To whoever made it; may be an address that ends in it.
    #[serde(default)]
    token: Option<String>,
    /// Or the channel and the reference.
    #[serde(default)]
    key: Option<(String, String)>,
    /// What it brings.
    #[serde(default)]
    answer: Value,
    /// Or the code of the error that it reports.
    #[serde(default)]
    fail: Option<String>,
    /// Or it is a heartbeat.
    #[serde(default)]
    heartbeat: bool,
}

impl Deliver {
    async fn run(self, engine: &Engine) -> Value {
        let address = match (self.token, self.key) {
            (Some(token), _) => CallbackAddress::Token(token.rsplit('/').next().unwrap().to_owned()),
            (None, Some((name, key))) => CallbackAddress::Key {
                organization: DEFAULT_ORGANIZATION.into(),
                name,
                key,
            },
            (None, None) => panic!("to whom?"),
        };
        let answer = match self.fail {
            Some(code) => Answer::Failed(StepError::permanent(code, "the other side failed")),
            None if self.heartbeat => Answer::Heartbeat,
            None => Answer::Succeeded {
                output: Payload::of(&self.answer).unwrap(),
                event: None,
            },
        };
        serde_json::to_value(engine.deliver(&address, answer).await.unwrap()).unwrap()
    }
}

/// The engines that run executions, by the execution's id.
static ENGINES: Mutex<BTreeMap<String, Weak<Engine>>> = Mutex::new(BTreeMap::new());

static STARTED: AtomicUsize = AtomicUsize::new(0);
static CALLS: Mutex<BTreeMap<String, Vec<String>>> = Mutex::new(BTreeMap::new());

async fn run(ctx: StepContext, config: Do) -> Result<Value, StepError> {
    CALLS
        .lock()
        .unwrap()
        .entry(ctx.execution_id.to_string())
        .or_default()
        .push(ctx.path.to_string());
    if config.hang {
        std::future::pending::<()>().await;
    }
    if config.key {
        return Ok(json!({ "key": &*ctx.idempotency_key, "path": &*ctx.path }));
    }
    let engine = ENGINES.lock().unwrap().get(&*ctx.execution_id).and_then(Weak::upgrade);
    if let Some(deliver) = config.deliver {
        return Ok(deliver.run(&engine.unwrap()).await);
    }
    if let Some((name, data)) = config.signal {
        let data = Payload::of(&data).unwrap();
        let was_new = engine
            .unwrap()
            .signal(&ctx.execution_id, &name, data, None)
            .await
            .unwrap();
        return Ok(json!(was_new));
    }
    match config.fail {
        Some(code) if config.times.is_none_or(|times| ctx.attempt <= times) => {
            let kind = match config.kind.as_deref() {
                Some("unknown") => ErrorKind::OutcomeUnknown,
                _ if config.times.is_some() => ErrorKind::Transient,
                _ => ErrorKind::Permanent,
            };
            Err(StepError::new(code, kind, "told to fail"))
        }
        _ => Ok(config.answer),
    }
}

pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add("do", run);
    registry
}

struct Flows {
    registry: Arc<Registry>,
    runtime: Arc<Runtime>,
    files: BTreeMap<String, String>,
}

fn definition(name: &str, text: &str) -> Definition {
    Definition {
        hash: format!("{name}-{}", text.len()),
        workflow: name.into(),
        content: text.as_bytes().to_vec().into(),
    }
}

impl Flows {
    fn plan(&self, text: &str) -> Plan {
        load(Source::new("test.yaml", text), &self.registry, &LoadOptions::default())
            .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
    }
}

impl Programs for Flows {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let text = String::from_utf8(definition.content.to_vec()).unwrap();
        Ok(Arc::new(FlowProgram::new(
            self.plan(&text),
            Arc::clone(&self.runtime),
            PathBuf::from("."),
        )))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        let text = self
            .files
            .get(workflow)
            .ok_or_else(|| StepError::permanent("workflow.unknown", workflow))?;
        Ok(definition(workflow, text))
    }
}

/// Waits for something in the middle of a test that is not async at that place.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

/// Waits until an execution has begun an attempt of this step.
pub(crate) fn wait_for_call(id: &str, path: &str) {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !CALLS
        .lock()
        .unwrap()
        .get(id)
        .is_some_and(|calls| calls.iter().any(|call| call == path))
    {
        assert!(std::time::Instant::now() < deadline, "{path} does not begin");
        std::thread::yield_now();
    }
}

/// How a run ended, and the paths of its attempts in order.
pub(crate) struct Ran {
    pub(crate) outcome: Outcome,
    pub(crate) calls: Vec<String>,
    /// Virtual time that it took.
    pub(crate) took: Duration,
    pub(crate) masker: Masker,
    pub(crate) store: MemoryStore,
    _engine: Arc<Engine>,
}

impl Ran {
    pub(crate) fn output(&self) -> Value {
        match &self.outcome {
            Outcome::Succeeded(output) => output.parse().unwrap(),
            other => panic!("expected success, got {other:?}"),
        }
    }

    pub(crate) fn error(&self) -> StepError {
        match &self.outcome {
            Outcome::Failed(error) | Outcome::Cancelled(error) => error.clone(),
            Outcome::Succeeded(output) => panic!("expected a failure, got {output:?}"),
        }
    }
}

pub(crate) struct World {
    flows: Arc<Flows>,
    masker: Masker,
}

impl World {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let registry = Arc::new(registry());
        let masker = Masker::default();
        let env = [("NAME", "bowline-env-value"), ("TOKEN", "s3cr3t-token")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let settings = Settings {
            env,
            credentials: json!({"shop": {"key": "shop-key-123"}}),
            ..Settings::default()
        };
        let runtime = Arc::new(Runtime::new(Arc::clone(&registry), masker.clone(), settings));
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Self {
            flows: Arc::new(Flows {
                registry,
                runtime,
                files,
            }),
            masker,
        }
    }

    pub(crate) async fn run(&self, text: &str, input: Value) -> Ran {
        self.run_and(text, input, |_, _| {}).await
    }

    /// Runs, and does something once the start is durable.
    pub(crate) async fn run_and(&self, text: &str, input: Value, then: impl FnOnce(&Engine, &str)) -> Ran {
        let store = MemoryStore::new();
        let clock = Clock::virtual_now();
        let options = Options {
            clock: clock.clone(),
            ..Options::default()
        };
        let engine = Engine::open(
            Arc::new(store.clone()),
            Arc::clone(&self.flows) as Arc<dyn Programs>,
            tokio::runtime::Handle::current(),
            options,
        );
        let engine = Arc::new(engine.unwrap());
        let began = clock.now();
        let id = format!("test-{}", STARTED.fetch_add(1, Ordering::Relaxed));
        ENGINES.lock().unwrap().insert(id.clone(), Arc::downgrade(&engine));
        let request = StartRequest {
            id: Some(id),
            ..StartRequest::new(definition("test", text), Payload::of(&input).unwrap())
        };
        let handle = engine.start(request).await.unwrap();
        let id = handle.id().to_owned();
        then(&engine, &id);
        let outcome = tokio::time::timeout(Duration::from_secs(20), handle.outcome())
            .await
            .expect("it ends")
            .unwrap();
        let took = Duration::from_millis((clock.now() - began) as u64);
        let calls = CALLS.lock().unwrap().remove(&id).unwrap_or_default();
        Ran {
            outcome,
            calls,
            took,
            masker: self.masker.clone(),
            store,
            _engine: engine,
        }
    }
}

/// Runs a workflow by itself.
pub(crate) async fn ran(text: &str, input: Value) -> Ran {
    World::new(&[]).run(text, input).await
}
