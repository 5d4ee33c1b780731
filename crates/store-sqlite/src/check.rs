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

const TABLES: [&str; 19] = [
    "sqlite_schema",
    "sqlite_sequence",
    "execution",
    "program",
    "started",
    "journal",
    "condensed",
    "definitions",
    "entries",
    "waits",
    "deliveries",
    "events",
    "start_keys",
    "blob_refs",
    "paused_workflows",
    "deleting",
    "requests",
    "secrets",
    "meta",
];
/// Executions in one transaction.
const RANGE: i64 = 50_000;
/// Of each kind of fault, so many are named for a range.
const EXAMPLES: usize = 20;

/// What belongs to an execution: rows here without one are a fault, unless it is being deleted.
/// (A kept delivery may be for an execution that was deleted since.)
const BELONGINGS: [(&str, &str); 5] = [
    ("journal", "journal records"),
    ("condensed", "condensed records"),
    ("waits", "waits"),
    ("start_keys", "start keys"),
    ("blob_refs", "references to blobs"),
];

/// Rules between rows, as queries for what breaks them. `?1` and `?2` are the range of executions.
const RULES: [&str; 9] = [
    "SELECT 'the journal of execution number ' || exec_no || ' has ' || count(*) || ' records, but the last is number ' \
     || max(seq) FROM journal WHERE exec_no >= ?1 AND exec_no < ?2 AND exec_no NOT IN (SELECT exec_no FROM deleting) \
     GROUP BY exec_no HAVING count(*) <> max(seq) + 1 OR min(seq) <> 0",
    "SELECT 'the status of execution ' || id || ' is ' || status || ', which is none' FROM execution \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND status NOT BETWEEN 0 AND 5",
    "SELECT 'execution ' || id || ' is ' || status || ' and its end is ' || coalesce(finished_at, 'unknown') \
     FROM executions WHERE exec_no >= ?1 AND exec_no < ?2 \
     AND (status IN ('running', 'waiting', 'paused')) <> (finished_at IS NULL)",
    "SELECT 'what execution ' || id || ' runs is unknown: there is no number ' || program FROM execution \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND program NOT IN (SELECT no FROM program)",
    "SELECT 'the definition ' || definition || ' of execution ' || id || ' is missing' FROM executions \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND definition NOT IN (SELECT hash FROM definitions)",
    "SELECT 'execution ' || id || ' is ' || status || ' and has a time to be woken' FROM executions \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND wake_at IS NOT NULL AND status NOT IN ('waiting', 'paused')",
    "SELECT 'execution ' || id || ' is ' || executions.status || ' and still waits at ' || path FROM waits \
     JOIN executions USING (exec_no) WHERE exec_no >= ?1 AND exec_no < ?2 AND state = 0 \
     AND executions.status IN ('succeeded', 'failed', 'cancelled')",
    "SELECT 'a wait of execution number ' || exec_no || ' at ' || path || ' is of kind ' || kind || ' in state ' || state \
     FROM waits WHERE exec_no >= ?1 AND exec_no < ?2 AND (kind NOT BETWEEN 0 AND 2 OR state NOT BETWEEN 0 AND 3)",
    "SELECT 'the condensed records ' || from_seq || ' to ' || to_seq || ' of execution number ' || exec_no \
     || ' do not fit its journal or each other' FROM condensed AS c \
     WHERE exec_no >= ?1 AND exec_no < ?2 AND exec_no NOT IN (SELECT exec_no FROM deleting) AND (from_seq >= to_seq \
     OR to_seq > (SELECT coalesce(max(seq), -1) + 1 FROM journal WHERE journal.exec_no = c.exec_no) \
     OR EXISTS (SELECT 1 FROM condensed AS other WHERE other.exec_no = c.exec_no AND other.id <> c.id \
     AND other.from_seq < c.to_seq AND other.to_seq > c.from_seq))",
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

fn rules() -> Vec<String> {
    let strangers = BELONGINGS.map(|(table, what)| {
        format!(
            "SELECT DISTINCT 'there are {what} of an execution number ' || exec_no || ', but no such execution' \
             FROM {table} WHERE exec_no >= ?1 AND exec_no < ?2 AND exec_no NOT IN (SELECT exec_no FROM execution) \
             AND exec_no NOT IN (SELECT exec_no FROM deleting)"
        )
    });
    RULES.map(str::to_owned).into_iter().chain(strangers).collect()
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
    let rules = rules();
    let (mut first, mut last) = (0, 0);
    for table in BELONGINGS.iter().map(|(table, _)| *table).chain(["execution"]) {
        let (lowest, highest): (Option<i64>, Option<i64>) = connection.query_row(
            &format!("SELECT (SELECT min(exec_no) FROM {table}), (SELECT max(exec_no) FROM {table})"),
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        first = lowest.unwrap_or(first).min(first);
        last = highest.unwrap_or(last).max(last);
    }
    let mut begin = first;
    while begin <= last {
        let end = begin.saturating_add(RANGE);
        for rule in &rules {
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
