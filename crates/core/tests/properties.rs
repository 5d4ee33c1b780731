//! Random programs, random orders of completion, random crash points: a replayed run is the run.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{
    Attempt, Backoff, Branch, Context, Effect, Event, Execution, Identity, Input, Outcome, Path, Payload, Record,
    ReplayError, RetryPolicy, Saga, Step, StepError, StepOptions, decode, encode, join_all, race,
};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Node {
    Step,
    Sleep(u8),
    Child(bool),
    Seq(Vec<Node>),
    All(Vec<Node>),
    Race(Vec<Node>),
    Ignore(Box<Node>),
    Saga(Vec<Node>),
    Within(u8, Box<Node>),
}

fn programs() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        6 => Just(Node::Step),
        2 => (0u8..20).prop_map(Node::Sleep),
        1 => any::<bool>().prop_map(Node::Child),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let many = prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            3 => many.clone().prop_map(Node::Seq),
            2 => many.clone().prop_map(Node::All),
            2 => many.clone().prop_map(Node::Race),
            1 => many.prop_map(Node::Saga),
            1 => inner.clone().prop_map(|node| Node::Ignore(Box::new(node))),
            1 => (0u8..10, inner).prop_map(|(ms, node)| Node::Within(ms, Box::new(node))),
        ]
    })
}

fn step(name: &str, compensates: Option<Path>) -> Step {
    Step {
        name: name.into(),
        kind: "test".into(),
        input: None,
        options: StepOptions {
            timeout: None,
            total_timeout: None,
            retry: RetryPolicy {
                max_attempts: 2,
                backoff: Backoff::Fixed,
                base_delay: Duration::from_millis(3),
                ..RetryPolicy::default()
            },
        },
        compensates,
        body: Arc::new(|_: Attempt| async { Ok(Payload::null()) }),
    }
}

/// The result says what happened, so that two runs that differ anywhere differ in it.
fn run(ctx: Context, node: Node) -> Branch<'static, Result<String, StepError>> {
    Box::pin(async move {
        let text = |payload: Payload| payload.text().to_owned();
        match node {
            Node::Step => ctx.step(step("s", None)).await.map(text),
            Node::Sleep(ms) => ctx
                .sleep("t", Duration::from_millis(ms.into()))
                .await
                .map(|_| format!("t{}", ctx.now())),
            Node::Child(detached) => ctx.child("c", "other", Payload::null(), detached).await.map(text),
            Node::Seq(nodes) => {
                let mut all = String::new();
                for (i, node) in nodes.into_iter().enumerate() {
                    all += &run(ctx.scope(&i.to_string()), node).await?;
                }
                Ok(all)
            }
            Node::All(nodes) => {
                let branches: Vec<_> = nodes
                    .into_iter()
                    .enumerate()
                    .map(|(i, node)| run(ctx.scope(&format!("all{i}")), node))
                    .collect();
                let results: Result<Vec<_>, _> = join_all(branches).await.into_iter().collect();
                results.map(|all| all.join("&"))
            }
            Node::Race(nodes) => {
                let branches: Vec<_> = nodes
                    .into_iter()
                    .enumerate()
                    .map(|(i, node)| run(ctx.scope(&format!("race{i}")), node))
                    .collect();
                match race(branches).await {
                    Some((winner, result)) => result.map(|text| format!("{winner}:{text}")),
                    None => Ok(String::new()),
                }
            }
            Node::Ignore(node) => match run(ctx.scope("try"), *node).await {
                Err(error) if error.code != "cancelled" => Ok(format!("({})", error.code)),
                other => other,
            },
            Node::Saga(nodes) => {
                let mut saga = Saga::default();
                for (i, node) in nodes.into_iter().enumerate() {
                    let scope = ctx.scope(&format!("do{i}"));
                    match run(scope.clone(), node).await {
                        Ok(_) => {
                            let undo = scope.clone();
                            saga.done(format!("{i}"), move |shielded| {
                                Box::pin(async move {
                                    let _ = &undo;
                                    shielded.step(step(&format!("undo{i}"), None)).await.map(drop)
                                })
                            });
                        }
                        Err(error) => {
                            let left = saga.compensate(&ctx).await;
                            return Err(StepError::permanent(
                                format!("{}.{}", error.code, left.len()),
                                "compensated",
                            ));
                        }
                    }
                }
                Ok("saga".into())
            }
            Node::Within(ms, node) => {
                let limit = ctx.sleep("limit", Duration::from_millis(ms.into()));
                let limit: Branch<'_, _> = Box::pin(async move { limit.await.map(|_| "late".to_owned()) });
                match race([run(ctx.scope("in"), *node), limit]).await {
                    Some((_, result)) => result,
                    None => Ok(String::new()),
                }
            }
        }
    })
}

