//! Which of several schemas a value is meant for.
//!
//! Telling that a value fits none of fourteen schemas helps nobody. So the one that is meant is found
//! first, by the kind of the value, by a key that only one of them has, or by a field with a fixed value;
//! then the value is checked against that one alone.

use bowline_expression::nearest;
use serde_json::Value;

use crate::codes;
use crate::cursor::Cursor;
use crate::report::{Report, plain};
use crate::tree::Kind;

use super::check::Checker;
use super::values;
use super::words::is_duration;

impl<'a> Checker<'a> {
    /// Checks a value against the one of `branches` that is meant.
    pub(crate) fn choose(&mut self, cursor: &Cursor, schema: &'a Value, branches: &'a [Value]) {
        let fitting: Vec<&'a Value> = self
            .flattened(branches)
            .into_iter()
            .filter(|branch| {
                let may_be_duration =
                    is_duration(branch) && matches!(cursor.node.kind, Kind::Number(_) | Kind::Text(..));
                may_be_duration || self.kind_fits(cursor, self.resolve(branch))
            })
            .collect();
        if fitting.is_empty() {
            self.none_fits(cursor, schema, branches);
            return;
        }
        if cursor.is_map() && fitting.iter().any(|branch| self.resolve(branch).get("x-key").is_some()) {
            self.by_key(cursor, schema, &fitting);
            return;
        }
        if let [only] = fitting[..] {
            self.check(cursor, only);
            return;
        }
        if cursor.is_map() && self.by_fixed_field(cursor, &fitting) {
            return;
        }
        self.by_trying(cursor, &fitting);
    }

