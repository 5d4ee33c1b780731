//! Why a request is not taken.

use serde::{Deserialize, Serialize};

/// What a refused request lacks. The name of it is shown to the sender, kept with the delivery and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The endpoint has no usable secret or configuration, so nothing can be verified: it takes nothing.
    NotConfigured,
    /// None of the endpoint's secrets counts at this moment.
    NoSecretCounts,
    /// A header that has to be there is not.
    MissingHeader,
    /// A header is not in the form that it has to be in.
    MalformedHeader,
    /// It was signed with an algorithm that this endpoint does not take.
    WrongAlgorithm,
    /// It was signed too long ago.
    TooOld,
    /// It was signed in the future.
    TooNew,
    /// No signature fits the body and a secret.
    WrongSignature,
    /// There are no credentials, or wrong ones.
    WrongCredentials,
    /// The body is larger than the endpoint takes.
    BodyTooLarge,
    /// The body is not what its content type says.
    InvalidBody,
    /// The body does not fit the endpoint's schema.
    SchemaMismatch,
    /// What the workflow says about this trigger (`when`, `input`, `key`) cannot be evaluated.
    Unselectable,
}

impl Reason {
    /// Its name, such as `wrong-signature`.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotConfigured => "not-configured",
            Self::NoSecretCounts => "no-secret-counts",
            Self::MissingHeader => "missing-header",
            Self::MalformedHeader => "malformed-header",
            Self::WrongAlgorithm => "wrong-algorithm",
            Self::TooOld => "too-old",
            Self::TooNew => "too-new",
            Self::WrongSignature => "wrong-signature",
            Self::WrongCredentials => "wrong-credentials",
            Self::BodyTooLarge => "body-too-large",
            Self::InvalidBody => "invalid-body",
            Self::SchemaMismatch => "schema-mismatch",
            Self::Unselectable => "unselectable",
        }
    }

    /// Whether it is about who sent the request, and not about what is in it.
    pub fn is_about_the_sender(self) -> bool {
        matches!(
            self,
            Self::NoSecretCounts
                | Self::MissingHeader
                | Self::MalformedHeader
                | Self::WrongAlgorithm
                | Self::TooOld
                | Self::TooNew
                | Self::WrongSignature
                | Self::WrongCredentials
        )
    }
}

/// One thing in a body that does not fit, by its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfit {
    /// Where it is; empty for the whole body.
    pub pointer: String,
    /// What is expected there. It never quotes what was sent.
    pub message: String,
}

/// A request that is not taken. It never holds a secret, nor anything of the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The kind of it.
    pub reason: Reason,
    /// What is wrong, in words.
    pub message: String,
    /// What of the body does not fit the schema.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub misfits: Vec<Misfit>,
    /// What the sender can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// More for those who may see the inbox, and for no sender and no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Refusal {
    /// A refusal for a reason.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            misfits: Vec::new(),
            hint: None,
            detail: None,
        }
    }

    /// With what the sender can do about it.
    #[must_use]
    pub fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub(crate) fn missing(header: &str) -> Self {
        Self::new(Reason::MissingHeader, format!("the header {header} is missing"))
    }

    pub(crate) fn malformed(header: &str, expected: &str) -> Self {
        Self::new(
            Reason::MalformedHeader,
            format!("the header {header} is not {expected}"),
        )
    }

    pub(crate) fn wrong(header: &str) -> Self {
        Self::new(
            Reason::WrongSignature,
            format!("no signature in {header} fits the body and a secret of this endpoint"),
        )
    }
}
