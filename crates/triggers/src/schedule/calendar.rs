//! When a schedule is due: its expressions, distances and moments as one ascending sequence of times.
//!
//! Times are milliseconds since the Unix epoch, as everywhere in the store.

use bowline_connector::Mistake;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use sha2::{Digest, Sha256};

use super::config::{OneOrMany, ScheduleConfig};
use super::cron::ZonedCron;

/// How much is walked for one answer, however many times are in it: a look at one expression is one step. Less than a
/// second's work.
pub(crate) const WALK: usize = 1_000_000;

/// A schedule is taken when its first times are found in so many steps.
const TAKEN: usize = 100_000;

/// So many of them.
const FIRST: usize = 5;

/// How many expressions a schedule may have.
const EXPRESSIONS: usize = 100;

/// A walk was given up: so much is left out by `exclude` that the next time was not found in the steps that it had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GivenUp;

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("so much is left out by `exclude` that its next due times were not found in the time for looking")
    }
}

/// When a schedule is due.
#[derive(Clone, Debug)]
pub struct Calendar {
    crons: Vec<ZonedCron>,
    /// Distance and phase.
    every: Option<(i64, i64)>,
    /// Ascending.
    at: Vec<i64>,
    exclude: Vec<ZonedCron>,
    start: Option<i64>,
    end: Option<i64>,
    jitter: i64,
    zone: TimeZone,
}

impl Calendar {
    /// Reads what a configuration says about time.
    ///
    /// # Errors
    /// Everything that is wrong with it, as sentences.
    pub fn read(config: &ScheduleConfig) -> Result<Self, Vec<String>> {
        Self::parts(config).map_err(|all| all.into_iter().map(|mistake| mistake.message).collect())
    }

    /// As [`Calendar::read`], for one that is made or changed: with the fields that are wrong, and refused where its next
    /// times take too long to find. May take a moment, so not on a thread of the runtime.
    pub(super) fn check(config: &ScheduleConfig) -> Result<Self, Vec<Mistake>> {
        let calendar = Self::parts(config)?;
        let (_, is_all) = calendar.walk(written().as_millisecond(), i64::MAX, FIRST, &mut { TAKEN });
        if is_all {
            return Ok(calendar);
        }
        let message = "so much is left out that the next due times take too long to find; write what is left over as \
                       `cron`, or leave out whole minutes, hours and days";
        Err(vec![Mistake::new("exclude", message)])
    }

