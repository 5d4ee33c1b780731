//! Commands beside a server: it does what they ask for.

use std::path::Path;

use serde_json::Value;

use crate::process::{Process, program};

/// A step that fails as long as its service is not there.
const FLAKY: &str = "\
name: flaky
steps:
  - id: call
    type: http-request
    config: { url: \"${env.SERVICE_URL}\" }
    errorHandling: { retry: { maxAttempts: 1 } }
output: \"for ${input.who}\"
";

const DAILY: &str = "\
name: daily
triggers:
  - { type: schedule, config: { cron: \"0 0 0 1 1 *\", timezone: UTC } }
steps:
  - wait: 1ms
";

struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

async fn bowline(folder: &Path, args: &[&str]) -> Ran {
    let mut command = program(folder, args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs a command that succeeds; what it prints.
async fn done(folder: &Path, args: &[&str]) -> String {
    let ran = bowline(folder, args).await;
    assert_eq!(ran.code, 0, "{args:?}: {}{}", ran.stdout, ran.stderr);
    ran.stdout
}

async fn json(folder: &Path, args: &[&str]) -> Value {
    serde_json::from_str(&done(folder, args).await).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_runs_what_commands_begin() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let service = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", service.local_addr().unwrap());
    drop(service);
    std::fs::write(folder.join("flaky.yaml"), FLAKY).unwrap();
    std::fs::write(folder.join("vars.env"), format!("SERVICE_URL={url}\n")).unwrap();
    // A key is there, and none of the commands needs it.
    done(folder, &["keys", "create", "first", "--role", "viewer"]).await;
    let server = Process::start(folder, &["--env-file", "vars.env"]);

    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let socket = std::fs::metadata(folder.join(".bowline/bowline.sock")).unwrap();
        assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    }

    let ran = bowline(
        folder,
        &["run", "flaky.yaml", "--id", "one", "--input", r#"{"who": "ada"}"#],
    )
    .await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    let page = format!("{}/ui/executions/one", server.url(""));
    assert!(
        ran.stderr.contains(&page) && ran.stderr.contains("failed"),
        "{}",
        ran.stderr
    );
    let again = bowline(folder, &["executions", "resume", "one"]).await;
    assert_eq!(again.code, 1, "{}", again.stderr);
    let again = bowline(folder, &["executions", "retry", "one", "--json"]).await;
    assert_eq!(again.code, 1, "{}", again.stderr);
    let last: Value = serde_json::from_str(again.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["status"], "failed", "{last}");

    // Now the service is there, and what each of them is asked to do again succeeds.
    let service = std::net::TcpListener::bind(url.trim_start_matches("http://")).unwrap();
    std::thread::spawn(move || {
        for stream in service.incoming() {
            use std::io::{Read, Write};
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    assert_eq!(json(folder, &["executions", "retry", "one"]).await, "for ada");
    assert_eq!(json(folder, &["executions", "resume", "one"]).await, "for ada");
    let input = r#"{"who": "bo"}"#;
    assert_eq!(
        json(folder, &["executions", "rerun", "one", "--input", input]).await,
        "for bo"
    );
    let keyed = ["run", "flaky.yaml", "--key", "k", "--input", input];
    assert_eq!(json(folder, &keyed).await, "for bo");
    let again = bowline(folder, &keyed).await;
    assert!(
        again.code == 0 && again.stderr.contains("has the key already"),
        "{}",
        again.stderr
    );

    // What cannot be handed over is refused, with where to go.
    for (args, why) in [
        (
            &["run", "flaky.yaml", "--env-file", "vars.env"][..],
            "--env-file has no effect on the server",
        ),
        (
            &["run", "flaky.yaml", "--key", "k", "--reuse", "reject"],
            "takes no --reuse",
        ),
    ] {
        let ran = bowline(folder, args).await;
        assert!(ran.code == 2 && ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    }
    std::fs::create_dir(folder.join("other")).unwrap();
    std::fs::write(folder.join("other/flaky.yaml"), FLAKY.replace("for ${", "to ${")).unwrap();
    let ran = bowline(folder, &["run", "other/flaky.yaml"]).await;
    assert_eq!(ran.code, 2);
    assert!(
        ran.stderr.contains("no version of flaky") && ran.stderr.contains("flaky.yaml in the server's folder"),
        "{}",
        ran.stderr
    );
    assert!(server.stop().success());
    assert!(!folder.join(".bowline/bowline.sock").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_and_schedules_of_a_server_are_looked_after() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::create_dir(folder.join("flows")).unwrap();
    std::fs::write(folder.join("flows/daily.yaml"), DAILY).unwrap();
    let alone = bowline(folder, &["schedules", "list"]).await;
    assert!(
        alone.code == 2 && alone.stderr.contains("bowline serve"),
        "{}",
        alone.stderr
    );
    let server = Process::start(folder, &["flows"]);

    let list = done(folder, &["schedules", "list"]).await;
    assert!(list.contains("daily.schedule") && list.contains("active"), "{list}");
    let paused = done(folder, &["schedules", "pause", "daily.schedule", "--note", "closed"]).await;
    assert!(paused.contains("paused: closed"), "{paused}");
    let on = json(folder, &["schedules", "unpause", "daily.schedule", "--json"]).await;
    assert!(on["paused"].is_null(), "{on}");
    let run = json(folder, &["schedules", "run", "daily.schedule", "--json"]).await;
    assert_eq!(run[0]["fate"], "started", "{run}");
    let range = ["--from", "2024-01-01T00:00:00Z", "--until", "2025-06-01T00:00:00Z"];
    let mut backfill = vec![
        "schedules",
        "backfill",
        "daily.schedule",
        "--json",
        "--overlap",
        "allow",
    ];
    backfill.extend(range);
    assert_eq!(json(folder, &backfill).await.as_array().unwrap().len(), 2);
    let fires = done(folder, &["schedules", "fires", "daily.schedule", "--fate", "started"]).await;
    assert!(fires.contains("2024-01-01") && fires.contains("2025-01-01"), "{fires}");
    let unknown = bowline(folder, &["schedules", "show", "daily.x"]).await;
    assert!(
        unknown.code == 2 && unknown.stderr.contains("daily.x"),
        "{}",
        unknown.stderr
    );

    std::fs::write(folder.join("more.yaml"), "name: more\nsteps: [{ wait: 1ms }]\n").unwrap();
    let dry = done(folder, &["workflows", "deploy", "more.yaml", "--dry-run"]).await;
    assert!(dry.contains("more would be version 1"), "{dry}");
    let first = done(folder, &["workflows", "deploy", "more.yaml"]).await;
    assert!(first.contains("more is deployed as version 1"), "{first}");
    let same = done(folder, &["workflows", "deploy", "more.yaml"]).await;
    assert!(same.contains("deployed already"), "{same}");
    done(folder, &["run", "more.yaml", "--quiet"]).await;
    let list = done(folder, &["workflows", "list"]).await;
    assert!(
        list.contains("daily") && list.contains("more") && list.contains("api"),
        "{list}"
    );
    done(folder, &["workflows", "pause", "more"]).await;
    let shown = done(folder, &["workflows", "show", "more"]).await;
    assert!(shown.contains("paused") && shown.contains("command line"), "{shown}");
    done(folder, &["workflows", "unpause", "more"]).await;
    done(folder, &["workflows", "remove", "more"]).await;
    let gone = bowline(folder, &["run", "more.yaml"]).await;
    assert!(
        gone.code == 2 && gone.stderr.contains("more"),
        "{}{}",
        gone.stdout,
        gone.stderr
    );
    std::fs::write(folder.join("wrong.yaml"), "name: wrong\nstps: []\n").unwrap();
    let wrong = bowline(folder, &["workflows", "deploy", "wrong.yaml"]).await;
    assert!(wrong.code == 2 && wrong.stderr.contains("stps"), "{}", wrong.stderr);
    assert!(server.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_or_is_there_already_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("daily.yaml"), DAILY).unwrap();
    let server = Process::start(folder, &[]);
    let here = server.address.to_string();
    let second = bowline(folder, &["serve", "--listen", &here]).await;
    assert!(
        second.code == 4 && second.stderr.contains("in use by pid") && second.stderr.contains(&here),
        "{}",
        second.stderr
    );
    server.signal("-STOP");
    let asked = bowline(folder, &["workflows", "list"]).await;
    assert!(
        asked.code == 4 && asked.stderr.contains("has not answered for 5 s"),
        "{}",
        asked.stderr
    );
    server.signal("-CONT");
    assert!(server.stop().success());
}
