//! Secrets are in the memory of the process and on the wire to their service, and nowhere else.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::common::{Ended, Folder};

const TOKEN: &str = "canary-token-7f3a/+=&?x";
const QUERY: &str = "canary query 51c9 äö\"<>";
const BODY: &str = "canary-body-99e2\\with\"quotes";
const CREDENTIAL: &str = "canary-credential-0d44";
const ISSUED: &str = "canary-issued-5b1e-by-the-service";

const WORKFLOW: &str = r#"
name: secrets
connections:
  svc:
    type: http
    baseUrl: "${env.SVC_URL}"
    authentication: { type: bearer, credentials: { token: "${env.CANARY_TOKEN}" } }
steps:
  - id: login
    type: http-request
    config: { connection: svc, method: POST, url: /login, body: { password: "${credentials.login.password}" } }
    output: { body.accessToken: auth.accessToken }
  - id: echo
    type: http-request
    config:
      connection: svc
      method: POST
      url: "/echo/${$encodeUrlComponent(env.CANARY_TOKEN)}"
      query: { q: "${env.CANARY_QUERY}" }
      headers: { X-Secret: "${env.CANARY_TOKEN}", X-Basic: "Basic ${$base64encode('user:' & env.CANARY_TOKEN)}" }
      body: { plain: "${env.CANARY_BODY}", inside: "before ${env.CANARY_BODY} after", issued: "${auth.accessToken}" }
  - id: pass
    set: { copy: "${env.CANARY_BODY}" }
  - id: fails
    type: http-request
    config: { connection: svc, method: POST, url: /fails, body: { v: "${copy}", q: "${env.CANARY_QUERY}" } }
    errorHandling: { retry: { maxAttempts: 2, baseDelay: 5ms } }
output: { echoed: "${echo.body}" }
"#;

const MOCKS: &str = r#"
services:
  - id: svc
    type: mock-http-service
    config:
      routes:
        - { path: /login, method: POST, response: { status: 200, body: { accessToken: "canary-issued-5b1e-by-the-service" } } }
        - path: "/echo/{token}"
          method: POST
          response:
            status: 200
            headers: { X-Echo: "${request.headers.'x-secret'}" }
            body: { body: "${request.body}", headers: "${request.headers}", path: "${request.path}", query: "${request.query}" }
        - path: /fails
          method: POST
          response: { status: 503, body: { message: "cannot take ${request.body.v}", all: "${request.body}", authorization: "${request.headers.authorization}" } }
env: { SVC_URL: "${mocks.svc.url}" }
"#;

/// Every form in which a secret could be found.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        forms.push(engine.encode(secret).into_bytes());
    }
    forms.push(STANDARD.encode(format!("user:{secret}")).into_bytes());
    forms.push(utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string().into_bytes());
    forms.push(
        serde_json::to_string(secret)
            .unwrap()
            .trim_matches('"')
            .as_bytes()
            .to_vec(),
    );
    forms
}

fn occurs(bytes: &[u8], form: &[u8]) -> bool {
    bytes.windows(form.len()).any(|window| window == form)
}

/// What a service gives as a step's result is recorded, or the execution could not go on with it; it is kept
/// from what is printed while the execution runs, and from every later step's record.
fn assert_never_issued(bytes: &[u8], place: &str) {
    for form in forms(ISSUED) {
        assert!(
            !occurs(bytes, &form),
            "{place} holds {}",
            String::from_utf8_lossy(&form)
        );
    }
}

fn assert_clean(bytes: &[u8], place: &str) {
    for secret in [TOKEN, QUERY, BODY, CREDENTIAL] {
        for form in forms(secret) {
            assert!(
                !occurs(bytes, &form),
                "{place} holds {}",
                String::from_utf8_lossy(&form)
            );
        }
    }
}

fn clean_output(ended: &Ended, place: &str) {
    assert_clean(ended.stdout.as_bytes(), &format!("{place}: stdout"));
    assert_clean(ended.stderr.as_bytes(), &format!("{place}: stderr"));
}

fn files_below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}

#[test]
fn no_secret_is_left_anywhere() {
    let folder = Folder::new();
    folder.write("secrets.yaml", WORKFLOW);
    folder.write("mocks.secrets.yaml", MOCKS);
    folder.write("credentials.yaml", &format!("login: {{ password: {CREDENTIAL} }}\n"));
    let run = |more: &[&str]| {
        let args = [
            "run",
            "secrets.yaml",
            "--mocks",
            "mocks.secrets.yaml",
            "--credentials",
            "credentials.yaml",
        ];
        let output = folder
            .command(&[&args[..], more].concat())
            .env("CANARY_TOKEN", TOKEN)
            .env("CANARY_QUERY", QUERY)
            .env("CANARY_BODY", BODY)
            .output()
            .unwrap();
        Ended::from(output)
    };
    for (place, more) in [
        ("lines", &["--log", "trace"][..]),
        ("json", &["--json", "--log", "debug"]),
        ("quiet", &["--quiet"]),
    ] {
        let ended = run(more);
        assert_eq!(ended.code, Some(1), "{place}: {}", ended.told());
        if place == "lines" {
            assert!(
                ended.stderr.contains("http.503"),
                "it got as far as the last step: {}",
                ended.told()
            );
        }
        clean_output(&ended, place);
        assert_never_issued(ended.stdout.as_bytes(), place);
        assert_never_issued(ended.stderr.as_bytes(), place);
    }
    let ids = folder.ids();
    assert_eq!(ids.len(), 3);
    for id in &ids {
        for args in [
            &["executions", "show", id][..],
            &["executions", "show", id, "--json"],
            &["executions", "history", id],
            &["executions", "history", id, "--json"],
        ] {
            let ended = folder.run(args);
            assert_eq!(ended.code, Some(0), "{}", ended.told());
            clean_output(&ended, &args.join(" "));
        }
    }
    // The echo was recorded, with the secrets taken out of it.
    let history = folder.run(&["executions", "history", &ids[0], "--json"]);
    assert!(history.stdout.contains("before *** after"), "{}", history.told());
    for line in history
        .stdout
        .lines()
        .filter(|line| !line.contains("\"path\":\"login\""))
    {
        assert_never_issued(line.as_bytes(), "a later record");
    }
    let files = files_below(&folder.path(".bowline"));
    assert!(!files.is_empty());
    for file in files {
        assert_clean(&std::fs::read(&file).unwrap(), &file.display().to_string());
    }
}
