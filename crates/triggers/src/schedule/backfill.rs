//! Times that are over and are made due by hand.

use std::sync::Arc;

use super::calendar::{self, Calendar, WALK};
use super::config::{Overlap, ScheduleConfig};
use super::decide;
use super::keeper::{Keeper, Select, TRIES, aside, changed_all_the_time};
use super::ledger::{By, Fate, Fire};
use super::row::Waiting;
use crate::place::Trouble;

/// How many times a backfill makes due at once.
const BACKFILL: usize = 1000;

/// Times of a range that are over.
pub(crate) struct Dues {
    /// What they were found by.
    pub(crate) config: ScheduleConfig,
    pub(crate) due: Vec<i64>,
    /// False where the walk was given up.
    pub(crate) is_all: bool,
}

async fn next_aside(calendar: &Arc<Calendar>, after: i64, steps: &mut usize) -> Result<Option<i64>, Trouble> {
    let (calendar, mut left) = (Arc::clone(calendar), *steps);
    let walk = move || (calendar.next_within(after, &mut left), left);
    let (next, left) = aside(walk).await?;
    *steps = left;
    next.map_err(|given_up| Trouble::Refused(given_up.to_string()))
}

impl Keeper {
    /// The due times of a range, both ends included, that are over. Nobody else has to wait for that.
    pub(crate) async fn dues(&self, (from, until): (i64, i64)) -> Result<Dues, Trouble> {
        let (row, _) = self.existing().await?;
        let calendar = Calendar::read(&row.config).map_err(|all| Trouble::Refused(all.join("; ")))?;
        let until = until.min(self.clock.now()).min(row.through);
        let walk = move || calendar.times(from.saturating_sub(1), until, BACKFILL + 1);
        let (due, is_all) = aside(walk).await?;
        if due.len() > BACKFILL {
            return Err(Trouble::Refused(format!(
                "the range has more than {BACKFILL} due times; take a part of it, such as up to {}",
                calendar::text(due[BACKFILL - 1])
            )));
        }
        Ok(Dues {
            config: row.config,
            due,
            is_all,
        })
    }

    /// Makes times due that are over, as far as they have no execution. Doing it twice starts nothing twice.
    pub(crate) async fn backfill(
        &self,
        dues: Dues,
        overlap: Overlap,
        select: Option<&Select>,
    ) -> Result<Vec<Fire>, Trouble> {
        if self.existing().await?.0.config != dues.config {
            return Err(Trouble::Changed);
        }
        let mut fires = Vec::new();
        for due in dues.due {
            let line = self.line(due).await?;
            if line
                .as_ref()
                .is_some_and(|line| matches!(line.fate, Fate::Started | Fate::Buffered))
            {
                continue;
            }
            let waiting = Waiting {
                due,
                by: By::Backfill,
                was: line.as_ref().map(|line| line.fate),
                overlap: Some(overlap),
                id: None,
                stored: line.is_some(),
            };
            // The line that a range begins with is the range's: it keeps its extent.
            let range = line.and_then(|line| Some((line.until?, line.count)));
            fires.push(self.again(waiting, range, select).await?);
        }
        Ok(fires)
    }

    async fn again(
        &self,
        waiting: Waiting,
        range: Option<(i64, Option<u64>)>,
        select: Option<&Select>,
    ) -> Result<Fire, Trouble> {
        if let Some((until, count)) = range {
            self.shorten(&waiting, until, count).await?;
        }
        for _ in 0..TRIES {
            let (row, bytes) = self.existing().await?;
            let todo = decide::fire(row.clone(), waiting.clone(), self.clock.now());
            match self.perform(todo, &row, bytes, select).await {
                Err(Trouble::Changed) => {}
                other => return other,
            }
        }
        Err(changed_all_the_time())
    }

    /// Takes the first time out of a range, so that it can have a line of its own.
    async fn shorten(&self, waiting: &Waiting, until: i64, count: Option<u64>) -> Result<(), Trouble> {
        let Some(mut range) = self.line(waiting.due).await? else {
            return Ok(());
        };
        let mut first = range.clone();
        (first.until, first.count) = (None, None);
        let (row, _) = self.existing().await?;
        let calendar = Calendar::read(&row.config).map_err(|all| Trouble::Refused(all.join("; ")))?;
        // The next one that has no line: those that were backfilled have.
        let calendar = Arc::new(calendar);
        let mut steps = WALK;
        let mut next = next_aside(&calendar, waiting.due, &mut steps).await?;
        let mut left = count.map(|count| count.saturating_sub(1));
        while let Some(due) = next.filter(|due| *due <= until) {
            if self.line(due).await?.is_none() {
                break;
            }
            left = left.map(|left| left.saturating_sub(1));
            next = next_aside(&calendar, due, &mut steps).await?;
        }
        let mut writes = vec![first.write(&self.organization, &self.name)];
        if let Some(due) = next.filter(|due| *due <= until) {
            range.due = due;
            range.count = left;
            range.stored = false;
            writes.push(range.write(&self.organization, &self.name));
        }
        self.place.record(writes).await
    }
}
