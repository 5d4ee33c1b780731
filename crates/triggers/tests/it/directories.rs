//! Files that start workflows.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::world::{World, until};

/// Takes a file and ends, or fails where its name says so.
fn workflow(folder: &Path, more: &str) -> String {
    format!(
        "name: files\ntriggers:\n  - id: in\n    type: directory-watcher\n    config:\n      path: {}\n      \
         pattern: '*.csv'\n      debounce: 20ms\n      rescan: 200ms\n{more}steps:\n  - when: \"${{input.name = 'bad.csv'}}\"\n    fail: {{ error: bad, message: bad }}\n\
         output: '${{input}}'\n",
        folder.display()
    )
}

async fn inputs(world: &World) -> Vec<Value> {
    let mut inputs = Vec::new();
    for execution in world.executions("default").await {
        let input = world
            .host
            .payload("default", &execution.id, bowline_host::Which::Input)
            .await
            .unwrap();
        inputs.push(input.unwrap());
    }
    inputs
}

/// Event and name of each execution, as soon as there are so many, and a look later.
async fn events(world: &World, count: usize) -> Vec<(String, String)> {
    let inputs = until("the executions", || async {
        let inputs = inputs(world).await;
        (inputs.len() >= count).then_some(inputs)
    })
    .await;
    let text = |input: &Value, field: &str| input[field].as_str().unwrap().to_owned();
    let mut events: Vec<_> = inputs
        .iter()
        .map(|input| (text(input, "event"), text(input, "name")))
        .collect();
    events.sort();
    events
}

