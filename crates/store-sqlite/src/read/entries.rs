//! What is read of entries.

use bowline_store::EntryRange;
use bytes::Bytes;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Result, params_from_iter};

use super::{bytes, limit_of};

pub(crate) fn entry(connection: &Connection, space: &str, key: &str) -> Result<Option<Bytes>> {
    connection
        .prepare_cached("SELECT value FROM entries WHERE space = ?1 AND key = ?2")?
        .query_row((space, key), |row| bytes(row, 0))
        .optional()
}

pub(crate) fn entries(connection: &Connection, range: &EntryRange) -> Result<Vec<(String, Bytes)>> {
    let mut sql = "SELECT key, value FROM entries WHERE space = ? AND key >= ?".to_owned();
    let mut values: Vec<Value> = vec![range.space.to_string().into(), range.prefix.clone().into()];
    let mut also = |condition: &str, value: String| {
        sql.push_str(condition);
        values.push(value.into());
    };
    if let Some(end) = range.end() {
        also(" AND key < ?", end);
    }
    if let Some(after) = &range.after {
        also(
            if range.reverse { " AND key < ?" } else { " AND key > ?" },
            after.clone(),
        );
    }
    sql.push_str(if range.reverse {
        " ORDER BY key DESC LIMIT ?"
    } else {
        " ORDER BY key LIMIT ?"
    });
    values.push(limit_of(range.page()).into());
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, bytes(row, 1)?)))?;
    rows.collect()
}
