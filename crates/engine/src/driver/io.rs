//! What an execution wants written, and what it wants done once that is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{
    Attempt, Batch, Effect, Event, Input, Outcome, Path, Payload, StepBody, StepError, encode, panicked,
};
use bowline_store::{ExecNo, Finish, JournalRecord, Status, Write};
use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedSender;

use super::Message;
use super::children::Child;
use crate::committer::{Ack, Inbox, Queue};
use crate::env::Env;
use crate::running::{Awaiting, Running, Waiting};
use crate::timers::{Due, Timers};

/// What the handling of one execution uses beside the execution itself.
pub(super) struct Io {
    pub(super) number: usize,
    pub(super) env: Arc<Env>,
    pub(super) sender: UnboundedSender<Message>,
    pub(super) inbox: Inbox,
    pub(super) gathered: Queue,
    pub(super) timers: Timers,
    /// Attempts under way, of all executions.
    pub(super) attempts: usize,
    /// Records submitted and not yet durable, of all executions.
    pub(super) pending: usize,
    pub(super) draining: bool,
    /// Inputs that follow from what was just handled, for executions of this driver.
    pub(super) follow_ups: VecDeque<(ExecNo, Input)>,
    /// Children to begin.
    pub(super) children: VecDeque<Child>,
    /// Executions to be asked to stop.
    pub(super) cancellations: VecDeque<Path>,
}

impl Io {
    pub(super) fn is_drained(&self) -> bool {
        self.draining && self.attempts == 0 && self.pending == 0
    }

    /// Gathers what an execution wants written and what follows once it is.
    pub(super) fn record(&mut self, exec: ExecNo, running: &mut Running, batch: Batch, at: i64, first: Vec<Write>) {
        let Batch { events, effects } = batch;
        let (children, effects): (Vec<Effect>, Vec<Effect>) = effects
            .into_iter()
            .partition(|effect| matches!(effect, Effect::StartChild { .. }));
        // Before whatever else waits, so that it stands right behind this record.
        for child in children.into_iter().rev() {
            self.child(exec, running, child, false);
        }
        let mut writes = first.len() + 1;
        self.gathered.writes.extend(first);
        let encoded = encode(&events).unwrap_or_else(|error| {
            // Events are made of types that always have a JSON form; if one had not, this record would
            // read as damaged and the execution would be reported, instead of going on unrecorded.
            tracing::error!(id = %running.id, %error, "an event has no journal form");
            Vec::new()
        });
        self.gathered.writes.push(Write::Append(JournalRecord {
            exec,
            seq: running.seq,
            at,
            events: encoded.into(),
        }));
        running.seq += 1;
        if let Some(finish) = finish(exec, &events, at) {
            writes += 1;
            self.gathered.writes.push(finish);
        }
        self.gathered.acks.push(Ack {
            driver: self.number,
            exec,
            writes,
            with_previous: false,
        });
        self.pending += 1;
        let events = if self.env.options.observer.is_some() {
            events
        } else {
            Vec::new()
        };
        running.awaiting.push_back(Awaiting { at, events, effects });
    }

    pub(super) fn finish_again(&mut self, exec: ExecNo, running: &mut Running, at: i64) {
        let event = running
            .execution
            .outcome()
            .cloned()
            .map(|outcome| Event::Finished { outcome });
        if let Some(write) = finish(exec, event.as_slice(), at) {
            self.gathered.writes.push(write);
            self.gathered.acks.push(Ack {
                driver: self.number,
                exec,
                writes: 1,
                with_previous: false,
            });
            self.pending += 1;
            running.awaiting.push_back(Awaiting {
                at,
                events: Vec::new(),
                effects: Vec::new(),
            });
        }
    }

