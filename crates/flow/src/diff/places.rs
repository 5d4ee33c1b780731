//! Every place of a plan: the paths under which steps are journaled, and what stands there.
//!
//! The paths are those of the interpreter without what differs from run to run: `items[2]/put#2` is a run of
//! the place `items/put`.

use std::collections::{BTreeMap, BTreeSet};

use bowline_expression::Template;
use serde_json::{Map, Value, json};

use crate::plan::{
    Awaited, CallbackPlan, ForEach, Gather, NodePlan, Plan, RepeatCondition, Step, StepKind, UnknownOutcome, Wait,
    Within,
};

/// What stands at one place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// What the journal calls it: the connector, the child's workflow, `timer`, and so on; the block's word where
    /// nothing is journaled.
    pub(super) kind: String,
    /// What decides whether a result may be kept, by field.
    pub(super) what: Map<String, Value>,
    /// Everything else that is set: conditions, timeouts, retries, what becomes of the result.
    pub(super) around: Value,
    /// The names that it reads.
    pub(super) reads: BTreeSet<String>,
    /// The names that it makes: its id, variables.
    pub(super) makes: BTreeSet<String>,
}

impl Place {
    /// Whether the other asks for the same.
    pub(super) fn is_as(&self, other: &Self) -> bool {
        self.kind == other.kind && self.what == other.what
    }
}

/// The place that a path of a journal belongs to.
#[must_use]
pub fn place_of(path: &str) -> String {
    let parts = path.split('/').map(|part| {
        let end = part.find(['#', '[']).unwrap_or(part.len());
        &part[..end]
    });
    parts.collect::<Vec<_>>().join("/")
}

/// All places of a plan. Steps of one path (cases of a `switch` may share ids) count as one place.
pub(super) fn places(plan: &Plan) -> BTreeMap<String, Place> {
    let mut places = Places::default();
    places.steps("", &plan.steps, None);
    places.found
}

#[derive(Default)]
struct Places {
    found: BTreeMap<String, Place>,
}

impl Places {
    /// `list` is the list that the steps are run for, in a `forEach`: another list means other results.
    fn steps(&mut self, prefix: &str, steps: &[Step], list: Option<&Value>) {
        for step in steps {
            self.step(&below(prefix, &step.id), step, list);
        }
    }

    fn add(&mut self, path: &str, step: &Step, kind: &str, what: &Value, around: Value, list: Option<&Value>) {
        let mut what = what.as_object().cloned().unwrap_or_default();
        if let Some(list) = list {
            what.insert("forEach".to_owned(), list.clone());
        }
        let mut reads = BTreeSet::new();
        step.each_template(&mut |template| {
            for (_, _, expression) in template.expressions() {
                reads.extend(expression.roots().names.iter().cloned());
            }
        });
        let mut makes = BTreeSet::from([step.id.clone()]);
        if let StepKind::Set(variables) = &step.kind {
            makes.extend(variables.iter().map(|(name, _)| name.clone()));
        }
        let place = Place {
            kind: kind.to_owned(),
            what,
            around,
            reads,
            makes,
        };
        match self.found.get_mut(path) {
            None => drop(self.found.insert(path.to_owned(), place)),
            Some(first) => {
                let other = json!([first.what, place.what]);
                first.what = Map::from_iter([("either".to_owned(), other)]);
                first.around = json!([first.around, place.around]);
                first.reads.extend(place.reads);
                if first.kind != place.kind {
                    first.kind = format!("{} or {}", first.kind, place.kind);
                }
            }
        }
    }

