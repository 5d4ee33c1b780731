//! Templates: compiling them, and checking what they read.

use std::collections::HashSet;

use bowline_expression::{Expression, Template, nearest};

use crate::codes;
use crate::cursor::Cursor;
use crate::problem::Problems;
use crate::schema::has_expression;
use crate::tree::{Kind, Position, position_in};

use super::Lowering;
use super::outside::CallbackRead;
use super::scope::{Branches, ROOTS};

/// A name that was not in view; whether it is a step that comes later is known at the end.
pub(super) struct Unresolved {
    name: String,
    /// It was read as `steps.<name>`.
    of_steps: bool,
    cursor: Cursor,
    at: Position,
    /// The nearest name in view.
    near: Option<String>,
    /// An id with dashes in view, which the expression takes for a subtraction.
    dashed: Option<String>,
    branches: Branches,
}

impl Lowering<'_> {
    /// The value as a template. `None` after a problem.
    pub(super) fn template(&mut self, cursor: &Cursor) -> Option<Template> {
        let value = cursor.node.to_value();
        match Template::compile(&value) {
            Ok(template) => {
                self.check_reads(cursor, &template);
                Some(template)
            }
            Err(errors) => {
                for error in errors {
                    let at = self.position(cursor, &error.pointer, error.offset);
                    let path = cursor.path.pointer(&error.pointer);
                    self.report.add(codes::EXPRESSION, at, &path, error.message, |problem| {
                        problem.hint_if(error.hint)
                    });
                }
                None
            }
        }
    }

    /// The field as a template, where it is there.
    pub(super) fn template_of(&mut self, cursor: &Cursor, key: &str) -> Option<Template> {
        cursor.field(key).and_then(|field| self.template(&field))
    }

    /// Something that is computed: a text without an expression would always be the same.
    /// `what` it is, and what it `gives`.
    pub(super) fn computed(&mut self, cursor: &Cursor, what: &str, gives: &str) -> Option<Template> {
        if let Some(text) = cursor.text().filter(|text| !has_expression(text)) {
            let short: String = text.chars().take(60).collect();
            let message = format!("this is plain text, not {what}; it would always be the same");
            let hint = format!("write it as `${{ {short} }}`");
            self.report.at(codes::CONDITION, cursor, message, |problem| {
                problem.expected(format!("an expression that gives {gives}")).hint(hint)
            });
            return None;
        }
        self.template(cursor)
    }

    pub(super) fn condition(&mut self, cursor: &Cursor) -> Option<Template> {
        if let Some(text) = cursor.text()
            && matches!(
                text.to_ascii_lowercase().as_str(),
                "yes" | "no" | "on" | "off" | "true" | "false"
            )
        {
            let word = if matches!(text.to_ascii_lowercase().as_str(), "yes" | "on" | "true") {
                "true"
            } else {
                "false"
            };
            let message = format!("this is the text {text:?}, not true or false");
            self.report.at(codes::CONDITION, cursor, message, |problem| {
                problem.hint(format!("write {word}, without quotes"))
            });
            return None;
        }
        self.computed(cursor, "a condition", "true or false")
    }

    /// The place of byte `offset` of the text that `pointer` names.
    fn position(&self, cursor: &Cursor, pointer: &str, offset: usize) -> Position {
        let node = cursor.node.nearest(pointer);
        match self.lines.get(usize::from(node.at.file)) {
            Some(lines) if matches!(node.kind, Kind::Text(..)) => position_in(node, lines, offset),
            _ => node.at,
        }
    }

    /// What every expression of a template reads is in view.
    pub(super) fn check_reads(&mut self, cursor: &Cursor, template: &Template) {
        let expressions: Vec<(String, usize, Expression)> = template
            .expressions()
            .map(|(pointer, offset, expression)| (pointer.to_owned(), offset, expression.clone()))
            .collect();
        for (pointer, offset, expression) in expressions {
            let source = expression.source();
            for name in &expression.roots().names {
                if !self.scope.sees(name) && !self.permissive {
                    self.note_unresolved(cursor, &pointer, offset, name, false, source);
                }
            }
            for path in expression.paths() {
                match &path[..] {
                    [root, name, ..] if root == "steps" && !self.permissive && self.scope.step(name).is_none() => {
                        self.note_unresolved(cursor, &pointer, offset, name, true, source);
                    }
                    [root, name, ..] if root == "callbacks" && self.callback_reads.len() < Problems::MOST => {
                        let at = self.position(cursor, &pointer, offset + find_name(source, name));
                        self.callback_reads.push(CallbackRead {
                            name: name.clone(),
                            at,
                            cursor: cursor.clone(),
                        });
                    }
                    [root, name, ..] if root == "input" => {
                        self.check_input_field(cursor, &pointer, offset, source, name);
                    }
                    _ => {}
                }
            }
        }
    }

    fn note_unresolved(
        &mut self,
        cursor: &Cursor,
        pointer: &str,
        offset: usize,
        name: &str,
        of_steps: bool,
        source: &str,
    ) {
        if self.report.is_full() || self.unresolved.len() >= Problems::MOST {
            return;
        }
        let near = if of_steps {
            nearest(name, self.scope.steps())
        } else {
            nearest(name, self.scope.names())
        };
        let dashed = self
            .scope
            .steps()
            .filter(|id| id.contains('-') && id.split('-').any(|part| part == name))
            .find(|id| unspaced(source).contains(*id))
            .map(str::to_owned);
        let place = dashed
            .as_deref()
            .and_then(|id| source.find(id))
            .unwrap_or_else(|| find_name(source, name));
        let at = self.position(cursor, pointer, offset + place);
        let unresolved = Unresolved {
            name: name.to_owned(),
            of_steps,
            cursor: Cursor {
                node: cursor.node.clone(),
                path: cursor.path.pointer(pointer),
            },
            at,
            near: near.map(str::to_owned),
            dashed,
            branches: self.scope.branches(),
        };
        self.unresolved.push(unresolved);
    }

    /// Now that every step is known: what could not be read, and why.
    pub(super) fn report_unresolved(&mut self) {
        let mut dashes = HashSet::new();
        for unresolved in std::mem::take(&mut self.unresolved) {
            let Unresolved {
                name,
                of_steps,
                cursor,
                at,
                near,
                dashed,
                branches,
            } = unresolved;
            // Each part of an id with dashes is a name that is not there; once is enough.
            if dashed
                .as_ref()
                .is_some_and(|id| !dashes.insert((id.clone(), cursor.path.to_string())))
            {
                continue;
            }
            let near = near.or_else(|| nearest(&name, self.scope.every_step()).map(str::to_owned));
            let (code, message, hint) = match (dashed, self.scope.anywhere(&name)) {
                (Some(id), _) => (
                    codes::UNKNOWN_ROOT,
                    format!("the `-` in `{id}` is read as a minus sign"),
                    Some(format!("write the id in backticks: `{id}`")),
                ),
                (None, Some((place, others))) if beside(&branches, &others) => (
                    codes::NOT_YET,
                    format!("the step `{name}` in line {} runs in another branch at the same time", place.line),
                    Some("read it after the whole block, or run the two one after the other in one branch".to_owned()),
                ),
                (None, Some((place, _))) if place.file == at.file && (place.line, place.column) > (at.line, at.column) => (
                    codes::NOT_YET,
                    format!("the step `{name}` runs later, in line {}", place.line),
                    Some("move the step that is read before the one that reads it".to_owned()),
                ),
                (None, Some((place, _))) => (
                    codes::NOT_YET,
                    format!("the step `{name}` in line {} cannot be seen from here", place.line),
                    Some("what runs inside `forEach` is seen outside as the list of its results, under the id of the `forEach`".to_owned()),
                ),
                (None, None) if of_steps => {
                    (codes::UNKNOWN_ROOT, format!("there is no step called `{name}`"), near.map(|near| format!("did you mean `{near}`?")))
                }
                (None, None) => {
                    let hint = near.map(|near| format!("did you mean `{near}`?"));
                    let hint = hint.unwrap_or_else(|| format!("there are {} and the ids of earlier steps", ROOTS.join(", ")));
                    (codes::UNKNOWN_ROOT, format!("nothing is called `{name}`"), Some(hint))
                }
            };
            self.report
                .add(code, at, &cursor.path, message, |problem| problem.hint_if(hint));
        }
    }

    /// A field that the schema of the input rules out.
    fn check_input_field(&mut self, cursor: &Cursor, pointer: &str, offset: usize, source: &str, name: &str) {
        let Some(fields) = &self.input_fields else { return };
        if fields.iter().any(|field| field == name) {
            return;
        }
        let near = nearest(name, fields.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
        let expected = if fields.is_empty() {
            "no fields".to_owned()
        } else {
            format!("one of: {}", fields.join(", "))
        };
        let at = self.position(cursor, pointer, offset + find_name(source, name));
        let message = format!("the input has no field `{name}`");
        let path = cursor.path.pointer(pointer);
        self.report.add(codes::UNKNOWN_INPUT, at, &path, message, |problem| {
            problem.expected(expected).hint_if(near)
        });
    }

    /// A connection's configuration is rendered before any step has run.
    pub(super) fn connection_template(&mut self, cursor: &Cursor) -> Option<Template> {
        let hint = "connections are shared by executions and steps; put what differs into the step's config";
        self.template_reading(cursor, &["env", "credentials", "auth"], Some(hint))
    }

    /// A template that can read these names and no others.
    pub(super) fn template_reading(&mut self, cursor: &Cursor, names: &[&str], hint: Option<&str>) -> Option<Template> {
        let template = self.alone(|lowering| lowering.template(cursor))?;
        self.check_names(cursor, &template, names, hint);
        Some(template)
    }

    /// Every name that a template reads is one of these.
    pub(super) fn check_names(&mut self, cursor: &Cursor, template: &Template, names: &[&str], hint: Option<&str>) {
        let expressions: Vec<(String, usize, Expression)> = template
            .expressions()
            .map(|(pointer, offset, e)| (pointer.to_owned(), offset, e.clone()))
            .collect();
        for (pointer, offset, expression) in expressions {
            for name in expression
                .roots()
                .names
                .iter()
                .filter(|name| !names.contains(&name.as_str()))
            {
                let at = self.position(cursor, &pointer, offset + find_name(expression.source(), name));
                let path = cursor.path.pointer(&pointer);
                let message = format!("`{name}` cannot be read here");
                let expected = format!("one of: {}", names.join(", "));
                self.report.add(codes::UNKNOWN_ROOT, at, &path, message, |problem| {
                    problem.expected(expected).hint_if(hint.map(str::to_owned))
                });
            }
        }
    }

    /// Lowers what has names of its own, which the caller checks.
    pub(super) fn alone<T>(&mut self, lower: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.permissive, true);
        let fields = self.input_fields.take();
        let template = lower(self);
        self.permissive = before;
        self.input_fields = fields;
        template
    }
}

/// Whether two places are in different branches of one block.
fn beside(one: &Branches, other: &Branches) -> bool {
    one.iter()
        .any(|(block, branch)| other.iter().any(|(b, c)| b == block && c != branch))
}

/// Where `name` stands in an expression as a word of its own; its start where that is not found.
fn find_name(source: &str, name: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
    source
        .match_indices(name)
        .find(|(at, _)| {
            let before = source[..*at].chars().next_back();
            let after = source[at + name.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
        .map_or(0, |(at, _)| at)
}

/// Without white space, as an id with dashes would be written.
fn unspaced(source: &str) -> String {
    source.chars().filter(|c| !c.is_whitespace()).collect()
}
