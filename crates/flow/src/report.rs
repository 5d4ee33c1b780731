//! Where the parts of the checker put what they find.

use std::collections::HashSet;
use std::sync::Arc;

use crate::codes::Code;
use crate::cursor::{Cursor, Path};
use crate::plan::Location;
use crate::problem::{Problem, Problems};
use crate::tree::Position;

/// Collects problems. The same one is kept once, however many ways lead to it (a named node is checked at
/// every place that uses it).
pub(crate) struct Report {
    files: Vec<Arc<str>>,
    found: Vec<(Position, Problem)>,
    seen: HashSet<(Position, Code, String)>,
    /// Also counts what was known already.
    heard: usize,
}

impl Report {
    pub(crate) fn new(files: Vec<Arc<str>>) -> Self {
        Self {
            files,
            found: Vec::new(),
            seen: HashSet::new(),
            heard: 0,
        }
    }

    pub(crate) fn location(&self, at: Position, path: &Path) -> Location {
        let file = self
            .files
            .get(usize::from(at.file))
            .cloned()
            .unwrap_or_else(|| Arc::from(""));
        Location {
            file,
            line: at.line,
            column: at.column,
            path: path.to_string(),
        }
    }

    pub(crate) fn location_of(&self, cursor: &Cursor) -> Location {
        self.location(cursor.at(), &cursor.path)
    }

    /// Whether more problems are of use.
    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= Problems::MOST
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// Grows with every problem that is added, also with one that is known already: tells whether something
    /// was wrong since.
    pub(crate) fn heard(&self) -> usize {
        self.heard
    }

    /// Adds a problem; expectation and hint are added by `more`.
    pub(crate) fn add(
        &mut self,
        code: Code,
        at: Position,
        path: &Path,
        message: impl Into<String>,
        more: impl FnOnce(Problem) -> Problem,
    ) {
        let message = message.into();
        self.heard += 1;
        if self.is_full() || !self.seen.insert((at, code, message.clone())) {
            return;
        }
        let problem = Problem::new(code, self.location(at, path), message);
        self.found.push((at, more(problem)));
    }

    /// Adds a problem at a value.
    pub(crate) fn at(
        &mut self,
        code: Code,
        cursor: &Cursor,
        message: impl Into<String>,
        more: impl FnOnce(Problem) -> Problem,
    ) {
        self.add(code, cursor.at(), &cursor.path, message, more);
    }

    /// All of them, in the order of the documents; none is a success.
    pub(crate) fn finish(mut self) -> Result<(), Problems> {
        if self.found.is_empty() {
            return Ok(());
        }
        self.found.sort_by_key(|(at, _)| *at);
        Err(Problems(self.found.into_iter().map(|(_, problem)| problem).collect()))
    }
}

/// No expectation and no hint.
pub(crate) fn plain(problem: Problem) -> Problem {
    problem
}
