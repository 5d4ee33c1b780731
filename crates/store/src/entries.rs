//! Entries: what is kept beside executions, as an ordered map of texts to bytes.
//!
//! Whoever owns a *space* decides what its keys and values are. A key is made of parts by [`key`], so that entries
//! which share their first parts stand together and are listed by a prefix. A number in a key is padded (`{:020}`), so
//! that texts stand in the order of the numbers.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::{Store, StoreError};

/// The name that an organization has where nobody gave one.
pub const DEFAULT_ORGANIZATION: &str = "default";

/// The space of entries that keep blobs to which no execution refers. A key is the name of the blob, and after it
/// whatever tells its keeper apart from others; the value is empty.
pub const KEPT_BLOBS: &str = "kept-blob";

/// What stands between the parts of a key.
const SEPARATOR: char = '\u{0}';

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// What kind of thing it is.
    pub space: Cow<'static, str>,
    /// Its name, unique in the space.
    pub key: String,
    /// What is kept there.
    pub value: Bytes,
}

impl Entry {
    /// An entry of these.
    pub fn new(space: impl Into<Cow<'static, str>>, key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            space: space.into(),
            key: key.into(),
            value: value.into(),
        }
    }
}

/// A change of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EntryWrite {
    /// Keeps it, in place of the one that is there, if one is.
    Put(Entry),
    /// Keeps a new one; [`StoreError::EntryExists`](crate::StoreError) where there is one.
    Add(Entry),
    /// Keeps it where the one that is there has this value (or none is there, for none);
    /// [`StoreError::EntryChanged`](crate::StoreError) otherwise.
    Swap {
        /// What is kept from now on.
        entry: Entry,
        /// What has to be there.
        was: Option<Bytes>,
    },
    /// Forgets it; does nothing where there is none.
    Remove {
        /// What kind of thing it is.
        space: Cow<'static, str>,
        /// Its name.
        key: String,
    },
}

impl EntryWrite {
    /// The space and key that it changes.
    #[must_use]
    pub fn place(&self) -> (&str, &str) {
        match self {
            Self::Put(entry) | Self::Add(entry) | Self::Swap { entry, .. } => (&entry.space, &entry.key),
            Self::Remove { space, key } => (space, key),
        }
    }
}

/// Which entries to list. They come in the order of their keys, byte by byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryRange {
    /// What kind of thing.
    pub space: Cow<'static, str>,
    /// Only those whose keys begin with this. For those that share their first parts, end it with a separator:
    /// [`prefix`].
    pub prefix: String,
    /// Only those behind this key (before it, where the order is reversed): the last one of the page before.
    pub after: Option<String>,
    /// The last ones first.
    pub reverse: bool,
    /// At most so many; 0 means 100.
    pub limit: usize,
}

impl EntryRange {
    /// How many entries a page has at most: [`EntryRange::limit`] with its default.
    #[must_use]
    pub fn page(&self) -> usize {
        if self.limit == 0 { 100 } else { self.limit }
    }

    /// The first text behind all that begin with the prefix; none where there is none.
    #[must_use]
    pub fn end(&self) -> Option<String> {
        let mut end = self.prefix.clone();
        while let Some(last) = end.pop() {
            // UTF-8 sorts as code points do.
            let next = if last == '\u{D7FF}' {
                '\u{E000}' as u32
            } else {
                last as u32 + 1
            };
            if let Some(next) = char::from_u32(next) {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}

/// A key of parts. A part that holds the character U+0000 gets U+FFFD instead of it, so that no part can pass for two.
#[must_use]
pub fn key(parts: &[&str]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            text.push(SEPARATOR);
        }
        text.extend(
            part.chars()
                .map(|char| if char == SEPARATOR { '\u{FFFD}' } else { char }),
        );
    }
    text
}

/// What the keys begin with that have these first parts and more.
#[must_use]
pub fn prefix(parts: &[&str]) -> String {
    let mut text = key(parts);
    if !parts.is_empty() {
        text.push(SEPARATOR);
    }
    text
}

/// Whether an execution or an entry in [`KEPT_BLOBS`] refers to a blob.
///
/// # Errors
/// Where the store cannot be read.
pub fn is_blob_kept(store: &dyn Store, blob: &str) -> Result<bool, StoreError> {
    let kept = EntryRange {
        space: KEPT_BLOBS.into(),
        prefix: prefix(&[blob]),
        limit: 1,
        ..EntryRange::default()
    };
    Ok(store.blob_referenced(blob)? || !store.entries(&kept)?.is_empty())
}

/// The parts of a key.
pub fn key_parts(key: &str) -> impl Iterator<Item = &str> {
    key.split(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stay_apart() {
        assert_eq!(key(&["a", "b\u{0}c", ""]), "a\u{0}b\u{FFFD}c\u{0}");
        assert_eq!(key_parts(&key(&["a", "b", ""])).collect::<Vec<_>>(), ["a", "b", ""]);
        assert!(key(&["ab", "c"]).starts_with(&prefix(&["ab"])));
        assert!(!key(&["ab", "c"]).starts_with(&prefix(&["a"])));
        assert_eq!(prefix(&[]), "");
    }

    #[test]
    fn a_prefix_ends_before_the_next_text() {
        let end = |prefix: &str| {
            EntryRange {
                prefix: prefix.into(),
                ..EntryRange::default()
            }
            .end()
        };
        assert_eq!(end("a"), Some("b".into()));
        assert_eq!(end("a\u{10FFFF}"), Some("b".into()));
        assert_eq!(end("a\u{D7FF}"), Some("a\u{E000}".into()));
        assert_eq!(end("a\u{0}"), Some("a\u{1}".into()));
        assert_eq!((end(""), end("\u{10FFFF}")), (None, None));
    }
}
