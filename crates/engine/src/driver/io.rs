//! What an execution wants written, and what it wants done once that is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_core::mutants::{Mutant, on};
use bowline_core::{Attempt, Effect, Input, Path, Payload, StepBody, StepError, Wait, panicked};
use bowline_store::ExecNo;
use futures_util::FutureExt;
use tokio::sync::mpsc::UnboundedSender;

use super::Message;
use super::children::Child;
use crate::blobs::keep_result;
use crate::committer::{Inbox, Queue};
use crate::env::Env;
use crate::running::{Running, Waiting};
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

    /// Does what the core wants done. Everything that it follows from is durable.
    pub(super) fn perform(&mut self, exec: ExecNo, running: &mut Running, effects: Vec<Effect>, recovered: bool) {
        for effect in effects {
            // A pause holds back what begins something; it is still open when the execution goes on.
            if running.paused && begins_something(&effect) || is_under_way(running, &effect) {
                continue;
            }
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
                        running.waiting.insert(
                            Arc::clone(&attempt.path),
                            Waiting {
                                at,
                                attempt,
                                timeout,
                                body,
                            },
                        );
                    }
                    _ => self.attempt(exec, running, attempt, timeout, body),
                },
                Effect::SetTimer { .. } if recovered && on(Mutant::DropTimerAtCrash) => {}
                Effect::SetTimer { path, at } => self.timers.add(at, exec, Due::Timer(path)),
                child @ Effect::StartChild { .. } => self.child(exec, running, child, recovered),
                Effect::CancelStep { path } => {
                    running.waiting.remove(&path);
                    if let Some((_, handle)) = running.attempts.remove(&path) {
                        handle.abort();
                        self.attempts -= 1;
                    }
                }
                // A timer is ignored by the core when it comes due; the row of a wait is closed with the record.
                Effect::CancelTimer { .. } | Effect::CancelWait { .. } => {}
                Effect::RegisterWait { path, tag, wait, until } => {
                    if let Some(at) = until {
                        self.timers.add(at, exec, Due::Timer(Arc::clone(&path)));
                    }
                    running.waits.insert(Arc::clone(&path), tag);
                    self.look_for_answers(exec, running, path, tag, &wait);
                }
                Effect::Publish { event, key, .. } => {
                    self.env.spawn_publish(Arc::clone(&running.organization), event, key);
                }
                Effect::BeginAttempt {
                    path,
                    attempt,
                    not_before,
                } => match not_before {
                    Some(at) if at > self.env.options.clock.now() => {
                        self.timers.add(at, exec, Due::Begin(path, attempt));
                    }
                    _ if self.draining => {}
                    _ => self.follow_ups.push_back((exec, Input::AttemptBegun { path, attempt })),
                },
                Effect::ReportUnknown { path, attempt } => {
                    let result = Err(StepError::outcome_unknown());
                    self.follow_ups
                        .push_back((exec, Input::AttemptEnded { path, attempt, result }));
                }
                Effect::CancelChild { id } => {
                    running.children.remove(&id);
                    self.cancellations.push_back(id);
                }
            }
        }
    }

    /// What has left memory needs of its effects only this: an answer may have come before the wait.
    pub(super) fn leave_with(&mut self, exec: ExecNo, running: &Running, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::RegisterWait { path, tag, wait, .. } => {
                    self.look_for_answers(exec, running, Arc::clone(path), *tag, wait);
                }
                Effect::Publish { event, key, .. } => {
                    let organization = Arc::clone(&running.organization);
                    self.env.spawn_publish(organization, Arc::clone(event), key.clone());
                }
                Effect::CancelChild { id } => self.cancellations.push_back(Arc::clone(id)),
                _ => {}
            }
        }
    }

    /// An answer that came before somebody waited for it was kept.
    fn look_for_answers(&self, exec: ExecNo, running: &Running, path: Path, tag: u64, wait: &Wait) {
        let looks = match wait {
            Wait::Callback { .. } => self.env.kept.load(Ordering::SeqCst) > 0,
            Wait::Event { .. } => true,
            Wait::Signal { .. } => false,
        };
        if looks {
            let organization = Arc::clone(&running.organization);
            let since = running.execution.started_at();
            self.env
                .spawn_look_for_answers((organization, exec), path, tag, wait.clone(), since);
        }
    }

    /// Queues a child. It is begun before anything gathered is handed over, so that its start is in the same
    /// commit as what its parent recorded of it.
    pub(super) fn child(&mut self, exec: ExecNo, running: &mut Running, effect: Effect, recovered: bool) {
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
                organization: Arc::clone(&running.organization),
                definition: Arc::clone(&running.definition),
                path,
                id,
                workflow,
                input,
                trace: running.execution.trace().cloned(),
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
        // One that was noted to have begun does: otherwise nobody would know that it has not.
        if self.draining && !running.begun.contains(&attempt.path) {
            return;
        }
        running.begun.remove(&attempt.path);
        if let Some(observer) = &self.env.options.observer {
            observer.attempt(&running.id, &attempt.path, attempt.number);
        }
        let (path, number) = (Arc::clone(&attempt.path), attempt.number);
        let sender = self.sender.clone();
        let blobs = self.env.options.blobs.clone();
        let task = self.env.runtime.spawn(async move {
            let path = Arc::clone(&attempt.path);
            let result = keep_result(blobs, run_body(body, attempt, timeout).await).await;
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

/// What a pause holds back.
fn begins_something(effect: &Effect) -> bool {
    matches!(
        effect,
        Effect::RunStep { .. } | Effect::SetTimer { .. } | Effect::StartChild { .. } | Effect::BeginAttempt { .. }
    )
}

/// After a pause, attempts that were not held back by it.
fn is_under_way(running: &Running, effect: &Effect) -> bool {
    let (path, number) = match effect {
        Effect::RunStep { attempt, .. } => (&attempt.path, attempt.number),
        Effect::ReportUnknown { path, attempt } | Effect::BeginAttempt { path, attempt, .. } => (path, *attempt),
        _ => return false,
    };
    running
        .attempts
        .get(path)
        .is_some_and(|(under_way, _)| *under_way == number)
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
