//! Copies of a store that is used, and putting them in place.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bowline_store::testkit::{definition, execution, finish, record};
use bowline_store::{ExecNo, Status, Store as _, StoreError, Write};
use bowline_store_sqlite::{Options, SqliteStore};

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Options::default()).unwrap()
}

fn begin(records: u64) -> Vec<Write> {
    let mut batch = vec![
        Write::Define(definition("flow", 'a')),
        Write::Start(execution(1, "id-1", "flow", 'a')),
        Write::Start(execution(2, "id-2", "flow", 'a')),
    ];
    for seq in 0..records {
        batch.extend([1, 2].map(|exec| Write::Append(record(exec, seq, &[7; 300]))));
    }
    batch
}

#[test]
fn a_copy_shows_one_moment_while_the_writer_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let mut writer = store.writer().unwrap();
    // Large enough for several rounds of copying.
    writer.commit(&begin(20_000)).unwrap();
    let (done, mut seq) = (AtomicBool::new(false), 20_000);
    let copies = home.path().join("copies");
    fs::create_dir(&copies).unwrap();
    std::thread::scope(|scope| {
        let backup = scope.spawn(|| {
            for name in ["1.db", "2.db", "3.db"] {
                store.backup(&copies.join(name)).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        while !done.load(Ordering::Acquire) && !backup.is_finished() {
            // Both or none.
            let batch = [1, 2].map(|exec| Write::Append(record(exec, seq, &[7; 300])));
            writer.commit(&batch).unwrap();
            seq += 1;
        }
        backup.join().unwrap();
    });
    assert!(seq > 20_000, "the writer had to wait for the backup");
    let mut last = 0;
    for name in ["1.db", "2.db", "3.db"] {
        let copy = open(&copies.join(name));
        let count = |exec: i64| copy.journal(ExecNo(exec), 0, usize::MAX).unwrap().len() as u64;
        assert_eq!(count(1), count(2), "half a batch was copied");
        assert!(count(1) >= 20_000.max(last) && count(1) <= seq);
        last = count(1);
        assert_eq!(copy.token_key().unwrap(), store.token_key().unwrap());
        assert_eq!(copy.check().unwrap(), Vec::<String>::new());
        // It can be gone on with.
        copy.writer()
            .unwrap()
            .commit(&[Write::Finish(finish(1, Status::Failed))])
            .unwrap();
    }
    // The log is let go of: the next that is written begins it anew.
    drop(writer);
    assert!(
        !home.path().join("bowline.db-wal").exists()
            || home.path().join("bowline.db-wal").metadata().unwrap().len() == 0
    );
    let names: Vec<_> = fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !names.iter().any(|name| name.to_string_lossy().contains("backup")),
        "{names:?}"
    );
}

#[test]
fn nothing_is_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("data"));
    store.writer().unwrap().commit(&begin(3)).unwrap();
    fs::write(home.path().join("precious"), "precious").unwrap();
    let error = store.backup(&home.path().join("precious")).unwrap_err().to_string();
    assert!(
        error.contains("precious") && error.contains("exists already"),
        "{error}"
    );
    assert_eq!(fs::read(home.path().join("precious")).unwrap(), b"precious");

    // A folder gets a file of the database's name; a second time it is there.
    fs::create_dir(home.path().join("copies")).unwrap();
    store.backup(&home.path().join("copies")).unwrap();
    assert!(store.backup(&home.path().join("copies")).is_err());
    let copy = home.path().join("copies/bowline.db");
    let whole = fs::read(&copy).unwrap();
    let error = SqliteStore::restore(&copy, home.path().join("data"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("data") && error.contains("exists already"), "{error}");

    SqliteStore::restore(&copy, home.path().join("new/data")).unwrap();
    let restored = open(&home.path().join("new/data"));
    assert_eq!(
        restored.open_executions(ExecNo(0), 9).unwrap(),
        store.open_executions(ExecNo(0), 9).unwrap()
    );
    assert_eq!(restored.token_key().unwrap(), store.token_key().unwrap());
    assert_eq!(fs::read(&copy).unwrap(), whole, "the backup was changed");

    // The log of a database that is gone would be taken for the copy's.
    fs::create_dir(home.path().join("odd")).unwrap();
    fs::write(home.path().join("odd/bowline.db-wal"), "log").unwrap();
    let error = SqliteStore::restore(&copy, home.path().join("odd"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("bowline.db-wal") && error.contains("log of another"),
        "{error}"
    );
    // And a folder that is missing is named.
    let error = store.backup(&home.path().join("none/copy.db")).unwrap_err().to_string();
    assert!(error.contains("none"), "{error}");
}

#[test]
fn what_is_no_whole_backup_is_not_restored() {
    let home = tempfile::tempdir().unwrap();
    let store = open(&home.path().join("data"));
    store.writer().unwrap().commit(&begin(200)).unwrap();
    let copy = home.path().join("copy.db");
    store.backup(&copy).unwrap();
    let whole = fs::read(&copy).unwrap();
    let mut torn = whole.clone();
    torn[40_960..45_056].fill(0x5a);
    for bad in [
        &whole[..whole.len() / 2],
        &torn[..],
        b"",
        b"no database at all, of no use to anybody",
    ] {
        fs::write(&copy, bad).unwrap();
        let error = SqliteStore::restore(&copy, home.path().join("new")).unwrap_err();
        assert!(!home.path().join("new/bowline.db").exists(), "{error}");
        let names = fs::read_dir(home.path().join("new")).into_iter().flatten();
        assert_eq!(
            names
                .filter(|name| name.as_ref().unwrap().file_name() != "bowline.lock")
                .count(),
            0
        );
    }
    fs::write(&copy, &whole).unwrap();
    rusqlite::Connection::open(&copy)
        .unwrap()
        .execute_batch("PRAGMA user_version = 99")
        .unwrap();
    let outcome = SqliteStore::restore(&copy, home.path().join("new"));
    assert!(
        matches!(outcome, Err(StoreError::Newer { found: 99, .. })),
        "{outcome:?}"
    );
}

#[test]
fn one_backup_at_a_time_and_also_of_what_is_only_read() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    store.writer().unwrap().commit(&begin(3)).unwrap();
    let note = fs::File::create(home.path().join("bowline.backup")).unwrap();
    note.lock().unwrap();
    let error = store.backup(&home.path().join("copy.db")).unwrap_err().to_string();
    assert!(error.contains("another backup is being made"), "{error}");
    assert!(!home.path().join("copy.db").exists());
    note.unlock().unwrap();
    let read_only = Options {
        read_only: true,
        ..Options::default()
    };
    let reader = SqliteStore::open(home.path(), read_only).unwrap();
    reader.backup(&home.path().join("copy.db")).unwrap();
    assert_eq!(
        open(&home.path().join("copy.db"))
            .open_executions(ExecNo(0), 9)
            .unwrap()
            .len(),
        2
    );
    assert!(matches!(reader.compact(), Err(StoreError::ReadOnly { .. })));
    assert!(matches!(reader.shrink(1), Err(StoreError::ReadOnly { .. })));
}