    fn step(&mut self, path: &str, step: &Step, list: Option<&Value>) {
        let when = optional(step.when.as_ref());
        let mut around = json!({ "when": when });
        let (kind, what) = match &step.kind {
            StepKind::Node(node) => {
                self.beside_node(path, step, node, list);
                around["settings"] = json!(settings(node));
                (node.connector.clone(), called(node))
            }
            StepKind::Wait(Wait::For(time)) => ("timer".to_owned(), json!({ "wait": time.source() })),
            StepKind::Wait(Wait::Until(time)) => ("timer".to_owned(), json!({ "until": time.source() })),
            StepKind::Workflow { name, input, mode } => {
                let mode = format!("{mode:?}");
                (name.clone(), json!({ "input": optional(input.as_ref()), "mode": mode }))
            }
            StepKind::Callback(callback) => {
                around["settings"] = callback_settings(callback);
                (callback_kind(callback), correlated(callback))
            }
            StepKind::WaitFor(wait) => {
                around["timeout"] = json!(wait.timeout.map(|timeout| timeout.as_millis().to_string()));
                let (kind, key) = match &wait.what {
                    Awaited::Event { event, key } => (format!("event {event}"), optional(key.as_ref())),
                    Awaited::Signal(signal) => (format!("signal {signal}"), Value::Null),
                };
                (kind, json!({ "key": key, "where": optional(wait.filter.as_ref()) }))
            }
            StepKind::Emit(emit) => {
                let (key, data) = (optional(emit.key.as_ref()), optional(emit.data.as_ref()));
                (
                    "emit".to_owned(),
                    json!({ "type": emit.event, "key": key, "data": data }),
                )
            }
            StepKind::Respond(respond) => {
                let parts = [&respond.status, &respond.headers, &respond.body].map(|part| optional(part.as_ref()));
                ("respond".to_owned(), json!(parts))
            }
            StepKind::Approve(approve) => {
                around["within"] = match &approve.within {
                    Within::Unbounded => Value::Null,
                    Within::Duration(time) => json!(time.as_millis().to_string()),
                    Within::Moment(by) => by.source(),
                };
                around["mayBeRejected"] = json!(approve.may_be_rejected);
                let what = json!({
                    "who": approve.who.source(), "what": approve.what.source(), "form": *approve.form, "quorum": format!("{:?}", approve.quorum),
                });
                ("callback ".to_owned(), what)
            }
            _ => self.block(path, step, &mut around, list),
        };
        self.add(path, step, &kind, &what, around, list);
    }

    /// Blocks hold others and are not journaled themselves.
    fn block(&mut self, path: &str, step: &Step, around: &mut Value, list: Option<&Value>) -> (String, Value) {
        match &step.kind {
            StepKind::Parallel { branches, join } => {
                around["joinStrategy"] = json!(format!("{join:?}"));
                for branch in branches {
                    self.steps(&below(path, &branch.name), &branch.steps, list);
                }
            }
            StepKind::ScatterGather(block) => {
                let strategy = match &block.strategy {
                    Gather::Min(by) | Gather::Max(by) | Gather::Expression(by) => by.source(),
                    word => json!(format!("{word:?}")),
                };
                around["gather"] = json!([strategy, format!("{:?}", block.timeout)]);
                self.steps(path, &block.nodes, list);
            }
            StepKind::Saga(saga) => {
                for item in &saga.steps {
                    let action = below(path, &item.action.id);
                    self.step(&action, &item.action, list);
                    if let Some(compensation) = &item.compensation {
                        self.aside(&format!("{action}.compensation"), compensation, list);
                    }
                }
            }
            StepKind::Switch { cases, default } => {
                around["cases"] = cases.iter().map(|case| case.when.source()).collect();
                for case in cases {
                    self.steps(path, &case.steps, list);
                }
                self.steps(path, default, list);
            }
            StepKind::ForEach(block) => {
                let ForEach { items, steps, .. } = block;
                around["settings"] = json!(format!(
                    "{} {} {} {:?}",
                    block.as_name, block.index_name, block.concurrency, block.on_item_error
                ));
                let list = json!([list, items.source()]);
                self.steps(path, steps, Some(&list));
                return ("forEach".to_owned(), json!({ "forEach": items.source() }));
            }
            StepKind::Repeat(block) => {
                let condition = match &block.condition {
                    RepeatCondition::Until(condition) => json!({ "until": condition.source() }),
                    RepeatCondition::While(condition) => json!({ "while": condition.source() }),
                };
                around["repeat"] = json!([condition, block.max, format!("{:?}", block.delay)]);
                self.steps(path, &block.steps, list);
                if block.delay.is_some() {
                    let delay = below(path, "delay");
                    self.add(&delay, step, "timer", &json!({}), Value::Null, list);
                }
            }
            StepKind::Try(block) => {
                self.steps(path, &block.body, list);
                for catch in &block.catches {
                    self.steps(&below(path, "catch"), &catch.steps, list);
                }
                let errors: Vec<_> = block
                    .catches
                    .iter()
                    .map(|catch| (&catch.errors, &catch.as_name))
                    .collect();
                around["catch"] = json!(errors);
                self.steps(&below(path, "finally"), &block.finally, list);
            }
            StepKind::Set(variables) => {
                let variables = variables.iter().map(|(name, value)| (name.clone(), value.source()));
                around["set"] = Value::Object(variables.collect());
            }
            StepKind::Return(result) => around["return"] = optional(result.as_ref()),
            StepKind::Fail { error, message } => {
                around["fail"] = json!([error.source(), optional(message.as_ref())]);
            }
            _ => {}
        }
        (step.kind.name().to_owned(), json!({}))
    }

