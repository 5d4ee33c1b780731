//! Deleting executions, all at once or piece by piece, and giving space back.

use bowline_store::ExecNo;
use rusqlite::{Connection, OptionalExtension as _};

use super::Refusal;

/// What belongs to an execution, each as a statement that deletes at most `?2` rows of execution `?1`: small things
/// first, so that they are gone with the first slice.
const PARTS: [&str; 6] = [
    "DELETE FROM start_keys WHERE (organization, workflow, key) IN \
     (SELECT organization, workflow, key FROM start_keys INDEXED BY start_keys_execution WHERE exec_no = ?1 LIMIT ?2)",
    "DELETE FROM deliveries WHERE id IN \
     (SELECT id FROM deliveries INDEXED BY deliveries_wait WHERE exec_no = ?1 LIMIT ?2)",
    "DELETE FROM waits WHERE exec_no = ?1 AND tag IN (SELECT tag FROM waits WHERE exec_no = ?1 LIMIT ?2)",
    "DELETE FROM blob_refs WHERE exec_no = ?1 AND blob IN (SELECT blob FROM blob_refs WHERE exec_no = ?1 LIMIT ?2)",
    "DELETE FROM condensed WHERE id IN (SELECT id FROM condensed WHERE exec_no = ?1 LIMIT ?2)",
    "DELETE FROM journal WHERE id IN (SELECT id FROM journal WHERE exec_no = ?1 ORDER BY seq LIMIT ?2)",
];

pub(super) fn delete(connection: &Connection, exec: ExecNo, at_most: i64) -> Result<(), Refusal> {
    let row: Option<(String, bool)> = connection
        .prepare_cached("SELECT id, finished_at IS NOT NULL FROM execution WHERE exec_no = ?1")?
        .query_row([exec.0], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    match row {
        Some((id, false)) => {
            let what = format!("execution {id} has not finished and is not deleted");
            return Err(Refusal::Nonsense(what));
        }
        Some((_, true)) => {
            connection
                .prepare_cached("DELETE FROM execution WHERE exec_no = ?1")?
                .execute([exec.0])?;
            connection
                .prepare_cached("INSERT INTO deleting VALUES (?1)")?
                .execute([exec.0])?;
        }
        None => {
            let begun = connection
                .prepare_cached("SELECT 1 FROM deleting WHERE exec_no = ?1")?
                .exists([exec.0])?;
            if !begun {
                return Ok(());
            }
        }
    }
    let mut left = at_most;
    for part in PARTS {
        left -= connection.prepare_cached(part)?.execute((exec.0, left))? as i64;
    }
    // With nothing left of what may be deleted, there may be more.
    if left > 0 {
        connection
            .prepare_cached("DELETE FROM deleting WHERE exec_no = ?1")?
            .execute([exec.0])?;
    }
    Ok(())
}

/// Moves pages from the end of the file into free ones. The file is cut off when the log is next copied into it.
pub(crate) fn shrink(connection: &Connection, pages: u32) -> rusqlite::Result<()> {
    // 0 would mean all.
    if pages == 0 {
        return Ok(());
    }
    let mut statement = connection.prepare(&format!("PRAGMA incremental_vacuum({pages})"))?;
    let mut rows = statement.query([])?;
    // One row for each page.
    while rows.next()?.is_some() {}
    Ok(())
}
