//! What handlers are told of who calls.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bowline_access::{Access, AuditEntry};
use bowline_store::EntryWrite;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Who calls: a [`bowline_access::Caller`]. Handlers take it as an argument.
#[derive(Clone, Debug)]
pub struct Caller(pub bowline_access::Caller);

impl Deref for Caller {
    type Target = bowline_access::Caller;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// The line of the audit log about this request. A handler that has it written in the commit of what it does takes it as an
/// argument; otherwise the guard writes it after the answer.
#[derive(Clone)]
pub struct Note {
    pub(super) access: Access,
    line: AuditEntry,
    told: Arc<Told>,
}

/// What a handler says of its line. All clones of a [`Note`] know it.
#[derive(Default)]
struct Told {
    detail: Mutex<Map<String, Value>>,
    taken: AtomicBool,
    /// Nothing is changed.
    look: AtomicBool,
    /// What is said only where it is done.
    made: Mutex<Map<String, Value>>,
}

impl Note {
    pub(super) fn new(access: Access, line: AuditEntry) -> Self {
        Self {
            access,
            line,
            told: Arc::default(),
        }
    }

    /// Says more about what is done, whatever comes of it: names and ids, no secrets and no payloads. The address of the
    /// request is in the line already.
    pub fn say(&self, name: &str, what: impl Into<Value>) {
        let mut detail = self.told.detail.lock().unwrap_or_else(PoisonError::into_inner);
        detail.insert(name.to_owned(), what.into());
    }

    /// As [`Note::say`], of what is there only if it is done, such as the id of a new execution: a refusal does not name it.
    pub fn say_made(&self, name: &str, what: impl Into<Value>) {
        let mut made = self.told.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(name.to_owned(), what.into());
    }

    /// Says that this only looks, as a check before a change does: it is no line.
    pub fn only_looks(&self) {
        self.told.look.store(true, Ordering::Release);
    }

    /// Whether nothing is changed.
    pub(super) fn is_look(&self) -> bool {
        self.told.look.load(Ordering::Acquire)
    }

    /// The write that keeps the line, for the commit of what is done.
    ///
    /// # Errors
    /// Where there are no random numbers.
    pub fn write(&self) -> Result<EntryWrite, Problem> {
        let line = self.line();
        self.access.audit_write(line).map_err(|error| Problem::internal(&error))
    }

    /// The line, for operations that write it together with what they do. They have to succeed or to fail as a whole.
    pub fn line(&self) -> AuditEntry {
        self.told.taken.store(true, Ordering::Release);
        self.about_done()
    }

    /// Whether somebody else writes it.
    pub(super) fn is_taken(&self) -> bool {
        self.told.taken.load(Ordering::Acquire)
    }

    /// The line with what was said, and what was made.
    pub(super) fn about_done(&self) -> AuditEntry {
        let made = self.told.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = self.about();
        if !made.is_empty() {
            let mut detail = match line.detail {
                Value::Object(detail) => detail,
                _ => Map::new(),
            };
            detail.extend(made.clone());
            line.detail = Value::Object(detail);
        }
        line
    }

    /// The line with what was said.
    pub(super) fn about(&self) -> AuditEntry {
        let detail = self.told.detail.lock().unwrap_or_else(PoisonError::into_inner);
        let mut line = self.line.clone();
        if !detail.is_empty() {
            line.detail = Value::Object(detail.clone());
        }
        line
    }
}

/// Takes what the guard has put there for the routes that have a rule.
fn taken<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T, Problem> {
    let found = parts.extensions.get::<T>().cloned();
    found.ok_or_else(|| Problem::internal(&"a handler asks who calls on a route without a rule"))
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        taken(parts)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Note {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        taken(parts)
    }
}
