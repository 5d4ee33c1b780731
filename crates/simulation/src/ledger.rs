//! What is durable, kept beside the store: every commit is read here as it becomes durable, and held to the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bowline_core::{Event, Outcome, Path, Record, Wait, decode};
use bowline_store::{EntryWrite, ExecNo, JournalRecord, NewExecution, Status, WaitState, Write};

/// A rule is broken: which, and how.
pub(crate) type Broken = String;

/// Something that an execution waits for.
#[derive(Clone, Debug)]
pub(crate) enum Open {
    Step { attempt: u32, begun: bool, not_before: i64 },
    Timer { at: i64 },
    Child,
    Wait { wait: Wait, until: Option<i64> },
}

/// One execution.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) id: Path,
    pub(crate) organization: String,
    pub(crate) workflow: String,
    pub(crate) started_at: i64,
    pub(crate) status: Status,
    pub(crate) wake_at: Option<i64>,
    pub(crate) journal: Vec<Record>,
    pub(crate) open: BTreeMap<Path, Open>,
    /// Steps that were completed, each with the call that was.
    pub(crate) completed: BTreeSet<Path>,
    pub(crate) outcomes: Vec<Outcome>,
    /// How often it was taken up from the top.
    pub(crate) lives: u32,
    pub(crate) cancelled: bool,
    pub(crate) signals: BTreeSet<String>,
    /// How waits ended that were answered, by path: how often.
    pub(crate) answered: BTreeMap<Path, u32>,
    /// Waits that ended without an answer.
    pub(crate) missed: BTreeSet<Path>,
}

impl Life {
    pub(crate) fn is_finished(&self) -> bool {
        self.status.is_finished()
    }
}

/// What one commit said that others want to know.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// A wait was opened: execution, tag.
    Opened {
        exec: ExecNo,
        tag: u64,
        wait: Wait,
        until: Option<i64>,
    },
    Finished {
        exec: ExecNo,
        outcome: Outcome,
    },
    /// A step's attempt has this result in the journal.
    Result {
        id: Path,
        path: Path,
        life: u32,
        attempt: u32,
        result: Result<String, String>,
        completed: bool,
    },
}

/// All of it.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) lives: BTreeMap<ExecNo, Life>,
    pub(crate) numbers: BTreeMap<Path, ExecNo>,
    /// Kept callbacks by number, with the wait or the reference that they are for.
    pub(crate) kept: BTreeMap<i64, String>,
    pub(crate) ever_kept: BTreeSet<i64>,
    /// Executions by organization and start key.
    pub(crate) keys: BTreeMap<String, ExecNo>,
    /// Entries that began with an execution: its id.
    pub(crate) entries: BTreeMap<String, String>,
    /// Whose an execution is to be that is started from outside, and the keys of the entries that begin with it.
    begins: BTreeMap<String, (String, Vec<String>)>,
    /// Whose events are, in the order of their numbers.
    events: Vec<String>,
    pub(crate) records: u64,
    pub(crate) commits: u64,
}

impl Ledger {
    pub(crate) fn by_id(&self, id: &str) -> Option<&Life> {
        self.numbers.get(id).and_then(|exec| self.lives.get(exec))
    }

    /// It is started from outside, with these entries.
    pub(crate) fn begins(&mut self, id: &str, organization: &str, entries: &[EntryWrite]) {
        let keys = entries.iter().map(|entry| entry.place().1.to_owned()).collect();
        self.begins.insert(id.to_owned(), (organization.to_owned(), keys));
    }

    /// That an execution is whose it is to be, and that the entries that begin with it did.
    fn begun(&self, new: &NewExecution) -> Result<(), Broken> {
        let (owner, entries) = match (&new.parent, self.begins.get(&new.id)) {
            (Some(parent), _) => match self.by_id(parent) {
                Some(parent) => (&parent.organization, &[][..]),
                None => return Err(format!("the parent of execution {} was never started", new.id)),
            },
            (None, Some((owner, entries))) => (owner, &entries[..]),
            (None, None) => return Err(format!("nobody started execution {}", new.id)),
        };
        if *owner != new.organization {
            return Err(format!(
                "execution {} of {owner} began for {}",
                new.id, new.organization
            ));
        }
        match entries.iter().find(|key| self.entries.get(*key) != Some(&new.id)) {
            Some(missing) => Err(format!(
                "execution {} is durable, and its entry {missing} is not",
                new.id
            )),
            None => Ok(()),
        }
    }

