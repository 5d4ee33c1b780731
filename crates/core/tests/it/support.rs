//! One execution, driven by hand.

use std::sync::Arc;

use bowline_core::{
    Attempt, Batch, Effect, Event, Execution, Identity, Input, Outcome, Payload, Program, Record, Resumption, Step,
    StepError, StepOptions, TokenKey,
};
use serde::Serialize;

pub(crate) type Ended = Result<Payload, StepError>;

pub(crate) fn identity() -> Identity {
    Identity {
        id: "e".into(),
        workflow: "w".into(),
        started_at: 1000,
        exec: 7,
        tokens: TokenKey::new([1; 32]),
    }
}

pub(crate) fn step(name: &str, options: StepOptions) -> Step {
    Step {
        name: name.into(),
        kind: "test".into(),
        input: None,
        options,
        compensates: None,
        key_of: None,
        body: Arc::new(|_: Attempt| async { Ok(Payload::null()) }),
    }
}

pub(crate) fn json<T: Serialize>(value: T) -> Payload {
    Payload::of(&value).unwrap()
}

pub(crate) fn ended(path: &str, attempt: u32, result: Ended) -> Input {
    Input::AttemptEnded {
        path: path.into(),
        attempt,
        result,
    }
}

/// An execution with its journal, and the effects of what changed something last.
pub(crate) struct Live<'a> {
    pub(crate) program: &'a dyn Program,
    pub(crate) execution: Execution,
    pub(crate) journal: Vec<Record>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) now: i64,
}

impl<'a> Live<'a> {
    pub(crate) fn start(program: &'a dyn Program) -> Self {
        let (execution, batch) = Execution::start(identity(), program, Payload::null());
        let mut live = Self {
            program,
            execution,
            journal: Vec::new(),
            effects: Vec::new(),
            now: 1000,
        };
        live.take(batch);
        live
    }

    fn take(&mut self, Batch { events, effects }: Batch) {
        if events.is_empty() {
            assert!(effects.is_empty(), "effects that follow from nothing");
            return;
        }
        let at = self.now;
        self.journal.push(Record { at, events });
        self.effects = effects;
    }

    /// Handles something a millisecond later; says which events followed.
    pub(crate) fn handle(&mut self, input: Input) -> Vec<Event> {
        self.now += 1;
        let before = self.journal.len();
        let batch = self.execution.handle(self.now, input);
        self.take(batch);
        self.journal[before..]
            .iter()
            .flat_map(|record| record.events.clone())
            .collect()
    }

    /// Handles something at a time.
    pub(crate) fn at(&mut self, now: i64, input: Input) -> Vec<Event> {
        self.now = now - 1;
        self.handle(input)
    }

    /// First attempts of these succeed with null.
    pub(crate) fn succeed(&mut self, paths: &[&str]) {
        for path in paths {
            assert!(!self.handle(ended(path, 1, Ok(Payload::null()))).is_empty(), "{path}");
        }
    }

    /// Comes back from its journal.
    pub(crate) fn crash(&mut self) {
        let (execution, effects) = Execution::replay(identity(), self.program, &self.journal, self.now).unwrap();
        (self.execution, self.effects) = (execution, effects);
    }

    /// Is taken up again from the top.
    pub(crate) fn resume(&mut self, resumption: Resumption<'_>) {
        let (execution, batch) =
            Execution::resume(identity(), self.program, &self.journal, self.now, resumption).unwrap();
        self.execution = execution;
        self.take(batch);
    }

    pub(crate) fn output(&self) -> String {
        match self.execution.outcome() {
            Some(Outcome::Succeeded(output)) => output.text().to_owned(),
            other => format!("{other:?}"),
        }
    }

    /// What the last effects are, each in a word and its path.
    pub(crate) fn todo(&self) -> Vec<String> {
        let told = |effect: &Effect| match effect {
            Effect::RunStep { attempt, .. } => format!("run {}", attempt.path),
            Effect::BeginAttempt { path, attempt, .. } => format!("begin {path} {attempt}"),
            Effect::ReportUnknown { path, attempt } => format!("unknown {path} {attempt}"),
            Effect::SetTimer { path, at } => format!("timer {path} {at}"),
            Effect::StartChild { path, id, .. } => format!("child {path} {id}"),
            Effect::RegisterWait { path, until, .. } => format!("wait {path} {until:?}"),
            Effect::CancelWait { path, .. } => format!("cancel wait {path}"),
            Effect::Publish { path, event, .. } => format!("publish {path} {event}"),
            Effect::CancelStep { path } | Effect::CancelTimer { path } | Effect::CancelChild { id: path } => {
                format!("cancel {path}")
            }
        };
        self.effects.iter().map(told).collect()
    }
}
