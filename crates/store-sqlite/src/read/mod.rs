//! What is read of executions, definitions and journals, and by which index.
//!
//! Which index a query uses is said in the query (`INDEXED BY`), because the wrong one is only slow when it matters.

mod entries;
mod list;
mod merge;
mod retention;
mod waits;

use bowline_store::{Definition, ExecNo, ExecutionRow, JournalRecord, OpenExecution, StartKeyRow};
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension as _, Result, Row};

pub(crate) use entries::{entries, entry};
pub(crate) use list::{audit, executions};
pub(crate) use retention::{blob_referenced, blobs_of, deleting, finished, housekeeping, kept_from};
pub(crate) use waits::{
    deliveries, deliveries_for, event_waits, events_after, last_delivery, wait, waits, waits_by_key,
};

use crate::codes;

/// The columns of [`execution_row`], of `execution AS e` joined with [`PROGRAM`].
const COLUMNS: &str = "e.exec_no, e.id, p.workflow, p.definition, e.parent, e.status, e.started_at, e.finished_at, \
                       e.wake_at, e.origin, p.organization, e.error";
/// What an execution runs. A cross join is one whose order is kept.
const PROGRAM: &str = "CROSS JOIN program AS p ON p.no = e.program";
/// A page of recovery ends with the execution that makes its journals larger than this.
const PAGE_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn token_key(connection: &Connection) -> Result<[u8; 32]> {
    connection
        .prepare_cached("SELECT value FROM secrets WHERE name = 'token_key'")?
        .query_row([], |row| row.get(0))
}

pub(crate) fn definition(connection: &Connection, hash: &str) -> Result<Option<Definition>> {
    let mut statement = connection.prepare_cached("SELECT hash, workflow, content FROM definitions WHERE hash = ?1")?;
    statement.query_row([hash], definition_row).optional()
}

pub(crate) fn definitions(connection: &Connection, organization: &str, workflow: &str) -> Result<Vec<Definition>> {
    let mut statement = connection.prepare_cached(
        "SELECT d.hash, d.workflow, d.content FROM program AS p CROSS JOIN definitions AS d ON d.hash = p.definition \
         WHERE p.organization = ?1 AND p.workflow = ?2 ORDER BY p.no",
    )?;
    statement.query_map((organization, workflow), definition_row)?.collect()
}

fn definition_row(row: &Row<'_>) -> Result<Definition> {
    Ok(Definition {
        hash: row.get(0)?,
        workflow: row.get(1)?,
        content: bytes(row, 2)?,
    })
}

pub(crate) fn organizations(connection: &Connection) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT organization FROM program \
         WHERE EXISTS (SELECT 1 FROM execution INDEXED BY execution_program WHERE execution.program = program.no) \
         UNION SELECT organization FROM paused_workflows ORDER BY 1",
    )?;
    statement.query_map([], |row| row.get(0))?.collect()
}

pub(crate) fn workflows(connection: &Connection, organization: &str) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT workflow FROM program WHERE organization = ?1 \
         AND EXISTS (SELECT 1 FROM execution INDEXED BY execution_program WHERE execution.program = program.no) \
         ORDER BY workflow",
    )?;
    statement.query_map([organization], |row| row.get(0))?.collect()
}

pub(crate) fn paused_workflows(connection: &Connection, organization: &str) -> Result<Vec<String>> {
    let mut statement =
        connection.prepare_cached("SELECT workflow FROM paused_workflows WHERE organization = ?1 ORDER BY workflow")?;
    statement.query_map([organization], |row| row.get(0))?.collect()
}

pub(crate) fn execution(connection: &Connection, id: &str) -> Result<Option<ExecutionRow>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM execution AS e INDEXED BY execution_id {PROGRAM} WHERE e.id = ?1"
    ))?;
    statement.query_row([id], execution_row).optional()
}

pub(crate) fn execution_by_no(connection: &Connection, exec: ExecNo) -> Result<Option<ExecutionRow>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM execution AS e {PROGRAM} WHERE e.exec_no = ?1"
    ))?;
    statement.query_row([exec.0], execution_row).optional()
}

