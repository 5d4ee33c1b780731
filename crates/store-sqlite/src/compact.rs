//! Making the file smaller.
//!
//! New databases keep track of where each page is used (`auto_vacuum=INCREMENTAL`), so that free pages can be filled
//! from the end of the file and given back, a few at a time. Those of version 1 do not. They are written anew
//! (`VACUUM`) when they are brought up to date, if that is quick; larger ones keep their free pages for later rows until
//! [`SqliteStore::compact`](crate::SqliteStore::compact) is called.

use std::fs;

use bowline_store::StoreError;
use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::checkpoint;
use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::lock::WriterLock;
use crate::options::Options;
use crate::write;

/// A database up to this size is written anew while it is opened: a second or two. 256 MiB.
const QUICK: u64 = 256 * 1024 * 1024;
/// What `auto_vacuum` says of a database that gives pages back.
pub(crate) const INCREMENTAL: i64 = 2;

fn gives_back(connection: &Connection) -> rusqlite::Result<bool> {
    let mode: i64 = connection.query_row("PRAGMA auto_vacuum", [], |row| row.get(0))?;
    Ok(mode == INCREMENTAL)
}

fn write_anew(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA auto_vacuum = INCREMENTAL; VACUUM")?;
    checkpoint::truncate(connection)
}

/// Makes a database that was just brought up to date one that gives pages back, if that is quick. Nothing is lost where
/// it fails.
pub(crate) fn convert(connection: &Connection, files: &Files) {
    let database = files.database.display();
    match gives_back(connection) {
        Ok(false) => {}
        Ok(true) => return,
        Err(error) => {
            tracing::warn!(%database, %error, "it could not be found out whether the database gives space back");
            return;
        }
    }
    let bytes = fs::metadata(&files.database).map_or(u64::MAX, |found| found.len());
    if bytes > QUICK {
        let megabytes = bytes / (1024 * 1024);
        tracing::warn!(
            %database, megabytes,
            "the database is too large to be arranged anew now; it reuses free space, but does not give it back to the \
             disk before it is compacted"
        );
        return;
    }
    if let Err(error) = write_anew(connection) {
        tracing::warn!(
            %database, %error,
            "the database could not be arranged anew; it works, but does not give space back before it is compacted"
        );
    }
}

/// Writes the whole database anew. Whoever writes has to be gone.
pub(crate) fn compact(files: &Files, options: &Options, durability: Durability) -> Result<(), StoreError> {
    let _lock = WriterLock::take(files)?;
    let connection = connect::writer(files, options, durability, false)?;
    write_anew(&connection).map_err(|error| errors::sqlite(&files.database, "compacting the database", error))
}

/// Gives back up to so many free pages, beside whoever writes; how many.
pub(crate) fn shrink(
    files: &Files,
    options: &Options,
    durability: Durability,
    max_pages: u32,
) -> Result<u32, StoreError> {
    let failed = |error| errors::sqlite(&files.database, "giving free space back", error);
    let connection = connect::writer(files, options, durability, false)?;
    let pages = || connection.query_row("PRAGMA page_count", [], |row| row.get::<_, i64>(0));
    // One that writes from its beginning: one that began by reading would be refused where somebody wrote since.
    let transaction = Transaction::new_unchecked(&connection, TransactionBehavior::Immediate).map_err(failed)?;
    let before = pages().map_err(failed)?;
    write::shrink(&transaction, max_pages).map_err(failed)?;
    let after = pages().map_err(failed)?;
    transaction.commit().map_err(failed)?;
    // The file is cut off when the log is copied, which readers and a busy writer may put off.
    connection
        .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        .map_err(failed)?;
    Ok((before - after).max(0) as u32)
}
