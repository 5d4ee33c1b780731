//! A thread that owns executions: inputs in, core, events to the committer, effects once durable.
//!
//! An execution lives on one driver from its start (or recovery) to its end, and a child lives with its
//! parent, so nothing about an execution is ever shared between threads. A driver blocks on its channel
//! until the next message or the next due time; it never polls.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use bowline_core::{
    Attempt, Batch, Effect, Event, Execution, Identity, Input, Outcome, Path, Payload, Program, Record, StepBody,
    StepError, decode, encode, panicked,
};
use bowline_store::{
    Definition, ExecNo, Finish, JournalRecord, NewExecution, OpenExecution, Status, StoreError, Write,
};
use futures_util::FutureExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::committer::{Ack, Inbox, Queue};
use crate::engine::{EngineError, Env, Stored};
use crate::observe::Committed;
use crate::recovery::Stuck;
use crate::running::{Accepted, Awaiting, Ended, Running, Waiting};
use crate::timers::{Due, Timers};

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

/// What the handling of one execution uses beside the execution itself.
struct Io {
    number: usize,
    env: Arc<Env>,
    sender: Sender<Message>,
    inbox: Inbox,
    gathered: Queue,
    timers: Timers,
    /// Attempts under way, of all executions.
    attempts: usize,
    /// Records submitted and not yet durable, of all executions.
    pending: usize,
    draining: bool,
    /// Inputs that follow from what was just handled, for executions of this driver.
    follow_ups: VecDeque<(ExecNo, Input)>,
    /// Children to begin, with their parent.
    children: VecDeque<(ExecNo, Child)>,
    /// Executions to be asked to stop.
    cancellations: VecDeque<Path>,
}

