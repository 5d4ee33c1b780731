//! One schedule at work: it reads its row, decides, and writes what it decided in the commit of what it does.
//!
//! The row is swapped for the one that was read, and each line of the ledger is new, so a decision that is repeated
//! after a crash, or made twice, is written once. What has to be done after a commit (cancelling those that give way) is
//! in the row until it is seen to have worked.

use std::pin::Pin;
use std::sync::Arc;

use bowline_engine::Clock;
use bowline_store::{EntryRange, EntryWrite};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::calendar::{self, Calendar, GivenUp};
use super::config::Overlap;
use super::decide::{self, Todo};
use super::fired::Fired;
use super::ledger::{self, By, Fate, Fire};
use super::row::{self, Last, Owner, Paused, Row, Waiting};
use crate::place::{Begin, Place, Trouble};

/// How many decisions in a row may find the row changed before somebody hears of it.
pub(super) const TRIES: usize = 20;

/// How many lines of the ledger count the times that passed while nobody had the schedule, before one stands for the rest.
const COUNTED: usize = 10;

/// Walking through a calendar takes a while, which others must not wait for.
pub(crate) async fn aside<T: Send + 'static>(walk: impl FnOnce() -> T + Send + 'static) -> Result<T, Trouble> {
    let done = tokio::task::spawn_blocking(walk).await;
    done.map_err(|error| Trouble::Later(error.to_string()))
}

/// What becomes of something that a schedule wants to start.
pub(crate) enum Choice {
    /// The trigger's `when` says no.
    Filtered,
    /// It starts with this input, and this key of its own.
    Start(Value, Option<String>),
}

/// A [`Choice`] to come. An error is one of the workflow's.
pub(crate) type Choosing = Pin<Box<dyn Future<Output = Result<Choice, String>> + Send>>;

/// What the trigger of a workflow makes of the values of a fire.
pub(crate) type Select = Arc<dyn Fn(Value) -> Choosing + Send + Sync>;

/// What is left to wait for after a turn.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// When there is something to do again. None: when somebody says so.
    pub(crate) next: Option<i64>,
    /// The executions whose ends are news.
    pub(crate) running: Vec<String>,
    /// The schedule is not there any more.
    pub(crate) gone: bool,
    /// Why there is nothing to wait for although there may be.
    pub(crate) problem: Option<String>,
}

pub(super) fn changed_all_the_time() -> Trouble {
    Trouble::Later("it is changed all the time".to_owned())
}

/// One schedule at work. Its methods change the row; one at a time may run.
#[derive(Clone)]
pub(crate) struct Keeper {
    pub(crate) place: Arc<dyn Place>,
    pub(crate) clock: Clock,
    pub(crate) organization: String,
    pub(crate) name: String,
    /// What became of due times since this process began.
    pub(crate) fired: Arc<Fired>,
}

impl Keeper {
    /// The row as it is stored.
    pub(crate) async fn load(&self) -> Result<Option<(Row, Bytes)>, Trouble> {
        let key = row::row_key(&self.organization, &self.name);
        match self.place.entry(row::SPACE, key).await? {
            None => Ok(None),
            Some(bytes) => Ok(Some((Row::read(&bytes).map_err(Trouble::Refused)?, bytes))),
        }
    }

    /// Writes a row in the place of the one that was read.
    pub(crate) async fn save(&self, row: &Row, was: Option<Bytes>, fires: &[Fire]) -> Result<(), Trouble> {
        self.place.record(self.writes(row, was, fires)).await?;
        for fire in fires {
            self.fired.count(fire);
        }
        Ok(())
    }

    /// Nobody has it any more: it starts nothing, what waits is dropped, and the ledger stays.
    pub(crate) async fn leave(&self, mut row: Row, was: Bytes, why: &str) -> Result<(), Trouble> {
        row.gone = true;
        let now = self.clock.now();
        let waiting = std::mem::take(&mut row.buffer).into_iter();
        let dropped = waiting.map(|mut waiting| {
            waiting.stored = true;
            Fire::of(&waiting, Fate::Dropped, now).because(why)
        });
        let dropped: Vec<Fire> = dropped.collect();
        self.save(&row, Some(was), &dropped).await
    }

    /// Somebody has it again: what was due since it was left is dropped, as nobody started it. The row as it is then.
    pub(crate) async fn comes_back(&self, mut row: Row, mut bytes: Bytes) -> Result<(Row, Bytes), Trouble> {
        let calendar = Calendar::read(&row.config).map_err(|all| Trouble::Refused(all.join("; ")))?;
        let calendar = Arc::new(calendar);
        let now = self.clock.now();
        for round in 1.. {
            let (left, calendar) = (row.clone(), Arc::clone(&calendar));
            let one_line = round > COUNTED;
            let Todo::Record { row: next, fires } =
                aside(move || decide::away(&left, &calendar, now, one_line)).await?
            else {
                break;
            };
            self.save(&next, Some(bytes), &fires).await?;
            (row, bytes) = self.load().await?.ok_or(Trouble::Changed)?;
        }
        Ok((row, bytes))
    }

