//! Older databases are brought up to date: whole, once, and also when that is interrupted.

use std::path::{Path, PathBuf};

use bowline_store::testkit::{definition, execution, record};
use bowline_store::{
    DEFAULT_ORGANIZATION, ExecNo, ExecutionFilter, PauseTarget, RequestKind, Status, Store as _, WaitKind, Write,
};
use bowline_store_sqlite::{Options, SqliteStore};

use crate::kills;
use crate::log;

const VERSION_1: &str = include_str!("../../src/schema/1.sql");
const VERSION_2: &str = include_str!("../../src/schema/2.sql");
const NEWEST: i64 = 3;
pub(crate) const EXECUTIONS: i64 = 3_000;

pub(crate) fn status(exec: i64) -> Status {
    [Status::Running, Status::Succeeded, Status::Failed, Status::Cancelled][exec as usize % 4]
}

/// What version 1 left behind, closed: some thousand executions with three records each.
pub(crate) fn version_1(folder: &Path) -> PathBuf {
    let database = folder.join("bowline.db");
    let mut connection = rusqlite::Connection::open(&database).unwrap();
    let mode: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
    let transaction = connection.transaction().unwrap();
    transaction.execute_batch(VERSION_1).unwrap();
    transaction
        .execute_batch(&format!(
            "PRAGMA application_id = {}; PRAGMA user_version = 1;",
            0x424F_574C
        ))
        .unwrap();
    for mark in ["a", "b"] {
        let row = (mark.repeat(64), "flow", format!("content of {mark}").into_bytes());
        transaction
            .execute("INSERT INTO definitions VALUES (?1, ?2, ?3)", row)
            .unwrap();
    }
    for exec in 1..=EXECUTIONS {
        let name = status(exec).name();
        let definition = ["a", "b"][exec as usize % 2].repeat(64);
        let parent = (exec % 10 == 0).then(|| format!("id-{}", exec - 1));
        let finished = (name != "running").then_some(3_000 + exec);
        transaction
            .prepare_cached("INSERT INTO executions VALUES (?1, ?2, 'flow', ?3, ?4, ?5, ?6, ?7)")
            .unwrap()
            .execute((
                exec,
                format!("id-{exec}"),
                definition,
                parent,
                name,
                1_000 + exec,
                finished,
            ))
            .unwrap();
        for seq in 0..3 {
            transaction
                .prepare_cached("INSERT INTO journal (exec_no, seq, at, events) VALUES (?1, ?2, ?3, ?4)")
                .unwrap()
                .execute((exec, seq, 2_000 + seq, vec![seq as u8; 100]))
                .unwrap();
        }
    }
    let ask = serde_json_text(&asked_first());
    transaction
        .execute("INSERT INTO requests (kind) VALUES (?1)", [ask])
        .unwrap();
    // The newest was deleted, and its number is not to be used again.
    transaction
        .execute_batch(&format!(
            "DELETE FROM executions WHERE exec_no = {EXECUTIONS}; DELETE FROM journal WHERE exec_no = {EXECUTIONS}"
        ))
        .unwrap();
    transaction.commit().unwrap();
    database
}

/// The same as version 2 left it, with what there was beside executions by then.
fn version_2(folder: &Path) -> PathBuf {
    let database = version_1(folder);
    let mut connection = rusqlite::Connection::open(&database).unwrap();
    let transaction = connection.transaction().unwrap();
    transaction.execute_batch(VERSION_2).unwrap();
    transaction
        .execute_batch(
            "INSERT INTO secrets VALUES ('token_key', CAST(zeroblob(31) || x'07' AS BLOB));
             INSERT INTO waits VALUES (4, 7, 0, 0, 'pay', 'k', 'ask', 1, NULL, NULL);
             INSERT INTO start_keys VALUES ('flow', 'key', 4, x'01');
             INSERT INTO paused_workflows VALUES ('other');
             INSERT INTO deliveries (name, key, answer, received_at, expires_at) VALUES ('pay', 'k', x'02', 1, 2);
             INSERT INTO events (event, key, data, source, at) VALUES ('paid', 'k', x'03', 'id-4', 1);
             INSERT INTO requests (kind) VALUES ('{\"pause\":{\"workflow\":\"other\"}}'),
                 ('{\"unpause\":{\"workflow\":\"it''s \\\"that\\\"\"}}'), ('{\"pause\":{\"execution\":\"id-4\"}}');
             PRAGMA user_version = 2;",
        )
        .unwrap();
    transaction.commit().unwrap();
    database
}

