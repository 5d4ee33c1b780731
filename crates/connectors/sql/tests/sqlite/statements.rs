//! Statements, parameters, values, transactions and limits against a real SQLite file.

use crate::world::World;
use bowline_connector::ErrorKind;
use serde_json::{Value, json};

const USERS: &str = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, active BOOLEAN, \
                     settings JSON, born DATE, age INTEGER CHECK (age >= 0))";

async fn with_users() -> World {
    let world = World::new();
    world.query(USERS, json!([])).await;
    world
}

#[tokio::test]
async fn a_table_comes_back_with_its_types() {
    let world = with_users().await;
    let inserted = world
        .query(
            "INSERT INTO users (email, active, settings, born, age) VALUES ($1, $2, $3, $4, $5)",
            json!(["a@example.com", true, { "theme": "dark", "list": [1] }, "1990-01-02", null]),
        )
        .await;
    assert_eq!(
        inserted,
        json!({ "rows": [], "rowCount": 0, "affectedRows": 1, "lastInsertId": 1, "columns": [] })
    );
    let selected = world
        .query(
            "SELECT id, email, active, settings, born, age, 1.5 AS ratio FROM users WHERE id = :id",
            json!({ "id": 1 }),
        )
        .await;
    assert_eq!(
        selected,
        json!({
            "rows": [{ "id": 1, "email": "a@example.com", "active": true, "settings": { "theme": "dark", "list": [1] },
                       "born": "1990-01-02", "age": null, "ratio": 1.5 }],
            "rowCount": 1, "affectedRows": 0,
            "columns": ["id", "email", "active", "settings", "born", "age", "ratio"],
        })
    );
    let text = world
        .run(json!({ "query": "SELECT settings FROM users", "parseJson": false }))
        .await
        .expect("read");
    assert_eq!(text["rows"][0]["settings"], "{\"theme\":\"dark\",\"list\":[1]}");
}

#[tokio::test]
async fn nothing_loses_precision() {
    let world = World::new();
    let result = world
        .query(
            "SELECT 9007199254740993 AS big, $1 AS back, x'00ff' AS bytes, $2 AS blob, typeof($2) AS kind",
            json!(["9007199254740993", { "$blob": "AP8=" }]),
        )
        .await;
    let expected = json!({ "big": "9007199254740993", "back": "9007199254740993", "bytes": "AP8=", "blob": "AP8=", "kind": "blob" });
    assert_eq!(result["rows"][0], expected);
    let error = world.error(json!({ "query": "SELECT 9e999 AS much" })).await;
    assert_eq!(error.code, "sql.unreadable");
    let error = world.error(json!({ "query": "SELECT 1 AS a, 2 AS a" })).await;
    assert_eq!(error.code, "sql.duplicate-column");
}

#[tokio::test]
async fn a_list_is_read_with_json_each() {
    let world = World::new();
    let result = world
        .query(
            "SELECT value FROM json_each('[1,2,3,4]') WHERE value IN (SELECT value FROM json_each($1))",
            json!([[2, 4]]),
        )
        .await;
    assert_eq!(result["rows"], json!([{ "value": 2 }, { "value": 4 }]));
    let error = world
        .error(json!({ "query": "SELECT 1 WHERE 1 IN ($1)", "parameters": [[1]] }))
        .await;
    assert_eq!(error.code, "sql.parameters");
}

#[tokio::test]
async fn a_value_is_never_text_of_the_statement() {
    let world = with_users().await;
    let evil = "x'); DROP TABLE users; --";
    world
        .query("INSERT INTO users (email) VALUES ($1)", json!([evil]))
        .await;
    assert_eq!(
        world.query("SELECT email FROM users", json!([])).await["rows"],
        json!([{ "email": evil }])
    );
}