    /// Reads a commit that is durable.
    pub(crate) fn read(&mut self, now: i64, writes: &[Write], news: &mut Vec<News>) -> Result<(), Broken> {
        self.commits += 1;
        for write in writes {
            self.write(now, write, news)?;
        }
        for write in writes {
            match write {
                Write::Start(new) => self.begun(new)?,
                Write::Entry(EntryWrite::Add(entry)) => {
                    let id = String::from_utf8_lossy(&entry.value);
                    let is_it = |write: &Write| matches!(write, Write::Start(new) if new.id == id);
                    if !writes.iter().any(is_it) {
                        return Err(format!("the entry {} is durable, and execution {id} is not", entry.key));
                    }
                }
                _ => {}
            }
        }
        for life in self.lives.values() {
            if life.status.is_finished() != matches!(life.journal.last(), Some(record) if ends(record)) {
                return Err(format!(
                    "the row of execution {} says {} and its journal does not",
                    life.id,
                    life.status.name()
                ));
            }
        }
        Ok(())
    }

    fn write(&mut self, now: i64, write: &Write, news: &mut Vec<News>) -> Result<(), Broken> {
        match write {
            Write::Start(new) => {
                let id: Path = new.id.as_str().into();
                self.numbers.insert(Arc::clone(&id), new.exec);
                let life = Life {
                    id,
                    organization: new.organization.clone(),
                    workflow: new.workflow.clone(),
                    started_at: new.started_at,
                    status: Status::Running,
                    wake_at: None,
                    journal: Vec::new(),
                    open: BTreeMap::new(),
                    completed: BTreeSet::new(),
                    outcomes: Vec::new(),
                    lives: 0,
                    cancelled: false,
                    signals: BTreeSet::new(),
                    answered: BTreeMap::new(),
                    missed: BTreeSet::new(),
                };
                self.lives.insert(new.exec, life);
            }
            Write::Append(record) => {
                self.records += 1;
                let life = self
                    .lives
                    .get_mut(&record.exec)
                    .ok_or_else(|| "a record of an execution that was never started".to_owned())?;
                life.append(now, record, &self.events, news)
                    .map_err(|broken| format!("execution {} record {}: {broken}", life.id, record.seq))?;
            }
            Write::Finish(finish) => self.status(finish.exec, finish.status, None),
            Write::Reopen(exec) | Write::Unpark(exec) => self.status(*exec, Status::Running, None),
            Write::Park { exec, status, wake_at } => self.status(*exec, *status, *wake_at),
            Write::WakeParent { id, at } => {
                let exec = self.numbers.get(id.as_str()).copied();
                if let Some(life) = exec.and_then(|exec| self.lives.get_mut(&exec))
                    && life.status == Status::Waiting
                {
                    life.wake_at = Some(life.wake_at.map_or(*at, |was| was.min(*at)));
                }
            }
            Write::OpenWait(row) => {
                if let Some(life) = self.lives.get(&row.exec)
                    && let Some(Open::Wait { wait, until }) = life.open.get(row.path.as_str())
                {
                    news.push(News::Opened {
                        exec: row.exec,
                        tag: row.tag,
                        wait: wait.clone(),
                        until: *until,
                    });
                } else {
                    return Err(format!(
                        "a row for a wait at {} that the journal does not have open",
                        row.path
                    ));
                }
            }
            Write::CloseWait { state, .. } if *state == WaitState::Open => {
                return Err("a wait is closed as open".to_owned());
            }
            Write::Keep(delivery) => {
                let what = match (&delivery.key, delivery.exec, delivery.tag) {
                    (Some(key), ..) => format!("key {key}"),
                    (None, Some(exec), Some(tag)) => format!("wait {} {tag:x}", exec.0),
                    _ => return Err("a callback is kept that leads nowhere".to_owned()),
                };
                self.kept.insert(delivery.id, what);
                if !self.ever_kept.insert(delivery.id) {
                    return Err(format!("two kept callbacks have the number {}", delivery.id));
                }
            }
            Write::DropDelivery(id) => {
                self.kept.remove(id);
            }
            Write::ClaimKey {
                organization,
                key,
                exec,
                ..
            } => {
                self.keys.insert(format!("{organization}/{key}"), *exec);
            }
            Write::Emit(event) => self.events.push(event.organization.clone()),
            Write::Entry(EntryWrite::Add(entry)) => {
                let id = String::from_utf8_lossy(&entry.value).into_owned();
                if let Some(before) = self.entries.insert(entry.key.clone(), id) {
                    return Err(format!("the entry {} came twice, before with {before}", entry.key));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn status(&mut self, exec: ExecNo, status: Status, wake_at: Option<i64>) {
        if let Some(life) = self.lives.get_mut(&exec) {
            (life.status, life.wake_at) = (status, wake_at);
        }
    }
}

fn ends(record: &Record) -> bool {
    matches!(record.events.last(), Some(Event::Finished { .. }))
}

impl Life {
    fn append(
        &mut self,
        now: i64,
        record: &JournalRecord,
        events_of: &[String],
        news: &mut Vec<News>,
    ) -> Result<(), Broken> {
        if record.seq != self.journal.len() as u64 {
            return Err(format!(
                "the one before has the number {}",
                self.journal.len() as i64 - 1
            ));
        }
        if self.journal.last().is_some_and(|last| last.at > record.at) {
            return Err("time went back".into());
        }
        if record.at > now {
            return Err(format!("it is dated {} ms ahead", record.at - now));
        }
        let events = decode(&record.events).map_err(|error| error.to_string())?;
        let goes_on = matches!(events.first(), Some(Event::Resumed { .. }));
        if self.journal.last().is_some_and(ends) && !goes_on {
            return Err("it goes on after the end".into());
        }
        for event in &events {
            self.takes_own(event, events_of)
                .and_then(|()| self.event(record, event, news))
                .map_err(|broken| format!("{broken} ({event:?})"))?;
        }
        self.journal.push(Record { at: record.at, events });
        Ok(())
    }

    /// That an event which a wait takes is one of its organization.
    fn takes_own(&self, event: &Event, events_of: &[String]) -> Result<(), Broken> {
        if let Event::WaitCompleted {
            path,
            event: Some(number),
            ..
        } = event
            && let Some(Open::Wait {
                wait: Wait::Event { .. },
                ..
            }) = self.open.get(path)
        {
            let owner = usize::try_from(number - 1).ok().and_then(|at| events_of.get(at));
            if owner != Some(&self.organization) {
                return Err(format!(
                    "it takes event {number} of {owner:?} and is of {}",
                    self.organization
                ));
            }
        }
        Ok(())
    }

    fn ask(&mut self, path: &Path, open: Open) -> Result<(), Broken> {
        match self.open.insert(Arc::clone(path), open) {
            None => Ok(()),
            Some(_) => Err(format!("{path} is open twice")),
        }
    }

    fn end(&mut self, path: &Path) -> Result<Open, Broken> {
        self.open.remove(path).ok_or_else(|| format!("{path} is not open"))
    }

    fn event(&mut self, record: &JournalRecord, event: &Event, news: &mut Vec<News>) -> Result<(), Broken> {
        match event {
            Event::Resumed { .. } => {
                self.lives += 1;
                self.open.clear();
                self.completed.clear();
                self.cancelled = false;
            }
            Event::StepScheduled { path, .. } => {
                let step = Open::Step {
                    attempt: 1,
                    begun: false,
                    not_before: 0,
                };
                self.ask(path, step)?;
            }
            Event::AttemptBegun { path, attempt } => match self.open.get_mut(path) {
                Some(Open::Step {
                    attempt: open, begun, ..
                }) if open == attempt && !*begun => *begun = true,
                _ => return Err("an attempt begins that is not due".into()),
            },
            Event::AttemptFailed {
                path,
                attempt,
                error,
                next_at,
            } => {
                self.result(path, *attempt, Err(error.code.clone()), false, news)?;
                if let Some(Open::Step {
                    attempt,
                    begun,
                    not_before,
                }) = self.open.get_mut(path)
                {
                    *attempt += 1;
                    (*begun, *not_before) = (false, *next_at);
                }
            }
            Event::StepCompleted { path, attempt, output } => {
                self.result(path, *attempt, Ok(output.text().to_owned()), true, news)?;
                self.end(path)?;
                self.completed.insert(Arc::clone(path));
            }
            Event::StepFailed { path, attempt, error } => {
                self.result(path, *attempt, Err(error.code.clone()), false, news)?;
                self.end(path)?;
            }
            Event::TimerSet { path, at } => self.ask(path, Open::Timer { at: *at })?,
            Event::TimerFired { path } => match self.end(path)? {
                Open::Timer { at } if at <= record.at => {}
                other => return Err(format!("it fires at {} and is {other:?}", record.at)),
            },
            Event::ChildStarted {
                path, detached: false, ..
            } => self.ask(path, Open::Child)?,
            Event::WaitRegistered { path, wait, until, .. } => {
                let wait = wait.clone();
                self.ask(path, Open::Wait { wait, until: *until })?;
            }
            Event::WaitCompleted { path, .. } => {
                self.end(path)?;
                *self.answered.entry(Arc::clone(path)).or_default() += 1;
            }
            Event::WaitFailed { path, error } => {
                if let Open::Wait { until, .. } = self.end(path)? {
                    let times_out = error.code.ends_with(".timeout");
                    if times_out && until.is_none_or(|until| until > record.at) {
                        return Err("it times out before its time".into());
                    }
                    if times_out || error.code == "callback.heartbeat-timeout" {
                        self.missed.insert(Arc::clone(path));
                    } else {
                        *self.answered.entry(Arc::clone(path)).or_default() += 1;
                    }
                }
            }
            Event::Heartbeat { path, .. } if !self.open.contains_key(path) => {
                return Err("a heartbeat for nothing".into());
            }
            Event::StepCancelled { path }
            | Event::TimerCancelled { path }
            | Event::ChildCancelled { path, .. }
            | Event::ChildEnded { path, .. } => {
                self.end(path)?;
            }
            Event::WaitCancelled { path } => {
                self.end(path)?;
                self.missed.insert(Arc::clone(path));
            }
            Event::SignalReceived { id, .. } => {
                if let Some(id) = id
                    && !self.signals.insert(id.clone())
                {
                    return Err(format!("signal {id} counts twice"));
                }
            }
            Event::CancelRequested { .. } => self.cancelled = true,
            Event::Finished { outcome } => {
                if let Some((path, open)) = self.open.first_key_value() {
                    return Err(format!("it ends while {path} is open: {open:?}"));
                }
                self.outcomes.push(outcome.clone());
                news.push(News::Finished {
                    exec: record.exec,
                    outcome: outcome.clone(),
                });
            }
            Event::ScopeSkipped { .. } => return Err("a journal has what only condensed records have".into()),
            // Nothing is open because of them.
            _ => {}
        }
        Ok(())
    }

    fn result(
        &mut self,
        path: &Path,
        number: u32,
        result: Result<String, String>,
        completed: bool,
        news: &mut Vec<News>,
    ) -> Result<(), Broken> {
        match self.open.get(path) {
            Some(Open::Step { attempt, .. }) if *attempt == number => {}
            other => return Err(format!("attempt {number} ends and there is {other:?}")),
        }
        news.push(News::Result {
            id: Arc::clone(&self.id),
            path: Arc::clone(path),
            life: self.lives,
            attempt: number,
            result,
            completed,
        });
        Ok(())
    }
}
