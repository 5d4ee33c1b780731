//! `bowline keys` and `bowline organizations`, before there is a server and beside one.

use std::path::Path;

use serde_json::Value;

use crate::process::{Process, program};

/// Runs a command; its output, if it succeeds, and what it complains about otherwise.
async fn bowline(folder: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = program(folder, args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap().trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

async fn status(server: &Process, key: &str) -> u16 {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.get(server.url("/api/v1/executions")).bearer_auth(key);
    request.send().await.unwrap().status().as_u16()
}

fn id(key: &str) -> &str {
    key.split('_').nth(1).unwrap()
}

/// What another process changes is obeyed within a second.
async fn becomes(server: &Process, key: &str, wanted: u16) {
    let mut last = 0;
    for _ in 0..200 {
        last = status(server, key).await;
        if last == wanted {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the server answers {last} and not {wanted}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_made_before_the_server_and_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    std::fs::write(folder.join("hello.yaml"), "name: hello\nsteps:\n  - wait: 1ms\n").unwrap();
    let first = bowline(
        folder,
        &["keys", "create", "first", "--role", "viewer", "--expires", "90d"],
    )
    .await
    .unwrap();
    assert!(
        first.starts_with("bwk_") && !first.contains(char::is_whitespace),
        "{first}"
    );

    let server = Process::start(folder, &[]);
    assert_eq!(status(&server, &first).await, 200);
    let second = bowline(
        folder,
        &[
            "keys",
            "create",
            "second",
            "--role",
            "admin",
            "--scope",
            "executions,keys",
        ],
    );
    let second = second.await.unwrap();
    becomes(&server, &second, 200).await;

    let rotated = bowline(folder, &["keys", "rotate", id(&second), "--overlap", "0s"])
        .await
        .unwrap();
    assert_eq!(id(&rotated), id(&second));
    becomes(&server, &rotated, 200).await;
    becomes(&server, &second, 401).await;

    bowline(folder, &["keys", "revoke", id(&rotated)]).await.unwrap();
    becomes(&server, &rotated, 401).await;
    assert_eq!(status(&server, &first).await, 200);

    let list: Value = serde_json::from_str(&bowline(folder, &["keys", "list", "--json"]).await.unwrap()).unwrap();
    let mut states: Vec<(&str, &str)> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["name"].as_str().unwrap(), key["state"].as_str().unwrap()))
        .collect();
    states.sort_unstable();
    assert_eq!(states, [("first", "active"), ("second", "revoked")]);
    let table = bowline(folder, &["keys", "list"]).await.unwrap();
    assert!(table.contains("revoked") && !table.contains(&rotated), "{table}");

    bowline(folder, &["organizations", "create", "acme", "--title", "Acme"])
        .await
        .unwrap();
    let twice = bowline(folder, &["organizations", "create", "acme"]).await.unwrap_err();
    assert!(twice.contains("there is an organization `acme` already"), "{twice}");
    let third = bowline(
        folder,
        &["keys", "create", "third", "--role", "admin", "--organization", "acme"],
    );
    let third = third.await.unwrap();
    becomes(&server, &third, 200).await;
    bowline(folder, &["organizations", "disable", "acme"]).await.unwrap();
    becomes(&server, &third, 403).await;
    bowline(folder, &["organizations", "enable", "acme"]).await.unwrap();
    becomes(&server, &third, 200).await;
    assert!(
        bowline(folder, &["organizations", "list"])
            .await
            .unwrap()
            .contains("Acme")
    );

    for (args, why) in [
        (&["keys", "rotate", "0123456789abcdef"][..], "there is no API key"),
        (&["keys", "revoke", id(&third)], "there is no API key"),
        (
            &["keys", "create", "x", "--role", "owner"],
            "viewer, operator, deployer, admin",
        ),
        (&["keys", "create", " ", "--role", "viewer"], "says what it is for"),
        (
            &["keys", "create", "x", "--role", "viewer", "--organization", "none"],
            "there is no organization",
        ),
        (&["organizations", "disable", "default"], "cannot be disabled"),
    ] {
        let told = bowline(folder, args).await.unwrap_err();
        assert!(told.contains(why), "{args:?}: {told}");
    }
    assert!(server.stop().success());
}
