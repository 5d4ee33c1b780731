//! Every file of `tests/notation` loads: the node notation as it is written elsewhere, and each block once.

#![expect(clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::path::Path;
use std::time::Duration;

use bowline_core::Backoff;
use bowline_flow::plan::{Gather, Join, NodePlan, OnError, OutputPlan, Saga, Step, StepKind};
use bowline_flow::{LoadOptions, Plan, Source, language_schema, load};
use serde_json::{Value, json};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notation")
}

fn plan(name: &str) -> Plan {
    let text = std::fs::read_to_string(folder().join(name)).expect("the file is there");
    load(Source::new(name, text), &common::registry(), &LoadOptions::default())
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn node(step: &Step) -> &NodePlan {
    match &step.kind {
        StepKind::Node(node) => node,
        other => panic!("{} is {}", step.id, other.name()),
    }
}

fn step<'a>(plan: &'a Plan, id: &str) -> &'a Step {
    plan.all_steps()
        .into_iter()
        .find(|step| step.id == id)
        .unwrap_or_else(|| panic!("no step {id}"))
}

#[test]
fn everything_loads_and_comes_back_from_what_is_stored() {
    let mut count = 0;
    for entry in std::fs::read_dir(folder()).expect("the folder is there").flatten() {
        let name = entry.file_name().into_string().expect("a name");
        let made = plan(&name);
        let again = Plan::from_content(&made.source.content(), &common::registry()).expect("it loads again");
        assert_eq!(made.hash, again.hash, "{name}");
        assert_eq!(format!("{:?}", made.steps), format!("{:?}", again.steps), "{name}");
        count += 1;
    }
    assert!(count >= 10, "only {count}");
}

#[test]
fn a_node_alone_is_a_workflow() {
    let plan = plan("rest-node.yaml");
    assert_eq!(plan.name, "api-call-001");
    let node = node(&plan.steps[0]);
    assert_eq!(node.connector, "http-request");
    assert_eq!(
        (node.options.retry.max_attempts, node.options.retry.backoff),
        (4, Backoff::Fixed)
    );
    assert_eq!(node.options.retry.base_delay, Duration::from_secs(1));
    assert_eq!(
        node.options.timeout,
        Some(Duration::from_secs(31)),
        "the connector's own, and a second"
    );
    let pointers: Vec<_> = node
        .config
        .expressions()
        .map(|(pointer, ..)| pointer.to_owned())
        .collect();
    assert_eq!(
        pointers,
        [
            "/headers/Authorization",
            "/body/name",
            "/body/email",
            "/body/department"
        ]
    );
    assert_eq!(plan.hash.len(), 64);
}

#[test]
fn rows_get_a_shape() {
    let plan = plan("sql-node.yaml");
    let OutputPlan::Shape { shape, .. } = &node(&plan.steps[0]).output else {
        panic!("no shape")
    };
    let transform = shape.transform.as_ref().expect("a transform");
    assert!(transform.camel_case);
    assert_eq!(transform.exclude_fields, ["password", "internal_id"]);
}

#[test]
fn retries_and_the_alternative_service_are_read() {
    let plan = plan("retry-and-fallback.yaml");
    let node = node(&plan.steps[0]);
    let retry = &node.options.retry;
    assert_eq!(
        (retry.max_attempts, retry.backoff, retry.jitter),
        (5, Backoff::Exponential, true)
    );
    assert_eq!(
        (retry.base_delay, retry.max_delay),
        (Duration::from_secs(1), Duration::from_secs(30))
    );
    assert_eq!(
        retry.retryable,
        [
            "http.500",
            "http.502",
            "http.503",
            "http.504",
            "ECONNRESET",
            "ETIMEDOUT"
        ]
    );
    let fallback = node.fallback.as_ref().expect("a fallback");
    assert_eq!(fallback.connector, "http-request");
    let config = json!({ "method": "GET", "url": "https://backup-api.service.com/data" });
    assert_eq!(fallback.config.constant(), Some(&config));
    assert!(fallback.fallback.is_none());
}

