use bowline_host::{Deploy, DeploymentSource, ErrorKind, Rerun, Retry, Start};
use serde_json::json;

use crate::world::{THEM, US, World, files};

const ONE: &str = "name: pay\ndescription: pays\nsteps: [ { id: a, type: do, config: { answer: 1 } } ]\n";
const TWO: &str = "name: pay\nsteps: [ { id: a, type: do, config: { answer: 2 } }, { id: b, type: do, config: {} } ]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_content_is_the_same_version_and_the_last_one_runs() {
    let world = World::new().await;
    assert_eq!(world.deploy("pay", ONE).await, 1);
    let again = world.host.deploy(US, files(&[("pay.yaml", ONE)])).await.unwrap();
    assert_eq!(
        (again.deployments[0].version, again.unchanged.as_slice()),
        (1, &["pay".to_owned()][..])
    );
    assert_eq!(world.deploy("pay", TWO).await, 2);
    let (id, _) = world.run("pay", json!({})).await;
    assert_eq!(world.host.execution(US, &id).await.unwrap().summary.version, Some(2));

    let mut old = Start::new("pay", json!({}));
    old.version = Some(1);
    let id = world.host.start(US, old).await.unwrap().id;
    assert_eq!(
        world.end(&id).await.output,
        Some(json!(1)),
        "an older version can be named"
    );

    // An older content that comes again is current again, and stays so.
    assert_eq!(world.deploy("pay", ONE).await, 1);
    let world = world.restart().await;
    let workflow = world.host.workflow(US, "pay", None).await.unwrap();
    assert_eq!((workflow.summary.version, workflow.current), (Some(1), true));
    assert_eq!(
        workflow.versions.iter().map(|one| one.version).collect::<Vec<_>>(),
        [2, 1]
    );
    assert_eq!(workflow.source_text, ONE);
    assert!(workflow.graph.unwrap().mermaid.contains("flowchart"));
    assert_eq!(world.deploy("pay", TWO).await, 2);
    let world = world.restart().await;
    assert_eq!(
        world.host.workflow(US, "pay", None).await.unwrap().summary.version,
        Some(2)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_deployed_where_one_file_has_problems() {
    let world = World::new().await;
    let both = files(&[
        ("pay.yaml", ONE),
        ("bad.yaml", "name: bad\nsteps:\n  - { id: a, typ: do }\n"),
    ]);
    let error = world.host.deploy(US, both).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "workflow.invalid"));
    assert_eq!(
        (error.problems[0].file.as_str(), error.problems[0].line),
        ("bad.yaml", Some(3))
    );
    assert!(world.host.workflows(US).await.unwrap().is_empty());

    for (name, text) in [
        ("pay.txt", ONE),
        ("../pay.yaml", ONE),
        ("bowline.yaml", "retention: { keep: 3 }"),
    ] {
        let error = world.host.deploy(US, files(&[(name, text)])).await.unwrap_err();
        assert_eq!(error.code, "deploy.files", "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_keeps_nothing_and_an_unexpected_version_is_a_conflict() {
    let world = World::new().await;
    let rehearsal = Deploy {
        dry_run: true,
        ..files(&[("pay.yaml", ONE)])
    };
    let rehearsed = world.host.deploy(US, rehearsal).await.unwrap();
    assert_eq!((rehearsed.deployments[0].version, rehearsed.dry_run), (1, true));
    assert!(world.host.workflows(US).await.unwrap().is_empty());

    world.deploy("pay", ONE).await;
    let hash = world.host.workflow(US, "pay", None).await.unwrap().deployment.hash;
    let change = |expects: &str| Deploy {
        expects: Some(expects.to_owned()),
        ..files(&[("pay.yaml", TWO)])
    };
    let error = world.host.deploy(US, change("something else")).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Conflict, "workflow.changed"));
    world.host.deploy(US, change(&hash)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_child_may_be_deployed_before_and_is_part_of_the_version() {
    let world = World::new().await;
    let parent = "name: parent\nsteps: [ { id: c, workflow: pay } ]\n";
    let error = world
        .host
        .deploy(US, files(&[("parent.yaml", parent)]))
        .await
        .unwrap_err();
    assert_eq!(error.code, "workflow.invalid", "nothing has the name of the child");
    world.deploy("pay", ONE).await;
    world.deploy("parent", parent).await;
    let (id, ended) = world.run("parent", json!({})).await;
    assert_eq!(ended.output, Some(json!(1)));
    // What was deployed is as it was, whatever becomes of the child.
    world.deploy("pay", TWO).await;
    assert_eq!(world.run("parent", json!({})).await.1.output, Some(json!(1)));
    let execution = world.host.execution(US, &id).await.unwrap();
    assert_eq!(execution.children.len(), 1);
    assert_eq!(execution.steps[0].child.as_ref().unwrap().workflow, "pay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn versions_are_compared() {
    let world = World::new().await;
    world.deploy("pay", ONE).await;
    world.deploy("pay", TWO).await;
    let difference = world.host.diff(US, "pay", 1, 2).await.unwrap();
    assert_eq!(difference.added[0].path, "b");
    assert_eq!(difference.changed[0].path, "a");
    assert!(difference.text.contains("-description: pays"), "{}", difference.text);
    assert_eq!(
        world.host.diff(US, "pay", 1, 9).await.unwrap_err().code,
        "workflow.version-not-found"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workflows_of_others_do_not_exist() {
    let world = World::new().await;
    world.deploy("pay", ONE).await;
    world.deploy("pay", TWO).await;
    let host = &world.host;
    assert!(host.workflows(THEM).await.unwrap().is_empty());
    assert!(host.active(Some(THEM)).borrow().is_empty());
    assert_eq!(host.active(None).borrow().len(), 1);
    let errors = [
        host.workflow(THEM, "pay", None).await.unwrap_err(),
        host.diff(THEM, "pay", 1, 2).await.unwrap_err(),
        host.start(THEM, Start::new("pay", json!({}))).await.unwrap_err(),
        host.pause_workflow(THEM, "pay").await.unwrap_err(),
        host.unpause_workflow(THEM, "pay").await.unwrap_err(),
        host.withdraw(THEM, "pay", None).await.unwrap_err(),
        host.test_connection(THEM, "pay", "any").await.unwrap_err(),
    ];
    for error in errors {
        let unknown = host.workflow(THEM, "nothing", None).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code, &error.hint),
            (ErrorKind::NotFound, "workflow.not-found", &unknown.hint)
        );
    }
    // The same name is another workflow there.
    let theirs = host.deploy(THEM, files(&[("pay.yaml", TWO)])).await.unwrap();
    assert_eq!(theirs.deployments[0].version, 1);
    assert_eq!(theirs.deployments[0].source, DeploymentSource::Api);
    assert_eq!(host.workflow(US, "pay", None).await.unwrap().versions.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_that_is_withdrawn_starts_no_more_until_it_comes_again() {
    let world = World::new().await;
    world.deploy("pay", ONE).await;
    let (id, _) = world.run("pay", json!({})).await;
    world.host.withdraw(US, "pay", Some("ann")).await.unwrap();
    let error = world.host.start(US, Start::new("pay", json!({}))).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Gone, "workflow.withdrawn"));
    assert!(error.message.contains("ann removed it at 20"), "{error}");
    // Nor is what it did done again.
    let error = world.host.rerun(US, &id, Rerun::default()).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Gone, "workflow.withdrawn"));
    let error = world.host.retry(US, &id, Retry::default()).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Gone, "workflow.withdrawn"));
    let mut named = Start::new("pay", json!({}));
    named.version = Some(1);
    assert_eq!(
        world.host.start(US, named).await.unwrap_err().code,
        "workflow.withdrawn"
    );
    assert_eq!(
        world.host.withdraw(US, "pay", None).await.unwrap_err().code,
        "workflow.withdrawn"
    );
    assert!(world.host.active(None).borrow().is_empty());
    assert!(world.host.workflows(US).await.unwrap().is_empty());
    let shown = world.host.workflow(US, "pay", None).await.unwrap();
    assert!(shown.summary.withdrawn_at.is_some() && !shown.current && shown.source_text == ONE);
    let world = world.restart().await;
    assert!(world.host.active(None).borrow().is_empty());
    let error = world.host.start(US, Start::new("pay", json!({}))).await.unwrap_err();
    assert!(error.message.contains("ann removed it at 20"), "{error}");
    assert_eq!(world.host.execution(US, &id).await.unwrap().summary.version, Some(1));
    assert_eq!(world.deploy("pay", ONE).await, 1);
    assert_eq!(world.host.active(None).borrow().len(), 1);
    assert_eq!(world.host.workflows(US).await.unwrap()[0].withdrawn_at, None);
    world.host.rerun(US, &id, Rerun::default()).await.unwrap();
    // When it was put into use is told anew, and stays so.
    let at = shown.deployment.at;
    let world = world.restart().await;
    let shown = world.host.workflow(US, "pay", None).await.unwrap();
    assert!(shown.deployment.at > at && shown.versions.len() == 1, "{at} {shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_has_a_size_and_nobody_else_waits_for_it() {
    let world = World::new().await;
    let step = "  - { id: a, type: do, config: {} }\n";
    let large = format!("name: large\nsteps:\n{}", step.repeat(5_001));
    let error = world
        .host
        .deploy(US, files(&[("large.yaml", &large)]))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "workflow.too-large"));
    assert!(error.message.contains("large.yaml has 5001 steps"), "{error}");

    // As much as one may be, which takes a while to check.
    let steps: Vec<String> = (0..4_000)
        .map(|n| format!("  - {{ id: s{n}, type: do, config: {{}} }}\n"))
        .collect();
    let steps = steps.concat();
    let text = format!("name: slow\nsteps:\n{steps}");
    let host = world.host.clone();
    let (tell, told) = tokio::sync::oneshot::channel();
    let slow = tokio::spawn(async move {
        let mut deploy = std::pin::pin!(host.deploy(THEM, files(&[("slow.yaml", &text)])));
        // It has begun when it has been polled once.
        let first = std::future::poll_fn(|context| std::task::Poll::Ready(deploy.as_mut().poll(context))).await;
        assert!(first.is_pending() && tell.send(()).is_ok());
        deploy.await
    });
    told.await.unwrap();
    world.deploy("pay", ONE).await;
    assert!(!slow.is_finished(), "the other one waited for it");
    slow.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_follows_the_current_version() {
    let home = tempfile::tempdir().unwrap();
    let mut options = crate::world::options(home.path());
    options.engine.retention_interval = std::time::Duration::from_millis(20);
    let host = bowline_host::Host::open(options).await.unwrap();
    let world = World { host, home };
    world.deploy("pay", ONE).await;
    for _ in 0..3 {
        world.run("pay", json!({})).await;
    }
    let mut list = world.host.feed().list(US);
    world.deploy("pay", &format!("retention: {{ keep: 1 }}\n{ONE}")).await;
    let left = async || {
        world
            .host
            .search(US, &bowline_host::Search::default())
            .await
            .unwrap()
            .items
            .len()
    };
    let forgotten = async {
        while left().await > 1 {
            assert!(list.changed().await);
        }
    };
    tokio::time::timeout(crate::world::PATIENCE, forgotten).await.unwrap();
    assert_eq!(left().await, 1);
}
