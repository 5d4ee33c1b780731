//! The writer: batches as transactions, each durable when it returns.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline_store::{Definition, ExecNo, JournalRecord, NewExecution, Status, StoreError, Write, Writer};
use rusqlite::{CachedStatement, Connection, Error, Result};
use tempfile::TempDir;

use crate::checkpoint::{self, Checkpointer, Limits};
use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::lock::WriterLock;
use crate::options::Options;

/// How long closing waits for readers before it leaves the log as it is.
const CLOSING_PATIENCE: Duration = Duration::from_millis(500);

/// The one writer. What it holds is released in this order.
pub(crate) struct SqliteWriter {
    checkpointer: Checkpointer,
    connection: Connection,
    /// The log's length after the last commit.
    frames: Arc<AtomicU64>,
    /// Why it may not go on.
    failed: Option<String>,
    files: Files,
    _lock: WriterLock,
    _home: Option<Arc<TempDir>>,
}

/// Why a batch was not written.
enum Refusal {
    /// A write that the trait says is refused.
    Write(StoreError),
    /// SQLite refused, before the transaction was to be made durable.
    Before(Error),
    /// SQLite refused while it was made durable.
    AtCommit(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Before(error)
    }
}

impl SqliteWriter {
    pub(crate) fn open(
        files: Files,
        options: &Options,
        durability: Durability,
        home: Option<Arc<TempDir>>,
    ) -> std::result::Result<Self, StoreError> {
        let lock = WriterLock::take(&files)?;
        let mut connection = connect::writer(&files, options, durability, false)?;
        let frames = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&frames);
        connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
                seen.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| errors::sqlite(&files.database, "opening the database for writing", error))?;
        let checkpointer = Checkpointer::start(
            connect::writer(&files, options, durability, false)?,
            &files.database,
            Limits::default(),
        )?;
        Ok(Self {
            checkpointer,
            connection,
            frames,
            failed: None,
            files,
            _lock: lock,
            _home: home,
        })
    }

    fn write(&self, batch: &[Write]) -> std::result::Result<(), Refusal> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
        let mut statements = Statements::new(&self.connection);
        for write in batch {
            statements.write(write, &self.files)?;
        }
        drop(statements);
        self.connection
            .prepare_cached("COMMIT")?
            .raw_execute()
            .map_err(Refusal::AtCommit)?;
        Ok(())
    }

    /// Undoes what a refused batch has done. SQLite has done so already after some errors.
    fn roll_back(&mut self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            self.failed = Some(format!("a failed transaction could not be rolled back: {error}"));
        }
    }

    fn usable(&self) -> std::result::Result<(), StoreError> {
        match &self.failed {
            None => Ok(()),
            Some(why) => Err(errors::other(
                &self.files.database,
                "this writer cannot go on and has to be opened anew",
                why.as_str(),
            )),
        }
    }
}

impl Writer for SqliteWriter {
    fn next_exec(&mut self) -> std::result::Result<ExecNo, StoreError> {
        self.usable()?;
        let highest: i64 = self
            .connection
            .query_row(
                "SELECT max((SELECT coalesce(max(exec_no), 0) FROM executions), \
                 (SELECT value FROM meta WHERE name = 'high_water'))",
                [],
                |row| row.get(0),
            )
            .map_err(|error| errors::sqlite(&self.files.database, "reading the last execution's number", error))?;
        Ok(ExecNo(highest.saturating_add(1)))
    }

    fn commit(&mut self, batch: &[Write]) -> std::result::Result<(), StoreError> {
        self.usable()?;
        if batch.is_empty() {
            return Ok(());
        }
        let Err(refusal) = self.write(batch) else {
            self.checkpointer
                .committed(self.frames.load(Ordering::Relaxed), &self.connection);
            return Ok(());
        };
        self.roll_back();
        let doing = "writing";
        Err(match refusal {
            Refusal::Write(error) => error,
            Refusal::Before(error) => errors::sqlite(&self.files.database, doing, error),
            Refusal::AtCommit(error) => {
                // The batch is in the log's file as a whole or not, and nobody can say which: whoever reads the log
                // after a crash may find it there. Nothing may follow it before that is settled, which closing does.
                if errors::is_io_failure(&error) {
                    self.failed = Some(format!("the disk failed in the middle of a commit: {error}"));
                    self.usable()?;
                }
                errors::sqlite(&self.files.database, doing, error)
            }
        })
    }
}

impl Drop for SqliteWriter {
    fn drop(&mut self) {
        self.checkpointer.stop();
        let emptied = self
            .connection
            .busy_timeout(CLOSING_PATIENCE)
            .and_then(|()| checkpoint::truncate(&self.connection));
        if let Err(error) = emptied {
            tracing::debug!(%error, "the log stays until the database is opened again");
        }
    }
}