    /// Does everything that is due.
    pub(crate) async fn turn(&self, select: Option<&Select>) -> Result<Turn, Trouble> {
        let mut tries = 0;
        let mut read: Option<(super::ScheduleConfig, Arc<Calendar>)> = None;
        loop {
            let Some((row, bytes)) = self.load().await? else {
                return Ok(Turn {
                    gone: true,
                    ..Turn::default()
                });
            };
            if read.as_ref().is_none_or(|(config, _)| *config != row.config) {
                let calendar = Calendar::read(&row.config).map_err(|all| Trouble::Refused(all.join("; ")))?;
                read = Some((row.config.clone(), Arc::new(calendar)));
            }
            let Some((_, calendar)) = &read else { continue };
            let done = if let Some(next) = self.followed(&row).await? {
                self.save(&next, Some(bytes), &[]).await
            } else {
                let (calendar, seed, now) = (Arc::clone(calendar), self.seed(), self.clock.now());
                let decided = aside(move || {
                    let todo = decide::decide(&row, &calendar, &seed, now);
                    (row, todo)
                });
                let (row, todo) = decided.await?;
                let (next, problem) = match todo {
                    Todo::Rest(next) => (next, None),
                    Todo::GivenUp => (None, Some(GivenUp.to_string())),
                    todo => match self.perform(todo, &row, bytes, select).await {
                        Err(Trouble::Changed) if tries < TRIES => {
                            tries += 1;
                            continue;
                        }
                        Err(Trouble::Changed) => return Err(changed_all_the_time()),
                        other => {
                            other?;
                            continue;
                        }
                    },
                };
                self.cancel_leaving(&row).await?;
                self.forget_old(&row).await?;
                let running = row.running.into_iter().map(|running| running.execution).collect();
                return Ok(Turn {
                    next,
                    running,
                    gone: false,
                    problem,
                });
            };
            match done {
                Err(Trouble::Changed) if tries < TRIES => tries += 1,
                Err(Trouble::Changed) => return Err(changed_all_the_time()),
                other => other?,
            }
        }
    }

    /// Makes it due now, whatever the clock says. Where the ledger knows an execution of this id, that one is the answer.
    pub(crate) async fn run_now(
        &self,
        overlap: Option<Overlap>,
        id: Option<&str>,
        select: Option<&Select>,
    ) -> Result<Fire, Trouble> {
        if let Some(known) = self.line_of(id).await? {
            return Ok(known);
        }
        for _ in 0..TRIES {
            let (row, bytes) = self.existing().await?;
            let now = self.clock.now();
            let mut due = now;
            while self.line(due).await?.is_some() {
                due += 1;
            }
            let waiting = Waiting {
                due,
                by: By::Hand,
                was: None,
                overlap,
                id: id.map(str::to_owned),
                stored: false,
            };
            match self
                .perform(decide::fire(row.clone(), waiting, now), &row, bytes, select)
                .await
            {
                Err(Trouble::Changed) => {}
                other => return other,
            }
        }
        Err(Trouble::Later("it is changed all the time".to_owned()))
    }

    /// What the ledger says about a time, by a line of its own.
    pub(super) async fn line(&self, due: i64) -> Result<Option<Fire>, Trouble> {
        let key = ledger::fire_key(&self.organization, &self.name, due);
        let Some(bytes) = self.place.entry(ledger::SPACE, key.clone()).await? else {
            return Ok(None);
        };
        Fire::read(&key, &bytes).map(Some).map_err(Trouble::Refused)
    }

    /// The line about an execution, if it is one of the last thousand.
    async fn line_of(&self, id: Option<&str>) -> Result<Option<Fire>, Trouble> {
        let Some(id) = id else { return Ok(None) };
        let range = EntryRange {
            space: ledger::SPACE.into(),
            prefix: ledger::fires_of(&self.organization, &self.name),
            reverse: true,
            limit: 1000,
            ..EntryRange::default()
        };
        for (key, value) in self.place.entries(range).await? {
            let fire = Fire::read(&key, &value).map_err(Trouble::Refused)?;
            if fire.fate == Fate::Started && fire.execution.as_deref() == Some(id) {
                return Ok(Some(fire));
            }
        }
        Ok(None)
    }

    pub(crate) async fn existing(&self) -> Result<(Row, Bytes), Trouble> {
        match self.load().await? {
            Some((row, bytes)) if !row.gone => Ok((row, bytes)),
            _ => Err(Trouble::Refused(format!(
                "there is no schedule `{}` any more",
                self.name
            ))),
        }
    }

