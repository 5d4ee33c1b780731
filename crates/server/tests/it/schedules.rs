//! Schedules through the API.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{Answer, Running};

fn spec() -> Value {
    json!({ "workflow": "hello", "config": { "cron": "30 2 * * *", "timezone": "Europe/Oslo" }, "input": { "name": "ada" } })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_from_its_making_to_its_end() {
    let server = Running::new().await;
    let put = |name: &str, body: Value| {
        Answer::of(
            server
                .request(Method::PUT, &format!("/api/v1/schedules/{name}"))
                .json(&body),
        )
    };
    let made = put("nightly", spec()).await;
    made.is(201);
    assert_eq!(made.body["next"].as_array().unwrap().len(), 5);
    put("nightly", spec()).await.is(200);
    let listed = server.get("/api/v1/schedules").await;
    assert_eq!(listed.is(200).body["items"][0]["name"], "nightly");

    let run = || {
        let request = server.request(Method::POST, "/api/v1/schedules/nightly/run");
        Answer::of(
            request
                .header("idempotency-key", "once")
                .json(&json!({ "overlap": "allow" })),
        )
    };
    let (first, second) = (run().await, run().await);
    assert_eq!(first.is(200).body["fate"], "started");
    assert_eq!(first.body["execution"], second.is(200).body["execution"]);

    let paused = server
        .post("/api/v1/schedules/nightly/pause", &json!({ "note": "closed" }))
        .await;
    assert_eq!(paused.is(200).body["paused"]["note"], "closed");
    assert_eq!(paused.body["next"], json!([]));
    let goes_on = server.post("/api/v1/schedules/nightly/unpause", &json!({})).await;
    assert_eq!(goes_on.is(200).body["paused"], Value::Null);

    // It was made after those, so there was nobody to start them.
    let range = json!({ "from": "2026-03-28T00:00:00Z", "until": "2026-03-30T12:00:00Z", "overlap": "allow" });
    let filled = server.post("/api/v1/schedules/nightly/backfill", &range).await;
    let due: Vec<&Value> = filled.is(200).body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fire| &fire["due"])
        .collect();
    assert_eq!(
        due,
        ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]
    );
    let fires = server.get("/api/v1/schedules/nightly/fires?fate=started&limit=3").await;
    assert_eq!(fires.is(200).body["items"].as_array().unwrap().len(), 3);
    let next = fires.body["next"].as_str().unwrap();
    let rest = server
        .get(&format!("/api/v1/schedules/nightly/fires?fate=started&cursor={next}"))
        .await;
    assert_eq!(rest.is(200).body["items"].as_array().unwrap().len(), 1);

    let gone = Answer::of(server.request(Method::DELETE, "/api/v1/schedules/nightly")).await;
    gone.is(204);
    // Its ledger is still there, until it is deleted as well.
    let left = server.get("/api/v1/schedules/nightly").await;
    assert_eq!(
        (&left.is(200).body["gone"], &left.body["next"]),
        (&json!(true), &json!([]))
    );
    let fires = server.get("/api/v1/schedules/nightly/fires").await;
    assert_eq!(fires.is(200).body["items"].as_array().unwrap().len(), 4);
    let gone = Answer::of(server.request(Method::DELETE, "/api/v1/schedules/nightly")).await;
    gone.is(204);
    server
        .get("/api/v1/schedules/nightly")
        .await
        .is_problem(404, "schedule.not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_told() {
    let server = Running::new().await;
    let put = |body: Value| Answer::of(server.request(Method::PUT, "/api/v1/schedules/bad").json(&body));
    let mut wrong = spec();
    wrong["config"] = json!({ "cron": "never", "timezone": "Oslo" });
    let refused = put(wrong).await;
    refused.is_problem(422, "schedule.invalid");
    assert_eq!(refused.body["problems"].as_array().unwrap().len(), 2);
    // One that is due once in 86,400 times that are looked at.
    let mut rare = spec();
    let exclude = ["0-58 * * * * *", "59 0-58 * * * *", "59 59 0-22 * * *"];
    rare["config"] = json!({ "cron": "* * * * * *", "exclude": exclude });
    let refused = put(rare).await;
    refused.is_problem(422, "schedule.invalid");
    assert!(refused.text.contains("too long to find"), "{}", refused.text);
    let mut unknown = spec();
    unknown["workflow"] = "nobody".into();
    put(unknown).await.is_problem(422, "schedule.invalid");
    let mut misspelt = spec();
    misspelt["config"]["overlaps"] = "skip".into();
    put(misspelt).await.is_problem(400, "request.invalid");
    for path in ["", "/fires"] {
        server
            .get(&format!("/api/v1/schedules/none{path}"))
            .await
            .is_problem(404, "schedule.not-found");
    }
    for path in ["pause", "unpause", "run"] {
        let answer = server.post(&format!("/api/v1/schedules/none/{path}"), &json!({})).await;
        answer.is_problem(404, "schedule.not-found");
    }
    let range = json!({ "from": "soon", "until": "2026-03-30T12:00:00Z" });
    server
        .post("/api/v1/schedules/none/backfill", &range)
        .await
        .is_problem(400, "request.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_heeds_the_clocks() {
    let server = Running::new().await;
    let asked = json!({
        "config": { "cron": "30 2 * * *", "timezone": "Europe/Oslo" }, "from": "2026-03-28T12:00:00Z", "count": 2
    });
    let preview = server.post("/api/v1/schedules/preview", &asked).await;
    assert_eq!(
        preview.is(200).body["items"],
        json!(["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"])
    );
    let many = json!({ "config": { "every": "1s" }, "count": 5000 });
    server
        .post("/api/v1/schedules/preview", &many)
        .await
        .is_problem(400, "request.invalid");
    assert_eq!(server.get("/api/v1/triggers").await.is(200).body["items"], json!([]));
}