struct Child {
    path: Path,
    id: Path,
    workflow: Path,
    input: Payload,
    detached: bool,
    /// The parent comes from recovery: the child may exist.
    recovered: bool,
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
            let Some(message) = self.wait(messages) else { break };
            let mut next = message;
            let mut handled = 0;
            while let Some(message) = next {
                if !self.handle(message) {
                    return self.leave();
                }
                handled += 1;
                next = if handled < MESSAGES_AT_ONCE { messages.try_recv().ok() } else { None };
            }
            self.fire_due();
            let Io { inbox, gathered, .. } = &mut self.io;
            inbox.submit(gathered);
            if self.io.draining && self.io.attempts == 0 && self.io.pending == 0 {
                return self.leave();
            }
        }
        self.leave();
    }

    /// The next message, or nothing when a timer is due; none at all when nobody can send any more.
    fn wait(&mut self, messages: &Receiver<Message>) -> Option<Option<Message>> {
        if let Ok(message) = messages.try_recv() {
            return Some(Some(message));
        }
        if self.io.draining && self.io.attempts == 0 && self.io.pending == 0 {
            return None;
        }
        let Some(at) = self.next_due() else {
            return messages.recv().ok().map(Some);
        };
        let clock = &self.io.env.options.clock;
        let now = clock.now();
        if at <= now {
            return Some(None);
        }
        if clock.is_virtual() {
            if self.io.attempts == 0 && self.io.pending == 0 {
                clock.advance_to(at);
                return Some(None);
            }
            return messages.recv().ok().map(Some);
        }
        let wait = Duration::from_millis((at - now) as u64).min(LONGEST_WAIT);
        match messages.recv_timeout(wait) {
            Ok(message) => Some(Some(message)),
            Err(RecvTimeoutError::Timeout) => Some(None),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// When the next entry that somebody still waits for is due.
    fn next_due(&mut self) -> Option<i64> {
        let Self { executions, io, .. } = self;
        io.timers.next_at(|exec, due| {
            executions.get(&exec).is_some_and(|running| match due {
                Due::Timer(path) => running.execution.waits_for(path),
                Due::Attempt(path, number) => {
                    running.waiting.get(path).is_some_and(|waiting| waiting.attempt.number == *number)
                }
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
                self.io.gathered.acks.push(Ack { driver: self.io.number, exec: ExecNo(0), writes: 1 });
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
                    self.input(*exec, Input::Cancel { reason: "its parent was cancelled".into() });
                }
            } else if let Some((exec, input)) = self.io.follow_ups.pop_front() {
                self.input(exec, input);
            } else {
                return;
            }
        }
    }

    fn begin(&mut self, begin: Begin) {
        let Begin { id, definition, program, input, accepted, ended, permit } = begin;
        if self.ids.contains_key(&id) {
            // The store would say the same, but by then the name would lead to the wrong one here.
            let error = StoreError::Duplicate { id: id.to_string() };
            // Whoever started it may have gone.
            let _ = accepted.send(Err(error.into()));
            return;
        }
        let mut running = self.fresh(id, None, definition, &program, input);
        running.1.accepted = Some(accepted);
        running.1.ended = Some(ended);
        running.1.permit = Some(permit);
        self.admit(running);
    }

    /// Begins an execution: its rows are gathered, and it runs up to its first waits.
    fn fresh(
        &mut self,
        id: Path,
        parent: Option<Path>,
        definition: Arc<Definition>,
        program: &Arc<dyn Program>,
        input: Payload,
    ) -> (ExecNo, Running) {
        let exec = self.io.env.take_exec();
        let now = self.io.env.options.clock.now();
        let workflow: Path = definition.workflow.as_str().into();
        let identity = Identity { id: Arc::clone(&id), workflow: Arc::clone(&workflow), started_at: now };
        let (execution, batch) = Execution::start(identity, program.as_ref(), input);
        let mut first = Vec::with_capacity(4);
        if self.io.env.must_define(&definition.hash) {
            first.push(Write::Define(Definition::clone(&definition)));
        }
        first.push(Write::Start(NewExecution {
            exec,
            id: id.to_string(),
            workflow: definition.workflow.clone(),
            definition: definition.hash.clone(),
            parent: parent.as_deref().map(str::to_owned),
            started_at: now,
        }));
        let mut running = running(id, workflow, parent, definition, execution, 0);
        self.io.record(exec, &mut running, batch, now, first);
        (exec, running)
    }

    fn admit(&mut self, (exec, running): (ExecNo, Running)) {
        self.io.env.entered();
        self.io.env.claim(exec);
        self.ids.insert(Arc::clone(&running.id), exec);
        self.executions.insert(exec, running);
    }

    fn recover(&mut self, recover: Recover) {
        let Recover { open, definition, program, permit, ended, resume, report } = recover;
        let OpenExecution { row, journal } = open;
        let id: Path = row.id.as_str().into();
        if !self.io.env.claim(row.exec) {
            return;
        }
        let stuck = |error: String| Stuck { id: row.id.clone(), workflow: row.workflow.clone(), error };
        let now = self.io.env.options.clock.now();
        let identity =
            Identity { id: Arc::clone(&id), workflow: row.workflow.as_str().into(), started_at: row.started_at };
        let records: Result<Vec<Record>, _> = journal
            .iter()
            .map(|record| decode(&record.events).map(|events| Record { at: record.at, events }))
            .collect();
        let brought_back = match records {
            Err(error) => Err(stuck(format!("its journal cannot be read: {error}"))),
            Ok(records) => match resume {
                None => Execution::replay(identity, program.as_ref(), &records, now)
                    .map(|(execution, effects)| (execution, Ok(effects))),
                Some(reason) => Execution::resume(identity, program.as_ref(), &records, now, reason)
                    .map(|(execution, batch)| (execution, Err(batch))),
            }
            .map_err(|error| stuck(error.to_string())),
        };
        let (execution, todo) = match brought_back {
            Ok(brought_back) => brought_back,
            Err(stuck) => {
                tracing::error!(id = %stuck.id, error = %stuck.error, "an execution cannot go on");
                self.io.env.release(row.exec);
                // Nobody may be listening any more.
                let _ = report.send(Err(stuck));
                return;
            }
        };
        let parent = row.parent.as_deref().map(Path::from);
        let seq = journal.len() as u64;
        let mut running = running(Arc::clone(&id), row.workflow.as_str().into(), parent, definition, execution, seq);
        running.permit = permit;
        running.ended = ended;
        match todo {
            Ok(effects) => {
                self.io.perform(row.exec, &mut running, effects, true);
                // A journal can end with the end and its row not say so only if the store tore a commit.
                if running.execution.outcome().is_some() {
                    self.io.finish_again(row.exec, &mut running, now);
                }
            }
            Err(batch) => self.io.record(row.exec, &mut running, batch, now, vec![Write::Reopen(row.exec)]),
        }
        self.admit((row.exec, running));
        // Nobody may be listening any more.
        let _ = report.send(Ok(id));
    }

    fn input(&mut self, exec: ExecNo, input: Input) {
        let Some(running) = self.executions.get_mut(&exec) else { return };
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

    fn durable(&mut self, exec: ExecNo) {
        self.io.pending -= 1;
        let Some(running) = self.executions.get_mut(&exec) else { return };
        let Some(Awaiting { at, events, effects }) = running.awaiting.pop_front() else { return };
        if let Some(observer) = &self.io.env.options.observer {
            observer.committed(Committed {
                id: &running.id,
                workflow: &running.workflow,
                parent: running.parent.as_deref(),
                at,
                events: &events,
            });
        }
        if let Some(accepted) = running.accepted.take() {
            // Whoever started it may have gone.
            let _ = accepted.send(Ok(()));
        }
        self.io.perform(exec, running, effects, false);
        if running.awaiting.is_empty()
            && let Some(outcome) = running.execution.outcome().cloned()
        {
            self.ended(exec, outcome);
        }
    }

    fn ended(&mut self, exec: ExecNo, outcome: Outcome) {
        let Some(mut running) = self.executions.remove(&exec) else { return };
        self.io.attempts -= running.attempts.len();
        running.abort_attempts();
        self.ids.remove(&running.id);
        self.io.env.left();
        self.io.env.release(exec);
        if let Some(parent) = &running.parent {
            if self.ids.contains_key(parent) {
                self.child_ended(parent, &running.id, outcome.clone());
            } else {
                self.io.env.tell_others(self.io.number, parent, &running.id, &outcome);
            }
        }
        if let Some(ended) = running.ended.take() {
            // Whoever started it may have gone.
            let _ = ended.send(Ok(outcome));
        }
    }

    fn child_ended(&mut self, parent: &Path, child: &Path, outcome: Outcome) {
        if let Some(exec) = self.ids.get(parent)
            && let Some(path) = self.executions.get(exec).and_then(|parent| parent.children.get(child))
        {
            self.io.follow_ups.push_back((*exec, Input::ChildEnded { path: Arc::clone(path), outcome }));
        }
    }

    /// Begins a child, or finds the one that exists.
    fn child(&mut self, parent: ExecNo, child: Child) {
        let Some(running) = self.executions.get_mut(&parent) else { return };
        if !child.detached {
            running.children.insert(Arc::clone(&child.id), Arc::clone(&child.path));
        }
        let (parent_id, definition) = (Arc::clone(&running.id), Arc::clone(&running.definition));
        if self.ids.contains_key(&child.id) {
            return;
        }
        if child.recovered {
            match self.io.env.stored_child(&child.id) {
                Ok(Stored::Unknown) => {}
                // Somebody else drives it and will tell.
                Ok(Stored::Driven) => return,
                Ok(Stored::Open(open, (definition, program))) => {
                    let (report, _) = mpsc::unbounded_channel();
                    let recover =
                        Recover { open: *open, definition, program, permit: None, ended: None, resume: None, report };
                    return self.recover(recover);
                }
                Ok(Stored::Ended(outcome)) => {
                    return self.io.follow_ups.push_back((parent, Input::ChildEnded { path: child.path, outcome }));
                }
                Err(error) => {
                    tracing::error!(child = %child.id, %error, "a child cannot be taken up");
                    return;
                }
            }
        }
        match self.io.env.child_program(&definition, &child.workflow) {
            Ok((definition, program)) => {
                let running = self.fresh(child.id, Some(parent_id), definition, &program, child.input);
                self.admit(running);
            }
            Err(error) => {
                let outcome = Outcome::Failed(error);
                self.io.follow_ups.push_back((parent, Input::ChildEnded { path: child.path, outcome }));
            }
        }
    }

    fn fire_due(&mut self) {
        loop {
            let now = self.io.env.options.clock.now();
            let Some((exec, due)) = self.io.timers.pop(now) else { return };
            match due {
                Due::Timer(path) => self.input(exec, Input::TimerFired { path }),
                Due::Attempt(path, number) => {
                    if let Some(running) = self.executions.get_mut(&exec)
                        && running.waiting.get(&path).is_some_and(|waiting| waiting.attempt.number == number)
                        && let Some(waiting) = running.waiting.remove(&path)
                    {
                        self.io.attempt(exec, running, waiting.attempt, waiting.timeout, waiting.body);
                    }
                }
            }
            self.follow_up();
        }
    }

    /// The store does not let this execution go on; others are not concerned.
    fn refused(&mut self, exec: ExecNo, error: StoreError) {
        self.io.pending -= 1;
        let Some(mut running) = self.executions.remove(&exec) else { return };
        tracing::error!(id = %running.id, %error, "the store refused a record");
        self.io.attempts -= running.attempts.len();
        running.abort_attempts();
        self.ids.remove(&running.id);
        self.io.env.release(exec);
        self.io.env.left();
        let error = EngineError::Store(Arc::new(error));
        if let Some(accepted) = running.accepted.take() {
            // Whoever started it may have gone.
            let _ = accepted.send(Err(error.clone()));
        }
        if let Some(ended) = running.ended.take() {
            let _ = ended.send(Err(error));
        }
    }

    fn fail_all(&mut self, why: &Arc<str>) {
        for (_, mut running) in self.executions.drain() {
            running.abort_attempts();
            let error = EngineError::Stopped(Arc::clone(why));
            if let Some(accepted) = running.accepted.take() {
                // Whoever started it may have gone.
                let _ = accepted.send(Err(error.clone()));
            }
            if let Some(ended) = running.ended.take() {
                let _ = ended.send(Err(error));
            }
            self.io.env.left();
        }
        self.io.env.stop(why);
    }

    /// Leaves everything as the journal has it; the next start goes on from there.
    fn leave(&mut self) {
        for running in self.executions.values_mut() {
            running.abort_attempts();
        }
        self.executions.clear();
        let Io { inbox, gathered, .. } = &mut self.io;
        inbox.submit(gathered);
    }
}

impl Io {
    /// Gathers what an execution wants written and what follows once it is.
    fn record(&mut self, exec: ExecNo, running: &mut Running, batch: Batch, at: i64, first: Vec<Write>) {
        let Batch { events, effects } = batch;
        let mut writes = first.len() + 1;
        self.gathered.writes.extend(first);
        let encoded = encode(&events).unwrap_or_else(|error| {
            // Events are made of types that always have a JSON form; if one had not, this record would
            // read as damaged and the execution would be reported, instead of going on unrecorded.
            tracing::error!(id = %running.id, %error, "an event has no journal form");
            Vec::new()
        });
        self.gathered.writes.push(Write::Append(JournalRecord { exec, seq: running.seq, at, events: encoded.into() }));
        running.seq += 1;
        if let Some(finish) = finish(exec, &events, at) {
            writes += 1;
            self.gathered.writes.push(finish);
        }
        self.gathered.acks.push(Ack { driver: self.number, exec, writes });
        self.pending += 1;
        let events = if self.env.options.observer.is_some() { events } else { Vec::new() };
        running.awaiting.push_back(Awaiting { at, events, effects });
    }

    fn finish_again(&mut self, exec: ExecNo, running: &mut Running, at: i64) {
        let event = running.execution.outcome().cloned().map(|outcome| Event::Finished { outcome });
        if let Some(write) = finish(exec, event.as_slice(), at) {
            self.gathered.writes.push(write);
            self.gathered.acks.push(Ack { driver: self.number, exec, writes: 1 });
            self.pending += 1;
            running.awaiting.push_back(Awaiting { at, events: Vec::new(), effects: Vec::new() });
        }
    }

    /// Does what the core wants done. Everything that it follows from is durable.
    fn perform(&mut self, exec: ExecNo, running: &mut Running, effects: Vec<Effect>, recovered: bool) {
        for effect in effects {
            match effect {
                Effect::RunStep { attempt, not_before, timeout, body } => match not_before {
                    Some(at) if at > self.env.options.clock.now() => {
                        self.timers.add(at, exec, Due::Attempt(Arc::clone(&attempt.path), attempt.number));
                        running.waiting.insert(Arc::clone(&attempt.path), Waiting { attempt, timeout, body });
                    }
                    _ => self.attempt(exec, running, attempt, timeout, body),
                },
                Effect::SetTimer { path, at } => self.timers.add(at, exec, Due::Timer(path)),
                Effect::StartChild { path, id, workflow, input, detached } => {
                    self.children.push_back((exec, Child { path, id, workflow, input, detached, recovered }));
                }
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

    /// Begins an attempt, unless the engine is about to end: then the next start begins it.
    fn attempt(
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
            let _ = sender.send(Message::Input(exec, Input::AttemptEnded { path, attempt: number, result }));
        });
        running.attempts.insert(path, (number, task.abort_handle()));
        self.attempts += 1;
    }
}

async fn run_body(
    body: Arc<dyn StepBody>,
    attempt: Attempt,
    timeout: Option<Duration>,
) -> Result<Payload, StepError> {
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
    let Some(Event::Finished { outcome }) = events.last() else { return None };
    let status = match outcome {
        Outcome::Succeeded(_) => Status::Succeeded,
        Outcome::Failed(_) => Status::Failed,
        Outcome::Cancelled(_) => Status::Cancelled,
    };
    Some(Write::Finish(Finish { exec, status, at }))
}

fn running(
    id: Path,
    workflow: Path,
    parent: Option<Path>,
    definition: Arc<Definition>,
    execution: Execution,
    seq: u64,
) -> Running {
    Running {
        id,
        workflow,
        parent,
        definition,
        execution,
        seq,
        awaiting: VecDeque::new(),
        attempts: HashMap::new(),
        waiting: HashMap::new(),
        children: HashMap::new(),
        accepted: None,
        ended: None,
        permit: None,
    }
}

/// What a starter waits on.
pub(crate) type Answer<T> = oneshot::Receiver<Result<T, EngineError>>;
