//! How executions come to a driver and leave it: begun, recovered, ended, refused.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use bowline_core::{Beginnings, Execution, Identity, Outcome, Path, Payload, Program, Resumption, StepError};
use bowline_store::{Definition, ExecNo, NewExecution, OpenExecution, Status, StoreError, WaitState, Write};

use super::io::Io;
use super::{Begin, Driver, Recover, Resume};
use crate::engine::EngineError;
use crate::keys::Beginning;
use crate::observe::Committed;
use crate::recovery::Stuck;
use crate::running::{Awaiting, Marks, Parked, Running};
use crate::segments::{Condensed, read_journal};

/// Where an execution belongs.
pub(super) struct Place {
    pub(super) id: Path,
    pub(super) organization: Path,
    pub(super) parent: Option<Path>,
}

impl Driver {
    pub(super) fn begin(&mut self, begin: Begin) {
        let Begin {
            id,
            organization,
            definition,
            program,
            input,
            beginning,
            accepted,
            ended,
            permit,
        } = begin;
        if self.ids.contains_key(&id) {
            // The store would say the same, but by then the name would lead to the wrong one here.
            let error = StoreError::Duplicate { id: id.to_string() };
            // Whoever started it may have gone.
            let _ = accepted.send(Err(error.into()));
            return;
        }
        let of = Place {
            id,
            organization,
            parent: None,
        };
        let mut running = self.fresh(of, definition, &program, input, beginning);
        running.1.accepted = Some(accepted);
        running.1.ended.push(ended);
        running.1.permit = Some(permit);
        self.admit(running);
    }

    /// Begins an execution: its rows are gathered, and it runs up to its first waits.
    pub(super) fn fresh(
        &mut self,
        of: Place,
        definition: Arc<Definition>,
        program: &Arc<dyn Program>,
        input: Payload,
        beginning: Beginning,
    ) -> (ExecNo, Running) {
        let put_off = beginning.put_off;
        let Place {
            id,
            organization,
            parent,
        } = of;
        let exec = self.io.env.take_exec();
        let now = self.io.env.options.clock.now();
        let workflow: Path = definition.workflow.as_str().into();
        let identity = Identity {
            id: Arc::clone(&id),
            workflow: Arc::clone(&workflow),
            started_at: now,
            exec: exec.0,
            tokens: self.io.env.tokens.clone(),
        };
        let origin = beginning.origin.as_ref().map(|origin| origin.execution.to_string());
        let from = Beginnings {
            origin: beginning.origin,
            trace: beginning.trace,
        };
        let (execution, batch) = Execution::start_from(identity, program.as_ref(), input, from);
        let mut first = Vec::with_capacity(4);
        let defines = self.io.env.must_define(&definition.hash);
        if defines {
            first.push(Write::Define(Definition::clone(&definition)));
        }
        first.push(Write::Start(NewExecution {
            exec,
            id: id.to_string(),
            organization: organization.to_string(),
            workflow: definition.workflow.clone(),
            definition: definition.hash.clone(),
            parent: parent.as_deref().map(str::to_owned),
            origin,
            started_at: now,
        }));
        if let Some(key) = beginning.key {
            first.push(key.write(&organization, &definition.workflow, exec));
        }
        first.extend(beginning.entries.into_iter().map(Write::Entry));
        let of = Place {
            id,
            organization,
            parent,
        };
        let mut running = running(of, workflow, definition, execution, 0);
        running.marks.defines = defines;
        running.put_off = put_off.then_some(now);
        running.paused = self.io.env.is_paused(&running.organization, &running.workflow);
        self.io.record(exec, &mut running, batch, now, first);
        (exec, running)
    }

    pub(super) fn admit(&mut self, (exec, running): (ExecNo, Running)) {
        self.io.env.entered();
        self.io.env.owners.admit(exec, self.io.number);
        self.ids.insert(Arc::clone(&running.id), exec);
        self.executions.insert(exec, Box::new(running));
    }

