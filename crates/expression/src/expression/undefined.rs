//! Telling why an expression gave nothing: which name does not exist, and what there is instead.
//!
//! Only names and types are told, never values, so this is safe for secrets too.

use std::sync::Arc;

use serde_json::Value;

use super::Expression;
use crate::error::{ExpressionError, shorten};
use crate::hint;
use crate::scope::Scope;

/// How many names of a level are looked at for a hint.
const MAX_NAMES: usize = 1_000;

/// How many items of an array are looked at for the names in it.
const MAX_ITEMS: usize = 20;

/// The error for an expression whose result is undefined.
pub(crate) fn explain(expression: &Expression, scope: &dyn Scope) -> ExpressionError {
    let source = expression.source();
    let broken = expression
        .paths()
        .iter()
        .find_map(|path| Some((path, break_of(path, scope)?)));
    let Some((path, broken)) = broken else {
        let hint = hidden_secret(expression, scope).or_else(|| backtick_hint(expression, scope));
        return ExpressionError::new(
            ExpressionError::UNDEFINED,
            source,
            "the expression gave nothing (undefined)",
        )
        .with_hint(hint);
    };
    let whole = shorten(&path.join("."), 200).into_owned();
    let missing = path.get(broken.at).map_or("", String::as_str);
    let message = if broken.at == 0 {
        let what = if path.len() > 1 {
            format!(": there is no `{missing}` here")
        } else {
            String::new()
        };
        format!("`{whole}` does not exist{what}")
    } else {
        let parent = shorten(&path[..broken.at].join("."), 200).into_owned();
        format!("`{whole}` does not exist: `{parent}` {}", broken.parent.told(missing))
    };
    let names: Vec<&str> = broken.names.iter().map(String::as_str).collect();
    let is_secret = path
        .first()
        .and_then(|root| scope.get(root))
        .is_some_and(|root| root.secret);
    let hint = match hint::needs_backticks(source, names.iter().copied()) {
        Some(name) => Some(hint::backticks(name)),
        // What a process has in its environment is not for everybody who sees an error, not even by name.
        None if is_secret => hint::did_you_mean(missing, &names),
        None => hint::suggest(missing, &names, "there is"),
    };
    ExpressionError::new(ExpressionError::UNDEFINED, source, message).with_hint(hint)
}

/// A hint if a name that needs backticks stands in the expression without them.
pub(crate) fn backtick_hint(expression: &Expression, scope: &dyn Scope) -> Option<String> {
    let source = expression.source();
    let mut names = scope.names();
    for path in expression.paths() {
        let Some((root, rest)) = path.split_first() else {
            continue;
        };
        let Some(binding) = scope.get(root) else { continue };
        let mut here = Level::of(&binding.value);
        names.extend(here.names());
        for name in rest {
            here = here.child(name);
            names.extend(here.names());
        }
    }
    hint::needs_backticks(source, names.iter().map(String::as_str)).map(hint::backticks)
}

/// A hint for an expression that reads everything and names a secret, which it is not given.
fn hidden_secret(expression: &Expression, scope: &dyn Scope) -> Option<String> {
    if !expression.roots().whole {
        return None;
    }
    let source = expression.source();
    let name = scope
        .names()
        .into_iter()
        .filter(|name| source.contains(name.as_str()))
        .find(|name| scope.get(name).is_some_and(|binding| binding.secret))?;
    Some(format!(
        "an expression that reads everything (`$`, `$$`, `*`, `**`) is not given secrets such as `{name}`"
    ))
}

/// Where a path breaks.
struct Break {
    /// The index of the name that does not exist.
    at: usize,
    /// What the name was looked for in.
    parent: Kind,
    /// The names there are instead.
    names: Vec<String>,
}

/// Where a path breaks, or `None` if it exists or ends in something that JSONata must judge.
fn break_of(path: &[String], scope: &dyn Scope) -> Option<Break> {
    let (root, rest) = path.split_first()?;
    let Some(binding) = scope.get(root) else {
        return Some(Break {
            at: 0,
            parent: Kind::Object,
            names: scope.names().into_iter().take(MAX_NAMES).collect(),
        });
    };
    let value: Arc<Value> = binding.value;
    let mut level = Level::of(&value);
    for (depth, name) in rest.iter().enumerate() {
        let next = level.child(name);
        if next.0.is_empty() {
            return Some(Break {
                at: depth + 1,
                parent: level.kind(),
                names: level.names(),
            });
        }
        level = next;
    }
    None
}

/// The values a path has reached: one, or some items of an array.
struct Level<'v>(Vec<&'v Value>);

impl<'v> Level<'v> {
    fn of(value: &'v Value) -> Self {
        Self(vec![value])
    }

    /// The values themselves, with the items in the place of an array.
    fn items(&self) -> impl Iterator<Item = &'v Value> {
        self.0
            .iter()
            .flat_map(|value| match value {
                Value::Array(items) => items.iter().take(MAX_ITEMS).collect(),
                other => vec![*other],
            })
            .take(MAX_ITEMS)
    }

    fn child(&self, name: &str) -> Level<'v> {
        Level(self.items().filter_map(|value| value.get(name)).collect())
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for fields in self.items().filter_map(Value::as_object) {
            for name in fields.keys() {
                if names.len() >= MAX_NAMES {
                    return names;
                }
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
        }
        names
    }

    fn kind(&self) -> Kind {
        let mut values = self.0.iter();
        match values.next() {
            Some(Value::Object(_)) => Kind::Object,
            Some(Value::Array(items)) if items.is_empty() => Kind::EmptyArray,
            Some(Value::Array(_)) => Kind::Array,
            Some(Value::String(_)) => Kind::Scalar("a text"),
            Some(Value::Number(_)) => Kind::Scalar("a number"),
            Some(Value::Bool(_)) => Kind::Scalar("true or false"),
            Some(Value::Null) | None => Kind::Null,
        }
    }
}

/// What a name was looked for in.
enum Kind {
    Object,
    Array,
    EmptyArray,
    Scalar(&'static str),
    Null,
}

impl Kind {
    fn told(&self, missing: &str) -> String {
        let missing = shorten(missing, 60);
        match self {
            Self::Object => format!("has no `{missing}`"),
            Self::Array => format!("is an array, and none of its first items has `{missing}`"),
            Self::EmptyArray => "is an empty array".to_owned(),
            Self::Scalar(what) => format!("is {what}"),
            Self::Null => "is null".to_owned(),
        }
    }
}
