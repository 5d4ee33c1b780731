//! Locks, cancelling, timeouts, the pool, and files that cannot be used.

use std::sync::Arc;
use std::time::Duration;

use crate::world::{World, wait_for};
use bowline_connector::ErrorKind;
use serde_json::{Value, json};
use tempfile::TempDir;

const ENDLESS: &str = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)";

fn one_session() -> Value {
    json!({ "database": "test.db", "busyTimeout": "60s", "pool": { "max": 1, "acquireTimeoutMillis": 10_000 } })
}

/// Whether somebody else holds the write lock.
fn is_locked(connection: &rusqlite::Connection) -> bool {
    match connection.execute_batch("BEGIN IMMEDIATE; ROLLBACK") {
        Ok(()) => false,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => true,
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_step_stops_its_statement_and_leaves_nothing() {
    let world = Arc::new(World::with(one_session()));
    world.query("CREATE TABLE t (a)", json!([])).await;
    let other = world.other_process();
    let step = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            world
                .run(json!({ "statements": [
                    { "query": "INSERT INTO t VALUES (1)" },
                    { "query": format!("INSERT INTO t {ENDLESS} SELECT i FROM n WHERE i < 0") },
                ] }))
                .await
        })
    };
    wait_for("the statement's lock", || is_locked(&other)).await;
    step.abort();
    assert!(step.await.expect_err("aborted").is_cancelled());
    wait_for("the end of the lock", || !is_locked(&other)).await;
    assert_eq!(
        world.query("SELECT a FROM t", json!([])).await["rowCount"],
        0,
        "and the only session is free again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_step_stops_waiting_for_a_lock() {
    let world = World::with(one_session());
    world.query("CREATE TABLE t (a)", json!([])).await;
    let other = world.other_process();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let waiting = world.run(json!({ "query": "INSERT INTO t VALUES (1)" }));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err(),
        "it waits for the lock"
    );
    // The only session must come free long before the busy timeout of a minute is over.
    assert_eq!(world.query("SELECT a FROM t", json!([])).await["rowCount"], 0);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_rolled_back() {
    let world = World::with(one_session());
    world.query("CREATE TABLE t (a)", json!([])).await;
    let error = world
        .error(json!({ "timeout": 50, "statements": [
            { "query": "INSERT INTO t VALUES (1)" },
            { "query": format!("{ENDLESS} SELECT count(*) AS n FROM n") },
        ] }))
        .await;
    assert_eq!((error.code.as_str(), error.kind), ("sql.timeout", ErrorKind::Transient));
    assert!(error.matches("timeout"));
    assert_eq!(world.query("SELECT a FROM t", json!([])).await["rowCount"], 0);

    let other = world.other_process();
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let error = world
        .error(json!({ "timeout": "50ms", "query": "INSERT INTO t VALUES (1)" }))
        .await;
    assert_eq!(error.code, "sql.timeout", "waiting for a lock counts too");
}

#[tokio::test]
async fn a_lock_that_stays_is_a_passing_error() {
    let world = World::with(json!({ "database": "test.db", "busyTimeout": 20 }));
    world.query("CREATE TABLE t (a)", json!([])).await;
    let other = world.other_process();
    other
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        .expect("locked");
    let error = world.error(json!({ "query": "INSERT INTO t VALUES (2)" })).await;
    assert_eq!((error.code.as_str(), error.kind), ("sql.busy", ErrorKind::Transient));
    assert!(error.matches("SQLITE_BUSY"));
    assert_eq!(
        world.query("SELECT a FROM t", json!([])).await["rowCount"],
        0,
        "readers do not wait"
    );
    other.execute_batch("COMMIT").expect("committed");
    world.query("INSERT INTO t VALUES (2)", json!([])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_steps_write_at_the_same_time() {
    let world = Arc::new(World::with(
        json!({ "database": "test.db", "busyTimeout": "30s", "pool": { "max": 4 } }),
    ));
    world.query("CREATE TABLE counter (n INTEGER)", json!([])).await;
    world.query("INSERT INTO counter VALUES (0)", json!([])).await;
    let steps: Vec<_> = (0..40)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                world
                    .run(json!({ "statements": [
                        { "query": "SELECT n FROM counter" },
                        { "query": "UPDATE counter SET n = n + 1", "expectedRows": 1 },
                    ] }))
                    .await
                    .expect("written")
            })
        })
        .collect();
    for step in steps {
        step.await.expect("joined");
    }
    assert_eq!(
        world.query("SELECT n FROM counter", json!([])).await["rows"][0]["n"],
        40
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_waits_for_a_session_only_so_long() {
    let world = Arc::new(World::with(
        json!({ "database": "test.db", "pool": { "max": 1, "acquireTimeoutMillis": 30 } }),
    ));
    world.query("CREATE TABLE t (a)", json!([])).await;
    let other = world.other_process();
    let endless = {
        let world = Arc::clone(&world);
        let query = format!("INSERT INTO t {ENDLESS} SELECT i FROM n WHERE i < 0");
        tokio::spawn(async move { world.run(json!({ "query": query })).await })
    };
    wait_for("the statement's lock", || is_locked(&other)).await;
    let error = world.error(json!({ "query": "SELECT 1" })).await;
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("sql.pool-timeout", ErrorKind::Transient)
    );
    endless.abort();
}

