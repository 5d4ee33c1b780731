//! Payloads that are too large for a journal, out to the store and back.

use bowline_blobs::Blobs;
use bowline_core::{
    BlobError, BlobId, BlobStore, Event, INLINE_LIMIT, Outcome, Payload, decode, encode, externalize,
    externalize_events, internalize,
};
use futures_util::StreamExt;
use serde_json::{Value, json};

fn payload(letter: &str, size: usize) -> Payload {
    // Two quotes around it.
    Payload::of(&letter.repeat(size - 2)).unwrap()
}

fn completed(path: &str, output: Payload) -> Event {
    Event::StepCompleted {
        path: path.into(),
        attempt: 1,
        output,
    }
}

#[tokio::test]
async fn large_payloads_leave_the_journal_and_come_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(folder.path()).unwrap();
    let (at_limit, over) = (payload("a", INLINE_LIMIT), payload("b", INLINE_LIMIT + 1));
    let small = externalize(at_limit.clone(), &blobs).await.unwrap();
    assert_eq!(small.stored(), None);
    let stored = externalize(over.clone(), &blobs).await.unwrap();
    assert_eq!(stored.text(), over.text(), "whoever holds it sees no difference");
    assert_eq!(stored.stored().unwrap().size, INLINE_LIMIT as u64 + 1);

    let mut events = vec![
        completed("one", small),
        completed("two", stored.clone()),
        completed("three", stored),
        Event::Finished {
            outcome: Outcome::Succeeded(payload("c", 2_000_000)),
        },
    ];
    let before = events.clone();
    externalize_events(&mut events, &blobs).await.unwrap();
    assert_eq!(blobs.list().count().await, 2);
    let record = encode(&events).unwrap();
    assert!(record.len() < INLINE_LIMIT + 2000, "{}", record.len());
    assert_eq!(BlobId::all_in(&record).len(), 2);

    let mut read = decode(&record).unwrap();
    let Event::StepCompleted { output, .. } = &read[1] else {
        panic!("{:?}", read[1])
    };
    let error = output.parse::<Value>().unwrap_err().to_string();
    assert!(error.contains("has not been loaded"), "{error}");
    internalize(&mut read, &blobs).await.unwrap();
    assert_eq!(read, before);
    assert_eq!(encode(&read).unwrap(), record, "written again it is the same record");
}

#[tokio::test]
async fn what_is_gone_or_damaged_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(folder.path()).unwrap();
    let stored = externalize(payload("d", 100_000), &blobs).await.unwrap();
    let blob = stored.stored().unwrap().clone();
    let record = encode(&[completed("step", stored)]).unwrap();
    blobs.delete(&blob.id).await.unwrap();
    let error = internalize(&mut decode(&record).unwrap(), &blobs).await.unwrap_err();
    assert!(matches!(&error, BlobError::Missing(id) if *id == blob.id), "{error}");

    let not_json = blobs.put_bytes("{".repeat(100_000).into(), None).await.unwrap();
    let record = encode(&[completed("step", payload("e", 9).stored_as(not_json).unwrap())]).unwrap();
    let error = internalize(&mut decode(&record).unwrap(), &blobs).await.unwrap_err();
    assert!(matches!(&error, BlobError::Damaged { .. }), "{error}");
}

#[tokio::test]
async fn references_inside_of_a_stored_payload_are_found_in_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::local(folder.path()).unwrap();
    let inner = blobs.put_bytes("inner".into(), None).await.unwrap();
    let output = Payload::of(&json!({ "file": inner, "padding": "x".repeat(INLINE_LIMIT) })).unwrap();
    let stored = externalize(output, &blobs as &dyn BlobStore).await.unwrap();
    let outer = stored.stored().unwrap().id.clone();
    let found = BlobId::all_in(&encode(&[completed("step", stored)]).unwrap());
    assert_eq!(found, [inner.id, outer].into());
}
