//! What the program awaits: one step, timer, child or wait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};

use crate::context::{Context, Step};
use crate::effect::Effect;
use crate::event::{Event, Path};
use crate::memo::{EMIT, TIMER, Unfinished};
use crate::open::{OpenChild, OpenStep, OpenWait, What};
use crate::state::{Asked, Resolution, Resolved, State};
use crate::wait::{Filter, Wait};
use crate::{Payload, StepError, ids, polling};

pub(crate) enum Ask {
    Step(Box<Step>),
    Sleep {
        name: String,
        ms: i64,
    },
    SleepUntil {
        name: String,
        at: i64,
    },
    Child {
        name: String,
        workflow: Path,
        input: Payload,
        detached: bool,
    },
    Wait {
        name: String,
        wait: Wait,
        filter: Option<Filter>,
        /// In milliseconds, as the next one.
        timeout: Option<u64>,
        heartbeat: Option<u64>,
        /// The path, where it was reserved before.
        reserved: Option<Path>,
    },
    Emit {
        name: String,
        event: Path,
        key: Option<String>,
        data: Payload,
    },
}

impl Ask {
    fn name(&self) -> &str {
        match self {
            Self::Step(step) => &step.name,
            Self::Sleep { name, .. }
            | Self::SleepUntil { name, .. }
            | Self::Child { name, .. }
            | Self::Wait { name, .. }
            | Self::Emit { name, .. } => name,
        }
    }
}

/// A step, timer, child or wait that the program waits for. Dropped before its end, it is cancelled.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation {
    context: Context,
    ask: Option<Ask>,
    /// Set while it is open.
    path: Option<Path>,
}

impl Operation {
    pub(crate) fn new(context: &Context, ask: Ask) -> Self {
        Self {
            context: context.clone(),
            ask: Some(ask),
            path: None,
        }
    }

    fn begin(&mut self, ask: Ask, waker: &Waker) -> Poll<Resolved> {
        let Context {
            shared,
            shielded,
            group,
            shield,
            ..
        } = &self.context;
        if !polling::is_polled(shared) {
            let now = shared.lock().now;
            return Poll::Ready(Resolved {
                result: Err(polling::outside(ask.name())),
                attempts: 0,
                asked_at: now,
                ended_at: now,
            });
        }
        let mut state = shared.lock();
        let lost = state.contest.as_ref().filter(|contest| contest.is_over(*shield));
        if lost.is_some_and(|contest| contest.refuse()) {
            // It asks again and again, whatever it is told. Waiting for nothing, it is dropped.
            return Poll::Pending;
        }
        if lost.is_some() || self.context.lost() || (!shielded && state.cancelled.is_some()) {
            return Poll::Ready(Resolved {
                result: Err(state.cancellation()),
                attempts: 0,
                asked_at: state.now,
                ended_at: state.now,
            });
        }
        let path = match &ask {
            Ask::Wait {
                reserved: Some(path), ..
            } => Arc::clone(path),
            _ => state.unique(&self.context.join(ask.name())),
        };
        let (what, command) = match ask {
            Ask::Step(step) => {
                if let Some(result) = state.remembered(&path, &step.kind) {
                    return Poll::Ready(result);
                }
                step_of(&mut state, &path, *step)
            }
            Ask::Sleep { .. } | Ask::SleepUntil { .. } => {
                if let Some(result) = state.remembered(&path, TIMER) {
                    return Poll::Ready(result);
                }
                let at = match (state.left_open(&path, TIMER), ask) {
                    (Some(Unfinished::Timer { at }), _) | (_, Ask::SleepUntil { at, .. }) => at,
                    (_, Ask::Sleep { ms, .. }) => state.now.saturating_add(ms),
                    _ => state.now,
                };
                let path = Arc::clone(&path);
                (What::Timer { at }, Event::TimerSet { path, at })
            }
            Ask::Child {
                workflow,
                input,
                detached,
                ..
            } => {
                if let Some(result) = state.remembered(&path, &workflow) {
                    return Poll::Ready(result);
                }
                let id = match state.left_open(&path, &workflow) {
                    Some(Unfinished::Child { id, .. }) => id,
                    _ => ids::derived_id(state.now, &[&shared.id, &path]).into(),
                };
                let command = Event::ChildStarted {
                    path: Arc::clone(&path),
                    id: Arc::clone(&id),
                    workflow: Arc::clone(&workflow),
                    input: input.clone(),
                    detached,
                };
                let child = OpenChild {
                    id,
                    workflow,
                    input,
                    detached,
                };
                if detached {
                    return Poll::Ready(detach(&mut state, &path, child, command));
                }
                (What::Child(child), command)
            }
            Ask::Wait {
                wait,
                filter,
                timeout,
                heartbeat,
                ..
            } => {
                let kind = wait.memo_kind();
                if let Some(result) = state.remembered(&path, &kind) {
                    return Poll::Ready(result);
                }
                wait_of(&mut state, &path, wait, filter, (timeout, heartbeat))
            }
            Ask::Emit { event, key, data, .. } => {
                if let Some(result) = state.remembered(&path, EMIT) {
                    return Poll::Ready(result);
                }
                return Poll::Ready(emit(&mut state, path, event, key, data));
            }
        };
        let asked = Asked {
            what,
            shielded: *shielded,
            group: group.clone(),
            shield: *shield,
        };
        state.ask(Arc::clone(&path), asked, waker.clone(), Some(command));
        drop(state);
        self.path = Some(path);
        Poll::Pending
    }

