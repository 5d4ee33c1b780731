//! Writing executions, journals and definitions.

use std::collections::HashMap;

use bowline_store::{Definition, ExecNo, JournalRecord, NewExecution, RequestKind, Status, StoreError};
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension as _, Result};

use super::{Refusal, unknown};
use crate::codes;
use crate::errors;

type Written = std::result::Result<(), Refusal>;

/// The numbers of what is run, by definition and workflow.
pub(super) type Programs = HashMap<String, Vec<(String, i64)>>;

/// The statements that most batches need, looked up once each, then bound by position.
pub(super) struct Statements<'c> {
    connection: &'c Connection,
    programs: &'c mut Programs,
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
    pub(super) fn new(connection: &'c Connection, programs: &'c mut Programs) -> Self {
        Self {
            connection,
            programs,
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
        let program = self.program(&new.workflow, &new.definition)?;
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

    pub(super) fn set_status(
        &mut self,
        exec: ExecNo,
        status: Status,
        finished_at: Option<i64>,
        wake_at: Option<i64>,
    ) -> Written {
        let sql = "UPDATE execution SET status = ?2, finished_at = ?3, wake_at = ?4 WHERE exec_no = ?1";
        let statement = prepared(&mut self.set_status, self.connection, sql)?;
        statement.raw_bind_parameter(1, exec.0)?;
        statement.raw_bind_parameter(2, codes::of_status(status))?;
        statement.raw_bind_parameter(3, finished_at)?;
        statement.raw_bind_parameter(4, wake_at)?;
        known(statement.raw_execute()?, exec)
    }

    pub(super) fn redefine(&mut self, exec: ExecNo, definition: &str) -> Written {
        let workflow: Option<String> = self
            .connection
            .prepare_cached(
                "SELECT workflow FROM program WHERE no = (SELECT program FROM execution WHERE exec_no = ?1)",
            )?
            .query_row([exec.0], |row| row.get(0))
            .optional()?;
        let program = self.program(&workflow.ok_or_else(|| unknown(exec))?, definition)?;
        self.connection
            .prepare_cached("UPDATE execution SET program = ?2 WHERE exec_no = ?1")?
            .execute((exec.0, program))?;
        Ok(())
    }

    /// The number of a definition under the name of a workflow, which it gets with its first execution.
    fn program(&mut self, workflow: &str, definition: &str) -> Result<i64> {
        let known = self.programs.get(definition);
        if let Some((_, no)) = known.into_iter().flatten().find(|(name, _)| name == workflow) {
            return Ok(*no);
        }
        let names = (workflow, definition);
        self.connection
            .prepare_cached("INSERT INTO program (workflow, definition) VALUES (?1, ?2) ON CONFLICT DO NOTHING")?
            .execute(names)?;
        let no = self
            .connection
            .prepare_cached("SELECT no FROM program WHERE workflow = ?1 AND definition = ?2")?
            .query_row(names, |row| row.get(0))?;
        let of_definition = self.programs.entry(definition.to_owned()).or_default();
        of_definition.push((workflow.to_owned(), no));
        Ok(no)
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
    (workflow, key): (&str, &str),
    exec: ExecNo,
    input_hash: &[u8],
    replaces: Option<ExecNo>,
) -> Written {
    exists(connection, exec)?;
    let changes = match replaces {
        None => connection
            .prepare_cached("INSERT INTO start_keys VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING")?
            .execute((workflow, key, exec.0, input_hash))?,
        Some(before) => connection
            .prepare_cached(
                "UPDATE start_keys SET exec_no = ?3, input_hash = ?4 \
                 WHERE workflow = ?1 AND key = ?2 AND exec_no = ?5",
            )?
            .execute((workflow, key, exec.0, input_hash, before.0))?,
    };
    if changes > 0 {
        return Ok(());
    }
    let holder: Option<String> = connection
        .prepare_cached(
            "SELECT id FROM execution \
             WHERE exec_no = (SELECT exec_no FROM start_keys WHERE workflow = ?1 AND key = ?2)",
        )?
        .query_row((workflow, key), |row| row.get(0))
        .optional()?;
    let id = holder.unwrap_or_else(|| "(deleted)".to_owned());
    Err(Refusal::Write(StoreError::Duplicate { id }))
}

pub(super) fn pause(connection: &Connection, workflow: &str) -> Written {
    connection
        .prepare_cached("INSERT INTO paused_workflows VALUES (?1) ON CONFLICT DO NOTHING")?
        .execute([workflow])?;
    Ok(())
}

pub(super) fn unpause(connection: &Connection, workflow: &str) -> Written {
    connection
        .prepare_cached("DELETE FROM paused_workflows WHERE workflow = ?1")?
        .execute([workflow])?;
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
