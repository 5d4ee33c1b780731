//! What is read to make a store smaller.

use bowline_store::{ExecNo, ExecutionRow, Housekeeping};
use rusqlite::{Connection, Result};

use super::{COLUMNS, PROGRAM, execution_row, limit_of};
use crate::compact::INCREMENTAL;

pub(crate) fn finished(
    connection: &Connection,
    organization: &str,
    workflow: &str,
    before: i64,
    limit: usize,
) -> Result<Vec<ExecutionRow>> {
    let mut found = Vec::new();
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM execution AS e INDEXED BY execution_finished {PROGRAM} \
         WHERE e.program = ?1 AND e.finished_at IS NOT NULL AND e.finished_at < ?2 \
         ORDER BY e.finished_at, e.exec_no LIMIT ?3"
    ))?;
    // Each in its order from the index, then together.
    for program in programs(connection, organization, workflow)? {
        for row in statement.query_map((program, before, limit_of(limit)), execution_row)? {
            found.push(row?);
        }
    }
    found.sort_by_key(|row| (row.finished_at, row.exec));
    found.truncate(limit);
    Ok(found)
}

pub(crate) fn kept_from(
    connection: &Connection,
    organization: &str,
    workflow: &str,
    keep: usize,
) -> Result<Option<i64>> {
    let mut ends: Vec<i64> = Vec::new();
    let mut statement = connection.prepare_cached(
        "SELECT finished_at FROM execution INDEXED BY execution_finished WHERE program = ?1 AND finished_at IS NOT NULL \
         ORDER BY finished_at DESC LIMIT ?2",
    )?;
    for program in programs(connection, organization, workflow)? {
        let limit = limit_of(keep.saturating_add(1));
        for end in statement.query_map((program, limit), |row| row.get(0))? {
            ends.push(end?);
        }
    }
    if ends.len() <= keep {
        return Ok(None);
    }
    ends.sort_unstable_by(|a, b| b.cmp(a));
    Ok(match keep.checked_sub(1) {
        Some(last_kept) => ends.get(last_kept).copied(),
        None => ends.first().map(|last| last.saturating_add(1)),
    })
}

/// The numbers of what is run under the name of an organization's workflow: its versions.
fn programs(connection: &Connection, organization: &str, workflow: &str) -> Result<Vec<i64>> {
    let mut statement =
        connection.prepare_cached("SELECT no FROM program WHERE organization = ?1 AND workflow = ?2")?;
    statement
        .query_map((organization, workflow), |row| row.get(0))?
        .collect()
}

pub(crate) fn deleting(connection: &Connection, limit: usize) -> Result<Vec<ExecNo>> {
    let mut statement = connection.prepare_cached("SELECT exec_no FROM deleting ORDER BY exec_no LIMIT ?1")?;
    statement
        .query_map([limit_of(limit)], |row| row.get(0).map(ExecNo))?
        .collect()
}

pub(crate) fn housekeeping(connection: &Connection) -> Result<Housekeeping> {
    let number = |sql: &str| -> Result<Option<i64>> { connection.prepare_cached(sql)?.query_row([], |row| row.get(0)) };
    let size = number("PRAGMA page_size")?.unwrap_or_default();
    let free = match number("PRAGMA auto_vacuum")? {
        Some(INCREMENTAL) => number("PRAGMA freelist_count")?.unwrap_or_default(),
        _ => 0,
    };
    let pages = number("PRAGMA page_count")?.unwrap_or_default();
    Ok(Housekeeping {
        oldest_event: number("SELECT min(at) FROM events")?,
        deliveries: number("SELECT count(*) FROM deliveries")?.unwrap_or_default() as u64,
        first_expiry: number("SELECT min(expires_at) FROM deliveries")?,
        total_bytes: (pages * size) as u64,
        free_bytes: (free * size) as u64,
        page_size: size as u32,
    })
}

pub(crate) fn blobs_of(connection: &Connection, exec: ExecNo) -> Result<Vec<String>> {
    let mut statement = connection.prepare_cached("SELECT blob FROM blob_refs WHERE exec_no = ?1 ORDER BY blob")?;
    statement.query_map([exec.0], |row| row.get(0))?.collect()
}

pub(crate) fn blob_referenced(connection: &Connection, blob: &str) -> Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM blob_refs INDEXED BY blob_refs_blob WHERE blob = ?1")?
        .exists([blob])
}
