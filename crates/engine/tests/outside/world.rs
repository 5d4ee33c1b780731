//! Small programs that wait, and an engine on a store in memory to run them.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_core::{
    Attempt, CallbackOptions, Context, OnUnknown, Outcome, Payload, Program, RetryPolicy, Step, StepError, StepOptions,
};
use bowline_engine::{Clock, Engine, Migration, Options, Programs, StartRequest};
use bowline_store::{Definition, MemoryStore, Status, Store};

type Run = Pin<Box<dyn Future<Output = Result<Payload, StepError>> + Send>>;

/// What steps did: the idempotency keys of each path's calls.
#[derive(Clone, Default)]
pub(crate) struct World {
    pub(crate) calls: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
    /// The traces of the attempts, in the order in which they came.
    pub(crate) traces: Arc<Mutex<Vec<Option<String>>>>,
    pub(crate) gate: Arc<tokio::sync::Notify>,
}

pub(crate) fn definition(name: &str) -> Definition {
    Definition {
        hash: format!("hash of {name}"),
        workflow: name.split('@').next().unwrap().into(),
        content: name.as_bytes().to_vec().into(),
    }
}

pub(crate) fn json<T: serde::Serialize + ?Sized>(value: &T) -> Payload {
    Payload::of(value).unwrap()
}

impl World {
    pub(crate) fn step(&self, name: &str, output: &str) -> Step {
        let (calls, traces, output) = (Arc::clone(&self.calls), Arc::clone(&self.traces), json(output));
        Step {
            name: name.into(),
            kind: "test".into(),
            input: None,
            options: StepOptions {
                retry: RetryPolicy {
                    max_attempts: 1,
                    ..RetryPolicy::default()
                },
                ..StepOptions::default()
            },
            compensates: None,
            key_of: None,
            body: Arc::new(move |attempt: Attempt| {
                traces.lock().unwrap().push(attempt.trace.as_deref().map(str::to_owned));
                let mut calls = calls.lock().unwrap();
                calls
                    .entry(attempt.path.to_string())
                    .or_default()
                    .push(attempt.idempotency_key());
                let output = output.clone();
                async move { Ok(output) }
            }),
        }
    }

    /// A step that waits at the gate, or for ever.
    pub(crate) fn gated(&self, name: &str) -> Step {
        let gate = Arc::clone(&self.gate);
        let mut step = self.step(name, "");
        let before = Arc::clone(&step.body);
        step.body = Arc::new(move |attempt: Attempt| {
            let (gate, begun) = (Arc::clone(&gate), before.run(attempt));
            async move {
                begun.await?;
                gate.notified().await;
                Ok(json("through"))
            }
        });
        step
    }

    pub(crate) fn called(&self, path: &str) -> usize {
        self.calls.lock().unwrap().get(path).map_or(0, Vec::len)
    }

