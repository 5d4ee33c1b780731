//! `triggers` of workflows and callback endpoints of the shared file: what they are, and what they make of what
//! comes in.

mod common;

use bowline_connector::Mistake;
use bowline_flow::plan::{Heard, Selected};
use bowline_flow::{LoadOptions, Plan, Settings, Source, load};
use serde_json::{Value, json};

const WORKFLOW: &str = r#"
triggers:
  - type: webhook-trigger
    config: { path: /orders, authentication: { secret: "${env.HOOK_SECRET}" } }
    when: "${trigger.body.amount > 0}"
    key: "${trigger.body.id}"
  - { type: schedule, config: { cron: "0 7 * * *" } }
  - { id: nightly, type: schedule, config: { cron: "0 1 * * *" }, input: { at: "${trigger.scheduledAt}", by: "${env.HOOK_SECRET}" } }
  - { type: schedule, config: { cron: "0 2 * * *" } }
steps: [ { set: { a: 1 } } ]
"#;

const SHARED: &str = r#"
server: { listen: "127.0.0.1:9000" }
callbacks:
  valuation:
    authentication: { secret: "${credentials.valuation.secret}" }
    correlate: "${callback.body.reference}"
    success: "${callback.body.status = 'done'}"
    failure: { error: "valuation.${callback.body.reason}", message: "The service says ${callback.body.reason}." }
  plain: { correlate: "${callback.headers.reference}" }
"#;

#[expect(clippy::panic, reason = "a workflow that is refused fails the test")]
fn plan() -> Plan {
    let source = Source::new("orders.yaml", WORKFLOW).with_shared("bowline.yaml", SHARED);
    load(source, &common::registry(), &LoadOptions::default()).unwrap_or_else(|problems| panic!("{problems}"))
}

fn settings() -> Settings {
    Settings {
        env: [("HOOK_SECRET".to_owned(), "whsec-value".to_owned())].into(),
        credentials: json!({ "valuation": { "secret": "val-secret" } }),
        ..Settings::default()
    }
}

fn start(input: Value, key: Option<&str>) -> Selected {
    let key = key.map(str::to_owned);
    Selected::Start { input, key }
}

#[test]
fn triggers_have_ids_configurations_and_defaults() {
    let plan = plan();
    let ids: Vec<&str> = plan.triggers.iter().map(|trigger| &*trigger.id).collect();
    assert_eq!(ids, ["webhook-trigger", "schedule", "nightly", "schedule-2"]);
    let config = plan.trigger_config(&plan.triggers[0], &settings()).unwrap();
    assert_eq!(
        config,
        json!({ "path": "/orders", "authentication": { "secret": "whsec-value" } })
    );
    let error = plan
        .trigger_config(&plan.triggers[0], &Settings::default())
        .unwrap_err();
    assert!(
        error.message.contains("HOOK_SECRET") && error.message.contains("orders.yaml:3"),
        "{error}"
    );
}

#[test]
fn what_comes_in_is_filtered_keyed_and_shaped() {
    let (plan, settings) = (plan(), settings());
    let [hook, schedule, nightly, _] = &plan.triggers[..] else {
        panic!("four triggers")
    };
    let body = json!({ "amount": 3, "id": 17 });
    let came = json!({ "body": body, "headers": {} });
    assert_eq!(hook.select(&settings, &came).unwrap(), start(body, Some("17")));
    let nothing = json!({ "body": { "amount": 0, "id": 17 } });
    assert_eq!(hook.select(&settings, &nothing).unwrap(), Selected::Filtered);
    for (wrong, what) in [
        (json!({ "body": {} }), "when"),
        (json!({ "body": { "amount": 1 } }), "key"),
        (json!({ "body": { "amount": 1, "id": "" } }), "key"),
    ] {
        let error = hook.select(&settings, &wrong).unwrap_err();
        assert!(
            error.message.contains(what) && error.message.contains("orders.yaml:3"),
            "{error}"
        );
    }
    let due = json!({ "scheduledAt": "2026-01-01T00:00:00Z" });
    assert_eq!(schedule.select(&settings, &due).unwrap(), start(due.clone(), None));
    // What a workflow starts with is recorded, so that a secret does not get there.
    let Selected::Start { input, .. } = nightly.select(&settings, &due).unwrap() else {
        panic!("it starts")
    };
    assert_eq!(input["at"], "2026-01-01T00:00:00Z");
    assert!(!input.to_string().contains("whsec-value"), "{input}");
}

