//! What one step forward of an execution means for the store.

use bowline_core::mutants::{Mutant, on};
use bowline_core::{Batch, Effect, ErrorKind, Event, Outcome, Wait, encode};
use bowline_store::{
    EventRow, ExecNo, Finish, JournalRecord, RequestKind, Status, WaitKind, WaitRow, WaitState, Write,
};
use bytes::Bytes;

use super::io::Io;
use crate::blobs::references;
use crate::committer::{Ack, Told};
use crate::running::{Awaiting, Parked, Running};

impl Io {
    /// Gathers what an execution wants written and what follows once it is.
    pub(super) fn record(&mut self, exec: ExecNo, running: &mut Running, batch: Batch, at: i64, first: Vec<Write>) {
        let Batch { events, effects } = batch;
        let (children, effects): (Vec<Effect>, Vec<Effect>) = effects
            .into_iter()
            .partition(|effect| matches!(effect, Effect::StartChild { .. }));
        // Before whatever else waits, so that it stands right behind this record.
        for child in children.into_iter().rev() {
            // One that is waited for is still open when an execution goes on that was paused or put off.
            let waits = matches!(child, Effect::StartChild { detached: false, .. });
            if !((running.paused || running.put_off.is_some()) && waits) {
                self.child(exec, running, child, running.marks.resumed);
            }
        }
        let before = self.gathered.writes.len();
        self.gathered.writes.extend(first);
        let encoded = encode(&events).unwrap_or_else(|error| {
            // Events are made of types that always have a JSON form; if one had not, this record would
            // read as damaged and the execution would be reported, instead of going on unrecorded.
            tracing::error!(id = %running.id, %error, "an event has no journal form");
            Vec::new()
        });
        if self.env.options.blobs.is_some() {
            self.gathered.writes.extend(references(exec, &encoded));
        }
        self.gathered.writes.push(Write::Append(JournalRecord {
            exec,
            seq: running.seq,
            at,
            events: encoded.into(),
        }));
        if on(Mutant::JournalRaceInWrongOrder) {
            swap_with_previous(&mut self.gathered.writes, exec);
        }
        running.seq += 1;
        running.touched = at;
        self.waits(exec, running, &events, &effects, at);
        match finish(exec, &events, at) {
            Some(finish) => {
                self.gathered.writes.push(finish);
                if let Some(parent) = &running.parent {
                    self.gathered.writes.push(Write::WakeParent {
                        id: parent.to_string(),
                        at,
                    });
                }
            }
            None => self.park_or_not(exec, running),
        }
        self.gathered.acks.push(Ack {
            told: Told::Driver(self.number, exec),
            writes: self.gathered.writes.len() - before,
            with_previous: false,
        });
        self.pending += 1;
        let begins = events.iter().any(|event| matches!(event, Event::AttemptBegun { .. }));
        let events = if self.env.options.observer.is_some() {
            events
        } else {
            Vec::new()
        };
        running.awaiting.push_back(Awaiting {
            at,
            events,
            effects,
            begins,
            is_record: true,
            told: Vec::new(),
        });
    }

    /// The rows of what it waits for, and of what it tells others.
    fn waits(&mut self, exec: ExecNo, running: &mut Running, events: &[Event], effects: &[Effect], at: i64) {
        for event in events {
            let (path, state) = match event {
                Event::AttemptBegun { path, .. } => {
                    running.begun.insert(path.clone());
                    continue;
                }
                Event::ScopeFolded(_) => {
                    running.marks.folds = true;
                    continue;
                }
                Event::WaitCompleted { path, .. } => (path, WaitState::Answered),
                // Nobody answered: what comes now is late, and no repetition.
                Event::WaitFailed { path, error } if error.kind == ErrorKind::Timeout => (path, WaitState::Cancelled),
                Event::WaitFailed { path, .. } => (path, WaitState::Failed),
                Event::WaitCancelled { path } => (path, WaitState::Cancelled),
                Event::Emitted { event, .. } if &**event == bowline_core::RESPONSE => continue,
                Event::Emitted { event, key, data, .. } => {
                    self.gathered.writes.push(Write::Emit(EventRow {
                        id: 0,
                        organization: running.organization.to_string(),
                        event: event.to_string(),
                        key: key.clone(),
                        data: Bytes::copy_from_slice(data.text().as_bytes()),
                        source: running.id.to_string(),
                        at,
                    }));
                    continue;
                }
                _ => continue,
            };
            if let Some(tag) = running.waits.remove(path) {
                self.env.offers_end(exec, tag);
                self.gathered.writes.push(Write::CloseWait { exec, tag, state });
            }
        }
        for effect in effects {
            match effect {
                Effect::RegisterWait { path, tag, wait, until } => {
                    running.waits.insert(path.clone(), *tag);
                    self.gathered
                        .writes
                        .push(Write::OpenWait(wait_row(exec, path, *tag, wait, *until, at)));
                }
                // Of an earlier life, which the events of this one do not name.
                Effect::CancelWait { tag, .. } => self.gathered.writes.push(Write::CloseWait {
                    exec,
                    tag: *tag,
                    state: WaitState::Cancelled,
                }),
                // So that it is asked even if this process ends before it can do so.
                Effect::CancelChild { id } => self.gathered.writes.push(Write::Request(RequestKind::Cancel {
                    id: id.to_string(),
                    reason: "its parent was cancelled".to_owned(),
                })),
                _ => {}
            }
        }
    }

