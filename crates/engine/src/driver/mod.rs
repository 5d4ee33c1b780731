//! A task that owns executions: inputs in, core, events to the committer, effects once durable.
//!
//! An execution lives on one driver from its start (or recovery) to its end, and a child lives with its
//! parent, so nothing about an execution is ever shared between tasks. A driver waits on its channel
//! until the next message or the next due time; it never polls.
//!
//! It is a task of the runtime that runs the steps, not a thread of its own: what a step reports and what
//! follows from it then stay on one processor, which on two cores costs a third less than waking threads.

mod children;
mod io;
mod lifecycle;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Input, Outcome, Path, Payload, Program};
use bowline_store::{Definition, ExecNo, OpenExecution, StoreError, Write};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::committer::{Ack, Inbox, Queue};
use crate::engine::EngineError;
use crate::env::Env;
use crate::recovery::Stuck;
use crate::running::{Accepted, Ended, Running};
use crate::timers::{Due, Timers};
use io::Io;

/// A long wait is cut into pieces of this length, so that a system clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// With at most so many executions in memory and records to write, a driver writes them itself.
const AT_ONCE: usize = 2;
/// So many messages at most are handled before what they gathered goes to the committer.
const MESSAGES_AT_ONCE: usize = 1024;

pub(crate) struct Begin {
    pub(crate) id: Path,
    pub(crate) definition: Arc<Definition>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) input: Payload,
    pub(crate) accepted: Accepted,
    pub(crate) ended: Ended,
    pub(crate) permit: OwnedSemaphorePermit,
}

pub(crate) struct Recover {
    pub(crate) open: OpenExecution,
    pub(crate) definition: Arc<Definition>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) permit: Option<OwnedSemaphorePermit>,
    pub(crate) ended: Option<Ended>,
    /// A finished execution that is taken up again, and why.
    pub(crate) resume: Option<String>,
    /// Requests of other processes that a resumption makes void.
    pub(crate) forget: Vec<i64>,
    pub(crate) report: mpsc::UnboundedSender<Result<Path, Stuck>>,
}

pub(crate) enum Message {
    Begin(Box<Begin>),
    Recover(Box<Recover>),
    Input(ExecNo, Input),
    /// The oldest submitted record of each is durable.
    Durable(Vec<ExecNo>),
    /// The store refuses what this execution wants written.
    Refused(ExecNo, Arc<StoreError>),
    CommitterStopped(Arc<str>),
    Cancel {
        id: Path,
        reason: String,
    },
    /// A child of another driver has ended.
    ChildEnded {
        parent: Path,
        child: Path,
        outcome: Outcome,
    },
    DropRequest(i64),
    /// Begin no further attempts; end when those under way have been recorded.
    Drain,
    /// End now; attempts under way are cut off.
    Leave,
}

pub(crate) struct Driver {
    executions: HashMap<ExecNo, Running>,
    ids: HashMap<Path, ExecNo>,
    io: Io,
}

impl Driver {
    pub(crate) fn new(number: usize, env: Arc<Env>, sender: UnboundedSender<Message>, inbox: Inbox) -> Self {
        Self {
            executions: HashMap::new(),
            ids: HashMap::new(),
            io: Io {
                number,
                env,
                sender,
                inbox,
                gathered: Queue::default(),
                timers: Timers::default(),
                attempts: 0,
                pending: 0,
                draining: false,
                follow_ups: VecDeque::new(),
                children: VecDeque::new(),
                cancellations: VecDeque::new(),
            },
        }
    }

    /// Runs until it is told to end.
    pub(crate) async fn run(mut self, mut messages: UnboundedReceiver<Message>) {
        let mut received = Vec::with_capacity(MESSAGES_AT_ONCE);
        loop {
            match self.wait(&mut messages, &mut received).await {
                Wake::Messages => {
                    for message in received.drain(..) {
                        if !self.handle(message) {
                            return self.leave();
                        }
                    }
                }
                Wake::Due => {}
                Wake::End => return self.leave(),
            }
            self.fire_due();
            self.write();
            // Others have their turn: the attempts that were just begun, for one.
            tokio::task::yield_now().await;
        }
    }

    /// Hands what was gathered to the committer, or where next to nothing is in flight writes it at once.
    fn write(&mut self) {
        while !self.io.gathered.is_empty() && self.io.pending <= AT_ONCE && self.io.env.in_memory() <= AT_ONCE {
            let Some(acks) = self.io.inbox.write_now(&mut self.io.gathered) else {
                break;
            };
            for ack in acks {
                self.durable(ack.exec);
                self.follow_up();
            }
        }
        let Io { inbox, gathered, .. } = &mut self.io;
        inbox.submit(gathered);
    }

