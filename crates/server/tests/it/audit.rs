//! The audit log says who did what to what, and what came of it; also where credentials were refused.

use bowline_access::{Role, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::authorization::key;
use crate::running::{Answer, Running};

/// The lines about this action, newest first.
async fn lines(server: &Running, admin: &str, action: &str) -> Vec<Value> {
    let request = server.request(Method::GET, &format!("/api/v1/audit?action={action}&limit=500"));
    let answer = Answer::of(request.header("authorization", format!("Bearer {admin}"))).await;
    answer.is(200).body["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_names_what_it_is_about() {
    let server = Running::new().await;
    let admin = key(&server, "default", Role::Admin, Some(Scope::ALL.to_vec()))
        .await
        .text;
    let send = async |path: &str, body: Value| {
        let request = server
            .request(Method::POST, path)
            .header("authorization", format!("Bearer {admin}"));
        Answer::of(request.json(&body)).await
    };
    let started = send(
        "/api/v1/executions?wait=30s",
        json!({ "workflow": "hello", "input": { "name": "ada" } }),
    )
    .await;
    let id = started.is(200).body["id"].as_str().unwrap().to_owned();
    send("/api/v1/executions", json!({ "workflow": "nothing" }))
        .await
        .is(404);
    let again = send(&format!("/api/v1/executions/{id}/rerun"), json!({})).await;
    let again = again.is(201).body["id"].as_str().unwrap().to_owned();
    let chosen = send(&format!("/api/v1/executions/{id}/retry"), json!({ "id": "chosen" })).await;
    assert_eq!(chosen.is(201).body["id"], "chosen");
    send("/api/v1/organizations", json!({ "name": "Not A Name" }))
        .await
        .is(422);
    let file = json!({ "name": "new.yaml", "text": "name: new\nsteps:\n  - set: { b: 1 }\n" });
    send("/api/v1/workflows", json!({ "files": [file] })).await.is(201);

    let start = lines(&server, &admin, "startExecution").await;
    assert_eq!(start.len(), 2, "{start:?}");
    assert_eq!(
        (&start[1]["outcome"], &start[0]["outcome"]),
        (&json!("done"), &json!("refused"))
    );
    assert_eq!(start[1]["detail"], json!({ "workflow": "hello", "execution": id }));
    assert_eq!(start[0]["detail"]["workflow"], "nothing");
    assert!(
        start[0]["detail"].get("execution").is_none(),
        "there never was one: {start:?}"
    );
    assert_eq!(start[0]["detail"]["code"], "workflow.not-found");
    let rerun = lines(&server, &admin, "rerunExecution").await;
    assert_eq!(rerun[0]["detail"]["execution"], json!(again));
    assert!(rerun[0]["target"].as_str().unwrap().contains(&id), "{rerun:?}");
    assert_eq!(
        lines(&server, &admin, "retryExecution").await[0]["detail"]["execution"],
        "chosen"
    );
    let organization = lines(&server, &admin, "createOrganization").await;
    assert_eq!(organization[0]["detail"]["organization"], "Not A Name");
    assert_eq!(organization[0]["outcome"], "refused");
    let deployed = lines(&server, &admin, "deployWorkflows").await;
    assert_eq!(
        (deployed.len(), &deployed[0]["detail"]["files"]),
        (1, &json!(["new.yaml"]))
    );
    // What was sent again started nothing, and is no line.
    let twice = async || {
        let request = server.request(Method::POST, "/api/v1/executions");
        let request = request
            .header("authorization", format!("Bearer {admin}"))
            .header("idempotency-key", "one");
        Answer::of(request.json(&json!({ "workflow": "patient" }))).await
    };
    twice().await.is(201);
    twice().await.is(200);
    assert_eq!(lines(&server, &admin, "startExecution").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_lines_and_many_of_them_are_few() {
    let server = Running::new().await;
    let made = key(&server, "default", Role::Admin, None).await;
    let wrong = format!("{}x", made.text);
    for _ in 0..20 {
        let request = server.request(Method::GET, "/api/v1/executions");
        Answer::of(request.header("authorization", format!("Bearer {wrong}")))
            .await
            .is(401);
    }
    let login = server
        .request(Method::POST, "/ui/login")
        .form(&[("key", wrong.as_str())]);
    Answer::of(login).await.is(401);
    let refused = lines(&server, &made.text, "credentials").await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    let line = &refused[0];
    assert_eq!(
        (&line["outcome"], &line["from"]),
        (&json!("refused"), &json!("127.0.0.1"))
    );
    assert_eq!(line["detail"]["code"], "credentials.unknown");
    assert!(!serde_json::to_string(line).unwrap().contains("bwk_"), "{line}");

    // Who logs in is known, and from where.
    let login = server
        .request(Method::POST, "/ui/login")
        .form(&[("key", made.text.as_str())]);
    login.send().await.unwrap();
    let begun = lines(&server, &made.text, "session.begin").await;
    assert_eq!((begun.len(), &begun[0]["from"]), (1, &json!("127.0.0.1")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_how_to_get_what_is_missing() {
    let server = Running::new().await;
    let admin = key(&server, "default", Role::Admin, None).await.text;
    let viewer = key(&server, "default", Role::Viewer, None).await.text;
    let hint = async |method: Method, path: &str, by: &str| {
        let request = server
            .request(method, path)
            .header("authorization", format!("Bearer {by}"));
        let answer = Answer::of(request).await;
        answer.is_problem(403, "access.forbidden").body["hint"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let wide = hint(Method::GET, "/api/v1/organizations", &admin).await;
    assert!(
        wide.contains("--role admin --scope") && wide.contains("organizations`"),
        "{wide}"
    );
    let start = hint(Method::POST, "/api/v1/executions", &viewer).await;
    assert!(start.ends_with("`bowline keys create NAME --role operator`"), "{start}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_caller_may_not_do_is_one_line_however_often_it_is_tried() {
    let server = Running::new().await;
    let admin = key(&server, "default", Role::Admin, None).await.text;
    let viewer = key(&server, "default", Role::Viewer, None).await.text;
    for number in 0..20 {
        let path = format!("/api/v1/executions/{number}{}/cancel", "x".repeat(3_000));
        let request = server.request(Method::POST, &path);
        let request = request.header("authorization", format!("Bearer {viewer}"));
        Answer::of(request).await.is(403);
    }
    let refused = lines(&server, &admin, "cancelExecution").await;
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert_eq!(refused[0]["detail"]["code"], "access.forbidden");
    assert!(refused[0]["target"].as_str().unwrap().len() < 210, "{refused:?}");
}
