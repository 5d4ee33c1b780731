//! `respond`: the answer to whoever started the workflow and waits for one.

use bowline_core::{RESPONSE, StepError};
use serde_json::{Map, Value, json};

use super::errors;
use super::walk::{Flow, Scope, payload};
use crate::plan::{Respond, Step};

impl Scope {
    /// Records the answer. It does not matter here whether somebody waits for it.
    pub(crate) async fn respond(&self, step: &Step, respond: &Respond) -> Result<Flow, StepError> {
        let status = match &respond.status {
            Some(status) => status_of(step, self.eval(step, "status", status)?.value)?,
            None => 200,
        };
        // It leaves this program and is recorded, so a secret cannot pass.
        let headers = match &respond.headers {
            Some(headers) => headers_of(step, self.eval(step, "headers", headers)?.masked)?,
            None => Map::new(),
        };
        let body = match &respond.body {
            Some(body) => self.eval(step, "body", body)?.masked,
            None => Value::Null,
        };
        let mut response = json!({ "status": status, "headers": headers, "body": body });
        self.run.runtime.masker.scrub(&mut response);
        let answer = payload(&response)?;
        self.context.emit(&step.id, RESPONSE, None, answer).await?;
        Ok(Flow::Next(Some(std::sync::Arc::default())))
    }
}

fn status_of(step: &Step, value: Value) -> Result<u64, StepError> {
    let status = value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
    status.filter(|status| (200..=599).contains(status)).ok_or_else(|| {
        let expected = "a status from 200 to 599";
        match value {
            Value::Number(number) => invalid(step, "status", &format!("expected {expected}, found {number}")),
            other => errors::wrong(&step.location, "status", expected, &other),
        }
    })
}

fn invalid(step: &Step, what: &str, why: &str) -> StepError {
    StepError::permanent("respond.invalid", format!("{}: {what}: {why}", step.location))
}

/// Headers that can go on the wire: a name that is a token, a value on one line.
fn headers_of(step: &Step, value: Value) -> Result<Map<String, Value>, StepError> {
    let Value::Object(fields) = value else {
        return Err(errors::wrong(&step.location, "headers", "an object", &value));
    };
    let mut headers = Map::new();
    for (name, value) in fields {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if name.is_empty() || !name.chars().all(is_token) {
            return Err(invalid(
                step,
                "headers",
                &format!("{name:?} cannot be the name of a header"),
            ));
        }
        let text = match value {
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            other => {
                let what = format!("headers.{name}");
                return Err(errors::wrong(&step.location, &what, "text or a number", &other));
            }
        };
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(invalid(
                step,
                "headers",
                &format!("the value of `{name}` has a line break or the like in it"),
            ));
        }
        headers.insert(name, Value::String(text));
    }
    Ok(headers)
}
