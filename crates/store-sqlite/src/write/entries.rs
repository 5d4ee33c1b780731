//! Writing entries.

use bowline_store::{EntryWrite, StoreError};
use rusqlite::{Connection, OptionalExtension as _};

use super::Refusal;

pub(super) fn write(connection: &Connection, write: &EntryWrite) -> Result<(), Refusal> {
    let (space, key) = write.place();
    let exists = || StoreError::EntryExists {
        space: space.to_owned(),
        key: key.to_owned(),
    };
    let changed = || StoreError::EntryChanged {
        space: space.to_owned(),
        key: key.to_owned(),
    };
    match write {
        EntryWrite::Put(entry) => put(connection, space, key, &entry.value)?,
        EntryWrite::Add(entry) => {
            let added = connection
                .prepare_cached("INSERT INTO entries (space, key, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")?
                .execute((space, key, &entry.value[..]))?;
            if added == 0 {
                return Err(Refusal::Write(exists()));
            }
        }
        EntryWrite::Swap { entry, was } => {
            let is: Option<Vec<u8>> = connection
                .prepare_cached("SELECT value FROM entries WHERE space = ?1 AND key = ?2")?
                .query_row((space, key), |row| row.get(0))
                .optional()?;
            if is.as_deref() != was.as_deref() {
                return Err(Refusal::Write(changed()));
            }
            put(connection, space, key, &entry.value)?;
        }
        EntryWrite::Remove { .. } => {
            connection
                .prepare_cached("DELETE FROM entries WHERE space = ?1 AND key = ?2")?
                .execute((space, key))?;
        }
    }
    Ok(())
}

fn put(connection: &Connection, space: &str, key: &str, value: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entries (space, key, value) VALUES (?1, ?2, ?3) \
             ON CONFLICT (space, key) DO UPDATE SET value = excluded.value",
        )?
        .execute((space, key, value))?;
    Ok(())
}