impl fmt::Debug for SqliteWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteWriter")
            .field("files", &self.files)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// The statements that a batch needs, looked up once each, then bound by position.
struct Statements<'c> {
    connection: &'c Connection,
    append: Option<CachedStatement<'c>>,
    start: Option<CachedStatement<'c>>,
    set_status: Option<CachedStatement<'c>>,
    define: Option<CachedStatement<'c>>,
    drop_requests: Option<CachedStatement<'c>>,
}

fn prepared<'s, 'c>(
    slot: &'s mut Option<CachedStatement<'c>>,
    connection: &'c Connection,
    sql: &str,
) -> Result<&'s mut CachedStatement<'c>> {
    match slot {
        Some(statement) => Ok(statement),
        None => Ok(slot.insert(connection.prepare_cached(sql)?)),
    }
}

impl<'c> Statements<'c> {
    fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            append: None,
            start: None,
            set_status: None,
            define: None,
            drop_requests: None,
        }
    }

    fn write(&mut self, write: &Write, files: &Files) -> std::result::Result<(), Refusal> {
        match write {
            Write::Append(record) => self.append(record).map_err(|error| {
                if errors::is_unique_violation(&error) {
                    Refusal::Write(StoreError::Conflict {
                        exec: record.exec.0,
                        seq: record.seq,
                    })
                } else {
                    error.into()
                }
            }),
            Write::Start(new) => self.start(new).map_err(|error| {
                if errors::is_unique_violation(&error) {
                    Refusal::Write(StoreError::Duplicate { id: new.id.clone() })
                } else {
                    error.into()
                }
            }),
            Write::Finish(finish) => self.set_status(finish.exec, finish.status, Some(finish.at), files),
            Write::Reopen(exec) => self.set_status(*exec, Status::Running, None, files),
            Write::Define(definition) => Ok(self.define(definition)?),
            Write::DropRequest(id) => {
                let sql = "DELETE FROM requests WHERE id = ?1";
                let statement = prepared(&mut self.drop_requests, self.connection, sql)?;
                statement.raw_bind_parameter(1, id)?;
                statement.raw_execute()?;
                Ok(())
            }
        }
    }

    fn append(&mut self, record: &JournalRecord) -> Result<()> {
        let sql = "INSERT INTO journal (exec_no, seq, at, events) VALUES (?1, ?2, ?3, ?4)";
        let seq = i64::try_from(record.seq).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?;
        let statement = prepared(&mut self.append, self.connection, sql)?;
        statement.raw_bind_parameter(1, record.exec.0)?;
        statement.raw_bind_parameter(2, seq)?;
        statement.raw_bind_parameter(3, record.at)?;
        statement.raw_bind_parameter(4, &record.events[..])?;
        statement.raw_execute()?;
        Ok(())
    }

    fn start(&mut self, new: &NewExecution) -> Result<()> {
        let sql = "INSERT INTO executions (exec_no, id, workflow, definition, parent, status, started_at) \
                   VALUES (?1, ?2, ?3, ?4, ?5, 'running', ?6)";
        let statement = prepared(&mut self.start, self.connection, sql)?;
        statement.raw_bind_parameter(1, new.exec.0)?;
        statement.raw_bind_parameter(2, new.id.as_str())?;
        statement.raw_bind_parameter(3, new.workflow.as_str())?;
        statement.raw_bind_parameter(4, new.definition.as_str())?;
        statement.raw_bind_parameter(5, new.parent.as_deref())?;
        statement.raw_bind_parameter(6, new.started_at)?;
        statement.raw_execute()?;
        Ok(())
    }

    fn set_status(
        &mut self,
        exec: ExecNo,
        status: Status,
        finished_at: Option<i64>,
        files: &Files,
    ) -> std::result::Result<(), Refusal> {
        let sql = "UPDATE executions SET status = ?2, finished_at = ?3 WHERE exec_no = ?1";
        let statement = prepared(&mut self.set_status, self.connection, sql)?;
        statement.raw_bind_parameter(1, exec.0)?;
        statement.raw_bind_parameter(2, status.name())?;
        statement.raw_bind_parameter(3, finished_at)?;
        if statement.raw_execute()? == 0 {
            let what = format!("there is no execution with the number {}", exec.0);
            return Err(Refusal::Write(errors::other(&files.database, "writing", what)));
        }
        Ok(())
    }

    fn define(&mut self, definition: &Definition) -> Result<()> {
        let sql = "INSERT INTO definitions (hash, workflow, content) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING";
        let statement = prepared(&mut self.define, self.connection, sql)?;
        statement.raw_bind_parameter(1, definition.hash.as_str())?;
        statement.raw_bind_parameter(2, definition.workflow.as_str())?;
        statement.raw_bind_parameter(3, &definition.content[..])?;
        statement.raw_execute()?;
        Ok(())
    }
}
