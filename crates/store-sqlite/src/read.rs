//! What is read, and by which index.
//!
//! Which index a query uses is said in the query (`INDEXED BY`), because the wrong one is only slow when it matters.
//! A list without a fitting index goes through the executions from the newest in windows, each a transaction of its
//! own, so that no reader stays in one for long.

use std::fmt::Write as _;

use bowline_store::{Definition, ExecNo, ExecutionFilter, ExecutionRow, JournalRecord, OpenExecution, Status};
use bytes::Bytes;
use rusqlite::types::Type;
use rusqlite::{Connection, Error, OptionalExtension as _, Result, Row, ToSql};

const COLUMNS: &str = "exec_no, id, workflow, definition, parent, status, started_at, finished_at";
/// So many numbers of executions are looked at in one transaction of a list.
const WINDOW: i64 = 100_000;
/// From so many characters on, a prefix of an id is taken to be rare.
const SELECTIVE_PREFIX: usize = 8;
/// A page of recovery ends with the execution that makes its journals larger than this.
const PAGE_BYTES: usize = 64 * 1024 * 1024;

pub(crate) fn definition(connection: &Connection, hash: &str) -> Result<Option<Definition>> {
    let mut statement = connection.prepare_cached("SELECT hash, workflow, content FROM definitions WHERE hash = ?1")?;
    statement
        .query_row([hash], |row| {
            Ok(Definition {
                hash: row.get(0)?,
                workflow: row.get(1)?,
                content: bytes(row, 2)?,
            })
        })
        .optional()
}

pub(crate) fn execution(connection: &Connection, id: &str) -> Result<Option<ExecutionRow>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM executions INDEXED BY executions_id WHERE id = ?1"
    ))?;
    statement.query_row([id], execution_row).optional()
}

pub(crate) fn journal(connection: &Connection, exec: ExecNo, from: u64, limit: usize) -> Result<Vec<JournalRecord>> {
    let Ok(from) = i64::try_from(from) else {
        return Ok(Vec::new());
    };
    let mut statement = connection
        .prepare_cached("SELECT seq, at, events FROM journal WHERE exec_no = ?1 AND seq >= ?2 ORDER BY seq LIMIT ?3")?;
    let records = statement.query_map((exec.0, from, limit_of(limit)), |row| {
        let seq = u64::try_from(row.get::<_, i64>(0)?)
            .map_err(|error| Error::FromSqlConversionFailure(0, Type::Integer, Box::new(error)))?;
        Ok(JournalRecord {
            exec,
            seq,
            at: row.get(1)?,
            events: bytes(row, 2)?,
        })
    })?;
    records.collect()
}

pub(crate) fn open_executions(connection: &Connection, after: ExecNo, limit: usize) -> Result<Vec<OpenExecution>> {
    // One transaction, so that rows and journals are of one moment.
    let transaction = connection.unchecked_transaction()?;
    let mut page = Vec::new();
    {
        let mut statement = transaction.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM executions INDEXED BY executions_open \
             WHERE status = 'running' AND exec_no > ?1 ORDER BY exec_no LIMIT ?2"
        ))?;
        let mut size = 0;
        for row in statement.query_map((after.0, limit_of(limit)), execution_row)? {
            let row = row?;
            let journal = journal(&transaction, row.exec, 0, usize::MAX)?;
            size += journal.iter().map(|record| record.events.len()).sum::<usize>();
            page.push(OpenExecution { row, journal });
            if size > PAGE_BYTES {
                break;
            }
        }
    }
    transaction.finish()?;
    Ok(page)
}