#[tokio::test]
async fn all_statements_are_one_transaction() {
    let world = with_users().await;
    let done = world
        .run(json!({ "transaction": true, "statements": [
            { "query": "INSERT INTO users (email) VALUES (?)", "parameters": ["a"] },
            { "query": "UPDATE users SET age = :age", "parameters": { "age": 5 }, "expect": 1 },
            { "query": "SELECT email, age FROM users" },
        ] }))
        .await
        .expect("all three");
    assert_eq!(done["results"][0]["lastInsertId"], 1);
    assert_eq!(done["results"][1]["affectedRows"], 1);
    assert_eq!(done["results"][2]["rows"], json!([{ "email": "a", "age": 5 }]));

    let insert = json!({ "query": "INSERT INTO users (email) VALUES ('b')" });
    for (second, code) in [
        (
            json!({ "query": "INSERT INTO users (email) VALUES ($1)", "parameters": ["a"] }),
            "sql.unique-violation",
        ),
        (
            json!({ "query": "UPDATE users SET age = 1", "expectedRows": { "max": 1 } }),
            "sql.unexpected-rows",
        ),
        (json!({ "query": "SELECT $1" }), "sql.parameters"),
        (json!({ "query": "COMMIT" }), "sql.not-allowed"),
        (json!({ "query": "/* sly */ rollback" }), "sql.not-allowed"),
        (json!({ "query": "SELECT 1; COMMIT" }), "sql.several-statements"),
        (json!({ "query": "nonsense" }), "sql.syntax"),
        (json!({ "query": " -- nothing" }), "sql.syntax"),
        (json!({ "query": "ATTACH 'x.db' AS x" }), "sql.not-allowed"),
    ] {
        let error = world.error(json!({ "statements": [insert, second] })).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            (code, ErrorKind::Permanent),
            "{second}"
        );
        assert!(error.message.contains("statement 2"), "{error}");
        let left = world.query("SELECT count(*) AS n FROM users", json!([])).await;
        assert_eq!(left["rows"][0]["n"], 1, "{second} left something behind");
    }
}

#[tokio::test]
async fn a_later_statement_sees_the_table_of_an_earlier_one() {
    let world = World::new();
    let done = world
        .run(json!({ "statements": [
            { "query": "CREATE TABLE t (a)" },
            { "query": "INSERT INTO t VALUES (1), (2)" },
            { "query": "DELETE FROM t WHERE a = 3" },
            { "query": "INSERT INTO t VALUES (3) RETURNING a" },
        ] }))
        .await
        .expect("all");
    let affected: Vec<&Value> = (0..4).map(|at| &done["results"][at]["affectedRows"]).collect();
    assert_eq!(affected, [0, 2, 0, 1]);
    assert_eq!(done["results"][3]["rows"], json!([{ "a": 3 }]));
}

#[tokio::test]
async fn over_a_limit_is_an_error_and_nothing_is_cut() {
    let world = with_users().await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 101) SELECT i FROM n";
    let error = world.error(json!({ "query": many, "maxRows": 100 })).await;
    assert_eq!(error.code, "sql.too-many-rows");
    assert_eq!(
        world.run(json!({ "query": many, "maxRows": 101 })).await.expect("fits")["rowCount"],
        101
    );
    let error = world.error(json!({ "query": many, "maxBytes": 1000 })).await;
    assert_eq!(error.code, "sql.too-many-bytes");
    let insert = "INSERT INTO users (email) VALUES ('a'), ('b') RETURNING id";
    assert_eq!(
        world.error(json!({ "query": insert, "maxRows": 1 })).await.code,
        "sql.too-many-rows"
    );
    assert_eq!(
        world.query("SELECT id FROM users", json!([])).await["rowCount"],
        0,
        "rolled back"
    );
}

#[tokio::test]
async fn violations_have_their_own_codes_and_hold_no_values() {
    let world = with_users().await;
    world
        .query("CREATE TABLE posts (author INTEGER REFERENCES users (id))", json!([]))
        .await;
    world.query("CREATE TABLE strict (a INTEGER) STRICT", json!([])).await;
    world
        .query("INSERT INTO users (email) VALUES ('secret-value')", json!([]))
        .await;
    for (query, parameters, code) in [
        (
            "INSERT INTO users (email) VALUES ($1)",
            json!(["secret-value"]),
            "sql.unique-violation",
        ),
        (
            "INSERT INTO users (id, email) VALUES (1, $1)",
            json!(["secret-value2"]),
            "sql.unique-violation",
        ),
        (
            "INSERT INTO users (email) VALUES ($1)",
            json!([null]),
            "sql.not-null-violation",
        ),
        (
            "INSERT INTO users (email, age) VALUES ($1, -1)",
            json!(["secret-value3"]),
            "sql.check-violation",
        ),
        (
            "INSERT INTO posts VALUES ($1)",
            json!([4711]),
            "sql.foreign-key-violation",
        ),
        (
            "INSERT INTO strict VALUES ($1)",
            json!(["secret-value"]),
            "sql.type-mismatch",
        ),
        (
            "SELECT * FROM nowhere WHERE a = $1",
            json!(["secret-value"]),
            "sql.no-such-table",
        ),
        (
            "SELECT nobody FROM users WHERE email = $1",
            json!(["secret-value"]),
            "sql.no-such-column",
        ),
        ("SELECT nobody($1)", json!(["secret-value"]), "sql.no-such-function"),
        ("SELECT json_extract('{}', $1)", json!(["secret-value"]), "sql.error"),
        ("SELEC $1", json!(["secret-value"]), "sql.syntax"),
    ] {
        let error = world.error(json!({ "query": query, "parameters": parameters })).await;
        assert_eq!(
            (error.code.as_str(), error.kind),
            (code, ErrorKind::Permanent),
            "{query}: {error}"
        );
        let told = format!("{error} {error:?}");
        assert!(!told.contains("secret-value") && !told.contains("4711"), "{told}");
        assert!(error.message.starts_with("statement 1: "), "{error}");
    }
}

