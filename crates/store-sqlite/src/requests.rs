//! Requests: left by any process, read by the one that writes.

use bowline_store::{Request, RequestKind, StoreError};
use rusqlite::{Connection, Result};

use crate::connect::{self, Durability};
use crate::errors;
use crate::files::Files;
use crate::options::Options;

/// Leaves a request, through a connection that lives for this only.
pub(crate) fn leave(
    files: &Files,
    options: &Options,
    durability: Durability,
    request: &RequestKind,
) -> std::result::Result<(), StoreError> {
    let doing = "leaving a request";
    let text = serde_json::to_string(request).map_err(|error| errors::other(&files.database, doing, error))?;
    let connection = connect::writer(files, options, durability, false)?;
    connection
        .execute("INSERT INTO requests (kind) VALUES (?1)", [text])
        .map_err(|error| errors::sqlite(&files.database, doing, error))?;
    Ok(())
}

/// Reads requests often. While nothing at all was written to the database, this costs a look at shared memory.
#[derive(Debug)]
pub(crate) struct Poller {
    connection: Connection,
    /// SQLite's count of changes by others, from before the last look at the table.
    version: Option<i64>,
    /// There was no request above this one at that version.
    newest: i64,
}

impl Poller {
    pub(crate) fn new(connection: Connection) -> Self {
        Self {
            connection,
            version: None,
            newest: 0,
        }
    }

    pub(crate) fn poll(&mut self, after: i64) -> Result<Vec<Request>> {
        let version: i64 = self
            .connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.version == Some(version) && after >= self.newest {
            return Ok(Vec::new());
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, kind FROM requests WHERE id > ?1 ORDER BY id")?;
        let mut found = Vec::new();
        let mut newest = after;
        let mut rows = statement.query([after])?;
        while let Some(row) = rows.next()? {
            let id = row.get(0)?;
            newest = id;
            // A newer Bowline may ask for what this one does not know. It is passed over, not stumbled over.
            match serde_json::from_str(row.get_ref(1)?.as_str()?) {
                Ok(kind) => found.push(Request { id, kind }),
                Err(error) => tracing::warn!(id, %error, "a request is not understood and is passed over"),
            }
        }
        self.version = Some(version);
        self.newest = newest;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_at_the_table_only_when_something_changed() {
        let home = tempfile::tempdir().unwrap();
        let options = Options::default();
        let files = Files::find(home.path(), &options).unwrap();
        crate::schema::prepare(&files, &options, Durability::Process).unwrap();
        let mut poller = Poller::new(connect::reader(&files, &options).unwrap());
        assert!(poller.poll(0).unwrap().is_empty());
        let kind = RequestKind::Cancel {
            id: "x".into(),
            reason: "y".into(),
        };
        let looked = |poller: &Poller| {
            let statement = poller
                .connection
                .prepare_cached("SELECT id, kind FROM requests WHERE id > ?1 ORDER BY id");
            statement.unwrap().get_status(rusqlite::StatementStatus::Run)
        };
        let before = looked(&poller);
        assert!(poller.poll(0).unwrap().is_empty());
        assert_eq!(looked(&poller), before);
        leave(&files, &options, Durability::Process, &kind).unwrap();
        let found = poller.poll(0).unwrap();
        assert_eq!(found, [Request { id: 1, kind }]);
        assert_eq!(looked(&poller), before + 1);
        assert_eq!(poller.poll(0).unwrap(), found, "asked again for the same");
        assert!(poller.poll(1).unwrap().is_empty());
        let before = looked(&poller);
        assert!(poller.poll(1).unwrap().is_empty());
        assert_eq!(looked(&poller), before);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let home = tempfile::tempdir().unwrap();
        let options = Options::default();
        let files = Files::find(home.path(), &options).unwrap();
        crate::schema::prepare(&files, &options, Durability::Process).unwrap();
        let writer = connect::writer(&files, &options, Durability::Process, false).unwrap();
        writer
            .execute("INSERT INTO requests (kind) VALUES ('{\"dance\":{}}')", [])
            .unwrap();
        leave(
            &files,
            &options,
            Durability::Process,
            &RequestKind::Cancel {
                id: "x".into(),
                reason: String::new(),
            },
        )
        .unwrap();
        let mut poller = Poller::new(connect::reader(&files, &options).unwrap());
        assert_eq!(
            poller
                .poll(0)
                .unwrap()
                .iter()
                .map(|request| request.id)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
