//! Lists of steps, one after the other, and the simple blocks.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use bowline_connector::Millis;
use bowline_core::{Context, ErrorKind, Path, Payload, StepError};
use bowline_expression::{Binding, Moment, Rendered, Template};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::errors;
use super::facts::Facts;
use super::fold::Recorder;
use super::frame::Frame;
use super::report::Report;
use super::runtime::Runtime;
use super::saga::Undo;
use crate::plan::{ChildMode, Plan, Step, StepKind, Try, Wait};

/// One run of one plan.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) facts: Arc<Facts>,
    pub(crate) context: Context,
    pub(crate) base_dir: Arc<std::path::PathBuf>,
    /// `workflow.errors` and `steps`.
    pub(crate) recorder: Arc<Recorder>,
    /// The error that compensations read as `error`.
    pub(crate) cause: Arc<Mutex<Value>>,
    /// Connections as this process has rendered them, shared by all runs of the plan.
    pub(crate) connections: Arc<super::node::RenderedConnections>,
}

/// What comes after a step.
pub(crate) enum Flow {
    /// The next one. None where the step was skipped.
    Next(Option<Arc<Value>>),
    /// The workflow ends, with this result or with its `output`.
    Return(Option<Value>),
}

/// A place in a run: where steps get their paths, names and undoing from. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) run: Arc<Run>,
    pub(crate) context: Context,
    pub(crate) frame: Arc<Frame>,
    pub(crate) undo: Undo,
    /// The path that everything here undoes: a resumed execution then does it again.
    pub(crate) compensates: Option<Path>,
    /// What undoes the node that is run next, instead of its own compensation.
    pub(crate) undone_by: Option<Arc<Step>>,
    /// Whether loops may forget what is done. Not where it may have to be undone as a whole: then each step is to be
    /// known, so that a resumed execution does it again under a new idempotency key.
    pub(crate) may_fold: bool,
    /// Where errors and reports go: the run's, or that of a stretch of a loop.
    pub(crate) recorder: Arc<Recorder>,
}

impl Run {
    pub(crate) fn new(program: &super::FlowProgram, context: Context) -> Arc<Self> {
        Arc::new(Self {
            plan: program.plan.clone(),
            runtime: Arc::clone(&program.runtime),
            context,
            base_dir: Arc::clone(&program.base_dir),
            facts: Arc::clone(&program.facts),
            recorder: Arc::default(),
            cause: Arc::default(),
            connections: Arc::clone(&program.connections),
        })
    }

    pub(crate) fn scope(self: &Arc<Self>, frame: &Arc<Frame>, undo: &Undo) -> Scope {
        let (run, context) = (Arc::clone(self), self.context.clone());
        Scope {
            run,
            context,
            frame: Arc::clone(frame),
            undo: Arc::clone(undo),
            compensates: None,
            undone_by: None,
            may_fold: true,
            recorder: Arc::clone(&self.recorder),
        }
    }

    fn workflow(&self, errors: &[Value]) -> Value {
        json!({
            "executionId": &**self.context.execution_id(),
            "name": &**self.context.workflow(),
            "timestamp": rfc3339(self.context.now()),
            "startedAt": rfc3339(self.context.started_at()),
            "errors": errors,
            "attempt": 1,
        })
    }
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

/// What one expression of one step reads.
pub(crate) struct Names<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) place: &'a str,
}

impl bowline_expression::Scope for Names<'_> {
    fn get(&self, name: &str) -> Option<Binding> {
        if let Some(found) = self.scope.frame.get(name) {
            return Some(found);
        }
        let run = &self.scope.run;
        match name {
            "env" => Some(run.runtime.env.clone()),
            "credentials" => Some(run.runtime.credentials.clone()),
            "workflow" => Some(Binding::open(run.workflow(&self.scope.recorder.errors()))),
            "random" => Some(Binding::open(json!({ "uuid": self.scope.context.uuid(self.place) }))),
            "steps" => {
                let steps = self.scope.recorder.steps();
                let steps: Map<String, Value> = steps
                    .iter()
                    .map(|(id, report)| (id.clone(), report.to_value()))
                    .collect();
                Some(Binding::open(Value::Object(steps)))
            }
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        let mut names: BTreeSet<String> = ["env", "credentials", "workflow", "random", "steps"]
            .map(str::to_owned)
            .into();
        self.scope.frame.collect_names(&mut names);
        names.into_iter().collect()
    }
}

impl Scope {
    /// Takes note of an error that does not stop the workflow.
    pub(crate) fn collect(&self, step: &str, error: &StepError) {
        let mut entry = errors::as_value(error);
        entry["step"] = json!(step);
        self.recorder.collect(entry);
    }

    /// Takes note of how a step went.
    pub(crate) fn report(&self, step: &str, report: Report) {
        self.recorder.report(step, report);
    }

