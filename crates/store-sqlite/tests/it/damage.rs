//! Files that are not what they should be.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bowline_store::testkit::{definition, execution, finish, record};
use bowline_store::{ExecNo, ExecutionFilter, Status, Store as _, StoreError, Write};
use bowline_store_sqlite::{Options, SqliteStore};
use tempfile::TempDir;

const PAGE: u64 = 4096;

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(path, Options::default())
}

/// A store with 200 executions, closed.
fn filled() -> (TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path()).unwrap();
    let mut batch = vec![Write::Define(definition("flow", 'a'))];
    for exec in 1..=200 {
        batch.push(Write::Start(execution(exec, &format!("id-{exec}"), "flow", 'a')));
        for seq in 0..5 {
            batch.push(Write::Append(record(exec, seq, &[seq as u8; 300])));
        }
        if exec % 2 == 0 {
            batch.push(Write::Finish(finish(exec, Status::Succeeded)));
        }
    }
    store.writer().unwrap().commit(&batch).unwrap();
    let database = store.path().to_path_buf();
    drop(store);
    assert!(
        !database.with_extension("db-wal").exists(),
        "the log was not emptied and removed"
    );
    (home, database)
}

fn corrupt<T>(outcome: Result<T, StoreError>, database: &Path) -> String {
    match outcome {
        Err(error @ StoreError::Corrupt { .. }) => {
            assert!(error.to_string().contains(&database.display().to_string()), "{error}");
            error.to_string()
        }
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("the damage was not noticed"),
    }
}

/// Reads everything through the store.
fn read_all(store: &SqliteStore) -> Result<(), StoreError> {
    for row in store.executions(&ExecutionFilter {
        limit: 1000,
        ..Default::default()
    })? {
        store.journal(row.exec, 0, 100)?;
        store.definition(&row.definition)?;
        store.execution(&row.id)?;
    }
    store.open_executions(ExecNo(0), 1000)?;
    Ok(())
}

#[test]
fn garbage_is_named() {
    for size in [10_u32, 5_000, 100_000] {
        let home = tempfile::tempdir().unwrap();
        let database = fs::canonicalize(home.path()).unwrap().join("bowline.db");
        let garbage: Vec<u8> = (0..size)
            .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(&database, &garbage).unwrap();
        let message = corrupt(open(home.path()), &database);
        assert!(message.contains("not a database"), "{message}");
        assert_eq!(fs::read(&database).unwrap(), garbage, "it was written to");
    }
}

#[test]
fn a_database_that_was_cut_off_is_damaged() {
    let (_home, database) = filled();
    let length = fs::metadata(&database).unwrap().len();
    for left in [length - PAGE, length / 2, PAGE, PAGE + 100] {
        fs::OpenOptions::new()
            .write(true)
            .open(&database)
            .unwrap()
            .set_len(left)
            .unwrap();
        let outcome = open(&database).and_then(|store| {
            assert_ne!(store.check().unwrap(), Vec::<String>::new());
            read_all(&store)
        });
        corrupt(outcome, &database);
    }
}

#[test]
fn an_overwritten_page_is_found_when_it_is_read_and_by_a_check() {
    let (_home, database) = filled();
    let whole = fs::read(&database).unwrap();
    let pages = whole.len() as u64 / PAGE;
    assert!(pages > 50);
    let mut noticed = 0;
    for page in 1..pages {
        fs::write(&database, &whole).unwrap();
        let mut file = fs::OpenOptions::new().write(true).open(&database).unwrap();
        file.seek(SeekFrom::Start(page * PAGE)).unwrap();
        file.write_all(&[0x5a; PAGE as usize]).unwrap();
        drop(file);
        let store = match open(&database) {
            Ok(store) => store,
            // The list of tables takes several pages.
            outcome @ Err(_) => {
                corrupt(outcome, &database);
                noticed += 1;
                continue;
            }
        };
        // Some pages belong to indexes that these reads do not need; a check reads those too.
        assert_ne!(store.check().unwrap(), Vec::<String>::new(), "page {page}");
        match read_all(&store) {
            Ok(()) => {}
            outcome @ Err(_) => {
                corrupt(outcome, &database);
                noticed += 1;
            }
        }
    }
    assert!(noticed > 40, "{noticed} of {pages}");
}

