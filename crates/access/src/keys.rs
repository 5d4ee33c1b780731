//! API keys: what is kept of them, and their text.
//!
//! The text of a key is `bwk_<id>_<secret>`. It is shown when the key is made and never again: only a hash of the secret is
//! kept. A key that is being rotated has two secrets for a while.

use bowline_store::{Entry, key};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccessError, Denied, Role, Scope, secret};

/// Where keys are kept.
pub(crate) const SPACE: &str = "api-key";

/// What the text of every key begins with, so that secret scanners know it.
pub const PREFIX: &str = "bwk_";

/// A key as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ApiKey {
    pub(crate) id: String,
    pub(crate) organization: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) scopes: Vec<Scope>,
    /// All times are milliseconds since the Unix epoch.
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
    pub(crate) expires_at: Option<i64>,
    pub(crate) revoked_at: Option<i64>,
    /// The newest last.
    pub(crate) secrets: Vec<Secret>,
}

/// One secret of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Secret {
    /// SHA-256, in hexadecimal digits.
    pub(crate) hash: String,
    pub(crate) created_at: i64,
    /// Up to when it is accepted; none: as long as the key.
    pub(crate) until: Option<i64>,
}

/// What state a key is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyState {
    /// It is accepted.
    Active,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
}

/// A key as it is shown. Its secrets are not known any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyView {
    /// Its id, the part of its text that is no secret.
    pub id: String,
    /// The organization that it belongs to.
    pub organization: String,
    /// What it is for, in the words of whoever made it.
    pub name: String,
    /// How much it may do.
    pub role: Role,
    /// What it may work with.
    pub scopes: Vec<Scope>,
    /// Whether it is accepted.
    pub state: KeyState,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// Who made it.
    pub created_by: String,
    /// When it expires (RFC 3339); none: never.
    pub expires_at: Option<String>,
    /// When it was revoked (RFC 3339).
    pub revoked_at: Option<String>,
    /// Up to when the secret before the present one is accepted too (RFC 3339); none where only one is.
    pub overlap_until: Option<String>,
}

/// A key to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// The organization that it belongs to.
    pub organization: String,
    /// What it is for.
    pub name: String,
    /// How much it may do.
    pub role: Role,
    /// What it may work with; none: [`Scope::usual`].
    pub scopes: Option<Vec<Scope>>,
    /// When it expires, in milliseconds since the Unix epoch; none: never.
    pub expires_at: Option<i64>,
}

/// A key that was made, or got a new secret. The one time that its text is known.
#[derive(Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MadeKey {
    /// The whole text of the key. It cannot be shown again.
    pub text: String,
    /// What it is.
    #[serde(flatten)]
    pub key: KeyView,
}

impl std::fmt::Debug for MadeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeKey")
            .field("text", &"***")
            .field("key", &self.key)
            .finish()
    }
}

/// The longest name of a key or an organization, in bytes.
const LONGEST_NAME: usize = 200;

/// How many secrets are kept of a key at most: more rotations than that within their overlaps end the oldest.
const MOST_SECRETS: usize = 4;

impl ApiKey {
    /// A new key, and its text.
    pub(crate) fn make(new: NewKey, by: &str, now: i64) -> Result<(Self, String), AccessError> {
        let name = new.name.trim().to_owned();
        if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(AccessError::Invalid(format!(
                "the name of a key says what it is for: 1 to {LONGEST_NAME} bytes without control characters"
            )));
        }
        if new.expires_at.is_some_and(|at| at <= now) {
            return Err(AccessError::Invalid(
                "a key cannot expire before it is made; name a later time".into(),
            ));
        }
        let mut scopes = new.scopes.unwrap_or_else(Scope::usual);
        scopes.sort_unstable();
        scopes.dedup();
        let id = secret::random::<8>()?;
        let (secret, text) = Secret::make(&id, now)?;
        let key = Self {
            id,
            organization: new.organization,
            name,
            role: new.role,
            scopes,
            created_at: now,
            created_by: by.to_owned(),
            expires_at: new.expires_at,
            revoked_at: None,
            secrets: vec![secret],
        };
        Ok((key, text))
    }

    /// Gives it another secret; those that it has are accepted for `overlap` milliseconds more.
    pub(crate) fn rotate(&mut self, overlap: i64, now: i64) -> Result<String, AccessError> {
        if self.state(now) != KeyState::Active {
            return Err(AccessError::Conflict(format!(
                "the key `{}` is not accepted any more and cannot be rotated; make a new one",
                self.id
            )));
        }
        let until = now.saturating_add(overlap.max(0));
        for secret in &mut self.secrets {
            secret.until = Some(secret.until.map_or(until, |before| before.min(until)));
        }
        // Those whose time is over stay for a while, so that whoever still sends one is told what became of it.
        while self.secrets.len() >= MOST_SECRETS {
            let over = self
                .secrets
                .iter()
                .position(|secret| secret.until.is_some_and(|until| until <= now));
            self.secrets.remove(over.unwrap_or(0));
        }
        let (secret, text) = Secret::make(&self.id, now)?;
        self.secrets.push(secret);
        Ok(text)
    }

    /// Whether it is accepted at this time.
    pub(crate) fn state(&self, now: i64) -> KeyState {
        if self.revoked_at.is_some() {
            KeyState::Revoked
        } else if self.expires_at.is_some_and(|at| at <= now) {
            KeyState::Expired
        } else {
            KeyState::Active
        }
    }

    /// Whether a secret with this hash opens it. Nothing is told of a key's state to those who do not have its secret.
    pub(crate) fn check(&self, hash: &str, now: i64) -> Result<(), Denied> {
        // All are compared, whatever the first one says.
        let mut fits = None;
        for secret in &self.secrets {
            if secret::same(&secret.hash, hash) {
                fits = Some(secret);
            }
        }
        let secret = fits.ok_or(Denied::UnknownKey)?;
        match self.state(now) {
            KeyState::Revoked => Err(Denied::Revoked),
            KeyState::Expired => Err(Denied::Expired),
            KeyState::Active if secret.until.is_some_and(|until| until <= now) => Err(Denied::Rotated),
            KeyState::Active => Ok(()),
        }
    }

    pub(crate) fn view(&self, now: i64) -> KeyView {
        let overlap = self.secrets.iter().filter_map(|secret| secret.until).max();
        KeyView {
            id: self.id.clone(),
            organization: self.organization.clone(),
            name: self.name.clone(),
            role: self.role,
            scopes: self.scopes.clone(),
            state: self.state(now),
            created_at: crate::time::text(self.created_at),
            created_by: self.created_by.clone(),
            expires_at: self.expires_at.map(crate::time::text),
            revoked_at: self.revoked_at.map(crate::time::text),
            overlap_until: overlap.filter(|until| *until > now).map(crate::time::text),
        }
    }

    pub(crate) fn entry(&self) -> Result<Entry, AccessError> {
        let value = serde_json::to_vec(self).map_err(AccessError::unavailable)?;
        Ok(Entry::new(SPACE, key(&[&self.id]), value))
    }
}

