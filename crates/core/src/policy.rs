//! How often and how patiently a step is tried.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{ErrorKind, StepError};

/// How the pause between attempts grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Backoff {
    /// Always the same pause.
    Fixed,
    /// The pause grows by itself each time: 1 s, 2 s, 3 s.
    Linear,
    /// The pause is multiplied by the coefficient each time: 1 s, 2 s, 4 s.
    #[default]
    Exponential,
}

/// When a failed attempt is followed by another one, and after what pause.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    /// Attempts in all, the first included. 1 means no retry; 0 means no bound but the total timeout.
    pub max_attempts: u32,
    /// How the pause grows.
    pub backoff: Backoff,
    /// The first pause.
    pub base_delay: Duration,
    /// No pause of the policy's own is longer. What a service asks for (`Retry-After`) is kept as asked.
    pub max_delay: Duration,
    /// The factor of [`Backoff::Exponential`].
    pub coefficient: f64,
    /// Whether each pause is shortened by a random part of up to half, so that many clients that failed
    /// together do not come back together.
    pub jitter: bool,
    /// If not empty, only errors that one of these names matches are retried, whatever their kind.
    pub retryable: Vec<String>,
    /// Errors that one of these names matches are never retried.
    pub non_retryable: Vec<String>,
}

impl Default for RetryPolicy {
    /// Three attempts, 1 s doubling to at most 1 min, with jitter.
    fn default() -> Self {
        Self {
            max_attempts: 3,
            backoff: Backoff::Exponential,
            base_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            coefficient: 2.0,
            jitter: true,
            retryable: Vec::new(),
            non_retryable: Vec::new(),
        }
    }
}

impl RetryPolicy {
    /// One attempt only.
    #[must_use]
    pub fn never() -> Self {
        Self {
            max_attempts: 1,
            ..Self::default()
        }
    }

    /// The pause before the attempt after `attempt` (from 1), or none if there is to be no other.
    /// `entropy` is any number that differs from step to step; the same number gives the same pause.
    #[must_use]
    pub fn pause(&self, error: &StepError, attempt: u32, entropy: u64) -> Option<Duration> {
        if self.max_attempts != 0 && attempt >= self.max_attempts || !self.retries(error) {
            return None;
        }
        if let ErrorKind::After(ms) = error.kind {
            return Some(Duration::from_millis(ms));
        }
        let base = self.base_delay.as_secs_f64();
        let seconds = match self.backoff {
            Backoff::Fixed => base,
            Backoff::Linear => base * f64::from(attempt),
            Backoff::Exponential => base * self.coefficient.powf(f64::from(attempt - 1)),
        };
        let mut seconds = seconds.min(self.max_delay.as_secs_f64()).max(0.0);
        if self.jitter {
            let part = (entropy >> 11) as f64 / (1u64 << 53) as f64;
            seconds *= 1.0 - part / 2.0;
        }
        // Whole milliseconds, because that is what the journal keeps.
        Some(Duration::from_millis((seconds * 1000.0).round() as u64))
    }

    fn retries(&self, error: &StepError) -> bool {
        if error.kind == ErrorKind::Cancelled || self.non_retryable.iter().any(|name| error.matches(name)) {
            return false;
        }
        if self.retryable.is_empty() {
            error.kind.is_retryable()
        } else {
            self.retryable.iter().any(|name| error.matches(name))
        }
    }
}

/// Everything that bounds one step.
#[derive(Clone, Debug, PartialEq)]
pub struct StepOptions {
    /// One attempt may take so long (start-to-close); none means no bound.
    pub timeout: Option<Duration>,
    /// All attempts and the pauses between them may take so long; none means no bound.
    pub total_timeout: Option<Duration>,
    /// What follows a failed attempt.
    pub retry: RetryPolicy,
    /// What follows an attempt of which nobody knows whether it was carried out.
    pub on_unknown: OnUnknown,
}

/// What follows an attempt of which nobody knows whether it was carried out: its answer was lost, it took too
/// long, or the engine stopped while it was under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnUnknown {
    /// It is tried again with the same idempotency key, as after any other failure that may pass.
    #[default]
    Retry,
    /// The step fails, with an error whose kind is unknown ([`ErrorKind::is_unknown`]). Each attempt is noted in
    /// the journal before it begins, which costs a commit.
    Fail,
}

impl Default for StepOptions {
    /// Five minutes for an attempt, no total, [`RetryPolicy::default`].
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(300)),
            total_timeout: None,
            retry: RetryPolicy::default(),
            on_unknown: OnUnknown::Retry,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(policy: &RetryPolicy) -> Vec<u128> {
        let error = StepError::transient("x", "x");
        (1..)
            .map_while(|attempt| policy.pause(&error, attempt, u64::MAX / 3))
            .map(|pause| pause.as_millis())
            .collect()
    }

    #[test]
    fn pauses_grow_as_the_policy_says() {
        let policy = RetryPolicy {
            max_attempts: 5,
            jitter: false,
            ..RetryPolicy::default()
        };
        assert_eq!(pauses(&policy), [1000, 2000, 4000, 8000]);
        assert_eq!(
            pauses(&RetryPolicy {
                max_delay: Duration::from_secs(3),
                ..policy.clone()
            }),
            [1000, 2000, 3000, 3000]
        );
        assert_eq!(
            pauses(&RetryPolicy {
                coefficient: 1.5,
                ..policy.clone()
            }),
            [1000, 1500, 2250, 3375]
        );
        assert_eq!(
            pauses(&RetryPolicy {
                backoff: Backoff::Linear,
                ..policy.clone()
            }),
            [1000, 2000, 3000, 4000]
        );
        assert_eq!(
            pauses(&RetryPolicy {
                backoff: Backoff::Fixed,
                ..policy.clone()
            }),
            [1000; 4]
        );
        assert_eq!(pauses(&RetryPolicy { jitter: true, ..policy }), [833, 1667, 3333, 6667]);
    }

    #[test]
    fn kinds_and_lists_decide() {
        let policy = RetryPolicy::default();
        let after = StepError::new("http.429", ErrorKind::After(40_000), "slow down");
        assert_eq!(policy.pause(&after, 1, 0), Some(Duration::from_secs(40)));
        assert_eq!(policy.pause(&StepError::permanent("http.422", "no"), 1, 0), None);
        let listed = RetryPolicy {
            retryable: vec!["http.422".into()],
            non_retryable: vec!["http.5*".into()],
            ..policy
        };
        assert!(listed.pause(&StepError::permanent("http.422", "no"), 1, 0).is_some());
        assert_eq!(listed.pause(&StepError::transient("http.503", "busy"), 1, 0), None);
        assert_eq!(listed.pause(&StepError::cancelled(), 1, 0), None);
    }
}