#[test]
fn a_key_cannot_be_a_secret() {
    let text = "triggers: [ { type: schedule, config: { cron: x }, key: '${env.HOOK_SECRET}' } ]\nsteps: [ { set: { a: 1 } } ]";
    let plan = load(
        Source::new("w.yaml", text),
        &common::registry(),
        &LoadOptions::default(),
    )
    .unwrap();
    let error = plan.triggers[0].select(&settings(), &json!({})).unwrap_err();
    assert_eq!(error.code, "expression.secret");
    assert!(!error.message.contains("whsec-value"));
}

#[test]
fn an_endpoint_hears_a_reference_and_whether_it_went_well() {
    let (plan, settings) = (plan(), settings());
    let endpoint = &plan.callbacks["valuation"];
    let config = plan.endpoint_config(endpoint, &settings).unwrap();
    assert_eq!(config, json!({ "authentication": { "secret": "val-secret" } }));

    let came = json!({ "body": { "reference": "R-1", "status": "done" } });
    let Heard { key, failure } = endpoint.hear(&settings, &came).unwrap();
    assert_eq!((key.as_str(), failure.is_none()), ("R-1", true));

    let came = json!({ "body": { "reference": 7, "status": "failed", "reason": "no-access" } });
    let Heard { key, failure } = endpoint.hear(&settings, &came).unwrap();
    let failure = failure.unwrap();
    assert_eq!((key.as_str(), &*failure.code), ("7", "valuation.no-access"));
    assert_eq!(failure.message, "The service says no-access.");
    assert_eq!(failure.data.unwrap()["callback"]["status"], "failed");

    let error = endpoint.hear(&settings, &json!({ "body": {} })).unwrap_err();
    assert!(
        error.message.contains("bowline.yaml:5") && error.message.contains("correlate"),
        "{error}"
    );
    let heard = plan.callbacks["plain"].hear(&settings, &json!({ "headers": { "reference": "a" } }));
    assert_eq!(heard.unwrap().key, "a");
}

#[test]
fn what_a_schema_cannot_say_is_a_problem_with_its_place() {
    let mut registry = common::registry();
    let kind = registry.trigger("schedule").copied().expect("it is there");
    registry.add_trigger(
        kind.mistakes(|config| {
            let mut mistakes = vec![Mistake::new("timezone", "there is no such zone")];
            if config["cron"] == "x" {
                mistakes.push(Mistake::new("cron", "it is never due"));
            }
            mistakes
        })
        .claims(|config| vec![format!("the time {}", config["cron"])]),
    );
    let workflow = "triggers:\n\
        \x20 - type: schedule\n\
        \x20   config:\n\
        \x20     cron: x\n\
        \x20     timezone: ${env.ZONE}\n\
        \x20 - type: schedule\n\
        \x20   config: { cron: \"${env.CRON}\", timezone: here }\n\
        \x20 - { type: schedule, config: { cron: x, timezone: \"${env.ZONE}\" } }\n\
        steps: [ { set: { a: 1 } } ]\n";
    let problems =
        load(Source::new("w.yaml", workflow), &registry, &LoadOptions::default()).expect_err("it is refused");
    let told: Vec<(usize, &str, &str)> = problems
        .0
        .iter()
        .map(|problem| (problem.location.line, &*problem.location.path, &*problem.message))
        .collect();
    assert_eq!(
        told,
        [
            (4, "triggers[0].config.cron", "it is never due"),
            (7, "triggers[1].config.timezone", "there is no such zone"),
            (
                8,
                "triggers[2].config",
                "`the time \"x\"` is taken already, by the trigger in line 2"
            ),
            (8, "triggers[2].config.cron", "it is never due"),
        ]
    );
}
