//! Migrations, with steps that only exist here.

use rusqlite::Connection;
use tempfile::TempDir;

use super::*;

struct Home {
    _folder: TempDir,
    files: Files,
}

fn home() -> Home {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::find(folder.path(), &Options::default()).unwrap();
    Home { _folder: folder, files }
}

fn prepare_to(files: &Files, steps: &[&str]) -> Result<(), StoreError> {
    let options = Options {
        busy_timeout: std::time::Duration::from_millis(50),
        ..Options::default()
    };
    prepare_with(files, &options, Durability::Power, steps)
}

fn number(files: &Files, sql: &str) -> i64 {
    Connection::open(&files.database)
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

/// The first version only, so that these tests do not change with each new one.
const ONE: &[&str] = &[STEPS[0]];
const NEXT: &str = "ALTER TABLE executions ADD COLUMN note TEXT NOT NULL DEFAULT 'none';";

#[test]
fn an_older_database_is_brought_up_to_date_with_its_rows() {
    let home = home();
    prepare_to(&home.files, ONE).unwrap();
    let connection = Connection::open(&home.files.database).unwrap();
    connection
        .execute_batch("INSERT INTO executions VALUES (1, 'a', 'flow', 'hash', NULL, 'running', 1, NULL);")
        .unwrap();
    drop(connection);
    let last = "CREATE TABLE extra (x); INSERT INTO extra SELECT count(*) FROM executions WHERE note = 'none';";
    prepare_to(&home.files, &[ONE[0], NEXT, last]).unwrap();
    assert_eq!(number(&home.files, "SELECT x FROM extra"), 1);
    assert_eq!(number(&home.files, "PRAGMA user_version"), 3);
    prepare_to(&home.files, &[ONE[0], NEXT, last]).unwrap();
    assert_eq!(
        number(&home.files, "SELECT count(*) FROM extra"),
        1,
        "a step was applied twice"
    );
}

#[test]
fn a_step_that_fails_leaves_the_database_as_it_was() {
    let home = home();
    prepare_to(&home.files, ONE).unwrap();
    let error = prepare_to(&home.files, &[ONE[0], NEXT, "CREATE TABLE journal (x);"]).unwrap_err();
    assert!(
        error.to_string().contains("bringing the database up to date"),
        "{error}"
    );
    assert_eq!(number(&home.files, "PRAGMA user_version"), 1);
    let sql = "SELECT count(*) FROM pragma_table_info('executions') WHERE name = 'note'";
    assert_eq!(number(&home.files, sql), 0);
    prepare_to(&home.files, ONE).unwrap();
}

#[test]
fn a_newer_database_is_left_alone() {
    let home = home();
    prepare_to(&home.files, &[ONE[0], NEXT]).unwrap();
    match prepare_to(&home.files, ONE) {
        Err(StoreError::Newer {
            path,
            found: 2,
            known: 1,
        }) => assert_eq!(path, home.files.database),
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_migrated_under_a_writer_or_read_only() {
    let home = home();
    prepare_to(&home.files, ONE).unwrap();
    let lock = WriterLock::take(&home.files).unwrap();
    assert!(matches!(
        prepare_to(&home.files, &[ONE[0], NEXT]),
        Err(StoreError::Locked { .. })
    ));
    // What is current needs no lock.
    prepare_to(&home.files, ONE).unwrap();
    drop(lock);
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let outcome = prepare_with(&home.files, &read_only, Durability::Power, &[ONE[0], NEXT]);
    assert!(matches!(outcome, Err(StoreError::ReadOnly { .. })), "{outcome:?}");
    assert_eq!(number(&home.files, "PRAGMA user_version"), 1);
}

#[test]
fn a_creation_that_was_interrupted_is_finished() {
    let home = home();
    std::fs::write(&home.files.database, "").unwrap();
    prepare_to(&home.files, ONE).unwrap();
    assert_eq!(number(&home.files, "PRAGMA user_version"), 1);

    let home = self::home();
    Connection::open(&home.files.database)
        .unwrap()
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .unwrap();
    assert!(home.files.has_content().unwrap());
    prepare_to(&home.files, ONE).unwrap();
    assert_eq!(number(&home.files, "PRAGMA user_version"), 1);
}

#[test]
fn the_database_of_another_program_is_not_touched() {
    let home = home();
    Connection::open(&home.files.database)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    let before = std::fs::read(&home.files.database).unwrap();
    match prepare_to(&home.files, ONE) {
        Err(StoreError::Corrupt { path, detail }) => {
            assert_eq!(path, home.files.database);
            assert!(detail.contains("not one of bowline's"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(std::fs::read(&home.files.database).unwrap(), before);
}

#[test]
fn settings_are_in_the_file() {
    let home = home();
    prepare_to(&home.files, STEPS).unwrap();
    assert_eq!(number(&home.files, "PRAGMA auto_vacuum"), compact::INCREMENTAL);
    assert_eq!(number(&home.files, "PRAGMA page_size") as u64, connect::PAGE_SIZE);
    assert_eq!(number(&home.files, "PRAGMA application_id"), APPLICATION_ID);
    let mode: String = Connection::open(&home.files.database)
        .unwrap()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}
