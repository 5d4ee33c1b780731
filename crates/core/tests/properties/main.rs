//! Random programs, random orders of completion, random crash points, records condensed at random: a replayed run is
//! the run.
#![expect(clippy::unwrap_used, reason = "tests")]

mod program;
mod world;

use bowline_core::{
    Batch, Effect, Event, Execution, Identity, Input, Payload, Program, Record, ReplayError, Resumption, TokenKey,
    condense, decode, encode, standing,
};
use proptest::prelude::*;

use program::{Node, program, programs};
use world::{World, describe};

fn identity() -> Identity {
    Identity {
        id: "e".into(),
        workflow: "w".into(),
        started_at: 1000,
        exec: 7,
        tokens: TokenKey::new([1; 32]),
    }
}

fn roundtrip(record: Record) -> Record {
    Record {
        at: record.at,
        events: decode(&encode(&record.events).unwrap()).unwrap(),
    }
}

fn described(effects: &[Effect]) -> Vec<String> {
    effects.iter().map(describe).collect()
}

/// A run, and beside it the same run brought back from condensed records.
struct Run<'a> {
    program: &'a dyn Program,
    now: i64,
    journal: Vec<Record>,
    /// The same journal, parts of it condensed.
    condensed: Vec<Record>,
    execution: Execution,
    shadow: Option<Execution>,
    world: World,
}

impl<'a> Run<'a> {
    fn start(program: &'a dyn Program) -> Self {
        let (execution, batch) = Execution::start(identity(), program, Payload::null());
        let mut run = Self {
            program,
            now: 1000,
            journal: Vec::new(),
            condensed: Vec::new(),
            execution,
            shadow: None,
            world: World::default(),
        };
        run.record(batch);
        run
    }

    fn record(&mut self, batch: Batch) {
        let Batch { events, effects } = batch;
        if !events.is_empty() {
            self.world.journaled(&events);
            let record = roundtrip(Record { at: self.now, events });
            self.journal.push(record.clone());
            self.condensed.push(record);
        }
        self.world.take(effects);
    }

    /// Condenses a stretch of what is left; sometimes all.
    fn condense(&mut self, from: usize, to: usize) {
        let rest = self.condensed.split_off(to);
        let stretch = self.condensed.split_off(from);
        self.condensed.extend(condense(&stretch).into_iter().map(roundtrip));
        self.condensed.extend(rest);
    }

    /// What is in the journal brings back exactly what was open, and the condensed one the same.
    fn crash(&mut self) {
        let (execution, effects) = Execution::replay(identity(), self.program, &self.journal, self.now).unwrap();
        let (shadow, same) = Execution::replay(identity(), self.program, &self.condensed, self.now).unwrap();
        assert_eq!(described(&same), described(&effects), "condensed");
        self.execution = execution;
        self.shadow = Some(shadow);
        self.compare();
        let mut reborn = self.world.reborn();
        reborn.take(effects);
        assert_eq!(reborn.open(), self.world.open(), "after a crash");
        self.world = reborn;
    }

    fn handle(&mut self, input: Input) {
        let batch = self.execution.handle(self.now, input.clone());
        if let Some(shadow) = &mut self.shadow {
            let same = shadow.handle(self.now, input);
            assert_eq!(same.events, batch.events, "condensed");
            assert_eq!(described(&same.effects), described(&batch.effects), "condensed");
        }
        self.record(batch);
        self.compare();
    }

    fn compare(&self) {
        if let Some(shadow) = &self.shadow {
            assert_eq!(shadow.rest(), self.execution.rest());
            assert_eq!(shadow.outcome(), self.execution.outcome());
            assert_eq!(shadow.published(), self.execution.published());
        }
    }

    /// Whoever reads the journal only sees as much open as there is.
    fn stands(&self) {
        let all = standing(&self.journal);
        let rest = self.execution.rest();
        assert_eq!(all.outcome.as_ref(), self.execution.outcome());
        for open in &all.open {
            assert!(self.execution.waits_for(&open.path), "{open:?}");
        }
        assert_eq!(rest.next, all.open.iter().filter_map(|open| open.what.due()).min());
        let kept = standing(&self.condensed);
        assert_eq!(
            (kept.open, kept.signals, kept.outcome),
            (all.open, all.signals, all.outcome)
        );
    }
}

