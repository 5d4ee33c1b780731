//! Schedules as triggers of workflows.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use bowline_connector::TriggerType;
use bowline_flow::plan::Selected;
use tokio_util::sync::CancellationToken;

use super::KIND;
use super::book::Schedules;
use super::calendar::Calendar;
use super::config::ScheduleConfig;
use super::keeper::{Choice, Select, Turn};
use super::live::Live;
use super::row::{Owner, Row};
use crate::place::Trouble;
use crate::source::{Bound, Source};

/// What templates of a schedule read as `trigger`.
const FIELDS: &[(&str, &str)] = &[
    ("type", "`schedule`"),
    ("schedule", "name of the schedule: `workflow.trigger`"),
    ("scheduledAt", "when it was due, in UTC"),
    ("localTime", "the same in the schedule's time zone, with its offset"),
    ("startedAt", "when it was started"),
    ("lateBy", "the difference in milliseconds"),
    ("by", "`clock`, `hand` (somebody wanted it now) or `backfill`"),
    ("number", "how many executions the clock has started, with this one"),
    (
        "previous",
        "the execution that ended last: `execution`, `scheduledAt`, `status`, `endedAt`; null where there was none",
    ),
];

/// The kind of trigger `schedule`.
#[must_use]
pub fn kind() -> TriggerType {
    TriggerType::of::<ScheduleConfig>(KIND)
        .about("Starts the workflow by the clock: cron expressions, distances, moments. Every time at which it is due has one fate in its ledger.")
        .fields(FIELDS)
        .mistakes(|config| {
            // What has no form yet, because of templates, is looked at when it has one.
            let read = ScheduleConfig::read(config).ok();
            read.and_then(|config| Calendar::check(&config).err()).unwrap_or_default()
        })
}

/// Runs the triggers that are schedules, and the schedules that were made through the API.
pub(crate) struct ScheduleSource {
    schedules: Schedules,
}

impl ScheduleSource {
    pub(crate) fn new(schedules: Schedules) -> Self {
        Self { schedules }
    }

    /// Makes the row say what the workflow says.
    async fn adopt(&self, live: &Live, bound: &Arc<Bound>) -> Result<(), Trouble> {
        let config = ScheduleConfig::read(&bound.config).map_err(Trouble::Refused)?;
        Calendar::read(&config).map_err(|all| Trouble::Refused(all.join("; ")))?;
        let _one = live.one().lock().await;
        let owner = Owner::Workflow {
            trigger: bound.trigger.id.clone(),
        };
        let now = self.schedules.clock().now();
        let keeper = live.keeper();
        let (row, bytes) = match keeper.load().await? {
            Some((row, bytes)) if row.owner != Owner::Api || !row.gone => (row, bytes),
            other => {
                let mut row = Row::new(bound.workflow.clone(), owner, config, now);
                row.description.clone_from(&bound.trigger.description);
                return keeper.save(&row, other.map(|(_, bytes)| bytes), &[]).await;
            }
        };
        if row.owner == Owner::Api {
            return Err(Trouble::Refused(format!(
                "a schedule named `{}` was made through the API; delete that one, or give the trigger another id",
                bound.name()
            )));
        }
        if !row.gone && row.owner == owner && row.config == config && row.description == bound.trigger.description {
            return Ok(());
        }
        let (mut row, bytes) = if row.gone {
            keeper.comes_back(row, bytes).await?
        } else if row.config == config {
            (row, bytes)
        } else {
            // What was due under the old configuration has its fate under that one.
            keeper
                .turn(Some(&select(bound)))
                .await
                .or_else(|trouble| match trouble {
                    Trouble::Refused(_) => Ok(Turn::default()),
                    other => Err(other),
                })?;
            keeper.existing().await?
        };
        if row.gone || row.config != config {
            row.through = row.through.max(now);
        }
        row.owner = owner;
        row.config = config;
        row.description.clone_from(&bound.trigger.description);
        row.gone = false;
        keeper.save(&row, Some(bytes), &[]).await
    }
}

#[async_trait]
impl Source for ScheduleSource {
    fn kind(&self) -> TriggerType {
        kind()
    }

    async fn run(&self, bound: Arc<Bound>, stop: CancellationToken) -> Result<(), Trouble> {
        let live = self.schedules.live(&bound.organization, &bound.name());
        live.choose(select(&bound));
        self.adopt(&live, &bound).await?;
        bound.report(None);
        live.work(&stop).await
    }

    /// Marks those as gone that no workflow has any more, and runs those that are no triggers.
    async fn present(&self, all: &[Arc<Bound>]) -> Result<(), Trouble> {
        let present: BTreeSet<_> = all
            .iter()
            .map(|bound| (bound.organization.clone(), bound.name()))
            .collect();
        for (name, row) in self.schedules.rows(None).await? {
            if row.owner == Owner::Api || row.gone || present.contains(&name) {
                continue;
            }
            let live = self.schedules.live(&name.0, &name.1);
            let _one = live.one().lock().await;
            let Some((row, bytes)) = live.keeper().load().await? else {
                continue;
            };
            let why = "the workflow does not have this trigger any more";
            live.keeper().leave(row, bytes, why).await?;
        }
        self.schedules.run_all_own().await
    }
}

/// What the trigger makes of a fire.
fn select(bound: &Arc<Bound>) -> Select {
    let bound = Arc::clone(bound);
    Arc::new(move |values| {
        let bound = Arc::clone(&bound);
        Box::pin(async move {
            match bound.select(values).await {
                Ok(Selected::Filtered) => Ok(Choice::Filtered),
                Ok(Selected::Start { input, key }) => Ok(Choice::Start(input, key)),
                Err(error) => Err(error),
            }
        })
    })
}
