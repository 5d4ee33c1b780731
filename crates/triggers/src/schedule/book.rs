//! All schedules: those that triggers of workflows are, and those that were made through the API. What people do with
//! them is here; what they do by themselves is in [`keeper`](super::keeper).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_engine::Clock;
use bowline_host::{HostError, Page};
use bowline_store::{EntryRange, EntryWrite, key_parts};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::calendar::{self, Calendar};
use super::config::{Overlap, ScheduleConfig};
use super::fired::FiredCount;
use super::keeper::{Keeper, aside};
use super::ledger::{self, Fate, Fire, FireView};
use super::live::{Live, REST, held};
use super::row::{self, Owner, Paused, Row};
use super::told::{invalid, is_trigger, not_found, told, too_much};
use super::view::{ScheduleSpec, ScheduleView};
use crate::place::{Place, Trouble};

/// How many steps through calendars a list has for all next times in it.
const LIST: usize = 2_000_000;

/// The longest rest.
const LONG_REST: Duration = Duration::from_secs(60);

/// Schedules at work. Clones are the same ones.
#[derive(Clone)]
pub struct Schedules(Arc<Inner>);

struct Inner {
    place: Arc<dyn Place>,
    clock: Clock,
    stop: CancellationToken,
    /// By organization and name.
    live: Mutex<BTreeMap<(String, String), Arc<Live>>>,
    /// Those of schedules that no trigger runs.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Schedules {
    pub(crate) fn new(place: Arc<dyn Place>, clock: Clock, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            place,
            clock,
            stop,
            live: Mutex::default(),
            tasks: Mutex::default(),
        }))
    }

    /// The schedules of an organization, by name.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn list(&self, organization: &str) -> Result<Vec<ScheduleView>, HostError> {
        let rows = self.rows(Some(organization)).await.map_err(told)?;
        let rows = rows.into_iter().map(|((_, name), row)| (name, row)).collect();
        self.views(organization, rows).await
    }

    /// Rows as people see them. What is next takes a while to find.
    async fn views(&self, organization: &str, rows: Vec<(String, Row)>) -> Result<Vec<ScheduleView>, HostError> {
        let now = self.0.clock.now();
        let with_problem = rows.into_iter().map(|(name, row)| {
            let problem = self.problem(organization, &name);
            (name, row, problem)
        });
        let rows: Vec<_> = with_problem.collect();
        let views = move || {
            let mut left = LIST;
            let view = |(name, row, problem): (String, Row, _)| ScheduleView::of(&name, row, now, problem, &mut left);
            rows.into_iter().map(view).collect()
        };
        aside(views).await.map_err(told)
    }

    /// One schedule.
    ///
    /// # Errors
    /// `schedule.not-found`.
    pub async fn get(&self, organization: &str, name: &str) -> Result<ScheduleView, HostError> {
        let (row, _) = self.stored(organization, name).await?;
        let views = self.views(organization, vec![(name.to_owned(), row)]).await?;
        views.into_iter().next().ok_or_else(|| not_found(name))
    }

    /// Makes a schedule, or changes one that was made so. What is due by now keeps to what it was before. True where it
    /// is new.
    ///
    /// # Errors
    /// `schedule.invalid` with everything that is wrong; `schedule.is-trigger` where a workflow has it as a trigger.
    pub async fn put(&self, organization: &str, name: &str, spec: ScheduleSpec) -> Result<bool, HostError> {
        if name.is_empty() || name.len() > 200 || name.chars().any(|c| c.is_control() || c == '/') {
            return Err(invalid(vec![
                "the name is empty, longer than 200 bytes, or has a slash or control characters".to_owned(),
            ]));
        }
        let config = spec.config.clone();
        let checked = aside(move || Calendar::check(&config)).await.map_err(told)?;
        checked.map_err(|all| invalid(all.into_iter().map(|mistake| mistake.message).collect()))?;
        if !self.0.place.startable(organization, &spec.workflow).await {
            return Err(invalid(vec![format!(
                "no workflow named `{}` is deployed",
                spec.workflow
            )]));
        }
        let live = self.live(organization, name);
        let is_new = {
            let _one = live.one.lock().await;
            if live.stop.is_cancelled() {
                // It was deleted in this very moment.
                return Err(told(Trouble::Changed));
            }
            let now = self.0.clock.now();
            match live.keeper.load().await.map_err(told)? {
                Some((row, _)) if row.owner != Owner::Api && !row.gone => return Err(is_trigger(&row)),
                Some((row, _)) if row.owner == Owner::Api && !row.gone => {
                    settle(&live).await.map_err(told)?;
                    let change = |row: &mut Row| {
                        if row.config != spec.config {
                            row.through = row.through.max(now);
                        }
                        row.workflow = spec.workflow;
                        row.config = spec.config;
                        row.input = spec.input;
                        row.description = spec.description;
                    };
                    change_row(&live, change).await.map_err(told)?;
                    false
                }
                other => {
                    let mut row = Row::new(spec.workflow, Owner::Api, spec.config, now);
                    row.input = spec.input;
                    row.description = spec.description;
                    live.keeper
                        .save(&row, other.map(|(_, bytes)| bytes), &[])
                        .await
                        .map_err(told)?;
                    true
                }
            }
        };
        if is_new {
            self.run_own(live);
        } else {
            live.poke.notify_one();
        }
        Ok(is_new)
    }

    /// Deletes a schedule that was made through the API: it starts nothing any more, what waits is dropped, and its ledger
    /// stays, as that of a trigger that is gone does. Where it is gone already, the ledger goes too. Executions stay.
    ///
    /// # Errors
    /// `schedule.not-found`, `schedule.is-trigger`.
    pub async fn delete(&self, organization: &str, name: &str) -> Result<(), HostError> {
        let (row, _) = self.stored(organization, name).await?;
        if row.owner != Owner::Api && !row.gone {
            return Err(is_trigger(&row));
        }
        let live = self.live(organization, name);
        let _one = live.one.lock().await;
        let (row, bytes) = self.stored(organization, name).await?;
        if !row.gone {
            let deleted = live.keeper.leave(row, bytes, "the schedule was deleted").await;
            deleted.map_err(told)?;
            live.stop.cancel();
            held(&self.0.live).remove(&(organization.to_owned(), name.to_owned()));
            return Ok(());
        }
        // The row first: a ledger without one is nobody's, and a schedule with half a ledger would be somebody's.
        let row = EntryWrite::Remove {
            space: row::SPACE.into(),
            key: row::row_key(organization, name),
        };
        self.0.place.record(vec![row]).await.map_err(told)?;
        live.stop.cancel();
        let forgotten = self.forget_ledger(organization, name).await;
        // Whoever makes one of this name from now on begins anew.
        held(&self.0.live).remove(&(organization.to_owned(), name.to_owned()));
        forgotten.map_err(told)
    }

    async fn forget_ledger(&self, organization: &str, name: &str) -> Result<(), Trouble> {
        loop {
            let range = EntryRange {
                space: ledger::SPACE.into(),
                prefix: ledger::fires_of(organization, name),
                limit: 1000,
                ..EntryRange::default()
            };
            let fires = self.0.place.entries(range).await?;
            if fires.is_empty() {
                return Ok(());
            }
            let fires = fires.into_iter().map(|(key, _)| EntryWrite::Remove {
                space: ledger::SPACE.into(),
                key,
            });
            self.0.place.record(fires.collect()).await?;
        }
    }

    /// Lets a schedule start nothing until it is told otherwise. What it has started goes on. Again: changes the note.
    ///
    /// # Errors
    /// `schedule.not-found`.
    pub async fn pause(&self, organization: &str, name: &str, note: &str) -> Result<(), HostError> {
        let live = self.existing(organization, name).await?;
        let now = self.0.clock.now();
        let note = note.to_owned();
        {
            let _one = live.one.lock().await;
            // What was due before the pause is not dropped by it.
            settle(&live).await.map_err(told)?;
            let change = move |row: &mut Row| {
                let at = row.paused.as_ref().map_or(now, |paused| paused.at);
                row.paused = Some(Paused { at, note });
            };
            change_row(&live, change).await.map_err(told)?;
        }
        live.poke.notify_one();
        Ok(())
    }

    /// Lets it go on. What was due in between is dropped.
    ///
    /// # Errors
    /// `schedule.not-found`.
    pub async fn unpause(&self, organization: &str, name: &str) -> Result<(), HostError> {
        let live = self.existing(organization, name).await?;
        {
            let _one = live.one.lock().await;
            settle(&live).await.map_err(told)?;
            change_row(&live, |row| row.paused = None).await.map_err(told)?;
        }
        live.poke.notify_one();
        Ok(())
    }

    /// Makes it due now, also while it is paused. With an `id` for the execution, doing it again with the same one does
    /// nothing, and the first one is the answer.
    ///
    /// # Errors
    /// `schedule.not-found`.
    pub async fn run_now(
        &self,
        organization: &str,
        name: &str,
        overlap: Option<Overlap>,
        id: Option<&str>,
    ) -> Result<FireView, HostError> {
        let live = self.existing(organization, name).await?;
        let select = held(&live.select).clone();
        let fire = {
            let _one = live.one.lock().await;
            live.keeper.run_now(overlap, id, select.as_ref()).await.map_err(told)?
        };
        live.poke.notify_one();
        Ok(FireView::from(&fire))
    }

    /// Makes the times due that lie in a range (milliseconds since the Unix epoch, both ends included), are over, and
    /// have no execution: 1,000 at most. By default one after the other.
    ///
    /// # Errors
    /// `schedule.not-found`; `schedule.refused` where the range has more; `schedule.too-much` where so much is excluded
    /// that they take too long to find.
    pub async fn backfill(
        &self,
        organization: &str,
        name: &str,
        range: (i64, i64),
        overlap: Option<Overlap>,
    ) -> Result<Vec<FireView>, HostError> {
        let live = self.existing(organization, name).await?;
        let select = held(&live.select).clone();
        let dues = live.keeper.dues(range).await.map_err(told)?;
        if !dues.is_all {
            return Err(too_much(dues.due.len()));
        }
        let fires = {
            let _one = live.one.lock().await;
            let overlap = overlap.unwrap_or(Overlap::BufferAll);
            live.keeper
                .backfill(dues, overlap, select.as_ref())
                .await
                .map_err(told)?
        };
        live.poke.notify_one();
        Ok(fires.iter().map(FireView::from).collect())
    }

    /// The ledger of a schedule, the latest due time first. A page may be short although there is more.
    ///
    /// # Errors
    /// `schedule.not-found`; `search.cursor`.
    pub async fn fires(
        &self,
        organization: &str,
        name: &str,
        fate: Option<Fate>,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page<FireView>, HostError> {
        self.stored(organization, name).await?;
        let limit = if limit == 0 { 100 } else { limit.min(500) };
        let after = match cursor {
            None => None,
            Some(cursor) => Some(cursor.parse().map_err(|_| {
                HostError::invalid("search.cursor", "the cursor is not one that a page of this list gave")
                    .hint("pass `next` of the page before as it is")
            })?),
        };
        let read = if fate.is_some() { 2000 } else { limit };
        let range = EntryRange {
            space: ledger::SPACE.into(),
            prefix: ledger::fires_of(organization, name),
            after: after.map(|due| ledger::fire_key(organization, name, due)),
            reverse: true,
            limit: read,
        };
        let found = self.0.place.entries(range).await.map_err(told)?;
        let there_may_be_more = found.len() == read;
        let mut items = Vec::new();
        let mut last = None;
        let mut full = false;
        for (key, value) in &found {
            if items.len() == limit {
                full = true;
                break;
            }
            let fire = Fire::read(key, value).map_err(|error| told(Trouble::Later(error)))?;
            last = Some(fire.due);
            if fate.is_none_or(|fate| fate == fire.fate) {
                items.push(FireView::from(&fire));
            }
        }
        let next = last.filter(|_| full || there_may_be_more).map(|due| due.to_string());
        Ok(Page { items, next })
    }

    /// The next `count` times (1,000 at most) at which a schedule like this is due, from a time on.
    ///
    /// # Errors
    /// `schedule.invalid` with everything that is wrong; `schedule.too-much` where so much is excluded that the search
    /// for so many takes too long.
    pub fn preview(config: &ScheduleConfig, from: i64, count: usize) -> Result<Vec<String>, HostError> {
        let calendar = Calendar::read(config).map_err(invalid)?;
        let (due, is_all) = calendar.preview(from, count.min(1000));
        if is_all {
            return Ok(due.into_iter().map(calendar::text).collect());
        }
        Err(too_much(due.len()))
    }

    /// What a backfill of a range would make due, at most `most` times, and whether there are more.
    ///
    /// # Errors
    /// `schedule.not-found`; `schedule.too-much` as [`Schedules::backfill`].
    pub async fn dues(
        &self,
        organization: &str,
        name: &str,
        (from, until): (i64, i64),
        most: usize,
    ) -> Result<(Vec<String>, bool), HostError> {
        let (row, _) = self.stored(organization, name).await?;
        let calendar = Calendar::read(&row.config).map_err(invalid)?;
        let until = until.min(self.0.clock.now());
        // The first moment may be due itself.
        let walk = move || calendar.times(from.saturating_sub(1), until, most.saturating_add(1));
        let (due, is_all) = aside(walk).await.map_err(told)?;
        if !is_all {
            return Err(too_much(due.len()));
        }
        let more = due.len() > most;
        Ok((due.into_iter().take(most).map(calendar::text).collect(), more))
    }

    /// Checks what a schedule is to be, as [`Schedules::put`] does: when it is due in words, and the next `count` times.
    /// May take a moment, so not on a thread of the runtime.
    ///
    /// # Errors
    /// Everything that is wrong with it, as sentences.
    pub fn check(config: &ScheduleConfig, from: i64, count: usize) -> Result<(String, Vec<String>), Vec<String>> {
        let checked = Calendar::check(config);
        let calendar = checked.map_err(|all| all.into_iter().map(|mistake| mistake.message).collect::<Vec<_>>())?;
        let (due, is_all) = calendar.preview(from, count);
        if !is_all {
            return Err(vec![calendar::GivenUp.to_string()]);
        }
        Ok((calendar.describe(), due.into_iter().map(calendar::text).collect()))
    }

    /// What became of due times since this process began, of all organizations.
    #[must_use]
    pub fn fired(&self) -> Vec<FiredCount> {
        let live = held(&self.0.live);
        let of =
            |((organization, name), live): (&(String, String), &Arc<Live>)| live.keeper.fired.all(organization, name);
        live.iter().flat_map(of).collect()
    }

    /// What time it is for schedules, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.0.clock.now()
    }

    /// Runs the schedules that no trigger is.
    pub(crate) async fn run_all_own(&self) -> Result<(), Trouble> {
        for ((organization, name), row) in self.rows(None).await? {
            let key = (organization, name);
            if row.owner == Owner::Api && !row.gone && !held(&self.0.live).contains_key(&key) {
                let live = self.live(&key.0, &key.1);
                self.run_own(live);
            }
        }
        Ok(())
    }

    /// Waits until the tasks of those have ended.
    pub(crate) async fn stopped(&self) {
        let tasks = std::mem::take(&mut *held(&self.0.tasks));
        for task in tasks {
            // One that panicked has been reported by its panic.
            let _ = task.await;
        }
    }

    /// Every schedule, by organization and name.
    pub(crate) async fn rows(&self, organization: Option<&str>) -> Result<Vec<((String, String), Row)>, Trouble> {
        let mut range = EntryRange {
            space: row::SPACE.into(),
            prefix: row::rows_of(organization),
            limit: 1000,
            ..EntryRange::default()
        };
        let mut rows = Vec::new();
        loop {
            let page = self.0.place.entries(range.clone()).await?;
            let Some((last, _)) = page.last() else { return Ok(rows) };
            range.after = Some(last.clone());
            for (key, value) in page {
                let mut parts = key_parts(&key);
                let name = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
                let row = Row::read(&value).map_err(Trouble::Refused)?;
                rows.push(((name.0.to_owned(), name.1.to_owned()), row));
            }
        }
    }

    /// What this process knows of a schedule.
    pub(crate) fn live(&self, organization: &str, name: &str) -> Arc<Live> {
        let key = (organization.to_owned(), name.to_owned());
        let mut live = held(&self.0.live);
        let live = live.entry(key).or_insert_with(|| {
            Arc::new(Live {
                keeper: Keeper {
                    place: Arc::clone(&self.0.place),
                    clock: self.0.clock.clone(),
                    organization: organization.to_owned(),
                    name: name.to_owned(),
                    fired: Arc::default(),
                },
                one: tokio::sync::Mutex::default(),
                poke: Notify::new(),
                select: Mutex::default(),
                problem: Mutex::default(),
                stop: self.0.stop.child_token(),
            })
        });
        Arc::clone(live)
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    fn run_own(&self, live: Arc<Live>) {
        let stop = live.stop.clone();
        let task = tokio::spawn(async move {
            let mut rest = REST;
            while let Err(trouble) = live.work(&stop).await {
                live.report(Some(trouble.to_string()));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(rest) => rest = (rest * 2).min(LONG_REST),
                }
            }
        });
        let mut tasks = held(&self.0.tasks);
        tasks.retain(|task| !task.is_finished());
        tasks.push(task);
    }

    fn problem(&self, organization: &str, name: &str) -> Option<String> {
        let key = (organization.to_owned(), name.to_owned());
        let live = held(&self.0.live).get(&key).cloned();
        live.and_then(|live| held(&live.problem).clone())
    }

    async fn stored(&self, organization: &str, name: &str) -> Result<(Row, Bytes), HostError> {
        let key = row::row_key(organization, name);
        let bytes = self.0.place.entry(row::SPACE, key).await.map_err(told)?;
        let bytes = bytes.ok_or_else(|| not_found(name))?;
        let row = Row::read(&bytes).map_err(|error| told(Trouble::Later(error)))?;
        Ok((row, bytes))
    }

    /// What is known of a schedule that can still be due.
    async fn existing(&self, organization: &str, name: &str) -> Result<Arc<Live>, HostError> {
        let (row, _) = self.stored(organization, name).await?;
        if row.gone {
            let why = match row.owner {
                Owner::Api => "it was deleted; its ledger is still there",
                Owner::Workflow { .. } => "the workflow does not have this trigger any more",
            };
            return Err(not_found(name).hint(why));
        }
        Ok(self.live(organization, name))
    }
}

/// Gives everything that is due by now its fate.
async fn settle(live: &Live) -> Result<(), Trouble> {
    let select = held(&live.select).clone();
    live.keeper.turn(select.as_ref()).await.map(drop)
}

/// Changes a row. The caller holds [`Live::one`].
async fn change_row(live: &Live, change: impl FnOnce(&mut Row)) -> Result<(), Trouble> {
    let (mut row, bytes) = live.keeper.existing().await?;
    change(&mut row);
    live.keeper.save(&row, Some(bytes), &[]).await
}
