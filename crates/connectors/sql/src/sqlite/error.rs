//! SQLite's errors as step errors: a stable code, and whether trying again can help.

use bowline_connector::{ErrorKind, StepError};
use rusqlite::ffi;

/// What an error of SQLite means. `place` says where, such as `statement 2`; `committing` whether it came from
/// the commit itself.
///
/// SQLite's own messages name tables and columns, not values; what can hold a value is taken out by the caller.
pub(super) fn classify(error: &rusqlite::Error, place: &str, committing: bool) -> StepError {
    let (code, text) = match error {
        rusqlite::Error::SqliteFailure(code, text) => (*code, text.clone()),
        // Its own text quotes the whole statement.
        rusqlite::Error::SqlInputError { error, msg, offset, .. } => {
            let at = if *offset >= 0 {
                format!(" at character {}", offset + 1)
            } else {
                String::new()
            };
            (*error, Some(format!("{msg}{at}")))
        }
        rusqlite::Error::MultipleStatement => {
            return StepError::permanent(
                "sql.several-statements",
                format!("{place}: it holds more than one statement; write them as `statements`"),
            );
        }
        rusqlite::Error::NulError(_) | rusqlite::Error::InvalidPath(_) => {
            return StepError::permanent("sql.syntax", format!("{place}: {error}"));
        }
        other => return StepError::permanent("sql.error", format!("{place}: {other}")),
    };
    let text = text.unwrap_or_else(|| ffi::code_to_str(code.extended_code).to_owned());
    let (name, kind) = name_and_kind(code.extended_code, &text, committing);
    let error = StepError::new(name, kind, format!("{place}: {text}"));
    match sqlite_name(code.extended_code & 0xff) {
        Some(alias) => error.alias(alias),
        None => error,
    }
}

fn name_and_kind(extended: i32, text: &str, committing: bool) -> (&'static str, ErrorKind) {
    let permanent = |name| (name, ErrorKind::Permanent);
    match extended {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => {
            return permanent("sql.unique-violation");
        }
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => return permanent("sql.foreign-key-violation"),
        ffi::SQLITE_CONSTRAINT_NOTNULL => return permanent("sql.not-null-violation"),
        ffi::SQLITE_CONSTRAINT_CHECK => return permanent("sql.check-violation"),
        ffi::SQLITE_CONSTRAINT_TRIGGER => return permanent("sql.raised"),
        ffi::SQLITE_CONSTRAINT_DATATYPE => return permanent("sql.type-mismatch"),
        _ => {}
    }
    match extended & 0xff {
        ffi::SQLITE_CONSTRAINT => permanent("sql.constraint-violation"),
        ffi::SQLITE_MISMATCH => permanent("sql.type-mismatch"),
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_SCHEMA | ffi::SQLITE_PROTOCOL => {
            ("sql.busy", ErrorKind::Transient)
        }
        ffi::SQLITE_FULL => ("sql.full", ErrorKind::Transient),
        ffi::SQLITE_NOMEM => ("sql.out-of-memory", ErrorKind::Transient),
        ffi::SQLITE_READONLY => permanent("sql.read-only"),
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB => permanent("sql.corrupt"),
        ffi::SQLITE_CANTOPEN | ffi::SQLITE_PERM => permanent("sql.cannot-open"),
        ffi::SQLITE_INTERRUPT => ("sql.interrupted", ErrorKind::Transient),
        // A journal that could not be finished decides at the next opening what was committed.
        ffi::SQLITE_IOERR if committing => ("sql.io", ErrorKind::OutcomeUnknown),
        ffi::SQLITE_IOERR => ("sql.io", ErrorKind::Transient),
        ffi::SQLITE_TOOBIG => permanent("sql.too-big"),
        ffi::SQLITE_AUTH => permanent("sql.not-allowed"),
        ffi::SQLITE_ERROR => permanent(by_text(text)),
        _ => permanent("sql.error"),
    }
}

/// SQLite has one code for everything that is wrong with a statement's text; its message tells what.
fn by_text(text: &str) -> &'static str {
    const STARTS: [(&str, &str); 8] = [
        ("no such table", "sql.no-such-table"),
        ("no such column", "sql.no-such-column"),
        ("no such function", "sql.no-such-function"),
        ("near \"", "sql.syntax"),
        ("unrecognized token", "sql.syntax"),
        ("incomplete input", "sql.syntax"),
        ("wrong number of arguments", "sql.syntax"),
        ("ambiguous column name", "sql.syntax"),
    ];
    if text.contains("has no column named") {
        return "sql.no-such-column";
    }
    STARTS
        .iter()
        .find(|(start, _)| text.starts_with(start))
        .map_or("sql.error", |(_, name)| name)
}

fn sqlite_name(primary: i32) -> Option<&'static str> {
    Some(match primary {
        ffi::SQLITE_ERROR => "SQLITE_ERROR",
        ffi::SQLITE_BUSY => "SQLITE_BUSY",
        ffi::SQLITE_LOCKED => "SQLITE_LOCKED",
        ffi::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        ffi::SQLITE_FULL => "SQLITE_FULL",
        ffi::SQLITE_READONLY => "SQLITE_READONLY",
        ffi::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        ffi::SQLITE_NOTADB => "SQLITE_NOTADB",
        ffi::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        ffi::SQLITE_IOERR => "SQLITE_IOERR",
        ffi::SQLITE_INTERRUPT => "SQLITE_INTERRUPT",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(extended: i32, text: &str) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(ffi::Error::new(extended), Some(text.into()))
    }

    #[test]
    fn codes_and_kinds() {
        for (extended, text, name, kind) in [
            (
                ffi::SQLITE_BUSY_SNAPSHOT,
                "database is locked",
                "sql.busy",
                ErrorKind::Transient,
            ),
            (
                ffi::SQLITE_FULL,
                "database or disk is full",
                "sql.full",
                ErrorKind::Transient,
            ),
            (
                ffi::SQLITE_IOERR_FSYNC,
                "disk I/O error",
                "sql.io",
                ErrorKind::Transient,
            ),
            (
                ffi::SQLITE_CORRUPT_INDEX,
                "malformed",
                "sql.corrupt",
                ErrorKind::Permanent,
            ),
            (
                ffi::SQLITE_CONSTRAINT_VTAB,
                "constraint failed",
                "sql.constraint-violation",
                ErrorKind::Permanent,
            ),
            (
                ffi::SQLITE_ERROR,
                "no such table: x",
                "sql.no-such-table",
                ErrorKind::Permanent,
            ),
            (
                ffi::SQLITE_ERROR,
                "table t has no column named x",
                "sql.no-such-column",
                ErrorKind::Permanent,
            ),
            (ffi::SQLITE_ERROR, "malformed JSON", "sql.error", ErrorKind::Permanent),
        ] {
            let error = classify(&failure(extended, text), "statement 1", false);
            assert_eq!((error.code.as_str(), error.kind), (name, kind), "{text}");
            assert_eq!(error.message, format!("statement 1: {text}"));
        }
        assert!(classify(&failure(ffi::SQLITE_BUSY, "x"), "statement 1", false).matches("SQLITE_BUSY"));
        let commit = classify(&failure(ffi::SQLITE_IOERR_FSYNC, "x"), "commit", true);
        assert_eq!(commit.kind, ErrorKind::OutcomeUnknown);
    }
}
