//! The settings of a pool, by the names of the node notation.

use std::time::Duration;

use bowline_connector::{Millis, StepError};
use schemars::JsonSchema;
use serde::Deserialize;

/// How many sessions a connection keeps, and for how long.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct PoolConfig {
    /// Sessions that stay open when nothing uses them. Default 0.
    pub min: u32,
    /// Most sessions open at once; a step that finds all in use waits. Default 20.
    pub max: u32,
    /// How long a step waits for a session; then it fails with `sql.pool-timeout`. Default 30 seconds.
    #[serde(alias = "acquireTimeout")]
    pub acquire_timeout_millis: Millis,
    /// How long an unused session stays open. `idle` is the same. Default 10 minutes.
    #[serde(alias = "idle", alias = "idleTimeout")]
    pub idle_timeout_millis: Millis,
    /// How often unused sessions are looked for. Default 1 second.
    #[serde(alias = "reapInterval")]
    pub reap_interval_millis: Millis,
    /// How long to wait before a session that could not be opened for a passing reason is tried again, within
    /// the acquire timeout. Default 200 milliseconds.
    #[serde(alias = "createRetryInterval")]
    pub create_retry_interval_millis: Millis,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            min: 0,
            max: 20,
            acquire_timeout_millis: Millis(Duration::from_secs(30)),
            idle_timeout_millis: Millis(Duration::from_mins(10)),
            reap_interval_millis: Millis(Duration::from_secs(1)),
            create_retry_interval_millis: Millis(Duration::from_millis(200)),
        }
    }
}

impl PoolConfig {
    /// Refuses numbers that cannot work together.
    pub(crate) fn check(&self) -> Result<(), StepError> {
        let wrong = if self.max == 0 {
            "`pool.max` is 0: no step could ever run"
        } else if self.min > self.max {
            "`pool.min` is greater than `pool.max`"
        } else if self.reap_interval_millis.0.is_zero() {
            "`pool.reapIntervalMillis` is 0"
        } else {
            return Ok(());
        };
        Err(StepError::permanent("config.invalid", wrong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(min: u32, max: u32) -> PoolConfig {
        PoolConfig {
            min,
            max,
            ..PoolConfig::default()
        }
    }

    #[test]
    fn numbers_that_cannot_work_are_refused() {
        assert!(config(0, 0).check().is_err());
        assert!(config(3, 2).check().is_err());
        assert!(config(2, 2).check().is_ok());
        let written = serde_json::json!({ "min": 1, "max": 2, "idle": 5000, "acquireTimeoutMillis": 30000,
            "reapIntervalMillis": 1000, "createRetryIntervalMillis": 200 });
        let read: PoolConfig = serde_json::from_value(written).expect("the node notation");
        assert_eq!(read.idle_timeout_millis.0, Duration::from_secs(5));
    }
}
