//! One expression: compiled once, evaluated often.
//!
//! The language is JSONata; the evaluator behind it is private to this folder. An expression is evaluated
//! against an object that holds the roots it reads and nothing else. What it reads is found when it is
//! compiled, so secrets need no tracking through the computation: if a secret root went in, the result is a
//! secret. An expression that reads everything (`$`, `$$`, `**`) is given all names but the secret ones.
//!
//! Whole numbers beyond 2^53 pass through exactly as long as nothing is computed with them.

mod check;
mod failure;
mod input;
mod output;
mod path;
mod undefined;

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use jlens_core::Bindings;
use jlens_core::reads::Read;
use serde_json::Value;

use self::input::{Document, Inputs};
use self::output::{Budget, TooMuch, Writer};
use self::path::Walk;
use crate::error::{CompileError, ExpressionError};
use crate::limits::Moment;
use crate::scope::{Binding, Scope};

/// The body of one `${}`, compiled. Clones share it.
#[derive(Clone)]
pub struct Expression(Arc<Inner>);

struct Inner {
    compiled: jlens_core::Expression,
    roots: Roots,
    paths: Vec<Vec<String>>,
    plain: Option<Vec<String>>,
}

/// The top-level names an expression reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roots {
    /// The names, sorted. It may read more than it turns out to need, never less.
    pub names: Vec<String>,
    /// Whether it may read every name there is (`$`, `$$`, `*`, `**`); `names` is then empty.
    pub whole: bool,
}

/// What an expression gave.
#[derive(Clone, PartialEq)]
pub struct Evaluated {
    /// The result; `None` for JSONata's undefined.
    pub value: Option<Value>,
    /// Whether a secret was read, so that the result must not be seen.
    pub secret: bool,
}

impl fmt::Debug for Evaluated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secret {
            f.write_str(crate::MASK)
        } else {
            self.value.fmt(f)
        }
    }
}