    /// Says in the same commit that it leaves memory, where it only waits, or that it is back.
    fn park_or_not(&mut self, exec: ExecNo, running: &mut Running) {
        let parked = self.parkable(running, false);
        self.say_parked(exec, running, parked);
    }

    fn say_parked(&mut self, exec: ExecNo, running: &mut Running, parked: Option<Parked>) {
        if running.parked == parked {
            return;
        }
        running.parked = parked;
        self.gathered.writes.push(match parked {
            Some(Parked { status, wake_at }) => Write::Park { exec, status, wake_at },
            None => Write::Unpark(exec),
        });
    }

    /// Whether an execution waits only for what is far away. One that has `rested` may have children.
    fn parkable(&self, running: &Running, rested: bool) -> Option<Parked> {
        if running.paused {
            return running.attempts.is_empty().then_some(Parked {
                status: Status::Paused,
                wake_at: None,
            });
        }
        let beyond = self.env.park_beyond_ms()?;
        if running.put_off.is_some() {
            return Some(Parked {
                status: Status::Waiting,
                wake_at: running.put_off,
            });
        }
        if !running.attempts.is_empty() || (!rested && running.seq > LONG) {
            return None;
        }
        let now = self.env.options.clock.now();
        let rest = running.execution.rest();
        let far = rest.next.is_none_or(|next| next > now.saturating_add(beyond));
        let waits_only = rest.steps == 0 && far && (rested || rest.children == 0);
        waits_only.then_some(Parked {
            status: Status::Waiting,
            wake_at: rest.next,
        })
    }

    /// After everything that was submitted for it is durable: whether it leaves memory now.
    pub(super) fn leaves(&mut self, exec: ExecNo, running: &mut Running) -> bool {
        if !running.awaiting.is_empty() || running.execution.outcome().is_some() {
            return false;
        }
        if running.parked.is_some() {
            return running.parked == self.parkable(running, true);
        }
        self.rest(exec, running);
        false
    }

    /// Looks again when it has rested for a while, if it rests.
    pub(super) fn rest(&mut self, exec: ExecNo, running: &mut Running) {
        if !running.resting
            && let Some(beyond) = self.env.park_beyond_ms()
            && self.parkable(running, true).is_some()
        {
            running.resting = true;
            let now = self.env.options.clock.now();
            let at = now.saturating_add(linger(running, beyond));
            self.timers.add(at, exec, crate::timers::Due::Rest);
        }
    }

    /// It was to be looked at. True if it leaves memory now, without another word.
    pub(super) fn rested(&mut self, exec: ExecNo, running: &mut Running) -> bool {
        running.resting = false;
        let Some(beyond) = self.env.park_beyond_ms() else {
            return false;
        };
        if !running.awaiting.is_empty() || running.execution.outcome().is_some() {
            return false;
        }
        let Some(parked) = self.parkable(running, true) else {
            return false;
        };
        let now = self.env.options.clock.now();
        let until = running.touched.saturating_add(linger(running, beyond));
        if until > now {
            running.resting = true;
            self.timers.add(until, exec, crate::timers::Due::Rest);
            return false;
        }
        if running.parked == Some(parked) {
            return true;
        }
        self.say_parked_now(exec, running, Some(parked));
        false
    }

