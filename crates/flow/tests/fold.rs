//! Long loops: what a stretch came to stands for it, live and after a crash.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[expect(dead_code, reason = "this test drives the core itself")]
mod support;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use bowline_core::{
    Effect, Event, Execution, Identity, Input, Outcome, Payload, Record, Resumption, StepError, TokenKey, condense,
};
use bowline_expression::Masker;
use bowline_flow::{FlowProgram, LoadOptions, Runtime, Settings, Source, load};
use serde_json::{Value, json};

fn program(text: &str) -> FlowProgram {
    let registry = Arc::new(support::registry());
    let plan = load(Source::new("w.yaml", text), &registry, &LoadOptions::default())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"));
    let settings = Settings {
        env: [("TOKEN".to_owned(), "s3cr3t-token".to_owned())].into(),
        ..Settings::default()
    };
    let runtime = Arc::new(Runtime::new(registry, Masker::default(), settings));
    FlowProgram::new(plan, runtime, PathBuf::from("."))
}

fn identity() -> Identity {
    Identity {
        id: "fold".into(),
        workflow: "w".into(),
        started_at: 0,
        exec: 1,
        tokens: TokenKey::new([0; 32]),
    }
}

/// An execution and everything that an engine would do for it.
struct Run {
    execution: Execution,
    journal: Vec<Record>,
    todo: VecDeque<Effect>,
    now: i64,
}

impl Run {
    fn start(program: &FlowProgram, input: &Value) -> Self {
        let (execution, batch) = Execution::start(identity(), program, Payload::of(input).unwrap());
        let mut run = Self {
            execution,
            journal: Vec::new(),
            todo: VecDeque::new(),
            now: 0,
        };
        run.take(batch);
        run
    }

    /// As after a crash: nothing but the records is left.
    fn again(program: &FlowProgram, records: Vec<Record>) -> Self {
        let now = records.last().unwrap().at;
        let (execution, effects) = Execution::replay(identity(), program, &records, now).unwrap();
        Self {
            execution,
            journal: records,
            todo: effects.into(),
            now,
        }
    }

    fn take(&mut self, batch: bowline_core::Batch) {
        if !batch.events.is_empty() {
            self.journal.push(Record {
                at: self.now,
                events: batch.events,
            });
        }
        self.todo.extend(batch.effects);
    }

    /// Goes on until there are so many records, or the end.
    async fn until(&mut self, records: usize) {
        while self.journal.len() < records
            && let Some(effect) = self.todo.pop_front()
        {
            let input = match effect {
                Effect::RunStep { attempt, body, .. } => Input::AttemptEnded {
                    path: Arc::clone(&attempt.path),
                    attempt: attempt.number,
                    result: body.run(attempt).await,
                },
                Effect::SetTimer { path, at } => {
                    self.now = self.now.max(at);
                    Input::TimerFired { path }
                }
                Effect::BeginAttempt { path, attempt, .. } => Input::AttemptBegun { path, attempt },
                Effect::ReportUnknown { path, attempt } => Input::AttemptEnded {
                    path,
                    attempt,
                    result: Err(StepError::outcome_unknown()),
                },
                _ => continue,
            };
            let batch = self.execution.handle(self.now, input);
            self.take(batch);
        }
    }

    async fn output(mut self) -> (Value, Self) {
        self.until(usize::MAX).await;
        match self.execution.outcome() {
            Some(Outcome::Succeeded(output)) => (output.parse().unwrap(), self),
            other => panic!("{other:?}"),
        }
    }

    fn folds(&self) -> usize {
        let events = self.journal.iter().flat_map(|record| &record.events);
        events.filter(|event| matches!(event, Event::ScopeFolded(_))).count()
    }
}

