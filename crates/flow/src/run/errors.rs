//! How errors look to expressions, and how expressions' errors look to the core.

use bowline_core::{ErrorKind, StepError};
use bowline_expression::ExpressionError;
use serde_json::{Value, json};

use crate::plan::Location;

/// An error as `catch`, `workflow.errors` and `steps.<id>.error` show it.
pub(crate) fn as_value(error: &StepError) -> Value {
    let mut value = json!({ "code": error.code, "message": error.message, "kind": kind(error.kind) });
    if !error.causes.is_empty() {
        value["causes"] = json!(error.causes);
    }
    if let Some(data) = &error.data {
        value["data"] = Value::clone(data);
    }
    value
}

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Permanent => "permanent",
        ErrorKind::Transient => "transient",
        ErrorKind::After(_) => "after",
        ErrorKind::OutcomeUnknown => "outcome-unknown",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Timeout => "timeout",
    }
}

/// An expression that gave nothing usable is a permanent error of its step, told with its place.
pub(crate) fn expression(error: &ExpressionError, at: &Location, what: &str) -> StepError {
    StepError::permanent(error.code, format!("{at}: {what}: {error}"))
}

/// A value that is of the wrong sort.
pub(crate) fn wrong(at: &Location, what: &str, expected: &str, found: &Value) -> StepError {
    let found = match found {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    };
    StepError::permanent(
        "expression.type",
        format!("{at}: {what}: expected {expected}, found {found}"),
    )
}
