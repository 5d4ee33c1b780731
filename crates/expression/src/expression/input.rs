//! Values as an evaluation reads them: in place, one level at a time.
//!
//! Nothing of a scope is copied before an evaluation. [`Inputs`] hands the evaluator one object or array at a
//! time, when it gets there, and [`Writer`](super::output::Writer) takes untouched parts of the result from
//! the original values. An evaluator's numbers are 64-bit floating point; whole numbers that do not fit are
//! remembered in [`Inputs`], so that one which only passes through comes out exactly.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::{Rc, Weak};

use jlens_core::input::{Sink, Source, Sources};
use serde_json::{Number, Value};

use crate::scope::Binding;

/// One array or object that the evaluator may read.
#[derive(Clone, Copy)]
enum Member<'a> {
    /// The object of all names.
    Roots,
    /// A value below it.
    Json(&'a Value),
}

/// The values of one evaluation.
pub(crate) struct Inputs<'a> {
    roots: &'a [(String, Binding)],
    members: RefCell<Vec<Member<'a>>>,
    /// Whole numbers that floating point cannot hold, by the bits of what it makes of them; `None` if two
    /// numbers became the same.
    inexact: RefCell<HashMap<u64, Option<Number>>>,
    any_inexact: Cell<bool>,
    this: Weak<Self>,
}

impl<'a> Inputs<'a> {
    pub(crate) fn new(roots: &'a [(String, Binding)]) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            roots,
            members: RefCell::new(vec![Member::Roots]),
            inexact: RefCell::default(),
            any_inexact: Cell::new(false),
            this: this.clone(),
        })
    }

    /// The value that a member stands for; `None` for the object of all names.
    pub(crate) fn value(&self, index: u32) -> Option<&'a Value> {
        match self.members.borrow().get(index as usize) {
            Some(Member::Json(value)) => Some(value),
            _ => None,
        }
    }

    /// The whole number that became `float` when it was read.
    pub(crate) fn exact(&self, float: f64) -> Option<Number> {
        if !self.any_inexact.get() {
            return None;
        }
        self.inexact.borrow().get(&float.to_bits()).cloned().flatten()
    }

    fn member(&self, index: u32) -> Result<Member<'a>, String> {
        self.members
            .borrow()
            .get(index as usize)
            .copied()
            .ok_or_else(|| "a value was asked for that was never offered".to_owned())
    }

    fn write(&self, value: &'a Value, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        match value {
            Value::Null => sink.null(),
            Value::Bool(value) => sink.bool(*value),
            Value::Number(number) => sink.number(self.float(number)),
            Value::String(text) => sink.string(text),
            Value::Array(_) | Value::Object(_) => {
                let this = self.this.upgrade().ok_or("the values are gone")?;
                let index = {
                    let mut members = self.members.borrow_mut();
                    members.push(Member::Json(value));
                    u32::try_from(members.len() - 1).map_err(|_| "too many values")?
                };
                if value.is_array() {
                    sink.array_of(&this, index);
                } else {
                    sink.object_of(&this, index);
                }
            }
        }
        Ok(())
    }

    fn float(&self, number: &Number) -> f64 {
        let float = number.as_f64().unwrap_or(f64::NAN);
        let whole = number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from));
        if whole.is_some_and(|whole| float as i128 != whole) {
            self.any_inexact.set(true);
            self.inexact
                .borrow_mut()
                .entry(float.to_bits())
                .and_modify(|known| {
                    if known.as_ref() != Some(number) {
                        *known = None;
                    }
                })
                .or_insert_with(|| Some(number.clone()));
        }
        float
    }
}

impl<'a> Sources<'a> for Inputs<'a> {
    fn read(&self, index: u32, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        match self.member(index)? {
            Member::Roots => {
                for (name, binding) in self.roots {
                    sink.key(name);
                    self.write(&binding.value, sink)?;
                }
            }
            Member::Json(Value::Array(items)) => {
                sink.reserve(items.len());
                for item in items {
                    self.write(item, sink)?;
                }
            }
            Member::Json(Value::Object(fields)) => {
                sink.reserve(fields.len());
                for (key, value) in fields {
                    sink.key(key);
                    self.write(value, sink)?;
                }
            }
            Member::Json(_) => {}
        }
        Ok(())
    }

    fn read_field(&self, index: u32, key: &str, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        let field = match self.member(index)? {
            Member::Roots => self
                .roots
                .iter()
                .find(|(name, _)| name == key)
                .map(|(_, binding)| &*binding.value),
            Member::Json(Value::Object(fields)) => fields.get(key),
            Member::Json(_) => return Ok(false),
        };
        if let Some(field) = field {
            self.write(field, sink)?;
        }
        Ok(true)
    }

    fn length(&self, index: u32) -> Option<usize> {
        match self.member(index) {
            Ok(Member::Json(Value::Array(items))) => Some(items.len()),
            _ => None,
        }
    }

    fn read_item(&self, index: u32, item: usize, sink: &mut Sink<'_, 'a>) -> Result<bool, String> {
        let Member::Json(Value::Array(items)) = self.member(index)? else {
            return Ok(false);
        };
        if let Some(item) = items.get(item) {
            self.write(item, sink)?;
        }
        Ok(true)
    }
}

/// The document an evaluation starts from: the object of all names.
pub(crate) struct Document<'a>(pub(crate) Rc<Inputs<'a>>);

impl<'a> Source<'a> for Document<'a> {
    fn read(&self, sink: &mut Sink<'_, 'a>) -> Result<(), String> {
        sink.object_of(&self.0, 0);
        Ok(())
    }
}
