//! The inspector in a real browser, on real executions: every action is driven, and nothing may go wrong beside it.
//!
//! The test starts the server with workflows of its own and mock services, and runs `acceptance/browser/inspector.mjs`
//! with Node. That fails on any error in the console, any failed request, and any violation of accessibility that axe
//! finds (light, dark, and 375 pixels wide), and leaves pictures in `target/screenshots`. It needs Chromium, Node, and
//! the packages of `acceptance/browser/package.json` in `target/browser`; `scripts/test` installs all of them.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::Registry;
use bowline_expression::Masker;
use bowline_host::{Host, HostOptions};
use bowline_server::{Config, Server, Stop};
use bowline_testing::MockServices;
use tokio::net::TcpListener;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// The first of these programs that is there.
fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
}

fn registry() -> Registry {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_connector_sql::register(&mut registry);
    bowline_connector_mail::register(&mut registry);
    bowline_webhooks::register(&mut registry);
    bowline_triggers::register(&mut registry);
    registry
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_can_be_done_in_a_browser() {
    let modules = target().join("browser/node_modules");
    let (Some(chromium), Some(node)) = (
        program(&["chromium", "chromium-browser", "google-chrome"]),
        program(&["node"]),
    ) else {
        println!("skipped: the inspector in a browser: Chromium or Node is not there");
        return;
    };
    if !modules.is_dir() {
        println!(
            "skipped: the inspector in a browser: its packages are not in target/browser (scripts/test installs them)"
        );
        return;
    }

    let folder = tempfile::tempdir().unwrap();
    let workflows = folder.path().join("workflows");
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspector/workflows");
    std::fs::create_dir(&workflows).unwrap();
    for file in std::fs::read_dir(own).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), workflows.join(file.file_name())).unwrap();
    }
    let mocks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inspector/mocks.yaml");
    let mocks = MockServices::start_file(mocks).await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let mut options = HostOptions::new(folder.path().join("data"), Arc::new(registry()), Masker::default());
    options.workflows = Some(workflows.clone());
    options.env = mocks.env();
    options.public_url = Some(url.clone());
    let host = Host::open(options).await.unwrap();
    let stop = Stop::new();
    let server = Server::new(Config::default(), host.clone(), listener, stop.clone()).unwrap();
    let serving = tokio::spawn(server.run());

    let screenshots = target().join("screenshots");
    std::fs::create_dir_all(&screenshots).unwrap();
    let mut script = std::process::Command::new(node);
    script
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/inspector.mjs"))
        .env("BOWLINE_URL", &url)
        .env("BOWLINE_WORKFLOWS", &workflows)
        .env("BOWLINE_CHROMIUM", chromium)
        .env("BOWLINE_MODULES", modules.canonicalize().unwrap())
        .env("BOWLINE_SCREENSHOTS", &screenshots)
        .stdin(Stdio::null());
    // It ends by itself when it takes too long.
    let output = tokio::task::spawn_blocking(move || script.output())
        .await
        .unwrap()
        .unwrap();
    stop.stop();
    serving.await.unwrap();
    host.stop(Duration::from_secs(1)).await;
    mocks.stop().await;
    let (told, wrong) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    println!("{told}");
    assert!(output.status.success(), "{told}\n{wrong}");
}
