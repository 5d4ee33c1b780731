//! One call of a connector: render, run as a durable step, scrub, shape, name.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_connector::{Connections, ConnectorEntry, Declared, StepContext};
use bowline_core::trace::attempt_parent;
use bowline_core::{Attempt, BoxFuture, ErrorKind, OnUnknown, Path, Payload, StepBody, StepError};
use bowline_expression::{Binding, Masker, Template};
use serde_json::Value;

use super::outside::{CALLBACK, hide_tokens, without_tokens};
use super::report::Report;
use super::runtime::Runtime;
use super::unknown::Unknown;
use super::walk::{Flow, Scope, parse, payload};
use super::{errors, saga};
use crate::plan::{NodePlan, OnError, OutputPlan, Plan, Step, StepKind, UnknownOutcome};

/// The connections that a workflow has used in this process, rendered.
pub(crate) type RenderedConnections = Mutex<HashMap<String, Result<Declared, StepError>>>;

impl Scope {
    /// A node as a step of its own: with fallback, best effort, result names and compensation.
    pub(crate) async fn node_step(&self, step: &Step, node: &Arc<NodePlan>) -> Result<Flow, StepError> {
        let undo = self.undone_by.as_ref().or(node.compensation.as_ref());
        let mut done = self.answered(step, &step.id, node, None, undo).await;
        let mut degraded = false;
        if let (Some(error), Some(fallback)) = (done.failure(), &node.fallback) {
            degraded = true;
            let caught = [("error".to_owned(), Binding::open(errors::as_value(error)))];
            let scope = Self {
                frame: self.frame.local(caught),
                ..self.clone()
            };
            done = scope
                .answered(step, &format!("{}.fallback", step.id), fallback, None, undo)
                .await;
        }
        let Done { result, response, took } = done;
        match result {
            Ok(result) => {
                let result = Arc::new(result);
                let status = if degraded { "degraded" } else { "succeeded" };
                let report = Report {
                    output: Some(Arc::clone(&result)),
                    response,
                    took,
                    ..Report::of(status)
                };
                self.report(&step.id, report);
                self.frame.set(&step.id, Binding::open(Arc::clone(&result)));
                Ok(Flow::Next(Some(result)))
            }
            Err(error) => {
                let report = Report {
                    error: Some(errors::as_value(&error)),
                    response,
                    took,
                    ..Report::of("failed")
                };
                self.report(&step.id, report);
                if node.on_error == OnError::Fail || error.kind == ErrorKind::Cancelled {
                    return Err(error);
                }
                self.collect(&step.id, &error);
                self.frame.set(&step.id, Binding::open(Value::Null));
                Ok(Flow::Next(Some(Arc::default())))
            }
        }
    }

    /// A call and the callback that follows it, if one does. `undo` is noted as soon as the call has its answer:
    /// what was asked for has to be undone whether the callback comes or not.
    pub(crate) async fn answered(
        &self,
        step: &Step,
        name: &str,
        node: &NodePlan,
        compensates: Option<Path>,
        undo: Option<&Arc<Step>>,
    ) -> Done {
        let Done { result, took, .. } = self.call(step, name, node, compensates).await;
        let note_undoing =
            |result: &Arc<Value>| undo.map(|undo| saga::note(self, &step.id, self.context.path_of(name), undo, result));
        let (result, response) = match (result, &node.callback) {
            (Ok(result), None) => {
                let result = Arc::new(result);
                note_undoing(&result);
                (Ok(Arc::unwrap_or_clone(result)), None)
            }
            (Ok(response), Some(callback)) => {
                let response = Arc::new(response);
                let noted = note_undoing(&Arc::default());
                if let Some(noted) = &noted {
                    noted.response(&response);
                }
                let context = self.context.scope(name);
                let came = self.callback(step, &context, CALLBACK, callback, Some(&response)).await;
                let came = came.map(|result| {
                    let result = Arc::new(result);
                    if let Some(noted) = &noted {
                        noted.result(&result);
                    }
                    Arc::unwrap_or_clone(result)
                });
                (came, Some(response))
            }
            (Err(error), _) => (Err(error), None),
        };
        Done { result, response, took }
    }

    /// Undoes the action at `path`.
    pub(crate) async fn compensation(&self, step: &Step, path: &str) -> Result<(), StepError> {
        let action = path.rsplit('/').next().unwrap_or(path);
        let action = action.strip_suffix(".fallback").unwrap_or(action);
        let name = format!("{action}.compensation");
        if let Some(when) = &step.when
            && !self.condition(step, "when", when)?
        {
            return Ok(());
        }
        let StepKind::Node(node) = &step.kind else {
            return self.enter(&name).one(step).await.map(drop);
        };
        match self.answered(step, &name, node, Some(path.into()), None).await.result {
            Err(error) if node.on_error == OnError::Continue && error.kind != ErrorKind::Cancelled => {
                self.collect(&name, &error);
                Ok(())
            }
            ended => ended.map(drop),
        }
    }