/// What the engine would have to do now: open attempts, timers and children.
#[derive(Default)]
struct World {
    steps: BTreeMap<Path, (u32, i64)>,
    timers: BTreeMap<Path, i64>,
    children: BTreeSet<Path>,
    /// Results that are in the journal: such a step must never be asked for again.
    recorded: BTreeSet<Path>,
}

impl World {
    fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RunStep {
                    attempt, not_before, ..
                } => {
                    assert!(!self.recorded.contains(&attempt.path), "{} runs again", attempt.path);
                    self.steps
                        .insert(attempt.path, (attempt.number, not_before.unwrap_or(0)));
                }
                Effect::SetTimer { path, at } => {
                    self.timers.insert(path, at);
                }
                Effect::StartChild { path, detached, .. } => {
                    if !detached {
                        self.children.insert(path);
                    }
                }
                Effect::CancelStep { path } => {
                    self.steps.remove(&path);
                }
                Effect::CancelTimer { path } => {
                    self.timers.remove(&path);
                }
                Effect::CancelChild { .. } => {}
            }
        }
    }

    fn journaled(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::StepCompleted { path, .. } | Event::StepFailed { path, .. } => {
                    self.recorded.insert(path.clone());
                }
                Event::ChildCancelled { path, .. } => {
                    self.children.remove(path);
                }
                _ => {}
            }
        }
    }

    fn open(&self) -> Vec<String> {
        let steps = self
            .steps
            .iter()
            .map(|(path, (attempt, due))| format!("{path} {attempt} {due}"));
        let timers = self.timers.iter().map(|(path, at)| format!("{path} @{at}"));
        steps
            .chain(timers)
            .chain(self.children.iter().map(|path| format!("child {path}")))
            .collect()
    }
}

fn identity() -> Identity {
    Identity {
        id: "e".into(),
        workflow: "w".into(),
        started_at: 1000,
    }
}

fn roundtrip(record: Record) -> Record {
    Record {
        at: record.at,
        events: decode(&encode(&record.events).unwrap()).unwrap(),
    }
}

