//! What people are told where something cannot be done with a schedule.

use bowline_host::{ErrorKind, HostError, Problem};

use super::row::{Owner, Row};
use crate::place::Trouble;

pub(super) fn told(trouble: Trouble) -> HostError {
    match trouble {
        Trouble::Changed => HostError::new(ErrorKind::Conflict, "schedule.changed", trouble.to_string()),
        Trouble::Refused(why) => HostError::invalid("schedule.refused", why),
        Trouble::Later(why) => HostError::new(ErrorKind::Unavailable, "schedule.unavailable", why),
    }
}

pub(super) fn invalid(all: Vec<String>) -> HostError {
    let problem = |message: String| Problem {
        message,
        ..Problem::default()
    };
    let error = HostError::invalid(
        "schedule.invalid",
        format!("the schedule cannot be used: {}", all.join("; ")),
    );
    error.with(all.into_iter().map(problem).collect())
}

/// The walk through a calendar was given up.
pub(super) fn too_much(found: usize) -> HostError {
    let message = format!(
        "so much is excluded that only {found} due times were found in the time that there is to look for them"
    );
    HostError::invalid("schedule.too-much", message).hint("ask for fewer, or make `exclude` coarser")
}

pub(super) fn not_found(name: &str) -> HostError {
    HostError::not_found("schedule.not-found", format!("there is no schedule `{name}`"))
        .hint("see the list of schedules; one that is a trigger is called `workflow.trigger`")
}

pub(super) fn is_trigger(row: &Row) -> HostError {
    let Owner::Workflow { trigger } = &row.owner else {
        return invalid(Vec::new());
    };
    HostError::new(
        ErrorKind::Conflict,
        "schedule.is-trigger",
        format!(
            "the schedule is the trigger `{trigger}` of the workflow `{}`",
            row.workflow
        ),
    )
    .hint("change it in the workflow and deploy that; pausing it works here")
}
