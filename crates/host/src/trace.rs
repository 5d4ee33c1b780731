//! An execution's steps with their attempts, read from its events.

use std::collections::{HashMap, HashSet, VecDeque};

use bowline_core::{Event, Path, Payload, RESPONSE, Record, StepError, Wait};
use bowline_expression::Masker;
use bowline_flow::diff::place_of;
use serde_json::Value;

use crate::model::{Op, State, View, What};
use crate::shape::Shape;
use crate::time::rfc3339;
use crate::{AttemptState, AttemptView, ChildRef, ErrorView, StepState, StepView, WaitsFor};

/// Attempts of one step that are told.
const ATTEMPTS: usize = 100;

struct Attempt {
    number: u32,
    state: AttemptState,
    started_at: i64,
    ended_at: Option<i64>,
    error: Option<StepError>,
    next_at: Option<i64>,
}

/// What the events of an execution come to.
pub(crate) struct Trace {
    pub(crate) view: View,
    /// What a `respond` step answered first.
    pub(crate) response: Option<Payload>,
    attempts: HashMap<Path, VecDeque<Attempt>>,
}

impl Trace {
    pub(crate) fn new(id: &str, workflow: &str, started_at: i64) -> Self {
        Self {
            view: View::new(id, workflow, started_at),
            response: None,
            attempts: HashMap::new(),
        }
    }

    pub(crate) fn read(&mut self, records: &[Record]) {
        for record in records {
            for event in &record.events {
                self.apply(record.at, event);
            }
        }
    }

    fn apply(&mut self, at: i64, event: &Event) {
        self.view.apply(at, event);
        match event {
            Event::StepScheduled { path, .. } => self.begin(path, 1, at, AttemptState::Running),
            Event::AttemptBegun { path, attempt } => match self.last(path) {
                Some(last) if last.number == *attempt => {
                    last.started_at = at;
                    last.state = AttemptState::Running;
                }
                _ => self.begin(path, *attempt, at, AttemptState::Running),
            },
            Event::AttemptFailed {
                path,
                attempt,
                error,
                next_at,
            } => {
                self.end(path, *attempt, at, AttemptState::Failed, Some(error));
                if let Some(last) = self.last(path) {
                    last.next_at = Some(*next_at);
                }
                self.begin(path, attempt + 1, *next_at, AttemptState::Scheduled);
            }
            Event::StepCompleted { path, attempt, .. } => self.end(path, *attempt, at, AttemptState::Done, None),
            Event::StepFailed { path, attempt, error } => {
                self.end(path, *attempt, at, AttemptState::Failed, Some(error));
            }
            Event::StepCancelled { path } => {
                let number = self.last(path).map_or(1, |last| last.number);
                self.end(path, number, at, AttemptState::Cancelled, None);
            }
            Event::Emitted { event, data, .. } if &**event == RESPONSE && self.response.is_none() => {
                self.response = Some(data.clone());
            }
            _ => {}
        }
    }

    fn last(&mut self, path: &str) -> Option<&mut Attempt> {
        self.attempts.get_mut(path)?.back_mut()
    }

    fn begin(&mut self, path: &Path, number: u32, at: i64, state: AttemptState) {
        let attempts = self.attempts.entry(path.clone()).or_default();
        if attempts.len() == ATTEMPTS {
            attempts.pop_front();
        }
        attempts.push_back(Attempt {
            number,
            state,
            started_at: at,
            ended_at: None,
            error: None,
            next_at: None,
        });
    }

    fn end(&mut self, path: &Path, number: u32, at: i64, state: AttemptState, error: Option<&StepError>) {
        if self.last(path).is_none_or(|last| last.number != number) {
            self.begin(path, number, at, state);
        }
        if let Some(last) = self.last(path) {
            last.state = state;
            // One that was cut off before it was due began when it ended.
            last.started_at = last.started_at.min(at);
            last.ended_at = Some(at);
            last.error = error.cloned();
        }
    }

    /// The steps in the order in which they were asked for, the last `most` of them, and how many are left out. Where the
    /// execution has ended, those of `shape` that it passed by follow.
    pub(crate) fn steps(
        &self,
        shape: Option<&Shape>,
        masker: &Masker,
        most: usize,
        now: i64,
    ) -> (Vec<StepView>, usize) {
        let undone: HashSet<&Path> = self
            .view
            .ops
            .values()
            .filter(|op| op.state == State::Done)
            .filter_map(|op| match &op.what {
                What::Step {
                    compensates: Some(undone),
                    ..
                } => Some(undone),
                _ => None,
            })
            .collect();
        let mut ops: Vec<(&Path, &Op)> = self.view.ops.iter().collect();
        ops.sort_by_key(|(_, op)| op.order);
        let omitted = ops.len().saturating_sub(most);
        let mut steps: Vec<StepView> = ops
            .into_iter()
            .skip(omitted)
            .map(|(path, op)| self.step(path, op, undone.contains(path), shape, masker, now))
            .collect();
        if self.view.outcome.is_some()
            && let Some(shape) = shape
        {
            let places: HashSet<String> = self.view.ops.keys().map(|path| place_of(path)).collect();
            let passed = shape.leaves().iter().filter(|(place, _)| {
                // The callback of a node, and the tries of a verified call, stand below it.
                let below = format!("{place}/");
                !places.contains(place) && !places.iter().any(|known| known.starts_with(&below))
            });
            steps.extend(passed.map(|(place, kind)| skipped(place, kind)));
        }
        (steps, omitted)
    }