    /// The same place, one level of path further in.
    pub(crate) fn enter(&self, name: &str) -> Self {
        Self {
            context: self.context.scope(name),
            ..self.clone()
        }
    }

    /// Renders a template; `place` tells random values of one scope apart.
    pub(crate) fn render(&self, place: &str, template: &Template) -> Result<Rendered, StepError> {
        self.render_at(place, template)
            .map_err(|error| StepError::permanent(error.code, format!("{}: {place}: {error}", self.run.plan.name)))
    }

    fn render_at(&self, place: &str, template: &Template) -> Result<Rendered, bowline_expression::ExpressionError> {
        if let Some(constant) = template.constant() {
            return Ok(Rendered {
                value: constant.clone(),
                masked: constant.clone(),
                secrets: Vec::new(),
            });
        }
        let limits = self.run.runtime.limits.clone();
        let moment = Moment {
            now_ms: self.context.now(),
            seed: self.context.random(place),
            limits,
        };
        let rendered = template.render(&Names { scope: self, place }, &moment)?;
        for secret in &rendered.secrets {
            self.run.runtime.masker.add(secret);
        }
        Ok(rendered)
    }

    /// Renders a template of a step; an error names the step's place in its file.
    pub(crate) fn eval(&self, step: &Step, what: &str, template: &Template) -> Result<Rendered, StepError> {
        self.render_at(&step.id, template)
            .map_err(|error| errors::expression(&error, &step.location, what))
    }

    pub(crate) fn condition(&self, step: &Step, what: &str, template: &Template) -> Result<bool, StepError> {
        match self.eval(step, what, template)?.value {
            Value::Bool(value) => Ok(value),
            other => Err(errors::wrong(&step.location, what, "true or false", &other)),
        }
    }

    pub(crate) fn text(&self, step: &Step, what: &str, template: &Template) -> Result<String, StepError> {
        match self.eval(step, what, template)?.masked {
            Value::String(text) => Ok(text),
            other => Err(errors::wrong(&step.location, what, "text", &other)),
        }
    }

    /// Runs steps in order. The result is that of the last one that was not skipped.
    pub(crate) fn steps<'a>(&'a self, steps: &'a [Step]) -> Walk<'a, Result<Flow, StepError>> {
        Box::pin(async move {
            self.tell_addresses(steps);
            let mut last = None;
            for step in steps {
                match self.one(step).await? {
                    Flow::Next(None) => {}
                    Flow::Next(result) => last = result,
                    done @ Flow::Return(_) => return Ok(done),
                }
            }
            Ok(Flow::Next(last))
        })
    }

    /// Runs one step and gives its result its name.
    pub(crate) fn one<'a>(&'a self, step: &'a Step) -> Walk<'a, Result<Flow, StepError>> {
        Box::pin(async move {
            if let Some(when) = &step.when
                && !self.condition(step, "when", when)?
            {
                self.report(&step.id, Report::of("skipped"));
                self.frame.set(&step.id, Binding::open(Value::Null));
                return Ok(Flow::Next(None));
            }
            let flow = match &step.kind {
                // A node names and reports its own result.
                StepKind::Node(node) => return self.node_step(step, node).await,
                _ => self.block(step).await,
            };
            match &flow {
                Ok(Flow::Next(result)) => {
                    let result = result.clone().unwrap_or_default();
                    self.report(
                        &step.id,
                        Report {
                            output: Some(Arc::clone(&result)),
                            ..Report::of("succeeded")
                        },
                    );
                    if !matches!(step.kind, StepKind::Set(_)) {
                        self.frame.set(&step.id, Binding::open(result));
                    }
                }
                Ok(Flow::Return(_)) => {}
                Err(error) => {
                    self.report(
                        &step.id,
                        Report {
                            error: Some(errors::as_value(error)),
                            ..Report::of("failed")
                        },
                    );
                }
            }
            flow
        })
    }

