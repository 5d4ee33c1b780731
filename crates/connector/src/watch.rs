//! Being told of every attempt of every connector: what figures and traces are made of.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bowline_core::StepError;

use crate::{Registry, StepContext, StepFuture};

/// Is told of attempts when they end. Called on the task that ran the attempt, so it must be quick and must not block.
pub trait Watch: Send + Sync {
    /// An attempt has ended.
    fn attempted(&self, attempt: &Attempted<'_>);
}

/// An attempt that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// The connector.
    pub connector: &'static str,
    /// The workflow's name.
    pub workflow: &'a str,
    /// The execution's id.
    pub execution: &'a str,
    /// The step's path.
    pub path: &'a str,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// What it told the service of its trace: a `traceparent` below the execution's.
    pub trace: Option<&'a str>,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it ended.
    pub outcome: AttemptOutcome<'a>,
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug)]
pub enum AttemptOutcome<'a> {
    /// With a result.
    Succeeded,
    /// With this error, which may quote what a service said.
    Failed(&'a StepError),
    /// It was given up: its time was over, or its step was cancelled.
    GivenUp,
}

impl Registry {
    /// Has `watch` told of all attempts of the connectors that are here, and of those that are added later.
    pub fn set_watch(&mut self, watch: &Arc<dyn Watch>) {
        for entry in self.connectors.values_mut() {
            entry.watch = Some(Arc::clone(watch));
        }
        self.watch = Some(Arc::clone(watch));
    }
}

/// An attempt that is watched. It is told of when it ends, also where it is dropped before.
pub(crate) struct Watching {
    watch: Arc<dyn Watch>,
    connector: &'static str,
    workflow: Arc<str>,
    execution: Arc<str>,
    path: Arc<str>,
    attempt: u32,
    trace: Option<Arc<str>>,
    began: SystemTime,
    clock: Instant,
    is_over: bool,
}

impl Watching {
    pub(crate) fn new(watch: &Arc<dyn Watch>, connector: &'static str, context: &StepContext) -> Self {
        Self {
            watch: Arc::clone(watch),
            connector,
            workflow: Arc::clone(&context.workflow),
            execution: Arc::clone(&context.execution_id),
            path: Arc::clone(&context.path),
            attempt: context.attempt,
            trace: context.trace.clone(),
            began: SystemTime::now(),
            clock: Instant::now(),
            is_over: false,
        }
    }

    /// Watches the attempt until it has ended.
    pub(crate) fn over(mut self, running: StepFuture) -> StepFuture {
        Box::pin(async move {
            let ended = running.await;
            self.tell(match &ended {
                Ok(_) => AttemptOutcome::Succeeded,
                Err(error) => AttemptOutcome::Failed(error),
            });
            ended
        })
    }

    fn tell(&mut self, outcome: AttemptOutcome<'_>) {
        self.is_over = true;
        self.watch.attempted(&Attempted {
            connector: self.connector,
            workflow: &self.workflow,
            execution: &self.execution,
            path: &self.path,
            attempt: self.attempt,
            trace: self.trace.as_deref(),
            began: self.began,
            took: self.clock.elapsed(),
            outcome,
        });
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(AttemptOutcome::GivenUp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::sync::Mutex;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    impl Watch for Heard {
        fn attempted(&self, attempt: &Attempted<'_>) {
            let outcome = match attempt.outcome {
                AttemptOutcome::Succeeded => "succeeded",
                AttemptOutcome::Failed(error) => &error.code,
                AttemptOutcome::GivenUp => "given up",
            };
            let line = format!("{} {} {} {outcome}", attempt.connector, attempt.path, attempt.attempt);
            self.0.lock().unwrap().push(line);
        }
    }

    async fn act(_: StepContext, config: Value) -> Result<Value, StepError> {
        match config["do"].as_str() {
            Some("fail") => Err(StepError::permanent("x.y", "told to")),
            Some("hang") => std::future::pending().await,
            _ => Ok(config),
        }
    }

    #[tokio::test]
    async fn every_end_is_told_once() {
        let heard = Arc::new(Heard::default());
        let mut registry = Registry::default();
        registry.add("early", act);
        registry.set_watch(&(Arc::clone(&heard) as Arc<dyn Watch>));
        registry.add("late", act);
        let run = |name: &str, what: &str| {
            let entry = registry.connector(name).unwrap();
            entry.run(StepContext::for_tests(), json!({ "do": what }))
        };
        run("early", "").await.unwrap();
        run("late", "fail").await.unwrap_err();
        let mut hanging = run("late", "hang");
        assert!(futures_util::poll!(&mut hanging).is_pending());
        drop(hanging);
        // Even one that nobody has polled was an attempt.
        drop(run("early", ""));
        let expected = [
            "early step 1 succeeded",
            "late step 1 x.y",
            "late step 1 given up",
            "early step 1 given up",
        ];
        assert_eq!(*heard.0.lock().unwrap(), expected);
    }
}