    /// Does what the core wants done. Everything that it follows from is durable.
    pub(super) fn perform(&mut self, exec: ExecNo, running: &mut Running, effects: Vec<Effect>, recovered: bool) {
        for effect in effects {
            match effect {
                Effect::RunStep {
                    attempt,
                    not_before,
                    timeout,
                    body,
                } => match not_before {
                    Some(at) if at > self.env.options.clock.now() => {
                        self.timers
                            .add(at, exec, Due::Attempt(Arc::clone(&attempt.path), attempt.number));
                        running
                            .waiting
                            .insert(Arc::clone(&attempt.path), Waiting { attempt, timeout, body });
                    }
                    _ => self.attempt(exec, running, attempt, timeout, body),
                },
                Effect::SetTimer { path, at } => self.timers.add(at, exec, Due::Timer(path)),
                child @ Effect::StartChild { .. } => self.child(exec, running, child, recovered),
                Effect::CancelStep { path } => {
                    running.waiting.remove(&path);
                    if let Some((_, handle)) = running.attempts.remove(&path) {
                        handle.abort();
                        self.attempts -= 1;
                    }
                }
                // Ignored by the core when it comes due.
                Effect::CancelTimer { .. } => {}
                Effect::CancelChild { id } => {
                    running.children.remove(&id);
                    self.cancellations.push_back(id);
                }
            }
        }
    }

    /// Queues a child. It is begun before anything gathered is handed over, so that its start is in the same
    /// commit as what its parent recorded of it.
    fn child(&mut self, exec: ExecNo, running: &mut Running, effect: Effect, recovered: bool) {
        if let Effect::StartChild {
            path,
            id,
            workflow,
            input,
            detached,
        } = effect
        {
            if !detached {
                running.children.insert(Arc::clone(&id), Arc::clone(&path));
            }
            let child = Child {
                parent: exec,
                parent_id: Arc::clone(&running.id),
                definition: Arc::clone(&running.definition),
                path,
                id,
                workflow,
                input,
                recovered,
            };
            if recovered {
                self.children.push_back(child);
            } else {
                self.children.push_front(child);
            }
        }
    }

    /// Begins an attempt, unless the engine is about to end: then the next start begins it.
    pub(super) fn attempt(
        &mut self,
        exec: ExecNo,
        running: &mut Running,
        attempt: Attempt,
        timeout: Option<Duration>,
        body: Arc<dyn StepBody>,
    ) {
        if self.draining {
            return;
        }
        if let Some(observer) = &self.env.options.observer {
            observer.attempt(&running.id, &attempt.path, attempt.number);
        }
        let (path, number) = (Arc::clone(&attempt.path), attempt.number);
        let sender = self.sender.clone();
        let task = self.env.runtime.spawn(async move {
            let path = Arc::clone(&attempt.path);
            let result = run_body(body, attempt, timeout).await;
            // A driver that has gone leaves the attempt to the next start.
            let _ = sender.send(Message::Input(
                exec,
                Input::AttemptEnded {
                    path,
                    attempt: number,
                    result,
                },
            ));
        });
        running.attempts.insert(path, (number, task.abort_handle()));
        self.attempts += 1;
    }
}

async fn run_body(body: Arc<dyn StepBody>, attempt: Attempt, timeout: Option<Duration>) -> Result<Payload, StepError> {
    let guarded = std::panic::AssertUnwindSafe(async move { body.run(attempt).await }).catch_unwind();
    let ended = match timeout {
        None => guarded.await,
        Some(limit) => match tokio::time::timeout(limit, guarded).await {
            Ok(ended) => ended,
            Err(_) => return Err(StepError::timeout(limit).alias("ETIMEDOUT")),
        },
    };
    ended.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))
}

fn finish(exec: ExecNo, events: &[Event], at: i64) -> Option<Write> {
    let Some(Event::Finished { outcome }) = events.last() else {
        return None;
    };
    let status = match outcome {
        Outcome::Succeeded(_) => Status::Succeeded,
        Outcome::Failed(_) => Status::Failed,
        Outcome::Cancelled(_) => Status::Cancelled,
    };
    Some(Write::Finish(Finish { exec, status, at }))
}
