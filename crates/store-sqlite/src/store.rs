//! The store: files, options, and the connections that read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_store::{
    Definition, ExecNo, ExecutionFilter, ExecutionRow, JournalRecord, OpenExecution, Request, RequestKind, Store,
    StoreError, Writer,
};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::options::Options;
use crate::requests::Poller;
use crate::write::SqliteWriter;
use crate::{check, read, requests, schema};

/// Connections that wait to be used again; more are closed after use.
const IDLE_READERS: usize = 8;

/// A store in an SQLite database. Clones are the same store.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    files: Files,
    options: Options,
    durability: Durability,
    readers: Mutex<Vec<Connection>>,
    poller: Mutex<Option<Poller>>,
    /// The folder of a temporary store, deleted after the last connection was closed.
    home: Option<Arc<TempDir>>,
}

impl SqliteStore {
    /// Opens the store at `path`, and makes it where there is none.
    ///
    /// `path` is a folder (the database is `bowline.db` in it) or a database file. What does not exist yet is taken
    /// for a file if its name has an extension, else for a folder.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what is not a store or is damaged at first sight, [`StoreError::Newer`],
    /// [`StoreError::ReadOnly`], [`StoreError::Full`], [`StoreError::Locked`] while another process changes the
    /// schema, or what else the system has against opening it.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        Self::open_with(path.as_ref(), options, Durability::Power, None)
    }

    /// Makes a store in a temporary folder, which is deleted with the last of this, its clones and its writer. It
    /// does not wait for the disk.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn temporary() -> Result<Self, StoreError> {
        let home = tempfile::Builder::new()
            .prefix("bowline-")
            .tempdir()
            .map_err(|error| errors::io(&std::env::temp_dir(), "making a temporary store", error))?;
        let path = home.path().to_path_buf();
        Self::open_with(&path, Options::default(), Durability::Process, Some(Arc::new(home)))
    }

    fn open_with(
        path: &Path,
        options: Options,
        durability: Durability,
        home: Option<Arc<TempDir>>,
    ) -> Result<Self, StoreError> {
        let files = Files::find(path, &options)?;
        schema::prepare(&files, &options, durability)?;
        let inner = Inner {
            files,
            options,
            durability,
            readers: Mutex::default(),
            poller: Mutex::default(),
            home,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.inner.files.database
    }

    /// Reads with a connection of its own. One that met an error is not used again.
    fn read<T>(&self, doing: &str, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        let idle = self.readers().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect::reader(&self.inner.files, &self.inner.options)?,
        };
        let found = query(&connection).map_err(|error| errors::sqlite(self.path(), doing, error))?;
        let mut idle = self.readers();
        if idle.len() < IDLE_READERS {
            idle.push(connection);
        }
        Ok(found)
    }

    fn readers(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refuse_read_only(&self) -> Result<(), StoreError> {
        if self.inner.options.read_only {
            let detail = "it was opened for reading only".into();
            return Err(StoreError::ReadOnly {
                path: self.path().to_path_buf(),
                detail,
            });
        }
        Ok(())
    }
}

impl Store for SqliteStore {
    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        self.refuse_read_only()?;
        let Inner {
            files,
            options,
            durability,
            home,
            ..
        } = &*self.inner;
        Ok(Box::new(SqliteWriter::open(
            files.clone(),
            options,
            *durability,
            home.clone(),
        )?))
    }

    fn definition(&self, hash: &str) -> Result<Option<Definition>, StoreError> {
        self.read("reading a definition", |connection| read::definition(connection, hash))
    }

    fn execution(&self, id: &str) -> Result<Option<ExecutionRow>, StoreError> {
        self.read("reading an execution", |connection| read::execution(connection, id))
    }

    fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>, StoreError> {
        self.read("listing executions", |connection| read::executions(connection, filter))
    }

    fn journal(&self, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>, StoreError> {
        self.read("reading a journal", |connection| {
            read::journal(connection, exec, from, limit)
        })
    }

    fn open_executions(&self, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>, StoreError> {
        self.read("reading unfinished executions", |connection| {
            read::open_executions(connection, after, limit)
        })
    }

    fn requests(&self, after: i64) -> Result<Vec<Request>, StoreError> {
        let mut slot = self.inner.poller.lock().unwrap_or_else(PoisonError::into_inner);
        let mut poller = match slot.take() {
            Some(poller) => poller,
            None => Poller::new(connect::reader(&self.inner.files, &self.inner.options)?),
        };
        let found = poller
            .poll(after)
            .map_err(|error| errors::sqlite(self.path(), "reading requests", error))?;
        *slot = Some(poller);
        Ok(found)
    }

    fn request(&self, request: &RequestKind) -> Result<(), StoreError> {
        self.refuse_read_only()?;
        let Inner {
            files,
            options,
            durability,
            ..
        } = &*self.inner;
        requests::leave(files, options, *durability, request)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        check::check(&self.inner.files, &self.inner.options)
    }
}