    async fn block(&self, step: &Step) -> Result<Flow, StepError> {
        match &step.kind {
            StepKind::Node(node) => self.node_step(step, node).await,
            StepKind::Parallel { branches, join } => self.parallel(step, branches, *join).await,
            StepKind::ScatterGather(block) => self.scatter(step, block).await,
            StepKind::Saga(saga) => self.saga(step, saga).await,
            StepKind::ForEach(block) => self.for_each(step, block).await,
            StepKind::Repeat(block) => self.repeat(step, block).await,
            StepKind::Try(block) => self.attempt(step, block).await,
            StepKind::Switch { cases, default } => {
                let inner = self.enter(&step.id);
                for case in cases {
                    if self.condition(step, "when", &case.when)? {
                        return inner.steps(&case.steps).await;
                    }
                }
                inner.steps(default).await
            }
            StepKind::Wait(wait) => self.wait(step, wait).await,
            StepKind::Callback(callback) => self.callback_step(step, callback).await,
            StepKind::WaitFor(wait) => self.wait_for(step, wait).await,
            StepKind::Emit(emit) => self.emit(step, emit).await,
            StepKind::Respond(respond) => self.respond(step, respond).await,
            StepKind::Approve(approve) => self.approve(step, approve).await,
            StepKind::Workflow { name, input, mode } => self.child(step, name, input.as_ref(), *mode).await,
            StepKind::Set(variables) => {
                for (name, template) in variables {
                    let rendered = self.eval(step, name, template)?;
                    let secret = !rendered.secrets.is_empty();
                    let binding = if secret {
                        Binding::secret(rendered.value)
                    } else {
                        Binding::open(rendered.value)
                    };
                    self.frame.set(name, binding);
                }
                Ok(Flow::Next(None))
            }
            StepKind::Return(None) => Ok(Flow::Return(None)),
            StepKind::Return(Some(result)) => Ok(Flow::Return(Some(self.eval(step, "return", result)?.masked))),
            StepKind::Fail { error, message } => {
                let code = self.text(step, "error", error)?;
                let message = match message {
                    Some(message) => self.text(step, "message", message)?,
                    None => format!("the workflow failed at `{}`", step.id),
                };
                Err(StepError::permanent(code, message))
            }
        }
    }

    async fn wait(&self, step: &Step, wait: &Wait) -> Result<Flow, StepError> {
        match wait {
            Wait::For(template) => {
                let value = self.eval(step, "wait", template)?.value;
                let duration = Millis::deserialize(&value).map_err(|error| {
                    StepError::permanent("expression.type", format!("{}: wait: {error}", step.location))
                })?;
                self.context.sleep(&step.id, duration.duration()).await?;
            }
            Wait::Until(template) => {
                let at = self.moment(step, "wait.until", template)?;
                self.context.sleep_until(&step.id, at).await?;
            }
        }
        Ok(Flow::Next(None))
    }

    /// A moment, in milliseconds since the Unix epoch.
    pub(crate) fn moment(&self, step: &Step, what: &str, template: &Template) -> Result<i64, StepError> {
        let value = self.eval(step, what, template)?.value;
        let at = match &value {
            Value::String(text) => text
                .parse::<jiff::Timestamp>()
                .ok()
                .map(jiff::Timestamp::as_millisecond),
            Value::Number(ms) => ms.as_i64(),
            _ => None,
        };
        at.ok_or_else(|| {
            let expected = "an RFC 3339 time or milliseconds since 1970";
            errors::wrong(&step.location, what, expected, &value)
        })
    }

    async fn child(
        &self,
        step: &Step,
        name: &str,
        input: Option<&Template>,
        mode: ChildMode,
    ) -> Result<Flow, StepError> {
        // Journaled as the child's input, so a secret cannot pass: the child reads its own `env`.
        let input = match input {
            Some(input) => self.eval(step, "input", input)?.masked,
            None => json!({}),
        };
        let mut input = input;
        self.run.runtime.masker.scrub(&mut input);
        let input = payload(&input)?;
        let detached = mode == ChildMode::Detach;
        let result: Value = parse(&self.context.child(&step.id, name, input, detached).await?)?;
        let result = if detached {
            json!({ "executionId": result })
        } else {
            result
        };
        Ok(Flow::Next(Some(Arc::new(result))))
    }

    /// `try`: a cancellation is not an error that can be caught.
    async fn attempt(&self, step: &Step, block: &Try) -> Result<Flow, StepError> {
        let inner = self.enter(&step.id);
        let mut ended = inner.steps(&block.body).await;
        if let Err(error) = &ended
            && error.kind != ErrorKind::Cancelled
            && let Some(catch) = block
                .catches
                .iter()
                .find(|catch| catch.errors.iter().any(|pattern| error.matches(pattern)))
        {
            let caught = [(catch.as_name.clone(), Binding::open(errors::as_value(error)))];
            let inner = Self {
                frame: self.frame.local(caught),
                ..inner.enter("catch")
            };
            ended = inner.steps(&catch.steps).await;
        }
        if !block.finally.is_empty() {
            // Cleaning up happens in any case, also when the execution is being cancelled.
            let inner = Self {
                context: inner.context.scope("finally").shielded(),
                ..inner
            };
            match inner.steps(&block.finally).await? {
                Flow::Next(_) => {}
                done @ Flow::Return(_) => return Ok(done),
            }
        }
        ended
    }
}

/// A future that borrows the part of the plan that it walks.
pub(crate) type Walk<'a, T> = bowline_core::Branch<'a, T>;

pub(crate) fn payload(value: &Value) -> Result<Payload, StepError> {
    Payload::of(value).map_err(|error| StepError::permanent("output.invalid", "a value is not JSON").caused_by(&error))
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(payload: &Payload) -> Result<T, StepError> {
    payload
        .parse()
        .map_err(|error| StepError::permanent("journal.invalid", "a recorded value is not JSON").caused_by(&error))
}
