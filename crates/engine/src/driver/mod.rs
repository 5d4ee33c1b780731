//! A thread that owns executions: inputs in, core, events to the committer, effects once durable.
//!
//! An execution lives on one driver from its start (or recovery) to its end, and a child lives with its
//! parent, so nothing about an execution is ever shared between threads. A driver blocks on its channel
//! until the next message or the next due time; it never polls.

mod children;
mod io;
mod lifecycle;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use bowline_core::{Input, Outcome, Path, Payload, Program};
use bowline_store::{Definition, ExecNo, OpenExecution, StoreError, Write};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::committer::{Ack, Inbox, Queue};
use crate::engine::EngineError;
use crate::env::Env;
use crate::recovery::Stuck;
use crate::running::{Accepted, Ended, Running};
use crate::timers::{Due, Timers};
use io::Io;

/// A long wait is cut into pieces of this length, so that a system clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// So many messages are handled before what they gathered goes to the committer.
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
    pub(crate) report: mpsc::UnboundedSender<Result<Path, Stuck>>,
}

pub(crate) enum Message {
    Begin(Box<Begin>),
    Recover(Box<Recover>),
    Input(ExecNo, Input),
    /// The oldest submitted record of each is durable.
    Durable(Vec<ExecNo>),
    /// The store refuses what this execution wants written.
    Refused(ExecNo, Box<StoreError>),
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
    DropRequests(i64),
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
    pub(crate) fn new(number: usize, env: Arc<Env>, sender: Sender<Message>, inbox: Inbox) -> Self {
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
    pub(crate) fn run(&mut self, messages: &Receiver<Message>) {
        loop {
            let mut next = match self.wait(messages) {
                Wake::Message(message) => Some(message),
                Wake::Due => None,
                Wake::End => break,
            };
            let mut handled = 0;
            while let Some(message) = next {
                if !self.handle(message) {
                    return self.leave();
                }
                handled += 1;
                next = if handled < MESSAGES_AT_ONCE {
                    messages.try_recv().ok()
                } else {
                    None
                };
            }
            self.fire_due();
            let Io { inbox, gathered, .. } = &mut self.io;
            inbox.submit(gathered);
            if self.io.is_drained() {
                break;
            }
        }
        self.leave();
    }

    /// Waits for the next message or the next due time.
    fn wait(&mut self, messages: &Receiver<Message>) -> Wake {
        if let Ok(message) = messages.try_recv() {
            return Wake::Message(message);
        }
        if self.io.is_drained() {
            return Wake::End;
        }
        let received = |message: Result<Message, _>| message.map_or(Wake::End, Wake::Message);
        let Some(at) = self.next_due() else {
            return received(messages.recv());
        };
        let clock = &self.io.env.options.clock;
        let now = clock.now();
        if at <= now {
            return Wake::Due;
        }
        if clock.is_virtual() {
            if self.io.attempts == 0 && self.io.pending == 0 {
                clock.advance_to(at);
                return Wake::Due;
            }
            return received(messages.recv());
        }
        let wait = Duration::from_millis((at - now) as u64).min(LONGEST_WAIT);
        match messages.recv_timeout(wait) {
            Ok(message) => Wake::Message(message),
            Err(RecvTimeoutError::Timeout) => Wake::Due,
            Err(RecvTimeoutError::Disconnected) => Wake::End,
        }
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
            Message::Refused(exec, error) => self.refused(exec, *error),
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
            Message::DropRequests(upto) => {
                self.io.gathered.writes.push(Write::DropRequests(upto));
                // Acknowledged to no execution.
                self.io.gathered.acks.push(Ack {
                    driver: self.io.number,
                    exec: ExecNo(0),
                    writes: 1,
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
            if let Some((parent, child)) = self.io.children.pop_front() {
                self.child(parent, child);
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
        let Some(running) = self.executions.get_mut(&exec) else {
            return;
        };
        if let Input::AttemptEnded { path, attempt, .. } = &input
            && running.attempts.get(path).is_some_and(|(number, _)| number == attempt)
        {
            running.attempts.remove(path);
            self.io.attempts -= 1;
        }
        let now = self.io.env.options.clock.now();
        let batch = running.execution.handle(now, input);
        if !batch.events.is_empty() {
            self.io.record(exec, running, batch, now, Vec::new());
        }
    }

    fn fire_due(&mut self) {
        loop {
            let now = self.io.env.options.clock.now();
            let Some((exec, due)) = self.io.timers.pop(now) else {
                return;
            };
            match due {
                Due::Timer(path) => self.input(exec, Input::TimerFired { path }),
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
    Message(Message),
    /// A timer is due.
    Due,
    /// It has been told to stop and everything begun is recorded, or nobody can send any more.
    End,
}

/// What a starter waits on.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, EngineError>>;
