//! Following executions: until they end, or wait for what this process does not bring about.

use std::collections::HashSet;
use std::time::Duration;

use bowline_core::Outcome;
use bowline_engine::{EngineError, Handle};
use bowline_store::{ExecNo, ExecutionFilter, Status, Store};

use super::{Followed, GRACE, Session};
use crate::exit::{Exit, Failure, Result};
use crate::terminal::model::View;
use crate::terminal::progress::{Mode, Rest};
use crate::terminal::{self, json, text, time, tree};
use crate::wiring::{answers, store, why};

/// How often it is looked whether anything is still being done.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// How often it is looked whether the followed execution waits for an answer.
const TELL: Duration = Duration::from_millis(250);

/// So many executions are counted at the end.
const MANY: usize = 1000;

impl Session {
    /// Follows an execution to its end, tells how it ended, and leaves the data folder.
    pub(crate) async fn conclude(mut self, handle: Handle) -> Result {
        let id = handle.id().to_owned();
        let followed = self.follow(handle).await?;
        let exit = match &followed {
            Followed::Ended(outcome) => self.tell(&id, outcome)?,
            Followed::Interrupted | Followed::Waits => Exit::Interrupted,
        };
        self.close(&id, &followed).await?;
        Ok(exit)
    }

    /// Waits for the end of an execution, or for a signal. Tells how to answer what it waits for.
    pub(crate) async fn follow(&mut self, handle: Handle) -> Result<Followed> {
        let id = handle.id().to_owned();
        let outcome = handle.outcome();
        tokio::pin!(outcome);
        let mut told = HashSet::new();
        let mut held = None;
        loop {
            tokio::select! {
                ended = &mut outcome => return Ok(Followed::Ended(ended?)),
                () = self.signals.first() => break,
                () = tokio::time::sleep(TELL) => {
                    self.refuse_stuck(&id)?;
                    self.tell_waits(&id, &mut told)?;
                    self.tell_pause(&id, &mut held)?;
                }
            }
        }
        self.stop().await;
        // It may have ended while calls under way were waited for.
        match outcome.await {
            Ok(ended) => Ok(Followed::Ended(ended)),
            Err(EngineError::Stopped(_)) => Ok(self.interrupted(&id)),
            Err(error) => Err(error.into()),
        }
    }

