//! Names of steps, nodes and variables.

use crate::codes;
use crate::cursor::{Cursor, Path};
use crate::report::plain;
use crate::schema::has_expression;
use crate::tree::Position;

use super::Lowering;
use super::scope::{LOCALS, ROOTS};

impl Lowering<'_> {
    /// Whether a name can be used for a step, a node or a variable; a problem if not.
    pub(super) fn check_name(&mut self, name: &str, at: Position, path: &Path) -> bool {
        if has_expression(name) {
            // The checker has said that none may stand here.
            return false;
        }
        if ROOTS.contains(&name) || LOCALS.contains(&name) {
            let message = format!("`{name}` already means something in expressions");
            self.report.add(codes::BAD_NAME, at, path, message, |problem| {
                problem.hint("choose another name")
            });
            return false;
        }
        if is_name(name) {
            return true;
        }
        let short: String = name.chars().take(60).collect();
        self.report.add(
            codes::BAD_NAME,
            at,
            path,
            format!("{short:?} cannot be a name"),
            |problem| problem.expected("letters, digits, `_` and `-`, at most 128 of them, not starting with `-`"),
        );
        false
    }

    /// A name that another step at this place must not have.
    pub(super) fn check_free(&mut self, name: &str, cursor: &Cursor) {
        if let Some(first) = self.scope.taken(name) {
            let message = format!("a step called `{name}` is already in line {}", first.line);
            self.report.at(codes::DUPLICATE_NAME, cursor, message, |problem| {
                problem.hint("give one of them another `id`")
            });
        } else if self.scope.is_variable(name) {
            let message = format!("`{name}` is already the name of a variable");
            self.report.at(codes::DUPLICATE_NAME, cursor, message, plain);
        }
    }

    /// A variable must not hide a step.
    pub(super) fn check_variable(&mut self, name: &str, at: Position, path: &Path) {
        if let Some(first) = self.scope.taken(name) {
            let message = format!("`{name}` is already the name of the step in line {}", first.line);
            self.report.add(codes::DUPLICATE_NAME, at, path, message, plain);
        }
    }

    /// The name of a loop variable or of a caught error, or the default.
    pub(super) fn local_name(&mut self, cursor: &Cursor, key: &str, default: &str) -> String {
        let Some(field) = cursor.field(key) else {
            return default.to_owned();
        };
        let Some(name) = field.text().map(str::to_owned) else {
            return default.to_owned();
        };
        if self.check_name(&name, field.at(), &field.path) {
            self.check_free(&name, &field);
        }
        name
    }
}

/// Letters, digits, `_` and `-`, not starting with `-`.
pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('-')
        && name.chars().count() <= 128
        && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}