    fn parts(config: &ScheduleConfig) -> Result<Self, Vec<Mistake>> {
        let mut mistakes = Vec::new();
        let expressions = config.cron.as_ref().map_or(0, |cron| cron.all().len()) + config.exclude.len();
        if expressions > EXPRESSIONS {
            let message =
                format!("`cron` and `exclude` have {expressions} expressions; at most {EXPRESSIONS} are taken");
            return Err(vec![Mistake::new("cron", message)]);
        }
        let zone = TimeZone::get(&config.timezone).unwrap_or_else(|_| {
            let message = format!(
                "`timezone: {}` is not a time zone; write its IANA name, such as Europe/Oslo",
                config.timezone
            );
            mistakes.push(Mistake::new("timezone", message));
            TimeZone::UTC
        });
        let mut crons = |field: &str, texts: &[String], parse: fn(&str, TimeZone) -> Result<ZonedCron, String>| {
            let read = texts.iter().map(|text| parse(text, zone.clone()));
            read.filter_map(|cron| cron.map_err(|error| mistakes.push(Mistake::new(field, error))).ok())
                .collect::<Vec<ZonedCron>>()
        };
        let cron_texts = config.cron.as_ref().map_or(&[][..], OneOrMany::all);
        let cron = crons("cron", cron_texts, ZonedCron::parse);
        let exclude = crons("exclude", &config.exclude, ZonedCron::parse_exclusion);
        let mut moment = |field: &str, text: &str| {
            moment(text, &zone)
                .map_err(|error| mistakes.push(Mistake::new(field, format!("`{field}: {text}` {error}"))))
                .ok()
        };
        let start = config.start.as_deref().and_then(|text| moment("start", text));
        let end = config.end.as_deref().and_then(|text| moment("end", text));
        let at = config.at.as_ref().map_or(&[][..], OneOrMany::all);
        let mut at: Vec<i64> = at.iter().filter_map(|text| moment("at", text)).collect();
        at.sort_unstable();
        at.dedup();
        let every = config
            .every
            .map(|every| (millis(every), config.phase.map_or(0, millis)));
        let mut wrong = |field: &str, message: &str| mistakes.push(Mistake::new(field, message));
        if let Some((distance, phase)) = every {
            if distance < 1000 {
                wrong("every", "`every` is at least one second");
            } else if phase >= distance {
                wrong("phase", "`phase` is shorter than `every`");
            }
        } else if config.phase.is_some() {
            wrong("phase", "`phase` moves `every`, which is not there");
        }
        if config.cron.is_none() && every.is_none() && config.at.is_none() {
            wrong("", "it is never due: give one of `cron`, `every` and `at`");
        }
        if let (Some(start), Some(end)) = (start, end)
            && end < start
        {
            wrong("end", "`end` is before `start`");
        }
        if config.limit == Some(0) {
            wrong("limit", "`limit` is at least 1");
        }
        if mistakes.is_empty() {
            let never = cron
                .iter()
                .zip(cron_texts)
                .filter(|(cron, _)| cron.next(written()).is_none());
            mistakes.extend(
                never.map(|(_, text)| {
                    Mistake::new("cron", format!("`cron: {text}` is never due: there is no such day"))
                }),
            );
        }
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            crons: cron,
            every,
            at,
            exclude,
            start,
            end,
            jitter: millis(config.jitter),
            zone,
        })
    }

    /// The first time after `after` at which the schedule is due, found in at most `left` steps, which grow less by those
    /// that it takes. `None`: never again.
    pub(crate) fn next_within(&self, after: i64, left: &mut usize) -> Result<Option<i64>, GivenUp> {
        let mut after = self.start.map_or(after, |start| after.max(start - 1));
        let cost = (self.crons.len() + self.exclude.len()).max(1);
        while *left > 0 {
            *left = left.saturating_sub(cost);
            let Some(due) = self
                .any_next(after)
                .filter(|due| self.end.is_none_or(|end| *due <= end))
            else {
                return Ok(None);
            };
            match self.excluded_until(due) {
                None => return Ok(Some(due)),
                Some(until) => after = until,
            }
        }
        Err(GivenUp)
    }

    /// The times after `after`, up to and with `until`, at most `limit`, found in at most `left` steps; and whether that
    /// is all there is to say: false where the walk was given up.
    pub(crate) fn walk(&self, after: i64, until: i64, limit: usize, left: &mut usize) -> (Vec<i64>, bool) {
        let mut due = Vec::new();
        let mut last = after;
        while due.len() < limit {
            match self.next_within(last, left) {
                Ok(Some(next)) if next <= until => {
                    due.push(next);
                    last = next;
                }
                Ok(_) => break,
                Err(GivenUp) => return (due, false),
            }
        }
        (due, true)
    }

    /// The times after `after`, up to and with `until`, at most `limit`, and whether that is all there is to say: false
    /// where the search was given up. As much work as for one time, however many there are; still, not on a thread of
    /// the runtime.
    #[must_use]
    pub fn times(&self, after: i64, until: i64, limit: usize) -> (Vec<i64>, bool) {
        self.walk(after, until, limit, &mut { WALK })
    }

    /// The next times, at most `count`, and whether that is all there is to say: false where the search was given up. As
    /// much work as for one time, however many there are.
    #[must_use]
    pub fn preview(&self, after: i64, count: usize) -> (Vec<i64>, bool) {
        self.times(after, i64::MAX, count)
    }

    #[cfg(test)]
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        self.next_within(after, &mut { WALK }).unwrap_or(None)
    }

    #[cfg(test)]
    pub(crate) fn between(&self, after: i64, until: i64, limit: usize) -> Vec<i64> {
        self.walk(after, until, limit, &mut { usize::MAX }).0
    }

    /// By how many milliseconds the start for `due` is put off: the same whenever it is asked, and spread evenly over
    /// the schedules (`seed`) and times.
    #[must_use]
    pub fn jitter(&self, seed: &str, due: i64) -> i64 {
        if self.jitter <= 0 {
            return 0;
        }
        let hash = Sha256::new()
            .chain_update(seed)
            .chain_update([0])
            .chain_update(due.to_be_bytes())
            .finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&hash[..8]);
        // One more, so that all of it can come out; it fits, as `jitter` is a hundred years at most.
        (u64::from_be_bytes(first) % (self.jitter as u64 + 1)) as i64
    }

    /// The zone that it is written in.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// In words, in English.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts: Vec<String> = self.crons.iter().map(ZonedCron::describe).collect();
        if let Some((distance, _)) = self.every {
            let distance = std::time::Duration::from_millis(distance as u64);
            parts.push(format!("Every {distance:?}"));
        }
        parts.extend(self.at.iter().map(|at| format!("At {}", text(*at))));
        parts.join("; ")
    }

    fn any_next(&self, after: i64) -> Option<i64> {
        let crons = Timestamp::from_millisecond(after)
            .ok()
            .into_iter()
            .flat_map(|after| self.crons.iter().filter_map(move |cron| cron.next(after)))
            .map(Timestamp::as_millisecond)
            .min();
        let every = self.every.map(|(distance, phase)| {
            let steps = (after - phase).div_euclid(distance) + 1;
            steps.saturating_mul(distance).saturating_add(phase)
        });
        let at = self.at.get(self.at.partition_point(|at| *at <= after)).copied();
        [crons, every, at].into_iter().flatten().min()
    }

    /// Where a time is left out, up to when everything is.
    fn excluded_until(&self, due: i64) -> Option<i64> {
        let at = Timestamp::from_millisecond(due).ok()?;
        let until = self.exclude.iter().filter_map(|cron| cron.named_until(at)).max()?;
        Some(until.as_millisecond().max(due))
    }
}

