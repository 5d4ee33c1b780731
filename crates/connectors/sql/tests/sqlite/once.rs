//! Work that happens once, however often its step runs.

use std::sync::Arc;

use crate::world::World;
use bowline_connector::StepContext;
use serde_json::{Value, json};

fn charge() -> Value {
    json!({ "query": "INSERT INTO charges (amount) VALUES ($1) RETURNING id, amount", "parameters": [5], "once": { "table": "done" } })
}

async fn with_charges() -> World {
    let world = World::new();
    world
        .query(
            "CREATE TABLE charges (id INTEGER PRIMARY KEY, amount INTEGER)",
            json!([]),
        )
        .await;
    world
}

#[tokio::test]
async fn the_second_time_gives_what_the_first_gave() {
    let world = with_charges().await;
    let first = world.run(charge()).await.expect("first");
    let second = world.run(charge()).await.expect("second");
    assert_eq!(
        (&first["alreadyDone"], &second["alreadyDone"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["rows"], json!([{ "id": 1, "amount": 5 }]));
    for field in ["rows", "rowCount", "affectedRows", "lastInsertId", "columns"] {
        assert_eq!(first[field], second[field], "{field}");
    }
    assert_eq!(world.query("SELECT id FROM charges", json!([])).await["rowCount"], 1);

    let other = StepContext {
        idempotency_key: "test/other".into(),
        ..world.ctx.clone()
    };
    let third = world.run_in(other.clone(), charge()).await.expect("another step");
    assert_eq!(third["alreadyDone"], false);
    let mut named = charge();
    named["once"]["key"] = json!("test/step");
    assert_eq!(world.run_in(other, named).await.expect("by key")["alreadyDone"], true);
    assert_eq!(world.query("SELECT id FROM charges", json!([])).await["rowCount"], 2);
}

#[tokio::test]
async fn what_failed_is_not_marked() {
    let world = with_charges().await;
    let mut failing = charge();
    failing["expectedRows"] = json!(2);
    assert_eq!(world.error(failing).await.code, "sql.unexpected-rows");
    assert_eq!(world.run(charge()).await.expect("now")["alreadyDone"], false);
    assert_eq!(world.query("SELECT id FROM charges", json!([])).await["rowCount"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn attempts_at_the_same_time_take_turns() {
    let world = Arc::new(with_charges().await);
    let attempts: Vec<_> = (0..8)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.run(charge()).await.expect("done")["alreadyDone"].clone() })
        })
        .collect();
    let mut firsts = 0;
    for attempt in attempts {
        firsts += u32::from(attempt.await.expect("joined") == json!(false));
    }
    assert_eq!(firsts, 1);
    assert_eq!(world.query("SELECT id FROM charges", json!([])).await["rowCount"], 1);
}

#[tokio::test]
async fn several_statements_are_marked_as_one() {
    let world = with_charges().await;
    let both = json!({
        "statements": [{ "query": "INSERT INTO charges (amount) VALUES (1)" }, { "query": "SELECT count(*) AS n FROM charges" }],
        "once": { "table": "done" },
    });
    let first = world.run(both.clone()).await.expect("first");
    let second = world.run(both).await.expect("second");
    assert_eq!(second["results"], first["results"]);
    assert_eq!(second["results"][1]["rows"], json!([{ "n": 1 }]));
    let error = world.error(charge()).await;
    assert_eq!(error.code, "sql.once-other-work");
}
