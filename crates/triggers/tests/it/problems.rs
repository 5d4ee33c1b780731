//! What is wrong with triggers: told when they are deployed as far as their texts say, and with the workflow later.

use bowline_host::Deploy;

use crate::world::{World, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_work_is_not_deployed() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let text = "name: dead\ntriggers:\n\
        - { type: schedule, config: { every: 0s } }\n\
        - { type: schedule, config: { cron: \"* * 30 2 *\" } }\n\
        - { type: schedule, config: { cron: \"@daily\", timezone: Oslo } }\n\
        - { type: schedule, config: { cron: \"${env.CRON}\", timezone: \"${env.ZONE}\" } }\n\
        - { type: directory-watcher, config: { path: ../inbox } }\n\
        - { type: directory-watcher, config: { path: /in, pattern: \"[a\" } }\n\
        - { type: directory-watcher, config: { path: \"${env.INBOX}\" } }\n\
        steps: [ { wait: 1s } ]\n";
    let deploy = Deploy {
        files: vec![("dead.yaml".to_owned(), text.to_owned())],
        ..Deploy::default()
    };
    let error = world.host.deploy("default", deploy).await.unwrap_err();
    let told: Vec<_> = error
        .problems
        .iter()
        .map(|problem| (problem.line.unwrap(), problem.path.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (3, "triggers[0].config.every"),
            (4, "triggers[1].config.cron"),
            (5, "triggers[2].config.timezone"),
            (7, "triggers[4].config.path"),
            (8, "triggers[5].config.pattern"),
        ],
        "{error}"
    );
    world.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_here_is_told_with_the_workflow_until_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::open(folder.path()).await;
    let text = |zone: &str, path: &str| {
        format!(
            "name: dead\ntriggers:\n- {{ type: schedule, config: {{ every: 1h, timezone: {zone} }} }}\n\
             - {{ type: directory-watcher, config: {{ path: {path} }} }}\nsteps: [ {{ wait: 1s }} ]\n"
        )
    };
    let problems = async |organization: &str| {
        let all = world.host.workflows(organization).await.unwrap();
        let problems = all.into_iter().flat_map(|one| one.trigger_problems);
        problems
            .map(|problem| (problem.line.unwrap(), problem.message))
            .collect::<Vec<_>>()
    };
    world.deploy("acme", &text("\"${env.NO_SUCH_ZONE}\"", "/etc")).await;
    let told = until("the problems", async || {
        let told = problems("acme").await;
        (told.len() == 2).then_some(told)
    })
    .await;
    assert!(
        told[0].0 == 4 && told[0].1.contains("outside of the organization's files"),
        "{told:?}"
    );
    assert!(told[1].0 == 3 && told[1].1.contains("NO_SUCH_ZONE"), "{told:?}");
    assert!(!told[1].1.contains("there is:"), "names of other variables: {told:?}");
    assert_eq!(problems("default").await, []);
    let views = world.triggers.list("acme");
    assert!(views.iter().all(|view| view.problem.is_some()), "{views:?}");
    assert_eq!(world.triggers.list("default"), []);

    let own = folder.path().join("data/files/acme/in");
    std::fs::create_dir_all(&own).unwrap();
    world.deploy("acme", &text("UTC", &own.display().to_string())).await;
    until("the end of the problems", async || {
        problems("acme").await.is_empty().then_some(())
    })
    .await;
    world.deploy("acme", &text("UTC", "/etc")).await;
    until("a problem again", async || {
        (problems("acme").await.len() == 1).then_some(())
    })
    .await;
    world.host.withdraw("acme", "dead", None).await.unwrap();
    until("the end of the triggers", async || {
        world.triggers.list("acme").is_empty().then_some(())
    })
    .await;
    let one = world.host.workflow("acme", "dead", None).await.unwrap();
    assert_eq!(one.summary.trigger_problems, []);
    world.close().await;
}
