//! Schedules, as people and programs see them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::calendar::{self, Calendar, GivenUp};
use super::config::ScheduleConfig;
use super::row::{Owner, Row};

/// How many of the next due times a view has.
const NEXT: usize = 5;

/// How many steps are walked for them.
const WALK: usize = 200_000;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleView {
    /// Its name, unique in the organization. That of a trigger is `workflow.trigger`.
    pub name: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// The trigger of the workflow that it is; absent for one that was made through the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// What people wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it is due, and what it does then.
    pub config: ScheduleConfig,
    /// When it is due, in words.
    pub words: String,
    /// What the workflow is started with; absent where that is said by the trigger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// Since when and why it starts nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<PausedView>,
    /// The next times at which it is due, without jitter; empty where it is paused or done.
    pub next: Vec<String>,
    /// Up to which time the ledger tells the fate of every due time.
    pub settled_until: String,
    /// How many executions it has started by the clock.
    pub started: u64,
    /// Executions that it started and that have not ended.
    pub running: Vec<StartedView>,
    /// Due times that wait for those to end.
    pub waiting: Vec<String>,
    /// How the execution ended that ended last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastView>,
    /// The workflow does not have this trigger any more, or the schedule was deleted. The ledger is still there.
    pub gone: bool,
    /// What is wrong with it at the moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A pause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PausedView {
    /// Since when.
    pub since: String,
    /// Why.
    pub note: String,
}

/// An execution that a schedule has started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartedView {
    /// Its id.
    pub execution: String,
    /// The due time that it was started for.
    pub scheduled_at: String,
}

/// How an execution of a schedule ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastView {
    /// Its id.
    pub execution: String,
    /// The due time that it was started for.
    pub scheduled_at: String,
    /// How it ended: `succeeded`, `failed`, `cancelled`; `deleted` where it is not there any more.
    pub status: String,
    /// When the schedule heard of it.
    pub ended_at: String,
}

/// A schedule to make or to change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleSpec {
    /// The workflow that it starts.
    pub workflow: String,
    /// When it is due, and what it does then.
    pub config: ScheduleConfig,
    /// What the workflow is started with. Default: `scheduledAt`, `number` and so on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<Value>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

impl ScheduleView {
    /// Its next times are found in at most `left` steps, which grow less by those that it takes. Not on a thread of the
    /// runtime.
    pub(crate) fn of(name: &str, row: Row, now: i64, problem: Option<String>, left: &mut usize) -> Self {
        let calendar = Calendar::read(&row.config).ok();
        let idle = row.paused.is_some() || row.gone || row.is_used_up();
        let mut own = WALK.min(*left);
        let begun = own;
        let next = calendar.as_ref().filter(|_| !idle);
        let next = next.map(|calendar| calendar.walk(row.through.max(now), i64::MAX, NEXT, &mut own));
        *left -= begun - own;
        let (next, is_all) = next.unwrap_or((Vec::new(), true));
        let problem = problem.or_else(|| (!is_all).then(|| GivenUp.to_string()));
        Self {
            name: name.to_owned(),
            words: calendar.as_ref().map(Calendar::describe).unwrap_or_default(),
            next: next.into_iter().map(calendar::text).collect(),
            settled_until: calendar::text(row.through),
            started: row.started,
            waiting: row.buffer.iter().map(|waiting| calendar::text(waiting.due)).collect(),
            running: row
                .running
                .into_iter()
                .map(|running| StartedView {
                    execution: running.execution,
                    scheduled_at: calendar::text(running.due),
                })
                .collect(),
            last: row.last.map(|last| LastView {
                execution: last.execution,
                scheduled_at: calendar::text(last.due),
                status: last.status,
                ended_at: calendar::text(last.at),
            }),
            paused: row.paused.map(|paused| PausedView {
                since: calendar::text(paused.at),
                note: paused.note,
            }),
            trigger: match row.owner {
                Owner::Workflow { trigger } => Some(trigger),
                Owner::Api => None,
            },
            workflow: row.workflow,
            description: row.description,
            config: row.config,
            input: row.input,
            gone: row.gone,
            problem,
        }
    }
}
