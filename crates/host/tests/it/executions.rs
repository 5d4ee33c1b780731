use std::time::Duration;

use bowline_host::{
    Answer, CallbackAddress, DEFAULT_ORGANIZATION, Decision, ErrorKind, HostError, Rerun, Resume, Retry, Signal, Start,
    StartKey, Status, StepState, Waiting, Which,
};
use serde_json::json;

use crate::world::{SECRET, THEM, US, World, files};

const HELLO: &str = "
name: hello
input: { type: object, properties: { name: { type: string } }, required: [name] }
steps:
  - { id: say, type: do, config: { answer: \"hello ${input.name}\" } }
  - { id: never, when: \"${input.name = 'nobody'}\", type: do, config: {} }
output: \"${say}\"
";

const WAITS: &str = "
name: waits
steps:
  - { id: go, waitFor: { signal: go } }
  - { id: done, type: do, config: { answer: \"${go.data}\" } }
output: \"${done}\"
";

const FAILS: &str = "
name: fails
steps:
  - { id: first, type: do, config: { key: true } }
  - { id: second, type: do, config: { answer: \"${input.n}\", fail: no.luck, unless: \"${input.file}\" } }
output: \"${ { 'first': first, 'second': second } }\"
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_is_waited_for_and_described() {
    let world = World::new().await;
    world.deploy("hello", HELLO).await;
    let (id, ended) = world.run("hello", json!({ "name": "Ada" })).await;
    assert_eq!(
        (ended.status, &ended.output),
        (Status::Succeeded, &Some(json!("hello Ada")))
    );
    let execution = world.host.execution(US, &id).await.unwrap();
    assert_eq!(execution.input, Some(json!({ "name": "Ada" })));
    assert_eq!(execution.output, Some(json!("hello Ada")));
    let states: Vec<_> = execution
        .steps
        .iter()
        .map(|step| (step.path.as_str(), step.state))
        .collect();
    assert_eq!(states, [("say", StepState::Done), ("never", StepState::Skipped)]);
    assert_eq!(execution.steps[0].attempts.len(), 1);
    assert!(execution.why.line.contains("has succeeded"), "{}", execution.why.line);
    assert!(execution.can.retry && !execution.can.cancel);

    let step = world.host.step(US, &id, "say").await.unwrap();
    assert_eq!(step.output, Some(json!("hello Ada")));
    assert_eq!(step.input.unwrap()["answer"], "hello Ada");
    assert_eq!(
        world.host.step(US, &id, "nothing").await.unwrap_err().code,
        "step.not-found"
    );
    let which = Which::StepOutput("say".into());
    assert_eq!(
        world.host.payload(US, &id, which).await.unwrap(),
        Some(json!("hello Ada"))
    );

    let state = world
        .host
        .query(US, &id, Some("${steps.say.status & ' ' & say}"))
        .await
        .unwrap();
    assert_eq!(state, json!("succeeded hello Ada"));
    let input = world.host.query(US, &id, Some("input.name")).await.unwrap();
    assert_eq!(input, json!("Ada"));
    assert_eq!(
        world.host.query(US, &id, Some("${")).await.unwrap_err().code,
        "query.invalid"
    );

    world.host.delete(US, &id).await.unwrap();
    assert_eq!(
        world.host.execution(US, &id).await.unwrap_err().code,
        "execution.not-found"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_input_that_does_not_fit_starts_nothing() {
    let world = World::new().await;
    world.deploy("hello", HELLO).await;
    let error = world
        .host
        .start(US, Start::new("hello", json!({ "name": 7 })))
        .await
        .unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Invalid, "input.invalid"));
    assert!(error.problems[0].message.contains("input.name"), "{error}");
    for odd in ["a/b", "rival~a", " ", "a\nb"] {
        let mut start = Start::new("hello", json!({ "name": "x" }));
        start.chosen_id = Some(odd.into());
        let refused = world.host.start(US, start).await.unwrap_err();
        assert_eq!(refused.code, "execution.bad-id", "{odd}");
    }
    assert!(
        world
            .host
            .search(US, &bowline_host::Search::default())
            .await
            .unwrap()
            .items
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_chosen_is_the_organizations_own() {
    let world = World::new().await;
    for organization in [US, THEM, DEFAULT_ORGANIZATION] {
        world
            .host
            .deploy(organization, files(&[("hello.yaml", HELLO)]))
            .await
            .unwrap();
    }
    let chosen = || Start {
        chosen_id: Some("order-7".into()),
        ..Start::new("hello", json!({ "name": "x" }))
    };
    for (organization, id) in [
        (DEFAULT_ORGANIZATION, "order-7"),
        (US, "acme~order-7"),
        (THEM, "rival~order-7"),
    ] {
        let started = world.host.start(organization, chosen()).await.unwrap();
        assert_eq!((started.id.as_str(), started.created), (id, true));
        assert_eq!(world.host.execution(organization, id).await.unwrap().summary.id, id);
        let again = world.host.start(organization, chosen()).await.unwrap_err();
        assert_eq!(again.code, "execution.exists");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expression_of_somebody_is_bounded() {
    let world = World::new().await;
    world.deploy("hello", HELLO).await;
    let id = world.run("hello", json!({ "name": "Ada" })).await.0;
    let began = std::time::Instant::now();
    for endless in [
        "$map([1..1000000], function($x) { [1..1000000] })",
        "$map([1..90000], function($x) { [1..90000] })",
        "($f := function($n) { $n < 0 ? 0 : $f($n + 1) }; $f(1))",
    ] {
        let refused = world.host.query(US, &id, Some(endless)).await.unwrap_err();
        assert_eq!(refused.code, "query.invalid", "{endless}");
    }
    assert!(
        began.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_starts_once() {
    let world = World::new().await;
    world.deploy("hello", HELLO).await;
    let keyed = |name: &str| Start {
        key: Some(StartKey::new("order-1")),
        ..Start::new("hello", json!({ "name": name }))
    };
    let first = world.host.start(US, keyed("Ada")).await.unwrap();
    let again = world.host.start(US, keyed("Ada")).await.unwrap();
    assert_eq!(
        (again.id == first.id, first.created, again.created),
        (true, true, false)
    );
    let error = world.host.start(US, keyed("Bob")).await.unwrap_err();
    assert_eq!((error.kind, error.code), (ErrorKind::Conflict, "start-key.taken"));
    let mut twin = Start::new("hello", json!({ "name": "Ada" }));
    twin.id = Some(first.id);
    assert_eq!(world.host.start(US, twin).await.unwrap_err().code, "execution.exists");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wait_has_a_limit_and_an_answer_comes_before_the_end() {
    let world = World::new().await;
    world.deploy("waits", WAITS).await;
    let id = world.start("waits", json!({})).await;
    assert_eq!(world.host.wait(US, &id, Duration::from_millis(20)).await.unwrap(), None);
    world.waits(&id).await;
    let go = || Signal {
        name: "go".into(),
        data: json!({ "n": 1 }),
        id: Some("s-1".into()),
    };
    assert!(world.host.signal(US, &id, go()).await.unwrap());
    assert_eq!(world.end(&id).await.output, Some(json!({ "n": 1 })));
    assert_eq!(
        world.host.signal(US, &id, go()).await.unwrap_err().code,
        "execution.ended"
    );

    let answers = "
name: answers
steps:
  - { id: said, respond: { status: 201, headers: { X-Order: \"${input.n}\" }, body: { taken: \"${input.n}\" } } }
  - { id: go, waitFor: { signal: go } }
";
    world.deploy("answers", answers).await;
    let (id, ended) = world.run("answers", json!({ "n": 5 })).await;
    let response = ended.response.unwrap();
    assert_eq!(
        (ended.status, response.status, response.body),
        (Status::Running, 201, json!({ "taken": 5 }))
    );
    assert_eq!(response.headers["X-Order"], "5");
    assert!(world.host.cancel(US, &id, "enough").await.unwrap());
    let execution = world.host.execution(US, &id).await.unwrap();
    assert_eq!(execution.response.unwrap().status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_retried_resumed_and_run_again_with_another_input() {
    let world = World::new().await;
    world.deploy("fails", FAILS).await;
    let file = world.home.path().join("mended").display().to_string();
    let (id, ended) = world.run("fails", json!({ "n": 1, "file": file })).await;
    assert_eq!(
        (ended.status, ended.error.unwrap().code.as_str()),
        (Status::Failed, "no.luck")
    );
    let failed = world.host.execution(US, &id).await.unwrap();
    assert_eq!(failed.summary.error.as_deref(), Some("no.luck"));
    assert_eq!(failed.steps[1].error.as_ref().unwrap().code, "no.luck");
    let key = world
        .host
        .payload(US, &id, Which::StepOutput("first".into()))
        .await
        .unwrap()
        .unwrap();

    let retried = world.host.retry(US, &id, Retry::default()).await.unwrap().id;
    assert_eq!(world.end(&retried).await.status, Status::Failed, "nothing has changed");
    std::fs::write(&file, "").unwrap();
    let retried = world.host.retry(US, &id, Retry::default()).await.unwrap().id;
    assert_eq!(
        world.end(&retried).await.output,
        Some(json!({ "first": key, "second": 1 }))
    );
    let described = world.host.execution(US, &retried).await.unwrap();
    assert_eq!(described.summary.origin.as_deref(), Some(id.as_str()));
    assert!(described.steps[0].kept);

    // From the top, whatever a retry of a retry has kept; and another input has other keys.
    let rerun = |input: Option<serde_json::Value>| Rerun {
        input,
        ..Rerun::default()
    };
    let again = world.host.rerun(US, &retried, rerun(None)).await.unwrap().id;
    assert_eq!(
        world.end(&again).await.output,
        Some(json!({ "first": key, "second": 1 }))
    );
    assert!(!world.host.execution(US, &again).await.unwrap().steps[0].kept);
    let other = world
        .host
        .rerun(US, &retried, rerun(Some(json!({ "n": 2, "file": file }))))
        .await
        .unwrap()
        .id;
    let output = world.end(&other).await.output.unwrap();
    assert_eq!(output["second"], 2);
    assert_ne!(output["first"], key);

    world.host.resume(US, &id, Resume::default()).await.unwrap();
    assert_eq!(world.end(&id).await.status, Status::Succeeded);
    let error = world.host.resume(US, &id, Resume::default()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code),
        (ErrorKind::Refused, "execution.not-resumable")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_goes_on_on_another_version() {
    let world = World::new().await;
    world.deploy("waits", WAITS).await;
    let id = world.start("waits", json!({})).await;
    world.waits(&id).await;
    assert!(world.host.pause(US, &id).await.unwrap());
    assert_eq!(
        world.host.execution(US, &id).await.unwrap().summary.status,
        Status::Paused
    );
    assert!(world.host.unpause(US, &id).await.unwrap());
    let version = world
        .deploy("waits", &WAITS.replace("${go.data}", "new ${go.data}"))
        .await;
    let on = |version| Resume {
        on: Some(version),
        ..Resume::default()
    };
    assert_eq!(
        world.host.resume(US, &id, on(9)).await.unwrap_err().code,
        "workflow.version-not-found"
    );
    world.host.resume(US, &id, on(version)).await.unwrap();
    let signal = Signal {
        name: "go".into(),
        data: json!("x"),
        id: None,
    };
    world.host.signal(US, &id, signal).await.unwrap();
    assert_eq!(world.end(&id).await.output, Some(json!("new x")));
    assert_eq!(
        world.host.execution(US, &id).await.unwrap().summary.version,
        Some(version)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_workflow_is_told_and_goes_on() {
    let world = World::new().await;
    world.deploy("waits", WAITS).await;
    world.host.pause_workflow(US, "waits").await.unwrap();
    assert!(world.host.workflows(US).await.unwrap()[0].paused);
    let id = world.start("waits", json!({})).await;
    let why = world.host.why(US, &id).await.unwrap();
    assert_eq!(why.held, Some("workflowPaused"), "{why:?}");
    assert!(!why.line.contains('`'), "commands are for terminals: {}", why.line);
    world.host.unpause_workflow(US, "waits").await.unwrap();
    world.waits(&id).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_history_is_read_in_parts_and_followed() {
    let world = World::new().await;
    world.deploy("waits", WAITS).await;
    let id = world.start("waits", json!({})).await;
    world.waits(&id).await;
    let first = world.host.history(US, &id, 0, 1).await.unwrap();
    assert_eq!((first.items[0].seq, first.items[0].kind.as_str()), (0, "started"));
    assert!(first.items.iter().all(|event| event.seq == 0) && first.items.last().unwrap().last);
    let next: u64 = first.next.unwrap().parse().unwrap();
    assert_eq!(next, 1);

    let mut following = world.host.feed().execution(&id);
    let signal = Signal {
        name: "go".into(),
        data: json!("x"),
        id: None,
    };
    world.host.signal(US, &id, signal).await.unwrap();
    world.end(&id).await;
    assert!(following.changed().await, "it was told of the commits");
    let (mut kinds, mut from) = (Vec::new(), Some(next));
    while let Some(at) = from {
        let page = world.host.history(US, &id, at, 2).await.unwrap();
        from = page.next.map(|next| next.parse().unwrap());
        kinds.extend(page.items.into_iter().map(|event| event.kind));
    }
    assert_eq!(kinds.first().map(String::as_str), Some("signalReceived"));
    assert_eq!(kinds.last().map(String::as_str), Some("finished"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_do_not_come_out() {
    let world = World::new().await;
    let leaks = "
name: leaks
steps:
  - { id: ask, type: do, config: { answer: \"token ${env.TOKEN}\", fail: it.echoes } }
";
    world.deploy("leaks", leaks).await;
    let (id, ended) = world.run("leaks", json!({ "note": format!("it is {SECRET}") })).await;
    let told = [
        format!("{ended:?}"),
        serde_json::to_string(&world.host.execution(US, &id).await.unwrap()).unwrap(),
        serde_json::to_string(&world.host.step(US, &id, "ask").await.unwrap()).unwrap(),
        serde_json::to_string(&world.host.history(US, &id, 0, 0).await.unwrap()).unwrap(),
        world.host.query(US, &id, None).await.unwrap().to_string(),
        world
            .host
            .payload(US, &id, Which::Input)
            .await
            .unwrap()
            .unwrap()
            .to_string(),
    ];
    for text in told {
        assert!(!text.contains(SECRET), "{text}");
    }
    let input = world.host.execution(US, &id).await.unwrap().input.unwrap();
    assert_eq!(input["note"], "it is ***", "what is no secret is still there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_values_are_had_by_themselves() {
    let world = World::new().await;
    let large = "name: large\nsteps: [ { id: a, type: do, config: { answer: \"${input.text}\" } } ]\n";
    world.deploy("large", large).await;
    let text = "x".repeat(300 * 1024);
    let (id, ended) = world.run("large", json!({ "text": text })).await;
    assert_eq!(ended.output, Some(json!(text)));
    let execution = world.host.execution(US, &id).await.unwrap();
    assert_eq!((execution.input, execution.output), (None, None));
    let fields: Vec<_> = execution
        .omitted
        .iter()
        .map(|omitted| (omitted.field.as_str(), omitted.bytes > 300 * 1024))
        .collect();
    assert_eq!(fields, [("input", true), ("output", true)]);
    let step = world.host.step(US, &id, "a").await.unwrap();
    assert_eq!((step.output, step.omitted.len()), (None, 2));
    for which in [Which::Output, Which::StepOutput("a".into())] {
        assert_eq!(world.host.payload(US, &id, which).await.unwrap(), Some(json!(text)));
    }
    let history = world.host.history(US, &id, 0, 0).await.unwrap();
    assert!(serde_json::to_string(&history).unwrap().len() < 20_000);
}

fn missing<T>(name: &str, result: Result<T, HostError>, unknown: &HostError, id: &str) {
    let Err(error) = result else {
        panic!("{name} of another organization was allowed")
    };
    let expected = unknown.message.replace("nothing", id);
    assert_eq!(
        (error.kind, error.code, error.message),
        (ErrorKind::NotFound, unknown.code, expected),
        "{name}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_of_others_do_not_exist() {
    let world = World::new().await;
    world.deploy("waits", WAITS).await;
    let host = &world.host;
    let id = world.start("waits", json!({})).await;
    world.waits(&id).await;
    let id = id.as_str();
    let unknown = &host.execution(THEM, "nothing").await.unwrap_err();
    let signal = Signal {
        name: "go".into(),
        data: json!(1),
        id: None,
    };
    let decision = Decision {
        approved: true,
        by: None,
        comment: None,
        form: serde_json::Map::new(),
    };
    let path = CallbackAddress::Path {
        execution: id.to_owned(),
        path: "go".to_owned(),
    };
    let of = Waiting {
        execution: Some(id.to_owned()),
        ..Waiting::default()
    };
    missing("execution", host.execution(THEM, id).await, unknown, id);
    missing("why", host.why(THEM, id).await, unknown, id);
    missing("step", host.step(THEM, id, "go").await, unknown, id);
    missing("payload", host.payload(THEM, id, Which::Input).await, unknown, id);
    missing("history", host.history(THEM, id, 0, 0).await, unknown, id);
    missing("query", host.query(THEM, id, None).await, unknown, id);
    missing("wait", host.wait(THEM, id, Duration::ZERO).await, unknown, id);
    missing("cancel", host.cancel(THEM, id, "").await, unknown, id);
    missing("pause", host.pause(THEM, id).await, unknown, id);
    missing("unpause", host.unpause(THEM, id).await, unknown, id);
    missing("resume", host.resume(THEM, id, Resume::default()).await, unknown, id);
    missing("retry", host.retry(THEM, id, Retry::default()).await, unknown, id);
    missing("rerun", host.rerun(THEM, id, Rerun::default()).await, unknown, id);
    missing("signal", host.signal(THEM, id, signal).await, unknown, id);
    missing("delete", host.delete(THEM, id).await, unknown, id);
    missing("approve", host.approve(THEM, id, None, decision).await, unknown, id);
    missing(
        "deliver",
        host.deliver(THEM, &path, Answer::Heartbeat).await,
        unknown,
        id,
    );
    missing("callbacks", host.callbacks(THEM, &of).await, unknown, id);
    missing("approvals", host.approvals(THEM, &of).await, unknown, id);
    // None of it has done anything.
    let why = host.why(US, id).await.unwrap();
    assert_eq!((why.held, why.waits_for[0].kind), (None, "signal"), "{why:?}");
}
