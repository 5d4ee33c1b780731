//! Attempts of which nobody knows whether they were carried out, and the steps that find out.
//!
//! With `onUnknownOutcome: {verify: ...}` such an attempt is not repeated. A step asks the service what became
//! of it: its result is taken for the answer that was lost, or it says that nothing was done (null or false),
//! and only then the call is made again, under the same idempotency key and within the same bounds.

use bowline_core::StepError;
use bowline_expression::Binding;
use serde_json::{Value, json};

use super::errors;
use super::walk::{Flow, Scope};
use crate::plan::{NodePlan, Step, StepKind};

/// The name of the step that finds out, below the path of the one it is about.
const VERIFY: &str = "verify";

/// What is known of the call that is found out about.
pub(crate) struct Unknown<'a> {
    pub(crate) name: &'a str,
    /// Attempts made so far.
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: &'a str,
    /// Its configuration with secrets masked.
    pub(crate) request: Value,
    pub(crate) error: &'a StepError,
}

impl Scope {
    /// Finds out. The answer that was lost, or none where nothing was done and the call is to be made again.
    pub(crate) async fn find_out(
        &self,
        step: &Step,
        node: &NodePlan,
        verify: &Step,
        unknown: &Unknown<'_>,
    ) -> Result<Option<Value>, StepError> {
        let names = [
            ("attempt", json!(unknown.attempt)),
            ("idempotencyKey", json!(unknown.idempotency_key)),
            ("request", unknown.request.clone()),
            ("error", errors::as_value(unknown.error)),
        ];
        let inner = self.enter(unknown.name);
        let scope = Self {
            // What is found out is read by the step it is about only.
            frame: self
                .frame
                .item(names.map(|(name, value)| (name.to_owned(), Binding::open(value)))),
            compensates: None,
            undone_by: None,
            ..inner.clone()
        };
        let found = match &verify.kind {
            StepKind::Node(found_by) => {
                Box::pin(scope.answered(verify, VERIFY, found_by, None, None))
                    .await
                    .result
            }
            _ => scope.enter(VERIFY).one(verify).await.map(|flow| match flow {
                Flow::Next(Some(found)) => Value::clone(&found),
                Flow::Return(Some(found)) => found,
                Flow::Next(None) | Flow::Return(None) => Value::Null,
            }),
        };
        let found = found.map_err(|error| {
            let mut unknown = unknown.error.clone();
            unknown.message = format!(
                "{}; and finding out whether `{}` was carried out failed: {}",
                unknown.message, step.id, error.message
            );
            unknown.caused_by(&error)
        })?;
        if !matches!(found, Value::Null | Value::Bool(false)) {
            return Ok(Some(found));
        }
        let entropy = self.context.random(unknown.name);
        match node.options.retry.pause(unknown.error, unknown.attempt, entropy) {
            None => {
                let mut error = unknown.error.clone();
                error.message = format!("{}; it was not carried out, and no attempt is left", error.message);
                Err(error)
            }
            Some(pause) => {
                inner.context.sleep("pause", pause).await?;
                Ok(None)
            }
        }
    }
}