#[tokio::test]
async fn a_file_can_be_opened_for_reading_only() {
    let world = World::new();
    world.query("CREATE TABLE t (a)", json!([])).await;
    let world = World::within(world.folder, json!({ "database": "test.db", "readOnly": true }));
    assert_eq!(world.query("SELECT a FROM t", json!([])).await["rowCount"], 0);
    for query in ["INSERT INTO t VALUES (1)", "CREATE TABLE u (a)"] {
        let error = world.error(json!({ "query": query })).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("sql.read-only", ErrorKind::Permanent),
            "{query}"
        );
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_says_so_at_once() {
    let folder = TempDir::new().expect("folder");
    std::fs::write(
        folder.path().join("test.db"),
        "this is a letter and no database ".repeat(100),
    )
    .expect("written");
    let world = World::within(folder, json!({ "database": "test.db" }));
    let error = world.error(json!({ "query": "SELECT 1" })).await;
    assert_eq!((error.code.as_str(), error.kind), ("sql.corrupt", ErrorKind::Permanent));
    assert!(error.message.contains("test.db"), "{error}");

    for (connection, code) in [
        (json!({ "database": "no/such/folder/x.db" }), "sql.cannot-open"),
        (json!({ "database": "missing.db", "readOnly": true }), "sql.cannot-open"),
        (json!({ "database": ":memory:" }), "config.invalid"),
        (json!({}), "config.invalid"),
        (
            json!({ "database": "a", "connection": { "database": "b" } }),
            "config.invalid",
        ),
        (
            json!({ "connection": { "database": "a", "host": "db.example.com" } }),
            "config.invalid",
        ),
        (
            json!({ "database": "a", "pool": { "min": 3, "max": 2 } }),
            "config.invalid",
        ),
        (
            json!({ "database": "a.db", "initStatements": ["SELEC 1"] }),
            "sql.syntax",
        ),
        (
            json!({ "database": "a.db", "initStatements": ["BEGIN"] }),
            "config.invalid",
        ),
    ] {
        let world = World::with(connection.clone());
        let error = world.error(json!({ "query": "SELECT 1" })).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            (code, ErrorKind::Permanent),
            "{connection}: {error}"
        );
    }
}

#[tokio::test]
async fn damage_inside_a_file_is_told() {
    let world = World::new();
    world.query("CREATE TABLE t (a)", json!([])).await;
    world
        .query(
            "INSERT INTO t SELECT hex(randomblob(2000)) FROM json_each('[1,2,3,4,5,6,7,8]')",
            json!([]),
        )
        .await;
    let other = world.other_process();
    other
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("all in the file");
    drop(other);
    let mut bytes = std::fs::read(world.file()).expect("read");
    bytes[4096..].fill(0x5a);
    let copy = World::with(json!({ "database": "test.db" }));
    std::fs::write(copy.file(), bytes).expect("written");
    let error = copy.error(json!({ "query": "SELECT a FROM t" })).await;
    assert_eq!((error.code.as_str(), error.kind), ("sql.corrupt", ErrorKind::Permanent));
}

#[tokio::test]
async fn a_full_database_rolls_back() {
    let world = World::with(json!({ "database": "test.db", "initStatements": ["PRAGMA max_page_count = 20"] }));
    world.query("CREATE TABLE t (a)", json!([])).await;
    let insert = json!({ "query": "INSERT INTO t VALUES (randomblob(30000))" });
    world.run(insert.clone()).await.expect("the first fits");
    let error = world
        .error(json!({ "statements": [{ "query": "INSERT INTO t VALUES (1)" }, insert, insert] }))
        .await;
    assert_eq!((error.code.as_str(), error.kind), ("sql.full", ErrorKind::Transient));
    assert_eq!(
        world.query("SELECT count(*) AS n FROM t", json!([])).await["rows"][0]["n"],
        1
    );
}

#[tokio::test]
async fn every_session_begins_with_the_init_statements() {
    let world = World::with(
        json!({ "database": "test.db", "foreignKeys": false, "journalMode": "delete",
        "initStatements": ["ATTACH 'file::memory:' AS scratch"], "pool": { "min": 1, "max": 2, "idle": 5000 } }),
    );
    assert_eq!(
        world.query("PRAGMA foreign_keys", json!([])).await["rows"][0]["foreign_keys"],
        0
    );
    assert_eq!(
        world.query("PRAGMA journal_mode", json!([])).await["rows"][0]["journal_mode"],
        "delete"
    );
    world.query("CREATE TABLE scratch.t (a)", json!([])).await;
}