    async fn call(&self, step: &Step, name: &str, node: &NodePlan, compensates: Option<Path>) -> Done {
        let compensates = compensates.or_else(|| self.compensates.clone());
        // The path of the first ask, whose idempotency key all others have.
        let path = self.context.upcoming_path(name);
        let (mut attempts, mut began) = (0, None);
        let mut key_of = None;
        loop {
            let asked = match self.prepare(step, name, node, compensates.clone(), key_of.clone()) {
                Ok(asked) => asked,
                Err(error) => return Done::failed(error),
            };
            let Prepared { step: asked, key } = asked;
            let request = asked.input.clone();
            let resolved = self.context.step(asked).detailed().await;
            attempts += resolved.attempts;
            let asked_at = *began.get_or_insert(resolved.asked_at);
            let took = Some((attempts, asked_at, resolved.ended_at));
            let error = match (resolved.result, &node.unknown_outcome) {
                (Err(error), UnknownOutcome::Verify(verify)) if error.kind.is_unknown() => {
                    let key = key.unwrap_or_else(|| self.context.idempotency_key(&path));
                    let unknown = Unknown {
                        name,
                        attempt: attempts,
                        idempotency_key: &key,
                        request: request.and_then(|input| parse(&input).ok()).unwrap_or_default(),
                        error: &error,
                    };
                    match self.find_out(step, node, verify, &unknown).await {
                        Ok(None) => {
                            key_of = Some(Arc::clone(&path));
                            continue;
                        }
                        Ok(Some(found)) => {
                            let result = self.shape(step, node, found);
                            return Done {
                                result,
                                response: None,
                                took,
                            };
                        }
                        Err(error) => error,
                    }
                }
                (Err(error), _) => error,
                (Ok(output), _) => {
                    let result = parse(&output).and_then(|output| self.shape(step, node, output));
                    return Done {
                        result,
                        response: None,
                        took,
                    };
                }
            };
            return Done {
                result: Err(error),
                response: None,
                took,
            };
        }
    }

    /// Everything that a call needs, with its templates rendered. Pure: nothing has happened yet.
    fn prepare(
        &self,
        step: &Step,
        name: &str,
        node: &NodePlan,
        compensates: Option<Path>,
        key_of: Option<Path>,
    ) -> Result<Prepared, StepError> {
        let runtime = &self.run.runtime;
        let connector = runtime.registry.connector(&node.connector).cloned().ok_or_else(|| {
            StepError::permanent(
                "connector.unknown",
                format!("this bowline has no connector `{}`", node.connector),
            )
        })?;
        let config = if let Some(callback) = &node.callback
            && reads(&node.config, CALLBACK)
        {
            let names = [(CALLBACK.to_owned(), self.node_address(name, callback)?)];
            let scope = Self {
                frame: self.frame.local(names),
                ..self.clone()
            };
            scope.eval(step, "config", &node.config)?
        } else {
            self.eval(step, "config", &node.config)?
        };
        let key = match &node.idempotency_key {
            None => None,
            Some(key) => match self.eval(step, "idempotencyKey", key)?.value {
                Value::String(text) => Some(text),
                Value::Number(number) => Some(number.to_string()),
                other => return Err(errors::wrong(&step.location, "idempotencyKey", "text", &other)),
            },
        };
        let mut masked = config.masked;
        runtime.masker.scrub(&mut masked);
        hide_tokens(&mut masked);
        let call = Call {
            runtime: Arc::clone(runtime),
            plan: self.run.plan.clone(),
            rendered: Arc::clone(&self.run.connections),
            base_dir: Arc::clone(&self.run.base_dir),
            connector,
            config: config.value,
            key: key.clone(),
        };
        let mut options = node.options.clone();
        options.on_unknown = match node.unknown_outcome {
            UnknownOutcome::Retry => OnUnknown::Retry,
            UnknownOutcome::Fail | UnknownOutcome::Verify(_) => OnUnknown::Fail,
        };
        let step = bowline_core::Step {
            name: name.to_owned(),
            kind: node.connector.as_str().into(),
            input: Some(payload(&masked)?),
            options,
            compensates,
            key_of,
            body: Arc::new(call),
        };
        Ok(Prepared { step, key })
    }

    /// What becomes of a result. Computed anew on every replay; the journal has what the connector gave.
    fn shape(&self, step: &Step, node: &NodePlan, output: Value) -> Result<Value, StepError> {
        match &node.output {
            OutputPlan::Whole => Ok(output),
            OutputPlan::Shape { shape, expression } => {
                let shaped = shape.apply(output)?;
                match expression {
                    Some(template) => self.computed(step, template, shaped),
                    None => Ok(shaped),
                }
            }
            OutputPlan::Expression(template) => self.computed(step, template, output),
            OutputPlan::Names(names) => {
                for wanted in names {
                    let found = look_up(&output, &wanted.field).or_else(|| look_up(output.get("body")?, &wanted.field));
                    let secret = matches!(wanted.name.first().map(String::as_str), Some("auth" | "credentials"));
                    let value = found.cloned().ok_or_else(|| {
                        let field = wanted.field.join(".");
                        StepError::permanent(
                            "output.missing-field",
                            format!(
                                "{}: output: the result of `{}` has no field `{field}`",
                                step.location, step.id
                            ),
                        )
                    })?;
                    if let (true, Value::String(text)) = (secret, &value) {
                        self.run.runtime.masker.add(text);
                    }
                    self.frame.set_path(&wanted.name, value, secret);
                }
                Ok(output)
            }
        }
    }
}