#[test]
fn patterns_alone_are_workflows() {
    let fan_out = plan("fan-out.yaml");
    assert_eq!(fan_out.trigger.as_deref(), Some("order-created"));
    let StepKind::Parallel { branches, join } = &fan_out.steps[0].kind else {
        panic!("no parallel")
    };
    let names: Vec<_> = branches.iter().map(|branch| branch.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "update-inventory",
            "send-confirmation-email",
            "update-analytics",
            "notify-shipping"
        ]
    );
    assert_eq!(*join, Join::WaitAll);

    let scatter = plan("scatter-gather.yaml");
    let StepKind::ScatterGather(block) = &scatter.steps[0].kind else {
        panic!("no scatter")
    };
    assert!(matches!(block.strategy, Gather::BestPrice));
    assert_eq!(block.timeout, Some(Duration::from_secs(10)));
    assert_eq!(
        node(&block.nodes[2]).config.constant(),
        Some(&json!({ "url": "https://price-c.com/quote" }))
    );

    let saga = plan("saga.yaml");
    let StepKind::Saga(Saga { steps }) = &saga.steps[0].kind else {
        panic!("no saga")
    };
    let pairs: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step.action.id.as_str(),
                step.compensation.as_ref().map(|undo| undo.id.as_str()),
            )
        })
        .collect();
    assert_eq!(pairs[0], ("reserve-inventory", Some("release-inventory")));
    assert_eq!(pairs[2], ("ship-order", Some("cancel-shipment")));
}

#[test]
fn settings_come_from_the_connection_and_the_shared_file() {
    let plan = plan("rest-connection.yaml");
    let retry = &node(&plan.steps[0]).options.retry;
    assert_eq!(
        (retry.max_attempts, retry.backoff, retry.jitter),
        (4, Backoff::Linear, false)
    );

    let source = Source::new("w.yaml", "steps: [ { node: a }, { node: a, config: { url: y } } ]").with_shared(
        "bowline.yaml",
        "nodes: { a: { type: http-request, config: { url: x, method: POST }, errorHandling: { onError: continue } } }\n\
         defaults: { http-request: { timeout: 7s, retry: { maxAttempts: 9 } } }",
    );
    let plan = load(source, &common::registry(), &LoadOptions::default()).expect("it loads");
    let ids: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
    assert_eq!(ids, ["a", "a-2"]);
    let second = node(&plan.steps[1]);
    assert_eq!(second.config.constant(), Some(&json!({ "method": "POST", "url": "y" })));
    assert_eq!(
        (second.options.timeout, second.options.retry.max_attempts),
        (Some(Duration::from_secs(7)), 9)
    );
    assert_eq!(second.on_error, OnError::Continue);
    assert_eq!(&*plan.steps[0].location.file, "w.yaml");
}

#[test]
fn steps_without_ids_are_named_by_type_and_place() {
    let plan = plan("whole-language.yaml");
    let ids: Vec<_> = plan.all_steps().into_iter().map(|step| step.id.as_str()).collect();
    for id in [
        "set-3",
        "switch-6",
        "switch-6-default-set-1",
        "fan-3-wait-1",
        "try-9",
        "charge-compensation",
        "return-13",
    ] {
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
    }
    assert_eq!(
        ids.iter().filter(|id| **id == "review").count(),
        2,
        "cases may share an id"
    );
    assert_eq!(
        node(step(&plan, "create_profile")).options.total_timeout,
        Some(Duration::from_hours(1))
    );
    let returned = plan.steps.last().map(|step| &step.kind);
    assert!(matches!(returned, Some(StepKind::Return(Some(_)))));
}

#[test]
fn the_schema_for_editors_says_the_same() {
    let schema = language_schema(&common::registry());
    let validator = jsonschema::validator_for(&schema).expect("the schema is one");
    for entry in std::fs::read_dir(folder()).expect("the folder is there").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("the file is there");
        let document = bowline_flow::document(&text).expect("it is a document");
        if let Err(error) = validator.validate(&document) {
            panic!("{:?}: {} at {}", entry.file_name(), error, error.instance_path());
        }
    }
    for bad in [
        json!({ "name": "x" }),
        json!({ "steps": [{ "type": "nothing" }] }),
        json!({ "steps": [{ "type": "http-request", "config": { "url": "x", "metod": "GET" } }] }),
        json!({ "steps": [{ "type": "http-request", "config": { "url": "x", "method": "FETCH" } }] }),
        json!({ "steps": [{ "type": "http-request", "config": { "url": "x" }, "caching": {} }] }),
        json!({ "steps": [{ "wait": 1, "set": { "a": 1 } }] }),
        json!({ "steps": [{ "when": true }] }),
        json!({ "connections": { "a": { "type": "sqlite", "paht": "x" } }, "steps": [{ "wait": 1 }] }),
    ] {
        assert!(!validator.is_valid(&bad), "{bad}");
    }
    let templated: Value = json!({ "steps": [{ "type": "http-request", "config": { "url": "x", "method": "${input.m}", "maxRedirects": "${input.n}" } }] });
    assert!(validator.is_valid(&templated));
}