impl Secret {
    fn make(id: &str, now: i64) -> Result<(Self, String), AccessError> {
        let secret = secret::random::<32>()?;
        let made = Self {
            hash: secret::hash(&secret),
            created_at: now,
            until: None,
        };
        Ok((made, format!("{PREFIX}{id}_{secret}")))
    }
}

/// The id and the secret in the text of a key.
pub(crate) fn parse(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    let is_hex = |part: &str| {
        part.bytes()
            .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
    };
    (id.len() == 16 && secret.len() == 64 && is_hex(id) && is_hex(secret)).then_some((id, secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made() -> (ApiKey, String) {
        let new = NewKey {
            organization: "default".into(),
            name: "ci".into(),
            role: Role::Deployer,
            scopes: None,
            expires_at: Some(1_000),
        };
        ApiKey::make(new, "test", 0).unwrap()
    }

    fn check(key: &ApiKey, text: &str, now: i64) -> Result<(), Denied> {
        key.check(&secret::hash(parse(text).unwrap().1), now)
    }

    #[test]
    fn a_key_opens_until_it_expires() {
        let (key, text) = made();
        assert_eq!(parse(&text).unwrap().0, key.id);
        assert_eq!(check(&key, &text, 999), Ok(()));
        assert_eq!(check(&key, &text, 1_000), Err(Denied::Expired));
        let (_, other) = made();
        assert_eq!(check(&key, &other, 0), Err(Denied::UnknownKey));
        assert!(!serde_json::to_string(&key).unwrap().contains(parse(&text).unwrap().1));
    }

    #[test]
    fn a_rotated_key_has_both_secrets_for_the_overlap() {
        let (mut key, old) = made();
        let new = key.rotate(100, 10).unwrap();
        assert_eq!((check(&key, &old, 109), check(&key, &new, 109)), (Ok(()), Ok(())));
        assert_eq!(
            (check(&key, &old, 110), check(&key, &new, 110)),
            (Err(Denied::Rotated), Ok(()))
        );
        // A second rotation makes no time longer.
        let third = key.rotate(500, 20).unwrap();
        assert_eq!(
            (check(&key, &old, 110), check(&key, &new, 519)),
            (Err(Denied::Rotated), Ok(()))
        );
        assert_eq!(check(&key, &third, 999), Ok(()));
        for _ in 0..10 {
            key.rotate(500, 30).unwrap();
        }
        assert_eq!(key.secrets.len(), MOST_SECRETS);
        key.revoked_at = Some(40);
        assert_eq!(check(&key, &third, 50), Err(Denied::UnknownKey));
        assert!(matches!(key.rotate(0, 50), Err(AccessError::Conflict(_))));
    }

    #[test]
    fn without_an_overlap_the_old_secret_ends_at_once() {
        let (mut key, old) = made();
        let new = key.rotate(0, 10).unwrap();
        assert_eq!(
            (check(&key, &old, 10), check(&key, &new, 10)),
            (Err(Denied::Rotated), Ok(()))
        );
    }

    #[test]
    fn other_texts_are_no_keys() {
        let (_, text) = made();
        for bad in [
            "",
            "bwk_",
            "bwk_a_b",
            &text[1..],
            &format!("{text}0"),
            &text.to_uppercase(),
            &text.replace('_', "-"),
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_key_says_what_it_is_for() {
        let new = |name: &str, expires_at| NewKey {
            organization: "default".into(),
            name: name.into(),
            role: Role::Viewer,
            scopes: None,
            expires_at,
        };
        assert!(ApiKey::make(new(" ", None), "x", 0).is_err());
        assert!(ApiKey::make(new("a\nb", None), "x", 0).is_err());
        assert!(ApiKey::make(new("a", Some(5)), "x", 5).is_err());
        let (key, text) = ApiKey::make(new("a", None), "x", 0).unwrap();
        let shown = MadeKey { text, key: key.view(0) };
        assert!(!format!("{shown:?}").contains(&shown.text));
    }
}