pub(crate) fn executions(connection: &Connection, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>> {
    let wanted = filter.page();
    let mut query = Query::new(filter);
    let mut found = Vec::new();
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(exec_no) FROM executions")?
        .query_row([], |row| row.get(0))?;
    let Some(newest) = newest else { return Ok(found) };
    let mut end = filter
        .before
        .map_or(i64::MAX, |before| before.0)
        .min(newest.saturating_add(1));
    let oldest: i64 = connection
        .prepare_cached("SELECT min(exec_no) FROM executions")?
        .query_row([], |row| row.get(0))?;
    let mut statement = connection.prepare_cached(&query.sql)?;
    while end > oldest && found.len() < wanted {
        let begin = if query.windowed {
            end.saturating_sub(WINDOW)
        } else {
            i64::MIN
        };
        let left = limit_of(wanted - found.len());
        query.values[..3].clone_from_slice(&[begin.into(), end.into(), left.into()]);
        let values = query.values.iter().map(|value| value as &dyn ToSql).collect::<Vec<_>>();
        for row in statement.query_map(&values[..], execution_row)? {
            found.push(row?);
        }
        end = begin;
    }
    Ok(found)
}

/// A list as SQL. The first three parameters are the window and how many rows are still wanted.
struct Query {
    sql: String,
    values: Vec<rusqlite::types::Value>,
    windowed: bool,
}

impl Query {
    fn new(filter: &ExecutionFilter) -> Self {
        let selective = filter
            .id_prefix
            .as_ref()
            .is_some_and(|prefix| prefix.chars().count() >= SELECTIVE_PREFIX);
        let source = if selective {
            "INDEXED BY executions_id"
        } else if filter.parent.is_some() {
            "INDEXED BY executions_parent"
        } else if filter.status == Some(Status::Running) {
            "INDEXED BY executions_open"
        } else {
            "NOT INDEXED"
        };
        let mut query = Self {
            sql: format!("SELECT {COLUMNS} FROM executions {source} WHERE exec_no >= ?1 AND exec_no < ?2"),
            values: vec![0.into(); 3],
            windowed: !selective,
        };
        if let Some(status) = filter.status {
            // As text of the query, not as a parameter: the index on open ones is for this text.
            query.also(&format!("status = '{}'", status.name()));
        }
        if let Some(workflow) = &filter.workflow {
            query.also_with("workflow = ", workflow.clone());
        }
        if let Some(parent) = &filter.parent {
            query.also_with("parent = ", parent.clone());
        }
        if let Some(prefix) = filter.id_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            query.also_with("id >= ", prefix.clone());
            query.also_with("id < ", format!("{prefix}\u{10FFFF}"));
        }
        query.sql.push_str(" ORDER BY exec_no DESC LIMIT ?3");
        query
    }

    fn also(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    fn also_with(&mut self, condition: &str, value: String) {
        self.values.push(value.into());
        self.also(condition);
        // Writing to a string does not fail.
        let _ = write!(self.sql, "?{}", self.values.len());
    }
}

fn execution_row(row: &Row<'_>) -> Result<ExecutionRow> {
    let status = row.get_ref(5)?.as_str()?;
    let status = Status::from_name(status)
        .ok_or_else(|| Error::FromSqlConversionFailure(5, Type::Text, format!("there is no status {status}").into()))?;
    Ok(ExecutionRow {
        exec: ExecNo(row.get(0)?),
        id: row.get(1)?,
        workflow: row.get(2)?,
        definition: row.get(3)?,
        parent: row.get(4)?,
        status,
        started_at: row.get(6)?,
        finished_at: row.get(7)?,
    })
}

fn bytes(row: &Row<'_>, column: usize) -> Result<Bytes> {
    Ok(Bytes::copy_from_slice(row.get_ref(column)?.as_blob()?))
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::STEPS;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(STEPS[0]).unwrap();
        connection
    }

    fn plan(connection: &Connection, query: &Query) -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql))
            .unwrap();
        let values = query.values.iter().map(|value| value as &dyn ToSql).collect::<Vec<_>>();
        let lines = statement.query_map(&values[..], |row| row.get::<_, String>(3)).unwrap();
        lines.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn every_list_uses_what_fits_and_only_a_rare_prefix_is_sorted() {
        let connection = database();
        let all = ExecutionFilter::default();
        let running = ExecutionFilter {
            status: Some(Status::Running),
            workflow: Some("w".into()),
            ..all.clone()
        };
        let failed = ExecutionFilter {
            status: Some(Status::Failed),
            ..all.clone()
        };
        let children = ExecutionFilter {
            parent: Some("p".into()),
            ..running.clone()
        };
        let short = ExecutionFilter {
            id_prefix: Some("0198".into()),
            ..all.clone()
        };
        let long = ExecutionFilter {
            id_prefix: Some("0198c0de-00".into()),
            ..children.clone()
        };
        for (filter, expected) in [
            (
                &all,
                "SEARCH executions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (
                &failed,
                "SEARCH executions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (
                &short,
                "SEARCH executions USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
            ),
            (
                &running,
                "SEARCH executions USING INDEX executions_open (exec_no>? AND exec_no<?)",
            ),
            (
                &children,
                "SEARCH executions USING INDEX executions_parent (parent=? AND rowid>? AND rowid<?)",
            ),
            (
                &long,
                "SEARCH executions USING INDEX executions_id (id>? AND id<?); USE TEMP B-TREE FOR ORDER BY",
            ),
        ] {
            assert_eq!(plan(&connection, &Query::new(filter)), expected);
        }
    }

    #[test]
    fn a_list_goes_on_through_windows_with_nothing_in_them() {
        let connection = database();
        let insert = "INSERT INTO executions VALUES (?1, ?2, 'w', 'd', NULL, 'failed', 0, 0)";
        let numbers = [3, 4, WINDOW, WINDOW + 1, 7 * WINDOW, 7 * WINDOW + 5];
        for exec in numbers {
            connection.execute(insert, (exec, format!("id-{exec}"))).unwrap();
        }
        for status in [None, Some(Status::Failed)] {
            let filter = ExecutionFilter {
                status,
                ..ExecutionFilter::default()
            };
            let found: Vec<i64> = executions(&connection, &filter)
                .unwrap()
                .into_iter()
                .map(|row| row.exec.0)
                .collect();
            assert_eq!(found, numbers.into_iter().rev().collect::<Vec<_>>());
        }
        let filter = ExecutionFilter {
            before: Some(ExecNo(WINDOW + 1)),
            limit: 2,
            ..ExecutionFilter::default()
        };
        let found: Vec<i64> = executions(&connection, &filter)
            .unwrap()
            .into_iter()
            .map(|row| row.exec.0)
            .collect();
        assert_eq!(found, [WINDOW, 4]);
    }

    #[test]
    fn a_page_of_recovery_ends_when_it_is_large() {
        let connection = database();
        for exec in 1..=3 {
            let row = (exec, format!("id-{exec}"));
            connection
                .execute(
                    "INSERT INTO executions VALUES (?1, ?2, 'w', 'd', NULL, 'running', 0, NULL)",
                    row,
                )
                .unwrap();
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
        connection
            .execute_batch("INSERT INTO executions VALUES (1, 'a', 'w', 'd', NULL, 'dancing', 0, NULL)")
            .unwrap();
        let error = execution(&connection, "a").unwrap_err();
        let error = crate::errors::sqlite(std::path::Path::new("x.db"), "reading", error);
        assert!(matches!(&error, bowline_store::StoreError::Corrupt { .. }), "{error:?}");
        assert!(error.to_string().contains("dancing"), "{error}");
    }
}
