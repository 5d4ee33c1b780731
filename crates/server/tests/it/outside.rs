//! Callbacks and approvals through the API.

use reqwest::Method;
use serde_json::json;

use crate::running::{Answer, Running};

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_listed_and_answered() {
    let server = Running::new().await;
    let id = server.start("calls", json!({ "reference": "V-17" })).await;
    let list = server
        .until("/api/v1/callbacks", |body| {
            !body["items"].as_array().unwrap().is_empty()
        })
        .await;
    assert_eq!(list["items"][0]["execution"], id);
    assert_eq!(list["items"][0]["reference"], "V-17");
    assert!(list["items"][0].get("token").is_none());
    let with_tokens = server.get("/api/v1/callbacks?tokens=true").await;
    assert!(with_tokens.is(200).body["items"][0]["token"].is_string());

    let answer = json!({ "name": "answers", "reference": "V-17", "body": { "value": 12 } });
    let delivered = server.post("/api/v1/callbacks", &answer).await;
    assert_eq!(delivered.is(200).body["outcome"], "accepted");
    let again = server.post("/api/v1/callbacks", &answer).await;
    assert_eq!(again.is(200).body["outcome"], "duplicate");
    let ended = server
        .until(&format!("/api/v1/executions/{id}"), |body| {
            body["status"] == "succeeded"
        })
        .await;
    assert_eq!(ended["output"]["value"], 12);
    for wrong in [
        json!({ "body": 1 }),
        json!({ "token": "a", "reference": "b", "body": 1 }),
        json!({ "reference": "b", "body": 1, "error": { "code": "x" } }),
        json!({ "reference": "b", "error": { "code": " " } }),
    ] {
        server
            .post("/api/v1/callbacks", &wrong)
            .await
            .is_problem(400, "request.invalid");
    }
    server
        .post("/api/v1/callbacks", &json!({ "token": "made-up", "body": 1 }))
        .await
        .is_problem(404, "callback.bad-token");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_kept_and_can_be_dropped() {
    let server = Running::new().await;
    let answer = |reference: &str| json!({ "name": "answers", "reference": reference, "body": { "value": 1 } });
    let kept = server.post("/api/v1/callbacks", &answer("early")).await;
    assert_eq!(kept.is(202).body["outcome"], "kept");
    server.post("/api/v1/callbacks", &answer("never")).await.is(202);
    let list = server.get("/api/v1/callbacks/kept").await;
    let items = list.is(200).body["items"].as_array().unwrap().clone();
    assert_eq!(items.len(), 2, "{}", list.text);
    let never = items.iter().find(|item| item["reference"] == "never").unwrap();
    let path = format!("/api/v1/callbacks/kept/{}", never["id"]);
    Answer::of(server.request(Method::DELETE, &path)).await.is(204);
    Answer::of(server.request(Method::DELETE, &path)).await.is(404);
    let id = server.run("calls", json!({ "reference": "early" })).await;
    let ended = server.get(&format!("/api/v1/executions/{id}")).await;
    assert_eq!(ended.body["output"]["value"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_listed_and_decided() {
    let server = Running::new().await;
    let id = server.start("asks", json!({ "name": "ada" })).await;
    let list = server
        .until("/api/v1/approvals", |body| {
            !body["items"].as_array().unwrap().is_empty()
        })
        .await;
    let item = &list["items"][0];
    assert_eq!((&item["execution"], &item["what"]), (&json!(id), &json!("May ada?")));
    let path = format!("/api/v1/approvals/{id}/boss");
    server.post(&path, &json!({ "approved": "yes" })).await.is(400);
    let decided = server
        .post(&path, &json!({ "approved": true, "comment": "fine" }))
        .await;
    assert_eq!(decided.is(200).body["outcome"], "accepted");
    let ended = server
        .until(&format!("/api/v1/executions/{id}"), |body| {
            body["status"] == "succeeded"
        })
        .await;
    assert_eq!(ended["output"]["approved"], true);
    assert_eq!(ended["output"]["by"], "loopback");
    server
        .post("/api/v1/approvals/none/boss", &json!({ "approved": true }))
        .await
        .is(404);
}

/// The body is what the form describes: one object, as the address of the approval takes it, too.
#[tokio::test(flavor = "multi_thread")]
async fn an_approval_is_decided_with_the_fields_of_its_form() {
    let server = Running::new().await;
    let text = "name: limits\nsteps:\n  - id: boss\n    approve:\n      who: [boss@example.com]\n      what: How much?\n      \
                form: { properties: { limit: { type: number } }, required: [limit] }\noutput: \"${boss}\"\n";
    let files = json!({ "files": [{ "name": "limits.yaml", "text": text }] });
    server.post("/api/v1/workflows", &files).await.is(201);
    let id = server.start("limits", json!({})).await;
    let list = server
        .until("/api/v1/approvals", |body| body["items"][0].is_object())
        .await;
    let form = &list["items"][0]["form"];
    assert!(form["properties"]["limit"].is_object() && form["properties"]["approved"].is_object());
    let path = format!("/api/v1/approvals/{id}/boss");
    for (body, pointer) in [
        (json!({ "approved": true }), ""),
        (json!({ "approved": true, "limit": "much" }), "/limit"),
        (json!({ "approved": true, "form": { "limit": 5 } }), ""),
    ] {
        let refused = server.post(&path, &body).await;
        refused.is_problem(422, "approval.form");
        assert_eq!(refused.body["problems"][0]["pointer"], pointer, "{}", refused.text);
    }
    server
        .post(&path, &json!({ "approved": true, "limit": 5 }))
        .await
        .is(200);
    let ended = server
        .until(&format!("/api/v1/executions/{id}"), |body| {
            body["status"] == "succeeded"
        })
        .await;
    assert_eq!(ended["output"]["limit"], 5);

    // Without a form there are no other fields.
    let asked = server.start("asks", json!({ "name": "ada" })).await;
    server
        .until("/api/v1/approvals", |body| body["items"][0].is_object())
        .await;
    let body = json!({ "approved": true, "limit": 5 });
    server
        .post(&format!("/api/v1/approvals/{asked}/boss"), &body)
        .await
        .is_problem(422, "approval.form");
}