    /// What a node may have beside it: a fallback, a callback, what undoes it, and what finds out about it.
    fn beside_node(&mut self, path: &str, step: &Step, node: &NodePlan, list: Option<&Value>) {
        self.callback(path, step, node, list);
        if let Some(fallback) = &node.fallback {
            let path = format!("{path}.fallback");
            let around = json!(settings(fallback));
            self.add(&path, step, &fallback.connector, &called(fallback), around, list);
            self.callback(&path, step, fallback, list);
        }
        if let Some(compensation) = &node.compensation {
            self.aside(&format!("{path}.compensation"), compensation, list);
        }
        if let UnknownOutcome::Verify(verify) = &node.unknown_outcome {
            self.aside(&below(path, "verify"), verify, list);
        }
    }

    fn callback(&mut self, path: &str, step: &Step, node: &NodePlan, list: Option<&Value>) {
        if let Some(callback) = &node.callback {
            // Another call means another answer to it.
            let what = json!({ "callback": correlated(callback), "call": called(node) });
            let path = below(path, "callback");
            let around = callback_settings(callback);
            self.add(&path, step, &callback_kind(callback), &what, around, list);
        }
    }

    /// A node stands at the path itself, anything else below it.
    fn aside(&mut self, path: &str, step: &Step, list: Option<&Value>) {
        if matches!(step.kind, StepKind::Node(_)) {
            self.step(path, step, list);
        } else {
            self.step(&below(path, &step.id), step, list);
        }
    }
}

fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}/{name}")
    }
}

fn optional(template: Option<&Template>) -> Value {
    template.map(Template::source).unwrap_or_default()
}

fn called(node: &NodePlan) -> Value {
    json!({
        "type": node.connector,
        "config": node.config.source(),
        "idempotencyKey": optional(node.idempotency_key.as_ref()),
    })
}

fn settings(node: &NodePlan) -> String {
    format!("{:?} {:?} {:?}", node.options, node.on_error, node.output)
}

fn callback_kind(callback: &CallbackPlan) -> String {
    format!("callback {}", callback.channel)
}

fn correlated(callback: &CallbackPlan) -> Value {
    json!({ "correlate": optional(callback.correlate.as_ref()) })
}

fn callback_settings(callback: &CallbackPlan) -> Value {
    json!([
        format!("{:?} {:?}", callback.timeout, callback.heartbeat),
        optional(callback.success.as_ref()),
        optional(callback.output.as_ref()),
    ])
}
