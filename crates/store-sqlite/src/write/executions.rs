//! Writing executions, journals and definitions.

use std::collections::HashMap;

use bowline_store::{Definition, ExecNo, Finish, JournalRecord, NewExecution, RequestKind, Status, StoreError};
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension as _, Result};

use super::{Refusal, unknown};
use crate::codes;
use crate::errors;

/// A block of executions is so many bits of their numbers. See the table `started`.
pub(crate) const BLOCK_BITS: u32 = 12;
/// Blocks say their times in minutes, so that their rows are seldom written.
pub(crate) const MINUTE: i64 = 60_000;

type Written = std::result::Result<(), Refusal>;

/// What the writer knows of the rows that many executions share. Forgotten where a batch is undone.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// The numbers of what is run: by definition, organization and workflow.
    programs: HashMap<String, Vec<(String, String, i64)>>,
    /// The block that executions began in last, and the minutes that its row says.
    started: Option<(i64, i64, i64)>,
}

impl Shared {
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The statements that most batches need, looked up once each, then bound by position.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    shared: &'c mut Shared,
    append: Option<CachedStatement<'c>>,
    start: Option<CachedStatement<'c>>,
    set_status: Option<CachedStatement<'c>>,
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
    pub(super) fn new(connection: &'c Connection, shared: &'c mut Shared) -> Self {
        Self {
            connection,
            shared,
            append: None,
            start: None,
            set_status: None,
        }
    }

