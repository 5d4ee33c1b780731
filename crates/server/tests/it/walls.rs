//! Organizations: nothing of another one exists, whoever asks for it and however.

use bowline_access::{Role, Scope};
use reqwest::Method;
use serde_json::{Value, json};

use crate::authorization::{key, operations, organization};
use crate::running::{Answer, Running};

/// Things of the default organization, by the names that paths have for them.
struct Things {
    execution: String,
    key: String,
    all: Vec<String>,
}

async fn things(server: &Running) -> Things {
    let ended = server.run("hello", json!({ "name": "ada" })).await;
    let waiting = server.start("patient", json!({})).await;
    let asks = server.start("asks", json!({ "name": "ada" })).await;
    let calls = server.start("calls", json!({ "reference": "r-4711" })).await;
    let made = key(server, "default", Role::Admin, Some(Scope::ALL.to_vec())).await;
    Things {
        key: made.key.id.clone(),
        all: vec![ended, waiting.clone(), asks, calls, made.key.id, "r-4711".into()],
        execution: waiting,
    }
}

/// What is put into a path: things that are there, or such as are not.
fn filled(things: &Things, operation: &str, name: &str, real: bool) -> String {
    let (there, not_there) = match name {
        "id" if operation.contains("/keys/") => (things.key.as_str(), "0123456789abcdef"),
        "id" | "execution" => (things.execution.as_str(), "019a0000-0000-7000-8000-000000000000"),
        "name" | "workflow" => ("patient", "nothing"),
        "path" => ("word", "word"),
        "version" | "from" | "to" => ("1", "1"),
        _ => ("x", "x"),
    };
    if real { there } else { not_there }.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_organization_has_is_as_if_it_were_not() {
    let server = Running::new().await;
    organization(&server, "acme").await;
    let things = things(&server).await;
    let stranger = key(&server, "acme", Role::Admin, None).await;
    let authorization = format!("Bearer {}", stranger.text);
    let chief = key(&server, "default", Role::Admin, None).await;
    let own = format!("Bearer {}", chief.text);
    let mut compared = 0;
    for operation in operations(&server).await {
        let Some((_, scope)) = operation.rule else { continue };
        // Streams do not end; that of one execution answers as the others do, before it begins.
        let is_stream = operation.path.ends_with("/events") && !operation.path.contains('{');
        if scope == Scope::Organizations || is_stream {
            continue;
        }
        let place = format!("{} {}", operation.method, operation.path);
        let ask = async |real: bool| {
            let fill = |name: &str| filled(&things, &operation.path, name, real);
            let request = operation.request(&server, fill).header("authorization", &authorization);
            let answer = Answer::of(request).await;
            let text = things
                .all
                .iter()
                .fold(answer.text.clone(), |text, id| text.replace(id.as_str(), "<id>"));
            (answer, text)
        };
        let (answer, _) = ask(true).await;
        if operation.path.contains('{') {
            compared += 1;
            let (other, _) = ask(false).await;
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (other.status, &other.body["code"]),
                "{place} tells that there is one: {} {}",
                answer.text,
                other.text
            );
            assert!(
                !answer.status.is_success() || operation.id.starts_with("list"),
                "{place}: {}",
                answer.text
            );
        } else if operation.id == "listAudit" {
            // It shows what was tried here, and nothing that anybody else has done.
            let lines = answer.body["items"].as_array().unwrap();
            assert!(
                !lines.is_empty() && lines.iter().all(|line| line["organization"] == "acme"),
                "{}",
                answer.text
            );
        } else if operation.method == Method::GET {
            for id in &things.all {
                assert!(
                    !answer.text.contains(id.as_str()),
                    "{place} shows {id}: {}",
                    answer.text
                );
            }
        }
    }
    assert!(compared > 20, "{compared}");
    // None of it has done anything.
    let path = format!("/api/v1/executions/{}", things.execution);
    let mine = Answer::of(server.request(Method::GET, &path).header("authorization", &own)).await;
    mine.is(200);
    assert!(
        ["running", "waiting"].contains(&mine.body["status"].as_str().unwrap()),
        "{}",
        mine.text
    );
    assert_eq!(
        server
            .app
            .guard
            .access
            .key("default", &things.key)
            .await
            .unwrap()
            .revoked_at,
        None
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_super_admin_names_the_organization() {
    let server = Running::new().await;
    organization(&server, "acme").await;
    let things = things(&server).await;
    let chief = key(&server, "default", Role::Admin, Some(Scope::ALL.to_vec())).await;
    let usual = key(&server, "default", Role::Admin, None).await;
    let list = async |key: &str, organization: &str| {
        let request = server.request(Method::GET, "/api/v1/executions");
        let request = request.header("authorization", format!("Bearer {key}"));
        Answer::of(request.header("bowline-organization", organization)).await
    };
    assert!(list(&chief.text, "default").await.text.contains(&things.execution));
    let there = list(&chief.text, "acme").await;
    there.is(200);
    assert_eq!(there.body["items"], json!([]));
    list(&chief.text, "nowhere").await.is_problem(403, "access.forbidden");
    list(&usual.text, "acme").await.is_problem(403, "access.forbidden");
    list(&usual.text, "default").await.is(200);
    // What it changes there stands in the log there, and says where it comes from.
    let wish = json!({ "name": "first", "role": "admin" });
    let request = server.request(Method::POST, "/api/v1/keys").json(&wish);
    let request = request.header("authorization", format!("Bearer {}", chief.text));
    let made = Answer::of(request.header("bowline-organization", "acme")).await;
    made.is(201);
    assert_eq!(made.body["organization"], "acme");
    let page = server
        .app
        .guard
        .access
        .audit("acme", &bowline_access::AuditFilter::default())
        .await
        .unwrap();
    let line = page.items.iter().find(|line| line.action == "createKey").unwrap();
    assert_eq!(line.home.as_deref(), Some("default"));
    let disabled = server.request(Method::POST, "/api/v1/organizations/acme/disable");
    let disabled = Answer::of(disabled.header("authorization", format!("Bearer {}", chief.text))).await;
    disabled.is(200);
    let request = server.request(Method::GET, "/api/v1/executions");
    let text = made.body["text"].as_str().unwrap();
    Answer::of(request.header("authorization", format!("Bearer {text}")))
        .await
        .is(403);
    assert_ne!(disabled.body["disabledAt"], Value::Null);
}
