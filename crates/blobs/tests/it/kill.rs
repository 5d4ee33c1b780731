//! A process that is killed while it puts: what it has answered for is there and whole, and what is left over is
//! collected.

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use bowline_blobs::Blobs;
use bowline_core::{BlobId, BlobInfo, BlobRef, BlobStore};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

const CHILD: &str = "BOWLINE_BLOBS_KILL";
const SIZE: usize = 3_000_000;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Not a test of its own: what is run and killed. It tells each blob that it has put.
#[test]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let blobs = Blobs::local(folder).unwrap();
    runtime().block_on(async {
        for number in 0_u32.. {
            let first = Bytes::copy_from_slice(&number.to_le_bytes());
            let pieces = (0..SIZE / 60_000).map(|at| Ok(Bytes::from(vec![at as u8; 60_000])));
            let content = stream::iter([Ok(first)]).chain(stream::iter(pieces));
            let blob = blobs.put(content.boxed(), BlobInfo::default()).await.unwrap();
            eprintln!("put {} {}", blob.id, blob.size);
        }
    });
}

#[test]
fn a_killed_put_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let mut answered = Vec::new();
    for delay in [0, 1, 3, 7, 12, 20] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child", "--nocapture"])
            .env(CHILD, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // The first answer says that puts are under way; how far the next is, is what the delay varies.
        let first = lines
            .find_map(|line| line.ok().filter(|line| line.starts_with("put ")))
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().unwrap();
        child.wait().unwrap();
        answered.push(first);
        answered.extend(
            lines
                .map_while(Result::ok)
                .filter(|line| line.ends_with(&format!(" {}", SIZE + 4))),
        );
    }
    assert!(answered.len() >= 6);

    let blobs = Blobs::local(folder.path()).unwrap();
    runtime().block_on(async {
        for line in &answered {
            let (id, size) = line.trim_start_matches("put ").split_once(' ').unwrap();
            let blob = BlobRef {
                id: BlobId::parse(id).unwrap(),
                size: size.parse().unwrap(),
                content_type: None,
                grant: None,
            };
            whole(&blobs, blob).await;
        }
        // Also what nobody was told of is whole, or not there.
        for kept in blobs.list().try_collect::<Vec<_>>().await.unwrap() {
            let blob = BlobRef {
                id: kept.id,
                size: kept.size,
                content_type: None,
                grant: None,
            };
            whole(&blobs, blob).await;
        }
    });

    let old = SystemTime::now() - Duration::from_hours(48);
    let left: Vec<_> = std::fs::read_dir(folder.path().join("tmp")).unwrap().collect();
    for entry in &left {
        let file = File::options()
            .write(true)
            .open(entry.as_ref().unwrap().path())
            .unwrap();
        file.set_modified(old).unwrap();
    }
    let done = runtime().block_on(blobs.collect(|_| Ok::<_, Infallible>(true), Duration::from_hours(24)));
    assert_eq!(done.unwrap().leftovers, left.len() as u64);
    assert_eq!(std::fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

async fn whole(blobs: &Blobs, blob: BlobRef) {
    let mut content = blobs.open(&blob).await.unwrap();
    while let Some(piece) = content.next().await {
        piece.unwrap();
    }
}
