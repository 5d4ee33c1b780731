//! Why somebody is not let in.

/// Why a caller is not let in, or may not do what it asks for. Messages quote no secret, and tell of a key's state
/// only whoever has the key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Nothing was presented.
    #[error("no credentials were sent; send `Authorization: Bearer` with an API key or a token")]
    Missing,
    /// What was presented is neither a key nor a token.
    #[error("the Authorization header cannot be read: {0}; send `Bearer` and an API key or a token")]
    Malformed(&'static str),
    /// There is no such key, or its secret is another one.
    #[error("the API key is not known")]
    UnknownKey,
    /// The key was valid until then.
    #[error("the API key has expired; make a new one, or rotate it before its end")]
    Expired,
    /// The key has another secret now, and the overlap is over.
    #[error(
        "the API key was rotated, and this text of it is not accepted any more; use the one that the rotation gave"
    )]
    Rotated,
    /// The key was revoked.
    #[error("the API key was revoked")]
    Revoked,
    /// The session has ended.
    #[error("the session has ended; log in again")]
    SessionEnded,
    /// The token is not accepted.
    #[error("the token is not accepted: {0}")]
    Token(String),
    /// It is known who asks, and that one may not do this.
    #[error("{0}")]
    Forbidden(String),
    /// It cannot be found out now: the store or the token issuer's keys cannot be read.
    #[error("who may do this cannot be found out now: {0}; try again")]
    Unavailable(String),
}

impl Denied {
    /// A name of it that stays the same, for metrics and clients.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing => "credentials.missing",
            Self::Malformed(_) => "credentials.malformed",
            Self::UnknownKey => "credentials.unknown",
            Self::Expired => "credentials.expired",
            Self::Rotated => "credentials.rotated",
            Self::Revoked => "credentials.revoked",
            Self::SessionEnded => "credentials.session-ended",
            Self::Token(_) => "credentials.token",
            Self::Forbidden(_) => "access.forbidden",
            Self::Unavailable(_) => "access.unavailable",
        }
    }
}