    /// For what is not in every batch.
    pub(super) fn connection(&self) -> &'c Connection {
        self.connection
    }

    pub(super) fn append(&mut self, record: &JournalRecord) -> Written {
        let sql = "INSERT INTO journal (exec_no, seq, at, events) VALUES (?1, ?2, ?3, ?4)";
        let seq = number(record.seq)?;
        let statement = prepared(&mut self.append, self.connection, sql)?;
        statement.raw_bind_parameter(1, record.exec.0)?;
        statement.raw_bind_parameter(2, seq)?;
        statement.raw_bind_parameter(3, record.at)?;
        statement.raw_bind_parameter(4, &record.events[..])?;
        match statement.raw_execute() {
            Err(error) if errors::is_unique_violation(&error) => Err(Refusal::Write(StoreError::Conflict {
                exec: record.exec.0,
                seq: record.seq,
            })),
            outcome => Ok(outcome.map(drop)?),
        }
    }

    pub(super) fn start(&mut self, new: &NewExecution) -> Written {
        let program = self.program(&new.organization, &new.workflow, &new.definition)?;
        self.started(new.exec, new.started_at)?;
        let sql = "INSERT INTO execution (exec_no, id, program, status, started_at, parent, origin) \
                   VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6)";
        let statement = prepared(&mut self.start, self.connection, sql)?;
        statement.raw_bind_parameter(1, new.exec.0)?;
        statement.raw_bind_parameter(2, new.id.as_str())?;
        statement.raw_bind_parameter(3, program)?;
        statement.raw_bind_parameter(4, new.started_at)?;
        statement.raw_bind_parameter(5, new.parent.as_deref())?;
        statement.raw_bind_parameter(6, new.origin.as_deref())?;
        match statement.raw_execute() {
            Err(error) if errors::is_unique_violation(&error) => {
                Err(Refusal::Write(StoreError::Duplicate { id: new.id.clone() }))
            }
            outcome => Ok(outcome.map(drop)?),
        }
    }

    /// It has not ended.
    pub(super) fn set_status(&mut self, exec: ExecNo, status: Status, wake_at: Option<i64>) -> Written {
        self.set(exec, status, None, wake_at, None)
    }

    pub(super) fn finish(&mut self, finish: &Finish) -> Written {
        self.set(
            finish.exec,
            finish.status,
            Some(finish.at),
            None,
            finish.error.as_deref(),
        )
    }

    fn set(
        &mut self,
        exec: ExecNo,
        status: Status,
        finished_at: Option<i64>,
        wake_at: Option<i64>,
        error: Option<&str>,
    ) -> Written {
        let sql = "UPDATE execution SET status = ?2, finished_at = ?3, wake_at = ?4, error = ?5 WHERE exec_no = ?1";
        let statement = prepared(&mut self.set_status, self.connection, sql)?;
        statement.raw_bind_parameter(1, exec.0)?;
        statement.raw_bind_parameter(2, codes::of_status(status))?;
        statement.raw_bind_parameter(3, finished_at)?;
        statement.raw_bind_parameter(4, wake_at)?;
        statement.raw_bind_parameter(5, error)?;
        known(statement.raw_execute()?, exec)
    }

    pub(super) fn redefine(&mut self, exec: ExecNo, definition: &str) -> Written {
        let of: Option<(String, String)> = self
            .connection
            .prepare_cached(
                "SELECT organization, workflow FROM program \
                 WHERE no = (SELECT program FROM execution WHERE exec_no = ?1)",
            )?
            .query_row([exec.0], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (organization, workflow) = of.ok_or_else(|| unknown(exec))?;
        let program = self.program(&organization, &workflow, definition)?;
        self.connection
            .prepare_cached("UPDATE execution SET program = ?2 WHERE exec_no = ?1")?
            .execute((exec.0, program))?;
        Ok(())
    }

    /// The number of a definition under the name of an organization's workflow, which it gets with its first execution.
    fn program(&mut self, organization: &str, workflow: &str, definition: &str) -> Result<i64> {
        let known = self.shared.programs.get(definition).into_iter().flatten();
        let mut known = known.filter(|(owner, name, _)| owner == organization && name == workflow);
        if let Some((.., no)) = known.next() {
            return Ok(*no);
        }
        let names = (organization, workflow, definition);
        self.connection
            .prepare_cached(
                "INSERT INTO program (organization, workflow, definition) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
            )?
            .execute(names)?;
        let no = self
            .connection
            .prepare_cached("SELECT no FROM program WHERE organization = ?1 AND workflow = ?2 AND definition = ?3")?
            .query_row(names, |row| row.get(0))?;
        let of_definition = self.shared.programs.entry(definition.to_owned()).or_default();
        of_definition.push((organization.to_owned(), workflow.to_owned(), no));
        Ok(no)
    }

    /// Takes note of when executions of a block began, where its row does not say so yet: about once a minute.
    fn started(&mut self, exec: ExecNo, at: i64) -> Result<()> {
        let (block, minute) = (exec.0 >> BLOCK_BITS, at.div_euclid(MINUTE));
        match self.shared.started {
            Some((known, first, last)) if known == block && (first..=last).contains(&minute) => return Ok(()),
            _ => {}
        }
        let (first, last) = self
            .connection
            .prepare_cached(
                "INSERT INTO started VALUES (?1, ?2, ?2) ON CONFLICT (block) DO UPDATE \
                 SET first = min(first, ?2), last = max(last, ?2) RETURNING first, last",
            )?
            .query_row((block, minute), |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.shared.started = Some((block, first, last));
        Ok(())
    }
}

/// Refuses a write that changed nothing because there is no such execution.
pub(super) fn known(changes: usize, exec: ExecNo) -> Written {
    if changes == 0 { Err(unknown(exec)) } else { Ok(()) }
}

fn number(seq: u64) -> Result<i64> {
    i64::try_from(seq).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))
}

pub(super) fn wake_parent(connection: &Connection, id: &str, at: i64) -> Written {
    connection
        .prepare_cached(
            "UPDATE execution INDEXED BY execution_id SET wake_at = min(coalesce(wake_at, ?2), ?2) \
             WHERE id = ?1 AND status = 1",
        )?
        .execute((id, at))?;
    Ok(())
}

pub(super) fn define(connection: &Connection, definition: &Definition) -> Written {
    connection
        .prepare_cached(
            "INSERT INTO definitions (hash, workflow, content) VALUES (?1, ?2, ?3) ON CONFLICT (hash) DO NOTHING",
        )?
        .execute((&definition.hash, &definition.workflow, &definition.content[..]))?;
    Ok(())
}

