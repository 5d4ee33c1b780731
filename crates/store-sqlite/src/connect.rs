//! Connections, each set up for what it is for.

use std::fs::OpenOptions;
use std::path::Path;

use bowline_store::StoreError;
use rusqlite::{Connection, OpenFlags};

use crate::errors;
use crate::files::Files;
use crate::options::Options;

/// What SQLite calls the file that was opened.
const MAIN: &str = "main";
/// The size of a page. Databases are made with SQLite's default, which this is.
pub(crate) const PAGE_SIZE: u64 = 4096;

/// How sure a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It survives a power loss.
    Power,
    /// It survives the process, for data that does not outlive it anyway.
    Process,
}

/// A connection that only reads.
///
/// Readers of a log write to its index (`-shm`), also in a folder where they may not. There, a database without a
/// log is complete by itself, and is read as a file that nobody changes.
pub(crate) fn reader(files: &Files, options: &Options) -> Result<Connection, StoreError> {
    let failed = |error| errors::sqlite(&files.database, "opening the database for reading", error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(&files.database, flags).and_then(|connection| set_up_reader(connection, options));
    match connection {
        Err(error) if errors::is_cannot_open(&error) && !files.has_log() => {
            let Some(uri) = immutable_uri(&files.database) else {
                return Err(failed(error));
            };
            Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)
                .and_then(|connection| set_up_reader(connection, options))
                .map_err(|_| failed(error))
        }
        outcome => outcome.map_err(failed),
    }
}

/// Reads a database that nobody changes and that has no log, and makes no files beside it.
pub(crate) fn unchanging(files: &Files, options: &Options) -> Result<Connection, StoreError> {
    let doing = "opening the database for reading";
    let uri = immutable_uri(&files.database)
        .ok_or_else(|| errors::other(&files.database, doing, "its name is not valid Unicode"))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
        .and_then(|connection| set_up_reader(connection, options))
        .map_err(|error| errors::sqlite(&files.database, doing, error))
}

fn set_up_reader(connection: Connection, options: &Options) -> rusqlite::Result<Connection> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(96);
    connection.execute_batch(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY;",
    )?;
    // The first read, which opens the log.
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(connection)
}

fn immutable_uri(database: &Path) -> Option<String> {
    let path = database
        .to_str()?
        .replace('%', "%25")
        .replace('?', "%3f")
        .replace('#', "%23");
    Some(format!("file:{path}?immutable=1"))
}

/// Makes the file for its owner only, where there is none: it holds answers, and what tokens are made with. Files that
/// SQLite puts beside it have the same rights. What goes wrong here goes wrong again when SQLite opens it, and is told.
fn make_private(database: &Path) {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    drop(options.open(database));
}

/// A connection that writes. `create` makes the file if it is missing.
pub(crate) fn writer(
    files: &Files,
    options: &Options,
    durability: Durability,
    create: bool,
) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
        make_private(&files.database);
    }
    let connection = Connection::open_with_flags(&files.database, flags)
        .and_then(|connection| set_up_writer(connection, options, durability))
        .map_err(|error| cannot_write(&files.database, error))?;
    // SQLite opens what it may not write for reading, and says so only later.
    if connection.is_readonly(MAIN).unwrap_or(false) {
        let detail = "the file may not be written to".into();
        return Err(StoreError::ReadOnly {
            path: files.database.clone(),
            detail,
        });
    }
    Ok(connection)
}

/// SQLite says only that it could not open a file; the system says why.
fn cannot_write(database: &Path, error: rusqlite::Error) -> StoreError {
    let doing = "opening the database for writing";
    match OpenOptions::new().write(true).open(database) {
        Err(reason) if errors::is_cannot_open(&error) => errors::io(database, doing, reason),
        _ => errors::sqlite(database, doing, error),
    }
}

fn set_up_writer(connection: Connection, options: &Options, durability: Durability) -> rusqlite::Result<Connection> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(96);
    let synchronous = match durability {
        Durability::Power => "FULL",
        Durability::Process => "OFF",
    };
    // The log's file keeps the size that a steady load needs, because cutting it off and growing it again is slow.
    connection.execute_batch(&format!(
        "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY; \
         PRAGMA foreign_keys = OFF; PRAGMA synchronous = {synchronous}; PRAGMA cache_size = -65536; \
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 134217728;",
    ))?;
    if let Some(bytes) = options.max_size {
        let pages = (bytes / PAGE_SIZE).clamp(1, 4_294_967_294);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))?;
    }
    Ok(connection)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use crate::{Options, SqliteStore};

    #[test]
    fn a_new_database_is_its_owner_s_alone() {
        let home = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(home.path(), Options::default()).unwrap();
        let rights = std::fs::metadata(store.path()).unwrap().permissions().mode();
        assert_eq!(rights & 0o077, 0, "{rights:o}");
    }
}