    /// The branches, with branches of branches in their places.
    fn flattened(&self, branches: &'a [Value]) -> Vec<&'a Value> {
        let mut flat = Vec::new();
        for branch in branches {
            match self.resolve(branch).get("oneOf").and_then(Value::as_array) {
                Some(inner) if inner.iter().all(|one| self.resolve(one).get("x-key").is_some()) => flat.extend(inner),
                _ => flat.push(branch),
            }
        }
        flat
    }

    fn kind_fits(&self, cursor: &Cursor, schema: &'a Value) -> bool {
        if let Some(wanted) = schema.get("enum").and_then(Value::as_array) {
            return wanted.iter().any(|value| values::same_kind(&cursor.node, value));
        }
        if let Some(wanted) = schema.get("const") {
            return values::same_kind(&cursor.node, wanted);
        }
        if let Some(branches) = schema
            .get("oneOf")
            .or_else(|| schema.get("anyOf"))
            .and_then(Value::as_array)
        {
            return branches
                .iter()
                .any(|branch| self.kind_fits(cursor, self.resolve(branch)));
        }
        values::types(schema).is_none_or(|types| types.iter().any(|name| values::is_of_type(&cursor.node, name)))
    }

    fn none_fits(&mut self, cursor: &Cursor, schema: &'a Value, branches: &'a [Value]) {
        let expected = values::describe(self, schema);
        let types: Vec<&str> = branches
            .iter()
            .filter(|branch| !is_duration(branch))
            .flat_map(|branch| values::types(self.resolve(branch)).unwrap_or_default())
            .collect();
        if schema.get("x-what").and_then(Value::as_str) == Some("a step")
            && let Some(name) = cursor.text()
        {
            let hint = format!("write `node: {name}` to use the node of this name");
            self.report
                .at(codes::WRONG_TYPE, cursor, "this is text, not a step", |problem| {
                    problem
                        .expected("a mapping with `type:`, `node:` or a block")
                        .hint(hint)
                });
            return;
        }
        self.wrong_type(cursor, expected, &types);
    }

    fn by_key(&mut self, cursor: &Cursor, schema: &'a Value, branches: &[&'a Value]) {
        let keyed: Vec<(&'a str, &'a Value)> = branches
            .iter()
            .map(|branch| self.resolve(branch))
            .filter_map(|branch| Some((branch.get("x-key")?.as_str()?, branch)))
            .collect();
        let present: Vec<(&str, &'a Value)> = keyed.iter().filter(|(key, _)| cursor.has(key)).copied().collect();
        // A key that is a field of another block, like `steps` of `forEach`, belongs to that block.
        let meant: Vec<(&str, &'a Value)> = present
            .iter()
            .filter(|(key, _)| {
                !present.iter().any(|(other, branch)| {
                    other != key
                        && branch
                            .pointer(&format!("/properties/{key}"))
                            .is_some_and(|p| p.get("x-later").is_none())
                })
            })
            .copied()
            .collect();
        match meant[..] {
            [(_, branch)] => self.check(cursor, branch),
            [] if present.len() == 1 => self.check(cursor, present[0].1),
            [] => self.no_key(cursor, schema, &keyed),
            [(first, branch), ..] => {
                let names = meant
                    .iter()
                    .map(|(key, _)| format!("`{key}`"))
                    .collect::<Vec<_>>()
                    .join(" and ");
                let what = schema.get("x-what").and_then(Value::as_str).unwrap_or("one of them");
                let hint = format!("keep `{first}` and make a step of its own for the other");
                self.report.at(
                    codes::ONE_OF,
                    cursor,
                    format!("{names} exclude each other"),
                    |problem| problem.expected(format!("{what} with one of them")).hint(hint),
                );
                // What is inside is checked all the same, without the other blocks' keys.
                let others: Vec<&str> = meant[1..].iter().map(|(key, _)| *key).collect();
                let alone = others
                    .iter()
                    .fold((*cursor.node).clone(), |node, key| node.without(key));
                self.check(&cursor.with(alone), branch);
                for (key, branch) in &meant[1..] {
                    if let (Some(value), Some(property)) =
                        (cursor.field(key), branch.pointer(&format!("/properties/{key}")))
                    {
                        self.check(&value, property);
                    }
                }
            }
        }
    }

    fn no_key(&mut self, cursor: &Cursor, schema: &'a Value, keyed: &[(&'a str, &'a Value)]) {
        let what = schema.get("x-what").and_then(Value::as_str).unwrap_or("this");
        let keys: Vec<&str> = keyed.iter().map(|(key, _)| *key).collect();
        let expected = format!("one of: {}", keys.join(", "));
        let near = cursor
            .node
            .entries()
            .iter()
            .find_map(|entry| nearest(&entry.key, keys.iter().copied()).map(|name| (entry, name)));
        if let Some((entry, name)) = near {
            let path = cursor.path.key(&entry.key);
            let message = format!("unknown field `{}`, and nothing else says what {what} does", entry.key);
            self.report
                .add(codes::UNKNOWN_FIELD, entry.key_at, &path, message, |problem| {
                    problem.expected(expected).hint(format!("did you mean `{name}`?"))
                });
            return;
        }
        let message = format!("nothing here says what {what} does");
        let hint = if cursor.has("gather") {
            Some("`gather` needs a `scatter` beside it".to_owned())
        } else {
            let is_action = cursor.has("action");
            is_action.then(|| "`action` belongs into `saga: { steps: [...] }`".to_owned())
        };
        self.report.at(codes::MISSING_FIELD, cursor, message, |problem| {
            problem.expected(expected).hint_if(hint)
        });
    }

    /// Variants that say in a field with a fixed value which one they are, such as `type: bearer`.
    fn by_fixed_field(&mut self, cursor: &Cursor, branches: &[&'a Value]) -> bool {
        let fixed = |schema: &'a Value, name: &str| -> Vec<&'a Value> {
            let Some(property) = schema.get("properties").and_then(|properties| properties.get(name)) else {
                return Vec::new();
            };
            let property = self.resolve(property);
            match (property.get("const"), property.get("enum").and_then(Value::as_array)) {
                (Some(value), _) => vec![value],
                (None, Some(values)) => values.iter().collect(),
                (None, None) => Vec::new(),
            }
        };
        let first = self.resolve(branches[0]);
        let Some(properties) = first.get("properties").and_then(Value::as_object) else {
            return false;
        };
        let Some(name) = properties.keys().find(|name| {
            let mut seen: Vec<&Value> = Vec::new();
            branches.iter().all(|branch| {
                let values = fixed(self.resolve(branch), name);
                let distinct = !values.is_empty() && values.iter().all(|value| !seen.contains(value));
                seen.extend(values);
                distinct
            })
        }) else {
            return false;
        };
        let Some(field) = cursor.field(name) else {
            let all: Vec<_> = branches
                .iter()
                .flat_map(|b| fixed(self.resolve(b), name))
                .map(values::show)
                .collect();
            // A variant that does not need the field is the default.
            let optional = branches.iter().find(|branch| {
                let required = self.resolve(branch).get("required").and_then(Value::as_array);
                !required.is_some_and(|names| names.iter().any(|required| required.as_str() == Some(name)))
            });
            match optional {
                Some(branch) => self.check(cursor, branch),
                None => self.report.at(
                    codes::MISSING_FIELD,
                    cursor,
                    format!("the field `{name}` is missing"),
                    |problem| problem.expected(format!("one of: {}", all.join(", "))),
                ),
            }
            return true;
        };
        if field.text().is_some_and(values::has_expression) {
            return true;
        }
        let value = field.node.to_value();
        if let Some(branch) = branches
            .iter()
            .find(|branch| fixed(self.resolve(branch), name).contains(&&value))
        {
            self.check(cursor, branch);
            return true;
        }
        let all: Vec<&Value> = branches
            .iter()
            .flat_map(|branch| fixed(self.resolve(branch), name))
            .collect();
        let list = all
            .iter()
            .map(|value| values::show(value))
            .collect::<Vec<_>>()
            .join(", ");
        let hint = value.as_str().and_then(|text| {
            nearest(text, all.iter().filter_map(|value| value.as_str())).map(|name| format!("did you mean `{name}`?"))
        });
        let message = format!("{} cannot stand here", values::show(&value));
        self.report.at(codes::NOT_ALLOWED, &field, message, |problem| {
            problem.expected(format!("one of: {list}")).hint_if(hint)
        });
        true
    }

    /// The variant with the fewest problems.
    fn by_trying(&mut self, cursor: &Cursor, branches: &[&'a Value]) {
        let mut best: Option<(usize, &'a Value)> = None;
        for branch in branches {
            let mut silent = Report::new(Vec::new());
            Checker::new(self.root, self.mode, &mut silent).check(cursor, branch);
            let count = silent.count();
            if count == 0 {
                return;
            }
            if best.is_none_or(|(least, _)| count < least) {
                best = Some((count, branch));
            }
        }
        match best {
            Some((_, branch)) => self.check(cursor, branch),
            None if matches!(cursor.node.kind, Kind::Null) => {}
            None => self
                .report
                .at(codes::WRONG_TYPE, cursor, "this cannot stand here", plain),
        }
    }
}
