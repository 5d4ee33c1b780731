//! Which fact an input becomes, and what a fact does: the same code live and on replay.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::effect::Effect;
use crate::event::{Event, Path};
use crate::execution::{Execution, Input, panicked};
use crate::fold::scope_key;
use crate::open::{OpenStep, OpenWait, What, child_resolution, deadline};
use crate::policy::OnUnknown;
use crate::polling::Polling;
use crate::state::State;
use crate::wait::{Answer, Filter, Wait};
use crate::{Payload, StepError, ids};

impl Execution {
    /// Which event an input becomes; none if it is about something that is no longer open.
    pub(crate) fn decide(&self, now: i64, input: Input) -> Option<Event> {
        let state = self.shared.lock();
        match input {
            Input::AttemptEnded { path, attempt, result } => {
                let step = open_step(&state, &path).filter(|step| step.attempt == attempt)?;
                Some(match result {
                    Ok(output) => Event::StepCompleted { path, attempt, output },
                    Err(error) => match next_attempt(&self.shared.id, &path, step, &error, now) {
                        Some(next_at) => Event::AttemptFailed {
                            path,
                            attempt,
                            error,
                            next_at,
                        },
                        None => Event::StepFailed { path, attempt, error },
                    },
                })
            }
            Input::AttemptBegun { path, attempt } => open_step(&state, &path)
                .is_some_and(|step| {
                    step.attempt == attempt && !step.begun && step.not_before.is_none_or(|at| at <= now)
                })
                .then_some(Event::AttemptBegun { path, attempt }),
            Input::TimerFired { path } => match &state.open.get(&path)?.what {
                // A timer never fires early, whatever the caller's clock says.
                What::Timer { at } if *at <= now => Some(Event::TimerFired { path }),
                What::Wait(wait) => wait.overdue(now).map(|error| Event::WaitFailed { path, error }),
                _ => None,
            },
            Input::WaitAnswered { path, answer } => {
                let What::Wait(wait) = &state.open.get(&path)?.what else {
                    return None;
                };
                let filter = wait.filter.clone();
                let fact = answered(wait, path, answer, now)?;
                // The program's own code, which may look at its context.
                drop(state);
                filtered(filter, fact)
            }
            Input::Signal { name, data, id } => {
                let signals = &state.memory.signals;
                let known = id.as_ref().is_some_and(|id| signals.ids.contains(id));
                (!known).then(|| Event::SignalReceived {
                    name,
                    data,
                    id,
                    number: signals.last + 1,
                })
            }
            Input::ChildEnded { path, outcome } => {
                matches!(state.open.get(&path)?.what, What::Child(_)).then_some(Event::ChildEnded { path, outcome })
            }
            Input::Cancel { reason } => state.cancelled.is_none().then_some(Event::CancelRequested { reason }),
        }
    }

    /// Applies a fact.
    pub(crate) fn apply(&mut self, fact: &Event) {
        let _polling = Polling::begin(&self.shared);
        {
            let mut state = self.shared.lock();
            match fact {
                Event::AttemptBegun { path, .. } => {
                    state.change(path, |what| {
                        if let What::Step(step) = what {
                            (step.begun, step.lost, step.not_before) = (true, false, None);
                        }
                    });
                    state.fresh.push(Arc::clone(path));
                }
                Event::AttemptFailed {
                    path, attempt, next_at, ..
                } => {
                    state.change(path, |what| {
                        if let What::Step(step) = what {
                            step.attempt = attempt + 1;
                            (step.begun, step.lost, step.not_before) = (false, false, Some(*next_at));
                        }
                    });
                    state.fresh.push(Arc::clone(path));
                }
                Event::StepCompleted { path, output, .. } => state.resolve(path, Ok(output.clone())),
                Event::StepFailed { path, error, .. } | Event::WaitFailed { path, error } => {
                    state.resolve(path, Err(error.clone()));
                }
                Event::TimerFired { path } => state.resolve(path, Ok(Payload::null())),
                Event::ChildEnded { path, outcome } => state.resolve(path, child_resolution(outcome)),
                Event::WaitCompleted { path, output, event } => {
                    let State { open, memory, .. } = &mut *state;
                    if let Some(What::Wait(wait)) = open.get(path).map(|open| &open.what) {
                        memory.took(Some(&wait.wait), *event);
                    }
                    state.resolve(path, Ok(output.clone()));
                }
                Event::Heartbeat { path, until } => {
                    state.change(path, |what| {
                        if let What::Wait(wait) = what {
                            wait.beat = Some(*until);
                        }
                    });
                    state.fresh.push(Arc::clone(path));
                }
                Event::SignalReceived { name, data, id, number } => {
                    state.memory.signals.receive(name, data, id.as_ref(), *number);
                    state.signals_changed = true;
                }
                Event::ScopeSkipped {
                    fold,
                    signals,
                    taken,
                    stopped,
                } => {
                    state.memory.skip(signals, taken);
                    let stop = |id: &Path| Effect::CancelChild { id: Arc::clone(id) };
                    state.settled.extend(stopped.iter().map(stop));
                    let key = scope_key(&fold.path, fold.range, fold.entry);
                    state.folds.skip(&key, fold);
                    state.resolve(&key, Ok(fold.output.clone()));
                }
                Event::CancelRequested { reason } => {
                    state.cancel(reason);
                    // The program may be waiting for nothing that cancellation reaches; let it look.
                    self.wake();
                }
                _ => {}
            }
        }
        self.poll();
    }