pub(super) fn leave_request(connection: &Connection, kind: &RequestKind) -> Written {
    let text = serde_json::to_string(kind).map_err(|error| Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached("INSERT INTO requests (kind) VALUES (?1)")?
        .execute([text])?;
    Ok(())
}

pub(super) fn drop_request(connection: &Connection, id: i64) -> Written {
    connection
        .prepare_cached("DELETE FROM requests WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

pub(super) fn claim_key(
    connection: &Connection,
    (organization, workflow, key): (&str, &str, &str),
    exec: ExecNo,
    input_hash: &[u8],
    replaces: Option<ExecNo>,
) -> Written {
    exists(connection, exec)?;
    let changes = match replaces {
        None => connection
            .prepare_cached("INSERT INTO start_keys VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING")?
            .execute((organization, workflow, key, exec.0, input_hash))?,
        Some(before) => connection
            .prepare_cached(
                "UPDATE start_keys SET exec_no = ?4, input_hash = ?5 \
                 WHERE organization = ?1 AND workflow = ?2 AND key = ?3 AND exec_no = ?6",
            )?
            .execute((organization, workflow, key, exec.0, input_hash, before.0))?,
    };
    if changes > 0 {
        return Ok(());
    }
    let holder: Option<String> = connection
        .prepare_cached(
            "SELECT id FROM execution \
             WHERE exec_no = (SELECT exec_no FROM start_keys WHERE organization = ?1 AND workflow = ?2 AND key = ?3)",
        )?
        .query_row((organization, workflow, key), |row| row.get(0))
        .optional()?;
    let id = holder.unwrap_or_else(|| "(deleted)".to_owned());
    Err(Refusal::Write(StoreError::Duplicate { id }))
}

pub(super) fn pause(connection: &Connection, organization: &str, workflow: &str) -> Written {
    connection
        .prepare_cached("INSERT INTO paused_workflows VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((organization, workflow))?;
    Ok(())
}

pub(super) fn unpause(connection: &Connection, organization: &str, workflow: &str) -> Written {
    connection
        .prepare_cached("DELETE FROM paused_workflows WHERE organization = ?1 AND workflow = ?2")?
        .execute((organization, workflow))?;
    Ok(())
}

pub(super) fn condense(
    connection: &Connection,
    exec: ExecNo,
    (from, to): (u64, u64),
    at: i64,
    events: &[u8],
) -> Written {
    exists(connection, exec)?;
    if from >= to {
        let what = format!("a segment from record {from} to {to} stands for nothing");
        return Err(Refusal::Nonsense(what));
    }
    let range = (exec.0, number(from)?, number(to)?);
    connection
        .prepare_cached("DELETE FROM condensed WHERE exec_no = ?1 AND from_seq >= ?2 AND to_seq <= ?3")?
        .execute(range)?;
    let overlapped: Option<(i64, i64)> = connection
        .prepare_cached("SELECT from_seq, to_seq FROM condensed WHERE exec_no = ?1 AND from_seq < ?3 AND to_seq > ?2")?
        .query_row(range, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    if let Some((first, end)) = overlapped {
        let what = format!("a segment from record {from} to {to} overlaps one from {first} to {end}");
        return Err(Refusal::Nonsense(what));
    }
    connection
        .prepare_cached("INSERT INTO condensed (exec_no, from_seq, to_seq, at, events) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((range.0, range.1, range.2, at, events))?;
    Ok(())
}

pub(super) fn reference(connection: &Connection, exec: ExecNo, blob: &str) -> Written {
    exists(connection, exec)?;
    connection
        .prepare_cached("INSERT INTO blob_refs VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
        .execute((exec.0, blob))?;
    Ok(())
}

fn exists(connection: &Connection, exec: ExecNo) -> Written {
    let found = connection
        .prepare_cached("SELECT 1 FROM execution WHERE exec_no = ?1")?
        .exists([exec.0])?;
    known(usize::from(found), exec)
}
