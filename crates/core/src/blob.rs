//! References to content that is too large for a journal, and what keeps such content.
//!
//! A blob is named by the hash of what is in it. In a payload a reference stands for it, as a JSON object that
//! workflows pass on like any other value. Nothing here reads or writes: [`BlobStore`] is what a runtime brings.

use std::collections::BTreeSet;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use memchr::memmem::Finder;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::Value;

use crate::{BoxFuture, ErrorKind, StepError};

/// A blob, as it stands in a payload: `{"$blob":"sha256:<64 hex>","size":n,"contentType":"..."}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlobRef {
    /// What it is called.
    #[serde(rename = "$blob")]
    pub id: BlobId,
    /// Bytes of the content.
    pub size: u64,
    /// Media type of the content, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Proves that whoever names it was given it: see [`TokenKey::grant`](crate::TokenKey::grant). Absent where all that
    /// lies in one store belongs to one owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<String>,
}

impl BlobRef {
    /// The reference that `value` is, if it is one and nothing else.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        value.get(KEY)?;
        Self::deserialize(value).ok()
    }

    /// The first reference anywhere inside of `value`, itself included.
    #[must_use]
    pub fn within(value: &Value) -> Option<Self> {
        match value {
            Value::Object(fields) => Self::of(value).or_else(|| fields.values().find_map(Self::within)),
            Value::Array(items) => items.iter().find_map(Self::within),
            _ => None,
        }
    }
}

const KEY: &str = "$blob";
const HASH: &str = "sha256:";
/// Hexadecimal digits of a hash.
const DIGITS: usize = 64;

/// The name of a blob: `sha256:` and the hash of its content in 64 lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct BlobId(Arc<str>);

impl BlobId {
    /// The name of content with this SHA-256.
    #[must_use]
    pub fn of_hash(hash: [u8; 32]) -> Self {
        use fmt::Write as _;
        let mut text = String::with_capacity(HASH.len() + DIGITS);
        text.push_str(HASH);
        for byte in hash {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }

    /// Reads the text form; `None` where it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(HASH)?.as_bytes();
        let valid = digits.len() == DIGITS && digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        valid.then(|| Self(text.into()))
    }

    /// The hash alone, 64 hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.0[HASH.len()..]
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The blobs that a JSON document refers to, each once. Made for every record that is committed: a document
    /// without references costs one search for a short word.
    #[must_use]
    pub fn all_in(json: &[u8]) -> BTreeSet<Self> {
        static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"$blob\""));
        FINDER
            .find_iter(json)
            .filter_map(|at| {
                let value = json[at + KEY.len() + 2..].trim_ascii_start();
                let value = value.strip_prefix(b":")?.trim_ascii_start();
                let text = value.strip_prefix(b"\"")?.get(..HASH.len() + DIGITS)?;
                Self::parse(std::str::from_utf8(text).ok()?)
            })
            .collect()
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for BlobId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| de::Error::custom("a blob is named by `sha256:` and 64 lower-case hexadecimal digits"))
    }
}

/// Content in pieces. An error ends it.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes, BlobError>> + Send>>;

/// What is known of content before it is read.
#[derive(Clone, Debug, Default)]
pub struct BlobInfo {
    /// Its media type.
    pub content_type: Option<String>,
    /// How many bytes it is said to have, so that too much of it is refused before it is read.
    pub announced: Option<u64>,
}

/// Keeps blobs. Cheap to share; what it returns may be dropped at any await.
pub trait BlobStore: Send + Sync {
    /// Keeps `content`. When the reference is there the content is durable. The same content is kept once.
    ///
    /// Memory does not grow with the content.
    fn put(&self, content: ByteStream, info: BlobInfo) -> BoxFuture<Result<BlobRef, BlobError>>;

    /// The content of a blob. It ends without an error only when all of it was read and is what was put: the last
    /// piece is held back until that is certain.
    fn open(&self, blob: &BlobRef) -> BoxFuture<Result<ByteStream, BlobError>>;

    /// Deletes blobs that were put longer than `older_than` ago and for which `referenced`, which may block, says no;
    /// how many. One process collects; others may put meanwhile.
    fn collect(&self, referenced: Referenced, older_than: Duration) -> BoxFuture<Result<usize, BlobError>>;
}