    fn seed(&self) -> String {
        row::row_key(&self.organization, &self.name)
    }

    fn writes(&self, row: &Row, was: Option<Bytes>, fires: &[Fire]) -> Vec<EntryWrite> {
        let lines = fires.iter().map(|fire| fire.write(&self.organization, &self.name));
        std::iter::once(row.write(&self.organization, &self.name, was))
            .chain(lines)
            .collect()
    }

    /// Carries out a decision; gives the line of the ledger that it is about, which is the last one.
    pub(super) async fn perform(
        &self,
        todo: Todo,
        was: &Row,
        bytes: Bytes,
        select: Option<&Select>,
    ) -> Result<Fire, Trouble> {
        let (row, fires) = match todo {
            Todo::Record { row, fires } => (row, fires),
            Todo::Start { row, fires, waiting } => {
                return self.start(*row, fires, waiting, was, bytes, select).await;
            }
            // Those who ask have something to do.
            Todo::Rest(_) | Todo::GivenUp => return Err(Trouble::Changed),
        };
        match self.save(&row, Some(bytes.clone()), &fires).await {
            Err(Trouble::Changed) => self.pass_by(was, &bytes, &fires).await?,
            other => other?,
        }
        for fire in &fires {
            tracing::info!(
                organization = self.organization, schedule = self.name, due = %calendar::text(fire.due),
                fate = fire.fate.name(), count = fire.count, "schedule",
            );
        }
        // What is due has a line.
        fires.into_iter().last().ok_or(Trouble::Changed)
    }

    async fn start(
        &self,
        mut row: Row,
        mut fires: Vec<Fire>,
        waiting: Waiting,
        was: &Row,
        bytes: Bytes,
        select: Option<&Select>,
    ) -> Result<Fire, Trouble> {
        if select.is_none() && row.owner != Owner::Api {
            // Only the trigger knows what to start with, and it does not run yet, or cannot.
            return Err(Trouble::Later("the trigger of the workflow does not run".to_owned()));
        }
        let now = self.clock.now();
        let id = waiting.id.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let values = self.values(&row, &waiting, now);
        let chosen = match (select, &row.input) {
            (Some(select), _) => select(values).await,
            (None, Some(input)) => Ok(Choice::Start(input.clone(), None)),
            (None, None) => Ok(Choice::Start(values, None)),
        };
        let (input, key) = match chosen {
            Ok(Choice::Start(input, key)) => (input, key),
            Ok(Choice::Filtered) => {
                fires.push(Fire::of(&waiting, Fate::Filtered, now).because("`when` is false"));
                return self.not_started(row, fires, &waiting, was, bytes).await;
            }
            Err(why) => return self.failed(row, fires, &waiting, was, bytes, why).await,
        };
        let unstarted = (row.clone(), fires.clone());
        row.runs(waiting.due, &id);
        fires.push(Fire::of(&waiting, Fate::Started, now).execution(&id));
        let begin = Begin {
            workflow: row.workflow.clone(),
            id,
            input,
            key,
            with: self.writes(&row, Some(bytes.clone()), &fires),
        };
        match self.place.start(&self.organization, begin).await {
            Ok(started) if started.created => {
                for fire in &fires {
                    self.fired.count(fire);
                }
            }
            Ok(known) => {
                // Its key led to another execution: nothing was written yet.
                let (mut row, mut fires) = unstarted;
                row.runs(waiting.due, &known.id);
                let line = Fire::of(&waiting, Fate::Started, now).execution(&known.id);
                fires.push(line.because("`key` names an execution that was there"));
                self.save(&row, Some(bytes), &fires).await?;
                return fires.pop().ok_or(Trouble::Changed);
            }
            Err(Trouble::Refused(why)) => {
                let (row, fires) = unstarted;
                return self.failed(row, fires, &waiting, was, bytes, why).await;
            }
            Err(Trouble::Changed) => {
                self.pass_by(was, &bytes, &fires).await?;
                return Err(Trouble::Changed);
            }
            Err(later) => return Err(later),
        }
        tracing::info!(
            organization = self.organization, schedule = self.name, due = %calendar::text(waiting.due),
            fate = "started", late = now.saturating_sub(waiting.due), "schedule",
        );
        self.cancel_leaving(&row).await?;
        fires.pop().ok_or(Trouble::Changed)
    }

    async fn failed(
        &self,
        mut row: Row,
        mut fires: Vec<Fire>,
        waiting: &Waiting,
        was: &Row,
        bytes: Bytes,
        why: String,
    ) -> Result<Fire, Trouble> {
        let now = self.clock.now();
        tracing::warn!(
            organization = self.organization, schedule = self.name, due = %calendar::text(waiting.due), why,
            "a schedule could not start its workflow",
        );
        if row.config.pause_on_failure && row.paused.is_none() {
            row.paused = Some(Paused {
                at: now,
                note: "the workflow could not be started".to_owned(),
            });
        }
        fires.push(Fire::of(waiting, Fate::Failed, now).because(why));
        self.not_started(row, fires, waiting, was, bytes).await
    }

