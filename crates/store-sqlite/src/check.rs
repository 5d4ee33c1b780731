//! Reading everything and saying what is wrong with it.
//!
//! SQLite checks each table with its indexes, then rows are checked against each other, in ranges of executions,
//! so that a check of a large database does not keep the writer's log from being emptied for longer than a table
//! takes to read.

use bowline_store::StoreError;
use rusqlite::{Connection, Result};

use crate::connect;
use crate::errors;
use crate::files::Files;
use crate::options::Options;

const TABLES: [&str; 7] = [
    "sqlite_schema",
    "sqlite_sequence",
    "executions",
    "journal",
    "definitions",
    "requests",
    "meta",
];
/// Executions in one transaction.
const RANGE: i64 = 50_000;
/// Of each kind of fault, so many are named for a range.
const EXAMPLES: usize = 20;

/// Rules between rows, as queries for what breaks them. `?1` and `?2` are the range of executions.
const RULES: [&str; 5] = [
    "SELECT 'the journal of execution number ' || exec_no || ' has ' || count(*) || ' records, but the last is number ' \
     || max(seq) FROM journal WHERE exec_no >= ?1 AND exec_no < ?2 GROUP BY exec_no \
     HAVING count(*) <> max(seq) + 1 OR min(seq) <> 0",
    "SELECT DISTINCT 'there are journal records of an execution number ' || exec_no || ', but no such execution' \
     FROM journal WHERE exec_no >= ?1 AND exec_no < ?2 AND exec_no NOT IN (SELECT exec_no FROM executions)",
    "SELECT 'the status of execution ' || id || ' is ' || status FROM executions WHERE exec_no >= ?1 AND exec_no < ?2 \
     AND status NOT IN ('running', 'succeeded', 'failed', 'cancelled')",
    "SELECT 'execution ' || id || ' is ' || status || ' and its end is ' || coalesce(finished_at, 'unknown') \
     FROM executions WHERE exec_no >= ?1 AND exec_no < ?2 AND (status = 'running') <> (finished_at IS NULL)",
    "SELECT 'the definition ' || definition || ' of execution ' || id || ' is missing' FROM executions \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND definition NOT IN (SELECT hash FROM definitions)",
];

pub(crate) fn check(files: &Files, options: &Options) -> std::result::Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let outcome = connect::reader(files, options).and_then(|connection| {
        inspect(&connection, &mut found)
            .map_err(|error| errors::sqlite(&files.database, "checking the database", error))
    });
    match outcome {
        Ok(()) => Ok(found),
        // Damage that stops the check is what was looked for.
        Err(StoreError::Corrupt { detail, .. }) => {
            found.push(detail);
            Ok(found)
        }
        Err(error) => Err(error),
    }
}

fn inspect(connection: &Connection, found: &mut Vec<String>) -> Result<()> {
    let mut damaged = false;
    for table in TABLES {
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({table})"))?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            let line = line?;
            if line != "ok" {
                damaged = true;
                found.push(format!("{table}: {line}"));
            }
        }
    }
    // What cannot be read cannot be compared.
    if damaged {
        return Ok(());
    }
    let last: i64 = connection.query_row(
        "SELECT max((SELECT coalesce(max(exec_no), 0) FROM executions), (SELECT coalesce(max(exec_no), 0) FROM journal))",
        [],
        |row| row.get(0),
    )?;
    let first: i64 = connection.query_row(
        "SELECT min((SELECT coalesce(min(exec_no), 0) FROM executions), (SELECT coalesce(min(exec_no), 0) FROM journal))",
        [],
        |row| row.get(0),
    )?;
    let mut begin = first;
    while begin <= last {
        let end = begin.saturating_add(RANGE);
        for rule in RULES {
            let mut statement = connection.prepare_cached(rule)?;
            let mut broken = statement.query_map((begin, end), |row| row.get::<_, String>(0))?;
            for line in broken.by_ref().take(EXAMPLES) {
                found.push(line?);
            }
            let more = broken.count();
            if more > 0 {
                found.push(format!("... and {more} more of this kind"));
            }
        }
        if end == i64::MAX {
            break;
        }
        begin = end;
    }
    Ok(())
}
