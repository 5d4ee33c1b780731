//! Lists of steps, and what all steps have in common.

use std::sync::Arc;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{OutputPlan, Step, StepKind};
use crate::report::plain;
use crate::schema::Mode;

use super::Lowering;
use super::names::is_name;
use super::scope::Origin;

/// The keys that say what a step does. Of two that a step has, the first here is taken.
pub(crate) const KEYS: &[&str] = &[
    "type", "node", "parallel", "scatter", "saga", "switch", "forEach", "repeat", "try", "wait", "callback", "waitFor",
    "emit", "approve", "respond", "workflow", "set", "return", "fail",
];

impl Lowering<'_> {
    /// A list of steps that must not be empty.
    pub(super) fn steps(&mut self, list: &Cursor, prefix: &str) -> Vec<Step> {
        if list.is_list() && list.node.items().is_empty() {
            self.report.at(codes::EMPTY, list, "there are no steps here", plain);
        }
        self.steps_or_none(list, prefix)
    }

    /// A list of steps.
    pub(super) fn steps_or_none(&mut self, list: &Cursor, prefix: &str) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut ended: Option<(&'static str, usize)> = None;
        for (index, cursor) in list.items().enumerate() {
            if let Some((word, line)) = ended.take() {
                let message = format!("this step can never run: the `{word}` in line {line} always ends the workflow");
                self.report.at(codes::UNREACHABLE, &cursor, message, |problem| {
                    problem.hint(format!("remove it, or give the `{word}` a `when`"))
                });
            }
            let Some(step) = self.step(&cursor, index, prefix) else {
                continue;
            };
            if step.when.is_none() {
                ended = match step.kind {
                    StepKind::Return(_) => Some(("return", step.location.line)),
                    StepKind::Fail { .. } => Some(("fail", step.location.line)),
                    _ => None,
                };
            }
            steps.push(step);
        }
        steps
    }

    /// One step of a list; `index` is its place and `prefix` begins the ids that steps get without one.
    pub(super) fn step(&mut self, cursor: &Cursor, index: usize, prefix: &str) -> Option<Step> {
        let (key, id) = self.identify(cursor, index, prefix)?;
        let place = cursor.field("id").unwrap_or_else(|| cursor.clone());
        self.check_free(&id, &place);
        let own = [(Arc::from(id.as_str()), Origin::Step(place.at()))];
        self.scope.hide(&own);
        let step = self.step_called(cursor, key, id);
        self.scope.unhide(&own);
        let [(name, origin)] = own;
        self.scope.add(&name, origin);
        let step = step?;
        if let StepKind::Node(node) = &step.kind
            && let OutputPlan::Names(names) = &node.output
        {
            for name in names {
                if let Some(root) = name.name.first() {
                    self.scope.add(&Arc::from(root.as_str()), Origin::Variable);
                }
            }
        }
        if let StepKind::Set(names) = &step.kind {
            for (name, _) in names {
                self.scope.add(&Arc::from(name.as_str()), Origin::Variable);
            }
        }
        Some(step)
    }

    /// What a step does, and its id.
    fn identify(&mut self, cursor: &Cursor, index: usize, prefix: &str) -> Option<(&'static str, String)> {
        let key = KEYS.iter().find(|key| cursor.has(key)).copied()?;
        if let Some(id) = cursor.field("id").filter(|id| id.text().is_some()) {
            let name = id.text().unwrap_or_default().to_owned();
            self.check_name(&name, id.at(), &id.path);
            return Some((key, name));
        }
        let word = match key {
            "type" => cursor.text_of("type").filter(|name| is_name(name)).unwrap_or("node"),
            "node" => match cursor.text_of("node").filter(|name| is_name(name)) {
                Some(name) if self.scope.taken(name).is_none() => return Some((key, name.to_owned())),
                name => name.unwrap_or("node"),
            },
            key => key,
        };
        Some((key, format!("{prefix}{word}-{}", index + 1)))
    }

    /// A step whose id is settled and not looked at further: an ordinary step, or a compensation.
    pub(super) fn step_called(&mut self, cursor: &Cursor, key: &str, id: String) -> Option<Step> {
        let when = cursor.field("when").and_then(|when| self.condition(&when));
        self.own_id = Some(id.clone());
        let kind = match key {
            "type" => self
                .node(cursor, Mode::Config)
                .map(|node| StepKind::Node(Arc::new(node))),
            "node" => {
                let mut name = cursor.field("node")?;
                if name.at() == cursor.at() {
                    // A bare name in a saga stands for the whole step.
                    name.path = cursor.path.clone();
                }
                self.reference(&name, cursor)
            }
            "parallel" => self.parallel(cursor, &id),
            "scatter" => self.scatter(cursor, &id),
            "saga" => self.saga(&cursor.field("saga")?, &id),
            "switch" => self.switch(cursor, &id),
            "forEach" => self.for_each(cursor, &id),
            "repeat" => self.repeat(cursor, &id),
            "try" => self.try_block(cursor, &id),
            "wait" => self.wait(&cursor.field("wait")?),
            "callback" => {
                self.callback_ids.insert(id.clone());
                let callback = self.callback(&cursor.field("callback")?, false)?;
                Some(StepKind::Callback(Arc::new(callback)))
            }
            "waitFor" => self.wait_for(&cursor.field("waitFor")?),
            "emit" => self.emit(&cursor.field("emit")?),
            "approve" => {
                self.callback_ids.insert(id.clone());
                self.approve(&cursor.field("approve")?)
            }
            "respond" => self.respond(&cursor.field("respond")?),
            "workflow" => self.child(cursor),
            "set" => Some(self.set(&cursor.field("set")?)),
            "return" => self.return_step(&cursor.field("return")?),
            "fail" => self.fail(&cursor.field("fail")?),
            _ => None,
        }?;
        let description = cursor.text_of("description").map(str::to_owned);
        Some(Step {
            id,
            location: self.report.location_of(cursor),
            description,
            when,
            kind,
        })
    }

    /// `compensation:` of a step.
    pub(super) fn compensation(&mut self, cursor: &Cursor, of: &str) -> Option<Arc<Step>> {
        let before = std::mem::replace(&mut self.compensating, true);
        // What is undone can also be read by its own id.
        let step = self.aside(cursor, of, "compensation", &["action", "response", "error", of]);
        self.compensating = before;
        step
    }

    /// A step that belongs to another one: the name of a node, or a step, which reads names of its own. It does
    /// not come into view by itself.
    pub(super) fn aside(&mut self, cursor: &Cursor, of: &str, what: &str, names: &[&str]) -> Option<Arc<Step>> {
        let mark = self.scope.mark();
        for name in names {
            self.scope.add(&Arc::from(*name), Origin::Local);
        }
        let step = match cursor.text() {
            Some(name) => self.reference(cursor, cursor).map(|kind| Step {
                id: name.to_owned(),
                location: self.report.location_of(cursor),
                description: None,
                when: None,
                kind,
            }),
            None if cursor.is_map() => {
                let key = KEYS.iter().find(|key| cursor.has(key)).copied();
                let own = cursor
                    .text_of("id")
                    .or_else(|| cursor.text_of("node"))
                    .filter(|name| is_name(name));
                let id = own.map_or_else(|| format!("{of}-{what}"), str::to_owned);
                key.and_then(|key| self.step_called(cursor, key, id))
            }
            None => None,
        };
        self.scope.leave(mark);
        step.map(Arc::new)
    }

    /// Steps in a block whose names go out of view at its end, and come back with what is given.
    pub(super) fn inner_steps(&mut self, list: &Cursor, prefix: &str) -> (Vec<Step>, Vec<(Arc<str>, Origin)>) {
        let mark = self.scope.mark();
        let steps = self.steps(list, prefix);
        (steps, self.scope.leave(mark))
    }
}
