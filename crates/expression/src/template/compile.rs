//! From a value to a template.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{Code, Compiled, Node, Piece};
use crate::error::TemplateError;
use crate::expression::Expression;
use crate::scan::{self, Segment};

/// How deep arrays and objects may nest in a template. Results may add to it up to
/// [`Limits::nesting`](crate::Limits::nesting).
pub(super) const MAX_DEPTH: usize = 100;

pub(super) fn compile(value: &Value) -> Result<Compiled, Vec<TemplateError>> {
    let mut compiler = Compiler::default();
    let root = compiler.node(value, 0);
    if compiler.errors.is_empty() {
        Ok(Compiled {
            root,
            codes: compiler.codes,
        })
    } else {
        Err(compiler.errors)
    }
}

#[derive(Default)]
struct Compiler {
    pointer: String,
    codes: Vec<Code>,
    errors: Vec<TemplateError>,
}

impl Compiler {
    fn node(&mut self, value: &Value, depth: usize) -> Node {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => {
                let message = format!("arrays and objects nest more than {MAX_DEPTH} levels deep");
                self.error(0, message, None);
                Node::Constant(Value::Null)
            }
            Value::Array(items) => {
                let nodes: Vec<Node> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let end = self.pointer.len();
                        // Writing to a String does not fail.
                        let _ = write!(self.pointer, "/{index}");
                        let node = self.node(item, depth + 1);
                        self.pointer.truncate(end);
                        node
                    })
                    .collect();
                array(nodes)
            }
            Value::Object(fields) => {
                let nodes: Vec<(String, Node)> = fields
                    .iter()
                    .map(|(key, field)| {
                        let end = self.pointer.len();
                        self.pointer.push('/');
                        self.pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                        let node = self.node(field, depth + 1);
                        self.pointer.truncate(end);
                        (key.clone(), node)
                    })
                    .collect();
                object(nodes)
            }
            constant => Node::Constant(constant.clone()),
        }
    }

    fn text(&mut self, text: &str) -> Node {
        if scan::is_literal(text) {
            return Node::Constant(Value::String(text.to_owned()));
        }
        let (segments, errors) = scan::scan(text);
        let mut pieces: Vec<Piece> = segments
            .into_iter()
            .filter_map(|segment| match segment {
                Segment::Text(text) => Some(Piece::Text(text.into_owned())),
                Segment::Code { body, offset } => self.code(body, offset).map(Piece::Code),
            })
            .collect();
        for error in errors {
            self.error(error.offset, error.message, error.hint.map(str::to_owned));
        }
        match (pieces.len(), pieces.pop()) {
            (_, None) => Node::Constant(Value::String(String::new())),
            (1, Some(Piece::Text(text))) => Node::Constant(Value::String(text)),
            (1, Some(Piece::Code(index))) => Node::Whole(index),
            (_, Some(last)) => {
                pieces.push(last);
                Node::Text(pieces)
            }
        }
    }

    fn code(&mut self, body: &str, offset: usize) -> Option<usize> {
        match Expression::compile(body) {
            Ok(expression) => {
                self.codes.push(Code {
                    pointer: self.pointer.clone(),
                    offset,
                    expression,
                });
                Some(self.codes.len() - 1)
            }
            Err(error) => {
                self.error(offset + error.offset, error.message, error.hint);
                None
            }
        }
    }

    fn error(&mut self, offset: usize, message: impl Into<String>, hint: Option<String>) {
        self.errors.push(TemplateError {
            pointer: self.pointer.clone(),
            offset,
            message: message.into(),
            hint,
        });
    }
}

/// A constant if every item is one.
fn array(nodes: Vec<Node>) -> Node {
    if nodes.iter().all(|node| matches!(node, Node::Constant(_))) {
        let values = nodes.into_iter().filter_map(constant).collect();
        Node::Constant(Value::Array(values))
    } else {
        Node::Array(nodes)
    }
}

/// A constant if every field is one.
fn object(nodes: Vec<(String, Node)>) -> Node {
    if nodes.iter().all(|(_, node)| matches!(node, Node::Constant(_))) {
        let fields: Map<String, Value> = nodes
            .into_iter()
            .filter_map(|(key, node)| Some((key, constant(node)?)))
            .collect();
        Node::Constant(Value::Object(fields))
    } else {
        Node::Object(nodes)
    }
}

fn constant(node: Node) -> Option<Value> {
    match node {
        Node::Constant(value) => Some(value),
        _ => None,
    }
}