fn event(event: &str, name: &str) -> (String, String) {
    (event.to_owned(), name.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_starts_one_execution_whatever_is_told_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("in");
    fs::create_dir(&inbox).unwrap();
    fs::write(inbox.join("before.csv"), "1").unwrap();
    fs::write(inbox.join("other.txt"), "1").unwrap();
    let world = World::open(folder.path()).await;
    world
        .deploy(
            "default",
            &workflow(&inbox, "      events: [created, modified, deleted]\n"),
        )
        .await;
    assert_eq!(events(&world, 1).await, [event("created", "before.csv")]);
    fs::write(inbox.join("a.csv"), "abc").unwrap();
    assert_eq!(events(&world, 2).await.len(), 2);
    let input = inputs(&world).await.remove(1);
    let expected = json!({
        "type": "directory-watcher", "event": "created", "path": inbox.join("a.csv"), "name": "a.csv",
        "folder": inbox, "relativePath": "a.csv", "size": 3,
        "modifiedAt": input["modifiedAt"], "detectedAt": input["detectedAt"],
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    });
    assert_eq!(input, expected);
    // Touched: the same content is no modification. The next file shows that it was looked at and left alone.
    fs::write(inbox.join("a.csv"), "abc").unwrap();
    fs::write(inbox.join("b.csv"), "b").unwrap();
    assert_eq!(events(&world, 3).await.len(), 3);
    fs::write(inbox.join("a.csv"), "abcd").unwrap();
    assert!(events(&world, 4).await.contains(&event("modified", "a.csv")));
    fs::remove_file(inbox.join("b.csv")).unwrap();
    assert!(events(&world, 5).await.contains(&event("deleted", "b.csv")));
    world.close().await;

    // While nobody watched: one came, one changed, one went, one stayed.
    fs::write(inbox.join("c.csv"), "c").unwrap();
    fs::write(inbox.join("a.csv"), "abcde").unwrap();
    fs::remove_file(inbox.join("before.csv")).unwrap();
    let world = World::open(folder.path()).await;
    let expected = [
        event("created", "a.csv"),
        event("created", "b.csv"),
        event("created", "before.csv"),
        event("created", "c.csv"),
        event("deleted", "b.csv"),
        event("deleted", "before.csv"),
        event("modified", "a.csv"),
        event("modified", "a.csv"),
    ];
    assert_eq!(events(&world, 8).await, expected);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_where_they_belong_when_their_execution_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, done, bad) = (
        folder.path().join("in"),
        folder.path().join("in/done"),
        folder.path().join("bad"),
    );
    fs::create_dir_all(inbox.join("deep")).unwrap();
    let world = World::open(folder.path()).await;
    let after = format!(
        "      recursive: true\n      after: {{ move: {}, failed: {} }}\n",
        done.display(),
        bad.display()
    );
    world.deploy("default", &workflow(&inbox, &after)).await;
    fs::write(inbox.join("deep/good.csv"), "1").unwrap();
    fs::write(inbox.join("bad.csv"), "2").unwrap();
    let is_put_away = || async { (done.join("deep/good.csv").exists() && bad.join("bad.csv").exists()).then_some(()) };
    until("the files in their places", is_put_away).await;
    assert!(!inbox.join("deep/good.csv").exists() && !inbox.join("bad.csv").exists());
    // The same file again is a file again.
    fs::write(inbox.join("deep/good.csv"), "1").unwrap();
    until("the second one", || async {
        done.join("deep/good-1.csv").exists().then_some(())
    })
    .await;
    assert_eq!(world.executions("default").await.len(), 3);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_grows_is_taken_when_it_is_whole() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("in");
    fs::create_dir(&inbox).unwrap();
    let world = World::open(folder.path()).await;
    let text = workflow(&inbox, "").replace("debounce: 20ms", "debounce: 1s");
    world.deploy("default", &text).await;
    let mut file = fs::File::create(inbox.join("a.csv")).unwrap();
    for _ in 0..20 {
        file.write_all(&[b'x'; 1000]).unwrap();
        file.flush().unwrap();
        // It is written for as long as it takes to become whole, were it not written to.
        tokio::time::sleep(std::time::Duration::from_millis(75)).await;
        assert!(world.executions("default").await.is_empty());
    }
    assert_eq!(events(&world, 1).await, [event("created", "a.csv")]);
    assert_eq!(inputs(&world).await[0]["size"], 20_000);
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn existing_files_can_be_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("in");
    fs::create_dir(&inbox).unwrap();
    fs::write(inbox.join("old.csv"), "1").unwrap();
    let more = "      existing: ignore\n      poll: true\n      events: [created, modified]\n";
    let world = World::open(folder.path()).await;
    world.deploy("default", &workflow(&inbox, more)).await;
    // The second walk is after the first.
    until("the first look", || async {
        let noted = world.host.store().entries(&bowline_store::EntryRange {
            space: "seen".into(),
            limit: 10,
            ..Default::default()
        });
        (noted.unwrap().len() == 2).then_some(())
    })
    .await;
    world.close().await;
    fs::write(inbox.join("new.csv"), "1").unwrap();
    let world = World::open(folder.path()).await;
    assert_eq!(events(&world, 1).await, [event("created", "new.csv")]);
    fs::write(inbox.join("old.csv"), "2").unwrap();
    assert_eq!(
        events(&world, 2).await,
        [event("created", "new.csv"), event("modified", "old.csv")]
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_may_come_later_and_be_away_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let inbox = folder.path().join("in");
    let world = World::open(folder.path()).await;
    world
        .deploy("default", &workflow(&inbox, "      events: [created, deleted]\n"))
        .await;
    let problem = || async { world.triggers.list("default").first()?.problem.clone() };
    assert!(until("the problem", problem).await.contains("in"));
    fs::create_dir(&inbox).unwrap();
    fs::write(inbox.join("a.csv"), "1").unwrap();
    assert_eq!(events(&world, 1).await, [event("created", "a.csv")]);
    // As an unmounted file system: nothing counts as deleted.
    fs::rename(&inbox, folder.path().join("away")).unwrap();
    until("the problem", problem).await;
    fs::rename(folder.path().join("away"), &inbox).unwrap();
    fs::write(inbox.join("b.csv"), "1").unwrap();
    assert_eq!(
        events(&world, 2).await,
        [event("created", "a.csv"), event("created", "b.csv")]
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_place_of_a_file_system_deletes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, away) = (folder.path().join("in"), folder.path().join("away"));
    fs::create_dir(&inbox).unwrap();
    fs::write(inbox.join("a.csv"), "1").unwrap();
    let world = World::open(folder.path()).await;
    let more = "      events: [created, deleted]\n";
    world.deploy("default", &workflow(&inbox, more)).await;
    assert_eq!(events(&world, 1).await, [event("created", "a.csv")]);
    fs::rename(&inbox, &away).unwrap();
    fs::create_dir(&inbox).unwrap();
    let problem = || async {
        let problem = world.triggers.list("default").first()?.problem.clone();
        problem.filter(|problem| problem.contains("another directory"))
    };
    until("the problem", problem).await;
    world.close().await;
    // Also at a start.
    let world = World::open(folder.path()).await;
    let problem = || async {
        let problem = world.triggers.list("default").first()?.problem.clone();
        problem.filter(|problem| problem.contains("another directory"))
    };
    until("the problem", problem).await;
    fs::remove_dir(&inbox).unwrap();
    fs::rename(&away, &inbox).unwrap();
    fs::write(inbox.join("b.csv"), "1").unwrap();
    assert_eq!(
        events(&world, 2).await,
        [event("created", "a.csv"), event("created", "b.csv")]
    );
    fs::remove_file(inbox.join("a.csv")).unwrap();
    assert_eq!(events(&world, 3).await[2], event("deleted", "a.csv"));
    world.close().await;
}
