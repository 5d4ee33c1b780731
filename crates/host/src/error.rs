//! Why the host could not do what it was asked: a kind that callers act on, a code that users match on, and words.

use std::fmt;

use bowline_core::StepError;
use bowline_engine::EngineError;
use bowline_flow::Problems;
use bowline_store::StoreError;
use schemars::JsonSchema;
use serde::Serialize;

/// What sort of refusal it is. A server makes a status code of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// There is no such thing in this organization.
    NotFound,
    /// What was given cannot be used: it is the caller's to mend.
    Invalid,
    /// It contradicts what is there already.
    Conflict,
    /// It was there, and is over.
    Gone,
    /// What was given is larger than what is taken.
    TooLarge,
    /// Not now: the host is stopping, or its store takes nothing at the moment. Trying again may help.
    Unavailable,
    /// It is not possible in the state that the thing is in.
    Refused,
    /// A fault of this program or of its data.
    Internal,
}

/// One of several things that are wrong with what was given, with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// The number under which `bowline explain` tells more, such as `BOW0107`; empty where there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// The file that it is in; empty where it is about no file.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// The line, from 1; none where it is about no file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// What of the request's body: a JSON pointer, such as `/input/customer`; empty where it is about all of it, or about a
    /// file.
    pub pointer: String,
    /// The path in the document, such as `steps[2].config.method`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// What is wrong, as one line.
    pub message: String,
    /// What would be right there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&bowline_flow::Problem> for Problem {
    fn from(problem: &bowline_flow::Problem) -> Self {
        Self {
            code: problem.code.to_string(),
            file: problem.location.file.to_string(),
            line: Some(problem.location.line),
            column: Some(problem.location.column),
            pointer: String::new(),
            path: problem.location.path.clone(),
            message: problem.message.clone(),
            expected: problem.expected.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl Problem {
    /// A problem without a place in a file.
    #[must_use]
    pub fn plain(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// A problem of what stands there, such as a trigger.
    #[must_use]
    pub fn at(location: &bowline_flow::plan::Location, message: impl Into<String>) -> Self {
        Self {
            file: location.file.to_string(),
            line: Some(location.line),
            column: Some(location.column),
            path: location.path.clone(),
            ..Self::plain(message)
        }
    }

    /// A problem of what stands at this place of a request's body.
    pub(crate) fn of_body(pointer: String, message: impl Into<String>) -> Self {
        Self {
            pointer,
            ..Self::plain(message)
        }
    }

    /// All of them.
    #[must_use]
    pub fn all(problems: &Problems) -> Vec<Self> {
        problems.0.iter().map(Self::from).collect()
    }
}

/// Why an operation was not carried out. Its texts hold no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    /// What sort of refusal it is.
    pub kind: ErrorKind,
    /// Stable name, such as `execution.not-found`.
    pub code: &'static str,
    /// What is wrong, as one sentence.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// Everything that is wrong, where that is a list.
    pub problems: Vec<Problem>,
}

impl HostError {
    /// An error without a hint and without a list.
    pub fn new(kind: ErrorKind, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            code,
            message: message.into(),
            hint: None,
            problems: Vec::new(),
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// With everything that is wrong.
    #[must_use]
    pub fn with(mut self, problems: Vec<Problem>) -> Self {
        self.problems = problems;
        self
    }

    /// There is no such thing here.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, message)
    }

    /// What was given cannot be used.
    pub fn invalid(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, message)
    }

    pub(crate) fn no_execution(id: &str) -> Self {
        Self::not_found("execution.not-found", format!("there is no execution {id}"))
    }

    pub(crate) fn no_workflow(name: &str) -> Self {
        Self::not_found("workflow.not-found", format!("no workflow named `{name}` is deployed"))
            .hint("see the list of workflows; names are the `name` in the file, or the file's own name")
    }

    pub(crate) fn internal(code: &'static str, error: &dyn fmt::Display) -> Self {
        Self::new(ErrorKind::Internal, code, error.to_string())
    }

    /// A task of the runtime that did not end as it should.
    pub(crate) fn task(error: &tokio::task::JoinError) -> Self {
        Self::internal("task.failed", error)
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [{}]", self.message, self.code)?;
        for problem in &self.problems {
            write!(f, "\n  ")?;
            if let Some(line) = problem.line {
                write!(f, "{}:{line}: ", problem.file)?;
            }
            write!(f, "{}", problem.message)?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for HostError {}

impl From<StoreError> for HostError {
    fn from(error: StoreError) -> Self {
        of_store(&error)
    }
}

fn of_store(error: &StoreError) -> HostError {
    match error {
        StoreError::Full { .. } => HostError::new(ErrorKind::Unavailable, "store.full", error.to_string())
            .hint("make room on the disk of the data folder"),
        StoreError::Locked { .. } => HostError::new(ErrorKind::Unavailable, "store.locked", error.to_string())
            .hint("stop the other process, or use another data folder"),
        StoreError::Duplicate { id } => HostError::new(
            ErrorKind::Conflict,
            "execution.exists",
            format!("there is an execution with the id {id} already"),
        )
        .hint("leave the id away, or choose another one"),
        other => HostError::internal("store.failed", other),
    }
}

impl From<EngineError> for HostError {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Store(error) => of_store(&error),
            EngineError::Definition(error) => of_step(ErrorKind::Refused, "definition.refused", &error),
            EngineError::Stopped(_) => Self::new(ErrorKind::Unavailable, "host.stopping", text)
                .hint("try again in a moment: what was acknowledged is kept"),
            EngineError::Busy(_) => {
                Self::new(ErrorKind::Unavailable, "host.busy", text).hint("try again in a moment; nothing was changed")
            }
            EngineError::Unknown(id) => Self::no_execution(&id),
            EngineError::Ended { .. } => Self::new(ErrorKind::Gone, "execution.ended", text),
            EngineError::TooLarge { .. } => Self::new(ErrorKind::TooLarge, "answer.too-large", text),
            EngineError::TooManyKept(_) => Self::new(ErrorKind::Unavailable, "callback.too-many-kept", text)
                .hint("see which answers are kept, and drop those that nobody will wait for"),
            EngineError::BadToken => Self::not_found("callback.bad-token", text)
                .hint("use the token as it was sent; it is for one data folder"),
            EngineError::Blob(_) => Self::internal("blob.failed", &text),
            EngineError::Invalid(_) => Self::invalid("request.invalid", text),
            EngineError::Stuck(_) => Self::new(ErrorKind::Refused, "execution.stuck", text)
                .hint("its journal does not fit its definition; resume it on a version that fits"),
            EngineError::KeyTaken { .. } => Self::new(ErrorKind::Conflict, "start-key.taken", text)
                .hint("choose another key, or say what is to become of the execution that has it"),
            EngineError::AlreadyRunning(_) => Self::new(ErrorKind::Conflict, "execution.running", text),
            EngineError::NotResumable { .. } => Self::new(ErrorKind::Refused, "execution.not-resumable", text),
            EngineError::EntryExists { .. } => Self::new(ErrorKind::Conflict, "entry.exists", text),
            EngineError::EntryChanged { .. } => Self::new(ErrorKind::Conflict, "entry.changed", text),
            EngineError::Thread(_) => Self::internal("host.thread", &text),
        }
    }
}

/// An error of the language or a connector, as one of the host.
pub(crate) fn of_step(kind: ErrorKind, code: &'static str, error: &StepError) -> HostError {
    HostError::new(kind, code, format!("{} [{}]", crate::text::message(error), error.code))
}
