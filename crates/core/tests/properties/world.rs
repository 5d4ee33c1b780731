//! What the engine would have to do, and what may happen.

use std::collections::{BTreeMap, BTreeSet};

use bowline_core::{Answer, Effect, Event, Input, Outcome, Path, Payload, StepError, Wait};

/// What the engine would have to do now.
#[derive(Default)]
pub(crate) struct World {
    /// Attempts under way or due, and whether their begin was journaled.
    steps: BTreeMap<Path, (u32, i64)>,
    /// Attempts to be begun.
    begins: BTreeMap<Path, (u32, i64)>,
    /// Attempts that were under way at a crash.
    unknown: BTreeMap<Path, u32>,
    timers: BTreeMap<Path, i64>,
    children: BTreeSet<Path>,
    waits: BTreeMap<Path, (Wait, Option<i64>)>,
    /// Results that are in the journal: such a step must never be asked for again.
    recorded: BTreeSet<Path>,
    /// The number of the last event.
    events: i64,
}

/// An effect, with all that two runs could differ in.
pub(crate) fn describe(effect: &Effect) -> String {
    match effect {
        Effect::RunStep {
            attempt,
            not_before,
            timeout,
            ..
        } => format!(
            "run {} {} {} {not_before:?} {timeout:?}",
            attempt.path,
            attempt.number,
            attempt.idempotency_key()
        ),
        Effect::BeginAttempt {
            path,
            attempt,
            not_before,
        } => format!("begin {path} {attempt} {not_before:?}"),
        Effect::ReportUnknown { path, attempt } => format!("unknown {path} {attempt}"),
        Effect::SetTimer { path, at } => format!("timer {path} {at}"),
        Effect::StartChild { path, id, .. } => format!("child {path} {id}"),
        Effect::RegisterWait { path, tag, wait, until } => format!("wait {path} {tag} {wait:?} {until:?}"),
        Effect::CancelStep { path } => format!("cancel step {path}"),
        Effect::CancelTimer { path } => format!("cancel timer {path}"),
        Effect::CancelChild { id } => format!("cancel child {id}"),
        Effect::CancelWait { path, tag } => format!("cancel wait {path} {tag}"),
        Effect::Publish { path, event, .. } => format!("publish {path} {event}"),
    }
}

impl World {
    /// What is left when the engine is gone.
    pub(crate) fn reborn(&self) -> Self {
        Self {
            recorded: self.recorded.clone(),
            events: self.events,
            ..Self::default()
        }
    }