#[test]
fn a_check_compares_rows() {
    let (_home, database) = filled();
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection
        .execute_batch(
            "DELETE FROM journal WHERE exec_no = 3 AND seq = 2;
             DELETE FROM journal WHERE exec_no = 4 AND seq = 0;
             UPDATE execution SET finished_at = NULL WHERE exec_no = 6;
             INSERT INTO program VALUES (70, 'default', 'flow', 'lost');
             UPDATE execution SET program = 70 WHERE exec_no = 7;
             UPDATE execution SET status = 77 WHERE exec_no = 8;
             UPDATE execution SET program = 90 WHERE exec_no = 9;
             UPDATE execution SET wake_at = 1 WHERE exec_no = 11;
             INSERT INTO journal (exec_no, seq, at, events) VALUES (900, 0, 0, x'00');
             INSERT INTO waits VALUES (12, 1, 0, 0, '', 'k', 'ask', 0, NULL, NULL), (13, 1, 7, 0, '', 'k', 'odd', 0, NULL, NULL),
                 (901, 1, 2, 0, 'e', NULL, 'ask', 0, NULL, NULL), (902, 1, 2, 0, 'e', NULL, 'ask', 0, NULL, NULL);
             INSERT INTO start_keys VALUES ('default', 'flow', 'k', 903, x'00');
             INSERT INTO blob_refs VALUES (904, 'b');
             INSERT INTO condensed (exec_no, from_seq, to_seq, at, events) VALUES (14, 0, 2, 0, x'00'), (14, 1, 3, 0, x'00'),
                 (15, 0, 6, 0, x'00'), (16, 0, 5, 0, x'00'), (905, 0, 1, 0, x'00');
             INSERT INTO deleting VALUES (902);",
        )
        .unwrap();
    let mut found = open(&database).unwrap().check().unwrap();
    found.sort();
    assert_eq!(
        found,
        [
            "a wait of execution number 13 at odd is of kind 7 in state 0",
            "execution id-11 is running and has a time to be woken",
            "execution id-12 is succeeded and still waits at ask",
            "execution id-6 is succeeded and its end is unknown",
            "the condensed records 0 to 1 of execution number 905 do not fit its journal or each other",
            "the condensed records 0 to 2 of execution number 14 do not fit its journal or each other",
            "the condensed records 0 to 6 of execution number 15 do not fit its journal or each other",
            "the condensed records 1 to 3 of execution number 14 do not fit its journal or each other",
            "the definition lost of execution id-7 is missing",
            "the journal of execution number 3 has 4 records, but the last is number 4",
            "the journal of execution number 4 has 4 records, but the last is number 4",
            "the status of execution id-8 is 77, which is none",
            "there are condensed records of an execution number 905, but no such execution",
            "there are journal records of an execution number 900, but no such execution",
            "there are references to blobs of an execution number 904, but no such execution",
            "there are start keys of an execution number 903, but no such execution",
            "there are waits of an execution number 901, but no such execution",
            "what execution id-9 runs is unknown: there is no number 90",
        ]
    );
    connection.execute_batch("DELETE FROM journal WHERE seq = 0").unwrap();
    let found = open(&database).unwrap().check().unwrap();
    assert!(found.iter().any(|line| line.starts_with("... and ")), "{found:#?}");
    assert!(found.len() < 40);
}

#[test]
fn paths_that_cannot_be() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let below_a_file = open(&home.path().join("file/store")).unwrap_err().to_string();
    assert!(
        below_a_file.contains("file/store") && below_a_file.contains("ot a directory"),
        "{below_a_file}"
    );
    fs::create_dir(home.path().join("bowline.db")).unwrap();
    let a_folder = open(home.path()).unwrap_err().to_string();
    assert!(a_folder.contains("bowline.db"), "{a_folder}");
    let missing = SqliteStore::open(
        home.path().join("none.db"),
        Options {
            read_only: true,
            ..Options::default()
        },
    );
    let missing = missing.unwrap_err().to_string();
    assert!(
        missing.contains("none.db") && missing.contains("there is no database"),
        "{missing}"
    );
}

#[test]
fn numbers_are_not_used_again_after_rows_are_deleted() {
    let (_home, database) = filled();
    let store = open(&database).unwrap();
    assert_eq!(store.writer().unwrap().next_exec().unwrap(), ExecNo(201));
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("DELETE FROM execution WHERE exec_no > 150; DELETE FROM journal WHERE exec_no > 150;")
        .unwrap();
    assert_eq!(store.writer().unwrap().next_exec().unwrap(), ExecNo(201));
    rusqlite::Connection::open(&database)
        .unwrap()
        .execute_batch("DELETE FROM execution; DELETE FROM journal")
        .unwrap();
    let mut writer = store.writer().unwrap();
    assert_eq!(writer.next_exec().unwrap(), ExecNo(201));
    writer
        .commit(&[Write::Start(execution(201, "new", "flow", 'a'))])
        .unwrap();
    assert_eq!(writer.next_exec().unwrap(), ExecNo(202));
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_temporary_store_is_gone_with_its_last_user() {
    let store = SqliteStore::temporary().unwrap();
    let folder = store.path().parent().unwrap().to_path_buf();
    let writer = store.writer().unwrap();
    drop(store);
    assert!(folder.exists(), "deleted under its writer");
    drop(writer);
    assert!(!folder.exists());
}