    fn program(&self, name: &str, ctx: Context, input: Payload) -> Run {
        let world = self.clone();
        match name {
            "valuation" => Box::pin(async move {
                let token = ctx.callback_token("answer");
                ctx.step(world.step("ask", &token)).await?;
                let key: Option<String> = input.parse().unwrap();
                let options = CallbackOptions {
                    key,
                    ..CallbackOptions::default()
                };
                let answer = ctx.callback("answer", options).await?;
                ctx.step(world.step("book", answer.text())).await
            }),
            // The reference is known late: until then callbacks are early.
            "slow" => Box::pin(async move {
                let token = ctx.callback_token("answer");
                ctx.step(world.step("ask", &token)).await?;
                ctx.step(world.gated("work")).await?;
                let options = CallbackOptions {
                    key: Some("R-1".into()),
                    ..CallbackOptions::default()
                };
                ctx.callback("answer", options).await
            }),
            "deadline" => Box::pin(async move {
                let options = CallbackOptions {
                    timeout: Some(Duration::from_millis(80)),
                    heartbeat: Some(Duration::from_millis(60)),
                    ..CallbackOptions::default()
                };
                ctx.callback("answer", options).await
            }),
            "signals" => Box::pin(async move {
                let first = ctx.signal("first", "go", None, None).await?;
                ctx.sleep("pause", Duration::from_millis(20)).await?;
                let second = ctx.signal("second", "go", None, None).await?;
                Ok(json(&[first.text(), second.text()]))
            }),
            "listen" => Box::pin(async move {
                let key: String = input.parse().unwrap();
                ctx.event("paid", "paid", Some(key), None, None).await
            }),
            // The next version does not wait.
            "valuation@2" => Box::pin(async move { ctx.step(world.step("ask", "")).await }),
            "consume" => Box::pin(async move {
                let count: usize = input.parse().unwrap();
                let mut seen = Vec::new();
                for number in 0..count {
                    let event = ctx.event(&format!("take[{number}]"), "paid", None, None, None).await?;
                    let event: serde_json::Value = event.parse().unwrap();
                    seen.push(event["id"].as_i64().unwrap());
                }
                Ok(json(&seen))
            }),
            "tell" => Box::pin(async move {
                let key: String = input.parse().unwrap();
                ctx.emit("tell", "paid", Some(key), json("100")).await
            }),
            "parent" => Box::pin(async move { ctx.child("child", "valuation", json("K-child"), false).await }),
            // So many generations of four, of which the last hangs.
            "family" => Box::pin(async move {
                let generations: u64 = input.parse().unwrap();
                if generations == 0 {
                    return ctx.step(world.gated("work")).await;
                }
                let children = (0..4).map(|number| {
                    let (ctx, input) = (ctx.clone(), json(&(generations - 1)));
                    async move { ctx.child(&format!("child[{number}]"), "family", input, false).await }
                });
                let branches =
                    children.map(|child| -> bowline_core::Branch<'_, Result<Payload, StepError>> { Box::pin(child) });
                for child in bowline_core::join_all(branches).await {
                    child?;
                }
                Ok(Payload::null())
            }),
            "timer" => Box::pin(async move {
                let ms: u64 = input.parse().unwrap();
                ctx.sleep("pause", Duration::from_millis(ms)).await?;
                ctx.step(world.step("after", "done")).await
            }),
            "careful" => Box::pin(async move {
                let mut step = world.gated("charge");
                step.options.on_unknown = OnUnknown::Fail;
                ctx.step(step).await
            }),
            "long" => Box::pin(async move {
                let rounds: u64 = input.parse().unwrap();
                let mut last = Payload::null();
                let mut from = 0;
                while from < rounds {
                    let to = (from + 500).min(rounds);
                    let inside = ctx.clone();
                    let world = world.clone();
                    last = ctx
                        .folded("round", Some((from, to)), async move {
                            let mut last = Payload::null();
                            for round in from..to {
                                last = inside
                                    .scope(&format!("round[{round}]"))
                                    .step(world.step("do", "x"))
                                    .await?;
                            }
                            Ok(last)
                        })
                        .await?;
                    from = to;
                }
                ctx.callback("answer", CallbackOptions::default()).await?;
                Ok(last)
            }),
            // Its first call is lost, and verified not to have happened; later it fails once.
            "verified" => Box::pin(async move {
                let mut charge = world.step("charge", "lost");
                let call = Arc::clone(&charge.body);
                charge.options.on_unknown = OnUnknown::Fail;
                charge.body = Arc::new(move |attempt: Attempt| {
                    let called = call.run(attempt);
                    async move {
                        called.await?;
                        Err(StepError::outcome_unknown())
                    }
                });
                let mut charged = ctx.step(charge).await;
                if charged.is_err() {
                    let mut again = world.step("charge", "charged");
                    again.key_of = Some("charge".into());
                    charged = ctx.step(again).await;
                }
                let charged = charged?;
                if world.called("after") == 0 {
                    ctx.step(world.step("after", "")).await?;
                    return Err(StepError::permanent("no", "not yet"));
                }
                Ok(charged)
            }),
            "three" => Box::pin(async move {
                let one = ctx.step(world.step("one", input.text())).await?;
                ctx.step(world.step("two", one.text())).await?;
                let mut last = world.step("three", "3");
                if input.text() == "\"bad\"" {
                    last.body = Arc::new(|_: Attempt| async { Err(StepError::permanent("no", "no")) });
                }
                ctx.step(last).await
            }),
            other => panic!("no program {other}"),
        }
    }
}

impl Programs for World {
    fn load(&self, _: &str, definition: &Definition) -> Result<Arc<dyn Program>, StepError> {
        let world = self.clone();
        let name = String::from_utf8_lossy(&definition.content).into_owned();
        Ok(Arc::new(move |ctx: Context, input: Payload| {
            world.program(&name, ctx, input)
        }))
    }

    fn child(&self, _: &str, _: &Definition, workflow: &str) -> Result<Definition, StepError> {
        Ok(definition(workflow))
    }

    fn migrate(&self, _: &str, _: &Definition, _: &Definition) -> Result<Migration, StepError> {
        Ok(Migration {
            keep: Arc::new(|_| true),
            missing: Arc::new(|_| false),
        })
    }
}

pub(crate) fn open(store: &MemoryStore, world: &World) -> Engine {
    open_with(store, world, Options::default())
}

/// Leaves memory at once, so that every wait goes through the store.
pub(crate) fn open_with(store: &MemoryStore, world: &World, options: Options) -> Engine {
    let options = Options {
        clock: Clock::System,
        commit_patience: Duration::ZERO,
        request_interval: Duration::from_millis(5),
        park_beyond: Some(Duration::from_millis(5)),
        ..options
    };
    Engine::open(
        Arc::new(store.clone()),
        Arc::new(world.clone()),
        tokio::runtime::Handle::current(),
        options,
    )
    .unwrap()
}

pub(crate) fn request(name: &str, input: &impl serde::Serialize) -> StartRequest {
    StartRequest::new(definition(name), json(input))
}

/// Waits until the store says so.
pub(crate) async fn until(store: &MemoryStore, id: &str, status: Status) {
    let reached = async {
        while store.execution(id).unwrap().unwrap().status != status {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(10), reached).await;
    assert!(
        ended.is_ok(),
        "{id} is {:?}",
        store.execution(id).unwrap().unwrap().status
    );
}

/// Waits until a step has been called.
pub(crate) async fn begun(world: &World, path: &str) {
    let begun = async {
        while world.called(path) == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(10), begun).await.is_ok(),
        "{path} was not called"
    );
}

pub(crate) fn succeeded(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeded(output) => output.text().to_owned(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn code(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed(error) => error.code.clone(),
        other => panic!("{other:?}"),
    }
}
