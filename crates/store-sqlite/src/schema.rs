//! The tables, who made them, and how older ones become the current ones.
//!
//! `application_id` says that a database is Bowline's, `user_version` how many of [`STEPS`] it has been through.
//! The missing ones are applied in one transaction under the writer's lock: a database is of one version or of
//! another, never between.

use bowline_store::StoreError;
use rusqlite::{Connection, TransactionBehavior};

use crate::compact;
use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::lock::WriterLock;
use crate::options::Options;

/// "BOWL".
const APPLICATION_ID: i64 = 0x424F_574C;

/// Version `n` is what the first `n` of these make of an empty database. Published ones are never changed.
pub(crate) const STEPS: &[&str] = &[
    include_str!("schema/1.sql"),
    include_str!("schema/2.sql"),
    include_str!("schema/3.sql"),
];

/// What a file turned out to be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found {
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
        Found::Version(version) if version == known && (options.read_only || !files.migrating.exists()) => {
            return Ok(());
        }
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
    let mark = Mark::set(files, from, known)?;
    migrate(&mut connection, from, steps)
        .map_err(|error| errors::sqlite(&files.database, "bringing the database up to date", error))?;
    compact::convert(&connection, files);
    drop(connection);
    files.sync()?;
    mark.clear();
    Ok(())
}

/// A file that is there while an older database is brought up to date, so that whoever comes after a process that was
/// killed in the middle can say so.
struct Mark<'f>(&'f Files);

impl<'f> Mark<'f> {
    fn set(files: &'f Files, from: i64, known: i64) -> Result<Self, StoreError> {
        let database = files.database.display();
        if files.migrating.exists() {
            if from < known {
                tracing::warn!(
                    %database, from, to = known,
                    "an earlier attempt to bring the database up to date did not finish and left nothing; it is done again"
                );
            } else {
                tracing::warn!(
                    %database,
                    "the database was brought up to date, but its pages were not arranged anew; that is done again"
                );
            }
        } else if from > 0 && from < known {
            tracing::info!(%database, from, to = known, "bringing the database up to date");
            std::fs::write(&files.migrating, "")
                .map_err(|error| errors::io(&files.migrating, "bringing the database up to date", error))?;
        }
        Ok(Self(files))
    }

    /// What fails is only that the next one says more than it has to.
    fn clear(self) {
        match std::fs::remove_file(&self.0.migrating) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::debug!(%error, "the mark of a finished migration stays");
            }
            _ => {}
        }
    }
}

pub(crate) fn identify(connection: &Connection, files: &Files) -> Result<Found, StoreError> {
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
    // Both are kept in the file. The first has to come before anything else is in it, the second cannot be part of
    // the transaction.
    if from == 0 {
        connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL")?;
    }
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for step in missing {
        transaction.execute_batch(step)?;
    }
    if transaction.table_exists(None, "secrets")? {
        make_token_key(&transaction)?;
    }
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {}",
        steps.len()
    ))?;
    transaction.commit()
}

/// Makes a key that nobody can guess, where there is none yet.
fn make_token_key(connection: &Connection) -> rusqlite::Result<()> {
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection.execute(
        "INSERT INTO secrets VALUES ('token_key', ?1) ON CONFLICT DO NOTHING",
        [key],
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
