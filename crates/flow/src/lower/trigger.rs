//! `triggers` of a workflow, and `callbacks` of the shared file.

use std::collections::BTreeMap;
use std::sync::Arc;

use bowline_connector::TriggerType;
use bowline_expression::{Template, nearest};
use serde_json::Value;

use crate::codes;
use crate::cursor::Cursor;
use crate::plan::{CallbackEndpoint, EndpointFailure, Trigger};
use crate::report::plain;
use crate::schema::{Checker, Mode, has_expression};
use crate::tree::{Kind, Node};

use super::Lowering;
use super::names::is_name;
use super::node::any_expression;

/// Fields of a callback endpoint that are the language's, whatever its configuration.
const OF_ENDPOINTS: [&str; 4] = ["correlate", "success", "failure", "description"];

impl Lowering<'_> {
    /// `triggers` of a document.
    pub(super) fn triggers(&mut self, document: &Cursor) -> Vec<Trigger> {
        let Some(list) = document.field("triggers") else {
            return Vec::new();
        };
        let ids = self.trigger_ids(&list);
        let items: Vec<Cursor> = list.items().collect();
        self.check_claims(&items);
        let triggers = items.iter().zip(ids).filter_map(|(item, id)| self.trigger(item, id));
        triggers.collect()
    }

    /// The ids of all triggers: their own first, then those that are made of the types.
    fn trigger_ids(&mut self, list: &Cursor) -> Vec<String> {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for item in list.items() {
            let Some(id) = item.field("id") else { continue };
            let Some(name) = id.text() else { continue };
            if has_expression(name) {
                // The checker has said that none may stand here.
                continue;
            }
            if !is_name(name) {
                let message = "this cannot be the id of a trigger";
                self.report.at(codes::BAD_NAME, &id, message, |problem| {
                    problem.expected("letters, digits, `_` and `-`, at most 128 of them, not starting with `-`")
                });
            }
            if let Some(line) = taken.insert(name.to_owned(), id.at().line) {
                let message = format!("a trigger called `{name}` is already in line {line}");
                self.report.at(codes::DUPLICATE_NAME, &id, message, |problem| {
                    problem.hint("give one of them another `id`")
                });
            }
        }
        let named = |item: Cursor| {
            if let Some(id) = item.text_of("id") {
                return id.to_owned();
            }
            let kind = item.text_of("type").filter(|kind| is_name(kind)).unwrap_or("trigger");
            let numbered = (1_usize..).map(|number| match number {
                1 => kind.to_owned(),
                _ => format!("{kind}-{number}"),
            });
            let mut free = numbered.skip_while(|id| taken.contains_key(id));
            let id = free.next().unwrap_or_default();
            taken.insert(id.clone(), item.at().line);
            id
        };
        list.items().map(named).collect()
    }

    fn trigger(&mut self, cursor: &Cursor, id: String) -> Option<Trigger> {
        let kind = cursor.field("type")?;
        let name = kind.text().filter(|name| !has_expression(name))?.to_owned();
        let written = cursor.field("config").unwrap_or_else(|| Cursor {
            node: Arc::new(Node::new(Kind::Map(Vec::new()), cursor.at())),
            path: cursor.path.key(&Arc::from("config")),
        });
        let known = self.registry.trigger(&name).copied();
        let config = if let Some(known) = &known {
            self.outside_config(&written, known, &format!("`{name}`"))
        } else {
            self.unknown_trigger(&kind, &name);
            self.template_reading(&written, &["env", "credentials"], None)
        };
        let fields = known.map_or(&[][..], |known| known.fields);
        let reads = Reads {
            local: "trigger",
            fields,
        };
        let when = cursor
            .field("when")
            .map(|when| self.reading_outside(&when, &reads, Self::condition));
        let key = cursor.field("key").map(|key| {
            self.reading_outside(&key, &reads, |lowering, key| {
                lowering.computed(key, "a key", "text or a number")
            })
        });
        let input = if let Some(input) = cursor.field("input") {
            self.reading_outside(&input, &reads, Self::template)
        } else {
            let default = Value::from(known.map_or("${trigger}", |known| known.input));
            let compiled = Template::compile(&default).ok();
            if compiled.is_none() {
                let message = format!("the default input of `{name}` cannot be read");
                self.report.at(codes::INTERNAL, cursor, message, plain);
            }
            compiled
        };
        Some(Trigger {
            id,
            location: self.report.location_of(cursor),
            description: cursor.text_of("description").map(str::to_owned),
            kind: name,
            config: config?,
            when: given(when)?,
            input: input?,
            key: given(key)?,
        })
    }

    /// A configuration that is rendered before anything has started, checked against its own schema.
    fn outside_config(&mut self, written: &Cursor, kind: &TriggerType, what: &str) -> Option<Template> {
        let schema = self.configs.trigger(kind);
        let before = self.report.heard();
        if written.is_map() {
            Checker::new(&schema, Mode::Config, &mut self.report).check(written, &schema);
        }
        let template = self.template_reading(
            written,
            &["env", "credentials"],
            Some("this is settled before anything has come in; put what depends on it into `when`, `input` or `key`"),
        )?;
        if self.report.heard() == before {
            self.check_whole(written, kind.check, what);
        }
        if self.report.heard() == before {
            self.check_mistakes(written, kind);
        }
        Some(template)
    }

    /// Lets the kind look for what a schema cannot say.
    fn check_mistakes(&mut self, written: &Cursor, kind: &TriggerType) {
        for mistake in (kind.mistakes)(&written.node.to_value()) {
            let parts = mistake.field.split('.').filter(|part| !part.is_empty());
            let pointer: String = parts.flat_map(|part| ["/", part]).collect();
            let node = written.node.nearest(&pointer);
            let is_whole = mistake.field.is_empty();
            if !is_whole && any_expression(&node.to_value()) {
                continue;
            }
            let path = written.path.pointer(&pointer);
            self.report.add(codes::CONFIG, node.at, &path, mistake.message, plain);
        }
    }

    /// No two triggers of the workflow have what only one can have.
    fn check_claims(&mut self, items: &[Cursor]) {
        let mut taken: BTreeMap<(String, String), usize> = BTreeMap::new();
        for item in items {
            let Some((config, name)) = item.field("config").zip(item.text_of("type")) else {
                continue;
            };
            let Some(kind) = self.registry.trigger(name) else {
                continue;
            };
            let claims = (kind.claims)(&config.node.to_value());
            for claim in claims.into_iter().filter(|claim| !has_expression(claim)) {
                let Some(line) = taken.insert((name.to_owned(), claim.clone()), item.at().line) else {
                    continue;
                };
                let message = format!("`{claim}` is taken already, by the trigger in line {line}");
                self.report.at(codes::CONFIG, &config, message, |problem| {
                    problem.hint("only one of them can be called; change the other")
                });
            }
        }
    }

    fn unknown_trigger(&mut self, cursor: &Cursor, name: &str) {
        if super::node::LATER.contains(&name) {
            let message = format!("`{name}` is not in this version of bowline yet");
            self.report.at(codes::LATER, cursor, message, plain);
            return;
        }
        let known: Vec<&str> = self.registry.triggers().map(|kind| kind.name).collect();
        let near = nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let hint = match self.registry.connector(name) {
            Some(_) => Some(format!("`{name}` is a connector; it is a step:  - type: {name}")),
            None => near,
        };
        let expected = if known.is_empty() {
            "no triggers: this program has none".to_owned()
        } else {
            format!("one of: {}", known.join(", "))
        };
        let message = format!("there is no trigger called `{name}`");
        self.report.at(codes::UNKNOWN_TRIGGER, cursor, message, |problem| {
            problem.expected(expected).hint_if(hint)
        });
    }

    /// `callbacks` of the shared file.
    pub(super) fn endpoints(&mut self, shared: &Cursor) -> BTreeMap<String, CallbackEndpoint> {
        let Some(callbacks) = shared.field("callbacks") else {
            return BTreeMap::new();
        };
        let entries: Vec<(String, Cursor)> = callbacks
            .fields()
            .map(|(entry, cursor)| (entry.key.to_string(), cursor))
            .collect();
        let endpoints = entries.into_iter().filter_map(|(name, cursor)| {
            let endpoint = self.endpoint(name.clone(), &cursor)?;
            Some((name, endpoint))
        });
        endpoints.collect()
    }

    fn endpoint(&mut self, name: String, cursor: &Cursor) -> Option<CallbackEndpoint> {
        if !is_name(&name) {
            let message = "this cannot be the name of a callback endpoint";
            self.report.at(codes::BAD_NAME, cursor, message, |problem| {
                problem.expected("letters, digits, `_` and `-`, at most 128 of them, not starting with `-`")
            });
        }
        let own = OF_ENDPOINTS
            .iter()
            .fold((*cursor.node).clone(), |node, key| node.without(key));
        let own = cursor.with(own);
        let known = self.registry.callback_endpoint().copied();
        let config = match &known {
            Some(known) => self.outside_config(&own, known, "a callback endpoint"),
            None => self.template_reading(&own, &["env", "credentials"], None),
        };
        let reads = Reads {
            local: "callback",
            fields: known.map_or(&[][..], |known| known.fields),
        };
        let correlate = cursor.field("correlate").and_then(|correlate| {
            self.reading_outside(&correlate, &reads, |lowering, correlate| {
                lowering.computed(correlate, "a reference", "text or a number")
            })
        });
        let success = cursor
            .field("success")
            .map(|success| self.reading_outside(&success, &reads, Self::condition));
        let failure = cursor.field("failure");
        if let (Some(failure), None) = (&failure, &success) {
            let message = "without `success` a call never reports a failure";
            self.report.at(codes::MISSING_FIELD, failure, message, |problem| {
                problem.expected("`success` with a condition beside `failure`")
            });
        }
        let failure = failure.filter(Cursor::is_map).map(|failure| {
            let error = failure.field("error");
            let error = error.and_then(|error| self.reading_outside(&error, &reads, Self::template));
            let message = failure.field("message");
            let message = message.map(|message| self.reading_outside(&message, &reads, Self::template));
            Some(EndpointFailure {
                error: error?,
                message: given(message)?,
            })
        });
        Some(CallbackEndpoint {
            name,
            location: self.report.location_of(cursor),
            config: config?,
            correlate: correlate?,
            success: given(success)?,
            failure: given(failure)?,
        })
    }

    /// Lowers a template that reads what has come in, and neither steps nor the input.
    fn reading_outside(
        &mut self,
        cursor: &Cursor,
        reads: &Reads,
        lower: impl FnOnce(&mut Self, &Cursor) -> Option<Template>,
    ) -> Option<Template> {
        let template = self.alone(|lowering| lower(lowering, cursor))?;
        let names = [reads.local, "env", "credentials"];
        let hint = format!("nothing has started yet; `{}` is what has come in", reads.local);
        self.check_names(cursor, &template, &names, Some(&hint));
        if !reads.fields.is_empty() {
            self.check_local_fields(cursor, &template, reads);
        }
        Some(template)
    }

    /// Every `trigger.NAME` is there.
    fn check_local_fields(&mut self, cursor: &Cursor, template: &Template, reads: &Reads) {
        let mut unknown = Vec::new();
        for (pointer, _, expression) in template.expressions() {
            for path in expression.paths() {
                if let [root, name, ..] = &path[..]
                    && root == reads.local
                    && !reads.fields.iter().any(|(field, _)| field == name)
                {
                    unknown.push((cursor.path.pointer(pointer), name.clone()));
                }
            }
        }
        for (path, name) in unknown {
            let fields = reads.fields.iter().map(|(field, _)| *field);
            let near = nearest(&name, fields.clone()).map(|near| format!("did you mean `{near}`?"));
            let expected = format!("one of: {}", fields.collect::<Vec<_>>().join(", "));
            let message = format!("`{}` has no field `{name}`", reads.local);
            self.report
                .add(codes::UNKNOWN_ROOT, cursor.at(), &path, message, |problem| {
                    problem.expected(expected).hint_if(near)
                });
        }
    }
}

/// What has come in: under which name, and the fields it has (any where none are listed).
struct Reads {
    local: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

/// Turns what was given and could not be read into nothing at all.
#[expect(
    clippy::option_option,
    reason = "whether a field is there, and whether it could be read"
)]
fn given<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    match field {
        Some(read) => read.map(Some),
        None => Some(None),
    }
}
