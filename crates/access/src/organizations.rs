//! Organizations: hard boundaries between those who share a server.

use bowline_store::{Entry, key};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccessError, DEFAULT_ORGANIZATION};

/// Where organizations are kept.
pub(crate) const SPACE: &str = "organization";

/// The longest name, in bytes: it is part of paths.
const LONGEST_NAME: usize = 63;

/// An organization as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Organization {
    pub(crate) name: String,
    pub(crate) title: String,
    /// Milliseconds since the Unix epoch.
    pub(crate) created_at: i64,
    pub(crate) created_by: String,
    pub(crate) disabled_at: Option<i64>,
}

/// An organization as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrganizationView {
    /// Its name, in paths and tokens.
    pub name: String,
    /// What it is called.
    pub title: String,
    /// When it was made (RFC 3339); none for the default one, which is always there.
    pub created_at: Option<String>,
    /// Who made it.
    pub created_by: Option<String>,
    /// Since when its keys and tokens are not accepted (RFC 3339); none: they are.
    pub disabled_at: Option<String>,
}

impl Organization {
    pub(crate) fn make(name: &str, title: &str, by: &str, now: i64) -> Result<Self, AccessError> {
        check_name(name)?;
        if title.len() > 200 || title.chars().any(char::is_control) {
            return Err(AccessError::Invalid(
                "the title of an organization has at most 200 bytes and no control characters".into(),
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            title: if title.trim().is_empty() { name } else { title.trim() }.to_owned(),
            created_at: now,
            created_by: by.to_owned(),
            disabled_at: None,
        })
    }

    pub(crate) fn view(&self) -> OrganizationView {
        OrganizationView {
            name: self.name.clone(),
            title: self.title.clone(),
            created_at: Some(crate::time::text(self.created_at)),
            created_by: Some(self.created_by.clone()),
            disabled_at: self.disabled_at.map(crate::time::text),
        }
    }

    pub(crate) fn entry(&self) -> Result<Entry, AccessError> {
        let value = serde_json::to_vec(self).map_err(AccessError::unavailable)?;
        Ok(Entry::new(SPACE, key(&[&self.name]), value))
    }
}

/// The one that nobody made.
pub(crate) fn default_view() -> OrganizationView {
    OrganizationView {
        name: DEFAULT_ORGANIZATION.to_owned(),
        title: DEFAULT_ORGANIZATION.to_owned(),
        created_at: None,
        created_by: None,
        disabled_at: None,
    }
}

fn check_name(name: &str) -> Result<(), AccessError> {
    let is_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_good = (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(is_label)
        && !name.starts_with('-')
        && !name.ends_with('-');
    if is_good {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    Err(AccessError::Invalid(format!(
        "`{}` cannot be the name of an organization: it has 1 to {LONGEST_NAME} of a-z, 0-9 and `-`, such as `acme-north`",
        shown.escape_debug()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_paths() {
        for good in ["a", "acme-north", "0x", &"a".repeat(63)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a b", "a/b", "a\u{0}b", "ä", &"a".repeat(64)] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