/// That what version 2 had is there, and belongs to the organization that nobody named.
fn is_whole_2(store: &SqliteStore) {
    let own = DEFAULT_ORGANIZATION;
    assert_eq!(store.organizations().unwrap(), [own]);
    assert_eq!(store.token_key().unwrap()[31], 7);
    assert_eq!(store.start_key(own, "flow", "key").unwrap().unwrap().exec, ExecNo(4));
    assert_eq!(store.paused_workflows(own).unwrap(), ["other"]);
    assert_eq!(
        store.waits_by_key(own, WaitKind::Callback, "pay", "k").unwrap().len(),
        1
    );
    let kept = store.deliveries_for(ExecNo(4), 7, "pay", Some("k")).unwrap();
    assert_eq!((kept.len(), kept[0].organization.as_str()), (1, own));
    for key in [None, Some("k")] {
        assert_eq!(store.events_after(own, "paid", key, 0, 0, 10).unwrap().len(), 1);
    }
    let workflow = |workflow: &str| PauseTarget::Workflow {
        organization: own.into(),
        workflow: workflow.into(),
    };
    let asked: Vec<_> = store
        .requests(1)
        .unwrap()
        .into_iter()
        .map(|request| request.kind)
        .collect();
    assert_eq!(
        asked,
        [
            RequestKind::Pause(workflow("other")),
            RequestKind::Unpause(workflow("it's \"that\"")),
            RequestKind::Pause(PauseTarget::Execution("id-4".into())),
        ]
    );
}

fn asked_first() -> RequestKind {
    RequestKind::Cancel {
        id: "id-4".into(),
        reason: "test".into(),
    }
}

fn serde_json_text(request: &RequestKind) -> String {
    let RequestKind::Cancel { id, reason } = request else {
        panic!("only this one existed")
    };
    format!("{{\"cancel\":{{\"id\":\"{id}\",\"reason\":\"{reason}\"}}}}")
}

/// That nothing of it is lost.
pub(crate) fn is_whole(store: &SqliteStore) {
    let mut filter = ExecutionFilter {
        limit: 1_000,
        ..ExecutionFilter::default()
    };
    let mut expected = (1..EXECUTIONS).rev();
    loop {
        let page = store.executions(&filter).unwrap();
        let Some(last) = page.last() else { break };
        filter.before = Some(last.exec);
        for row in page {
            let exec = expected.next().unwrap();
            assert_eq!(
                (row.exec, row.id.as_str()),
                (ExecNo(exec), format!("id-{exec}").as_str())
            );
            assert_eq!((row.status, row.workflow.as_str()), (status(exec), "flow"));
            assert_eq!(row.definition, ["a", "b"][exec as usize % 2].repeat(64));
            assert_eq!(row.parent, (exec % 10 == 0).then(|| format!("id-{}", exec - 1)));
            assert_eq!(
                (row.started_at, row.finished_at),
                (1_000 + exec, (exec % 4 != 0).then_some(3_000 + exec))
            );
            assert_eq!((row.origin, row.wake_at, row.error), (None, None, None));
            assert_eq!(row.organization, DEFAULT_ORGANIZATION);
            let journal = store.journal(row.exec, 0, 10).unwrap();
            assert_eq!(journal.len(), 3);
            assert!(
                journal
                    .iter()
                    .all(|record| record.events == vec![record.seq as u8; 100])
            );
        }
    }
    assert_eq!(expected.next(), None);
    assert_eq!(store.requests(0).unwrap()[0].kind.clone(), asked_first());
    let at = 1_000 + EXECUTIONS / 2;
    let then = ExecutionFilter {
        organization: Some(DEFAULT_ORGANIZATION.into()),
        started: (Some(at), Some(at + 2)),
        ..ExecutionFilter::default()
    };
    assert_eq!(store.executions(&then).unwrap().len(), 2);
    assert_eq!(
        store.definition(&"b".repeat(64)).unwrap(),
        Some(definition("flow", 'b'))
    );
    assert_eq!(store.check().unwrap(), Vec::<String>::new());
}

