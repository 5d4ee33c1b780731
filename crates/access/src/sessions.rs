//! Sessions of the inspector: what a browser has in a cookie instead of an API key.
//!
//! A session belongs to one secret of one key and ends with it. Only a hash of the cookie's value is kept.

use bowline_store::{Entry, key};
use serde::{Deserialize, Serialize};

use crate::{AccessError, secret};

/// Where sessions are kept.
pub(crate) const SPACE: &str = "session";

/// A session as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Session {
    /// The id of the key.
    pub(crate) key: String,
    /// The hash of the secret that opened it.
    pub(crate) secret: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires_at: i64,
}

/// A session that was begun.
#[derive(Clone)]
pub struct MadeSession {
    /// The value of the cookie.
    pub token: String,
    /// How long it lasts, in seconds.
    pub seconds: u64,
}

impl std::fmt::Debug for MadeSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeSession")
            .field("token", &"***")
            .field("seconds", &self.seconds)
            .finish()
    }
}

impl Session {
    pub(crate) fn entry(&self, token: &str) -> Result<Entry, AccessError> {
        let value = serde_json::to_vec(self).map_err(AccessError::unavailable)?;
        Ok(Entry::new(SPACE, place(token), value))
    }
}

/// Under which key the session with this cookie is kept.
pub(crate) fn place(token: &str) -> String {
    key(&[&secret::hash(token)])
}

/// Whether a cookie's value can be one of ours at all.
pub(crate) fn is_well_formed(token: &str) -> bool {
    token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a form of this session carries, so that a page of somebody else's cannot send it.
#[must_use]
pub fn form_token(session: &str) -> String {
    secret::hash(&format!("form of session {session}"))
}

/// Whether a form carries the right one.
#[must_use]
pub fn is_form_token(session: &str, sent: &str) -> bool {
    secret::same(&form_token(session), sent)
}