impl Scope {
    fn computed(&self, step: &Step, template: &Template, result: Value) -> Result<Value, StepError> {
        let result = [("result".to_owned(), Binding::open(result))];
        let scope = Self {
            frame: self.frame.local(result),
            ..self.clone()
        };
        Ok(scope.eval(step, "output", template)?.masked)
    }
}

fn look_up<'a>(value: &'a Value, field: &[String]) -> Option<&'a Value> {
    field.iter().try_fold(value, |value, name| value.get(name))
}

/// Whether an expression of a template reads a name.
fn reads(template: &Template, name: &str) -> bool {
    template
        .expressions()
        .any(|(_, _, expression)| expression.roots().whole || expression.roots().names.iter().any(|read| read == name))
}

/// A call that is ready to be made, and the idempotency key that the workflow gave it, if it did.
struct Prepared {
    step: bowline_core::Step,
    key: Option<String>,
}

/// How a call ended, and what `steps.<id>` tells of it.
pub(crate) struct Done {
    pub(crate) result: Result<Value, StepError>,
    /// The answer of a node that a callback followed.
    response: Option<Arc<Value>>,
    took: Option<(u32, i64, i64)>,
}

impl Done {
    fn failed(error: StepError) -> Self {
        Self {
            result: Err(error),
            response: None,
            took: None,
        }
    }

    /// The error, if it is one that a fallback may answer.
    fn failure(&self) -> Option<&StepError> {
        self.result
            .as_ref()
            .err()
            .filter(|error| error.kind != ErrorKind::Cancelled)
    }
}

/// The body of the durable step: one attempt calls the connector once.
struct Call {
    runtime: Arc<Runtime>,
    plan: Plan,
    rendered: Arc<RenderedConnections>,
    base_dir: Arc<PathBuf>,
    connector: ConnectorEntry,
    config: Value,
    key: Option<String>,
}

impl StepBody for Call {
    fn run(&self, attempt: Attempt) -> BoxFuture<Result<Payload, StepError>> {
        let masker = self.runtime.masker.clone();
        let connections = match self.connections() {
            Ok(connections) => connections,
            Err(error) => return Box::pin(std::future::ready(Err(scrubbed(&masker, error)))),
        };
        let idempotency_key = self.key.clone().unwrap_or_else(|| attempt.idempotency_key());
        let trace = attempt
            .trace
            .as_deref()
            .and_then(|trace| attempt_parent(trace, &attempt.execution, &attempt.path, attempt.number));
        let context = StepContext {
            execution_id: attempt.execution,
            workflow: self.plan.name.as_str().into(),
            path: attempt.path,
            attempt: attempt.number,
            idempotency_key: idempotency_key.into(),
            trace: trace.map(Into::into),
            connections,
            masker: masker.clone(),
            base_dir: Arc::clone(&self.base_dir),
            confined: self.runtime.files.is_some(),
            blobs: self.runtime.blobs.clone(),
        };
        let running = self.connector.run(context, self.config.clone());
        Box::pin(async move {
            match running.await {
                Ok(mut output) => {
                    masker.scrub(&mut output);
                    payload(&output)
                }
                Err(error) => Err(scrubbed(&masker, error)),
            }
        })
    }
}

impl Call {
    /// The connection that the step names, rendered on first use. Names that nothing declares are the
    /// registry's to refuse, which knows what there is.
    fn connections(&self) -> Result<Connections, StepError> {
        let mut declared = BTreeMap::new();
        if let Some(name) = self.config.get("connection").and_then(Value::as_str)
            && let Some(connection) = self.plan.connections.get(name)
        {
            let mut rendered = self.rendered.lock().unwrap_or_else(PoisonError::into_inner);
            let found = rendered
                .entry(name.to_owned())
                .or_insert_with(|| self.runtime.declared(&self.plan, name, connection));
            declared.insert(name.to_owned(), found.clone()?);
        }
        Ok(Connections::new(declared, self.runtime.pools.clone()))
    }
}

/// Only the environment and the credentials: a connection is the same for every execution.
impl bowline_expression::Scope for Runtime {
    fn get(&self, name: &str) -> Option<Binding> {
        match name {
            "env" => Some(self.env.clone()),
            "credentials" => Some(self.credentials.clone()),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        vec!["credentials".to_owned(), "env".to_owned()]
    }
}

/// An error without the secrets that a service may have echoed into it.
pub(crate) fn scrubbed(masker: &Masker, mut error: StepError) -> StepError {
    error.message = masker.scrub_text(&error.message).into_owned();
    if let Some(hidden) = without_tokens(&error.message) {
        error.message = hidden;
    }
    for cause in &mut error.causes {
        *cause = masker.scrub_text(cause).into_owned();
    }
    if let Some(data) = &mut error.data {
        masker.scrub(data);
    }
    error
}