    /// Takes up an execution that was claimed for it.
    pub(super) fn recover(&mut self, recover: Recover) {
        let Recover {
            open,
            records,
            definition,
            program,
            permit,
            ended,
            accepted,
            resume,
            forget,
            open_waits,
            claim,
            report,
        } = recover;
        let records = records.map_or_else(|| read_journal(&open.journal), Ok);
        let condensed = Condensed::of(&open);
        let OpenExecution { row, next_seq, .. } = open;
        // What was asked of its life before is not asked of this one.
        let mut first = vec![Write::Reopen(row.exec)];
        first.extend(open_waits.into_iter().map(|tag| Write::CloseWait {
            exec: row.exec,
            tag,
            state: WaitState::Cancelled,
        }));
        first.extend(forget.into_iter().map(Write::DropRequest));
        let onto = resume.as_ref().and_then(|resume| resume.onto.clone());
        if onto.is_some() {
            first.push(Write::Define(Definition::clone(&definition)));
            first.push(Write::Redefine {
                exec: row.exec,
                definition: definition.hash.clone(),
            });
        }
        let id: Path = row.id.as_str().into();
        let stuck = |error: String| Stuck {
            id: row.id.clone(),
            workflow: row.workflow.clone(),
            error,
        };
        let now = self.io.env.options.clock.now();
        let identity = Identity {
            id: Arc::clone(&id),
            workflow: row.workflow.as_str().into(),
            started_at: row.started_at,
            exec: row.exec.0,
            tokens: self.io.env.tokens.clone(),
        };
        let brought_back = match records {
            Err(error) => Err(stuck(format!("its journal cannot be read: {error}"))),
            Ok(records) => match resume {
                None => Execution::replay(identity, program.as_ref(), &records, now)
                    .map(|(execution, effects)| (execution, Ok(effects))),
                Some(Resume { reason, onto }) => {
                    let resumption = Resumption {
                        reason,
                        definition: onto.is_some().then(|| definition.hash.clone()),
                        keep: &|path| onto.as_ref().is_none_or(|onto| (onto.keep)(path)),
                    };
                    Execution::resume(identity, program.as_ref(), &records, now, resumption)
                        .map(|(execution, batch)| (execution, Err(batch)))
                }
            }
            .map_err(|error| stuck(error.to_string())),
        };
        let (execution, todo) = match brought_back {
            Ok(brought_back) => brought_back,
            Err(stuck) => {
                tracing::error!(id = %stuck.id, error = %stuck.error, "an execution cannot go on");
                self.io.env.stuck(&stuck, row.exec);
                // Nobody may be listening any more.
                let _ = report.send(Err(stuck));
                return;
            }
        };
        let of = Place {
            id: Arc::clone(&id),
            organization: self.io.env.organization(&row.organization),
            parent: row.parent.as_deref().map(Path::from),
        };
        let mut running = running(of, row.workflow.as_str().into(), definition, execution, next_seq);
        running.permit = permit;
        running.ended = self.io.env.watchers_of(row.exec);
        running.ended.extend(ended);
        running.condensed = Arc::new(condensed);
        running.touched = now;
        running.marks.resumed = todo.is_err();
        running.paused = (row.status == Status::Paused && todo.is_ok())
            || self.io.env.is_paused(&running.organization, &running.workflow);
        running.parked = match row.status {
            // Another life begins: its first record reopens the row.
            _ if todo.is_err() => None,
            Status::Waiting | Status::Paused => Some(Parked {
                status: row.status,
                wake_at: row.wake_at,
            }),
            _ => None,
        };
        match todo {
            Ok(effects) => {
                if let Some(accepted) = accepted {
                    // Whoever asked may have gone.
                    let _ = accepted.send(Ok(()));
                }
                self.io.perform(row.exec, &mut running, effects, true);
                // A journal can end with the end and its row not say so only if the store tore a commit.
                if running.execution.outcome().is_some() {
                    self.io.finish_again(row.exec, &mut running, now);
                }
            }
            Err(batch) => {
                // What the program took for the time, which a clock that was set back is not.
                let at = running.execution.now();
                running.accepted = accepted;
                self.io.record(row.exec, &mut running, batch, at, first);
            }
        }
        self.io.rest(row.exec, &mut running);
        claim.keep();
        self.admit((row.exec, running));
        // Nobody may be listening any more.
        let _ = report.send(Ok(id));
    }

    pub(super) fn durable(&mut self, exec: ExecNo) {
        self.io.pending -= 1;
        let Some(running) = self.executions.get_mut(&exec) else {
            return;
        };
        let Some(Awaiting {
            at,
            events,
            effects,
            begins,
            told,
            ..
        }) = running.awaiting.pop_front()
        else {
            return;
        };
        if let Some(observer) = &self.io.env.options.observer {
            observer.committed(Committed {
                id: &running.id,
                organization: &running.organization,
                workflow: &running.workflow,
                parent: running.parent.as_deref(),
                at,
                events: &events,
            });
        }
        if std::mem::take(&mut running.marks.defines) {
            self.io.env.defined(&running.definition.hash);
        }
        if let Some(accepted) = running.accepted.take() {
            // Whoever started it may have gone.
            let _ = accepted.send(Ok(()));
        }
        if running.marks.folds {
            let durable = running.seq - running.awaiting.iter().filter(|awaiting| awaiting.is_record).count() as u64;
            if running.condensed.is_time(durable) {
                running.marks.folds = false;
                self.io
                    .env
                    .spawn_condense(exec, Arc::clone(&running.condensed), durable);
            }
        }
        for (told, handled) in told {
            // Whoever asked may have gone.
            let _ = told.send(handled);
        }
        let goes_on = running.awaiting.is_empty() && std::mem::take(&mut running.goes_on);
        if !goes_on && self.io.leaves(exec, running) {
            self.io.leave_with(exec, running, &effects);
            return self.leave_memory(exec);
        }
        let paused = running.paused;
        running.paused = (paused || running.put_off.is_some()) && !begins;
        self.io.perform(exec, running, effects, false);
        running.paused = paused;
        // What kept it from resting may have been cancelled just now.
        self.io.rest(exec, running);
        if running.awaiting.is_empty()
            && let Some(outcome) = running.execution.outcome().cloned()
        {
            self.ended(exec, outcome);
        }
        if goes_on {
            self.go_on(exec);
        }
    }