pub(crate) fn start_key(
    connection: &Connection,
    organization: &str,
    workflow: &str,
    key: &str,
) -> Result<Option<StartKeyRow>> {
    let mut statement = connection.prepare_cached(
        "SELECT k.exec_no, e.id, k.input_hash FROM start_keys AS k CROSS JOIN execution AS e ON e.exec_no = k.exec_no \
         WHERE k.organization = ?1 AND k.workflow = ?2 AND k.key = ?3",
    )?;
    let found = statement.query_row((organization, workflow, key), |row| {
        Ok(StartKeyRow {
            exec: ExecNo(row.get(0)?),
            id: row.get(1)?,
            input_hash: bytes(row, 2)?,
        })
    });
    found.optional()
}

pub(crate) fn journal(connection: &Connection, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>> {
    let mut found = Vec::new();
    records(connection, exec, (from, u64::MAX), limit, &mut found)?;
    Ok(found)
}

/// Adds the records from the first number of `range` to before the second.
fn records(
    connection: &Connection,
    exec: ExecNo,
    range: (u64, u64),
    limit: usize,
    found: &mut Vec<JournalRecord>,
) -> Result<()> {
    let Ok(from) = i64::try_from(range.0) else {
        return Ok(());
    };
    let to = i64::try_from(range.1).unwrap_or(i64::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, events FROM journal WHERE exec_no = ?1 AND seq >= ?2 AND seq < ?3 ORDER BY seq LIMIT ?4",
    )?;
    for record in statement.query_map((exec.0, from, to, limit_of(limit)), |row| record(exec, row))? {
        found.push(record?);
    }
    Ok(())
}

pub(crate) fn last_record(connection: &Connection, exec: ExecNo) -> Result<Option<JournalRecord>> {
    let mut statement = connection
        .prepare_cached("SELECT seq, at, events FROM journal WHERE exec_no = ?1 ORDER BY seq DESC LIMIT 1")?;
    statement.query_row([exec.0], |row| record(exec, row)).optional()
}

fn record(exec: ExecNo, row: &Row<'_>) -> Result<JournalRecord> {
    Ok(JournalRecord {
        exec,
        seq: unsigned(row, 0)?,
        at: row.get(1)?,
        events: bytes(row, 2)?,
    })
}

pub(crate) fn open_execution(connection: &Connection, exec: ExecNo) -> Result<Option<OpenExecution>> {
    // One transaction, so that row and journal are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let row = execution_by_no(&transaction, exec)?;
    let open = row.map(|row| with_journal(&transaction, row)).transpose()?;
    transaction.finish()?;
    Ok(open)
}

pub(crate) fn open_executions(connection: &Connection, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>> {
    // One transaction, so that rows and journals are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let mut page = Vec::new();
    {
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM execution AS e INDEXED BY execution_open {PROGRAM} \
             WHERE e.status = 0 AND e.exec_no > ?1 ORDER BY e.exec_no LIMIT ?2"
        ))?;
        let mut size = 0;
        for row in statement.query_map((after.0, limit_of(limit)), execution_row)? {
            let open = with_journal(&transaction, row?)?;
            size += open.journal.iter().map(|record| record.events.len()).sum::<usize>();
            page.push(open);
            if size > PAGE_BYTES {
                break;
            }
        }
    }
    transaction.finish()?;
    Ok(page)
}

/// An execution with what recovery reads: condensed segments, and the records that none stands for.
fn with_journal(connection: &Connection, row: ExecutionRow) -> Result<OpenExecution> {
    let exec = row.exec;
    let mut journal = Vec::new();
    let mut from = 0;
    let mut segments = connection
        .prepare_cached("SELECT from_seq, at, events, to_seq FROM condensed WHERE exec_no = ?1 ORDER BY from_seq")?;
    for segment in segments.query_map([exec.0], |row| Ok((record(exec, row)?, unsigned(row, 3)?)))? {
        let (segment, to) = segment?;
        records(connection, exec, (from, segment.seq), usize::MAX, &mut journal)?;
        journal.push(segment);
        from = to;
    }
    records(connection, exec, (from, u64::MAX), usize::MAX, &mut journal)?;
    let last = connection
        .prepare_cached("SELECT max(seq) FROM journal WHERE exec_no = ?1")?
        .query_row([exec.0], |row| row.get::<_, Option<i64>>(0))?;
    Ok(OpenExecution {
        row,
        journal,
        next_seq: last.map_or(0, |last| last as u64 + 1),
    })
}

