//! What users write for a schedule.

use bowline_connector::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a workflow starts by the clock. At least one of `cron`, `every` and `at` says when; where there are several,
/// what any of them says is due, once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScheduleConfig {
    /// A cron expression, or several. Five fields (minute, hour, day of month, month, day of week), six with seconds
    /// in front, seven with the year behind. Names (`MON-FRI`, `JAN`), steps (`*/15`), lists, ranges, `L` (the last
    /// day), `15W` (the weekday nearest to the 15th), `FRI#2` (the second Friday), `FRI#L` (the last one) and
    /// `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. Where both days are given, either of them will do, as
    /// in cron; `+` before the day of the week asks for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cron: Option<OneOrMany>,
    /// A distance: `15m` is due at every full quarter of an hour. Counted from the Unix epoch, in any zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<Millis>,
    /// Moves `every` by this much: with `every: 1h`, `phase: 10m` is due ten minutes after each full hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Millis>,
    /// A moment, or several, each once: RFC 3339 (`2027-01-15T08:00:00+01:00`), or without an offset in `timezone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<OneOrMany>,
    /// The time zone of `cron`, `exclude`, and of moments without an offset, by its IANA name such as `Europe/Oslo`.
    /// An hour that is skipped when the clocks go forward runs once, at the moment they do; an hour that is repeated
    /// when they go back runs the first time only. Expressions that run in every hour go on through both, by
    /// elapsed time.
    #[serde(default = "utc")]
    pub timezone: String,
    /// Cron expressions of what is left out: `* * 24-26 12 *` keeps Christmas free. A moment that one of them
    /// matches is not due.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// Nothing is due before this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Nothing is due after this moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// The schedule is done when it has started so many executions. Those by hand do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
    /// What to do when it is due and an execution that it started has not ended.
    #[serde(default)]
    pub overlap: Overlap,
    /// How late it may start, after a stop of the server or a busy time. What is later is recorded as missed.
    #[serde(default = "hour")]
    pub catch_up: Millis,
    /// Starts up to this much later, by an amount that is the same for one moment whenever it is computed. Keeps many
    /// schedules from starting in one second.
    #[serde(default)]
    pub jitter: Millis,
    /// Pauses the schedule when an execution that it started fails.
    #[serde(default)]
    pub pause_on_failure: bool,
    /// How long the ledger keeps what became of a due time.
    #[serde(default = "quarter")]
    pub keep: Millis,
}

/// What to do when a schedule is due and an execution that it started has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Overlap {
    /// Nothing starts.
    #[default]
    Skip,
    /// One start waits for the end; further ones are skipped.
    BufferOne,
    /// All of them wait, and start one after the other; 1,000 at most.
    BufferAll,
    /// The running one is cancelled, and the new one starts when its compensations have run.
    CancelOther,
    /// The running one is cancelled, and the new one starts at once, beside its compensations.
    TerminateOther,
    /// It starts beside the others.
    Allow,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

impl ScheduleConfig {
    /// Reads a rendered configuration.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub fn read(value: &serde_json::Value) -> Result<Self, String> {
        Self::deserialize(value).map_err(|error| format!("the configuration of the schedule is wrong: {error}"))
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn quarter() -> Millis {
    Millis(std::time::Duration::from_secs(90 * 86_400))
}

fn hour() -> Millis {
    Millis(std::time::Duration::from_secs(3600))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_defaults_are_the_careful_ones() {
        let config = ScheduleConfig::read(&json!({"cron": "0 7 * * *"})).unwrap();
        assert_eq!(config.timezone, "UTC");
        assert_eq!(config.overlap, Overlap::Skip);
        assert_eq!(config.catch_up.duration().as_secs(), 3600);
        assert!(config.jitter.duration().is_zero() && !config.pause_on_failure && config.limit.is_none());
    }

    #[test]
    fn what_is_kept_reads_as_it_was() {
        let config = ScheduleConfig::read(&json!({
            "cron": ["@daily", "0 0 12 L * *"], "every": "90m", "phase": "5m", "timezone": "Europe/Oslo",
            "overlap": "terminateOther", "catchUp": "2d", "jitter": 500, "pauseOnFailure": true, "limit": 3
        }))
        .unwrap();
        assert_eq!(
            ScheduleConfig::read(&serde_json::to_value(&config).unwrap()).unwrap(),
            config
        );
    }

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = ScheduleConfig::read(&json!({"cron": "@daily", "overlaps": "skip"})).unwrap_err();
        assert!(error.contains("overlaps"), "{error}");
    }
}
