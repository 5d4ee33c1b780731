//! Control blocks that do one thing at a time.

use std::sync::Arc;

use bowline_connector::Millis;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{
    Case, Catch, ForEach, OnItemError, Repeat, RepeatCondition, Respond, Saga, SagaStep, Step, StepKind, Try, Wait,
};
use crate::report::plain;
use crate::schema::has_expression;
use crate::tree::{Entry, Kind, Node};

use super::Lowering;
use super::scope::Origin;

pub(super) type Names = Vec<(Arc<str>, Origin)>;

impl Lowering<'_> {
    /// A document of `steps` with actions, which is a saga as a whole.
    pub(super) fn saga_document(&mut self, root: &Cursor) -> Option<Step> {
        let kind = self.saga(root, "saga-1")?;
        let id = "saga-1".to_owned();
        self.scope.add(&Arc::from(id.as_str()), Origin::Step(root.at()));
        Some(Step {
            id,
            location: self.report.location_of(root),
            description: None,
            when: None,
            kind,
        })
    }

    pub(super) fn saga(&mut self, saga: &Cursor, id: &str) -> Option<StepKind> {
        let list = saga.field("steps")?;
        if list.is_list() && list.node.items().is_empty() {
            self.report.at(codes::EMPTY, &list, "there are no actions here", plain);
        }
        let mut steps = Vec::new();
        for (index, item) in list.items().enumerate() {
            let Some(action) = item.field("action") else { continue };
            let as_step = if action.text().is_some() {
                named_step(&action)
            } else {
                action.clone()
            };
            let action_step = self.step(&as_step, index, &format!("{id}-"));
            let of = action_step
                .as_ref()
                .map_or_else(|| format!("{id}-{}", index + 1), |step| step.id.clone());
            let compensation = item.field("compensation").map(|undo| self.compensation(&undo, &of));
            let Some(action) = action_step else { continue };
            let own = if let StepKind::Node(node) = &action.kind {
                node.compensation.clone()
            } else {
                None
            };
            // Where the item says nothing, the node's own compensation is meant.
            steps.push(SagaStep {
                compensation: compensation.flatten().or(own),
                action,
            });
        }
        Some(StepKind::Saga(Saga { steps }))
    }

    pub(super) fn switch(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let list = cursor.field("switch")?;
        if list.is_list() && list.node.items().is_empty() {
            self.report.at(codes::EMPTY, &list, "there are no cases here", plain);
        }
        let mut cases = Vec::new();
        let mut seen: Names = Vec::new();
        for (index, item) in list.items().enumerate() {
            let when = item.field("when").and_then(|when| self.condition(&when));
            let Some(steps) = item.field("steps") else { continue };
            let (steps, names) = self.inner_steps(&steps, &format!("{id}-{}-", index + 1));
            seen.extend(names);
            if let Some(when) = when {
                cases.push(Case { when, steps });
            }
        }
        let default = cursor
            .field("default")
            .map(|steps| self.inner_steps(&steps, &format!("{id}-default-")));
        let (default, names) = default.unwrap_or_default();
        seen.extend(names);
        self.scope.enter(seen);
        Some(StepKind::Switch { cases, default })
    }

    pub(super) fn for_each(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let items = cursor
            .field("forEach")
            .and_then(|items| self.computed(&items, "a list", "a list"));
        let as_name = self.local_name(cursor, "as", "item");
        let index_name = self.local_name(cursor, "indexAs", "index");
        if as_name == index_name {
            let message = format!("the item and its index are both called `{as_name}`");
            self.report.at(codes::DUPLICATE_NAME, cursor, message, plain);
        }
        let mark = self.scope.mark();
        self.scope.add(&Arc::from(as_name.as_str()), Origin::Local);
        self.scope.add(&Arc::from(index_name.as_str()), Origin::Local);
        let steps = cursor
            .field("steps")
            .map(|steps| self.steps(&steps, &format!("{id}-")))
            .unwrap_or_default();
        self.scope.leave(mark);
        let on_item_error = match cursor.text_of("onItemError") {
            Some("collect") => OnItemError::Collect,
            Some("skip") => OnItemError::Skip,
            _ => OnItemError::Fail,
        };
        let concurrency = cursor
            .whole_of("concurrency")
            .and_then(|n| usize::try_from(n).ok())
            .unwrap_or(1)
            .max(1);
        Some(StepKind::ForEach(ForEach {
            items: items?,
            as_name,
            index_name,
            concurrency,
            steps,
            on_item_error,
        }))
    }

    pub(super) fn repeat(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let settings = cursor.field("repeat")?;
        let mark = self.scope.mark();
        self.scope.add(&Arc::from("iteration"), Origin::Local);
        let before = settings.field("while").map(|condition| self.condition(&condition));
        let steps = cursor
            .field("steps")
            .map(|steps| self.steps(&steps, &format!("{id}-")))
            .unwrap_or_default();
        let after = settings.field("until").map(|condition| self.condition(&condition));
        let names = self.scope.leave(mark);
        self.scope.enter(names);
        if settings.is_map() && before.is_some() == after.is_some() {
            let (code, message) = if before.is_some() {
                (codes::ONE_OF, "`until` and `while` exclude each other")
            } else {
                (codes::MISSING_FIELD, "nothing here says when it ends")
            };
            self.report.at(code, &settings, message, |problem| {
                problem.expected("`until` or `while`")
            });
            return None;
        }
        let condition = match (before.flatten(), after.flatten()) {
            (Some(condition), _) => RepeatCondition::While(condition),
            (None, Some(condition)) => RepeatCondition::Until(condition),
            (None, None) => return None,
        };
        let delay = self.duration(&settings, "delay");
        let max = settings.whole_of("max").unwrap_or(1000).max(1);
        Some(StepKind::Repeat(Repeat {
            condition,
            max,
            delay,
            steps,
        }))
    }

    pub(super) fn try_block(&mut self, cursor: &Cursor, id: &str) -> Option<StepKind> {
        let (body, names) = self.inner_steps(&cursor.field("try")?, &format!("{id}-"));
        if !cursor.has("catch") && !cursor.has("finally") {
            self.report.at(
                codes::MISSING_FIELD,
                cursor,
                "a `try` needs a `catch` or a `finally`",
                plain,
            );
        }
        self.scope.enter(names);
        let mut catches: Vec<Catch> = Vec::new();
        let mut seen: Names = Vec::new();
        for (index, item) in cursor.field("catch").iter().flat_map(Cursor::items).enumerate() {
            if catches
                .iter()
                .any(|catch| catch.errors.iter().any(|error| error == "*"))
            {
                let message = "this `catch` can never run: one before it takes every error";
                self.report.at(codes::UNREACHABLE, &item, message, plain);
            }
            let errors = self.error_names(&item);
            let as_name = self.local_name(&item, "as", "error");
            let mark = self.scope.mark();
            self.scope.add(&Arc::from(as_name.as_str()), Origin::Local);
            let prefix = format!("{id}-catch-{}-", index + 1);
            let steps = item
                .field("steps")
                .map(|steps| self.steps_or_none(&steps, &prefix))
                .unwrap_or_default();
            seen.extend(self.scope.leave(mark));
            catches.push(Catch { errors, as_name, steps });
        }
        self.scope.enter(seen);
        let finally = cursor
            .field("finally")
            .map(|steps| self.steps(&steps, &format!("{id}-finally-")));
        Some(StepKind::Try(Try {
            body,
            catches,
            finally: finally.unwrap_or_default(),
        }))
    }

    fn error_names(&mut self, item: &Cursor) -> Vec<String> {
        let Some(list) = item.field("errors") else {
            return vec!["*".to_owned()];
        };
        if list.is_list() && list.node.items().is_empty() {
            self.report
                .at(codes::EMPTY, &list, "there are no names of errors here", |problem| {
                    problem.hint("leave `errors` out to take every error")
                });
        }
        list.items().filter_map(|name| name.text().map(str::to_owned)).collect()
    }

    pub(super) fn wait(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let wait = match cursor.field("until") {
            Some(until) => Wait::Until(self.moment(&until)?),
            None if cursor.is_map() => return None,
            None => {
                if cursor
                    .text()
                    .is_some_and(|text| !has_expression(text) && Millis::parse(text).is_err())
                {
                    return None;
                }
                Wait::For(self.template(cursor)?)
            }
        };
        Some(StepKind::Wait(wait))
    }

    pub(super) fn set(&mut self, cursor: &Cursor) -> StepKind {
        if cursor.is_map() && cursor.node.entries().is_empty() {
            self.report.at(codes::EMPTY, cursor, "nothing is set here", plain);
        }
        let mark = self.scope.mark();
        let mut names = Vec::new();
        for (entry, value) in cursor.fields() {
            if self.check_name(&entry.key, entry.key_at, &value.path) {
                self.check_variable(&entry.key, entry.key_at, &value.path);
            }
            let template = self.template(&value);
            self.scope.add(&entry.key, Origin::Variable);
            names.extend(template.map(|template| (entry.key.to_string(), template)));
        }
        self.scope.leave(mark);
        StepKind::Set(names)
    }

    pub(super) fn return_step(&mut self, cursor: &Cursor) -> Option<StepKind> {
        if cursor.is_null() {
            return Some(StepKind::Return(None));
        }
        self.template(cursor).map(|value| StepKind::Return(Some(value)))
    }

    pub(super) fn respond(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let mut part = |key: &str| cursor.field(key).map(|field| self.template(&field));
        let (status, headers, body) = (part("status"), part("headers"), part("body"));
        let read = [&status, &headers, &body]
            .iter()
            .all(|part| !matches!(part, Some(None)));
        read.then(|| {
            StepKind::Respond(Respond {
                status: status.flatten(),
                headers: headers.flatten(),
                body: body.flatten(),
            })
        })
    }

    pub(super) fn fail(&mut self, cursor: &Cursor) -> Option<StepKind> {
        let error = self.template_of(cursor, "error");
        let message = self.template_of(cursor, "message");
        Some(StepKind::Fail { error: error?, message })
    }
}

/// The name of a node as the step `{node: name}`.
fn named_step(name: &Cursor) -> Cursor {
    let entry = Entry {
        key: Arc::from("node"),
        key_at: name.at(),
        value: Arc::clone(&name.node),
    };
    name.with(Node::new(Kind::Map(vec![entry]), name.at()))
}
