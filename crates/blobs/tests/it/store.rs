//! The store of blobs in a folder, and in memory: what is kept, what is refused, what is noticed, what is collected.

use std::convert::Infallible;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bowline_blobs::{Blobs, Collected, MIN_AGE};
use bowline_core::{BlobError, BlobId, BlobInfo, BlobRef, BlobStore, ByteStream};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::memory::InMemory;

const DAY: Duration = Duration::from_hours(24);

/// Pieces of different content: piece `n` is full of the byte `n`.
fn pieces(number: usize, size: usize) -> ByteStream {
    stream::iter((0..number).map(move |at| Ok(Bytes::from(vec![at as u8; size])))).boxed()
}

async fn read(blobs: &Blobs, blob: &BlobRef) -> Result<Vec<u8>, BlobError> {
    let pieces = blobs.open(blob).await?;
    pieces
        .try_fold(Vec::new(), |mut all, piece| async move {
            all.extend_from_slice(&piece);
            Ok(all)
        })
        .await
}

fn place(folder: &Path, id: &BlobId) -> PathBuf {
    folder.join("sha256").join(&id.hex()[..2]).join(&id.hex()[2..])
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

fn make_old(path: &Path, age: Duration) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - age).unwrap();
}

fn local() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(folder.path()).unwrap();
    (folder, blobs)
}

#[tokio::test]
async fn what_is_put_comes_back_whatever_its_size() {
    let (_folder, local) = local();
    let memory = Blobs::new(Arc::new(InMemory::new()), "some/prefix");
    for blobs in [local, memory] {
        for (number, size) in [(0, 0), (1, 1), (1, 256 * 1024), (3, 100_000), (41, 300_001)] {
            let info = BlobInfo {
                content_type: Some("image/png".into()),
                announced: Some((number * size) as u64),
            };
            let blob = blobs.put(pieces(number, size), info).await.unwrap();
            assert_eq!(blob.size, (number * size) as u64);
            assert_eq!(blob.content_type.as_deref(), Some("image/png"));
            assert!(blobs.exists(&blob.id).await.unwrap());
            let expected: Vec<u8> = (0..number).flat_map(|at| vec![at as u8; size]).collect();
            assert!(read(&blobs, &blob).await.unwrap() == expected, "{number} of {size}");
        }
        let listed: Vec<_> = blobs.list().try_collect().await.unwrap();
        assert_eq!(listed.len(), 5);
    }
}

#[tokio::test]
async fn the_name_is_the_hash() {
    let (folder, blobs) = local();
    let blob = blobs.put_bytes(Bytes::from_static(b"abc"), None).await.unwrap();
    assert_eq!(
        blob.id.as_str(),
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(fs::read(place(folder.path(), &blob.id)).unwrap(), b"abc");
}

#[tokio::test]
async fn the_same_content_put_by_many_at_once_is_kept_once() {
    let (folder, blobs) = local();
    for (number, size) in [(1, 100), (8, 200_000)] {
        let puts = (0..8).map(|_| blobs.put(pieces(number, size), BlobInfo::default()));
        let done = futures_util::future::try_join_all(puts).await.unwrap();
        assert!(done.windows(2).all(|two| two[0] == two[1]));
        read(&blobs, &done[0]).await.unwrap();
    }
    assert_eq!(files(folder.path()).len(), 2, "nothing temporary is left either");
}

#[tokio::test]
async fn a_limit_is_told_before_reading_and_held_while_reading() {
    let (folder, blobs) = local();
    let blobs = blobs.with_limit(1_000_000, "blobs.maxSize");
    let untouched = stream::poll_fn(|_| -> std::task::Poll<Option<Result<Bytes, BlobError>>> {
        panic!("it was read");
    });
    let info = BlobInfo {
        announced: Some(1_000_001),
        ..BlobInfo::default()
    };
    let error = blobs.put(untouched.boxed(), info).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the content has 1000001 bytes, and blobs.maxSize is 1000000"
    );
    let error = blobs
        .put(pieces(usize::MAX, 100_000), BlobInfo::default())
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the content has more than 1000000 bytes, and blobs.maxSize is 1000000"
    );
    blobs.put(pieces(10, 100_000), BlobInfo::default()).await.unwrap();
    assert_eq!(blobs.list().count().await, 1);
    drop(folder);
}

