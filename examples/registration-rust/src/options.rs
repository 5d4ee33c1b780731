//! How patient the workflow is with its services.

use std::time::Duration;

use bowline::{RetryPolicy, StepOptions};

/// For APIs of others: longer timeout, more retries.
#[must_use]
pub fn external_api() -> StepOptions {
    StepOptions {
        timeout: Some(Duration::from_mins(5)),
        retry: RetryPolicy {
            base_delay: Duration::from_secs(2),
            max_delay: Duration::from_mins(1),
            coefficient: 2.0,
            max_attempts: 5,
            jitter: false,
            ..RetryPolicy::default()
        },
        ..StepOptions::default()
    }
}

/// For services of our own: shorter timeout, fewer retries.
#[must_use]
pub fn internal() -> StepOptions {
    StepOptions {
        timeout: Some(Duration::from_mins(2)),
        retry: RetryPolicy {
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(30),
            coefficient: 1.5,
            max_attempts: 3,
            jitter: false,
            ..RetryPolicy::default()
        },
        ..StepOptions::default()
    }
}
