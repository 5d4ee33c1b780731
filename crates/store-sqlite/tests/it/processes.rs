//! Several processes on one database: who may write, what others see, and what is left after `kill -9`.

use std::path::Path;

use bowline_store::testkit::{definition, execution, finish, record};
use bowline_store::{
    DEFAULT_ORGANIZATION, ExecNo, ExecutionFilter, RequestKind, Status, Store as _, StoreError, Write,
};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::helper::{self, Helper};

fn open(folder: &Path) -> SqliteStore {
    SqliteStore::open(folder, Options::default()).unwrap()
}

fn begin(exec: i64) -> [Write; 3] {
    [
        Write::Define(definition("flow", 'a')),
        Write::Start(execution(exec, &format!("id-{exec}"), "flow", 'a')),
        Write::Append(record(exec, 0, &[7; 300])),
    ]
}

/// What a helper of these tests does; whether `role` is one of theirs.
pub(crate) fn act(role: &str, folder: &Path) -> bool {
    let store = open(folder);
    match role {
        "hold the writer" => {
            let mut writer = store.writer().unwrap();
            writer.commit(&begin(1)).unwrap();
            helper::say("ready");
            helper::wait_for_the_end();
            writer.commit(&[Write::Append(record(1, 1, b"later"))]).unwrap();
        }
        "write until killed" => {
            let mut writer = store.writer().unwrap();
            let first = writer.next_exec().unwrap().0;
            for exec in first.. {
                writer.commit(&begin(exec)).unwrap();
                helper::say(&exec.to_string());
            }
        }
        "read" => {
            for row in store.executions(&ExecutionFilter::default()).unwrap() {
                helper::say(&format!("{} {}", row.id, store.journal(row.exec, 0, 10).unwrap().len()));
            }
        }
        "create" => {
            // All helpers of the test are let go at the same time.
            helper::wait_for_the_end();
        }
        _ => return false,
    }
    true
}

#[test]
fn a_second_process_may_read_and_ask_but_not_write() {
    let home = tempfile::tempdir().unwrap();
    let mut holder = Helper::start("hold the writer", home.path(), &[]);
    assert_eq!(holder.hear().as_deref(), Some("ready"));

    let store = open(home.path());
    let Err(StoreError::Locked { path, holder: who }) = store.writer() else {
        panic!("two writers")
    };
    assert_eq!(path, store.path());
    assert_eq!(who, Some(format!("pid {}", holder.id())));
    assert_eq!(store.execution("id-1").unwrap().unwrap().exec, ExecNo(1));
    store
        .request(&RequestKind::Cancel {
            id: "id-1".into(),
            reason: "test".into(),
        })
        .unwrap();
    assert_eq!(store.requests(0).unwrap().len(), 1);

    holder.end();
    assert_eq!(store.journal(ExecNo(1), 1, 1).unwrap(), [record(1, 1, b"later")]);
    assert_eq!(std::fs::read_to_string(home.path().join("bowline.lock")).unwrap(), "");
    let mut writer = store.writer().unwrap();
    writer.commit(&begin(2)).unwrap();
    let mut reader = Helper::start("read", home.path(), &[]);
    assert_eq!(reader.hear_all(), ["id-2 1", "id-1 2"]);
}

#[test]
fn what_was_acknowledged_survives_kill_9_and_nothing_has_to_be_cleaned_up() {
    let home = tempfile::tempdir().unwrap();
    let mut acknowledged: i64 = 0;
    for round in 0..4 {
        let mut writer = Helper::start("write until killed", home.path(), &[]);
        for _ in 0..=(round * 37) {
            let said: i64 = writer.hear().expect("the writer ended").parse().unwrap();
            assert!(said > acknowledged);
            acknowledged = said;
        }
        writer.kill();
        let heard_later = writer.hear_all();
        acknowledged = heard_later.last().map_or(acknowledged, |said| said.parse().unwrap());
        assert!(
            home.path().join("bowline.db-wal").metadata().unwrap().len() > 0,
            "the log was not left behind"
        );

        // A reader is first to come, and recovers the log; then a writer.
        let mut reader = Helper::start("read", home.path(), &[]);
        assert!(!reader.hear_all().is_empty());
        let store = SqliteStore::open(
            home.path(),
            Options {
                read_only: true,
                ..Options::default()
            },
        )
        .unwrap();
        let open = store.open_executions(ExecNo(0), 100_000).unwrap();
        let count = open.len() as i64;
        assert!(
            count == acknowledged || count == acknowledged + 1,
            "{count} found, {acknowledged} acknowledged"
        );
        assert!(
            open.iter()
                .zip(1..)
                .all(|(open, exec)| open.row.exec.0 == exec && open.journal.len() == 1)
        );
        assert_eq!(store.check().unwrap(), Vec::<String>::new());
        assert_eq!(
            self::open(home.path()).writer().unwrap().next_exec().unwrap(),
            ExecNo(count + 1)
        );
        acknowledged = count;
    }
}