    /// Brings its row up to date where it was paused or goes on, if nothing is about to do so anyway.
    pub(super) fn say_so(&mut self, exec: ExecNo, running: &mut Running) {
        let parked = self.parkable(running, true).filter(|_| running.paused);
        if running.parked != parked && running.execution.outcome().is_none() {
            self.say_parked_now(exec, running, parked);
        }
    }

    fn say_parked_now(&mut self, exec: ExecNo, running: &mut Running, parked: Option<Parked>) {
        let before = self.gathered.writes.len();
        self.say_parked(exec, running, parked);
        self.acknowledge_row(exec, running, self.gathered.writes.len() - before);
    }

    fn acknowledge_row(&mut self, exec: ExecNo, running: &mut Running, writes: usize) {
        self.gathered.acks.push(Ack {
            told: Told::Driver(self.number, exec),
            writes,
            with_previous: false,
        });
        self.pending += 1;
        running.awaiting.push_back(Awaiting {
            at: running.touched,
            events: Vec::new(),
            effects: Vec::new(),
            begins: false,
            is_record: false,
            told: Vec::new(),
        });
    }

    pub(super) fn finish_again(&mut self, exec: ExecNo, running: &mut Running, at: i64) {
        let event = running
            .execution
            .outcome()
            .cloned()
            .map(|outcome| Event::Finished { outcome });
        if let Some(write) = finish(exec, event.as_slice(), at) {
            self.gathered.writes.push(write);
            self.acknowledge_row(exec, running, 1);
        }
    }
}

/// With a journal longer than this, coming back costs enough to stay for a while first.
const LONG: u64 = 256;

/// One that was brought back, and to which nothing has happened that changed its row, soon leaves again.
const BROUGHT_BACK: i64 = 250;

/// How long one rests before it leaves memory.
fn linger(running: &Running, beyond: i64) -> i64 {
    match running.parked {
        Some(_) => beyond.min(BROUGHT_BACK),
        None => beyond,
    }
}

fn wait_row(exec: ExecNo, path: &str, tag: u64, wait: &Wait, until: Option<i64>, at: i64) -> WaitRow {
    let (kind, name, key, detail) = match wait {
        Wait::Callback { name, key, approval } => (
            WaitKind::Callback,
            name.as_deref().unwrap_or_default(),
            key.clone(),
            approval
                .as_ref()
                .map(|approval| Bytes::copy_from_slice(approval.text().as_bytes())),
        ),
        Wait::Signal { name } => (WaitKind::Signal, &**name, None, None),
        Wait::Event { event, key, after } => (
            WaitKind::Event,
            &**event,
            key.clone(),
            Some(Bytes::from(after.to_string())),
        ),
    };
    WaitRow {
        exec,
        tag,
        path: path.to_owned(),
        kind,
        name: name.to_owned(),
        key,
        until,
        detail,
        opened_at: at,
        state: WaitState::Open,
    }
}

fn finish(exec: ExecNo, events: &[Event], at: i64) -> Option<Write> {
    let Some(Event::Finished { outcome }) = events.last() else {
        return None;
    };
    let error = match outcome {
        Outcome::Failed(error) => Some(error.code.clone()),
        _ => None,
    };
    Some(Write::Finish(Finish {
        exec,
        status: status_of(outcome),
        at,
        error,
    }))
}

pub(super) fn status_of(outcome: &Outcome) -> Status {
    match outcome {
        Outcome::Succeeded(_) => Status::Succeeded,
        Outcome::Failed(_) => Status::Failed,
        Outcome::Cancelled(_) => Status::Cancelled,
    }
}

/// The mistake [`Mutant::JournalRaceInWrongOrder`]: what this record of an execution says, and what the one before
/// it that is not written yet says, change places.
fn swap_with_previous(writes: &mut [Write], exec: ExecNo) {
    let mut last: Option<&mut Bytes> = None;
    for write in writes.iter_mut().rev() {
        if let Write::Append(record) = write
            && record.exec == exec
        {
            match last {
                None => last = Some(&mut record.events),
                Some(last) => return std::mem::swap(last, &mut record.events),
            }
        }
    }
}
