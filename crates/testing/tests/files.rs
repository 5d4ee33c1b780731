//! Mocks files: what they may say, what they must not, and what they leave behind.

mod support;

use std::path::Path;
use std::process::Command;

use bowline_testing::{MockError, MockOptions, MockServices, mocks_schema, read_calls};
use serde_json::{Value, json};
use support::SOON;

const FILE: &str = r#"
# Two services and what the workflow needs to find them.
record: calls.ndjson
services:
  - id: payment
    type: mock-http-service
    config:
      routes:
        - path: /charge
          method: POST
          response: { status: 200, body: { transactionId: "mock-${random.uuid}", amount: "${request.body.amount}" } }
  - id: mail-box
    type: mock-smtp-service
    config: { rejects: [{ to: "*@blocked.example" }] }
env:
  PAYMENT_URL: "${mocks.payment.url}/v1"
  SMTP_HOST: "${mocks.`mail-box`.host}"
  SMTP_PORT: "${mocks.`mail-box`.port}"
  LEVEL: 3
"#;

#[expect(clippy::panic, reason = "a wrong definition that starts fails the test")]
async fn start_err(definition: Value) -> String {
    match MockServices::start(&definition, Path::new(".")).await {
        Ok(_) => panic!("started: {definition}"),
        Err(error) => error.to_string(),
    }
}

#[tokio::test]
async fn a_file_starts_records_and_tells_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mocks.yaml");
    std::fs::write(&file, FILE).unwrap();
    let mocks = MockServices::start_file(&file).await.unwrap();
    let url = mocks.url("payment").unwrap().to_owned();
    let env = mocks.env();
    assert_eq!(env["PAYMENT_URL"], format!("{url}/v1"));
    assert_eq!(env["SMTP_HOST"], "127.0.0.1");
    assert_eq!(env["SMTP_PORT"], mocks.address("mail-box").unwrap().port().to_string());
    assert_eq!(env["LEVEL"], "3");
    assert_eq!(mocks.urls().len(), 2);
    assert!(mocks.urls()["mail-box"].starts_with("smtp://127.0.0.1:"));

    let client = reqwest::Client::new();
    for amount in [1, 2] {
        client
            .post(format!("{url}/charge"))
            .json(&json!({ "amount": amount }))
            .send()
            .await
            .unwrap();
        // The answer is here, so the line is in the file.
        let calls = read_calls(&folder.path().join("calls.ndjson")).unwrap();
        assert_eq!(calls, mocks.all_calls());
        assert_eq!(calls.last().unwrap().body, json!({ "amount": amount }));
    }
    mocks.stop().await;
    assert!(client.post(format!("{url}/charge")).send().await.is_err());
}

#[tokio::test]
async fn a_list_in_json_is_a_file_too_and_a_torn_line_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mocks.json");
    std::fs::write(
        &file,
        r#"[{"id": "a", "type": "mock-http-service", "config": {"routes": [{"path": "/"}]}}]"#,
    )
    .unwrap();
    let record = folder.path().join("calls");
    let definition = bowline_testing::read_definition(&file).unwrap();
    let mocks = MockServices::start_with(&definition, MockOptions::default().record(&record))
        .await
        .unwrap();
    reqwest::get(mocks.url("a").unwrap()).await.unwrap();
    let whole = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, format!("{whole}{}", &whole[..whole.len() / 2])).unwrap();
    assert_eq!(read_calls(&record).unwrap().len(), 1);
    std::fs::write(&record, format!("oops\n{whole}")).unwrap();
    assert!(read_calls(&record).is_err());
}

#[tokio::test]
async fn every_problem_of_a_definition_is_told() {
    let text = start_err(json!({
        "servces": [],
        "services": [
            { "id": "a", "type": "mock-http-service", "config": { "routes": [
                { "path": "a", "method": "GE T" },
                { "path": "/b", "response": { "body": "${ request.body. }", "bodyText": "x" } },
                { "path": "/c", "response": { "body": "${ input.x }" }, "responses": [] },
                { "path": "/d", "when": "request.body.a >", "times": 0 },
                { "path": "/e", "delay": "soon", "fault": {} },
                { "path": "/f", "response": { "headers": { "content-length": 3, "a b": "c" } } },
                { "path": "/g", "respons": {} }
            ] } },
            { "id": "a", "type": "mock-smtp-service", "config": { "rejects": [{ "to": "x", "message": "a\nb" }] } },
            { "id": "b", "type": "mock-htp-service" },
            7
        ],
        "env": { "A": ["x"], "B": "${mocks.a" }
    }))
    .await;
    for part in [
        "servces: unknown field\n  expected one of: services, env, record, extends\n  hint: did you mean `services`?",
        "services[0].config.routes[0].path: `a` does not begin with `/`",
        "services[0].config.routes[0].method: `GE T` is not a method",
        "services[0].config.routes[1].response: has both `body` and `bodyText`",
        "services[0].config.routes[2]: has both `response` and `responses`",
        "services[0].config.routes[3].times: 0 is too small",
        "services[0].config.routes[4].delay: `soon` is not a duration",
        "services[0].config.routes[5].response.headers.content-length: is set by the mock itself",
        "services[0].config.routes[5].response.headers.a b: is not the name of a header",
        "services[0].config.routes[6].respons: unknown field",
        "did you mean `response`?",
        "services[1].id: a service `a` is there already",
        "services[1].config.rejects[0].message: has several lines",
        "services[2].type: `mock-htp-service` is not a mock service",
        "did you mean `mock-http-service`?",
        "services[3]: is a number",
        "env.A: is a list",
        "env.B: ",
    ] {
        assert!(text.contains(part), "no `{part}` in\n{text}");
    }
}

