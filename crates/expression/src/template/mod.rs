//! Any JSON value whose strings may hold `${}`.
//!
//! A string that is exactly one `${…}` becomes the expression's value with its type. With text around it, it
//! becomes a text: texts as they are, everything else as compact JSON. `$${` is a literal `${`. Keys of objects
//! are literal. What has no expression inside is found when the template is compiled and only copied later.

mod compile;
mod render;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

pub use self::render::Rendered;
use crate::error::{ExpressionError, TemplateError};
use crate::expression::Expression;
use crate::limits::Moment;
use crate::scope::Scope;

/// A compiled template. Clones share it.
#[derive(Clone)]
pub struct Template(Arc<Compiled>);

struct Compiled {
    root: Node,
    codes: Vec<Code>,
}

/// A part of a template.
enum Node {
    /// No expression inside; escapes are resolved.
    Constant(Value),
    /// A string that is one expression: an index into the codes.
    Whole(usize),
    /// A string of texts and expressions.
    Text(Vec<Piece>),
    /// An array with an expression somewhere inside.
    Array(Vec<Node>),
    /// An object with an expression somewhere inside.
    Object(Vec<(String, Node)>),
}

enum Piece {
    Text(String),
    Code(usize),
}

/// One expression and where it stands.
struct Code {
    pointer: String,
    offset: usize,
    expression: Expression,
}

impl Template {
    /// Compiles a value.
    ///
    /// # Errors
    /// Every error in it, in the order of the strings.
    pub fn compile(value: &Value) -> Result<Self, Vec<TemplateError>> {
        compile::compile(value).map(|compiled| Self(Arc::new(compiled)))
    }

    /// The value if there is no expression inside.
    pub fn constant(&self) -> Option<&Value> {
        match &self.0.root {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// Every expression: the JSON pointer of its string, where in that string its text starts in bytes, and
    /// the expression.
    pub fn expressions(&self) -> impl Iterator<Item = (&str, usize, &Expression)> {
        self.0
            .codes
            .iter()
            .map(|code| (code.pointer.as_str(), code.offset, &code.expression))
    }

    /// The value that it was compiled from, with white space around expressions in one form. Two templates with
    /// the same source give the same.
    pub fn source(&self) -> Value {
        self.0.source(&self.0.root)
    }

    /// Evaluates every expression and puts the results in their places.
    ///
    /// # Errors
    /// The first expression that fails, exceeds a limit, or is undefined.
    pub fn render(&self, scope: &dyn Scope, moment: &Moment) -> Result<Rendered, ExpressionError> {
        render::render(&self.0, scope, moment)
    }
}

impl Compiled {
    /// As deep as the template is nested, which is bounded.
    fn source(&self, node: &Node) -> Value {
        let written = |code: &usize| format!("${{{}}}", self.codes[*code].expression.source());
        match node {
            Node::Constant(value) => escaped(value),
            Node::Whole(code) => Value::String(written(code)),
            Node::Text(pieces) => {
                let piece = |piece: &Piece| match piece {
                    Piece::Text(text) => crate::escape(text).into_owned(),
                    Piece::Code(code) => written(code),
                };
                Value::String(pieces.iter().map(piece).collect())
            }
            Node::Array(nodes) => nodes.iter().map(|node| self.source(node)).collect(),
            Node::Object(nodes) => {
                let fields = nodes.iter().map(|(key, node)| (key.clone(), self.source(node)));
                Value::Object(fields.collect())
            }
        }
    }
}

/// A value without expressions as it is written.
fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(crate::escape(text).into_owned()),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, field)| (key.clone(), escaped(field)))
            .collect(),
        other => other.clone(),
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes = self
            .0
            .codes
            .iter()
            .map(|code| (&code.pointer, code.expression.source()));
        f.debug_map().entries(codes).finish()
    }
}

#[cfg(test)]
mod tests;
