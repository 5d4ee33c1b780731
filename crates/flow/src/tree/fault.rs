//! Faults: why a text is not a document.

use saphyr_parser::{Marker, Tag};

use super::{MAX_DEPTH, Position};

/// Why a text is not a document.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) at: Position,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// The classes of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Syntax,
    TooLarge,
    DuplicateKey,
    Unsupported,
    Number,
    Empty,
}

pub(super) fn position(marker: Marker, file: u8) -> Position {
    Position {
        file,
        line: marker.line(),
        column: marker.col() + 1,
    }
}

pub(super) fn fault(kind: FaultKind, at: Position, message: impl Into<String>) -> Fault {
    Fault {
        kind,
        at,
        message: message.into(),
        hint: None,
    }
}

pub(super) fn too_deep(at: Position) -> Fault {
    fault(
        FaultKind::TooLarge,
        at,
        format!("the document is nested more than {MAX_DEPTH} levels deep"),
    )
}

pub(super) fn unknown_tag(tag: &Tag, at: Position) -> Fault {
    let mut found = fault(FaultKind::Unsupported, at, format!("the tag `{tag}` is not known here"));
    found.hint = Some("remove it; a text that starts with `!` has to be in quotes".into());
    found
}