    /// One step.
    pub(crate) fn one(&self, path: &str, shape: Option<&Shape>, masker: &Masker, now: i64) -> Option<StepView> {
        let (path, op) = self.view.ops.get_key_value(path)?;
        let undone = self.view.ops.values().any(|other| {
            other.state == State::Done
                && matches!(&other.what, What::Step { compensates: Some(undone), .. } if undone == path)
        });
        Some(self.step(path, op, undone, shape, masker, now))
    }

    fn step(&self, path: &Path, op: &Op, undone: bool, shape: Option<&Shape>, masker: &Masker, now: i64) -> StepView {
        let attempts: Vec<AttemptView> = self
            .attempts
            .get(path)
            .into_iter()
            .flatten()
            .map(|attempt| view(attempt, op, masker, now))
            .collect();
        let running = attempts.last().is_some_and(|last| last.state == AttemptState::Running);
        let mut step = StepView {
            path: path.to_string(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            place: place_of(path),
            kind: String::new(),
            state: match op.state {
                State::Running => StepState::Running,
                State::Waiting if running => StepState::Running,
                State::Waiting => StepState::Waiting,
                State::Done if undone => StepState::Compensated,
                State::Done => StepState::Done,
                State::Failed => StepState::Failed,
                State::Cancelled => StepState::Cancelled,
            },
            attempts,
            max_attempts: shape.and_then(|shape| shape.attempts(path)).filter(|most| *most > 0),
            asked_at: Some(rfc3339(op.asked_at)),
            ended_at: op.ended_at.map(rfc3339),
            due: op.due.map(rfc3339),
            waits_for: None,
            child: None,
            compensates: None,
            emitted: None,
            kept: op.kept,
            error: op.error.as_ref().map(|error| ErrorView::of(error, masker)),
        };
        match &op.what {
            What::Step { kind, compensates } => {
                step.kind = kind.to_string();
                step.compensates = compensates.as_ref().map(ToString::to_string);
            }
            What::Timer => "timer".clone_into(&mut step.kind),
            What::Wait { wait, until, beat } => {
                let waits = waits_for(wait, *until, *beat, masker);
                step.kind.clone_from(&waits.kind);
                step.waits_for = Some(waits);
            }
            What::Emit { event } if **event == *RESPONSE => "respond".clone_into(&mut step.kind),
            What::Emit { event } => {
                "emit".clone_into(&mut step.kind);
                step.emitted = Some(event.to_string());
            }
            What::Child { id, workflow, detached } => {
                "workflow".clone_into(&mut step.kind);
                step.child = Some(ChildRef {
                    id: id.to_string(),
                    workflow: workflow.to_string(),
                    detached: *detached,
                });
            }
        }
        step
    }
}

fn view(attempt: &Attempt, op: &Op, masker: &Masker, now: i64) -> AttemptView {
    // Whether one that was due has begun is not in the journal; that it is due is.
    let has_begun = attempt.state == AttemptState::Scheduled && op.is_open() && attempt.started_at <= now;
    AttemptView {
        number: attempt.number,
        state: if has_begun {
            AttemptState::Running
        } else {
            attempt.state
        },
        started_at: rfc3339(attempt.started_at),
        ended_at: attempt.ended_at.map(rfc3339),
        error: attempt.error.as_ref().map(|error| ErrorView::of(error, masker)),
        next_at: attempt.next_at.map(rfc3339),
    }
}

fn waits_for(wait: &Wait, until: Option<i64>, beat: Option<i64>, masker: &Masker) -> WaitsFor {
    let approval = match wait {
        Wait::Callback {
            approval: Some(approval),
            ..
        } => Some(approval.parse::<Value>().map_or(Value::Null, |mut about| {
            masker.scrub(&mut about);
            about
        })),
        _ => None,
    };
    WaitsFor {
        kind: if approval.is_some() { "approval" } else { wait.kind() }.to_owned(),
        name: Some(wait.name().to_owned()).filter(|name| !name.is_empty()),
        key: wait.key().map(|key| masker.scrub_text(key).into_owned()),
        until: until.map(rfc3339),
        heartbeat_by: beat.map(rfc3339),
        approval,
    }
}

fn skipped(place: &str, kind: &str) -> StepView {
    StepView {
        path: place.to_owned(),
        name: place.rsplit('/').next().unwrap_or(place).to_owned(),
        place: place.to_owned(),
        kind: kind.to_owned(),
        state: StepState::Skipped,
        attempts: Vec::new(),
        max_attempts: None,
        asked_at: None,
        ended_at: None,
        due: None,
        waits_for: None,
        child: None,
        compensates: None,
        emitted: None,
        kept: false,
        error: None,
    }
}