    /// The end of the first wait for a signal that has come, if there is one.
    pub(crate) fn signal_taken(&self) -> Option<Event> {
        let mut candidates = Vec::new();
        {
            let mut state = self.shared.lock();
            if !std::mem::take(&mut state.signals_changed) || state.memory.signals.kept.is_empty() {
                return None;
            }
            for path in state.signal_waits.values() {
                let Some(What::Wait(wait)) = state.open.get(path).map(|open| &open.what) else {
                    continue;
                };
                let kept = state.memory.signals.kept.iter();
                let named: Vec<(i64, Payload)> = kept
                    .filter(|(_, (name, _))| **name == *wait.wait.name())
                    .map(|(number, (_, data))| (*number, data.clone()))
                    .collect();
                candidates.push((Arc::clone(path), wait.filter.clone(), named));
            }
        }
        for (path, filter, signals) in candidates {
            for (number, data) in signals {
                let fact = Event::WaitCompleted {
                    path: Arc::clone(&path),
                    output: data,
                    event: Some(number),
                };
                if let Some(fact) = filtered(filter.clone(), fact) {
                    // There may be more.
                    self.shared.lock().signals_changed = true;
                    return Some(fact);
                }
            }
        }
        None
    }
}

fn open_step<'a>(state: &'a State, path: &str) -> Option<&'a OpenStep> {
    match &state.open.get(path)?.what {
        What::Step(step) => Some(step),
        _ => None,
    }
}

/// What an answer comes to, before the wait's filter has seen it.
fn answered(wait: &OpenWait, path: Path, answer: Answer, now: i64) -> Option<Event> {
    match (answer, &wait.wait) {
        (Answer::Succeeded { output, .. }, Wait::Callback { .. }) => Some(Event::WaitCompleted {
            path,
            output,
            event: None,
        }),
        (
            Answer::Succeeded {
                output,
                event: Some(number),
            },
            Wait::Event { after, .. },
        ) => (number > *after).then_some(Event::WaitCompleted {
            path,
            output,
            event: Some(number),
        }),
        (Answer::Failed(error), Wait::Callback { .. }) => Some(Event::WaitFailed { path, error }),
        (Answer::Heartbeat, Wait::Callback { .. }) => wait.heartbeat.map(|ms| Event::Heartbeat {
            path,
            until: now.saturating_add_unsigned(ms),
        }),
        _ => None,
    }
}

/// The fact, unless the filter refuses what came. A filter that panics fails the wait.
fn filtered(filter: Option<Filter>, fact: Event) -> Option<Event> {
    let (Some(filter), Event::WaitCompleted { path, output, .. }) = (filter, &fact) else {
        return Some(fact);
    };
    match catch_unwind(AssertUnwindSafe(|| filter(output))) {
        Ok(takes) => takes.then_some(fact),
        Err(panic) => Some(Event::WaitFailed {
            path: Arc::clone(path),
            error: panicked(panic.as_ref()),
        }),
    }
}

/// When the next attempt is due, or none if this failure is the last.
fn next_attempt(execution: &str, path: &str, step: &OpenStep, error: &StepError, now: i64) -> Option<i64> {
    if step.options.on_unknown == OnUnknown::Fail && error.kind.is_unknown() {
        return None;
    }
    let entropy = ids::entropy(&[execution, path, "pause", &step.attempt.to_string()]);
    let pause = step.options.retry.pause(error, step.attempt, entropy)?;
    let next_at = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    deadline(step)
        .is_none_or(|deadline| next_at < deadline)
        .then_some(next_at)
}