    pub(crate) fn take(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::RunStep {
                    attempt, not_before, ..
                } => {
                    assert!(!self.recorded.contains(&attempt.path), "{} runs again", attempt.path);
                    self.steps
                        .insert(attempt.path, (attempt.number, not_before.unwrap_or(0)));
                }
                Effect::BeginAttempt {
                    path,
                    attempt,
                    not_before,
                } => {
                    assert!(!self.recorded.contains(&path), "{path} runs again");
                    self.begins.insert(path, (attempt, not_before.unwrap_or(0)));
                }
                Effect::ReportUnknown { path, attempt } => {
                    self.unknown.insert(path, attempt);
                }
                Effect::SetTimer { path, at } => {
                    self.timers.insert(path, at);
                }
                Effect::StartChild { path, detached, .. } => {
                    if !detached {
                        self.children.insert(path);
                    }
                }
                Effect::RegisterWait { path, wait, until, .. } => {
                    assert!(!self.recorded.contains(&path), "{path} is waited for again");
                    self.waits.insert(path, (wait, until));
                }
                Effect::CancelStep { path } => {
                    self.steps.remove(&path);
                    self.begins.remove(&path);
                    self.unknown.remove(&path);
                }
                Effect::CancelTimer { path } => {
                    self.timers.remove(&path);
                }
                Effect::CancelWait { path, .. } => {
                    self.waits.remove(&path);
                }
                Effect::CancelChild { .. } | Effect::Publish { .. } => {}
            }
        }
    }

    pub(crate) fn journaled(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::StepCompleted { path, .. }
                | Event::StepFailed { path, .. }
                | Event::WaitCompleted { path, .. }
                | Event::WaitFailed { path, .. } => {
                    self.waits.remove(path);
                    self.recorded.insert(path.clone());
                }
                Event::ChildCancelled { path, .. } => {
                    self.children.remove(path);
                }
                _ => {}
            }
        }
    }

    /// What is open, in words that are the same before and after a crash.
    pub(crate) fn open(&self) -> Vec<String> {
        let steps = self.steps.iter().map(|(path, (attempt, due))| (path, attempt, due));
        let unknown = self.unknown.iter().map(|(path, attempt)| (path, attempt, &0));
        let mut all: Vec<String> = steps
            .chain(unknown)
            .map(|(path, attempt, due)| format!("{path} {attempt} {due}"))
            .collect();
        all.extend(self.begins.iter().map(|begin| format!("begin {begin:?}")));
        all.extend(self.timers.iter().map(|(path, at)| format!("{path} @{at}")));
        all.extend(self.children.iter().map(|path| format!("child {path}")));
        all.extend(self.waits.iter().map(|wait| format!("{wait:?}")));
        all.sort();
        all
    }

    /// Something that happens, and the time from which on it can.
    pub(crate) fn happens(&mut self, next: &mut impl FnMut() -> u32) -> (i64, Input) {
        if next().is_multiple_of(40) {
            let reason = "enough".into();
            return (0, Input::Cancel { reason });
        }
        if next().is_multiple_of(20) {
            return (0, signal(next));
        }
        let kinds = [
            self.steps.len(),
            self.begins.len(),
            self.unknown.len(),
            self.timers.len(),
            self.children.len(),
            self.waits.len(),
        ];
        let total: usize = kinds.iter().sum();
        assert!(total > 0, "it waits for nothing");
        let mut pick = next() as usize % total;
        for (kind, many) in kinds.into_iter().enumerate() {
            if pick >= many {
                pick -= many;
                continue;
            }
            return match kind {
                0 => {
                    let (path, (attempt, due)) = nth(&mut self.steps, pick);
                    let result = match next() % 5 {
                        0 => Err(StepError::transient("flaky", "flaky")),
                        1 if next().is_multiple_of(3) => Err(StepError::permanent("broken", "broken")),
                        1 if next().is_multiple_of(3) => Err(StepError::timeout(std::time::Duration::from_secs(1))),
                        _ => Ok(Payload::of(&format!("{path}={}", next() % 10)).unwrap()),
                    };
                    (due, Input::AttemptEnded { path, attempt, result })
                }
                1 => {
                    let (path, (attempt, due)) = nth(&mut self.begins, pick);
                    (due, Input::AttemptBegun { path, attempt })
                }
                2 => {
                    let (path, attempt) = nth(&mut self.unknown, pick);
                    let result = Err(StepError::outcome_unknown());
                    (0, Input::AttemptEnded { path, attempt, result })
                }
                3 => {
                    let (path, at) = nth(&mut self.timers, pick);
                    (at, Input::TimerFired { path })
                }
                4 => {
                    let path = self.children.iter().nth(pick).unwrap().clone();
                    self.children.remove(&path);
                    let outcome = Outcome::Succeeded(Payload::null());
                    (0, Input::ChildEnded { path, outcome })
                }
                _ => self.answer(pick, next),
            };
        }
        unreachable!("one of them was picked")
    }

    fn answer(&mut self, pick: usize, next: &mut impl FnMut() -> u32) -> (i64, Input) {
        let (path, (wait, until)) = self
            .waits
            .iter()
            .nth(pick)
            .map(|(p, w)| (p.clone(), w.clone()))
            .unwrap();
        if let Some(until) = until
            && next().is_multiple_of(4)
        {
            return (until, Input::TimerFired { path });
        }
        let output = Payload::of(&(next() % 100)).unwrap();
        let answer = match wait {
            Wait::Signal { .. } => return (0, signal(next)),
            Wait::Event { .. } => {
                self.events += i64::from(next() % 3);
                let event = Some(self.events.max(1) - i64::from(next() % 2));
                Answer::Succeeded { output, event }
            }
            Wait::Callback { .. } => match next() % 4 {
                0 => Answer::Failed(StepError::permanent("refused", "refused")),
                1 => Answer::Heartbeat,
                _ => Answer::Succeeded { output, event: None },
            },
        };
        (0, Input::WaitAnswered { path, answer })
    }
}

fn signal(next: &mut impl FnMut() -> u32) -> Input {
    Input::Signal {
        name: "go".into(),
        data: Payload::of(&(next() % 100)).unwrap(),
        id: (next().is_multiple_of(3)).then(|| format!("id{}", next() % 5)),
    }
}

fn nth<T: Clone>(map: &mut BTreeMap<Path, T>, number: usize) -> (Path, T) {
    let path = map.keys().nth(number).unwrap().clone();
    map.remove_entry(&path).unwrap()
}
