//! From a template to a value, and to its twin that may be seen.

use std::collections::HashSet;
use std::fmt;

use serde_json::{Map, Value};

use super::{Code, Compiled, Node, Piece};
use crate::MASK;
use crate::error::ExpressionError;
use crate::limits::Moment;
use crate::scope::Scope;

/// What a template gave.
#[derive(Clone, PartialEq)]
pub struct Rendered {
    /// The value, for the connector only.
    pub value: Value,
    /// The value with [`MASK`] in the place of everything that came from a secret, for everybody else.
    pub masked: Value,
    /// The texts of what was masked, without repetitions, for [`Masker::add_all`](crate::Masker::add_all).
    pub secrets: Vec<String>,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("masked", &self.masked)
            .finish_non_exhaustive()
    }
}

pub(super) fn render(compiled: &Compiled, scope: &dyn Scope, moment: &Moment) -> Result<Rendered, ExpressionError> {
    let mut renderer = Renderer {
        codes: &compiled.codes,
        scope,
        moment: moment.clone(),
        seed: moment.seed,
        secrets: Vec::new(),
        noted: HashSet::new(),
    };
    let Part { value, masked } = renderer.node(&compiled.root, 0)?;
    Ok(Rendered {
        masked: masked.unwrap_or_else(|| value.clone()),
        value,
        secrets: renderer.secrets,
    })
}

struct Renderer<'r> {
    codes: &'r [Code],
    scope: &'r dyn Scope,
    /// The moment as the next expression sees it.
    moment: Moment,
    /// The seed of the whole template.
    seed: u64,
    secrets: Vec<String>,
    /// The same texts, to find repetitions.
    noted: HashSet<String>,
}

/// A rendered part; `masked` is `None` if it is the same as the value.
struct Part {
    value: Value,
    masked: Option<Value>,
}

impl Part {
    fn open(value: Value) -> Self {
        Self { value, masked: None }
    }

    fn secret(value: Value) -> Self {
        Self {
            value,
            masked: Some(Value::String(MASK.to_owned())),
        }
    }
}

impl Renderer<'_> {
    /// Templates are at most [`MAX_DEPTH`](super::compile::MAX_DEPTH) levels deep, and so is this recursion.
    fn node(&mut self, node: &Node, depth: usize) -> Result<Part, ExpressionError> {
        match node {
            Node::Constant(value) => Ok(Part::open(value.clone())),
            Node::Whole(index) => {
                let (value, secret) = self.code(*index, depth)?;
                Ok(if secret {
                    self.remember(&value);
                    Part::secret(value)
                } else {
                    Part::open(value)
                })
            }
            Node::Text(pieces) => self.text(pieces),
            Node::Array(nodes) => {
                let mut parts = Vec::with_capacity(nodes.len());
                for node in nodes {
                    parts.push(self.node(node, depth + 1)?);
                }
                let masked = parts.iter().any(|part| part.masked.is_some()).then(|| {
                    let seen = |part: &Part| part.masked.as_ref().unwrap_or(&part.value).clone();
                    Value::Array(parts.iter().map(seen).collect())
                });
                let value = Value::Array(parts.into_iter().map(|part| part.value).collect());
                Ok(Part { value, masked })
            }
            Node::Object(nodes) => {
                let mut parts = Vec::with_capacity(nodes.len());
                for (key, node) in nodes {
                    parts.push((key.clone(), self.node(node, depth + 1)?));
                }
                let masked = parts.iter().any(|(_, part)| part.masked.is_some()).then(|| {
                    let seen = |part: &Part| part.masked.as_ref().unwrap_or(&part.value).clone();
                    Value::Object(parts.iter().map(|(key, part)| (key.clone(), seen(part))).collect())
                });
                let fields: Map<String, Value> = parts.into_iter().map(|(key, part)| (key, part.value)).collect();
                Ok(Part {
                    value: Value::Object(fields),
                    masked,
                })
            }
        }
    }

    fn text(&mut self, pieces: &[Piece]) -> Result<Part, ExpressionError> {
        let mut text = String::new();
        let mut masked = String::new();
        let mut any_secret = false;
        for piece in pieces {
            match piece {
                Piece::Text(literal) => {
                    text.push_str(literal);
                    masked.push_str(literal);
                }
                Piece::Code(index) => {
                    let (value, secret) = self.code(*index, 0)?;
                    let part = self.as_text(*index, &value)?;
                    text.push_str(&part);
                    if secret {
                        any_secret = true;
                        self.remember(&value);
                        masked.push_str(MASK);
                    } else {
                        masked.push_str(&part);
                    }
                }
            }
            if text.len() > self.moment.limits.string_bytes {
                let index = pieces.iter().find_map(|piece| match piece {
                    Piece::Code(index) => Some(*index),
                    Piece::Text(_) => None,
                });
                let limit = self.moment.limits.string_bytes;
                return Err(self.error(
                    index.unwrap_or_default(),
                    ExpressionError::LIMIT,
                    format!("the text has more than {limit} bytes"),
                ));
            }
        }
        Ok(Part {
            value: Value::String(text),
            masked: any_secret.then_some(Value::String(masked)),
        })
    }

    /// A value inside a text.
    fn as_text(&self, index: usize, value: &Value) -> Result<String, ExpressionError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Null => {
                let code = &self.codes[index];
                let path = code.expression.source();
                let error = self.error(
                    index,
                    ExpressionError::UNDEFINED,
                    format!("`{}` is null, which has no text", crate::error::shorten(path, 200)),
                );
                Err(error.with_hint(Some(format!(
                    "give what to write instead, as in `${{{} ?: \"\"}}`",
                    crate::error::shorten(path, 60)
                ))))
            }
            other => Ok(other.to_string()),
        }
    }

    /// The value of one expression and whether it is secret.
    fn code(&mut self, index: usize, depth: usize) -> Result<(Value, bool), ExpressionError> {
        let code = &self.codes[index];
        self.moment.seed = self.seed ^ place_hash(&code.pointer, code.offset);
        let levels = self.moment.limits.nesting.saturating_sub(depth);
        let evaluated = code
            .expression
            .evaluate_within(self.scope, &self.moment, levels)
            .map_err(|error| error.at(&code.pointer))?;
        match evaluated.value {
            Some(value) => Ok((value, evaluated.secret)),
            None => Err(code.expression.undefined(self.scope).at(&code.pointer)),
        }
    }

    fn error(&self, index: usize, code: &'static str, message: String) -> ExpressionError {
        let place = &self.codes[index];
        ExpressionError::new(code, place.expression.source(), message).at(&place.pointer)
    }

    /// Notes the texts of a secret value: every text and number in it, but not the names of its fields.
    fn remember(&mut self, value: &Value) {
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                Value::Array(items) => {
                    waiting.extend(items);
                    continue;
                }
                Value::Object(fields) => {
                    waiting.extend(fields.values());
                    continue;
                }
                Value::Null | Value::Bool(_) => continue,
            };
            if !text.is_empty() && self.noted.insert(text.clone()) {
                self.secrets.push(text);
            }
        }
    }
}

/// FNV-1a: a number for a place that stays the same across versions, so that a replay draws the same random
/// numbers.
fn place_hash(pointer: &str, offset: usize) -> u64 {
    let offset = (offset as u64).to_le_bytes();
    pointer.bytes().chain(offset).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
