//! The marker row that makes a request happen once.
//!
//! The marker is written in the transaction of the statements themselves, which holds the write lock from its
//! beginning. So either both are there or neither, and two attempts at the same time take turns.

use bowline_connector::StepError;
use rusqlite::{Connection, OptionalExtension};

use super::error::classify;
use crate::database::{Marker, ResultSet};

/// What the first time gave, if there was one. Makes the table if it is missing.
pub(super) fn find(connection: &Connection, marker: &Marker) -> Result<Option<Vec<ResultSet>>, StepError> {
    let place = place(marker);
    // The name is a checked identifier; SQL has no placeholder for one.
    let table = &marker.table;
    connection
        .execute_batch(&format!(
            "CREATE TABLE IF NOT EXISTS \"{table}\" (
                key TEXT NOT NULL PRIMARY KEY,
                result TEXT NOT NULL,
                created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
            )"
        ))
        .map_err(|error| classify(&error, &place, false))?;
    let stored: Option<String> = connection
        .prepare_cached(&format!("SELECT result FROM \"{table}\" WHERE key = ?1"))
        .and_then(|mut statement| statement.query_row([&marker.key], |row| row.get(0)).optional())
        .map_err(|error| classify(&error, &place, false))?;
    let Some(stored) = stored else { return Ok(None) };
    serde_json::from_str(&stored).map(Some).map_err(|error| {
        StepError::permanent(
            "sql.once-invalid",
            format!("{place}: the marker's result cannot be read"),
        )
        .caused_by(&error)
    })
}

/// Writes the marker.
pub(super) fn write(connection: &Connection, marker: &Marker, results: &[ResultSet]) -> Result<(), StepError> {
    let place = place(marker);
    let stored = serde_json::to_string(results).map_err(|error| {
        StepError::permanent("sql.once-invalid", format!("{place}: the result is not JSON")).caused_by(&error)
    })?;
    connection
        .prepare_cached(&format!(
            "INSERT INTO \"{}\" (key, result) VALUES (?1, ?2)",
            marker.table
        ))
        .and_then(|mut statement| statement.execute([&marker.key, &stored]))
        .map(drop)
        .map_err(|error| classify(&error, &place, false))
}

fn place(marker: &Marker) -> String {
    format!("marker table `{}`", marker.table)
}