#[test]
fn a_database_of_version_1_is_brought_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    let database = version_1(home.path());
    let (store, told) = log::of(|| SqliteStore::open(home.path(), Options::default()).unwrap());
    assert!(told.contains("bringing the database up to date"), "{told}");
    assert!(told.contains("from=1") && told.contains("to=3"), "{told}");
    is_whole(&store);
    let key = store.token_key().unwrap();
    assert_ne!(key, [0; 32]);
    let plain = rusqlite::Connection::open(&database).unwrap();
    let mode: i64 = plain.query_row("PRAGMA auto_vacuum", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, 2, "it does not give space back");
    // People's queries still work.
    let running: i64 = plain
        .query_row(
            "SELECT count(*) FROM executions WHERE status = 'running' AND workflow = 'flow'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(running, (EXECUTIONS - 1) / 4);

    let mut writer = store.writer().unwrap();
    assert_eq!(writer.next_exec().unwrap(), ExecNo(EXECUTIONS + 1));
    writer
        .commit(&[
            Write::Append(record(4, 3, b"goes on")),
            Write::Start(execution(EXECUTIONS + 1, "new", "flow", 'a')),
        ])
        .unwrap();
    drop(writer);
    drop(store);
    let (store, told) = log::of(|| SqliteStore::open(home.path(), Options::default()).unwrap());
    assert_eq!(told, "");
    assert_eq!(store.token_key().unwrap(), key);
    assert_eq!(store.open_execution(ExecNo(4)).unwrap().unwrap().next_seq, 4);
}

#[test]
fn a_database_of_version_2_is_brought_up_to_date() {
    let home = tempfile::tempdir().unwrap();
    let database = version_2(home.path());
    let (store, told) = log::of(|| SqliteStore::open(home.path(), Options::default()).unwrap());
    assert!(told.contains("from=2") && told.contains("to=3"), "{told}");
    is_whole_2(&store);
    let mut writer = store.writer().unwrap();
    for id in store.requests(1).unwrap().iter().map(|request| request.id) {
        writer.commit(&[Write::DropRequest(id)]).unwrap();
    }
    let claim = Write::ClaimKey {
        organization: "acme".into(),
        workflow: "flow".into(),
        key: "key".into(),
        exec: ExecNo(8),
        input_hash: bytes::Bytes::new(),
        replaces: None,
    };
    writer.commit(&[claim]).unwrap();
    drop(writer);
    is_whole(&store);
    let plain = rusqlite::Connection::open(&database).unwrap();
    let own: i64 = plain
        .query_row(
            "SELECT count(*) FROM executions WHERE organization = 'default'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(own, EXECUTIONS - 1);
}

#[test]
fn a_migration_that_is_killed_leaves_one_version_or_the_other_and_is_told_of() {
    killed_in(1, version_1, &is_whole);
}

#[test]
fn so_does_one_from_version_2() {
    killed_in(2, version_2, &is_whole_2);
}

fn killed_in(from: i64, make: fn(&Path) -> PathBuf, is_whole: &dyn Fn(&SqliteStore)) {
    let (mut before, mut after) = (false, false);
    kills::at_each_write("open", |helper| {
        let home = tempfile::tempdir().unwrap();
        make(home.path());
        let killed = helper.run(home.path());
        let plain = rusqlite::Connection::open(home.path().join("bowline.db")).unwrap();
        let version: i64 = plain.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        drop(plain);
        let marked = home.path().join("bowline.migrating").exists();
        let (store, told) = log::of(|| SqliteStore::open(home.path(), Options::default()).unwrap());
        is_whole(&store);
        match (version, marked) {
            (version, true) if version == from => {
                before = true;
                assert!(told.contains("did not finish and left nothing"), "{told}");
            }
            // Before it began.
            (version, false) if version == from => assert!(told.contains("bringing the database up to date"), "{told}"),
            (NEWEST, true) => {
                after = true;
                assert!(told.contains("its pages were not arranged anew"), "{told}");
            }
            (NEWEST, false) => assert_eq!(told, ""),
            other => panic!("{other:?}"),
        }
        assert!(!home.path().join("bowline.migrating").exists());
        let (_, told) = log::of(|| SqliteStore::open(home.path(), Options::default()).unwrap());
        assert_eq!(told, "");
        killed
    });
    assert!(
        !kills::can() || (before && after),
        "not both of the middle were met: {before}, {after}"
    );
}