impl Expression {
    /// Compiles the text between `${` and `}`.
    ///
    /// # Errors
    /// When it is not JSONata, calls a function or reads a variable that does not exist, has a regular
    /// expression that is not valid, or is longer than 64 KiB. `$eval` is refused: what an expression reads
    /// must be known before it runs.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        check::before(source)?;
        let compiled = jlens_core::Expression::compile(source).map_err(|error| failure::syntax(source, &error))?;
        check::after(source, &compiled)?;
        let plain = path::plain(&compiled.ast().root);
        let reads = compiled.reads();
        let (roots, paths) = match reads.input() {
            None => (Roots::default(), Vec::new()),
            Some(Read::Whole) => (
                Roots {
                    names: Vec::new(),
                    whole: true,
                },
                Vec::new(),
            ),
            Some(read) => {
                let mut paths = Vec::new();
                collect_paths(read, &mut Vec::new(), &mut paths);
                let names = read
                    .fields()
                    .map(|fields| fields.keys().cloned().collect())
                    .unwrap_or_default();
                (Roots { names, whole: false }, paths)
            }
        };
        Ok(Self(Arc::new(Inner {
            compiled,
            roots,
            paths,
            plain,
        })))
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        self.0.compiled.source()
    }

    /// The top-level names it reads.
    pub fn roots(&self) -> &Roots {
        &self.0.roots
    }

    /// The paths of names it may read, such as `["input", "user", "name"]`, for checks against what is known
    /// about the shape of values. Arrays on the way are not part of a path. Empty if it reads everything.
    pub fn paths(&self) -> &[Vec<String>] {
        &self.0.paths
    }

    /// The names if the expression is only a path of names, such as `input.user.name`: then its result is
    /// undefined exactly if the path does not exist.
    pub fn path(&self) -> Option<&[String]> {
        self.0.plain.as_deref()
    }

    /// Evaluates it. `scope` is asked for the names it reads only.
    ///
    /// # Errors
    /// [`ExpressionError::FAILED`] and [`ExpressionError::LIMIT`]; undefined is not an error here.
    pub fn evaluate(&self, scope: &dyn Scope, moment: &Moment) -> Result<Evaluated, ExpressionError> {
        self.evaluate_within(scope, moment, moment.limits.nesting)
    }

    /// Evaluates it with a result of at most so many levels.
    pub(crate) fn evaluate_within(
        &self,
        scope: &dyn Scope,
        moment: &Moment,
        levels: usize,
    ) -> Result<Evaluated, ExpressionError> {
        match self.evaluate_path(scope, moment, levels) {
            Some(result) => result,
            None => self.evaluate_jsonata(scope, moment, levels),
        }
    }

    /// Why it gave undefined, as an error.
    pub(crate) fn undefined(&self, scope: &dyn Scope) -> ExpressionError {
        undefined::explain(self, scope)
    }

    /// The value of a plain path, in place; `None` if it takes an evaluator to find it.
    fn evaluate_path(
        &self,
        scope: &dyn Scope,
        moment: &Moment,
        levels: usize,
    ) -> Option<Result<Evaluated, ExpressionError>> {
        let (root, rest) = self.0.plain.as_deref()?.split_first()?;
        let Some(binding) = scope.get(root) else {
            return Some(Ok(Evaluated {
                value: None,
                secret: false,
            }));
        };
        let value = match path::walk(&binding.value, rest) {
            Walk::Beyond => return None,
            Walk::Missing => None,
            Walk::Found(found) => match Budget::new(moment.limits.result_bytes, levels).copy(found) {
                Ok(value) => Some(value),
                Err(error) => return Some(Err(self.too_much(error, moment))),
            },
        };
        Some(Ok(Evaluated {
            value,
            secret: binding.secret,
        }))
    }

    fn evaluate_jsonata(
        &self,
        scope: &dyn Scope,
        moment: &Moment,
        levels: usize,
    ) -> Result<Evaluated, ExpressionError> {
        let roots = self.bindings(scope);
        let secret = roots.iter().any(|(_, binding)| binding.secret);
        let inputs = Inputs::new(&roots);
        let limits = &moment.limits;
        let options = jlens_core::Options::new()
            .timeout(limits.time)
            .max_steps(limits.steps)
            .max_depth(limits.depth)
            .max_string_length(limits.string_bytes)
            .max_array_length(limits.array_items)
            .max_result_size(limits.result_bytes)
            .now(moment.now_ms)
            .seed(moment.seed);
        let variables = Bindings::new();
        let written =
            self.0
                .compiled
                .evaluate_source_to(&Document(Rc::clone(&inputs)), &variables, &options, |output| {
                    let budget = Budget::new(limits.result_bytes, levels);
                    let mut writer = Writer::new(Rc::clone(&inputs), budget);
                    let value = output.write(&mut writer)?;
                    Ok(writer.finish().map(|()| value))
                });
        match written {
            Ok(Ok(value)) => Ok(Evaluated { value, secret }),
            Ok(Err(error)) => Err(self.too_much(error, moment)),
            Err(error) => {
                let hint = undefined::backtick_hint(self, scope);
                Err(failure::runtime(self.source(), &error, secret).with_hint(hint))
            }
        }
    }

    /// What goes in: the roots it reads, or every name that is not secret.
    fn bindings(&self, scope: &dyn Scope) -> Vec<(String, Binding)> {
        let roots = &self.0.roots;
        if roots.whole {
            scope
                .names()
                .into_iter()
                .filter_map(|name| Some((scope.get(&name).filter(|binding| !binding.secret)?, name)))
                .map(|(binding, name)| (name, binding))
                .collect()
        } else {
            roots
                .names
                .iter()
                .filter_map(|name| Some((name.clone(), scope.get(name)?)))
                .collect()
        }
    }

    fn too_much(&self, error: TooMuch, moment: &Moment) -> ExpressionError {
        let message = match error {
            TooMuch::Bytes => format!("the result has more than {} bytes", moment.limits.result_bytes),
            TooMuch::Levels => format!(
                "the result nests arrays and objects more than {} levels deep",
                moment.limits.nesting
            ),
        };
        ExpressionError::new(ExpressionError::LIMIT, self.source(), message)
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source()).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expression {}

/// The paths to the ends of a tree of reads, which is at most a hundred levels deep.
fn collect_paths(read: &Read, prefix: &mut Vec<String>, paths: &mut Vec<Vec<String>>) {
    match read.fields() {
        Some(fields) if !fields.is_empty() => {
            for (name, read) in fields {
                prefix.push(name.clone());
                collect_paths(read, prefix, paths);
                prefix.pop();
            }
        }
        _ if prefix.is_empty() => {}
        _ => paths.push(prefix.clone()),
    }
}

#[cfg(test)]
mod tests;