#[tokio::test]
async fn what_a_statement_does_to_its_session_stays_with_it() {
    let world = World::with(json!({ "connection": { "database": "test.db" }, "pool": { "max": 1, "min": 1 } }));
    world.query("PRAGMA query_only = 1", json!([])).await;
    world.query("CREATE TEMP TABLE t (a)", json!([])).await;
    world.query("CREATE TABLE t (a)", json!([])).await;
    world.query("INSERT INTO main.t VALUES (1)", json!([])).await;
    assert_eq!(world.query("SELECT a FROM t", json!([])).await["rowCount"], 1);
    world.query("VACUUM", json!([])).await;
    let foreign_keys = world.query("PRAGMA foreign_keys", json!([])).await;
    assert_eq!(foreign_keys["rows"], json!([{ "foreign_keys": 1 }]));
    assert_eq!(
        world.query("PRAGMA journal_mode", json!([])).await["rows"],
        json!([{ "journal_mode": "wal" }])
    );
}

#[tokio::test]
async fn a_reference_to_a_blob_is_bound_as_its_bytes() {
    let mut world = World::new();
    let blobs = bowline_blobs::Blobs::local(world.folder.path().join("blobs")).expect("a folder");
    let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
    let blob = blobs.put_bytes(bytes.into(), None).await.expect("put");
    let query = json!({ "query": "SELECT typeof($1) AS kind, length($1) AS size, hex(substr($1, 251, 3)) AS some", "parameters": [blob] });
    let error = world.run(query.clone()).await.expect_err("no store");
    assert_eq!((error.code.as_str(), error.kind), ("blob.store", ErrorKind::Permanent));

    world.ctx.blobs = Some(std::sync::Arc::new(blobs));
    let result = world.run(query).await.expect("read");
    assert_eq!(
        result["rows"][0],
        json!({ "kind": "blob", "size": 200_000, "some": "FA0001" })
    );

    let mut large = json!(blob);
    large["size"] = json!(16 * 1024 * 1024 + 1);
    let query = json!({ "query": "SELECT :file", "parameters": { "file": large } });
    let error = world.run(query).await.expect_err("too large");
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("blob.too-large", ErrorKind::Permanent)
    );
    assert!(error.message.contains("parameters.file"), "{error}");
}

#[tokio::test]
async fn a_confined_connection_has_one_file() {
    let mut world = World::new();
    world.ctx.confined = true;
    world.query("CREATE TABLE t (a)", json!([])).await;
    let outside = tempfile::tempdir().expect("a folder");
    let other = outside.path().join("other.db");
    let copy = outside.path().join("copy.db");
    rusqlite::Connection::open(&other)
        .expect("open")
        .execute_batch("CREATE TABLE secret (a)")
        .expect("made");
    let attach = format!("ATTACH '{}' AS other", other.display());
    let computed = format!("ATTACH '{}' || 'other.db' AS other", outside.path().join("").display());
    let vacuum = format!("VACUUM INTO '{}'", copy.display());
    for query in [&attach, &computed, &vacuum] {
        world.error(json!({ "query": query })).await;
    }
    assert!(!copy.exists());
    // Everything in its own file still works.
    world.query("INSERT INTO t VALUES (1)", json!([])).await;
    let elsewhere = World::with(json!({ "database": other }));
    let ctx = bowline_connector::StepContext {
        confined: true,
        ..elsewhere.ctx.clone()
    };
    let refused = elsewhere.run_in(ctx, json!({ "query": "SELECT 1" })).await;
    let refused = refused.expect_err("refused");
    assert_eq!(refused.code, "file.outside");
}
