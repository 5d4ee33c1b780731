//! The writer: batches as transactions, each durable when it returns.

mod delete;
mod entries;
mod executions;
mod waits;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline_store::{ExecNo, Status, StoreError, Write, Writer};
use rusqlite::{Connection, Error};
use tempfile::TempDir;

use crate::checkpoint::{self, Checkpointer, Limits};
use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::lock::WriterLock;
use crate::options::Options;
use crate::write::executions::{Shared, Statements};

pub(crate) use delete::shrink;
pub(crate) use executions::{BLOCK_BITS, MINUTE};

/// How long closing waits for readers before it leaves the log as it is.
const CLOSING_PATIENCE: Duration = Duration::from_millis(500);

/// The one writer. What it holds is released in this order.
pub(crate) struct SqliteWriter {
    checkpointer: Checkpointer,
    connection: Connection,
    shared: Shared,
    /// The log's length after the last commit.
    frames: Arc<AtomicU64>,
    /// Why it may not go on.
    failed: Option<String>,
    files: Files,
    _lock: WriterLock,
    _home: Option<Arc<TempDir>>,
}

/// Why a batch was not written.
pub(crate) enum Refusal {
    /// A write that the trait says is refused.
    Write(StoreError),
    /// A write that makes no sense here.
    Nonsense(String),
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
        let deleting: i64 = connection
            .query_row("SELECT count(*) FROM deleting", [], |row| row.get(0))
            .map_err(|error| errors::sqlite(&files.database, "opening the database for writing", error))?;
        if deleting > 0 {
            tracing::info!(
                deleting,
                "executions whose deletion was interrupted are still to be deleted in part"
            );
        }
        let checkpointer = Checkpointer::start(
            connect::writer(&files, options, durability, false)?,
            &files.database,
            Limits::default(),
        )?;
        Ok(Self {
            checkpointer,
            connection,
            shared: Shared::default(),
            frames,
            failed: None,
            files,
            _lock: lock,
            _home: home,
        })
    }

    fn write(&mut self, batch: &[Write]) -> std::result::Result<(), Refusal> {
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.raw_execute()?;
        let mut statements = Statements::new(&self.connection, &mut self.shared);
        for write in batch {
            write_one(&mut statements, write)?;
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
        // Some of these may have been made by the batch.
        self.shared.forget();
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
                "SELECT max((SELECT coalesce(max(exec_no), 0) FROM execution), \
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
        let error = match refusal {
            Refusal::Write(error) => error,
            Refusal::Nonsense(what) => StoreError::Refused(what),
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
        };
        if matches!(error, StoreError::Full { .. }) {
            // What is copied need not be in the log any more, so that the next attempt may find room there.
            checkpoint::copy(&self.connection);
        }
        Err(error)
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

fn write_one(statements: &mut Statements<'_>, write: &Write) -> std::result::Result<(), Refusal> {
    let connection = statements.connection();
    match write {
        Write::Append(record) => statements.append(record),
        Write::Start(new) => statements.start(new),
        Write::Finish(finish) => statements.finish(finish),
        Write::Reopen(exec) | Write::Unpark(exec) => statements.set_status(*exec, Status::Running, None),
        Write::Park { exec, status, wake_at } => statements.set_status(*exec, *status, *wake_at),
        Write::WakeParent { id, at } => executions::wake_parent(connection, id, *at),
        Write::Redefine { exec, definition } => statements.redefine(*exec, definition),
        Write::Define(definition) => executions::define(connection, definition),
        Write::Request(kind) => executions::leave_request(connection, kind),
        Write::DropRequest(id) => executions::drop_request(connection, *id),
        Write::OpenWait(row) => waits::open(connection, row),
        Write::CloseWait { exec, tag, state } => waits::close(connection, *exec, *tag, *state),
        Write::Keep(delivery) => waits::keep(connection, delivery),
        Write::DropDelivery(id) => waits::drop_delivery(connection, *id),
        Write::DropExpired { before, at_most } => waits::drop_expired(connection, *before, *at_most),
        Write::Emit(event) => waits::emit(connection, event),
        Write::DropEvents { before, at_most } => waits::drop_events(connection, *before, *at_most),
        Write::ClaimKey {
            organization,
            workflow,
            key,
            exec,
            input_hash,
            replaces,
        } => executions::claim_key(connection, (organization, workflow, key), *exec, input_hash, *replaces),
        Write::PauseWorkflow { organization, workflow } => executions::pause(connection, organization, workflow),
        Write::UnpauseWorkflow { organization, workflow } => executions::unpause(connection, organization, workflow),
        Write::Condense {
            exec,
            from,
            to,
            at,
            events,
        } => executions::condense(connection, *exec, (*from, *to), *at, events),
        Write::Reference { exec, blob } => executions::reference(connection, *exec, blob),
        Write::Entry(write) => entries::write(connection, write),
        Write::Delete(exec) => delete::delete(connection, *exec, i64::MAX),
        Write::DeleteSlice { exec, at_most } => delete::delete(connection, *exec, i64::from(*at_most)),
        Write::Shrink { pages } => Ok(shrink(connection, *pages)?),
    }
}

/// An execution that a write names and that is not there.
fn unknown(exec: ExecNo) -> Refusal {
    Refusal::Nonsense(format!("there is no execution with the number {}", exec.0))
}
