//! What can be wrong with an expression or a template.
//!
//! [`CompileError`] and [`TemplateError`] are found when a workflow is loaded, [`ExpressionError`] when it
//! runs. None of them ever contains the value of a secret; names and types are not secret.

use std::fmt;

/// An expression that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", hint_suffix(.hint.as_deref()))]
pub struct CompileError {
    /// One sentence.
    pub message: String,
    /// Where in the expression's text, in bytes.
    pub offset: usize,
    /// JSONata's own code (`S0201`), or one of ours: `empty`, `too-long`, `too-deep`, `unknown-variable`,
    /// `not-available`, `bad-regex`.
    pub code: String,
    /// What to write instead, where that is clear.
    pub hint: Option<String>,
}

impl CompileError {
    pub(crate) fn new(code: &str, offset: usize, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            offset,
            code: code.to_owned(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// A string of a template that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{message}{}", place_prefix(.pointer), hint_suffix(.hint.as_deref()))]
pub struct TemplateError {
    /// JSON pointer of the string in the template; empty when the template is that string.
    pub pointer: String,
    /// Where in that string, in bytes.
    pub offset: usize,
    /// One sentence.
    pub message: String,
    /// What to write instead, where that is clear.
    pub hint: Option<String>,
}

/// An expression that gave no usable value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpressionError {
    /// `expression.undefined`: a path does not exist, or is null where a text is needed.
    /// `expression.failed`: JSONata could not compute it, or `$error` was called.
    /// `expression.limit`: it needed more than [`Limits`](crate::Limits) allow.
    pub code: &'static str,
    /// One sentence; for JSONata's own errors it starts with JSONata's code.
    pub message: String,
    /// JSON pointer of the string in the template; empty for the template itself or a lone expression.
    pub pointer: String,
    /// The text of the expression, without `${` and `}`.
    pub source_text: String,
    /// What to write instead, where that is clear.
    pub hint: Option<String>,
}

impl ExpressionError {
    /// [`code`](Self::code) of a path that does not exist.
    pub const UNDEFINED: &'static str = "expression.undefined";
    /// [`code`](Self::code) of a computation that JSONata refused.
    pub const FAILED: &'static str = "expression.failed";
    /// [`code`](Self::code) of a computation that needed too much.
    pub const LIMIT: &'static str = "expression.limit";

    pub(crate) fn new(code: &'static str, source_text: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            pointer: String::new(),
            source_text: source_text.to_owned(),
            hint: None,
        }
    }

    pub(crate) fn with_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn at(mut self, pointer: &str) -> Self {
        pointer.clone_into(&mut self.pointer);
        self
    }
}

impl std::error::Error for ExpressionError {}

impl fmt::Display for ExpressionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{} in `${{{}}}`{}",
            place_prefix(&self.pointer),
            self.message,
            shorten(&self.source_text, 200),
            hint_suffix(self.hint.as_deref())
        )
    }
}

fn place_prefix(pointer: &str) -> String {
    if pointer.is_empty() {
        String::new()
    } else {
        format!("{pointer}: ")
    }
}

fn hint_suffix(hint: Option<&str>) -> String {
    hint.map(|hint| format!(" ({hint})")).unwrap_or_default()
}

/// `text`, or its first `chars` characters and an ellipsis.
pub(crate) fn shorten(text: &str, chars: usize) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(chars) {
        None => text.into(),
        Some((end, _)) => format!("{}…", &text[..end]).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_tells_place_message_source_and_hint() {
        let error = ExpressionError::new(ExpressionError::UNDEFINED, "input.nam", "`input` has no `nam`")
            .at("/body/name")
            .with_hint(Some("did you mean `name`?".into()));
        assert_eq!(
            error.to_string(),
            "/body/name: `input` has no `nam` in `${input.nam}` (did you mean `name`?)"
        );
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(shorten("äöü", 2), "äö…");
        assert_eq!(shorten("äöü", 3), "äöü");
    }
}
