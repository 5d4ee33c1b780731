//! How much, how fast, how often: limits of requests. Those of connections are in [`crate::config::Connections`].

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bowline_connector::Millis;
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Limits of requests. What exceeds one is refused with a status that says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Limits {
    /// The largest body of a request to the API or the inspector, in bytes. Larger ones are refused with 413.
    #[schemars(range(min = 1))]
    pub api_body: usize,
    /// The largest body of a webhook or a callback, in bytes. Larger ones are refused with 413.
    #[schemars(range(min = 1))]
    pub webhook_body: usize,
    /// How long a body may take to arrive, whatever its size. One that takes longer than this and what `bodyRate` allows
    /// is cut, with 408.
    pub body_timeout: Millis,
    /// How fast a body has to arrive at least after `bodyTimeout`, in bytes a second.
    pub body_rate: u32,
    /// Requests of one caller (an API key, a token's subject, or this machine) a second, over all its connections; more
    /// are refused with 429. 0 means no limit.
    pub caller_rate: u32,
    /// So many requests of one caller may come at once before `callerRate` counts. 0 means as many as
    /// `callerRate`.
    pub caller_burst: u32,
    /// Requests from one address a second, whoever sends them; more are refused with 429. 0 means no limit.
    pub address_rate: u32,
    /// So many requests from one address may come at once before `addressRate` counts. 0 means as many as
    /// `addressRate`.
    pub address_burst: u32,
    /// Wrong credentials from one address a second; after more than that wrong ones from it are refused with 429 for a
    /// while, in place of 401. 0 means no limit.
    pub failure_rate: u32,
    /// So many wrong credentials from one address may come at once before `failureRate` counts. 0 means as many as
    /// `failureRate`.
    pub failure_burst: u32,
    /// Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` is believed.
    #[schemars(with = "Vec<String>")]
    pub proxies: Vec<IpNet>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            api_body: 1024 * 1024,
            webhook_body: 10 * 1024 * 1024,
            body_timeout: Millis(Duration::from_secs(10)),
            body_rate: 8 * 1024,
            caller_rate: 2_000,
            caller_burst: 4_000,
            address_rate: 20_000,
            address_burst: 20_000,
            failure_rate: 2,
            failure_burst: 50,
            proxies: Vec::new(),
        }
    }
}

/// Buckets of tokens, one for each of those that are counted.
pub(super) struct Rate<K: Hash + Eq + Clone> {
    limiter: Option<RateLimiter<K, HashMapStateStore<K>, DefaultClock>>,
    clock: DefaultClock,
    asked: AtomicU32,
}

/// After so many questions those are forgotten whose buckets are full again.
const TIDY_EVERY: u32 = 4_096;

impl<K: Hash + Eq + Clone> Rate<K> {
    /// So many a second, and so many at once. 0 a second means no limit.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let clock = DefaultClock::default();
        let limiter = NonZeroU32::new(per_second).map(|per_second| {
            let quota = Quota::per_second(per_second).allow_burst(NonZeroU32::new(burst).unwrap_or(per_second));
            RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())
        });
        Self {
            limiter,
            clock,
            asked: AtomicU32::new(0),
        }
    }

    /// Takes one; where there is none, after how many seconds there will be.
    pub(super) fn take(&self, whose: &K) -> Result<(), u64> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            limiter.retain_recent();
        }
        limiter.check_key(whose).map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
        })
    }
}

/// What is counted of callers and addresses.
pub(super) struct Rates {
    pub(super) callers: Rate<String>,
    pub(super) addresses: Rate<IpAddr>,
    pub(super) failures: Failures,
}

impl Rates {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            callers: Rate::new(limits.caller_rate, limits.caller_burst),
            addresses: Rate::new(limits.address_rate, limits.address_burst),
            failures: Failures::new(limits.failure_rate, limits.failure_burst),
        }
    }
}

/// Wrong credentials by address. Asking whether an address has had too many costs it nothing; a failure does.
pub(super) struct Failures {
    rate: Rate<IpAddr>,
    /// Those that are shut out, and until when.
    shut: std::sync::Mutex<std::collections::HashMap<IpAddr, std::time::Instant>>,
}

impl Failures {
    fn new(per_second: u32, burst: u32) -> Self {
        Self {
            rate: Rate::new(per_second, burst),
            shut: std::sync::Mutex::default(),
        }
    }

    /// Whether credentials from this address are looked at; otherwise after how many seconds they will be.
    pub(super) fn check(&self, address: &IpAddr) -> Result<(), u64> {
        let mut shut = self.shut.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if shut.is_empty() {
            return Ok(());
        }
        let now = std::time::Instant::now();
        match shut.get(address) {
            Some(until) if *until > now => Err((*until - now).as_secs() + 1),
            Some(_) => {
                shut.remove(address);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Counts wrong credentials.
    pub(super) fn note(&self, address: IpAddr) {
        if let Err(seconds) = self.rate.take(&address) {
            let now = std::time::Instant::now();
            let mut shut = self.shut.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            shut.retain(|_, until| *until > now);
            shut.insert(address, now + Duration::from_secs(seconds.max(1)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_by_its_owner_alone() {
        let rate = Rate::<u8>::new(1, 3);
        for _ in 0..3 {
            assert_eq!(rate.take(&1), Ok(()));
        }
        assert_eq!(rate.take(&1), Err(1));
        assert_eq!(rate.take(&2), Ok(()));
        let without = Rate::<u8>::new(0, 1);
        for _ in 0..100 {
            assert_eq!(without.take(&1), Ok(()));
        }
    }

    #[test]
    fn wrong_credentials_shut_their_address_out() {
        let failures = Failures::new(1, 2);
        let (one, other) = ("192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap());
        for _ in 0..2 {
            failures.note(one);
            assert_eq!(failures.check(&one), Ok(()));
        }
        failures.note(one);
        assert!(failures.check(&one).is_err());
        assert_eq!(failures.check(&other), Ok(()));
    }

    #[test]
    fn buckets_that_are_full_again_are_forgotten() {
        let rate = Rate::<u32>::new(1_000_000, 1);
        for whose in 0..20_000 {
            // Each is asked once: it always has one.
            assert_eq!(rate.take(&whose), Ok(()));
        }
        assert!(rate.limiter.unwrap().len() < 10_000);
    }

    #[test]
    fn a_configuration_is_read_with_defaults() {
        let limits: Limits = serde_json::from_str(r#"{"apiBody": 5, "proxies": ["10.0.0.0/8"]}"#).unwrap();
        assert_eq!((limits.api_body, limits.webhook_body), (5, 10 * 1024 * 1024));
        assert!(serde_json::from_str::<Limits>(r#"{"apiBdy": 5}"#).is_err());
    }
}