#[tokio::test]
async fn content_that_breaks_off_is_not_kept() {
    let (_folder, blobs) = local();
    let broken = pieces(9, 100_000).chain(stream::iter([Err(BlobError::Source("cut".into()))]));
    let error = blobs.put(broken.boxed(), BlobInfo::default()).await.unwrap_err();
    assert!(matches!(error, BlobError::Source(_)), "{error}");
    let info = BlobInfo {
        announced: Some(7),
        ..BlobInfo::default()
    };
    let error = blobs.put(pieces(1, 6), info).await.unwrap_err();
    assert!(matches!(error, BlobError::Source(_)), "{error}");
    assert_eq!(blobs.list().count().await, 0);
}

#[tokio::test]
async fn damage_is_noticed_before_the_last_piece_is_out() {
    let (folder, blobs) = local();
    let blob = blobs.put(pieces(4, 256 * 1024), BlobInfo::default()).await.unwrap();
    let path = place(folder.path(), &blob.id);
    let whole = fs::read(&path).unwrap();

    let mut flipped = whole.clone();
    flipped[300_000] ^= 1;
    fs::write(&path, &flipped).unwrap();
    let mut content = blobs.open(&blob).await.unwrap();
    let mut out = 0;
    let error = loop {
        match content.next().await.unwrap() {
            Ok(piece) => out += piece.len(),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, BlobError::Damaged { id, .. } if *id == blob.id),
        "{error}"
    );
    assert!(out < whole.len(), "{out}");

    for damaged in [&whole[..whole.len() - 1], &[&whole[..], b"x"].concat(), b""] {
        fs::write(&path, damaged).unwrap();
        let error = read(&blobs, &blob).await.unwrap_err();
        assert!(matches!(error, BlobError::Damaged { .. }), "{error}");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(read(&blobs, &blob).await.unwrap_err(), BlobError::Missing(_)));
}

#[tokio::test]
async fn what_is_old_and_unused_is_collected_and_nothing_else() {
    let (folder, blobs) = local();
    let put = async |text: &'static str, age: Duration| {
        let blob = blobs
            .put_bytes(Bytes::from_static(text.as_bytes()), None)
            .await
            .unwrap();
        make_old(&place(folder.path(), &blob.id), age);
        blob
    };
    let used = put("used", 3 * DAY).await;
    let unused = put("unused", 3 * DAY).await;
    let young = put("young", DAY / 2).await;
    fs::create_dir_all(folder.path().join("tmp")).unwrap();
    for (name, age) in [
        ("tmp/0197-finished", 3 * DAY),
        ("tmp/0198-unfinished#1", 3 * DAY),
        ("tmp/0199-under-way#1", Duration::ZERO),
        ("sha256/ab/unfinished#2", 3 * DAY),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "half").unwrap();
        make_old(&path, age);
    }
    let id = used.id.clone();
    let done = blobs
        .collect(move |asked| Ok::<_, Infallible>(*asked == id), DAY)
        .await
        .unwrap();
    assert_eq!(
        done,
        Collected {
            kept: 2,
            deleted: 1,
            deleted_bytes: 6,
            leftovers: 3
        }
    );
    for (blob, there) in [(&used, true), (&young, true), (&unused, false)] {
        assert_eq!(blobs.exists(&blob.id).await.unwrap(), there, "{blob:?}");
    }
    assert_eq!(files(folder.path()).len(), 3, "with what is under way");
}

#[tokio::test]
async fn a_collection_spares_what_is_put_meanwhile_and_ends_when_it_cannot_know() {
    let (folder, blobs) = local();
    let blob = blobs.put_bytes(Bytes::from_static(b"again"), None).await.unwrap();
    let path = place(folder.path(), &blob.id);
    make_old(&path, 3 * DAY);

    let done = blobs
        .collect(|_| Err(std::io::Error::other("the store is shut")), DAY)
        .await;
    assert!(matches!(done, Err(BlobError::Source(_))), "{done:?}");
    assert!(path.exists());

    // Between the question and the deletion somebody puts the same content, and relies on it.
    let (again, handle) = (blobs.clone(), tokio::runtime::Handle::current());
    let put_meanwhile = move |_: &BlobId| {
        let put = again.put_bytes(Bytes::from_static(b"again"), None);
        handle.block_on(put).map(|_| false)
    };
    let done = blobs.collect(put_meanwhile, DAY).await.unwrap();
    assert_eq!((done.deleted, done.kept), (0, 1));
    read(&blobs, &blob).await.unwrap();

    make_old(&path, MIN_AGE / 2);
    let done = blobs
        .collect(|_| Ok::<_, Infallible>(false), Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(done.kept, 1, "less than the smallest age counts as that");
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Blobs::local(file.join("blobs")).err().unwrap();
    assert!(format!("{error:?}").contains("file/blobs"), "{error:?}");
}