/// Whether anything that is committed refers to a blob.
pub type Referenced = Arc<dyn Fn(&BlobId) -> Result<bool, BlobError> + Send + Sync>;

/// Why content could not be kept, or not be had.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// More than is allowed.
    #[error("the content has {} bytes, and {setting} is {limit}", told(*.size, *.limit))]
    TooLarge {
        /// Its bytes, where they are known.
        size: Option<u64>,
        /// Most bytes.
        limit: u64,
        /// What sets the limit.
        setting: String,
    },
    /// No store has it.
    #[error("there is no blob {0}: it was deleted, or the reference is from elsewhere")]
    Missing(BlobId),
    /// What is kept under this name is something else.
    #[error("blob {id} is damaged: {what}")]
    Damaged {
        /// Which.
        id: BlobId,
        /// How it shows.
        what: String,
    },
    /// The content to be kept broke off.
    #[error("the content broke off")]
    Source(#[source] Box<dyn Error + Send + Sync>),
    /// What keeps the blobs failed.
    #[error("the blob store does not work")]
    Store(#[source] Box<dyn Error + Send + Sync>),
}

fn told(size: Option<u64>, limit: u64) -> String {
    size.map_or_else(|| format!("more than {limit}"), |size| size.to_string())
}

impl From<BlobError> for StepError {
    fn from(error: BlobError) -> Self {
        let (code, kind) = match &error {
            BlobError::TooLarge { .. } => ("blob.too-large", ErrorKind::Permanent),
            BlobError::Missing(_) => ("blob.missing", ErrorKind::Permanent),
            BlobError::Damaged { .. } => ("blob.damaged", ErrorKind::Permanent),
            BlobError::Store(_) => ("blob.store", ErrorKind::Transient),
            BlobError::Source(source) => match source.downcast_ref::<Self>() {
                Some(known) => return known.clone(),
                None => ("blob.source", ErrorKind::Transient),
            },
        };
        let failure = Self::new(code, kind, error.to_string());
        match error.source() {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn id(digit: char) -> String {
        format!("sha256:{}", digit.to_string().repeat(DIGITS))
    }

    #[test]
    fn a_reference_has_one_form() {
        let value = json!({ "$blob": id('a'), "size": 3, "contentType": "image/png" });
        let blob = BlobRef::of(&value).unwrap();
        assert_eq!((blob.size, blob.content_type.as_deref()), (3, Some("image/png")));
        assert_eq!(serde_json::to_value(&blob).unwrap(), value);
        let bare = json!({ "$blob": id('0'), "size": 0 });
        assert_eq!(serde_json::to_value(BlobRef::of(&bare).unwrap()).unwrap(), bare);
        for none in [
            json!({ "$blob": id('A'), "size": 3 }),
            json!({ "$blob": id('a') }),
            json!({ "$blob": "sha256:ab", "size": 3 }),
            json!({ "$blob": id('a'), "size": -1 }),
            json!({ "$blob": id('a'), "size": 3, "more": 1 }),
            json!([{ "$blob": id('a'), "size": 3 }]),
            json!("$blob"),
        ] {
            assert_eq!(BlobRef::of(&none), None, "{none}");
        }
        assert_eq!(BlobRef::within(&json!({ "x": [1, { "y": value }] })), Some(blob));
    }

    #[test]
    fn references_are_found_in_text() {
        let (a, b) = (id('a'), id('b'));
        let text = format!(
            r#"[{{"$blob":"{a}","size":1}},{{"x":{{"size":2,"$blob" : "{b}"}}}},{{"$blob":"{a}"}},"$blob",{{"$blob":"no"}},{{"$blob":7}},"say \"$blob\":\"{b}\"","\"$blob\"#
        );
        let found: Vec<String> = BlobId::all_in(text.as_bytes())
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, [a, b]);
        assert!(BlobId::all_in(br#"{"blob":1,"$blob":"sha256:"#).is_empty());
    }

    #[test]
    fn the_reason_that_content_broke_off_is_the_steps() {
        let refused = StepError::permanent("http.410", "gone");
        assert_eq!(StepError::from(BlobError::Source(Box::new(refused.clone()))), refused);
        let full = StepError::from(BlobError::Store(Box::new(std::io::Error::other("no space"))));
        assert_eq!((full.code.as_str(), full.kind), ("blob.store", ErrorKind::Transient));
        assert_eq!(full.causes, ["no space"]);
    }
}
