//! What a plan is made from: the text of the workflow, and of the shared file beside it.
//!
//! [`Source::content`] is what is stored for an execution: from it alone the same plan is made again,
//! whatever has become of the files since. Its hash is the version of the workflow.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::codes;
use crate::plan::Location;
use crate::problem::{Problem, Problems};
use crate::tree::MAX_BYTES;

/// The name of the shared file.
pub const SHARED_FILE: &str = "bowline.yaml";

/// The texts that one workflow is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Source {
    /// The workflow's file, as problems shall name it.
    pub file: String,
    /// Its text.
    pub text: String,
    /// The shared file's name and text, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<Shared>,
}

/// The shared file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shared {
    /// Its name, as problems shall name it.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// A workflow without a shared file.
    pub fn new(file: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
            shared: None,
        }
    }

    /// With a shared file.
    #[must_use]
    pub fn with_shared(mut self, file: impl Into<String>, text: impl Into<String>) -> Self {
        self.shared = Some(Shared {
            file: file.into(),
            text: text.into(),
        });
        self
    }

    /// Reads a workflow's file, and `bowline.yaml` beside it where there is one.
    ///
    /// # Errors
    /// What keeps one of them from being read: not there, a folder, too large, not UTF-8.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        let source = Self::new(path.display().to_string(), read_text(path)?);
        let shared = path.with_file_name(SHARED_FILE);
        if let Ok(false) = shared.try_exists() {
            return Ok(source);
        }
        let text = read_text(&shared)?;
        Ok(source.with_shared(shared.display().to_string(), text))
    }

    /// Reads one file and not the shared one beside it.
    ///
    /// # Errors
    /// What keeps it from being read: not there, a folder, too large, not UTF-8.
    pub fn read_alone(path: &Path) -> Result<Self, Problems> {
        Ok(Self::new(path.display().to_string(), read_text(path)?))
    }

    /// What is stored: a small JSON envelope with both texts. Files are named without their folders, so that
    /// a workflow is the same version from wherever it is loaded.
    pub fn content(&self) -> Vec<u8> {
        let bare = |file: &str| file.rsplit(['/', '\\']).next().unwrap_or(file).to_owned();
        let shared = self.shared.as_ref().map(|shared| Shared {
            file: bare(&shared.file),
            text: shared.text.clone(),
        });
        let stored = Self {
            file: bare(&self.file),
            text: self.text.clone(),
            shared,
        };
        // Strings only, which always are JSON.
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// sha256 of [`content`](Self::content), in hexadecimal.
    pub fn hash(&self) -> String {
        hexadecimal(&Sha256::digest(self.content()))
    }

    /// Reads what [`content`](Self::content) gave.
    ///
    /// # Errors
    /// That it is something else.
    pub fn from_content(content: &[u8]) -> Result<Self, Problems> {
        serde_json::from_slice(content).map_err(|error| {
            let location = location("(stored definition)", 1, 1);
            Problem::new(
                codes::NOT_A_WORKFLOW,
                location,
                format!("the stored definition cannot be read: {error}"),
            )
            .into()
        })
    }

    /// The workflow's name where the document has none: the file's name without its ending.
    pub(crate) fn stem(&self) -> String {
        let stem = Path::new(&self.file)
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        stem.filter(|stem| !stem.is_empty())
            .unwrap_or_else(|| "workflow".to_owned())
    }
}

pub(crate) fn location(file: &str, line: usize, column: usize) -> Location {
    Location {
        file: file.into(),
        line,
        column,
        path: String::new(),
    }
}

/// The text of a file, if it is one, is small enough, and is text.
pub(crate) fn read_text(path: &Path) -> Result<String, Problems> {
    let name = path.display().to_string();
    let refuse = |code, message: String| Problems::from(Problem::new(code, location(&name, 1, 1), message));
    let unreadable = |error: &std::io::Error| refuse(codes::UNREADABLE, format!("the file cannot be read: {error}"));
    let about = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
    if about.is_dir() {
        return Err(refuse(codes::UNREADABLE, "this is a folder, not a file".to_owned()));
    }
    if !about.is_file() {
        return Err(refuse(codes::UNREADABLE, "this is not a regular file".to_owned()));
    }
    if about.len() > MAX_BYTES as u64 {
        let message = format!("the file has {} bytes; at most {MAX_BYTES} are read", about.len());
        return Err(refuse(codes::TOO_LARGE, message));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error))?;
    text_of(&name, bytes)
}

/// Two digits for each byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a String does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

/// Bytes as text: UTF-8 without zero bytes.
pub(crate) fn text_of(name: &str, bytes: Vec<u8>) -> Result<String, Problems> {
    let at_byte = |bytes: &[u8], byte: usize, what: &str| {
        let before = &bytes[..byte];
        let line = before.split(|b| *b == b'\n').count();
        let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        let message = format!("the file is not UTF-8 text: {what} at byte {byte}");
        Problems::from(Problem::new(codes::NOT_TEXT, location(name, line, column), message))
    };
    if let Some(zero) = bytes.iter().position(|byte| *byte == 0) {
        let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
        let mut problems = at_byte(&bytes, zero, "a zero byte");
        if utf16 && let Some(problem) = problems.0.first_mut() {
            problem.hint = Some("it looks like UTF-16; save it as UTF-8".to_owned());
        }
        return Err(problems);
    }
    String::from_utf8(bytes).map_err(|error| {
        let byte = error.utf8_error().valid_up_to();
        at_byte(error.as_bytes(), byte, "something else")
    })
}
