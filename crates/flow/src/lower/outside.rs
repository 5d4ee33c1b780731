//! Callbacks, `waitFor`, `emit`, `approve`, and `onUnknownOutcome`.

use std::sync::Arc;

use bowline_expression::{Template, nearest};
use serde_json::{Map, Value, json};

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{Approve, Awaited, CallbackPlan, Emit, Quorum, StepKind, UnknownOutcome, WaitFor, Within};
use crate::report::plain;
use crate::tree::Position;

use super::Lowering;
use super::scope::Origin;

/// What every answer to an approval may hold.
const ANSWER: [&str; 3] = ["approved", "by", "comment"];

/// `callbacks.NAME` as an expression reads it.
pub(super) struct CallbackRead {
    pub(super) name: String,
    pub(super) at: Position,
    pub(super) cursor: Cursor,
}

impl Lowering<'_> {
    /// Runs `lower` with names in view that only it can read.
    pub(super) fn with_locals<T>(&mut self, names: &[&str], lower: impl FnOnce(&mut Self) -> T) -> T {
        let mark = self.scope.mark();
        for name in names {
            self.scope.add(&Arc::from(*name), Origin::Local);
        }
        let found = lower(self);
        self.scope.leave(mark);
        found
    }

    /// `callback: {...}`, on a node or alone.
    pub(super) fn callback(&mut self, cursor: &Cursor, is_on_node: bool) -> Option<CallbackPlan> {
        let channel = match cursor.field("name") {
            Some(name) => self.outside_name(&name, "a channel"),
            None => Some(String::new()),
        };
        let before = self.report.heard();
        // `response` is put in view in any case: where there is none, the problem says why.
        let correlate = cursor.field("correlate").map(|correlate| {
            let template = self.with_locals(&["response"], |lowering| {
                lowering.computed(&correlate, "a reference", "text or a number")
            });
            self.check_response(&correlate, template.as_ref(), is_on_node);
            template
        });
        let success = cursor.field("success").map(|success| {
            let template = self.with_locals(&["callback", "response"], |lowering| lowering.condition(&success));
            self.check_response(&success, template.as_ref(), is_on_node);
            template
        });
        let output = cursor.field("output").map(|output| {
            let template = self.with_locals(&["callback", "response"], |lowering| {
                lowering.computed(&output, "an expression", "the result")
            });
            self.check_response(&output, template.as_ref(), is_on_node);
            template
        });
        let (timeout, heartbeat) = (self.duration(cursor, "timeout"), self.duration(cursor, "heartbeat"));
        if let (Some(timeout), Some(heartbeat), Some(place)) = (timeout, heartbeat, cursor.field("heartbeat"))
            && heartbeat >= timeout
        {
            let message = "`heartbeat` is not shorter than `timeout`, so that it never decides anything";
            self.report.at(codes::HEARTBEAT, &place, message, |problem| {
                problem.expected("less than the `timeout` of the callback")
            });
        }
        (channel.is_some() && self.report.heard() == before).then(|| CallbackPlan {
            channel: channel.unwrap_or_default(),
            correlate: correlate.flatten(),
            timeout,
            heartbeat,
            success: success.flatten(),
            output: output.flatten(),
        })
    }

    /// A callback that stands alone has no answer before it.
    fn check_response(&mut self, cursor: &Cursor, template: Option<&Template>, is_on_node: bool) {
        let reads = template.is_some_and(|template| {
            template
                .expressions()
                .any(|(_, _, expression)| expression.roots().names.iter().any(|name| name == "response"))
        });
        if reads && !is_on_node && !self.scope.sees("response") {
            let message = "there is no `response` here: this callback stands alone, and no node answers before it";
            self.report.at(codes::NO_RESPONSE, cursor, message, |problem| {
                problem.hint("put the `callback` on the node whose answer holds the reference, or read an earlier step by its id")
            });
        }
    }

    /// The name of a channel, an event or a signal.
    fn outside_name(&mut self, cursor: &Cursor, what: &str) -> Option<String> {
        let name = cursor.text()?;
        if crate::schema::has_expression(name) {
            // The checker has said that none may stand here.
            return None;
        }
        let fits = !name.is_empty() && name.chars().count() <= 128 && !name.chars().any(char::is_control);
        if !fits {
            let message = format!("this cannot be the name of {what}");
            self.report.at(codes::BAD_NAME, cursor, message, |problem| {
                problem.expected("1 to 128 characters")
            });
            return None;
        }
        if name.starts_with("bowline.") {
            let message = "names that begin with `bowline.` are kept for this program";
            self.report.at(codes::BAD_NAME, cursor, message, plain);
            return None;
        }
        Some(name.to_owned())
    }

    pub(super) fn wait_for(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let timeout = self.duration(cursor, "timeout");
        let (what, local) = if let Some(event) = cursor.field("event") {
            let event = self.outside_name(&event, "an event");
            let key = cursor.field("key").map(|key| self.template(&key));
            let what = event.map(|event| Awaited::Event {
                event,
                key: key.flatten(),
            });
            (what, "event")
        } else {
            let signal = self.outside_name(&cursor.field("signal")?, "a signal");
            (signal.map(Awaited::Signal), "signal")
        };
        let filter = match cursor.field("where") {
            Some(filter) => Some(self.with_locals(&[local], |lowering| lowering.condition(&filter))?),
            None => None,
        };
        Some(StepKind::WaitFor(WaitFor {
            what: what?,
            filter,
            timeout,
        }))
    }

    pub(super) fn emit(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let event = cursor.field("type").map(|event| self.outside_name(&event, "an event"));
        let key = cursor.field("key").map(|key| self.template(&key));
        let data = cursor.field("data").map(|data| self.template(&data));
        Some(StepKind::Emit(Emit {
            event: event??,
            key: key.flatten(),
            data: data.flatten(),
        }))
    }

    pub(super) fn approve(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let who = cursor.field("who").and_then(|who| {
            if who.is_list() && who.node.items().is_empty() {
                self.report.at(codes::EMPTY, &who, "there is nobody here", plain);
            }
            self.template(&who)
        });
        let what = cursor.field("what").and_then(|what| self.template(&what));
        let timeout = self.duration(cursor, "timeout");
        let within = match (timeout, cursor.field("by")) {
            (Some(_), Some(by)) => {
                let message = "`by` and `timeout` exclude each other";
                self.report.at(codes::ONE_OF, &by, message, |problem| {
                    problem.expected("one of the two ways to say how long it may take")
                });
                None
            }
            (Some(timeout), None) => Some(Within::Duration(timeout)),
            (None, Some(by)) => self.moment(&by).map(Within::Moment),
            (None, None) => Some(Within::Unbounded),
        };
        let form = match cursor.field("form") {
            Some(form) => self.approval_form(&form),
            None => Some(answer_schema(json!({}))),
        };
        let quorum = cursor
            .field("quorum")
            .map(|quorum| self.approval_quorum(cursor, &quorum));
        let quorum = match quorum {
            Some(quorum) => Some(quorum?),
            None => None,
        };
        Some(StepKind::Approve(Box::new(Approve {
            who: who?,
            what: what?,
            within: within?,
            form: Arc::new(form?),
            quorum,
            may_be_rejected: cursor.text_of("onReject") == Some("continue"),
        })))
    }

    /// Each of those who are asked has a link, so how many there are has to be known.
    fn approval_quorum(&mut self, approve: &Cursor, quorum: &Cursor) -> Option<Quorum> {
        let count = usize::try_from(quorum.node.whole()?).ok()?;
        let who = approve.field("who")?;
        if !who.is_list() {
            let message = "with a `quorum`, `who` is a list: each of those on it gets a link of their own";
            self.report.at(codes::WRONG_TYPE, &who, message, |problem| {
                problem.expected("a list of those who are asked")
            });
            return None;
        }
        let asked = who.node.items().len();
        if count > asked {
            let message = format!("a quorum of {count} cannot be reached: {asked} are asked");
            self.report.at(codes::NOT_ALLOWED, quorum, message, |problem| {
                problem.expected(format!("1 to {asked}"))
            });
            return None;
        }
        Some(Quorum {
            wanted: count,
            of: asked,
        })
    }

    fn approval_form(&mut self, cursor: &Cursor) -> Option<Value> {
        if !cursor.is_map() {
            return None;
        }
        let mut fits = true;
        if let Some(properties) = cursor.field("properties") {
            for (entry, field) in properties.fields() {
                if ANSWER.contains(&&*entry.key) {
                    fits = false;
                    let message = format!("`{}` is part of every answer", entry.key);
                    self.report.at(codes::DUPLICATE_NAME, &field, message, |problem| {
                        problem
                            .hint("choose another name; `approved`, `by` and `comment` are there without being listed")
                    });
                }
            }
        }
        let whole = answer_schema(cursor.node.to_value());
        (self.check_schema(cursor) && fits).then_some(whole)
    }

    /// A template that gives a moment; a fixed one is read at once.
    pub(super) fn moment(&mut self, cursor: &Cursor) -> Option<Template> {
        if let Some(text) = cursor.text().filter(|text| !crate::schema::has_expression(text))
            && let Err(error) = text.parse::<jiff::Timestamp>()
        {
            let message = format!("this is not a moment: {error}");
            self.report.at(codes::DURATION, cursor, message, |problem| {
                problem.expected("RFC 3339 text such as 2026-11-22T10:00:00Z, or milliseconds since 1970")
            });
            return None;
        }
        self.template(cursor)
    }

    /// `onUnknownOutcome` of a node; `of` is the step's id.
    pub(super) fn unknown_outcome(&mut self, node: &Cursor, of: &str) -> Option<UnknownOutcome> {
        let Some(cursor) = node.field("onUnknownOutcome") else {
            return Some(UnknownOutcome::Retry);
        };
        match cursor.text() {
            Some("fail") => Some(UnknownOutcome::Fail),
            Some(_) => Some(UnknownOutcome::Retry),
            // A step that finds out about another one is not itself found out about.
            None if self.verifying => Some(UnknownOutcome::Fail),
            None => {
                let verify = cursor.field("verify")?;
                let before = std::mem::replace(&mut self.verifying, true);
                let step = self.aside(
                    &verify,
                    of,
                    "verify",
                    &["attempt", "idempotencyKey", "request", "error"],
                );
                self.verifying = before;
                step.map(UnknownOutcome::Verify)
            }
        }
    }

    /// Every `callbacks.NAME` names one. Told at the end, when all steps are known.
    pub(super) fn report_callbacks(&mut self) {
        for CallbackRead { name, at, cursor } in std::mem::take(&mut self.callback_reads) {
            if self.callback_ids.contains(&name) {
                continue;
            }
            let near = nearest(&name, self.callback_ids.iter().map(String::as_str));
            let hint = near.map_or_else(
                || {
                    "the callback of a node is read in its own `config`, as `callback.url` or `callback.token`"
                        .to_owned()
                },
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("no `callback` or `approve` step is called `{name}`");
            self.report
                .add(codes::UNKNOWN_CALLBACK, at, &cursor.path, message, |problem| {
                    problem.hint(hint)
                });
        }
    }
}

