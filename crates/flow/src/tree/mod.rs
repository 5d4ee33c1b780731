//! Documents as a tree in which every value and every key knows where it stands.
//!
//! YAML and JSON are read by the same parser (JSON is a part of YAML). What comes out is JSON with places:
//! no tags, no anchors (an alias shares the node it stands for), no number that would not come out of a
//! program as it was written.
//!
//! Always: a tree is at most [`MAX_DEPTH`] deep and stands for at most [`MAX_NODES`] values once aliases
//! are expanded, so that recursive walks are safe; keys of one mapping are distinct.

mod fault;
mod locate;
mod parse;
mod scalar;
mod syntax;

use std::sync::Arc;

use serde_json::{Map, Value};

pub(crate) use fault::{Fault, FaultKind};
pub(crate) use locate::{Lines, position_in};
pub(crate) use parse::parse;

/// The largest document, in bytes.
pub(crate) const MAX_BYTES: usize = 4 * 1024 * 1024;
/// The deepest nesting of a document.
pub(crate) const MAX_DEPTH: usize = 128;
/// The most values that a document may stand for once its aliases are expanded.
pub(crate) const MAX_NODES: usize = 100_000;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) struct Position {
    /// Which file of the source: 0 the workflow, 1 the shared file.
    pub(crate) file: u8,
    /// From 1.
    pub(crate) line: usize,
    /// From 1, in characters.
    pub(crate) column: usize,
}

/// How a text was written; decides how places inside it are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    SingleQuoted,
    DoubleQuoted,
    Literal,
    Folded,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) at: Position,
    /// How many values it stands for, itself included, aliases expanded.
    pub(crate) weight: usize,
    /// How many levels it has, itself included.
    pub(crate) height: usize,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    Text(Arc<str>, Style),
    List(Vec<Arc<Node>>),
    Map(Vec<Entry>),
}

/// One field of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Arc<str>,
    pub(crate) key_at: Position,
    pub(crate) value: Arc<Node>,
}

impl Node {
    pub(crate) fn new(kind: Kind, at: Position) -> Self {
        let (mut weight, mut height) = (1, 0);
        let mut add = |node: &Self| {
            weight += node.weight;
            height = height.max(node.height);
        };
        match &kind {
            Kind::List(items) => items.iter().for_each(|item| add(item)),
            Kind::Map(entries) => entries.iter().for_each(|entry| add(&entry.value)),
            _ => {}
        }
        Self {
            kind,
            at,
            weight,
            height: height + 1,
        }
    }

    /// The field `key` of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key == key)
    }

    /// The fields of a mapping; none for anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Kind::Map(entries) = &self.kind {
            entries
        } else {
            &[]
        }
    }

    /// The items of a list; none for anything else.
    pub(crate) fn items(&self) -> &[Arc<Self>] {
        if let Kind::List(items) = &self.kind { items } else { &[] }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Kind::Text(text, _) = &self.kind {
            Some(text)
        } else {
            None
        }
    }

    /// The number, if it is whole and not negative (`3.0` is whole).
    pub(crate) fn whole(&self) -> Option<u64> {
        let Kind::Number(number) = &self.kind else { return None };
        let float = || {
            number
                .as_f64()
                .filter(|f| f.fract() == 0.0 && (0.0..=9e15).contains(f))
                .map(|f| f as u64)
        };
        number.as_u64().or_else(float)
    }

    /// What people call this kind of value.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "true or false",
            Kind::Number(_) => "a number",
            Kind::Text(..) => "text",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// The value without places.
    pub(crate) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Null => Value::Null,
            Kind::Bool(value) => Value::Bool(*value),
            Kind::Number(number) => Value::Number(number.clone()),
            Kind::Text(text, _) => Value::String(text.to_string()),
            Kind::List(items) => items.iter().map(|item| item.to_value()).collect(),
            Kind::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|e| (e.key.to_string(), e.value.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// The node that a JSON pointer names, or the deepest one on the way to it.
    pub(crate) fn nearest(&self, pointer: &str) -> &Self {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::List(items) => part.parse().ok().and_then(|i: usize| items.get(i)).map(AsRef::as_ref),
                Kind::Map(_) => node.get(&part).map(|entry| &*entry.value),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }

    /// This mapping with the fields of `over` in the place of its own of the same names.
    pub(crate) fn merged_with(&self, over: &Self) -> Self {
        if !matches!((&self.kind, &over.kind), (Kind::Map(_), Kind::Map(_))) {
            return over.clone();
        }
        let mut entries: Vec<Entry> = self
            .entries()
            .iter()
            .filter(|entry| over.get(&entry.key).is_none())
            .cloned()
            .collect();
        entries.extend_from_slice(over.entries());
        Self::new(Kind::Map(entries), over.at)
    }

    /// This mapping without the field `key`.
    pub(crate) fn without(&self, key: &str) -> Self {
        let entries = self
            .entries()
            .iter()
            .filter(|entry| &*entry.key != key)
            .cloned()
            .collect();
        Self::new(Kind::Map(entries), self.at)
    }
}