    /// The same operation, telling also how many attempts it took and when it was asked for and ended.
    pub fn detailed(self) -> Detailed {
        Detailed(self)
    }

    fn poll_resolved(&mut self, cx: &mut std::task::Context<'_>) -> Poll<Resolved> {
        if let Some(ask) = self.ask.take() {
            return self.begin(ask, cx.waker());
        }
        let Some(path) = self.path.clone() else {
            // Polled after it was ready, which is the program's mistake.
            return Poll::Pending;
        };
        let mut state = self.context.shared.lock();
        if let Some(result) = state.resolved.remove(&path) {
            drop(state);
            self.path = None;
            return Poll::Ready(result);
        }
        if let Some(open) = state.open.get_mut(&path) {
            match &mut open.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        Poll::Pending
    }
}

fn step_of(state: &mut State, path: &Path, step: Step) -> (What, Event) {
    let Step {
        kind,
        input,
        options,
        compensates,
        key_of,
        body,
        ..
    } = step;
    let command = Event::StepScheduled {
        path: Arc::clone(path),
        kind: Arc::clone(&kind),
        input,
        compensates,
        key_of: key_of.clone(),
    };
    let mut open = OpenStep {
        body,
        options,
        key_of,
        scheduled_at: state.now,
        attempt: 1,
        not_before: None,
        begun: false,
        lost: false,
    };
    if let Some(Unfinished::Step {
        scheduled_at,
        attempt,
        not_before,
        begun,
    }) = state.left_open(path, &kind)
    {
        open = OpenStep {
            scheduled_at,
            attempt,
            not_before,
            begun,
            lost: begun,
            ..open
        };
    }
    (What::Step(open), command)
}

fn wait_of(
    state: &mut State,
    path: &Path,
    wait: Wait,
    filter: Option<Filter>,
    (timeout, heartbeat): (Option<u64>, Option<u64>),
) -> (What, Event) {
    let wait = match wait {
        Wait::Event { event, key, .. } => Wait::Event {
            after: state.memory.taken.get(&event).copied().unwrap_or_default(),
            event,
            key,
        },
        other => other,
    };
    let now = state.now;
    let (until, beat) = match state.left_open(path, &wait.memo_kind()) {
        Some(Unfinished::Wait { until, beat }) => (until, beat),
        _ => (
            timeout.map(|ms| now.saturating_add_unsigned(ms)),
            heartbeat.map(|ms| now.saturating_add_unsigned(ms)),
        ),
    };
    let command = Event::WaitRegistered {
        path: Arc::clone(path),
        wait: wait.clone(),
        until,
        heartbeat,
    };
    let open = OpenWait {
        wait,
        until,
        heartbeat,
        beat,
        filter,
        tag: state.tag(path),
    };
    (What::Wait(open), command)
}

/// Nobody waits: the command and its effect go out, and the program goes on with the id.
fn detach(state: &mut State, path: &Path, child: OpenChild, command: Event) -> Resolved {
    let result = Payload::of(&*child.id)
        .map_err(|error| StepError::permanent("child.id", "the id of the child is not JSON").caused_by(&error));
    let asked = Asked {
        what: What::Child(child),
        shielded: true,
        group: None,
        shield: u64::MAX,
    };
    state.ask(Arc::clone(path), asked, Waker::noop().clone(), Some(command));
    state.detach(path);
    at_once(state, result)
}

fn emit(state: &mut State, path: Path, event: Path, key: Option<String>, data: Payload) -> Resolved {
    state.folds.count_ask();
    state.issued.push_back(Event::Emitted {
        path: Arc::clone(&path),
        event: Arc::clone(&event),
        key: key.clone(),
        data: data.clone(),
    });
    // A response is for whoever started the execution; nobody waits for it as an event.
    if &*event != crate::RESPONSE {
        state.settled.push(Effect::Publish { path, event, key, data });
    }
    at_once(state, Ok(Payload::null()))
}

fn at_once(state: &State, result: Resolution) -> Resolved {
    Resolved {
        result,
        attempts: 1,
        asked_at: state.now,
        ended_at: state.now,
    }
}

impl Future for Operation {
    type Output = Resolution;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Resolution> {
        self.poll_resolved(cx).map(|resolved| resolved.result)
    }
}

/// An [`Operation`] that tells how it went.
#[must_use = "an operation does nothing until it is awaited"]
pub struct Detailed(Operation);

impl Future for Detailed {
    type Output = Resolved;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Resolved> {
        self.0.poll_resolved(cx)
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(path) = self.path.take() {
            let mut state = self.context.shared.lock();
            if !state.closing {
                state.resolved.remove(&path);
                state.abandon(&path);
            }
        }
    }
}
