//! What SQLite and the operating system say, as [`StoreError`]s.

use std::io;
use std::path::Path;

use bowline_store::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

/// An error of SQLite about `database`, met while `doing`.
pub(crate) fn sqlite(database: &Path, doing: &str, error: Error) -> StoreError {
    let path = database.to_path_buf();
    match &error {
        Error::SqliteFailure(failure, message) => {
            let detail = || message.clone().unwrap_or_else(|| failure.to_string());
            match (failure.code, failure.extended_code) {
                (_, ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS | ffi::SQLITE_IOERR_DATA)
                | (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                    StoreError::Corrupt { path, detail: detail() }
                }
                // The index of the log is made larger before it is used, and only a full disk prevents that.
                (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full { path },
                (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Locked { path, holder: None },
                (ErrorCode::ReadOnly, _) => StoreError::ReadOnly { path, detail: detail() },
                _ => other(database, doing, error),
            }
        }
        // A column that does not hold what only this crate writes to it.
        Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::InvalidColumnType(..) => {
            StoreError::Corrupt {
                path,
                detail: error.to_string(),
            }
        }
        _ => other(database, doing, error),
    }
}

/// An error of the operating system about `path`, met while `doing`.
pub(crate) fn io(path: &Path, doing: &str, error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => StoreError::ReadOnly {
            path: path.to_path_buf(),
            detail: error.to_string(),
        },
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full {
            path: path.to_path_buf(),
        },
        _ => other(path, doing, error),
    }
}

/// Anything else about `path`.
pub(crate) fn other(
    path: &Path,
    doing: &str,
    error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> StoreError {
    StoreError::Other {
        context: format!("{doing} ({})", path.display()),
        source: error.into(),
    }
}

/// Whether this is the violation of a unique index, and not of a primary key.
pub(crate) fn is_unique_violation(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _) if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE)
}

/// Whether what was read is damaged.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if matches!(failure.code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
}

/// Whether the disk failed in a way that leaves open what of the last write is on it.
pub(crate) fn is_io_failure(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if failure.code == ErrorCode::SystemIoFailure && failure.extended_code != ffi::SQLITE_IOERR_SHMSIZE)
}

/// Whether the files beside the database could not be opened or made.
pub(crate) fn is_cannot_open(error: &Error) -> bool {
    matches!(error, Error::SqliteFailure(failure, _)
        if matches!(failure.code, ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}
