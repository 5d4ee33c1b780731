//! A large body from one service to another, in a process of its own whose memory is looked at.

use std::process::{Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{get, put};
use bowline_blobs::Blobs;
use bowline_connector::StepContext;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde_json::json;

use crate::support::{call_in, context, serve};

const CHILD: &str = "BOWLINE_HTTP_MEMORY";
const PIECE: usize = 64 * 1024;
/// 64 MiB.
const PIECES: usize = 1024;

/// Most memory that this process has had, in KiB, as Linux counts it.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Not a test of its own: what runs in the other process. Tells by how much its memory grew.
#[tokio::test]
async fn child() {
    let Ok(base) = std::env::var(CHILD) else { return };
    let folder = tempfile::tempdir().unwrap();
    let ctx = StepContext {
        blobs: Some(Arc::new(Blobs::local(folder.path()).unwrap())),
        ..context(json!({}))
    };
    // Whatever is set up once does not count.
    call_in(
        &ctx,
        json!({ "url": format!("{base}/up"), "method": "PUT", "body": "x" }),
    )
    .await
    .unwrap();
    let before = peak();
    let down = json!({ "url": format!("{base}/down"), "timeout": "5m" });
    let blob = call_in(&ctx, down).await.unwrap()["body"].take();
    let up = json!({ "url": format!("{base}/up"), "method": "PUT", "body": blob, "timeout": "5m" });
    assert_eq!(call_in(&ctx, up).await.unwrap()["body"], (PIECE * PIECES).to_string());
    eprintln!("grew by {} KiB", peak() - before);
}

#[tokio::test]
async fn a_large_body_goes_through_in_pieces() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: memory is read from /proc");
        return;
    }
    let down = || async {
        let piece = Bytes::from(vec![7; PIECE]);
        let pieces = stream::iter((0..PIECES).map(move |_| Ok::<_, std::io::Error>(piece.clone())));
        Response::builder()
            .header("content-type", "video/mp4")
            .body(Body::from_stream(pieces))
            .unwrap()
    };
    let up = |body: Body| async move {
        let sizes = body.into_data_stream().map(|piece| piece.unwrap().len());
        sizes.fold(0, |all, size| async move { all + size }).await.to_string()
    };
    let base = serve(Router::new().route("/down", get(down)).route("/up", put(up))).await;
    let run = move || {
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "memory::child", "--nocapture"])
            .env(CHILD, base)
            .stdout(Stdio::null())
            .output()
            .unwrap()
    };
    let done = tokio::task::spawn_blocking(run).await.unwrap();
    let told = String::from_utf8_lossy(&done.stderr).into_owned();
    let grew = told
        .lines()
        .find_map(|line| line.strip_prefix("grew by ")?.strip_suffix(" KiB"));
    let grew: u64 = grew.unwrap_or_else(|| panic!("{told}")).parse().unwrap();
    eprintln!("{grew} KiB for {} KiB", PIECE * PIECES / 1024);
    assert!(grew < 24 * 1024, "{grew} KiB for {} KiB", PIECE * PIECES / 1024);
}