fn simulate(node: &Node, choices: &[u32]) {
    let program = {
        let node = node.clone();
        move |ctx: Context, _: Payload| {
            let node = node.clone();
            async move { run(ctx, node).await.map(|text| Payload::of(&text).unwrap()) }
        }
    };
    let mut choices = choices
        .iter()
        .copied()
        .cycle()
        .zip(0u32..)
        .map(|(choice, n)| choice.wrapping_add(n.wrapping_mul(0x9E37_79B9)));
    let mut next = move || choices.next().unwrap_or_default() >> 7;
    let mut now = 1000;
    let mut world = World::default();
    let mut journal = Vec::new();
    let (mut execution, batch) = Execution::start(identity(), &program, Payload::null());
    journal.push(roundtrip(Record {
        at: now,
        events: batch.events,
    }));
    world.take(batch.effects);
    let mut inputs = 0;
    while execution.outcome().is_none() {
        inputs += 1;
        assert!(inputs < 10_000, "it does not end: {:?}", world.open());
        if next() % 4 == 0 {
            // A crash: what is in the journal must bring back exactly what was open.
            drop(execution);
            let (again, effects) = Execution::replay(identity(), &program, &journal, now).unwrap();
            let mut reborn = World {
                recorded: world.recorded.clone(),
                ..World::default()
            };
            reborn.take(effects);
            assert_eq!(reborn.open(), world.open(), "after a crash");
            execution = again;
            world = reborn;
        }
        let total = world.steps.len() + world.timers.len() + world.children.len();
        assert!(total > 0, "it waits for nothing");
        let pick = next() as usize % total;
        let input = if next() % 40 == 0 {
            Input::Cancel {
                reason: "enough".into(),
            }
        } else if pick < world.steps.len() {
            let (path, (attempt, due)) = world.steps.iter().nth(pick).map(|(p, a)| (p.clone(), *a)).unwrap();
            now = now.max(due);
            let result = match next() % 5 {
                0 => Err(StepError::transient("flaky", "flaky")),
                1 if next() % 3 == 0 => Err(StepError::permanent("broken", "broken")),
                _ => Ok(Payload::of(&format!("{path}={}", next() % 10)).unwrap()),
            };
            world.steps.remove(&path);
            Input::AttemptEnded { path, attempt, result }
        } else if pick < world.steps.len() + world.timers.len() {
            let (path, at) = world
                .timers
                .iter()
                .nth(pick - world.steps.len())
                .map(|(p, a)| (p.clone(), *a))
                .unwrap();
            now = now.max(at);
            world.timers.remove(&path);
            Input::TimerFired { path }
        } else {
            let path = world
                .children
                .iter()
                .nth(pick - world.steps.len() - world.timers.len())
                .unwrap()
                .clone();
            world.children.remove(&path);
            Input::ChildEnded {
                path,
                outcome: Outcome::Succeeded(Payload::null()),
            }
        };
        now += i64::from(next() % 3);
        let batch = execution.handle(now, input);
        if !batch.events.is_empty() {
            world.journaled(&batch.events);
            journal.push(roundtrip(Record {
                at: now,
                events: batch.events,
            }));
        }
        world.take(batch.effects);
    }
    assert_eq!(world.open(), Vec::<String>::new(), "nothing is left open after the end");
    let outcome = execution.outcome().cloned();
    for length in 1..=journal.len() {
        let (again, _) = Execution::replay(identity(), &program, &journal[..length], now).unwrap();
        if length == journal.len() {
            assert_eq!(again.outcome().cloned(), outcome, "the replay ends as the run did");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_replayed_run_is_the_run(node in programs(), choices in prop::collection::vec(any::<u32>(), 1..40)) {
        simulate(&node, &choices);
    }

    #[test]
    fn a_changed_program_is_refused_by_name(node in programs(), choices in prop::collection::vec(any::<u32>(), 1..8)) {
        let _ = choices;
        let before = Node::Seq(vec![Node::Step, node]);
        let program = |node: Node| move |ctx: Context, _: Payload| {
            let node = node.clone();
            async move { run(ctx, node).await.map(|text| Payload::of(&text).unwrap()) }
        };
        let (execution, batch) = Execution::start(identity(), &program(before), Payload::null());
        drop(execution);
        let journal = [Record { at: 1000, events: batch.events }];
        let after = Node::Seq(vec![Node::Sleep(1), Node::Step]);
        match Execution::replay(identity(), &program(after), &journal, 1000) {
            Err(ReplayError::Nondeterminism { path, journaled, .. }) => {
                prop_assert_eq!(path, "0/t");
                prop_assert!(journaled.contains("0/s"), "{}", journaled);
            }
            other => panic!("expected a nondeterminism error, got {:?}", other.map(|_| ()).err()),
        }
    }
}
