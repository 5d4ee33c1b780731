//! The evaluator's errors as ours.
//!
//! JSONata's messages quote values. Where a secret was read they are written again without them, from the
//! catalogue's text and the parts that cannot hold a value.

use jlens_core::Error;

use crate::error::{CompileError, ExpressionError, shorten};
use crate::{MASK, hint};

/// How many characters of a message are kept; values in it can be of any size.
const MESSAGE_CHARS: usize = 400;

/// A syntax error.
pub(crate) fn syntax(source: &str, error: &Error) -> CompileError {
    let mut offset = error.span().map_or(source.len(), |span| span.start).min(source.len());
    while !source.is_char_boundary(offset) {
        offset -= 1;
    }
    let hint = hint::hyphenated(source, offset).map(hint::backticks);
    CompileError::new(error.code(), offset, shorten(&error.message(), MESSAGE_CHARS)).with_hint(hint)
}

/// An error of an evaluation. `secret` says whether a secret was among the values.
pub(crate) fn runtime(source: &str, error: &Error, secret: bool) -> ExpressionError {
    let code = if is_limit(error.code()) {
        ExpressionError::LIMIT
    } else {
        ExpressionError::FAILED
    };
    let text = if secret && !is_limit(error.code()) {
        without_values(source, error).message()
    } else {
        error.message()
    };
    let message = format!("{}: {}", error.code(), shorten(&text, MESSAGE_CHARS));
    ExpressionError::new(code, source, message)
}

/// Errors that say that too much was needed. Their messages hold limits and sizes only.
fn is_limit(code: &str) -> bool {
    matches!(
        code,
        "D1011" | "D1012" | "D2014" | "D2015" | "D2016" | "U1001" | "U1006"
    )
}

/// The error with `***` for every detail that may come from a value.
fn without_values(source: &str, error: &Error) -> Error {
    let mut clean = Error::new(error.code());
    for detail in ["value", "value2", "exp", "message", "type", "functionName"] {
        if error.detail(detail).is_some() {
            clean = clean.with(detail, MASK);
        }
    }
    if let Some(index) = error.detail("index").and_then(serde_json::Value::as_u64) {
        clean = clean.with("index", index);
    }
    if let Some(token) = error.token() {
        let written = source.contains(&token);
        clean = clean.with("token", if written { token } else { MASK.to_owned() });
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_told_unless_one_was_secret() {
        let error = Error::new("D3030").with("value", "hunter2").with("token", "number");
        let open = runtime("$number(a)", &error, false);
        assert_eq!(open.message, r#"D3030: Unable to cast value to a number: "hunter2""#);
        let secret = runtime("$number(a)", &error, true);
        assert_eq!(secret.message, r#"D3030: Unable to cast value to a number: "***""#);
    }

    #[test]
    fn a_token_that_is_not_written_in_the_expression_is_not_shown() {
        let error = Error::new("T2001").with("token", "hunter2");
        assert!(!runtime("a + b", &error, true).message.contains("hunter2"));
        let error = Error::new("T2001").with("token", "+");
        assert!(runtime("a + b", &error, true).message.contains("\"+\""));
    }

    #[test]
    fn limits_have_their_own_code() {
        assert_eq!(runtime("a", &Error::new("U1006"), false).code, ExpressionError::LIMIT);
        assert_eq!(runtime("a", &Error::new("T2001"), false).code, ExpressionError::FAILED);
    }
}
