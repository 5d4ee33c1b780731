//! The checker: a value with places against a schema, giving problems that people can act on.

use bowline_connector::Millis;
use bowline_expression::nearest;
use serde_json::Value;

use crate::codes;
use crate::cursor::Cursor;
use crate::report::{Report, plain};
use crate::tree::{Entry, Kind};

use super::values::{self, Text};
use super::words::{is_duration, is_later, is_only_later, later};

/// What is being checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// The language itself: expressions only where it says so.
    Language,
    /// A configuration: expressions anywhere.
    Config,
    /// A part of a configuration that is laid over another: no field is required.
    PartOfConfig,
}

/// Checks values against the definitions of one schema.
pub(crate) struct Checker<'a> {
    /// What `#/$defs/...` refers to.
    pub(crate) root: &'a Value,
    pub(crate) mode: Mode,
    pub(crate) report: &'a mut Report,
}

/// `$ref`s that lead to `$ref`s are followed so far.
const MAX_REFERENCES: usize = 16;

impl<'a> Checker<'a> {
    pub(crate) fn new(root: &'a Value, mode: Mode, report: &'a mut Report) -> Self {
        Self { root, mode, report }
    }

    /// The schema that a `$ref` leads to, or the schema itself.
    pub(crate) fn resolve(&self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        for _ in 0..MAX_REFERENCES {
            let Some(target) = schema.get("$ref").and_then(Value::as_str) else {
                break;
            };
            match target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(next) => schema = next,
                None => break,
            }
        }
        schema
    }

    /// Adds everything that is wrong with the value.
    pub(crate) fn check(&mut self, cursor: &Cursor, schema: &'a Value) {
        if self.report.is_full() || schema.as_bool() == Some(true) {
            return;
        }
        let resolved = self.resolve(schema);
        if self.expression_settles_it(cursor, schema, resolved) {
            return;
        }
        if is_duration(schema) {
            self.duration(cursor, schema.get("x-positive").is_some());
            return;
        }
        if let Some(wanted) = resolved.get("const") {
            self.one_of(cursor, std::slice::from_ref(wanted));
            return;
        }
        if let Some(Value::Array(wanted)) = resolved.get("enum") {
            self.one_of(cursor, wanted);
            return;
        }
        if let Some(Value::Array(parts)) = resolved.get("allOf") {
            for part in parts {
                self.check(cursor, part);
            }
        }
        for word in ["oneOf", "anyOf"] {
            if let Some(Value::Array(branches)) = resolved.get(word) {
                if let Some(names) = self.names(branches) {
                    self.one_of(cursor, &names);
                    return;
                }
                self.choose(cursor, resolved, branches);
                // A mapping that also has fields of its own goes on below.
                if resolved.get("properties").is_none() {
                    return;
                }
            }
        }
        if !self.has_type(cursor, resolved) {
            return;
        }
        match &cursor.node.kind {
            Kind::Map(_) => self.mapping(cursor, resolved),
            Kind::List(_) => self.list(cursor, resolved),
            Kind::Number(_) | Kind::Text(..) => self.range(cursor, resolved),
            Kind::Null | Kind::Bool(_) => {}
        }
    }

    /// The values of a choice between single ones, each of which has a description of its own. None: it is another choice.
    fn names(&self, branches: &'a [Value]) -> Option<Vec<Value>> {
        let mut names = Vec::new();
        for branch in branches.iter().map(|branch| self.resolve(branch)) {
            match (branch.get("const"), branch.get("enum")) {
                (Some(name), _) => names.push(name.clone()),
                (None, Some(Value::Array(several))) => names.extend(several.iter().cloned()),
                _ => return None,
            }
        }
        Some(names)
    }

    /// Whether the value is an expression, so that its type is not known before it is evaluated; or is
    /// one where none may stand, which is a problem.
    fn expression_settles_it(&mut self, cursor: &Cursor, schema: &Value, resolved: &Value) -> bool {
        let Some(text) = cursor.text() else { return false };
        let marked = |word: &str| schema.get(word).is_some() || resolved.get(word).is_some();
        let kind = values::classify(text);
        if kind != Text::Plain && marked("x-no-expressions") {
            self.report.at(
                codes::FIXED,
                cursor,
                "an expression cannot stand in this text",
                |problem| {
                    problem.hint("this text is never put together from values; give values in `parameters` instead")
                },
            );
            return true;
        }
        match kind {
            Text::Plain => false,
            Text::Whole if self.mode != Mode::Language || marked("x-template") => true,
            Text::Mixed if self.mode != Mode::Language || marked("x-template") => {
                if !self.allows_text(resolved) {
                    let message = "text around an expression makes the value a text";
                    let expected = values::describe(self, resolved);
                    self.report.at(codes::WRONG_TYPE, cursor, message, |problem| {
                        problem
                            .expected(expected)
                            .hint("leave only the `${ }` to keep the type of its value")
                    });
                }
                true
            }
            Text::Whole | Text::Mixed => {
                let free_text = resolved.get("type").and_then(Value::as_str) == Some("string") && !marked("x-fixed");
                if free_text || resolved.get("oneOf").is_some() {
                    return false;
                }
                let message = "an expression cannot stand here; this is fixed when the workflow is loaded";
                let expected = values::describe(self, schema);
                self.report
                    .at(codes::FIXED, cursor, message, |problem| problem.expected(expected));
                true
            }
        }
    }

    fn allows_text(&self, schema: &'a Value) -> bool {
        let schema = self.resolve(schema);
        if let Some(branches) = schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))
            .and_then(Value::as_array)
        {
            return branches.iter().any(|branch| self.allows_text(branch));
        }
        values::types(schema).is_none_or(|types| types.contains(&"string"))
    }

    fn duration(&mut self, cursor: &Cursor, is_positive: bool) {
        let reading = match &cursor.node.kind {
            Kind::Text(text, _) => Millis::parse(text),
            Kind::Number(number) => serde_json::from_value::<Millis>(Value::Number(number.clone()))
                .map_err(|_| format!("`{number}` is not a duration")),
            _ => Err(format!("this is {}, not a duration", cursor.node.kind_name())),
        };
        match reading {
            Err(message) => {
                let message = message.split(';').next().unwrap_or_default().to_owned();
                self.report.at(codes::DURATION, cursor, message, |problem| {
                    problem.expected("milliseconds, or text such as 250ms, 30s, 5m, 2d or PT5M")
                });
            }
            Ok(time) if is_positive && time.duration().is_zero() => no_time(self.report, cursor),
            Ok(_) => {}
        }
    }

    fn one_of(&mut self, cursor: &Cursor, wanted: &[Value]) {
        let value = cursor.node.to_value();
        if wanted.contains(&value) {
            return;
        }
        let list = wanted.iter().map(values::show).collect::<Vec<_>>().join(", ");
        let hint = value.as_str().and_then(|text| {
            let texts = wanted.iter().filter_map(Value::as_str);
            nearest(text, texts).map(|name| format!("did you mean `{name}`?"))
        });
        let message = match &value {
            Value::Array(_) | Value::Object(_) | Value::Null => {
                format!("{} cannot stand here", cursor.node.kind_name())
            }
            value => format!("{} cannot stand here", values::show(value)),
        };
        self.report.at(codes::NOT_ALLOWED, cursor, message, |problem| {
            problem
                .expected(if wanted.len() == 1 {
                    list
                } else {
                    format!("one of: {list}")
                })
                .hint_if(hint)
        });
    }

    fn has_type(&mut self, cursor: &Cursor, schema: &'a Value) -> bool {
        let Some(types) = values::types(schema) else {
            return true;
        };
        if types.iter().any(|name| values::is_of_type(&cursor.node, name)) {
            return true;
        }
        let expected = values::describe(self, schema);
        // Where text stands for an expression, quotes around something else do not help.
        let is_text = schema.get("x-template").is_none();
        let types: Vec<&str> = types.into_iter().filter(|name| is_text || *name != "string").collect();
        self.wrong_type(cursor, expected, &types);
        false
    }

    pub(crate) fn wrong_type(&mut self, cursor: &Cursor, expected: String, types: &[&str]) {
        let message = match &cursor.node.kind {
            Kind::Null => "nothing stands here".to_owned(),
            Kind::Text(text, _) if text.chars().count() <= 40 => format!("this is text ({text:?})"),
            Kind::Number(number) => format!("this is a number ({number})"),
            Kind::Bool(value) => format!("this is {value}"),
            _ => format!("this is {}", cursor.node.kind_name()),
        };
        let hint = values::type_hint(&cursor.node, types);
        self.report.at(codes::WRONG_TYPE, cursor, message, |problem| {
            problem.expected(expected).hint_if(hint)
        });
    }

    fn mapping(&mut self, cursor: &Cursor, schema: &'a Value) {
        let properties = schema.get("properties").and_then(Value::as_object);
        let property = |name: &str| properties.and_then(|properties| properties.get(name));
        let additional = schema
            .get("additionalProperties")
            .or_else(|| schema.get("unevaluatedProperties"));
        for (entry, value) in cursor.fields() {
            match property(&entry.key) {
                Some(property) if is_later(entry, property) => {
                    later(self.report, cursor, entry);
                }
                Some(property) if is_only_later(property) => {}
                Some(property) => self.check(&value, property),
                None if self.belongs_to_a_branch(schema, &entry.key) => {}
                None => match additional {
                    Some(Value::Bool(false)) => self.unknown_field(cursor, entry, schema),
                    Some(other) => self.check(&value, other),
                    None => {}
                },
            }
        }
        if self.mode == Mode::PartOfConfig {
            return;
        }
        for name in schema
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            if !cursor.has(name) {
                let expected = property(name).map(|property| values::describe(self, property));
                self.report.at(
                    codes::MISSING_FIELD,
                    cursor,
                    format!("the field `{name}` is missing"),
                    |mut problem| {
                        problem.expected = expected;
                        problem
                    },
                );
            }
        }
    }

    /// Whether one of the variants of the mapping knows the field.
    fn belongs_to_a_branch(&self, schema: &'a Value, key: &str) -> bool {
        ["oneOf", "anyOf", "allOf"].iter().any(|word| {
            schema
                .get(word)
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .any(|branch| {
                    self.resolve(branch)
                        .get("properties")
                        .is_some_and(|properties| properties.get(key).is_some())
                })
        })
    }

    pub(crate) fn unknown_field(&mut self, cursor: &Cursor, entry: &Entry, schema: &'a Value) {
        let known = self.known_fields(schema);
        let hint = nearest(&entry.key, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
        let expected = if known.is_empty() {
            "no fields".to_owned()
        } else {
            format!("one of: {}", known.join(", "))
        };
        let path = cursor.path.key(&entry.key);
        self.report.add(
            codes::UNKNOWN_FIELD,
            entry.key_at,
            &path,
            format!("unknown field `{}`", entry.key),
            |problem| problem.expected(expected).hint_if(hint),
        );
    }

    /// The fields that a mapping may have, without those that are refused by name.
    pub(crate) fn known_fields(&self, schema: &'a Value) -> Vec<&'a str> {
        let own = schema
            .get("properties")
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        let mut known: Vec<&str> = own
            .filter(|(name, property)| !is_only_later(property) && !name.starts_with('$'))
            .map(|(name, _)| name.as_str())
            .collect();
        for word in ["oneOf", "anyOf", "allOf"] {
            for branch in schema.get(word).and_then(Value::as_array).into_iter().flatten() {
                for name in self
                    .resolve(branch)
                    .get("properties")
                    .and_then(Value::as_object)
                    .into_iter()
                    .flatten()
                {
                    if !known.contains(&name.0.as_str()) {
                        known.push(name.0);
                    }
                }
            }
        }
        known
    }

    fn list(&mut self, cursor: &Cursor, schema: &'a Value) {
        let count = cursor.node.items().len() as u64;
        let limit = |word: &str| schema.get(word).and_then(Value::as_u64);
        if let Some(least) = limit("minItems").filter(|least| count < *least) {
            self.report.at(
                codes::NOT_ALLOWED,
                cursor,
                format!("the list has {count} items"),
                |problem| problem.expected(format!("at least {least}")),
            );
        }
        if let Some(most) = limit("maxItems").filter(|most| count > *most) {
            self.report.at(
                codes::NOT_ALLOWED,
                cursor,
                format!("the list has {count} items"),
                |problem| problem.expected(format!("at most {most}")),
            );
        }
        let leading = schema.get("prefixItems").and_then(Value::as_array);
        for (index, item) in cursor.items().enumerate() {
            if let Some(schema) = leading
                .and_then(|schemas| schemas.get(index))
                .or_else(|| schema.get("items"))
            {
                self.check(&item, schema);
            }
        }
    }

    fn range(&mut self, cursor: &Cursor, schema: &Value) {
        if let Some(message) = values::out_of_range(&cursor.node, schema) {
            self.report.at(codes::NOT_ALLOWED, cursor, message, plain);
        }
    }
}

/// A bound of no time at all, which nothing could keep.
pub(crate) fn no_time(report: &mut Report, cursor: &Cursor) {
    report.at(
        codes::NOT_ALLOWED,
        cursor,
        "nothing can be done in no time",
        |problem| {
            problem
                .expected("more than 0")
                .hint("leave the field out for the default")
        },
    );
}