#[test]
fn processes_that_create_a_store_at_once_do_not_hinder_each_other() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("new/store");
    let mut helpers: Vec<_> = (0..4).map(|_| Helper::start("create", &folder, &[])).collect();
    helpers.iter_mut().for_each(Helper::end);
    let store = open(&folder);
    store.writer().unwrap().commit(&begin(1)).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_request_waits_for_another_process_that_is_writing_and_so_does_a_commit() {
    let home = tempfile::tempdir().unwrap();
    let options = Options {
        busy_timeout: std::time::Duration::from_millis(100),
        ..Options::default()
    };
    let impatient = SqliteStore::open(home.path(), options).unwrap();
    let patient = open(home.path());
    let mut writer = patient.writer().unwrap();
    let ask = RequestKind::Cancel {
        id: "x".into(),
        reason: String::new(),
    };

    // Somebody with the command line of SQLite.
    let other = rusqlite::Connection::open(patient.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(impatient.request(&ask), Err(StoreError::Locked { .. })));
    let both = &std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        let commit = scope.spawn(move || {
            both.wait();
            writer.commit(&begin(1))
        });
        let request = scope.spawn(|| {
            both.wait();
            patient.request(&ask)
        });
        both.wait();
        other.execute_batch("COMMIT").unwrap();
        commit.join().unwrap().unwrap();
        request.join().unwrap().unwrap();
    });
    assert_eq!(patient.requests(0).unwrap().len(), 1);
    assert!(patient.execution("id-1").unwrap().is_some());
}

#[test]
fn space_is_given_back_beside_a_writer() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let mut writer = store.writer().unwrap();
    let mut batch: Vec<Write> = (1..=2_000).flat_map(begin).collect();
    let ended = 1..=1_500;
    batch.extend(ended.clone().map(|exec| Write::Finish(finish(exec, Status::Failed))));
    batch.extend(ended.map(|exec| Write::Delete(ExecNo(exec))));
    writer.commit(&batch).unwrap();
    let before = store.housekeeping().unwrap();
    assert!(before.free_bytes > 100_000, "{before:?}");
    let other = open(home.path());
    // The writer would use the space up if it were faster.
    let begun = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let giving = scope.spawn(|| {
            let mut pages = other.shrink(5).unwrap();
            begun.wait();
            while other.housekeeping().unwrap().free_bytes > 0 {
                match other.shrink(5) {
                    Ok(given) => pages += given,
                    // A writer that never pauses may keep everybody else out for as long as one waits.
                    Err(StoreError::Locked { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            pages
        });
        begun.wait();
        for exec in 2_001..2_101 {
            writer.commit(&begin(exec)).unwrap();
        }
        assert!(giving.join().unwrap() > 0);
    });
    assert_eq!(store.housekeeping().unwrap().free_bytes, 0);
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn no_call_leaves_a_snapshot_behind() {
    let home = tempfile::tempdir().unwrap();
    let store = open(home.path());
    let mut writer = store.writer().unwrap();
    writer.commit(&begin(1)).unwrap();
    writer.commit(&begin(2)).unwrap();
    assert_eq!(
        store
            .executions(&ExecutionFilter {
                limit: 1,
                ..Default::default()
            })
            .unwrap()
            .len(),
        1
    );
    assert_eq!(store.open_executions(ExecNo(0), 1).unwrap().len(), 1);
    assert_eq!(store.journal(ExecNo(1), 0, 1).unwrap().len(), 1);
    assert!(store.execution("id-1").unwrap().is_some());
    assert!(store.definition(&"a".repeat(64)).unwrap().is_some());
    assert_eq!(store.requests(0).unwrap(), []);
    assert!(store.open_execution(ExecNo(1)).unwrap().is_some());
    store.audit(ExecNo(0), 1).unwrap();
    store.housekeeping().unwrap();
    store.due((0, ExecNo(0)), 1).unwrap();
    store.event_waits(DEFAULT_ORGANIZATION, "e", None).unwrap();
    store.backup(&home.path().join("copy.db")).unwrap();
    assert_eq!(store.check().unwrap(), Vec::<String>::new());

    // The log can be emptied only when nobody looks at it.
    let other = rusqlite::Connection::open(store.path()).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    let busy: i64 = other
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(busy, 0);
    assert_eq!(home.path().join("bowline.db-wal").metadata().unwrap().len(), 0);
}
