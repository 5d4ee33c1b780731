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
mod pause;
mod record;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bowline_core::{Input, Outcome, Path, Payload, Program, Record};
use bowline_store::{Definition, ExecNo, OpenExecution, StoreError, Write};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::Migration;
use crate::committer::{Inbox, Queue, Told};
use crate::engine::EngineError;
use crate::env::{Env, Loaded};
use crate::keys::Beginning;
use crate::owners::Claim;
use crate::places::Place;
use crate::recovery::Stuck;
use crate::routing::Handled;
use crate::running::{Accepted, Ended, Running};
use crate::timers::{Due, Timers};
use io::Io;
pub(crate) use pause::Pause;
use record::status_of;

/// A long wait is cut into pieces of this length, so that a system clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// With at most so many executions in memory and records to write, a driver writes them itself.
const AT_ONCE: usize = 2;
/// So many messages at most are handled before what they gathered goes to the committer.
const MESSAGES_AT_ONCE: usize = 1024;

pub(crate) struct Begin {
    pub(crate) id: Path,
    pub(crate) organization: Path,
    pub(crate) definition: Arc<Definition>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) input: Payload,
    pub(crate) beginning: Beginning,
    pub(crate) accepted: Accepted,
    pub(crate) ended: Ended,
    pub(crate) permit: Place,
}

pub(crate) struct Recover {
    pub(crate) open: OpenExecution,
    /// What its journal says, if that has been read already.
    pub(crate) records: Option<Vec<Record>>,
    pub(crate) definition: Arc<Definition>,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) permit: Option<Place>,
    pub(crate) ended: Option<Ended>,
    /// Told when the first record of another life is durable, or at once where there is no other life.
    pub(crate) accepted: Option<Accepted>,
    /// An execution that begins another life, and how.
    pub(crate) resume: Option<Resume>,
    /// Requests of other processes that a resumption makes void.
    pub(crate) forget: Vec<i64>,
    /// Tags of waits that a life before this one has left open.
    pub(crate) open_waits: Vec<u64>,
    /// The right to drive it.
    pub(crate) claim: Claim,
    pub(crate) report: mpsc::UnboundedSender<Result<Path, Stuck>>,
}

impl Recover {
    /// Of an execution that goes on where it was.
    pub(crate) fn new(
        open: OpenExecution,
        records: Option<Vec<Record>>,
        (definition, program): Loaded,
        permit: Option<Place>,
        claim: Claim,
        report: mpsc::UnboundedSender<Result<Path, Stuck>>,
    ) -> Self {
        Self {
            open,
            records,
            definition,
            program,
            permit,
            ended: None,
            accepted: None,
            resume: None,
            forget: Vec::new(),
            open_waits: Vec::new(),
            claim,
            report,
        }
    }
}

/// How an execution begins another life.
pub(crate) struct Resume {
    pub(crate) reason: String,
    /// It goes on on this definition, which keeps results at these paths.
    pub(crate) onto: Option<Migration>,
}

/// Something from outside, and who is told what became of it.
pub(crate) struct Deliver {
    pub(crate) exec: ExecNo,
    pub(crate) what: Delivered,
    pub(crate) told: oneshot::Sender<Handled>,
}

#[derive(Clone)]
pub(crate) enum Delivered {
    Input(Input),
    /// An answer, and the numbers of kept ones that go with it.
    Answer {
        input: Input,
        stale: Vec<i64>,
    },
    /// A child that another driver has had.
    ChildEnded {
        child: Path,
        outcome: Outcome,
    },
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
    /// Something from outside, for an execution that this driver has.
    Deliver(Box<Deliver>),
    /// Tell the outcome; or give the sender back, if this driver no longer has the execution.
    Watch {
        exec: ExecNo,
        told: Ended,
        back: oneshot::Sender<Ended>,
    },
    /// Stop beginning anything for executions, or go on.
    Pause(Pause),
    /// Look whether something is due now.
    Nudge,
    /// Begin no further attempts; end when those under way have been recorded.
    Drain,
    /// End now; attempts under way are cut off.
    Leave,
}

