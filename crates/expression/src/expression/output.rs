//! Results as values, within the limits.

use std::rc::Rc;

use jlens_core::output::{Builder, Member};
use serde_json::{Map, Number, Value};

use super::input::Inputs;

/// A result that is too large or nested too deeply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooMuch {
    /// More bytes than allowed.
    Bytes,
    /// More levels than allowed.
    Levels,
}

/// What is left of a result's limits.
pub(crate) struct Budget {
    bytes: usize,
    levels: usize,
}

impl Budget {
    pub(crate) fn new(bytes: usize, levels: usize) -> Self {
        Self { bytes, levels }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TooMuch> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(TooMuch::Bytes)?;
        Ok(())
    }

    /// A copy of a value. The recursion is as deep as the levels that are left, never deeper.
    pub(crate) fn copy(&mut self, value: &Value) -> Result<Value, TooMuch> {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {
                self.spend(5)?;
                Ok(value.clone())
            }
            Value::String(text) => {
                self.spend(text.len() + 2)?;
                Ok(value.clone())
            }
            Value::Array(items) => self.inside(|budget| {
                budget.spend(2)?;
                let mut copies = Vec::with_capacity(items.len());
                for item in items {
                    budget.spend(1)?;
                    copies.push(budget.copy(item)?);
                }
                Ok(Value::Array(copies))
            }),
            Value::Object(fields) => self.inside(|budget| {
                budget.spend(2)?;
                let mut copies = Map::with_capacity(fields.len());
                for (key, field) in fields {
                    budget.spend(key.len() + 4)?;
                    copies.insert(key.clone(), budget.copy(field)?);
                }
                Ok(Value::Object(copies))
            }),
        }
    }

    fn inside(&mut self, copy: impl FnOnce(&mut Self) -> Result<Value, TooMuch>) -> Result<Value, TooMuch> {
        self.levels = self.levels.checked_sub(1).ok_or(TooMuch::Levels)?;
        let copied = copy(self);
        self.levels += 1;
        copied
    }
}

/// Builds the result of one evaluation. Once a limit is exceeded it builds nothing more, and
/// [`finish`](Self::finish) tells.
pub(crate) struct Writer<'a> {
    inputs: Rc<Inputs<'a>>,
    budget: Budget,
    failed: Option<TooMuch>,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(inputs: Rc<Inputs<'a>>, budget: Budget) -> Self {
        Self {
            inputs,
            budget,
            failed: None,
        }
    }

    pub(crate) fn finish(self) -> Result<(), TooMuch> {
        self.failed.map_or(Ok(()), Err)
    }

    /// `build`'s value if it costs no more than is left.
    fn charged(&mut self, bytes: usize, build: impl FnOnce(&mut Self) -> Value) -> Value {
        if self.failed.is_none() {
            match self.budget.spend(bytes) {
                Ok(()) => return build(self),
                Err(error) => self.failed = Some(error),
            }
        }
        Value::Null
    }

    fn enter(&mut self) {
        match self.budget.levels.checked_sub(1) {
            Some(left) => self.budget.levels = left,
            None => {
                self.failed.get_or_insert(TooMuch::Levels);
            }
        }
    }

    fn leave(&mut self) {
        if self.failed.is_none() {
            self.budget.levels += 1;
        }
    }
}

impl Builder for Writer<'_> {
    type Value = Value;
    type Array = Vec<Value>;
    type Object = Map<String, Value>;

    fn null(&mut self) -> Value {
        self.charged(4, |_| Value::Null)
    }

    fn bool(&mut self, value: bool) -> Value {
        self.charged(5, |_| Value::Bool(value))
    }

    fn number(&mut self, value: f64) -> Value {
        self.charged(5, |writer| {
            if let Some(exact) = writer.inputs.exact(value) {
                return Value::Number(exact);
            }
            // Beyond 2^53 a floating-point number no longer tells which whole number was meant.
            if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
                return Value::from(value as i64);
            }
            Number::from_f64(value).map_or(Value::Null, Value::Number)
        })
    }

    fn string(&mut self, value: &str) -> Value {
        self.charged(value.len() + 2, |_| Value::String(value.to_owned()))
    }

    fn array(&mut self, len: usize) -> Vec<Value> {
        self.enter();
        Vec::with_capacity(if self.failed.is_some() { 0 } else { len })
    }

    fn push(&mut self, array: &mut Vec<Value>, item: Value) {
        if self.failed.is_none() {
            array.push(item);
        }
    }

    fn end_array(&mut self, array: Vec<Value>) -> Value {
        self.leave();
        self.charged(2 + array.len(), |_| Value::Array(array))
    }

    fn object(&mut self, _: usize) -> Map<String, Value> {
        self.enter();
        Map::new()
    }

    fn insert(&mut self, object: &mut Map<String, Value>, key: &str, value: Value) {
        if self.failed.is_none() {
            object.insert(key.to_owned(), value);
        }
    }

    fn end_object(&mut self, object: Map<String, Value>) -> Value {
        self.leave();
        let keys: usize = object.keys().map(|key| key.len() + 4).sum();
        self.charged(2 + keys, |_| Value::Object(object))
    }

    fn input(&mut self, member: Member) -> Option<Value> {
        if !member.of(&self.inputs) {
            return None;
        }
        let value = self.inputs.value(member.index())?;
        if self.failed.is_some() {
            return Some(Value::Null);
        }
        Some(self.budget.copy(value).unwrap_or_else(|error| {
            self.failed = Some(error);
            Value::Null
        }))
    }
}
