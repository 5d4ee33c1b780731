//! What handlers are told of who calls.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use bowline_access::{Access, AuditEntry};
use bowline_store::EntryWrite;

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
    pub(super) line: AuditEntry,
    pub(super) taken: Arc<AtomicBool>,
}

impl Note {
    /// The write that keeps the line, for the commit of what is done.
    ///
    /// # Errors
    /// Where there are no random numbers.
    pub fn write(&self) -> Result<EntryWrite, Problem> {
        let write = self
            .access
            .audit_write(self.line.clone())
            .map_err(|error| Problem::internal(&error))?;
        self.taken.store(true, Ordering::Release);
        Ok(write)
    }

    /// The line, for operations that write it together with what they do. They have to succeed or to fail as a whole.
    pub fn line(&self) -> AuditEntry {
        self.taken.store(true, Ordering::Release);
        self.line.clone()
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
