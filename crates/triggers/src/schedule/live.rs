//! What this process knows of a schedule, and the task that works on it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::keeper::{Keeper, Select};
use crate::place::Trouble;

/// The clock may be set at any time, and a sleeping task does not notice: it looks this often.
const LOOK: Duration = Duration::from_secs(10);

/// How long a schedule that failed rests; twice as long each time.
pub(super) const REST: Duration = Duration::from_secs(1);

/// What this process knows of a schedule.
pub(crate) struct Live {
    pub(super) keeper: Keeper,
    /// Held by whoever changes the row.
    pub(super) one: tokio::sync::Mutex<()>,
    /// Something has changed.
    pub(super) poke: Notify,
    pub(super) select: Mutex<Option<Select>>,
    pub(super) problem: Mutex<Option<String>>,
    pub(super) stop: CancellationToken,
}

pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Live {
    pub(crate) fn keeper(&self) -> &Keeper {
        &self.keeper
    }

    pub(crate) fn one(&self) -> &tokio::sync::Mutex<()> {
        &self.one
    }

    pub(crate) fn choose(&self, select: Select) {
        *held(&self.select) = Some(select);
    }

    pub(crate) fn report(&self, problem: Option<String>) {
        let mut now = held(&self.problem);
        if let Some(problem) = problem.as_ref().filter(|problem| now.as_ref() != Some(*problem)) {
            let Keeper { organization, name, .. } = &self.keeper;
            tracing::warn!(organization, schedule = name, problem, "a schedule has a problem");
        }
        *now = problem;
    }

    /// Does what is due, when it is due, until it is told to stop or the schedule is not there any more.
    pub(crate) async fn work(&self, stop: &CancellationToken) -> Result<(), Trouble> {
        let mut ends: JoinSet<String> = JoinSet::new();
        let mut followed = BTreeSet::new();
        let mut again = BTreeSet::new();
        while !stop.is_cancelled() {
            let select = held(&self.select).clone();
            let turn = {
                let _one = self.one.lock().await;
                self.keeper.turn(select.as_ref()).await?
            };
            self.report(turn.problem);
            if turn.gone {
                return Ok(());
            }
            for id in turn.running {
                if followed.insert(id.clone()) {
                    let (place, organization) = (Arc::clone(&self.keeper.place), self.keeper.organization.clone());
                    // One whose end cannot be waited for must not keep this busy.
                    let rest = if again.remove(&id) { REST } else { Duration::ZERO };
                    ends.spawn(async move {
                        tokio::time::sleep(rest).await;
                        place.wait(&organization, &id).await;
                        id
                    });
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = self.poke.notified() => {}
                () = self.until(turn.next) => {}
                Some(ended) = ends.join_next() => if let Ok(id) = ended {
                    followed.remove(&id);
                    again.insert(id);
                },
            }
        }
        Ok(())
    }

    async fn until(&self, at: Option<i64>) {
        let Some(at) = at else {
            return std::future::pending().await;
        };
        loop {
            let left = at.saturating_sub(self.keeper.clock.now());
            let Ok(left) = u64::try_from(left) else { return };
            if left == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(left).min(LOOK)).await;
        }
    }
}