/// The schema of an answer with the fields of a form. A rejection need not fill in what the form requires.
fn answer_schema(form: Value) -> Value {
    let mut whole = match form {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let mut properties = match whole.remove("properties") {
        Some(Value::Object(properties)) => properties,
        _ => Map::new(),
    };
    for name in ANSWER {
        let kind = if name == "approved" { "boolean" } else { "string" };
        properties.insert(name.to_owned(), json!({ "type": kind }));
    }
    if let Some(required) = whole.remove("required") {
        let approved = json!({ "properties": { "approved": { "const": true } }, "required": ["approved"] });
        let wanted = json!({ "if": approved, "then": { "required": required } });
        match whole.get_mut("allOf").and_then(Value::as_array_mut) {
            Some(all) => all.push(wanted),
            None => drop(whole.insert("allOf".to_owned(), json!([wanted]))),
        }
    }
    whole.insert("type".to_owned(), json!("object"));
    whole.insert("required".to_owned(), json!(["approved"]));
    whole.insert("properties".to_owned(), Value::Object(properties));
    Value::Object(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejection_need_not_fill_in_the_form() {
        let form = json!({ "properties": { "limit": { "type": "number" } }, "required": ["limit"], "additionalProperties": false });
        let schema = answer_schema(form);
        let validator = jsonschema::validator_for(&schema).unwrap();
        for (answer, fits) in [
            (json!({ "approved": true, "limit": 3, "by": "ann" }), true),
            (json!({ "approved": true }), false),
            (json!({ "approved": true, "limit": "3" }), false),
            (json!({ "approved": false, "comment": "no" }), true),
            (json!({ "limit": 3 }), false),
            (json!({ "approved": "yes", "limit": 3 }), false),
            (json!({ "approved": false, "other": 1 }), false),
        ] {
            assert_eq!(validator.is_valid(&answer), fits, "{answer}");
        }
    }
}
