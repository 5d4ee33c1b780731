//! What is wrong with a document: all of it at once, each with its place and a way to mend it.

use std::fmt;

use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::codes::Code;
use crate::plan::Location;

/// One thing that is wrong with a document.
///
/// Its `Display` is what the terminal shows:
/// ```text
/// orders.yaml:14:7: steps[2].config.metod: unknown field `metod`
///   expected one of: url, method, headers, body
///   hint: did you mean `method`?
///   [BOW0107]
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The number under which `bowline explain` tells more.
    pub code: Code,
    /// Where it stands.
    pub location: Location,
    /// What is wrong, as one line.
    pub message: String,
    /// What would be right there.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, location: Location, message: impl Into<String>) -> Self {
        Self {
            code,
            location,
            message: message.into(),
            expected: None,
            hint: None,
        }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
}

/// One line of text, whatever a document put into it: no line breaks and no terminal control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", one_line(&self.location.to_string()))?;
        if !self.location.path.is_empty() {
            write!(f, "{}: ", one_line(&self.location.path))?;
        }
        writeln!(f, "{}", one_line(&self.message))?;
        if let Some(expected) = &self.expected {
            writeln!(f, "  expected {}", one_line(expected))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "  hint: {}", one_line(hint))?;
        }
        write!(f, "  [{}]", self.code)
    }
}

/// For `--json`: `code`, `file`, `line`, `column`, `path`, `message`, `expected`, `hint`.
impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Problem", 8)?;
        fields.serialize_field("code", &self.code.to_string())?;
        fields.serialize_field("file", &*self.location.file)?;
        fields.serialize_field("line", &self.location.line)?;
        fields.serialize_field("column", &self.location.column)?;
        fields.serialize_field("path", &self.location.path)?;
        fields.serialize_field("message", &self.message)?;
        fields.serialize_field("expected", &self.expected)?;
        fields.serialize_field("hint", &self.hint)?;
        fields.end()
    }
}

/// Everything that is wrong with a document, in the order of the document; never empty, and at most
/// [`Problems::MOST`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// How many problems are told at most. The others come up once these are mended.
    pub const MOST: usize = 500;
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
        }
        match self.0.len() {
            1 => write!(f, "1 problem"),
            Self::MOST => write!(f, "{} problems, and perhaps more", Self::MOST),
            count => write!(f, "{count} problems"),
        }
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}
