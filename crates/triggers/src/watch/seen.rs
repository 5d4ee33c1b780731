//! What a watcher knows of files: each with the content that it has dealt with. A line is written in the commit of the
//! start, so a file starts one execution, whatever crashes.

use std::path::{Path, PathBuf};

use bowline_store::{Entry, EntryWrite, key, key_parts, prefix};
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, percent_encode};
use serde::{Deserialize, Serialize};

use super::stability::Look;

/// The space of seen files: organization, trigger, path.
pub(crate) const SPACE: &str = "seen";

/// What a path has as it is. Everything that is not ASCII is encoded, because a path need not be text.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// A file that a watcher has dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seen {
    pub(crate) size: u64,
    /// Nanoseconds since the Unix epoch, as text: JSON has no such numbers.
    pub(crate) modified: String,
    /// SHA-256 of the content.
    pub(crate) sha256: String,
    /// The execution that was started for it; none where it was only noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) execution: Option<String>,
    /// Something is to be done with the file when that execution has ended.
    #[serde(default)]
    pub(crate) after: bool,
    /// Why it started nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

impl Seen {
    pub(crate) fn new(look: Look, sha256: String) -> Self {
        Self {
            size: look.size,
            modified: look.modified.to_string(),
            sha256,
            execution: None,
            after: false,
            refused: None,
        }
    }

    pub(crate) fn looks_like(&self, look: Look) -> bool {
        self.size == look.size && self.modified == look.modified.to_string()
    }

    /// Writes it in the place of what is known.
    pub(crate) fn write(&self, organization: &str, trigger: &str, path: &Path, was: Option<Bytes>) -> EntryWrite {
        EntryWrite::Swap {
            entry: Entry::new(SPACE, seen_key(organization, trigger, path), self.bytes()),
            was,
        }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        // It has nothing that JSON has not.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}

pub(crate) fn seen_key(organization: &str, trigger: &str, path: &Path) -> String {
    let path = percent_encode(path.as_os_str().as_encoded_bytes(), ENCODED).to_string();
    key(&[organization, trigger, &path])
}

pub(crate) fn all_of(organization: &str, trigger: &str) -> String {
    prefix(&[organization, trigger])
}

/// The path of an entry.
pub(crate) fn path_of(entry_key: &str) -> PathBuf {
    let encoded = key_parts(entry_key).nth(2).unwrap_or_default();
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    path_of_bytes(bytes)
}

#[cfg(unix)]
fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(not(unix))]
fn path_of_bytes(bytes: Vec<u8>) -> PathBuf {
    String::from_utf8_lossy(&bytes).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_path_comes_back() {
        use std::os::unix::ffi::OsStringExt;
        let odd = PathBuf::from(std::ffi::OsString::from_vec(b"/in/\xff%41 \n.csv".to_vec()));
        for path in [PathBuf::from("/in/a b/\u{e6}\u{f8}.csv"), odd] {
            assert_eq!(path_of(&seen_key("default", "flow.files", &path)), path);
        }
    }
}
