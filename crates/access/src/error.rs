//! Why a change of keys, organizations or sessions was not made.

use crate::recorder::RecordError;

/// Why a change was not made, or something cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// There is no such thing, or it belongs to another organization.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// What sort of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// It is there already, or somebody else has changed it at the same time.
    #[error("{0}")]
    Conflict(String),
    /// What was given cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The store cannot be read or written.
    #[error("keys and organizations cannot be read or written now: {0}")]
    Unavailable(String),
}

impl AccessError {
    pub(crate) fn not_found(what: &'static str, name: &str) -> Self {
        Self::NotFound {
            what,
            name: name.to_owned(),
        }
    }

    pub(crate) fn unavailable(error: impl std::fmt::Display) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl From<RecordError> for AccessError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Exists | RecordError::Changed => Self::Conflict(error.to_string()),
            RecordError::Failed(why) => Self::Unavailable(why),
        }
    }
}
