//! Deploying workflows and looking at them.

use reqwest::Method;
use serde_json::{Value, json};

use crate::running::{Answer, Running};

fn files(text: &str) -> Value {
    json!({ "files": [{ "name": "greet.yaml", "text": text }] })
}

const FIRST: &str = "name: greet\nsteps:\n  - set: { text: one }\noutput: \"${text}\"\n";
const SECOND: &str = "name: greet\nsteps:\n  - set: { text: two }\noutput: \"${text}\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_deployed_once_for_each_content() {
    let server = Running::new().await;
    let mut dry = files(FIRST);
    dry["dryRun"] = true.into();
    let tried = server.post("/api/v1/workflows", &dry).await;
    assert_eq!(tried.is(200).body["deployments"][0]["version"], 1);
    server
        .get("/api/v1/workflows/greet")
        .await
        .is_problem(404, "workflow.not-found");

    let deployed = server.post("/api/v1/workflows", &files(FIRST)).await;
    assert_eq!(deployed.is(201).body["deployments"][0]["version"], 1);
    let tag = deployed.header("etag").to_owned();
    let again = server.post("/api/v1/workflows", &files(FIRST)).await;
    assert_eq!(again.is(200).body["unchanged"], json!(["greet"]));

    let one = server.get("/api/v1/workflows/greet").await;
    assert_eq!(one.is(200).header("etag"), tag);
    assert_eq!(one.body["sourceText"], FIRST);
    let known = server.request(Method::GET, "/api/v1/workflows/greet");
    Answer::of(known.header("if-none-match", &tag)).await.is(304);

    let second = server.request(Method::POST, "/api/v1/workflows").json(&files(SECOND));
    let second = Answer::of(second.header("if-match", &tag)).await;
    assert_eq!(second.is(201).body["deployments"][0]["version"], 2);
    // Somebody else was first.
    let third = server.request(Method::POST, "/api/v1/workflows").json(&files(FIRST));
    Answer::of(third.header("if-match", &tag)).await.is(412);
    let wrong = server.request(Method::POST, "/api/v1/workflows").json(&files(FIRST));
    Answer::of(wrong.header("if-match", "unquoted"))
        .await
        .is_problem(400, "request.invalid");

    let list = server.get("/api/v1/workflows").await;
    let names: Vec<&str> = list.is(200).body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"greet") && names.contains(&"hello"), "{names:?}");

    let old = server.get("/api/v1/workflows/greet?version=1").await;
    assert_eq!(old.is(200).body["sourceText"], FIRST);
    server.get("/api/v1/workflows/greet?version=9").await.is(404);
    server
        .get("/api/v1/workflows/greet?version=one")
        .await
        .is_problem(400, "request.invalid");
    let diff = server.get("/api/v1/workflows/greet/diff?from=1").await;
    assert!(
        diff.is(200).body["text"].as_str().unwrap().contains("two"),
        "{}",
        diff.text
    );
    server
        .get("/api/v1/workflows/greet/diff")
        .await
        .is_problem(400, "request.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_file_is_told_with_its_place() {
    let server = Running::new().await;
    let wrong = server
        .post(
            "/api/v1/workflows",
            &files("name: greet\nstpes:\n  - set: { text: one }\n"),
        )
        .await;
    wrong.is_problem(422, "workflow.invalid");
    let problems = wrong.body["problems"].as_array().unwrap();
    let is_it = |problem: &Value| problem["file"] == "greet.yaml" && problem["line"] == 2;
    assert!(problems.iter().any(is_it), "{problems:?}");
    server.post("/api/v1/workflows", &json!({ "files": [] })).await.is(422);
    server
        .post("/api/v1/workflows", &json!({ "file": [] }))
        .await
        .is_problem(400, "request.invalid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_drawn_and_paused() {
    let server = Running::new().await;
    let svg = server.get("/api/v1/workflows/hello/graph").await;
    assert_eq!(svg.is(200).header("content-type"), "image/svg+xml");
    assert!(svg.text.contains("<svg"), "{}", svg.text);
    let mermaid = server.get("/api/v1/workflows/hello/graph?format=mermaid").await;
    assert!(mermaid.is(200).text.contains("flowchart"), "{}", mermaid.text);
    server.get("/api/v1/workflows/hello/graph?format=png").await.is(400);

    server.post("/api/v1/workflows/hello/pause", &json!({})).await.is(204);
    let paused = server.get("/api/v1/workflows/hello").await;
    assert_eq!(paused.is(200).body["paused"], true);
    let id = server.start("hello", json!({ "name": "ada" })).await;
    server.post("/api/v1/workflows/hello/unpause", &json!({})).await.is(204);
    server
        .until(&format!("/api/v1/executions/{id}"), |body| {
            body["status"] == "succeeded"
        })
        .await;
    server
        .post("/api/v1/workflows/nothing/pause", &json!({}))
        .await
        .is_problem(404, "workflow.not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_removed_and_comes_again() {
    let server = Running::new().await;
    server.post("/api/v1/workflows", &files(FIRST)).await.is(201);
    let remove =
        async |name: &str| Answer::of(server.request(Method::DELETE, &format!("/api/v1/workflows/{name}"))).await;
    remove("greet").await.is(204);
    remove("greet").await.is_problem(410, "workflow.withdrawn");
    remove("nothing").await.is_problem(404, "workflow.not-found");
    let start = json!({ "workflow": "greet" });
    let refused = server.post("/api/v1/executions", &start).await;
    refused.is_problem(410, "workflow.withdrawn");
    assert!(
        refused.body["detail"].as_str().unwrap().contains("removed it at 20"),
        "{}",
        refused.body
    );
    let shown = server.get("/api/v1/workflows/greet").await;
    assert!(shown.is(200).body["withdrawnAt"].is_string() && shown.body["sourceText"] == FIRST);
    let list = server.get("/api/v1/workflows").await;
    assert!(
        !list.is(200).body["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["name"] == "greet")
    );

    server.post("/api/v1/workflows", &files(FIRST)).await.is(201);
    server.start("greet", json!({})).await;
    // What the folder has is changed there.
    let hello = json!({ "files": [{ "name": "hello.yaml", "text": "name: hello\nsteps: [ { wait: 1ms } ]\n" }] });
    let refused = server.post("/api/v1/workflows", &hello).await;
    refused.is_problem(409, "workflow.from-folder");
    remove("hello").await.is_problem(409, "workflow.from-folder");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_has_a_size() {
    let server = Running::new().await;
    let large = format!("name: large\nsteps:\n{}", "  - set: { a: 1 }\n".repeat(5_001));
    let large = json!({ "files": [{ "name": "large.yaml", "text": large }] });
    server
        .post("/api/v1/workflows", &large)
        .await
        .is_problem(422, "workflow.too-large");
}
