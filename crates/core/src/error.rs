//! The one error that crosses boundaries: what went wrong with a step, and what may be done about it.
//!
//! Connectors make it, the journal records it, `catch` and retry lists match it, and the terminal prints
//! it. `code` is for machines and is stable (`http.503`, `sql.unique-violation`, `timeout`); `message` is
//! one sentence for people; `causes` is the chain below it, outermost first.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

/// What the engine may do after an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorKind {
    /// The same request will fail again: bad input, no permission, refused by the service.
    Permanent,
    /// Nothing happened on the other side; try again with the step's own back-off.
    Transient,
    /// The service said when to come back (`Retry-After`). Milliseconds, measured from the failure.
    After(u64),
    /// It may have been carried out: the answer was lost. Retried with the same idempotency key.
    OutcomeUnknown,
    /// The step or its execution was cancelled.
    Cancelled,
    /// No answer within `timeout` or `totalTimeout`. Whether it was carried out is not known.
    Timeout,
}

impl ErrorKind {
    /// Whether a retry policy that lists nothing retries this kind.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        !matches!(self, Self::Permanent | Self::Cancelled)
    }

    /// Whether nobody knows if the attempt was carried out.
    #[must_use]
    pub fn is_unknown(self) -> bool {
        matches!(self, Self::OutcomeUnknown | Self::Timeout)
    }
}

/// Why a step, or a whole execution, failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepError {
    /// Stable name that users match on, such as `http.503`. Lower case, dots between levels.
    pub code: String,
    /// What may be done about it.
    pub kind: ErrorKind,
    /// One sentence, without the causes below it.
    pub message: String,
    /// Other names under which it may be matched, such as `ECONNRESET`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The chain below the message, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What the service said, where that helps to decide (status, body, headers).
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "data")]
    pub data: Option<Box<Value>>,
}

/// Reads the data by itself: what a service sent may be nested as deep as a JSON document can be, and in a
/// journal record it stands some levels further down.
fn data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<Value>>, D::Error> {
    let raw = Option::<Box<RawValue>>::deserialize(deserializer)?;
    Ok(raw.map(|raw| {
        let value = serde_json::from_str(raw.get());
        Box::new(value.unwrap_or_else(|_| Value::String(raw.get().to_owned())))
    }))
}

impl StepError {
    /// An error with a code, a kind and a message.
    pub fn new(code: impl Into<String>, kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            kind,
            message: message.into(),
            aliases: Vec::new(),
            causes: Vec::new(),
            data: None,
        }
    }

    /// [`ErrorKind::Permanent`].
    pub fn permanent(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, ErrorKind::Permanent, message)
    }

    /// [`ErrorKind::Transient`].
    pub fn transient(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(code, ErrorKind::Transient, message)
    }

    /// The error of a step or execution that was cancelled; its code is `cancelled`.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new("cancelled", ErrorKind::Cancelled, "cancelled")
    }

    /// The error of an attempt that took longer than `limit`; its code is `timeout`.
    #[must_use]
    pub fn timeout(limit: Duration) -> Self {
        Self::new("timeout", ErrorKind::Timeout, format!("no answer within {limit:?}"))
    }

    /// The error of an attempt that was under way when the engine stopped; its code is `step.outcome-unknown`.
    #[must_use]
    pub fn outcome_unknown() -> Self {
        Self::new(
            "step.outcome-unknown",
            ErrorKind::OutcomeUnknown,
            "the engine stopped while the attempt was under way, so it is not known whether it was carried out",
        )
    }

    /// Adds a name under which the error may be matched too.
    #[must_use]
    pub fn alias(mut self, name: impl Into<String>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// Adds the chain of a source error, outermost first.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut source = Some(error);
        while let Some(error) = source {
            let text = error.to_string();
            if self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            source = error.source();
        }
        self
    }

    /// Attaches what the service said.
    #[must_use]
    pub fn with_data(mut self, data: Value) -> Self {
        self.data = Some(Box::new(data));
        self
    }

    /// Whether `pattern` names this error: its code or an alias, without regard to case, with `*` for
    /// any run of characters. `http.5*` matches `http.503`; `*` matches everything but a cancellation,
    /// so that a catch-all does not swallow one.
    #[must_use]
    pub fn matches(&self, pattern: &str) -> bool {
        if self.kind == ErrorKind::Cancelled && pattern == "*" {
            return false;
        }
        std::iter::once(&self.code)
            .chain(&self.aliases)
            .any(|name| glob(&pattern.to_lowercase(), &name.to_lowercase()))
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)?;
        for cause in &self.causes {
            write!(f, ": {cause}")?;
        }
        write!(f, " [{}]", self.code)
    }
}

impl std::error::Error for StepError {}

/// `*` matches any run of characters, also none. Linear in the two lengths' product at worst.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|head| text.strip_prefix(head)) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_with_stars_and_without_case() {
        let error = StepError::transient("http.503", "busy").alias("ECONNRESET");
        for (pattern, expected) in [
            ("http.503", true),
            ("HTTP.503", true),
            ("http.*", true),
            ("*.503", true),
            ("h*.5*3", true),
            ("econnreset", true),
            ("*", true),
            ("http.50", false),
            ("http.5", false),
            ("sql.*", false),
            ("", false),
        ] {
            assert_eq!(error.matches(pattern), expected, "{pattern}");
        }
        assert!(!StepError::cancelled().matches("*"));
        assert!(StepError::cancelled().matches("cancelled"));
    }

    #[test]
    fn data_as_deep_as_a_document_may_be_reads_back_from_a_record() {
        let body: Value = serde_json::from_str(&format!("{}{}", "[".repeat(120), "]".repeat(120))).unwrap();
        let error = StepError::transient("http.503", "busy").with_data(serde_json::json!({ "body": body }));
        let event = crate::Event::Finished {
            outcome: crate::Outcome::Failed(error),
        };
        let bytes = crate::encode(std::slice::from_ref(&event)).unwrap();
        assert_eq!(crate::decode(&bytes).unwrap(), [event]);
    }

    #[test]
    fn the_chain_is_told_once() {
        let error = StepError::permanent("x", "cannot start").caused_by(&std::io::Error::other("no such thing"));
        assert_eq!(error.to_string(), "cannot start: no such thing [x]");
    }
}
