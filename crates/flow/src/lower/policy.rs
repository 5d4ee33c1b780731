//! Timeouts and retries: the ways to write them, brought into one.

use std::time::Duration;

use bowline_connector::Millis;
use bowline_core::{Backoff, RetryPolicy, StepOptions};

use crate::codes;
use crate::cursor::Cursor;
use crate::schema::no_time;
use crate::tree::Kind;

use super::Lowering;

/// By how much a step may outlast its connector's own timeout, so that the connector's error comes first.
const GRACE: Duration = Duration::from_secs(1);

impl Lowering<'_> {
    /// A duration that the checker has found to be one.
    #[expect(
        clippy::unused_self,
        reason = "reads like its neighbours: self.template, self.condition"
    )]
    pub(super) fn duration(&self, cursor: &Cursor, key: &str) -> Option<Duration> {
        let field = cursor.field(key)?;
        match &field.node.kind {
            Kind::Text(text, _) => Millis::parse(text).ok().map(Millis::duration),
            Kind::Number(_) => Millis::parse(&field.node.whole()?.to_string())
                .ok()
                .map(Millis::duration),
            _ => None,
        }
    }

    /// All bounds of a node: its own, then those of its configuration, then its connection's `retryPolicy`,
    /// then the shared defaults, then the program's.
    pub(super) fn step_options(&mut self, node: &Cursor, connector: &str, handling: Option<&Cursor>) -> StepOptions {
        let mut options = StepOptions::default();
        if let Some(defaults) = self.defaults.get(connector).cloned() {
            options.timeout = self.duration(&defaults, "timeout").or(options.timeout);
            options.total_timeout = self.duration(&defaults, "totalTimeout");
            if let Some(retry) = defaults.field("retry") {
                options.retry = self.retry(&retry, options.retry);
            }
        }
        let config = node.field("config");
        let connection = config.as_ref().and_then(|config| config.text_of("connection"));
        if let Some(retry) = connection.and_then(|name| self.connection_retries.get(name)).cloned() {
            options.retry = self.retry(&retry, options.retry);
        }
        if let Some(field) = config.as_ref().and_then(|config| config.field("timeout"))
            && config
                .as_ref()
                .and_then(|config| self.duration(config, "timeout"))
                .is_some_and(|timeout| timeout.is_zero())
        {
            no_time(&mut self.report, &field);
        }
        let own = self.duration(node, "timeout");
        let of_config = config
            .as_ref()
            .and_then(|config| self.duration(config, "timeout"))
            .map(|timeout| timeout + GRACE);
        options.timeout = own.or(of_config).or(options.timeout);
        options.total_timeout = self.duration(node, "totalTimeout").or(options.total_timeout);
        if let (Some(attempt), Some(total)) = (own, self.duration(node, "totalTimeout"))
            && attempt > total
            && let Some(cursor) = node.field("totalTimeout")
        {
            let message = "`totalTimeout` is shorter than `timeout`, so that not even one attempt fits in";
            self.report.at(codes::NOT_ALLOWED, &cursor, message, |problem| {
                problem.expected("at least the `timeout` of one attempt")
            });
        }
        options.retry = self.retry_settings(handling, config.as_ref(), options.retry);
        options
    }

    fn retry_settings(
        &mut self,
        handling: Option<&Cursor>,
        config: Option<&Cursor>,
        default: RetryPolicy,
    ) -> RetryPolicy {
        let given = |key: &str| handling.and_then(|handling| handling.field(key));
        let simple = given("maxRetries").or_else(|| given("retryDelay"));
        if let Some(retry) = given("retry") {
            if let Some(simple) = simple {
                let message = "`retry` and `maxRetries`, `retryDelay` exclude each other";
                self.report.at(codes::ONE_OF, &simple, message, |problem| {
                    problem.expected("one of the two ways to set retries")
                });
            }
            return self.retry(&retry, default);
        }
        if let (Some(handling), Some(_)) = (handling, simple) {
            return Self::steady(
                handling.whole_of("maxRetries"),
                self.duration(handling, "retryDelay"),
                true,
                default,
            );
        }
        match config {
            Some(config) => Self::steady(
                config.whole_of("retries"),
                self.duration(config, "retryDelay"),
                false,
                default,
            ),
            None => default,
        }
    }

    /// So many retries. Pauses are all the same where a pause is given, or where that is the way to write it.
    fn steady(retries: Option<u64>, delay: Option<Duration>, is_fixed: bool, default: RetryPolicy) -> RetryPolicy {
        let max_attempts = retries.map_or(default.max_attempts, attempts);
        if delay.is_none() && !is_fixed {
            return RetryPolicy {
                max_attempts,
                ..default
            };
        }
        let base_delay = delay.unwrap_or(default.base_delay);
        let max_delay = base_delay.max(default.max_delay);
        RetryPolicy {
            max_attempts,
            backoff: Backoff::Fixed,
            base_delay,
            max_delay,
            jitter: false,
            ..default
        }
    }

    /// `retry: {...}` over other settings.
    pub(super) fn retry(&mut self, retry: &Cursor, default: RetryPolicy) -> RetryPolicy {
        let number = |key: &str| {
            retry.field(key).and_then(|field| match &field.node.kind {
                Kind::Number(number) => number.as_f64(),
                _ => None,
            })
        };
        let texts = |key: &str| -> Vec<String> {
            retry
                .field(key)
                .iter()
                .flat_map(Cursor::items)
                .filter_map(|item| item.text().map(str::to_owned))
                .collect()
        };
        let base_delay = self.duration(retry, "baseDelay").unwrap_or(default.base_delay);
        let max_delay = self.duration(retry, "maxDelay");
        if let (Some(most), Some(cursor)) = (max_delay, retry.field("maxDelay"))
            && self.duration(retry, "baseDelay").is_some_and(|first| first > most)
        {
            self.report.at(
                codes::NOT_ALLOWED,
                &cursor,
                "`maxDelay` is shorter than `baseDelay`",
                |problem| problem.expected("at least the first pause"),
            );
        }
        let codes = retry.field("retryableStatusCodes");
        let codes = codes
            .iter()
            .flat_map(Cursor::items)
            .filter_map(|code| code.node.whole())
            .map(|code| format!("http.{code}"));
        let mut retryable: Vec<String> = codes.collect();
        retryable.extend(texts("retryableErrors"));
        let lists = retry.has("retryableStatusCodes") || retry.has("retryableErrors");
        RetryPolicy {
            max_attempts: retry.whole_of("maxAttempts").map_or(default.max_attempts, saturated),
            backoff: match retry.text_of("backoffStrategy") {
                Some("fixed") => Backoff::Fixed,
                Some("linear") => Backoff::Linear,
                Some("exponential") => Backoff::Exponential,
                _ => default.backoff,
            },
            base_delay,
            max_delay: max_delay.unwrap_or(default.max_delay).max(base_delay),
            coefficient: number("coefficient").unwrap_or(default.coefficient),
            jitter: match retry.node.get("jitter").map(|entry| &entry.value.kind) {
                Some(Kind::Bool(jitter)) => *jitter,
                _ => default.jitter,
            },
            retryable: if lists { retryable } else { default.retryable },
            non_retryable: if retry.has("nonRetryableErrors") {
                texts("nonRetryableErrors")
            } else {
                default.non_retryable
            },
        }
    }
}

/// Retries and the first attempt.
fn attempts(retries: u64) -> u32 {
    saturated(retries.saturating_add(1))
}

fn saturated(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