pub(crate) struct Driver {
    executions: HashMap<ExecNo, Box<Running>>,
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
            let Self { executions, io, .. } = &mut self;
            io.timers.sweep(executions.len(), |exec| executions.contains_key(&exec));
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
                if let Told::Driver(_, exec) = ack.told {
                    self.durable(exec);
                    self.follow_up();
                }
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
                let busy = self.io.attempts + self.io.pending + self.io.env.errands.load(Ordering::SeqCst);
                if clock.is_virtual() && busy == 0 {
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
                Due::Rest => running.resting,
                Due::Begin(path, _) | Due::Timer(path) => running.execution.waits_for(path),
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
                    // At once: one that is told something must not leave memory before it has heard it.
                    self.follow_up();
                }
            }
            Message::Refused(exec, error) => self.refused(exec, error),
            Message::CommitterStopped(why) => {
                self.fail_all(&why);
                return false;
            }
            Message::Deliver(deliver) => self.deliver(*deliver),
            Message::Watch { exec, told, back } => match self.executions.get_mut(&exec) {
                Some(running) => running.ended.push(told),
                // Whoever asked may have gone.
                None => drop(back.send(told)),
            },
            Message::Pause(pause) => self.pause(pause),
            Message::Nudge => {}
            Message::Drain => self.io.draining = true,
            Message::Leave => return false,
        }
        self.follow_up();
        true
    }

    fn deliver(&mut self, deliver: Deliver) {
        let Deliver { exec, what, told } = deliver;
        let known = self.executions.contains_key(&exec);
        if known {
            let mut first = Vec::new();
            let input = match what {
                Delivered::Input(input) => Some(input),
                Delivered::Answer { input, stale } => {
                    first.extend(stale.into_iter().map(Write::DropDelivery));
                    Some(input)
                }
                Delivered::ChildEnded { child, outcome } => self
                    .executions
                    .get_mut(&exec)
                    .and_then(|running| running.children.remove(&child))
                    .map(|path| Input::ChildEnded { path, outcome }),
            };
            // It has ended, and the record of that is on its way.
            let ended = self
                .executions
                .get(&exec)
                .and_then(|running| running.execution.outcome())
                .map(status_of);
            let before = self.awaiting(exec);
            if let Some(input) = input {
                let now = self.io.env.options.clock.now();
                self.input_with(exec, input, now, first);
            }
            let Some(running) = self.executions.get_mut(&exec) else {
                return;
            };
            let changed = running.awaiting.len() > before;
            match running.awaiting.back_mut() {
                Some(last) if changed => last.told.push((told, Handled::Recorded)),
                // What made it void must be durable before that is said.
                Some(last) => last.told.push((told, ended.map_or(Handled::Ignored, Handled::Ended))),
                // Whoever asked may have gone.
                None => drop(told.send(Handled::Ignored)),
            }
        } else {
            // Whoever asked may have gone.
            let _ = told.send(Handled::Gone);
        }
    }

    fn awaiting(&self, exec: ExecNo) -> usize {
        self.executions.get(&exec).map_or(0, |running| running.awaiting.len())
    }

    /// What the last message led to for other executions of this driver.
    fn follow_up(&mut self) {
        loop {
            if let Some(child) = self.io.children.pop_front() {
                self.child(child);
            } else if let Some(id) = self.io.cancellations.pop_front() {
                let reason = "its parent was cancelled".to_owned();
                match self.ids.get(&id) {
                    Some(exec) => self.input(*exec, Input::Cancel { reason }),
                    None => self.io.env.spawn_cancel(id, reason),
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
        self.input_with(exec, input, now, Vec::new());
    }

    /// With what is written beside it, if anything is recorded.
    fn input_with(&mut self, exec: ExecNo, input: Input, now: i64, first: Vec<Write>) {
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
            self.io.record(exec, running, batch, at, first);
        } else if running.awaiting.is_empty() && running.execution.outcome().is_none() {
            // An attempt that nobody waits for any more may have been all that kept it here.
            self.io.rest(exec, running);
        }
    }

    fn rested(&mut self, exec: ExecNo) {
        if let Some(running) = self.executions.get_mut(&exec)
            && self.io.rested(exec, running)
        {
            self.leave_memory(exec);
        }
    }

    fn fire_due(&mut self) {
        loop {
            let now = self.io.env.options.clock.now();
            let Some((exec, due)) = self.io.timers.pop(now) else {
                return;
            };
            match due {
                Due::Rest => self.rested(exec),
                Due::Timer(path) => {
                    if self.executions.get(&exec).is_some_and(|running| !running.paused) {
                        self.input_at(exec, Input::TimerFired { path }, now);
                    }
                }
                Due::Begin(path, attempt) => {
                    if !self.io.draining && self.executions.get(&exec).is_some_and(|running| !running.paused) {
                        self.input_at(exec, Input::AttemptBegun { path, attempt }, now);
                    }
                }
                Due::Attempt(path, number) => {
                    if let Some(running) = self.executions.get_mut(&exec)
                        && running
                            .waiting
                            .get(&path)
                            .is_some_and(|waiting| waiting.attempt.number == number && waiting.at <= now)
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