    /// Waits for messages or the next due time.
    async fn wait(&mut self, messages: &mut UnboundedReceiver<Message>, into: &mut Vec<Message>) -> Wake {
        while into.len() < MESSAGES_AT_ONCE
            && let Ok(message) = messages.try_recv()
        {
            into.push(message);
        }
        if !into.is_empty() {
            return Wake::Messages;
        }
        if self.io.is_drained() {
            return Wake::End;
        }
        let wait = match self.next_due() {
            None => None,
            Some(at) => {
                let clock = &self.io.env.options.clock;
                let now = clock.now();
                if at <= now {
                    return Wake::Due;
                }
                if clock.is_virtual() && self.io.attempts == 0 && self.io.pending == 0 {
                    clock.advance_to(at);
                    return Wake::Due;
                }
                // A virtual clock stands still while something goes on.
                (!clock.is_virtual()).then(|| Duration::from_millis((at - now) as u64).min(LONGEST_WAIT))
            }
        };
        let received = messages.recv_many(into, MESSAGES_AT_ONCE);
        let count = match wait {
            None => received.await,
            Some(wait) => match tokio::time::timeout(wait, received).await {
                Ok(count) => count,
                Err(_) => return Wake::Due,
            },
        };
        if count == 0 { Wake::End } else { Wake::Messages }
    }

    /// When the next entry that somebody still waits for is due.
    fn next_due(&mut self) -> Option<i64> {
        let Self { executions, io, .. } = self;
        io.timers.next_at(|exec, due| {
            executions.get(&exec).is_some_and(|running| match due {
                Due::Timer(path) => running.execution.waits_for(path),
                Due::Attempt(path, number) => running
                    .waiting
                    .get(path)
                    .is_some_and(|waiting| waiting.attempt.number == *number),
            })
        })
    }

    /// Handles a message; false means to end.
    fn handle(&mut self, message: Message) -> bool {
        match message {
            Message::Begin(begin) => self.begin(*begin),
            Message::Recover(recover) => self.recover(*recover),
            Message::Input(exec, input) => self.input(exec, input),
            Message::Durable(execs) => {
                for exec in execs {
                    self.durable(exec);
                }
            }
            Message::Refused(exec, error) => self.refused(exec, error),
            Message::CommitterStopped(why) => {
                self.fail_all(&why);
                return false;
            }
            Message::Cancel { id, reason } => {
                if let Some(exec) = self.ids.get(&id) {
                    self.input(*exec, Input::Cancel { reason });
                }
            }
            Message::ChildEnded { parent, child, outcome } => self.child_ended(&parent, &child, outcome),
            Message::DropRequest(id) => {
                self.io.gathered.writes.push(Write::DropRequest(id));
                // Acknowledged to no execution.
                self.io.gathered.acks.push(Ack {
                    driver: self.io.number,
                    exec: ExecNo(0),
                    writes: 1,
                    with_previous: false,
                });
                self.io.pending += 1;
            }
            Message::Drain => self.io.draining = true,
            Message::Leave => return false,
        }
        self.follow_up();
        true
    }

    /// What the last message led to for other executions of this driver.
    fn follow_up(&mut self) {
        loop {
            if let Some(child) = self.io.children.pop_front() {
                self.child(child);
            } else if let Some(id) = self.io.cancellations.pop_front() {
                if let Some(exec) = self.ids.get(&id) {
                    self.input(
                        *exec,
                        Input::Cancel {
                            reason: "its parent was cancelled".into(),
                        },
                    );
                }
            } else if let Some((exec, input)) = self.io.follow_ups.pop_front() {
                self.input(exec, input);
            } else {
                return;
            }
        }
    }

    fn input(&mut self, exec: ExecNo, input: Input) {
        let now = self.io.env.options.clock.now();
        self.input_at(exec, input, now);
    }

    fn input_at(&mut self, exec: ExecNo, input: Input, now: i64) {
        let Some(running) = self.executions.get_mut(&exec) else {
            return;
        };
        if let Input::AttemptEnded { path, attempt, .. } = &input
            && running.attempts.get(path).is_some_and(|(number, _)| number == attempt)
        {
            running.attempts.remove(path);
            self.io.attempts -= 1;
        }
        let batch = running.execution.handle(now, input);
        if !batch.events.is_empty() {
            // What the program took for the time, which a clock that was set back is not.
            let at = running.execution.now();
            self.io.record(exec, running, batch, at, Vec::new());
        }
    }

    fn fire_due(&mut self) {
        loop {
            let now = self.io.env.options.clock.now();
            let Some((exec, due)) = self.io.timers.pop(now) else {
                return;
            };
            match due {
                Due::Timer(path) => self.input_at(exec, Input::TimerFired { path }, now),
                Due::Attempt(path, number) => {
                    if let Some(running) = self.executions.get_mut(&exec)
                        && running
                            .waiting
                            .get(&path)
                            .is_some_and(|waiting| waiting.attempt.number == number)
                        && let Some(waiting) = running.waiting.remove(&path)
                    {
                        self.io
                            .attempt(exec, running, waiting.attempt, waiting.timeout, waiting.body);
                    }
                }
            }
            self.follow_up();
        }
    }
}

/// Why a driver goes on.
enum Wake {
    /// Messages have come.
    Messages,
    /// A timer is due.
    Due,
    /// It has been told to stop and everything begun is recorded, or nobody can send any more.
    End,
}

/// What a starter waits on.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, EngineError>>;
