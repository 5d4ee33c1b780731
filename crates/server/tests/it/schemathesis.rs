//! Requests that schemathesis makes up from the OpenAPI document: none of them makes the server fail.
//!
//! It comes from PyPI, into a virtual environment below `target/`. Where it cannot be had the test says so.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use bowline_access::{Role, Scope};
use serde_json::json;
use tokio::process::Command;

use crate::authorization::key;
use crate::running::Running;

/// What is installed.
const VERSION: &str = "schemathesis==4.32.*";

fn environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .unwrap()
        .join("schemathesis")
}

async fn run(program: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    // What it remembers is left there.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    let output = command
        .output()
        .await
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let text = [output.stdout, output.stderr]
        .map(|part| String::from_utf8_lossy(&part).into_owned())
        .concat();
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// The program, installed if need be.
async fn installed() -> Result<PathBuf, String> {
    let environment = environment();
    let program = environment.join("bin/st");
    if !program.exists() {
        let folder = environment.to_string_lossy().into_owned();
        run(Path::new("python3"), &["-m", "venv", &folder]).await?;
        let pip = environment.join("bin/pip");
        run(&pip, &["install", "--quiet", "--disable-pip-version-check", VERSION]).await?;
    }
    Ok(program)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_makes_the_server_fail() {
    let program = match installed().await {
        Ok(program) => program,
        Err(why) => {
            let why = why.lines().last().unwrap_or_default().to_owned();
            println!("skipped: schemathesis cannot be installed ({why})");
            return;
        }
    };
    let mut config = bowline_server::Config::default();
    config.limits.caller_rate = 0;
    // A stream is read up to its end: here it has one.
    config.events.heartbeat = bowline_connector::Millis(std::time::Duration::from_millis(200));
    let server = Running::with(config).await;
    for number in 0..5 {
        server.run("hello", json!({ "name": format!("ada {number}") })).await;
    }
    let ids = [
        server.run("hello", json!({ "name": "ada" })).await,
        server.run("fails", json!({ "code": "NO" })).await,
        server.start("patient", json!({})).await,
        server.start("asks", json!({ "name": "ada" })).await,
        server.start("calls", json!({ "reference": "r-1" })).await,
        "nope".to_owned(),
    ];
    // What is there is asked for, also after it was changed, and sometimes what is not.
    let known = format!(
        "[parameters]\n\"path.id\" = {ids:?}\n\"path.execution\" = {ids:?}\n\"path.name\" = {names:?}\n\
         \"path.workflow\" = {names:?}\n\"path.path\" = {paths:?}\n",
        names = ["hello", "patient", "fails", "nope"],
        paths = ["word", "boss", "answer", "nope"],
    );
    let settings = server.folder.path().join("schemathesis.toml");
    std::fs::write(&settings, known).unwrap();
    let examples = std::env::var("BOWLINE_SCHEMATHESIS_EXAMPLES").unwrap_or_else(|_| "8".into());
    let url = format!("{}/openapi.json", server.url);
    // A key that it makes would shut out whoever has none.
    let chief = key(&server, "default", Role::Admin, Some(Scope::ALL.to_vec())).await;
    let authorization = format!("Authorization: Bearer {}", chief.text);
    let outcome = run(
        &program,
        &[
            "--config-file",
            &settings.to_string_lossy(),
            "run",
            &url,
            "--checks",
            "not_a_server_error",
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            &examples,
            "--seed",
            "1",
            "--header",
            &authorization,
            "--request-timeout",
            "10",
            "--exclude-path-regex",
            "/events$",
            "--no-color",
        ],
    )
    .await;
    let text = match outcome {
        Ok(text) => text,
        Err(text) => panic!("{text}"),
    };
    // It was let in, and has really tried things.
    assert!(!text.contains("Authentication failed"), "{text}");
    let generated = text
        .split_whitespace()
        .zip(text.split_whitespace().skip(1))
        .find(|(_, what)| *what == "generated,");
    let generated: usize = generated.and_then(|(count, _)| count.parse().ok()).unwrap_or_default();
    assert!(generated > 1_000, "{text}");
    server.get("/health/ready").await.is(200);
}
