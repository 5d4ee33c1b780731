//! The names an expression can read.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use serde_json::Value;

/// A value under a name, shared and not copied, and whether it must not be seen.
#[derive(Clone)]
pub struct Binding {
    /// The value.
    pub value: Arc<Value>,
    /// Whether it is secret: an expression that reads it yields a secret.
    pub secret: bool,
}

impl Binding {
    /// A value that may be seen.
    pub fn open(value: impl Into<Arc<Value>>) -> Self {
        Self {
            value: value.into(),
            secret: false,
        }
    }

    /// A value that must not be seen.
    pub fn secret(value: impl Into<Arc<Value>>) -> Self {
        Self {
            value: value.into(),
            secret: true,
        }
    }
}

impl std::fmt::Debug for Binding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.secret {
            f.write_str(crate::MASK)
        } else {
            self.value.fmt(f)
        }
    }
}

/// Where names get their values. Only the names an expression reads are asked for.
pub trait Scope {
    /// The value of a name, or `None` if there is no such name.
    fn get(&self, name: &str) -> Option<Binding>;

    /// Every name there is, for expressions that read everything (`$$`) and for hints.
    fn names(&self) -> Vec<String>;
}

impl Scope for BTreeMap<String, Binding> {
    fn get(&self, name: &str) -> Option<Binding> {
        BTreeMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }
}

impl<S: BuildHasher> Scope for std::collections::HashMap<String, Binding, S> {
    fn get(&self, name: &str) -> Option<Binding> {
        std::collections::HashMap::get(self, name).cloned()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

impl<S: Scope + ?Sized> Scope for &S {
    fn get(&self, name: &str) -> Option<Binding> {
        (**self).get(name)
    }

    fn names(&self) -> Vec<String> {
        (**self).names()
    }
}