#[tokio::test]
async fn expressions_are_checked_before_anything_listens() {
    let route = |route: Value| json!([{ "id": "a", "type": "mock-http-service", "config": { "routes": [route] } }]);
    for (definition, part) in [
        (
            route(json!({ "path": "/", "response": { "body": { "x": "${ request.body. }" } } })),
            "[0].config.routes[0].response.body.x: ",
        ),
        (
            route(json!({ "path": "/", "response": { "body": "${ input.x }" } })),
            "response.body: reads `input`\n  expected one of: request, random, calls",
        ),
        (
            route(json!({ "path": "/", "when": "a > 1" })),
            "routes[0].when: reads `a`",
        ),
        (route(json!({ "path": "/", "when": "${ 1 + }" })), "routes[0].when: "),
        (json!({ "services": [], "env": { "A": "${mocks.pay.url}" } }), "env.A: "),
        (
            json!({ "id": "a", "type": "mock-http-service" }),
            "a single service is a list of one",
        ),
        (json!({}), "`services` is missing"),
        (json!("x"), "is text\n  expected a list of services"),
    ] {
        let text = start_err(definition.clone()).await;
        assert!(text.contains(part), "no `{part}` in\n{text}");
        assert!(MockServices::check(&definition, Path::new(".")).is_err());
    }
}

#[tokio::test]
async fn files_that_cannot_be_read_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let error = MockServices::start_file(folder.path().join("none.yaml"))
        .await
        .err()
        .unwrap();
    assert!(matches!(error, MockError::Read { .. }), "{error}");
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, "services: [\n").unwrap();
    let error = MockServices::start_file(&broken).await.err().unwrap();
    assert!(matches!(error, MockError::Syntax { .. }), "{error}");
    let nowhere = MockOptions::default().record(folder.path().join("no/such/folder"));
    let error = MockServices::start_with(&json!([]), nowhere).await.err().unwrap();
    assert!(matches!(error, MockError::Record { .. }), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let text = start_err(json!([{ "id": "pay", "type": "mock-http-service", "config": { "port": port } }])).await;
    assert!(
        text.contains(&format!(
            "mock service `pay` cannot listen on 127.0.0.1:{port}: the port is in use"
        )),
        "{text}"
    );
}

#[tokio::test]
async fn dropping_the_services_closes_their_ports() {
    let mocks = support::http(json!({ "routes": [{ "path": "/", "fault": "hang" }] })).await;
    let address = mocks.address("svc").unwrap();
    let hanging = tokio::spawn(reqwest::get(support::url(&mocks, "/")));
    mocks.wait_for_calls("svc", 1, SOON).await.unwrap();
    drop(mocks);
    assert!(hanging.await.unwrap().is_err());
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let schema = mocks_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let long = json!({
        "services": [
            { "id": "a", "type": "mock-http-service", "config": { "routes": [{ "path": "/", "delay": "1s", "fault": "reset" }] } },
            { "id": "b", "type": "mock-smtp-service" }
        ],
        "env": { "A": "${mocks.a.url}" }
    });
    assert!(validator.is_valid(&long));
    assert!(validator.is_valid(&long["services"]));
    assert!(MockServices::check(&long, Path::new(".")).is_ok());
    let wrong = json!([{ "id": "a", "type": "mock-http-service", "config": { "prot": 1 } }]);
    assert!(!validator.is_valid(&wrong));
}

/// A process of its own that answers a call and is killed at once: what was answered must be in the file.
#[test]
fn an_answered_call_survives_a_kill() {
    const CHILD: &str = "BOWLINE_TESTING_CHILD_RECORD";
    if let Ok(file) = std::env::var(CHILD) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let definition =
                json!([{ "id": "a", "type": "mock-http-service", "config": { "routes": [{ "path": "/" }] } }]);
            let mocks = MockServices::start_with(&definition, MockOptions::default().record(file))
                .await
                .unwrap();
            for _ in 0..20 {
                reqwest::get(mocks.url("a").unwrap()).await.unwrap();
            }
            std::process::abort();
        });
    }
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("calls");
    let this = std::env::current_exe().unwrap();
    let output = Command::new(this)
        .args(["--exact", "an_answered_call_survives_a_kill"])
        .env(CHILD, &record)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert_eq!(read_calls(&record).unwrap().len(), 20);
}

#[test]
fn the_examples_of_the_reference_are_right() {
    let folder = tempfile::tempdir().unwrap();
    let reference = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/mocks.md");
    let text = std::fs::read_to_string(reference).unwrap();
    let mut blocks = 0;
    for block in text.split("```yaml\n").skip(1) {
        let (yaml, _) = block.split_once("```").unwrap();
        let file = folder.path().join(format!("{blocks}.yaml"));
        std::fs::write(&file, yaml).unwrap();
        if blocks == 0 {
            // What the example of `extends` extends.
            std::fs::write(folder.path().join("mocks.yaml"), yaml).unwrap();
        }
        let definition = bowline_testing::read_definition(&file).unwrap();
        if let Err(error) = MockServices::check(&definition, folder.path()) {
            panic!("{error}\n{yaml}");
        }
        blocks += 1;
    }
    assert_eq!(blocks, 5);
}
