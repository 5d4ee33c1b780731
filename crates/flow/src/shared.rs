//! `bowline.yaml` for others than workflows: what it says, and where.

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use crate::cursor::Cursor;
use crate::lower;
use crate::problem::Problems;
use crate::source::read_text;

/// The shared file of a folder, read by itself.
#[derive(Clone)]
pub struct SharedFile {
    file: Arc<str>,
    /// None where nothing is in it.
    root: Option<Cursor>,
    problems: Option<Problems>,
}

impl SharedFile {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or is no YAML or JSON.
    pub fn read(path: &Path) -> Result<Self, Problems> {
        Self::parse(&path.display().to_string(), &read_text(path)?)
    }

    /// Reads a text; `file` is how problems shall name it.
    ///
    /// # Errors
    /// It is no YAML or JSON.
    pub fn parse(file: &str, text: &str) -> Result<Self, Problems> {
        let (root, problems) = lower::shared(file, text)?;
        Ok(Self {
            file: file.into(),
            root,
            problems,
        })
    }

    /// How problems name it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// What does not fit the language. What is below `server` is not looked at.
    pub fn problems(&self) -> Option<&Problems> {
        self.problems.as_ref()
    }

    /// The value of a field; null where there is none.
    pub fn value(&self, field: &str) -> Value {
        let value = self.root.as_ref().and_then(|root| root.field(field));
        value.map_or(Value::Null, |value| value.node.to_value())
    }

    /// Line and column, from 1, of the last field of a path that is there. None where the first one is not.
    pub fn place_of_field(&self, path: &[&str]) -> Option<(usize, usize)> {
        self.place(path, true)
    }

    /// As [`Self::place_of_field`], of its value.
    pub fn place_of_value(&self, path: &[&str]) -> Option<(usize, usize)> {
        self.place(path, false)
    }

    fn place(&self, path: &[&str], of_field: bool) -> Option<(usize, usize)> {
        let mut node = &self.root.as_ref()?.node;
        let mut place = None;
        for part in path {
            let Some(entry) = node.get(part) else { break };
            place = Some(if of_field { entry.key_at } else { entry.value.at });
            node = &entry.value;
        }
        place.map(|at| (at.line, at.column))
    }
}

impl std::fmt::Debug for SharedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedFile")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_and_values_know_their_places() {
        let text = "# settings\nserver:\n  listen: a\n  events: { max: many }\n";
        let file = SharedFile::parse("b.yaml", text).unwrap();
        assert!(file.problems().is_none());
        assert_eq!(file.value("server")["listen"], "a");
        assert_eq!(file.value("nodes"), Value::Null);
        assert_eq!(file.place_of_field(&["server", "listen"]), Some((3, 3)));
        assert_eq!(file.place_of_value(&["server", "events", "max"]), Some((4, 18)));
        assert_eq!(file.place_of_value(&["server", "events", "other"]), Some((4, 11)));
        assert_eq!(file.place_of_field(&["nodes"]), None);
    }

    #[test]
    fn what_is_no_field_is_told_and_what_is_empty_is_not() {
        let file = SharedFile::parse("b.yaml", "sever: {}\n").unwrap();
        let problems = file.problems().unwrap().to_string();
        assert!(
            problems.contains("b.yaml:1:1") && problems.contains("`server`"),
            "{problems}"
        );
        for nothing in ["", "# nothing\n"] {
            let file = SharedFile::parse("b.yaml", nothing).unwrap();
            assert!(file.problems().is_none() && file.value("server").is_null());
        }
        assert!(SharedFile::parse("b.yaml", "a: [").is_err());
    }
}
