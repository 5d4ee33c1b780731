//! The numbers that stand for names in rows. Published ones are never changed.

use bowline_store::{Status, WaitKind, WaitState};
use rusqlite::types::Type;
use rusqlite::{Error, Result};

/// A number's sign bit. Rows hold a tag less this, so that signed numbers sort as unsigned ones do.
const SIGN: u64 = 1 << 63;

pub(crate) const fn of_status(status: Status) -> i64 {
    match status {
        Status::Running => 0,
        Status::Waiting => 1,
        Status::Paused => 2,
        Status::Succeeded => 3,
        Status::Failed => 4,
        Status::Cancelled => 5,
    }
}

pub(crate) fn status(column: usize, number: i64) -> Result<Status> {
    find(column, "status", number, Status::ALL, of_status)
}

pub(crate) const fn of_kind(kind: WaitKind) -> i64 {
    match kind {
        WaitKind::Callback => 0,
        WaitKind::Signal => 1,
        WaitKind::Event => 2,
    }
}

pub(crate) fn kind(column: usize, number: i64) -> Result<WaitKind> {
    find(column, "kind of wait", number, WaitKind::ALL, of_kind)
}

pub(crate) const fn of_state(state: WaitState) -> i64 {
    match state {
        WaitState::Open => 0,
        WaitState::Answered => 1,
        WaitState::Failed => 2,
        WaitState::Cancelled => 3,
    }
}

pub(crate) fn state(column: usize, number: i64) -> Result<WaitState> {
    find(column, "state of a wait", number, WaitState::ALL, of_state)
}

pub(crate) const fn of_tag(tag: u64) -> i64 {
    (tag ^ SIGN) as i64
}

pub(crate) const fn tag(number: i64) -> u64 {
    number as u64 ^ SIGN
}

fn find<T: Copy>(
    column: usize,
    what: &str,
    number: i64,
    all: impl IntoIterator<Item = T>,
    code: impl Fn(T) -> i64,
) -> Result<T> {
    let unknown =
        || Error::FromSqlConversionFailure(column, Type::Integer, format!("there is no {what} {number}").into());
    all.into_iter().find(|value| code(*value) == number).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_number_of_its_own_that_does_not_change() {
        for (at, expected) in Status::ALL.into_iter().enumerate() {
            assert_eq!(status(0, at as i64).unwrap(), expected);
        }
        for (at, expected) in WaitKind::ALL.into_iter().enumerate() {
            assert_eq!(kind(0, at as i64).unwrap(), expected);
        }
        for (at, expected) in WaitState::ALL.into_iter().enumerate() {
            assert_eq!(state(0, at as i64).unwrap(), expected);
        }
        assert!(status(0, 6).is_err() && kind(0, 3).is_err() && state(0, -1).is_err());
    }

    #[test]
    fn tags_sort_as_they_are() {
        let tags = [0, 1, SIGN - 1, SIGN, u64::MAX];
        assert!(tags.map(of_tag).is_sorted());
        assert_eq!(tags.map(of_tag).map(tag), tags);
        assert_eq!(of_tag(0), i64::MIN);
    }
}