/// The day on which this was written: what is before it is nobody's future.
fn written() -> Timestamp {
    Timestamp::from_second(1_790_000_000).unwrap_or_default()
}

/// A time as people and JSON have it.
#[must_use]
pub fn text(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string())
}

/// A moment of a configuration or a request: RFC 3339, or without an offset by the clocks of `zone`.
///
/// # Errors
/// What was expected, to be put behind the text.
pub fn moment(text: &str, zone: &TimeZone) -> Result<i64, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let local: DateTime = text
        .parse()
        .map_err(|_| "is not a moment; write 2027-01-15T08:00:00Z, or 2027-01-15T08:00:00 in the schedule's zone")?;
    zone.to_timestamp(local)
        .map(Timestamp::as_millisecond)
        .map_err(|_| "is too far away".to_owned())
}

fn millis(duration: bowline_connector::Millis) -> i64 {
    i64::try_from(duration.duration().as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn calendar(config: Value) -> Calendar {
        Calendar::read(&ScheduleConfig::read(&config).unwrap()).unwrap()
    }

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn texts(calendar: &Calendar, after: &str, count: usize) -> Vec<String> {
        calendar
            .between(ms(after), i64::MAX, count)
            .into_iter()
            .map(text)
            .collect()
    }

    #[test]
    fn several_ways_are_one_sequence() {
        let calendar = calendar(json!({
            "cron": ["0 12 * * *", "0 18 * * SAT"], "every": "8h", "at": ["2026-11-21T12:00:00", "2026-11-21T13:00:00+01:00"]
        }));
        assert_eq!(
            texts(&calendar, "2026-11-21T08:00:00Z", 4),
            [
                "2026-11-21T12:00:00Z",
                "2026-11-21T16:00:00Z",
                "2026-11-21T18:00:00Z",
                "2026-11-22T00:00:00Z"
            ]
        );
    }

    #[test]
    fn a_distance_has_a_phase_and_bounds() {
        let calendar = calendar(json!({
            "every": "1h", "phase": "10m", "start": "2026-11-21T08:10:00", "end": "2026-11-21T10:10:00Z"
        }));
        assert_eq!(
            texts(&calendar, "2026-01-01T00:00:00Z", 9),
            ["2026-11-21T08:10:00Z", "2026-11-21T09:10:00Z", "2026-11-21T10:10:00Z"]
        );
        assert_eq!(calendar.next(ms("2026-11-21T10:10:00Z")), None);
    }

    #[test]
    fn what_is_excluded_is_not_due() {
        let calendar = calendar(json!({
            "cron": "0 9 * * MON-FRI", "exclude": ["* * 24-26 12 *"], "timezone": "Europe/Oslo"
        }));
        assert_eq!(
            texts(&calendar, "2026-12-23T00:00:00Z", 2),
            ["2026-12-23T08:00:00Z", "2026-12-28T08:00:00Z"]
        );
    }

    #[test]
    fn a_long_exclusion_ends() {
        let weekdays = calendar(json!({"cron": "* * * * * *", "exclude": ["* * * * SAT,SUN"]}));
        assert_eq!(
            texts(&weekdays, "2026-11-20T23:59:57Z", 4),
            [
                "2026-11-20T23:59:58Z",
                "2026-11-20T23:59:59Z",
                "2026-11-23T00:00:00Z",
                "2026-11-23T00:00:01Z"
            ]
        );
        let hours = calendar(
            json!({"every": "1s", "exclude": ["* 0-22 * * *", "30-59 * * * * *"], "timezone": "Asia/Kathmandu"}),
        );
        assert_eq!(
            texts(&hours, "2026-11-20T18:14:29Z", 2),
            ["2026-11-21T17:15:00Z", "2026-11-21T17:15:01Z"]
        );
        // Looking for many takes no longer than looking for one.
        let rare = calendar(json!({
            "cron": "* * * * * *", "exclude": ["0-58 * * * * *", "59 0-58 * * * *", "59 59 0-22 * * *"]
        }));
        let (due, is_all) = rare.preview(ms("2026-11-20T00:00:00Z"), 1000);
        assert!(!is_all && due.len() < 1000, "{}", due.len());
        assert_eq!(rare.preview(0, 2).0.len(), 2);
        // One like that is refused when it is made, and one that is left out as a whole, but not those above.
        let made = |config: Value| Calendar::check(&ScheduleConfig::read(&config).unwrap()).map(drop);
        let refused = made(json!({
            "cron": "* * * * * *", "exclude": ["0-58 * * * * *", "59 0-58 * * * *", "59 59 0-22 * * *"]
        }));
        assert!(refused.unwrap_err()[0].message.contains("too long to find"));
        assert!(made(json!({"every": "1h", "exclude": ["* * * * *"]})).is_err());
        assert!(made(json!({"cron": vec!["0 7 * * *"; 101]})).is_err());
        for taken in [
            json!({"every": "1s", "exclude": ["* 0-22 * * *", "30-59 * * * * *"]}),
            json!({"cron": "* * * * *", "exclude": ["0-58 * * * *", "59 0-22 * * *"]}),
            json!({"cron": "0 0 29 2 *"}),
        ] {
            assert_eq!(made(taken), Ok(()));
        }
        // Everything is left out.
        assert_eq!(
            calendar(json!({"every": "1h", "exclude": ["* * * * *"], "end": "2030-01-01T00:00:00Z"})).next(0),
            None
        );
    }

    #[test]
    fn everything_that_is_wrong_is_told_at_once() {
        let problems = |config: Value| Calendar::read(&ScheduleConfig::read(&config).unwrap()).unwrap_err();
        assert_eq!(
            problems(json!({"cron": "x", "timezone": "Oslo", "at": "soon", "every": 10, "exclude": ["y"]})).len(),
            5
        );
        assert!(problems(json!({}))[0].contains("give one of `cron`, `every` and `at`"));
        assert!(problems(json!({"cron": "0 0 30 2 *"}))[0].contains("never due"));
        assert!(problems(json!({"every": "1m", "phase": "1m"}))[0].contains("shorter"));
        assert!(problems(json!({"phase": "1m", "at": "2026-11-21T08:10:00Z"}))[0].contains("`every`"));
        assert!(
            problems(json!({"every": "1m", "start": "2027-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}))[0]
                .contains("before")
        );
    }

    #[test]
    fn jitter_is_the_same_for_a_time_and_spread_over_them() {
        let calendar = calendar(json!({"every": "1m", "jitter": "30s"}));
        let all: Vec<i64> = (0..1000)
            .map(|n| calendar.jitter("default/report", n * 60_000))
            .collect();
        assert_eq!(
            all,
            (0..1000)
                .map(|n| calendar.jitter("default/report", n * 60_000))
                .collect::<Vec<_>>()
        );
        assert!(all.iter().all(|put_off| (0..=30_000).contains(put_off)));
        let mean = all.iter().sum::<i64>() / 1000;
        assert!((14_000..16_000).contains(&mean), "{mean}");
        assert_ne!(calendar.jitter("other", 0), calendar.jitter("default/report", 0));
    }

    const ZONES: &[&str] = &[
        "UTC",
        "Europe/Oslo",
        "America/New_York",
        "America/St_Johns",
        "Australia/Lord_Howe",
        "Africa/Cairo",
        "Africa/Casablanca",
        "Asia/Kathmandu",
        "Pacific/Apia",
        "Antarctica/Troll",
    ];

    /// What the expression names by the clocks of the zone, found by looking at every minute.
    fn by_hand(cron: &ZonedCron, zone: &TimeZone, hours_all: bool, from: i64, until: i64) -> Vec<i64> {
        let minute = 60_000;
        let local = |at: i64| zone.to_datetime(Timestamp::from_millisecond(at).unwrap());
        let mut due = Vec::new();
        // Two days before, so that it is known which times have been there.
        let mut latest = local(from - 2 * 86_400_000);
        let mut at = from - 2 * 86_400_000 + minute;
        while at <= until {
            let now = local(at);
            let named = |time: DateTime| cron.matches(TimeZone::UTC.to_timestamp(time).unwrap());
            let is_new = now > latest;
            let mut fires = named(now) && (is_new || hours_all);
            if is_new && !hours_all {
                // Minutes that were jumped over.
                let mut jumped = latest + std::time::Duration::from_secs(60);
                while jumped < now {
                    fires |= named(jumped);
                    jumped += std::time::Duration::from_secs(60);
                }
            }
            if fires && at > from {
                due.push(at);
            }
            latest = latest.max(now);
            at += minute;
        }
        due
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn every_time_is_found_and_no_other(
            minutes in prop_oneof![Just("*/7".to_owned()), Just("*".to_owned()), (0..60_u8).prop_map(|m| m.to_string())],
            hours in prop_oneof![
                Just("*".to_owned()), Just("*/2".to_owned()), Just("1-3".to_owned()), (0..24_u8).prop_map(|h| h.to_string())
            ],
            zone in proptest::sample::select(ZONES),
            // Two years of days, so that each change of clocks comes up.
            day in 0..730_i64,
        ) {
            let text = format!("{minutes} {hours} * * *");
            let zone = TimeZone::get(zone).unwrap();
            let from = ms("2026-01-01T00:00:00Z") + day * 86_400_000;
            // Changes are rare: look where the next one is, and on any day.
            let near = zone.following(Timestamp::from_millisecond(from).unwrap()).next()
                .map_or(from, |change| change.timestamp().as_millisecond() - 36_000_000);
            let by_clock = ZonedCron::parse(&text, TimeZone::UTC).unwrap();
            for from in [from, near - near.rem_euclid(60_000)] {
                let until = from + 86_400_000;
                let mut config = ScheduleConfig::read(&json!({"cron": text})).unwrap();
                config.timezone = zone.iana_name().unwrap().to_owned();
                let found = Calendar::read(&config).unwrap().between(from, until, usize::MAX);
                let expected = by_hand(&by_clock, &zone, hours == "*", from, until);
                prop_assert_eq!(found, expected, "{} in {} from {}", text, config.timezone, from);
            }
        }
    }
}