    /// Lets an execution go on until it has ended, or waits for what this process does not bring about.
    pub(crate) async fn see_through(&mut self, id: &str) -> Result<Followed> {
        let outcome = self.engine.watch(id).await?.outcome();
        tokio::pin!(outcome);
        loop {
            tokio::select! {
                biased;
                ended = &mut outcome => return Ok(Followed::Ended(ended?)),
                () = self.signals.first() => {}
                idle = self.engine.idle() => {
                    idle?;
                    self.refuse_stuck(id)?;
                    // What is due is about to be brought back, and one that has ended is about to be told.
                    let row = self.store.execution(id)?;
                    if row.is_none_or(|row| !row.status.is_finished() && row.wake_at.is_none_or(|at| at > time::now())) {
                        return Ok(Followed::Waits);
                    }
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
            }
            self.stop().await;
            return match outcome.await {
                Ok(ended) => Ok(Followed::Ended(ended)),
                Err(EngineError::Stopped(_)) => Ok(self.interrupted(id)),
                Err(error) => Err(error.into()),
            };
        }
    }

    /// Says where an execution was left that this command touched, and leaves the data folder.
    pub(crate) async fn leave(mut self, id: &str) -> Result {
        let followed = self.see_through(id).await?;
        self.progress.catch_up();
        if let Followed::Ended(outcome) = &followed
            && self.mode != Mode::Json
        {
            let told = match outcome {
                Outcome::Succeeded(_) => format!("execution {id} has succeeded"),
                Outcome::Failed(error) | Outcome::Cancelled(error) => {
                    format!("execution {id} has ended: {} [{}]", text::message(error), error.code)
                }
            };
            terminal::note(&told);
        }
        let interrupted = matches!(followed, Followed::Interrupted);
        let (store, folder) = (self.store.clone(), self.folder.clone());
        self.engine.stop(GRACE).await;
        if matches!(followed, Followed::Waits) {
            let row = store::find(&store, id)?;
            terminal::note(&why::explain(&store, &folder, &row)?.line);
        }
        Ok(if interrupted { Exit::Interrupted } else { Exit::Success })
    }

    /// Waits for the rest, leaves the data folder, and writes the last line of JSON output.
    pub(crate) async fn close(mut self, id: &str, followed: &Followed) -> Result<()> {
        let interrupted = match followed {
            Followed::Ended(_) => self.settle("at the next run with this data folder").await?,
            Followed::Interrupted | Followed::Waits => false,
        };
        if interrupted {
            self.stop().await;
        } else {
            self.engine.stop(GRACE).await;
        }
        self.progress.catch_up();
        if self.mode == Mode::Json {
            let outcome = match followed {
                Followed::Ended(outcome) => Some(outcome),
                Followed::Interrupted | Followed::Waits => None,
            };
            terminal::print_json_line(&json::result(id, outcome))?;
        }
        Ok(())
    }

    /// Waits until nothing is being worked on. What only waits for a time that is seconds away or more is left
    /// alone; `then` says when it goes on. True if a signal came first.
    pub(crate) async fn settle(&mut self, then: &str) -> Result<bool> {
        loop {
            let in_flight = self.engine.in_flight();
            let is_at_rest = match self.progress.rest(in_flight) {
                // With a clock that jumps there is nothing to wait for.
                Rest::Waiting => !self.is_virtual || in_flight == 0,
                Rest::Idle => true,
                Rest::Busy => in_flight == 0,
            };
            if is_at_rest {
                self.tell_rest(then)?;
                return Ok(self.signals.came());
            }
            tokio::select! {
                idle = self.engine.idle() => idle?,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.signals.first() => return Ok(true),
            }
        }
    }

    /// Says how many executions are left waiting, where this process has taken them up or would have.
    fn tell_rest(&self, then: &str) -> Result<()> {
        let filter = ExecutionFilter {
            unfinished: true,
            limit: MANY,
            ..ExecutionFilter::default()
        };
        let stuck = self.engine.stuck();
        let mut rows = self.store.executions(&filter)?;
        let has_more = rows.len() == MANY;
        rows.retain(|row| row.status != Status::Paused && stuck.iter().all(|stuck| stuck.id != row.id));
        if !self.takes_up || rows.is_empty() {
            return Ok(());
        }
        // What a row does not say, because it is still in memory, the progress knows.
        let in_rows = self
            .store
            .due((i64::MIN, ExecNo(i64::MIN)), 1)?
            .first()
            .map(|due| due.0);
        let until = in_rows.into_iter().chain(self.progress.next_due()).min();
        let until = until.map(|until| time::due(until, time::now()));
        terminal::note(&match (rows.len(), until) {
            (1, Some(until)) => format!("1 execution waits until {until} and goes on {then}"),
            (1, None) => "1 execution waits to be answered: see `bowline executions list --status waiting`".to_owned(),
            (count, until) => {
                let count = if has_more {
                    format!("at least {count}")
                } else {
                    count.to_string()
                };
                let first = until.map_or_else(String::new, |until| format!(", the first until {until}"));
                format!("{count} executions wait{first}: see `bowline executions list --status waiting`")
            }
        });
        Ok(())
    }

    /// Says how to answer what an execution, or one that it has started, waits for; each once.
    fn tell_waits(&self, id: &str, told: &mut HashSet<(ExecNo, u64)>) -> Result<()> {
        if matches!(self.mode, Mode::Json | Mode::Quiet) {
            return Ok(());
        }
        for view in self.progress.waiting_on(id) {
            let Some(row) = self.store.execution(&view)? else {
                continue;
            };
            for wait in answers::open(&self.store, Some(row.exec), None)? {
                if told.insert((wait.exec, wait.tag))
                    && let Some(command) = answers::command(&self.store, &self.folder, &row, &wait)?
                {
                    terminal::note(&format!("  {} is answered by: {command}", text::one_line(&wait.path)));
                }
            }
        }
        Ok(())
    }

    /// Says that an execution is paused, once each time.
    fn tell_pause(&self, id: &str, held: &mut Option<&'static str>) -> Result<()> {
        let Some(row) = self.store.execution(id)? else {
            return Ok(());
        };
        let paused =
            row.status == Status::Paused || self.store.paused_workflows(&row.organization)?.contains(&row.workflow);
        if !paused {
            *held = None;
        } else if held.is_none() {
            let why = why::explain(&self.store, &self.folder, &row)?;
            *held = why.held;
            if !matches!(self.mode, Mode::Json | Mode::Quiet) {
                terminal::note(&why.line);
            }
        }
        Ok(())
    }

    /// Refuses to wait for what does not go on.
    fn refuse_stuck(&self, id: &str) -> Result<()> {
        match self.engine.stuck().into_iter().find(|stuck| stuck.id == id) {
            Some(stuck) => Err(EngineError::Stuck(stuck).into()),
            None => Ok(()),
        }
    }

    /// Shows how an execution ended and gives the exit code.
    pub(crate) fn tell(&self, id: &str, outcome: &Outcome) -> Result {
        self.progress.catch_up();
        if self.mode != Mode::Json {
            if let Outcome::Succeeded(output) = outcome {
                let value: serde_json::Value = output.parse().map_err(|error| Failure::new(Exit::Bug, error))?;
                terminal::print_json(&value)?;
            } else {
                let view = self.progress.main().filter(|view| view.id == id);
                tell_failure(view.as_ref(), outcome);
            }
        }
        Ok(match outcome {
            Outcome::Succeeded(_) => Exit::Success,
            Outcome::Failed(_) => Exit::Failed,
            Outcome::Cancelled(_) => Exit::Cancelled,
        })
    }

    fn interrupted(&self, id: &str) -> Followed {
        self.progress.catch_up();
        terminal::note(&format!(
            "interrupted: execution {id} goes on at the next run with this data folder"
        ));
        Followed::Interrupted
    }
}

fn tell_failure(view: Option<&View>, outcome: &Outcome) {
    let told = view.and_then(tree::error_line);
    let (word, line) = match outcome {
        Outcome::Succeeded(_) => return,
        Outcome::Failed(error) => ("failed", told.unwrap_or_else(|| error.to_string())),
        Outcome::Cancelled(error) => ("cancelled", text::reason(error)),
    };
    terminal::note(&format!("{}: {line}", terminal::palette::err_bad(word)));
}