const LONG: &str = "
steps:
  - set: { total: 0 }
  - id: each
    forEach: \"${ [1..input.items] }\"
    onItemError: skip
    steps:
      - { id: put, type: do, config: { answer: \"${ item * 2 }\" } }
      - when: \"${ item % 1000 = 7 }\"
        id: odd
        type: do
        config: { fail: odd }
      - { id: same, type: do, config: { answer: \"${ put }\" } }
  - id: loop
    repeat: { until: \"${ iteration = input.rounds }\", max: 100000, delay: 1s }
    steps:
      - { id: work, type: do, config: { answer: { at: \"${iteration}\" } } }
      - { id: bad, type: do, when: \"${ iteration % 1000 = 9 }\", config: { fail: bad }, errorHandling: { onError: continue } }
      - set: { total: \"${ total + work.at }\" }
  - { id: after, type: do, config: { answer: done } }
output:
  count: \"${ $count(each) }\"
  last: \"${ each[-1] }\"
  total: \"${ total }\"
  work: \"${ work.at }\"
  loop: \"${ $type(loop) }\"
  status: \"${ steps.work.status & steps.bad.status }\"
  errors: \"${ workflow.errors.(step & ' ' & code) }\"
";

#[tokio::test]
async fn a_long_loop_goes_on_after_a_crash_from_a_few_records() {
    let program = program(LONG);
    let input = json!({ "items": 2000, "rounds": 2000 });
    let (whole, run) = Run::start(&program, &input).output().await;
    let total: u64 = (1..=2000).sum();
    let expected = json!({
        "count": 1998, "last": 4000, "total": total, "work": 2000, "loop": "object", "status": "succeededskipped",
        "errors": ["each[6] odd", "each[1006] odd", "bad bad", "bad bad"],
    });
    assert_eq!(whole, expected);
    assert!(run.folds() >= 8, "{}", run.folds());
    let all = run.journal.len();
    assert!(all > 8_000);

    for cut in [2_000, 4_100, 7_500, all - 3] {
        let records = run.journal[..cut].to_vec();
        let few = condense(&records);
        let left: usize = few.iter().map(|record| record.events.len()).sum();
        assert!(left < 4_000, "{left} of {cut} records are left");
        let (after, _) = Run::again(&program, few).output().await;
        assert_eq!(after, expected, "cut after {cut} records");
    }
    let few = condense(&run.journal[..all - 1]);
    let left: usize = few.iter().map(|record| record.events.len()).sum();
    assert!(left < 600, "{left} events are left");
    let (after, _) = Run::again(&program, run.journal[..all - 1].to_vec()).output().await;
    assert_eq!(after, expected, "without condensing");
}

#[tokio::test]
async fn a_crash_anywhere_in_a_short_loop_changes_nothing() {
    let text = "
steps:
  - id: both
    parallel:
      - id: left
        steps:
          - id: rounds
            repeat: { while: \"${ iteration <= 25 }\" }
            steps:
              - { id: a, type: do, config: { answer: \"${ iteration }\" } }
              - { set: { seen: \"${ $string(a) & ' of ' & $string($count(workflow.errors)) }\" } }
              - { id: c, type: do, when: \"${ a % 10 = 3 }\", config: { fail: no }, errorHandling: { onError: continue } }
              - switch: [ { when: \"${ a = 24 }\", steps: [ { id: d, type: do, config: { answer: 1 } } ] } ]
      - id: right
        forEach: \"${ [1..12] }\"
        concurrency: 3
        onItemError: collect
        steps:
          - id: inner
            forEach: \"${ [1..item] }\"
            as: deep
            steps: [ { id: e, type: do, config: { answer: \"${ item * deep }\" } }, { wait: 1s } ]
          - { when: \"${ item = 5 }\", fail: { error: five } }
output: \"${ { 'seen': seen, 'right': right, 'errors': workflow.errors.code, 'd': d, 'a': steps.a.status } }\"
";
    let program = program(text);
    let (whole, run) = Run::start(&program, &json!({})).output().await;
    assert_eq!(whole["seen"], "25 of 3");
    assert_eq!(whole["errors"], json!(["no", "no", "no"]));
    assert_eq!(whole["right"][4]["error"]["code"], "five");
    assert!(run.folds() > 3);
    for cut in 1..run.journal.len() {
        let records = run.journal[..cut].to_vec();
        let (after, _) = Run::again(&program, condense(&records)).output().await;
        assert_eq!(after, whole, "condensed, cut after {cut} records");
        let (after, _) = Run::again(&program, records).output().await;
        assert_eq!(after, whole, "cut after {cut} records");
    }
}

#[tokio::test]
async fn what_cannot_be_told_in_one_value_is_not_folded() {
    for (what, steps) in [
        (
            "undone",
            "{ id: a, type: do, config: { answer: 1 }, compensation: { type: do } }",
        ),
        ("secret", "{ set: { key: \"${ env.TOKEN & $string(iteration) }\" } }"),
        (
            "secret by way of another",
            "{ set: { key: \"${ env.TOKEN }\", other: \"${ key & 'x' }\" } }",
        ),
        (
            "a secret's name",
            "{ id: a, type: do, config: { answer: { t: token-value } }, output: { t: auth.token } }",
        ),
    ] {
        let text = format!(
            "
steps:
  - id: loop
    repeat: {{ until: \"${{ iteration = 30 }}\" }}
    steps: [ {{ id: x, type: do, config: {{ answer: 1 }} }}, {steps} ]
"
        );
        let (_, run) = Run::start(&program(&text), &json!({})).output().await;
        assert_eq!(run.folds(), 0, "{what}");
    }
}

#[tokio::test]
async fn what_runs_can_be_asked_for_its_state() {
    let text = "
steps:
  - set: { open: 1, hidden: \"${ env.TOKEN }\" }
  - { id: first, type: do, config: { answer: { x: 1 } } }
  - { id: bad, type: do, config: { fail: no }, errorHandling: { onError: continue } }
  - { id: second, type: do }
";
    let mut run = Run::start(&program(text), &json!({}));
    run.until(3).await;
    let published = run.execution.published();
    let shown = |name: &str| published[name].parse::<Value>().unwrap();
    assert_eq!(shown("variables"), json!({ "open": 1, "hidden": "***" }));
    assert_eq!(shown("steps")["first"]["output"], json!({ "x": 1 }));
    assert_eq!(shown("steps")["bad"]["status"], "failed");
    assert_eq!(shown("errors")[0]["code"], "no");
}

#[tokio::test]
async fn what_a_crash_cut_off_is_found_out_about_and_asked_for_again_under_its_key() {
    let text = |found: &str| {
        format!(
            "
steps:
  - id: charge
    type: do
    config: {{ key: true, answer: 1 }}
    onUnknownOutcome:
      verify: {{ type: do, config: {{ answer: \"${{idempotencyKey & ' ' & $string(request.answer)}}\" }}, output: {found} }}
output: \"${{charge}}\"
"
        )
    };
    for (found, is_there) in [("\"${ null }\"", false), ("\"${ { 'was': result } }\"", true)] {
        let program = program(&text(found));
        let mut run = Run::start(&program, &json!({}));
        // The attempt has begun, and its result is lost.
        run.until(2).await;
        assert!(
            matches!(run.journal[1].events[..], [Event::AttemptBegun { .. }]),
            "{:?}",
            run.journal
        );
        let (output, run) = Run::again(&program, run.journal).output().await;
        let journal: Vec<&Event> = run.journal.iter().flat_map(|record| &record.events).collect();
        let asked: String = journal
            .iter()
            .find_map(|event| match event {
                Event::StepCompleted { path, output, .. } if &**path == "charge/verify" => output.parse().ok(),
                _ => None,
            })
            .unwrap();
        let key = asked.strip_suffix(" 1").unwrap();
        if is_there {
            assert_eq!(output, json!({ "was": asked }));
        } else {
            assert_eq!(output, json!({ "key": key, "path": "charge#2" }), "the first one's key");
        }
    }
}

#[tokio::test]
async fn a_loop_that_was_undone_is_done_again_by_a_resumption() {
    let text = "
steps:
  - id: order
    saga:
      steps:
        - action: { id: items, forEach: \"${ [1..input.n] }\", steps: [ { id: put, type: do, config: { key: true } } ] }
          compensation: { id: undo, type: do }
        - action: { id: bad, type: do, config: { fail: no } }
";
    let program = program(text);
    // A few rounds, and as many as would fold elsewhere.
    for count in [2, 20] {
        let mut run = Run::start(&program, &json!({ "n": count }));
        run.until(usize::MAX).await;
        let done = |run: &Run| -> Vec<String> {
            let events = run.journal.iter().flat_map(|record| &record.events);
            let keys = events.filter_map(|event| match event {
                Event::StepCompleted { path, output, .. } if &**path == "order/items[1]/put" => {
                    output.parse::<Value>().ok()
                }
                _ => None,
            });
            keys.map(|output| output["key"].to_string()).collect()
        };
        let first = done(&run);
        let (execution, batch) =
            Execution::resume(identity(), &program, &run.journal, 9, Resumption::because("again")).unwrap();
        run.execution = execution;
        run.take(batch);
        run.until(usize::MAX).await;
        let both = done(&run);
        assert_eq!((first.len(), both.len()), (1, 2), "{count} rounds");
        assert_ne!(
            both[0], both[1],
            "with the old key a service would answer with what it has undone"
        );
    }
}