    /// It only waits, and its row says so: what wakes it brings it back.
    pub(super) fn leave_memory(&mut self, exec: ExecNo) {
        let Some(running) = self.executions.remove(&exec) else {
            return;
        };
        self.ids.remove(&running.id);
        self.io.env.left();
        for told in running.ended {
            if !told.is_closed() {
                self.io.env.watch_parked(exec, told);
            }
        }
        self.io.env.owners.release(exec);
        if let Some(Parked {
            status: Status::Waiting,
            wake_at: Some(at),
        }) = running.parked
        {
            if running.put_off.is_some() {
                let organization = Arc::clone(&running.organization);
                self.io.env.put_off_one(organization, running.parent.is_some(), exec);
            } else {
                self.io.env.wakes.add(at, exec);
            }
        }
    }

    pub(super) fn ended(&mut self, exec: ExecNo, outcome: Outcome) {
        let Some(mut running) = self.executions.remove(&exec) else {
            return;
        };
        self.io.attempts -= running.attempts.len();
        running.abort_attempts();
        self.ids.remove(&running.id);
        self.io.env.left();
        self.io.env.owners.release(exec);
        if let Some(parent) = &running.parent {
            if self.ids.contains_key(parent) {
                self.child_ended(parent, &running.id, outcome.clone());
            } else {
                let (parent, child) = (Arc::clone(parent), Arc::clone(&running.id));
                self.io.env.spawn_child_ended(parent, child, outcome.clone());
            }
        }
        running.ended.extend(self.io.env.watchers_of(exec));
        for ended in running.ended.drain(..) {
            // Whoever started it may have gone.
            let _ = ended.send(Ok(outcome.clone()));
        }
    }

    /// The store does not let this execution go on; others are not concerned.
    pub(super) fn refused(&mut self, exec: ExecNo, error: Arc<StoreError>) {
        self.io.pending -= 1;
        let Some(mut running) = self.executions.remove(&exec) else {
            return;
        };
        if running.accepted.is_none() {
            tracing::error!(id = %running.id, %error, "the store refused a record");
        }
        self.io.attempts -= running.attempts.len();
        running.abort_attempts();
        self.ids.remove(&running.id);
        self.io.env.owners.release(exec);
        self.io.env.left();
        if let Some(parent) = &running.parent {
            let message = format!("the store refused execution {}", running.id);
            let outcome = Outcome::Failed(StepError::permanent("child.refused", message).caused_by(error.as_ref()));
            if self.ids.contains_key(parent) {
                self.child_ended(&Arc::clone(parent), &running.id, outcome);
            } else {
                let (parent, child) = (Arc::clone(parent), Arc::clone(&running.id));
                self.io.env.spawn_child_ended(parent, child, outcome);
            }
        }
        running.ended.extend(self.io.env.watchers_of(exec));
        let error = EngineError::of(error);
        if let Some(accepted) = running.accepted.take() {
            // Whoever started it may have gone.
            let _ = accepted.send(Err(error.clone()));
        }
        for ended in running.ended.drain(..) {
            let _ = ended.send(Err(error.clone()));
        }
    }

    pub(super) fn fail_all(&mut self, why: &Arc<str>) {
        for (_, mut running) in self.executions.drain() {
            running.abort_attempts();
            let error = EngineError::Stopped(Arc::clone(why));
            if let Some(accepted) = running.accepted.take() {
                // Whoever started it may have gone.
                let _ = accepted.send(Err(error.clone()));
            }
            for ended in running.ended.drain(..) {
                let _ = ended.send(Err(error.clone()));
            }
            self.io.env.left();
        }
        self.io.env.stop(why);
    }

    /// Leaves everything as the journal has it; the next start goes on from there.
    pub(super) fn leave(&mut self) {
        for running in self.executions.values_mut() {
            running.abort_attempts();
        }
        self.executions.clear();
        let Io { inbox, gathered, .. } = &mut self.io;
        inbox.submit(gathered);
    }
}

fn running(of: Place, workflow: Path, definition: Arc<Definition>, execution: Execution, seq: u64) -> Running {
    let Place {
        id,
        organization,
        parent,
    } = of;
    Running {
        id,
        organization,
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
        ended: Vec::new(),
        marks: Marks::default(),
        parked: None,
        put_off: None,
        touched: 0,
        resting: false,
        condensed: Arc::default(),
        paused: false,
        goes_on: false,
        begun: HashSet::new(),
        continued: Vec::new(),
        waits: HashMap::new(),
        permit: None,
    }
}
