//! The tables, who made them, and how older ones become the current ones.
//!
//! `application_id` says that a database is Bowline's, `user_version` how many of [`STEPS`] it has been through.
//! The missing ones are applied in one transaction under the writer's lock: a database is of one version or of
//! another, never between.

use bowline_store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::lock::WriterLock;
use crate::options::Options;

/// "BOWL".
const APPLICATION_ID: i64 = 0x424F_574C;

/// Version `n` is what the first `n` of these make of an empty database. Published ones are never changed.
pub(crate) const STEPS: &[&str] = &[include_str!("schema/1.sql")];

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Nothing yet, or what is left of a creation that was interrupted.
    Empty,
    /// A store that has been through so many steps.
    Version(i64),
}

/// Makes sure that there is a database of the current version.
pub(crate) fn prepare(files: &Files, options: &Options, durability: Durability) -> Result<(), StoreError> {
    prepare_with(files, options, durability, STEPS)
}

fn prepare_with(files: &Files, options: &Options, durability: Durability, steps: &[&str]) -> Result<(), StoreError> {
    let known = steps.len() as i64;
    let found = if files.has_content()? {
        identify(&connect::reader(files, options)?, files)?
    } else {
        Found::Empty
    };
    match found {
        Found::Version(version) if version == known => return Ok(()),
        Found::Version(version) if version > known => {
            return Err(StoreError::Newer {
                path: files.database.clone(),
                found: version,
                known,
            });
        }
        Found::Empty if options.read_only => {
            return Err(errors::other(
                &files.database,
                "opening the store",
                "there is no database",
            ));
        }
        Found::Version(version) if options.read_only => {
            let detail = format!("its schema {version} has to be brought up to {known} first, which needs writing");
            return Err(StoreError::ReadOnly {
                path: files.database.clone(),
                detail,
            });
        }
        Found::Version(_) | Found::Empty => {}
    }
    let _lock = WriterLock::wait(files, options.busy_timeout)?;
    let mut connection = connect::writer(files, options, durability, true)?;
    // Another process may have been quicker.
    let from = match identify(&connection, files)? {
        Found::Empty => 0,
        Found::Version(version) => version,
    };
    migrate(&mut connection, from, steps)
        .map_err(|error| errors::sqlite(&files.database, "bringing the database up to date", error))?;
    drop(connection);
    files.sync()
}

fn identify(connection: &Connection, files: &Files) -> Result<Found, StoreError> {
    let (application, version, tables) = connection
        .query_row(
            "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version), \
             (SELECT count(*) FROM sqlite_schema)",
            [],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
        )
        .map_err(|error| errors::sqlite(&files.database, "opening the store", error))?;
    match (application, version, tables) {
        (APPLICATION_ID, 1.., _) => Ok(Found::Version(version)),
        (0, 0, 0) => Ok(Found::Empty),
        _ => Err(StoreError::Corrupt {
            path: files.database.clone(),
            detail: "it is an SQLite database, but not one of bowline's".into(),
        }),
    }
}

/// Applies the steps after `from`, all or none.
fn migrate(connection: &mut Connection, from: i64, steps: &[&str]) -> rusqlite::Result<()> {
    let missing = steps
        .get(usize::try_from(from).unwrap_or(usize::MAX)..)
        .unwrap_or_default();
    if missing.is_empty() {
        return Ok(());
    }
    // Kept in the file; cannot be part of the transaction.
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}",
        steps.len()
    ))?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
