use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bowline_host::{DEFAULT_ORGANIZATION, DeploymentSource, ErrorKind, Host, Start};

use crate::world::{World, files, until};

fn workflow(answer: u32) -> String {
    format!("name: pay\nsteps: [ {{ id: a, type: do, config: {{ answer: {answer} }} }} ]\n")
}

async fn version(host: &Host) -> Option<u32> {
    let all = host.workflows(DEFAULT_ORGANIZATION).await.unwrap();
    all.iter().find(|one| one.name == "pay").and_then(|one| one.version)
}

async fn problems(host: &Host) -> Vec<String> {
    let all = host.workflows(DEFAULT_ORGANIZATION).await.unwrap();
    let pay = all.into_iter().find(|one| one.name == "pay");
    pay.map(|one| one.problems.into_iter().map(|problem| problem.file).collect())
        .unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_file_is_deployed_and_a_broken_one_keeps_its_last_good_version() {
    let world = World::with_folder(&[
        ("pay.yaml", &workflow(1)),
        ("notes.txt", "no workflow"),
        ("input.json", "{ \"n\": 1 }"),
    ])
    .await;
    let host = &world.host;
    let file = world.home.path().join("flows/pay.yaml");
    assert_eq!((version(host).await, problems(host).await), (Some(1), vec![]));
    let first = &host.workflows(DEFAULT_ORGANIZATION).await.unwrap()[0];
    assert_eq!(
        (first.source, first.file.as_deref()),
        (Some(DeploymentSource::Folder), Some("pay.yaml"))
    );

    std::fs::write(&file, workflow(2)).unwrap();
    until(host.changes(), async || version(host).await == Some(2)).await;

    // Not even its name can be read any more.
    std::fs::write(&file, "name: [\n").unwrap();
    until(host.changes(), async || problems(host).await == ["pay.yaml"]).await;
    assert_eq!(version(host).await, Some(2));
    assert_eq!(host.active(None).borrow()[0].version, 2);

    std::fs::write(&file, workflow(2)).unwrap();
    until(host.changes(), async || problems(host).await.is_empty()).await;
    assert_eq!(version(host).await, Some(2));

    // A file that was never good is told too, and is forgotten with the file.
    let other = world.home.path().join("flows/other.yaml");
    std::fs::write(&other, "steps: nothing\n").unwrap();
    let count = async || host.workflows(DEFAULT_ORGANIZATION).await.unwrap().len();
    until(host.changes(), async || count().await == 2).await;
    std::fs::remove_file(&other).unwrap();
    until(host.changes(), async || count().await == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_file_is_part_of_each_workflow() {
    let world = World::with_folder(&[("pay.yaml", &workflow(1))]).await;
    let host = &world.host;
    let shared = world.home.path().join("flows/bowline.yaml");
    std::fs::write(&shared, "retention: { keep: 5 }\n").unwrap();
    until(host.changes(), async || version(host).await == Some(2)).await;
    let text = host
        .workflow(DEFAULT_ORGANIZATION, "pay", None)
        .await
        .unwrap()
        .shared_text;
    assert_eq!(text.as_deref(), Some("retention: { keep: 5 }\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_folder_has_is_changed_there_only() {
    let world = World::with_folder(&[("pay.yaml", &workflow(1))]).await;
    let host = &world.host;
    let besides = || files(&[("pay.yaml", &workflow(7))]);
    let error = host.deploy(DEFAULT_ORGANIZATION, besides()).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Conflict, "workflow.from-folder"));
    assert!(error.message.contains("pay.yaml"), "{error}");
    let error = host
        .withdraw(DEFAULT_ORGANIZATION, "pay", Some("ann"))
        .await
        .unwrap_err();
    assert_eq!(error.code, "workflow.from-folder");
    assert_eq!(version(host).await, Some(1));
    // Another organization's workflow of this name has nothing to do with it.
    host.deploy("acme", besides()).await.unwrap();

    // Where the file is gone, the name is free.
    std::fs::write(
        world.home.path().join("flows/b.yaml"),
        "name: b\nsteps: [ { wait: 1s } ]\n",
    )
    .unwrap();
    std::fs::remove_file(world.home.path().join("flows/pay.yaml")).unwrap();
    until(host.changes(), async || version(host).await.is_none()).await;
    let as_it_was = files(&[("pay.yaml", &workflow(1))]);
    host.deploy(DEFAULT_ORGANIZATION, as_it_was).await.unwrap();
    let world = world.restart_with_folder().await;
    assert_eq!(version(&world.host).await, Some(2), "no file of it is missed any more");
    world.host.deploy(DEFAULT_ORGANIZATION, besides()).await.unwrap();

    // What comes into the folder replaces what the API deployed.
    std::fs::write(world.home.path().join("flows/pay.yaml"), workflow(8)).unwrap();
    until(world.host.changes(), async || version(&world.host).await == Some(4)).await;
    let error = world.host.deploy(DEFAULT_ORGANIZATION, besides()).await.unwrap_err();
    assert_eq!(error.code, "workflow.from-folder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_finds_what_changed_meanwhile() {
    let world = World::with_folder(&[("pay.yaml", &workflow(1))]).await;
    // Without a folder the API may do as it likes.
    let world = world.restart().await;
    let besides = files(&[("pay.yaml", &workflow(7))]);
    world.host.deploy(DEFAULT_ORGANIZATION, besides).await.unwrap();
    let world = world.restart_with_folder().await;
    let shown = world.host.workflow(DEFAULT_ORGANIZATION, "pay", None).await.unwrap();
    assert_eq!((version(&world.host).await, shown.source_text), (Some(1), workflow(1)));
    world.host.stop(crate::world::PATIENCE).await;
    std::fs::write(world.home.path().join("flows/pay.yaml"), workflow(8)).unwrap();
    let world = world.restart_with_folder().await;
    assert_eq!(version(&world.host).await, Some(3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_gone_takes_its_workflow_out_of_use() {
    let world = World::with_folder(&[
        ("pay.yaml", &workflow(1)),
        ("b.yaml", "name: b\nsteps: [ { wait: 1s } ]\n"),
    ])
    .await;
    let host = &world.host;
    assert_eq!(host.active(None).borrow().len(), 2);
    std::fs::remove_file(world.home.path().join("flows/pay.yaml")).unwrap();
    until(host.changes(), async || version(host).await.is_none()).await;
    assert_eq!(host.active(None).borrow().len(), 1);
    let start = Start::new("pay", serde_json::json!({}));
    let error = host.start(DEFAULT_ORGANIZATION, start).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Gone, "workflow.withdrawn"));
    assert!(error.message.contains("its file pay.yaml is gone since 20"), "{error}");
    // A folder that is empty all at once is more likely not mounted.
    std::fs::remove_file(world.home.path().join("flows/b.yaml")).unwrap();
    let world = world.restart_with_folder().await;
    assert_eq!(world.host.active(None).borrow().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_away_for_a_moment_takes_nothing_out_of_use() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("flows");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("pay.yaml"), workflow(1)).unwrap();
    let mut options = crate::world::options(home.path());
    options.workflows = Some(folder.clone());
    options.away = Duration::from_secs(3600);
    let host = Host::open(options).await.unwrap();
    std::fs::remove_file(folder.join("pay.yaml")).unwrap();
    // The folder is looked at twice, so what the first look found is done.
    for name in ["b", "c"] {
        let file = folder.join(format!("{name}.yaml"));
        std::fs::write(file, format!("name: {name}\nsteps: [ {{ wait: 1s }} ]\n")).unwrap();
        let runs = || host.active(None).borrow().iter().any(|one| *one.workflow == *name);
        until(host.changes(), async || runs()).await;
    }
    assert_eq!(version(&host).await, Some(1));
    assert_eq!(host.active(None).borrow().len(), 3);
    let besides = files(&[("pay.yaml", &workflow(7))]);
    let error = host.deploy(DEFAULT_ORGANIZATION, besides).await.unwrap_err();
    assert_eq!(error.code, "workflow.from-folder", "it is still the folder's");
    // Under another name it is the same workflow.
    std::fs::write(folder.join("payment.yaml"), workflow(2)).unwrap();
    until(host.changes(), async || version(&host).await == Some(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_emptied_folder_had_can_be_removed() {
    let world = World::with_folder(&[("pay.yaml", &workflow(1))]).await;
    let file = world.home.path().join("flows/pay.yaml");
    std::fs::remove_file(&file).unwrap();
    let host = &world.host;
    let removed = async || host.withdraw(DEFAULT_ORGANIZATION, "pay", Some("ann")).await.is_ok();
    until(host.changes(), removed).await;
    assert_eq!(version(host).await, None);
    std::fs::write(&file, workflow(1)).unwrap();
    until(host.changes(), async || version(host).await == Some(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mistakes_in_the_shared_file_are_told_with_its_name() {
    let world = World::with_folder(&[
        ("pay.yaml", &workflow(1)),
        ("slow.yaml", "name: slow\nsteps: [ { wait: 1s } ]\n"),
        ("bowline.yaml", "retention: { keep: 5 }\nsever: {}\n"),
    ])
    .await;
    let all = world.host.workflows(DEFAULT_ORGANIZATION).await.unwrap();
    assert_eq!(all.len(), 2);
    for one in all {
        let problem = &one.problems[0];
        assert!(problem.message.contains("sever"), "{problem:?}");
        assert_eq!((problem.file.as_str(), problem.line), ("bowline.yaml", Some(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_found_although_the_folder_never_rests() {
    let world = World::with_folder(&[("pay.yaml", &workflow(1))]).await;
    let folder = world.home.path().join("flows");
    let busy = Arc::new(AtomicBool::new(true));
    let writer = {
        let (log, busy) = (folder.join("noise.log"), Arc::clone(&busy));
        std::thread::spawn(move || {
            let mut log = std::fs::File::create(log).unwrap();
            while busy.load(Ordering::SeqCst) {
                log.write_all(b"more\n").unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        })
    };
    std::fs::write(folder.join("pay.yaml"), workflow(2)).unwrap();
    let changed = until(world.host.changes(), async || version(&world.host).await == Some(2));
    // Long enough for a busy machine; without a bound it would never come, as looking without being told waits too.
    changed.await;
    busy.store(false, Ordering::SeqCst);
    writer.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_that_is_not_there_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let mut options = crate::world::options(home.path());
    options.workflows = Some(home.path().join("nowhere"));
    let error = Host::open(options).await.err().unwrap();
    assert_eq!(error.code, "workflows.folder");
    assert!(error.message.contains("nowhere"));
}