pub(crate) fn due(connection: &Connection, after: (i64, ExecNo), limit: usize) -> Result<Vec<(i64, ExecNo)>> {
    let mut found = Vec::new();
    // The rest of the same moment, then later ones.
    for condition in ["wake_at = ?1 AND exec_no > ?2", "wake_at > ?1 AND ?2 = ?2"] {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT wake_at, exec_no FROM execution INDEXED BY execution_due \
             WHERE status = 1 AND wake_at IS NOT NULL AND {condition} ORDER BY wake_at, exec_no LIMIT ?3"
        ))?;
        let left = limit_of(limit - found.len());
        for row in statement.query_map((after.0, after.1.0, left), |row| Ok((row.get(0)?, ExecNo(row.get(1)?))))? {
            found.push(row?);
        }
    }
    Ok(found)
}

fn execution_row(row: &Row<'_>) -> Result<ExecutionRow> {
    Ok(ExecutionRow {
        exec: ExecNo(row.get(0)?),
        id: row.get(1)?,
        workflow: row.get(2)?,
        definition: row.get(3)?,
        parent: row.get(4)?,
        status: codes::status(5, row.get(5)?)?,
        started_at: row.get(6)?,
        finished_at: row.get(7)?,
        wake_at: row.get(8)?,
        origin: row.get(9)?,
        organization: row.get(10)?,
        error: row.get(11)?,
    })
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn unsigned(row: &Row<'_>, column: usize) -> Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| Error::FromSqlConversionFailure(column, Type::Integer, Box::new(error)))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::STEPS;

    pub(super) fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        for step in STEPS {
            connection.execute_batch(step).unwrap();
        }
        connection
            .execute_batch("INSERT INTO program VALUES (1, 'default', 'w', 'd')")
            .unwrap();
        connection
    }

    pub(super) fn insert(connection: &Connection, exec: i64, id: &str, status: i64) {
        let finished = (status > 2).then_some(0);
        connection
            .execute(
                "INSERT INTO execution VALUES (?1, ?2, 1, ?3, 0, ?4, NULL, NULL, NULL, NULL)",
                (exec, id, status, finished),
            )
            .unwrap();
    }

    #[test]
    fn a_page_of_recovery_ends_when_it_is_large() {
        let connection = database();
        for exec in 1..=3 {
            self::insert(&connection, exec, &format!("id-{exec}"), 0);
            let insert = "INSERT INTO journal (exec_no, seq, at, events) VALUES (?1, 0, 0, zeroblob(?2))";
            connection.execute(insert, (exec, PAGE_BYTES as i64 * 2 / 3)).unwrap();
        }
        let page = open_executions(&connection, ExecNo(0), 100).unwrap();
        assert_eq!(page.iter().map(|open| open.row.exec.0).collect::<Vec<_>>(), [1, 2]);
        let page = open_executions(&connection, ExecNo(2), 100).unwrap();
        assert_eq!(page.iter().map(|open| open.row.exec.0).collect::<Vec<_>>(), [3]);
        assert!(open_executions(&connection, ExecNo(3), 100).unwrap().is_empty());
    }

    #[test]
    fn an_unknown_status_is_damage() {
        let connection = database();
        insert(&connection, 1, "a", 77);
        let error = execution(&connection, "a").unwrap_err();
        let error = crate::errors::sqlite(std::path::Path::new("x.db"), "reading", error);
        assert!(matches!(&error, bowline_store::StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("there is no status 77"), "{error}");
    }
}
