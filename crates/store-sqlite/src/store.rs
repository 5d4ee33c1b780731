//! The store: files, options, and the connections that read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_store::{
    AuditPage, Definition, Delivery, DeliveryFilter, EntryRange, EventRow, ExecNo, ExecutionFilter, ExecutionRow,
    Housekeeping, JournalRecord, OpenExecution, Request, RequestKind, StartKeyRow, Store, StoreError, WaitFilter,
    WaitKind, WaitRow, Writer,
};
use bytes::Bytes;
use rusqlite::Connection;
use tempfile::TempDir;

use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::options::Options;
use crate::requests::Poller;
use crate::write::SqliteWriter;
use crate::{backup, check, compact, read, requests, schema};

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
        if !options.read_only {
            backup::clean(&files);
        }
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

    /// Puts a copy that [`Store::backup`] made where there is no store yet: `to` is a folder or a file, as for
    /// [`SqliteStore::open`]. The copy is checked first, and stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Other`] where there is a store at `to` or nothing at `backup`, [`StoreError::Corrupt`] for a copy that
    /// is damaged or not one of a store, [`StoreError::Newer`], [`StoreError::Full`], ...
    pub fn restore(backup: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<(), StoreError> {
        backup::restore(backup.as_ref(), to.as_ref())
    }

    /// Writes the whole database anew, as small as it can be, and so that it gives space back from then on. Takes time
    /// and space in proportion to its size. Nobody may hold the writer; readers do not mind.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while somebody writes, [`StoreError::Full`] where there is no space for a second copy; the
    /// database then stays as it is.
    pub fn compact(&self) -> Result<(), StoreError> {
        self.refuse_read_only()?;
        compact::compact(&self.inner.files, &self.inner.options, self.inner.durability)
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

    fn token_key(&self) -> Result<[u8; 32], StoreError> {
        self.read("reading the key of tokens", read::token_key)
    }

    fn definitions(&self, organization: &str, workflow: &str) -> Result<Vec<Definition>, StoreError> {
        self.read("reading definitions", |connection| {
            read::definitions(connection, organization, workflow)
        })
    }

    fn organizations(&self) -> Result<Vec<String>, StoreError> {
        self.read("listing organizations", read::organizations)
    }

    fn workflows(&self, organization: &str) -> Result<Vec<String>, StoreError> {
        self.read("listing workflows", |connection| {
            read::workflows(connection, organization)
        })
    }

    fn paused_workflows(&self, organization: &str) -> Result<Vec<String>, StoreError> {
        self.read("listing paused workflows", |connection| {
            read::paused_workflows(connection, organization)
        })
    }

    fn execution_by_no(&self, exec: ExecNo) -> Result<Option<ExecutionRow>, StoreError> {
        self.read("reading an execution", |connection| {
            read::execution_by_no(connection, exec)
        })
    }

    fn start_key(&self, organization: &str, workflow: &str, key: &str) -> Result<Option<StartKeyRow>, StoreError> {
        self.read("reading a start key", |connection| {
            read::start_key(connection, organization, workflow, key)
        })
    }

    fn last_record(&self, exec: ExecNo) -> Result<Option<JournalRecord>, StoreError> {
        self.read("reading a journal", |connection| read::last_record(connection, exec))
    }

    fn open_execution(&self, exec: ExecNo) -> Result<Option<OpenExecution>, StoreError> {
        self.read("reading an execution with its journal", |connection| {
            read::open_execution(connection, exec)
        })
    }

    fn due(&self, after: (i64, ExecNo), limit: usize) -> Result<Vec<(i64, ExecNo)>, StoreError> {
        self.read("reading who is to be woken", |connection| {
            read::due(connection, after, limit)
        })
    }

    fn audit(&self, after: ExecNo, limit: usize) -> Result<AuditPage, StoreError> {
        self.read("auditing executions", |connection| {
            read::audit(connection, after, limit)
        })
    }

    fn wait(&self, exec: ExecNo, tag: u64) -> Result<Option<WaitRow>, StoreError> {
        self.read("reading a wait", |connection| read::wait(connection, exec, tag))
    }

    fn waits(&self, filter: &WaitFilter) -> Result<Vec<WaitRow>, StoreError> {
        self.read("listing waits", |connection| read::waits(connection, filter))
    }

    fn waits_by_key(
        &self,
        organization: &str,
        kind: WaitKind,
        name: &str,
        key: &str,
    ) -> Result<Vec<WaitRow>, StoreError> {
        self.read("reading waits for a key", |connection| {
            read::waits_by_key(connection, organization, kind, name, key)
        })
    }

    fn event_waits(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
    ) -> Result<Vec<(ExecNo, u64, String)>, StoreError> {
        self.read("reading who waits for an event", |connection| {
            read::event_waits(connection, organization, event, key)
        })
    }

    fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<Delivery>, StoreError> {
        self.read("listing deliveries", |connection| read::deliveries(connection, filter))
    }

    fn deliveries_for(
        &self,
        exec: ExecNo,
        tag: u64,
        name: &str,
        key: Option<&str>,
    ) -> Result<Vec<Delivery>, StoreError> {
        self.read("reading deliveries", |connection| {
            read::deliveries_for(connection, exec, tag, name, key)
        })
    }

    fn last_delivery(&self) -> Result<i64, StoreError> {
        self.read("reading the last delivery's number", |connection| {
            read::last_delivery(connection)
        })
    }

    fn events_after(
        &self,
        organization: &str,
        event: &str,
        key: Option<&str>,
        after: i64,
        since: i64,
        limit: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        self.read("reading events", |connection| {
            read::events_after(connection, organization, event, key, after, since, limit)
        })
    }

    fn finished(
        &self,
        organization: &str,
        workflow: &str,
        before: i64,
        limit: usize,
    ) -> Result<Vec<ExecutionRow>, StoreError> {
        self.read("reading finished executions", |connection| {
            read::finished(connection, organization, workflow, before, limit)
        })
    }

    fn kept_from(&self, organization: &str, workflow: &str, keep: usize) -> Result<Option<i64>, StoreError> {
        self.read("reading finished executions", |connection| {
            read::kept_from(connection, organization, workflow, keep)
        })
    }

    fn deleting(&self, limit: usize) -> Result<Vec<ExecNo>, StoreError> {
        self.read("reading what is being deleted", |connection| {
            read::deleting(connection, limit)
        })
    }

    fn housekeeping(&self) -> Result<Housekeeping, StoreError> {
        self.read("reading what there is to tidy up", |connection| {
            read::housekeeping(connection)
        })
    }

    fn blobs_of(&self, exec: ExecNo) -> Result<Vec<String>, StoreError> {
        self.read("reading references to blobs", |connection| {
            read::blobs_of(connection, exec)
        })
    }

    fn blob_referenced(&self, blob: &str) -> Result<bool, StoreError> {
        self.read("reading references to blobs", |connection| {
            read::blob_referenced(connection, blob)
        })
    }

    fn entry(&self, space: &str, key: &str) -> Result<Option<Bytes>, StoreError> {
        self.read("reading an entry", |connection| read::entry(connection, space, key))
    }

    fn entries(&self, range: &EntryRange) -> Result<Vec<(String, Bytes)>, StoreError> {
        self.read("listing entries", |connection| read::entries(connection, range))
    }

    fn backup(&self, dest: &Path) -> Result<(), StoreError> {
        backup::backup(&self.inner.files, &self.inner.options, dest)
    }

    fn shrink(&self, max_pages: u32) -> Result<u32, StoreError> {
        self.refuse_read_only()?;
        let Inner {
            files,
            options,
            durability,
            ..
        } = &*self.inner;
        compact::shrink(files, options, *durability, max_pages)
    }

    fn check(&self) -> Result<Vec<String>, StoreError> {
        check::check(&self.inner.files, &self.inner.options)
    }
}
