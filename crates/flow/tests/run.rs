//! Every block and option of the language, run.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod support;

use std::time::Duration;

use bowline_store::Store as _;
use serde_json::{Value, json};
use support::{World, block_on, ran, wait_for_call};

async fn output(text: &str) -> Value {
    ran(text, json!({"n": 3, "list": [1, 2, 3]})).await.output()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn results_are_read_by_id_and_keep_their_type() {
    let text = "
steps:
  - { id: a, type: do, config: { answer: { x: [1, 2], text: \"n is ${input.n}\" } } }
  - { id: b, type: do, config: { answer: \"${a.x}\" } }
output: { first: \"${a}\", second: \"${b[1]}\", status: \"${steps.a.status}\", attempts: \"${steps.a.attempts}\" }
";
    let expected = json!({"first": {"x": [1, 2], "text": "n is 3"}, "second": 2, "status": "succeeded", "attempts": 1});
    assert_eq!(output(text).await, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_an_output_the_last_result_is_it() {
    assert_eq!(
        output(
            "steps:\n  - { id: a, type: do, config: { answer: 1 } }\n  - { id: b, type: do, when: \"${input.n > 9}\" }"
        )
        .await,
        json!(1)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_return_switch_and_fail() {
    let text = "
steps:
  - set: { double: \"${input.n * 2}\", six: \"${double = 6}\" }
  - id: choice
    switch:
      - { when: \"${double > 100}\", steps: [ { fail: { error: too-much } } ] }
      - { when: \"${six}\", steps: [ { return: { double: \"${double}\" } } ] }
    default: [ { fail: { error: not-six, message: no } } ]
  - { id: never, type: do }
";
    assert_eq!(output(text).await, json!({"double": 6}));
    let error = ran(text, json!({"n": 4})).await.error();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("not-six", "no"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_best_effort_error_is_collected() {
    let text = "
steps:
  - { id: a, type: do, config: { fail: sold-out }, errorHandling: { onError: continue } }
  - { id: b, type: do, config: { answer: done } }
output: { b: \"${b}\", errors: \"${[workflow.errors.(step & ' ' & code)]}\", a: \"${steps.a.status}\" }
";
    assert_eq!(
        output(text).await,
        json!({"b": "done", "errors": ["a sold-out"], "a": "failed"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_wait_as_long_as_they_say_in_virtual_time() {
    let text = "
steps:
  - id: a
    type: do
    config: { answer: ok, fail: flaky, times: 4 }
    errorHandling: { retry: { maxAttempts: 5, backoffStrategy: exponential, baseDelay: 2s, maxDelay: 1m, jitter: false } }
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!("ok"));
    assert_eq!(ran.calls, ["a"; 5]);
    assert_eq!(ran.took, Duration::from_secs(2 + 4 + 8 + 16));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_timeout_ends_the_retries() {
    let text = "
steps:
  - id: a
    type: do
    totalTimeout: 10s
    config: { fail: flaky, times: 99 }
    errorHandling: { retry: { maxAttempts: 50, backoffStrategy: fixed, baseDelay: 4s, jitter: false } }
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.error().code, "flaky");
    assert_eq!(ran.calls.len(), 3, "at 0, 4 and 8 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fallback_answers_for_a_failed_node() {
    let text = "
steps:
  - id: a
    type: do
    config: { fail: down, answer: first }
    errorHandling: { retry: { maxAttempts: 1 }, fallback: { type: alternative_service, config: { fail: null, answer: \"${error.code}\" } } }
output: { a: \"${a}\", status: \"${steps.a.status}\" }
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!({"a": "down", "status": "degraded"}));
    assert_eq!(ran.calls, ["a", "a.fallback"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins() {
    let branches = "
      - { id: slow, steps: [ { wait: 10s }, { id: s, type: do, config: { answer: slow } } ] }
      - { id: fast, steps: [ { wait: 1s }, { id: f, type: do, config: { answer: fast } } ] }
      - { id: bad, steps: [ { wait: 2s }, { id: b, type: do, config: { fail: bad } } ] }
";
    let run = |join: &str| {
        let text = format!("steps:\n  - id: all\n    joinStrategy: {join}\n    parallel:{branches}");
        async move { ran(&text, json!({})).await }
    };
    assert_eq!(run("wait-all").await.error().code, "bad");
    assert_eq!(run("wait-any").await.output(), json!({"fast": "fast"}));
    assert_eq!(run("first-success").await.output(), json!({"fast": "fast"}));
    let quorum = run("{ quorum: 2 }").await;
    assert_eq!(quorum.output(), json!({"slow": "slow", "fast": "fast"}));
    assert_eq!(run("{ quorum: 3 }").await.error().code, "parallel.no-quorum");
    let settled = run("settle").await;
    assert_eq!(settled.output()["bad"]["error"]["code"], "bad");
    assert_eq!(
        settled.output()["slow"],
        json!({"status": "succeeded", "output": "slow"})
    );
    assert_eq!(settled.took, Duration::from_secs(10));
    let first = run("first-success").await;
    assert_eq!(first.took, Duration::from_secs(1), "losers are cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_loses_a_race_is_undone() {
    let text = "
steps:
  - id: race
    joinStrategy: first-success
    parallel:
      - id: loser
        steps:
          - { id: book, type: do, config: { answer: seat }, compensation: { id: unbook, type: do, config: { answer: \"${action}\" } } }
          - { wait: 1h }
      - { id: winner, steps: [ { wait: 1s }, { id: w, type: do, config: { answer: won } } ] }
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!({"winner": "won"}));
    assert_eq!(
        ran.calls,
        ["race/loser/book", "race/winner/w", "race/loser/book.compensation"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_undoes_newest_first_and_tells_what_it_could_not() {
    let text = "
steps:
  - id: order
    saga:
      steps:
        - { action: { id: one, type: do, config: { answer: 1 } }, compensation: { id: undo-one, type: do, config: { answer: \"${action}\" } } }
        - { action: { id: two, type: do, config: { answer: 2 } }, compensation: { id: undo-two, type: do, config: { fail: stuck } } }
        - { action: { id: three, type: do, config: { fail: broken } }, compensation: { id: undo-three, type: do } }
      onFailure: compensate-all
";
    let ran = ran(text, json!({})).await;
    assert_eq!(
        ran.calls,
        [
            "order/one",
            "order/two",
            "order/three",
            "order/two.compensation",
            "order/one.compensation"
        ]
    );
    let error = ran.error();
    assert_eq!(error.code, "broken");
    assert_eq!(error.message, "told to fail; not undone: two");
    assert_eq!(error.data.unwrap()["notUndone"][0]["error"]["code"], "stuck");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_s_compensation_runs_when_the_workflow_fails_later() {
    let text = "
steps:
  - { id: one, type: do, config: { answer: 1 }, compensation: { id: undo, type: do } }
  - { fail: { error: changed-my-mind } }
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.calls, ["one", "one.compensation"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancellation_undoes_and_reaches_every_branch() {
    let text = "
steps:
  - { id: one, type: do, config: { answer: 1 }, compensation: { id: undo, type: do } }
  - id: both
    parallel:
      - [ { id: h1, type: do, config: { hang: true } } ]
      - { id: tidy, steps: [ { id: t, try: [ { id: h2, type: do, config: { hang: true } } ], catch: [ { errors: ['*'], steps: [] } ], finally: [ { id: clean, type: do } ] } ] }
";
    let world = World::new(&[]);
    let ran = world
        .run_and(text, json!({}), |engine, id| {
            wait_for_call(id, "both/branch-1/h1");
            wait_for_call(id, "both/tidy/t/h2");
            block_on(engine.cancel(id, "enough")).unwrap();
        })
        .await;
    assert_eq!(ran.error().message, "cancelled: enough");
    assert!(matches!(ran.outcome, bowline_core::Outcome::Cancelled(_)));
    assert_eq!(ran.calls[3..], ["both/tidy/t/finally/clean", "one.compensation"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scatter_gather_strategies() {
    let run = |strategy: &str| {
        let text = format!(
            "
steps:
  - id: quotes
    scatter:
      type: parallel-requests
      nodes:
        - {{ id: a, type: do, config: {{ answer: {{ price: 9, by: a }} }} }}
        - {{ id: b, type: do, config: {{ answer: {{ price: 7, by: b }} }} }}
        - {{ id: c, type: do, config: {{ fail: closed }} }}
        - {{ id: d, type: do, config: {{ fail: slow, times: 1, answer: {{ price: 1, by: d }} }}, errorHandling: {{ retry: {{ maxAttempts: 2, baseDelay: 1h, maxDelay: 1h }} }} }}
    gather: {{ type: aggregate-results, strategy: {strategy}, timeout: 10000 }}
output: {{ result: \"${{quotes}}\", missing: \"${{[workflow.errors.(step & ' ' & code)]}}\" }}
"
        );
        async move { ran(&text, json!({})).await }
    };
    let best = run("best-price").await;
    assert_eq!(best.output()["result"]["by"], "b");
    assert_eq!(best.output()["missing"], json!(["c closed", "d timeout"]));
    assert_eq!(best.took, Duration::from_secs(10));
    assert_eq!(run("all").await.output()["result"][0]["by"], "a");
    assert_eq!(run("merge").await.output()["result"]["by"], "b");
    assert_eq!(run("first").await.took, Duration::ZERO);
    assert_eq!(run("{ max: \"${result.price}\" }").await.output()["result"]["by"], "a");
    assert_eq!(
        run("\"${$count(results) & ' of ' & ($count(results) + $count(failures))}\"")
            .await
            .output()["result"],
        "2 of 4"
    );
    assert_eq!(run("majority").await.error().code, "gather.no-answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn for_each_keeps_order_and_policies() {
    let run = |policy: &str| {
        let text = format!(
            "
steps:
  - id: all
    forEach: \"${{input.list}}\"
    as: x
    concurrency: 2
    onItemError: {policy}
    steps:
      - {{ wait: \"${{ (10 - x) * 1000 }}\" }}
      - {{ id: s, switch: [ {{ when: \"${{x = 2}}\", steps: [ {{ fail: {{ error: two }} }} ] }} ], default: [ {{ id: d, type: do, config: {{ answer: \"${{[x, index]}}\" }} }} ] }}
"
        );
        async move { ran(&text, json!({"list": [1, 2, 3]})).await }
    };
    assert_eq!(run("skip").await.output(), json!([[1, 0], [3, 2]]));
    let collected = run("collect").await.output();
    assert_eq!(
        (&collected[0], &collected[1]["error"]["code"]),
        (&json!([1, 0]), &json!("two"))
    );
    assert_eq!(run("fail").await.error().code, "two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repeat_until_and_while() {
    let text = "
steps:
  - id: poll
    repeat: { until: \"${check = 3}\", max: 5, delay: 10s }
    steps: [ { id: check, type: do, config: { answer: \"${iteration}\" } } ]
";
    let polled = ran(text, json!({})).await;
    assert_eq!((polled.output(), polled.took), (json!(3), Duration::from_secs(20)));
    assert_eq!(polled.calls, ["poll[1]/check", "poll[2]/check", "poll[3]/check"]);
    let text = text.replace("max: 5", "max: 2");
    assert_eq!(ran(&text, json!({})).await.error().code, "repeat.exhausted");
    let text = "
steps:
  - id: count
    repeat: { while: \"${iteration <= input.n}\" }
    steps: [ { id: c, type: do, config: { answer: \"${iteration}\" } } ]
";
    assert_eq!(ran(text, json!({"n": 2})).await.output(), json!(2));
    assert_eq!(ran(text, json!({"n": 0})).await.calls.len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn try_catch_finally() {
    let text = "
steps:
  - id: guarded
    try: [ { id: bad, type: do, config: { fail: http.503 } } ]
    catch:
      - { errors: ['sql.*'], steps: [ { return: wrong } ] }
      - { errors: ['http.5*'], as: why, steps: [ { id: handled, type: do, config: { answer: \"${why.code}\" } } ] }
    finally: [ { id: clean, type: do } ]
";
    let ran = ran(text, json!({})).await;
    assert_eq!(ran.output(), json!("http.503"));
    assert_eq!(
        ran.calls,
        ["guarded/bad", "guarded/catch/handled", "guarded/finally/clean"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_return_fail_and_detach() {
    let child = "input: { required: [n] }\nsteps: [ { id: c, type: do, config: { answer: \"${input.n + 1}\" } } ]";
    let world = World::new(&[("child", child)]);
    let text = "
steps:
  - { id: a, workflow: child, input: { n: 1 } }
  - { id: b, workflow: child, input: { n: 5 }, mode: detach }
  - { id: c, try: [ { id: bad, workflow: child, input: {} } ], catch: [ { as: e, steps: [ { set: { code: \"${e.code}\" } } ] } ] }
output: { a: \"${a}\", detached: \"${$length(b.executionId)}\", code: \"${code}\" }
";
    assert_eq!(
        world.run(text, json!({})).await.output(),
        json!({"a": 2, "detached": 36, "code": "input.invalid"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_input_is_refused_with_every_field() {
    let text = "
input: { type: object, required: [a], properties: { b: { type: number } } }
steps: [ { id: never, type: do } ]
";
    let ran = ran(text, json!({"b": "x"})).await;
    assert_eq!(ran.error().code, "input.invalid");
    let problems = ran.error().data.unwrap()["problems"].as_array().unwrap().len();
    assert_eq!((problems, ran.calls.len()), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_path_names_the_nearest() {
    let error = ran(
        "steps: [ { id: a, type: do, config: { answer: \"${input.usr.name}\" } } ]",
        json!({"user": {"name": 1}}),
    )
    .await
    .error();
    assert_eq!(error.code, "expression.undefined");
    assert!(
        error.message.contains("test.yaml:1:") && error.message.contains("user"),
        "{}",
        error.message
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_used_and_not_shown() {
    let text = "
steps:
  - { id: echo, type: do, config: { answer: { sent: \"Bearer ${env.TOKEN}\", key: \"${credentials.shop.key}\" } } }
  - set: { mine: \"${env.TOKEN}\", part: \"${$substring(env.TOKEN, 0, 8)}\" }
output: { echo: \"${echo}\", mine: \"${mine}\", part: \"${part}\", open: \"${input.n}\" }
";
    let ran = ran(text, json!({"n": 1})).await;
    assert_eq!(
        ran.output(),
        json!({"echo": {"sent": "Bearer ***", "key": "***"}, "mine": "***", "part": "***", "open": 1})
    );
    assert!(ran.masker.contains("xx s3cr3t-token xx"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn result_names_and_shapes() {
    let text = "
steps:
  - { id: login, type: do, config: { answer: { body: { token: abcdef123456, expires: 60 } } }, output: { token: auth.accessToken, expires: auth.expiresIn } }
  - { id: rows, type: do, config: { answer: { rows: [ { user_name: ada, password: x } ], columns: [user_name, password] } }, output: { format: object, transform: { camelCase: true, excludeFields: [password] } } }
  - { id: use, type: do, config: { answer: \"${auth.accessToken = 'abcdef123456'}\" } }
output: { rows: \"${rows}\", expires: \"${auth.expiresIn}\" }
";
    assert_eq!(
        output(text).await,
        json!({"rows": {"userName": "ada"}, "expires": "***"})
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_days_pass_in_no_time() {
    let ran = ran(
        "steps: [ { wait: 2d }, { wait: { until: \"${$fromMillis($toMillis(workflow.timestamp) + 60000)}\" } } ]",
        json!({}),
    )
    .await;
    assert_eq!(ran.took, Duration::from_secs(2 * 86_400 + 60));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_detached_child_goes_on_when_its_parent_ends_with_it() {
    let child = "steps: [ { id: c, type: do, config: { answer: done } } ]";
    let world = World::new(&[("child", child)]);
    let ran = world
        .run("steps: [ { id: k, workflow: child, mode: detach } ]", json!({}))
        .await;
    let id = ran.output()["executionId"].as_str().unwrap().to_owned();
    wait_for_call(&id, "c");
    assert_eq!(ran.store.execution(&id).unwrap().unwrap().workflow, "child");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_scatter_asked_for_is_undone_when_it_is_not_wanted() {
    let node = |id: &str, more: &str| {
        format!("{{ id: {id}, type: do, config: {{ {more} }}, compensation: {{ id: undo, type: do }} }}")
    };
    let text = format!(
        "
steps:
  - id: quotes
    scatter: {{ type: parallel-requests, nodes: [ {}, {} ] }}
    gather: {{ strategy: all }}
  - {{ fail: {{ error: changed-my-mind }} }}
",
        node("a", "answer: 1"),
        node("b", "fail: closed")
    );
    let failed = ran(&text, json!({})).await;
    assert_eq!(failed.calls[2..], ["quotes/a.compensation"]);
    let text = format!(
        "
steps:
  - id: quotes
    scatter: {{ type: parallel-requests, nodes: [ {}, {} ] }}
",
        node("a", "answer: 1"),
        node("b", "hang: true")
    );
    let world = World::new(&[]);
    let cancelled = world
        .run_and(&text, json!({}), |engine, id| {
            wait_for_call(id, "quotes/b");
            wait_for_call(id, "quotes/a");
            // Its result is recorded before anything else is handled, or it is cut off: both are right.
            block_on(engine.cancel(id, "enough")).unwrap();
        })
        .await;
    assert!(cancelled.calls.len() <= 3, "{:?}", cancelled.calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saga_undoes_once_and_only_what_was_done() {
    let text = "
steps:
  - id: order
    saga:
      steps:
        - { action: { id: own, type: do, config: { answer: 1 }, compensation: { id: u, type: do } } }
        - { action: { id: skipped, type: do, when: \"${false}\" }, compensation: { id: u, type: do } }
        - { action: { id: failed, type: do, config: { fail: x }, errorHandling: { onError: continue } }, compensation: { id: u, type: do } }
        - { action: { id: broken, type: do, config: { fail: broken } } }
      onFailure: compensate-all
";
    let ran = ran(text, json!({})).await;
    assert_eq!(
        ran.calls,
        ["order/own", "order/failed", "order/broken", "order/own.compensation"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_inside_finally_holds_and_is_forgotten_when_it_is_not_needed() {
    let scatter = |more: &str| {
        format!(
            "
steps:
  - id: t
    try: [ {{ id: a, type: do }} ]
    finally:
      - id: q
        scatter: {{ type: parallel-requests, nodes: [ {{ id: n, type: do, config: {{ answer: 1 }} }}, {{ id: m, type: do, config: {{ {more} }}, errorHandling: {{ retry: {{ maxAttempts: 2, baseDelay: 1h, maxDelay: 1h }} }} }} ] }}
        gather: {{ strategy: all, timeout: 8s }}
"
        )
    };
    assert_eq!(ran(&scatter("answer: 2"), json!({})).await.took, Duration::ZERO);
    assert_eq!(
        ran(&scatter("fail: flaky, times: 1"), json!({})).await.took,
        Duration::from_secs(8)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_in_an_error_of_a_block_is_not_recorded() {
    let ran = ran("steps: [ { wait: \"${env.TOKEN & 'q'}\" } ]", json!({})).await;
    assert!(!ran.error().message.contains("s3cr3t"), "{}", ran.error().message);
}