fn simulate(node: &Node, choices: &[u32]) -> usize {
    let program = program(node.clone());
    let mut choices = choices
        .iter()
        .copied()
        .cycle()
        .zip(0u32..)
        .map(|(choice, n)| choice.wrapping_add(n.wrapping_mul(0x9E37_79B9)));
    let mut next = move || choices.next().unwrap_or_default() >> 7;
    let mut run = Run::start(&program);
    let mut inputs = 0;
    while run.execution.outcome().is_none() {
        inputs += 1;
        assert!(inputs < 20_000, "it does not end: {:?}", run.world.open());
        if next().is_multiple_of(6) {
            let to = 1 + next() as usize % run.condensed.len();
            let from = if next().is_multiple_of(2) {
                0
            } else {
                next() as usize % to
            };
            run.condense(from, to);
        }
        if next().is_multiple_of(4) {
            run.crash();
        }
        let (due, input) = run.world.happens(&mut next);
        run.now = run.now.max(due) + i64::from(next() % 3);
        run.handle(input);
        if next().is_multiple_of(8) {
            run.stands();
        }
    }
    assert_eq!(
        run.world.open(),
        Vec::<String>::new(),
        "nothing is left open after the end"
    );
    run.stands();
    let length = run.condensed.len();
    run.condense(0, length);
    run.crash();
    run.stands();
    for length in 1..=run.journal.len() {
        let whole = &run.journal[..length];
        let (again, effects) = Execution::replay(identity(), &program, whole, run.now).unwrap();
        let (same, alike) = Execution::replay(identity(), &program, &condense(whole), run.now).unwrap();
        assert_eq!(described(&alike), described(&effects));
        assert_eq!(same.outcome(), again.outcome());
    }
    resume(&run, next() as usize);
    run.journal.len() - condense(&run.journal).len()
}

/// A resumption begins the same way from a condensed journal, and from any crash after.
fn resume(run: &Run<'_>, seed: usize) {
    let keep = |path: &str| seed.is_multiple_of(2) || !(path.len() + seed).is_multiple_of(3);
    let begin = |journal: &[Record]| {
        let resumption = Resumption {
            keep: &keep,
            ..Resumption::because("again")
        };
        Execution::resume(identity(), run.program, journal, run.now, resumption).unwrap()
    };
    let (execution, batch) = begin(&run.journal);
    let (_, same) = begin(&run.condensed);
    assert_eq!(same.events, batch.events, "condensed");
    assert_eq!(described(&same.effects), described(&batch.effects));
    let mut journal = run.condensed.clone();
    journal.push(roundtrip(Record {
        at: run.now,
        events: batch.events,
    }));
    let (again, _) = Execution::replay(identity(), run.program, &journal, run.now).unwrap();
    assert_eq!(again.outcome(), execution.outcome());
    assert_eq!(again.rest(), execution.rest());
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
        let before = program(Node::Seq(vec![Node::Step, node]));
        let (execution, batch) = Execution::start(identity(), &before, Payload::null());
        drop(execution);
        let journal = [Record { at: 1000, events: batch.events }];
        let after = program(Node::Seq(vec![Node::Sleep(1), Node::Step]));
        match Execution::replay(identity(), &after, &journal, 1000) {
            Err(ReplayError::Nondeterminism { path, journaled, .. }) => {
                prop_assert_eq!(path, "0/t");
                prop_assert!(journaled.contains("0/s"), "{}", journaled);
            }
            other => panic!("expected a nondeterminism error, got {:?}", other.map(|_| ()).err()),
        }
    }
}

#[test]
fn folded_loops_shrink() {
    let round = Node::All(vec![Node::Step, Node::Signal(false)]);
    let gone = simulate(&Node::Loop(7, Box::new(round)), &[5, 77, 1 << 20]);
    assert!(gone > 5, "{gone} records gone");
    let event = Event::CancelRequested { reason: String::new() };
    let record = Record {
        at: 1,
        events: vec![event],
    };
    assert_eq!(condense(std::slice::from_ref(&record)), [record]);
}