    async fn not_started(
        &self,
        mut row: Row,
        mut fires: Vec<Fire>,
        waiting: &Waiting,
        was: &Row,
        bytes: Bytes,
    ) -> Result<Fire, Trouble> {
        if waiting.by == By::Clock {
            row.started = row.started.saturating_sub(1);
        }
        // Nobody gives way to what does not start.
        row.running.clone_from(&was.running);
        match self.save(&row, Some(bytes.clone()), &fires).await {
            Err(Trouble::Changed) => self.pass_by(was, &bytes, &fires).await?,
            other => other?,
        }
        fires.pop().ok_or(Trouble::Changed)
    }

    /// A decision was refused. Where that is because a time has its line already (somebody made it due by hand, in that
    /// very millisecond), that is its fate, and the schedule goes past it. Otherwise the row was changed.
    async fn pass_by(&self, was: &Row, bytes: &Bytes, fires: &[Fire]) -> Result<(), Trouble> {
        let Some(last) = fires.last().filter(|last| last.by == By::Clock && !last.stored) else {
            return Err(Trouble::Changed);
        };
        if fires.len() > 1 || self.line(last.due).await?.is_none() {
            return Err(Trouble::Changed);
        }
        let mut row = was.clone();
        row.through = row.through.max(last.due);
        self.save(&row, Some(bytes.clone()), &[]).await
    }

    /// The row without what has ended; none where nothing has.
    async fn followed(&self, row: &Row) -> Result<Option<Row>, Trouble> {
        let mut next = row.clone();
        for running in &row.running {
            let Some(ended) = self.place.ended(&self.organization, &running.execution).await? else {
                continue;
            };
            next.running.retain(|other| other.execution != running.execution);
            let now = self.clock.now();
            next.last = Some(Last {
                due: running.due,
                execution: running.execution.clone(),
                status: ended.status,
                at: now,
            });
            if ended.failed && row.config.pause_on_failure && next.paused.is_none() {
                next.paused = Some(Paused {
                    at: now,
                    note: format!("execution {} failed", running.execution),
                });
            }
        }
        Ok((next.running.len() < row.running.len()).then_some(next))
    }

    async fn cancel_leaving(&self, row: &Row) -> Result<(), Trouble> {
        for running in row.running.iter().filter(|running| running.leaves) {
            let reason = format!("schedule {} is due again", self.name);
            self.place
                .cancel(&self.organization, &running.execution, &reason)
                .await?;
        }
        Ok(())
    }

    /// Deletes lines of the ledger that were written long enough ago, a thousand at a time. Those of a backfill are young,
    /// though their times are old; what stands behind them goes when they do.
    async fn forget_old(&self, row: &Row) -> Result<(), Trouble> {
        let keep = i64::try_from(row.config.keep.duration().as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().saturating_sub(keep);
        let mut range = EntryRange {
            space: ledger::SPACE.into(),
            prefix: ledger::fires_of(&self.organization, &self.name),
            limit: 1,
            ..EntryRange::default()
        };
        let is_old = |(key, value): &(String, Bytes)| {
            Fire::read(key, value)
                .is_ok_and(|fire| fire.due < before && fire.at < before && fire.fate != Fate::Buffered)
        };
        if !self.place.entries(range.clone()).await?.first().is_some_and(is_old) {
            return Ok(());
        }
        range.limit = 1000;
        let lines = self.place.entries(range).await?;
        let old = lines.into_iter().take_while(is_old).map(|(key, _)| EntryWrite::Remove {
            space: ledger::SPACE.into(),
            key,
        });
        self.place.record(old.collect()).await
    }

    /// What templates read as `trigger`.
    fn values(&self, row: &Row, waiting: &Waiting, now: i64) -> Value {
        let calendar = Calendar::read(&row.config).ok();
        let local = Timestamp::from_millisecond(waiting.due).ok().zip(calendar);
        let local = local.map(|(at, calendar)| {
            at.to_zoned(calendar.zone().clone())
                .strftime("%Y-%m-%dT%H:%M:%S%:z")
                .to_string()
        });
        json!({
            "type": super::KIND,
            "schedule": self.name,
            "scheduledAt": calendar::text(waiting.due),
            "localTime": local,
            "startedAt": calendar::text(now),
            "lateBy": now.saturating_sub(waiting.due).max(0),
            "by": waiting.by,
            "number": row.started,
            "previous": row.last.as_ref().map(|last| json!({
                "execution": last.execution,
                "scheduledAt": calendar::text(last.due),
                "status": last.status,
                "endedAt": calendar::text(last.at),
            })),
        })
    }
}
