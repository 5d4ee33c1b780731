//! What can go wrong with mocks, told so that the reader can mend it.
//!
//! A definition is checked whole: [`MockError::Invalid`] carries every [`Problem`], not only the first.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// One mistake in a mocks definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is, as `services[0].config.routes[1].delay`. Empty for the definition itself.
    pub path: String,
    /// What is wrong, in a few words.
    pub message: String,
    /// What could stand there instead.
    pub expected: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
            expected: None,
            hint: None,
        }
    }

    pub(crate) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(crate) fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}", self.message)?;
        if let Some(expected) = &self.expected {
            write!(f, "\n  expected {expected}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

/// Why mocks did not start, or did not see what was waited for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// The definition has mistakes; all of them are listed.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
    /// The mocks file could not be read.
    #[error("cannot read mocks from {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The mocks file is not YAML or JSON.
    #[error("{}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line and column.
        message: String,
    },
    /// Another program listens on the port that a service asks for.
    #[error(
        "mock service `{service}` cannot listen on 127.0.0.1:{port}: the port is in use; stop what uses it, \
         or leave `port` out to get a free one"
    )]
    PortInUse {
        /// Id of the service.
        service: String,
        /// The port it asks for.
        port: u16,
    },
    /// A service cannot listen for another reason, such as a privileged port.
    #[error("mock service `{service}` cannot listen on 127.0.0.1:{port}")]
    Bind {
        /// Id of the service.
        service: String,
        /// The port it asks for.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file that calls are recorded in cannot be written.
    #[error("cannot record calls in {}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// No service has this id.
    #[error("no mock service `{id}`; there are: {known}")]
    NoSuchService {
        /// The id that was asked for.
        id: String,
        /// The ids that exist, separated by commas.
        known: String,
    },
    /// Fewer calls than waited for came in time.
    #[error("mock service `{service}` had {seen} of {wanted} calls after {within:?}")]
    TooFewCalls {
        /// Id of the service.
        service: String,
        /// How many calls were waited for.
        wanted: usize,
        /// How many had come.
        seen: usize,
        /// How long was waited.
        within: Duration,
    },
}

fn listed(problems: &[Problem]) -> String {
    let count = problems.len();
    let mut text = format!("{count} problem{} in the mocks", if count == 1 { "" } else { "s" });
    for problem in problems {
        text.push('\n');
        text.push_str(&problem.to_string());
    }
    text
}
