//! The database of users, in SQLite.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bowline::{Classify as _, Error, ErrorKind};
use rusqlite::{Connection, ErrorCode, OptionalExtension as _};
use serde_json::Value;

use super::DatabaseService;

/// How long another process may keep the database locked.
const BUSY: Duration = Duration::from_secs(5);

/// A table of users in an SQLite file. It is opened at the first call, so that a database that is not there is an
/// error of that call.
pub struct SqliteDatabase {
    path: PathBuf,
    connection: Arc<Mutex<Option<Connection>>>,
}

impl SqliteDatabase {
    /// A database in this file.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            connection: Arc::default(),
        }
    }

    /// Works with the database on a thread that may block.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> bowline::Result<T> {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.connection));
        let worked = tokio::task::spawn_blocking(move || {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = match shared.take() {
                Some(connection) => connection,
                None => open(&path)?,
            };
            work(shared.insert(connection))
        });
        worked
            .await
            .transient("sql.cut-off")?
            .map_err(|error| classified(&error))
    }
}

fn open(path: &std::path::Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.execute(
        "CREATE TABLE IF NOT EXISTS users (id TEXT PRIMARY KEY, data TEXT NOT NULL)",
        [],
    )?;
    Ok(connection)
}

fn classified(error: &rusqlite::Error) -> Error {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::CannotOpen | ErrorCode::DiskFull) => {
            ErrorKind::Transient
        }
        _ => ErrorKind::Permanent,
    };
    Error::caused_by("sql.failed", kind, error)
}

#[async_trait]
impl DatabaseService for SqliteDatabase {
    async fn save_user_data(&self, user_id: &str, data: &Value) -> bowline::Result<()> {
        let row = (user_id.to_owned(), data.to_string());
        self.with(move |connection| {
            let save =
                "INSERT INTO users (id, data) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET data = excluded.data";
            connection.execute(save, row).map(drop)
        })
        .await
    }

    async fn get_user_data(&self, user_id: &str) -> bowline::Result<Option<Value>> {
        let id = user_id.to_owned();
        let find = "SELECT data FROM users WHERE id = ?1";
        let found = self
            .with(move |connection| {
                connection
                    .query_row(find, [id], |row| row.get::<_, String>(0))
                    .optional()
            })
            .await?;
        found
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .permanent("sql.bad-data")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_saved_last_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::new(folder.path().join("users.db"));
        assert_eq!(database.get_user_data("ada").await.unwrap(), None);
        for number in 1..3 {
            database.save_user_data("ada", &Value::from(number)).await.unwrap();
        }
        assert_eq!(database.get_user_data("ada").await.unwrap(), Some(Value::from(2)));
    }

    #[tokio::test]
    async fn a_database_that_cannot_be_opened_may_be_there_later() {
        let folder = tempfile::tempdir().unwrap();
        let database = SqliteDatabase::new(folder.path().join("missing/users.db"));
        let error = database.get_user_data("ada").await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("sql.failed", ErrorKind::Transient));
        std::fs::create_dir(folder.path().join("missing")).unwrap();
        assert_eq!(database.get_user_data("ada").await.unwrap(), None);
    }
}
