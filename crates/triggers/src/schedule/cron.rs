//! A cron expression in a time zone.
//!
//! The expression is walked on a civil clock that knows no zones, and what the clocks of the zone do is worked out here,
//! stretch by stretch of constant offset:
//!
//! - Where clocks go forward, what was due in the hour that does not exist is due once, at the moment they do.
//! - Where they go back, what is due in the repeated hour is due the first time only.
//! - An expression of every hour means "each so many minutes" to whoever writes it: it goes on through both.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// More than any zone has ever moved its clocks.
const MARGIN: SignedDuration = SignedDuration::from_hours(26);

/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub(crate) struct ZonedCron {
    cron: Cron,
    zone: TimeZone,
    /// It runs in every hour, so it follows elapsed time where clocks change.
    every_hour: bool,
}

/// A stretch of time in which the zone's offset is one.
struct Stretch {
    offset: Offset,
    /// When it begins, and the offset before; none where it always was.
    begins: Option<(Timestamp, Offset)>,
    /// When the next one begins.
    ends: Option<Timestamp>,
}

/// The fields with what can stand in them.
const FIELDS: [(&str, &str); 7] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, L, 15W"),
    ("month", "1 to 12 or JAN to DEC"),
    ("day of the week", "0 to 7 or SUN to SAT, FRI#2, FRI#L"),
    ("year", "1 to 5000"),
];

/// Which field of an expression cannot be read: the one that cannot be read beside others that can.
fn what_is_wrong(parser: CronParser, text: &str) -> String {
    let fields: Vec<&str> = text.split_whitespace().collect();
    let first = match fields.len() {
        5 => 1,
        6 | 7 => 0,
        0 => return "it is empty".to_owned(),
        1 if text.starts_with('@') => return "there is no such name".to_owned(),
        1 => return "it has one field".to_owned(),
        many => return format!("it has {many} fields"),
    };
    for (at, field) in fields.iter().enumerate() {
        let mut alone = vec!["*"; fields.len()];
        alone[at] = field;
        if parser.parse(&alone.join(" ")).is_err() {
            let (name, range) = FIELDS[first + at];
            return format!("`{field}` cannot stand for the {name} ({range})");
        }
    }
    "its fields do not go together".to_owned()
}

impl ZonedCron {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn parse(text: &str, zone: TimeZone) -> Result<Self, String> {
        let fields = match text.trim().to_ascii_lowercase().as_str() {
            // As `@daily`, in crontabs.
            "@midnight" => "@daily".to_owned(),
            other => other.to_owned(),
        };
        let parser = CronParser::builder()
            .seconds(Seconds::Optional)
            .year(Year::Optional)
            .build();
        let cron = parser.parse(&fields).map_err(|_| {
            let why = what_is_wrong(parser, &fields);
            format!(
                "`{text}` is not a cron expression: {why}; write five fields (minute, hour, day of month, month, \
                 day of week), six with seconds in front, or @hourly, @daily, @weekly, @monthly, @yearly"
            )
        })?;
        let every_hour = cron.pattern.hours.values().len() == 24;
        Ok(Self { cron, zone, every_hour })
    }

    /// Reads an expression of what is left out: one of five fields means all seconds of its minutes.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub(crate) fn parse_exclusion(text: &str, zone: TimeZone) -> Result<Self, String> {
        let fields = text.split_whitespace().count();
        let whole = if fields == 5 {
            format!("* {text}")
        } else {
            text.to_owned()
        };
        Self::parse(&whole, zone).map_err(|error| error.replace(&format!("`{whole}`"), &format!("`{text}`")))
    }

    /// Where the expression names a moment, the last second of the minute, hour or day that it names as a whole with it:
    /// everything up to there is named too.
    pub(crate) fn named_until(&self, at: Timestamp) -> Option<Timestamp> {
        let local = self.zone.to_datetime(at);
        if !self.cron.is_time_matching(&local).unwrap_or(false) {
            return None;
        }
        let pattern = &self.cron.pattern;
        let all = [
            pattern.seconds.values().len() == 60,
            pattern.minutes.values().len() == 60,
            pattern.hours.values().len() == 24,
        ];
        let left = match all {
            [true, true, true] => (23 - i64::from(local.hour())) * 3600 + (59 - i64::from(local.minute())) * 60,
            [true, true, false] => (59 - i64::from(local.minute())) * 60,
            [true, ..] => 0,
            _ => return Some(at),
        } + (59 - i64::from(local.second()));
        // Where the clocks change in between, the civil time is not what was counted: then only the moment itself.
        let until = at.checked_add(SignedDuration::from_secs(left)).ok()?;
        Some(if self.zone.to_offset(until) == self.zone.to_offset(at) {
            until
        } else {
            at
        })
    }

    /// In words, in English.
    pub(crate) fn describe(&self) -> String {
        self.cron.describe()
    }

    /// Whether a moment is one that the expression names, by the clocks of the zone.
    #[cfg(test)]
    pub(crate) fn matches(&self, at: Timestamp) -> bool {
        self.cron.is_time_matching(&self.zone.to_datetime(at)).unwrap_or(false)
    }

    /// The first moment after `after` at which it is due. `None`: never again.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let mut from = after;
        let mut inclusive = false;
        loop {
            let stretch = self.stretch(from);
            if inclusive && self.skipped_before(&stretch, from) {
                return Some(from);
            }
            let mut local = stretch.offset.to_datetime(from);
            let mut with_local = inclusive;
            if let Some(repeated_until) = self.repeated_until(&stretch)
                && local < repeated_until
            {
                local = repeated_until;
                with_local = true;
            }
            let found = self.walk(local, with_local)?;
            let at = stretch.offset.to_timestamp(found).ok()?;
            let Some(ends) = stretch.ends else { return Some(at) };
            if at < ends {
                return Some(at);
            }
            // Years of changes in between need no look each: what is skipped or repeated stands next to what was found.
            let near = at.checked_sub(MARGIN).ok()?;
            (from, inclusive) = if near > ends { (near, false) } else { (ends, true) };
        }
    }

    fn walk(&self, from: DateTime, inclusive: bool) -> Option<DateTime> {
        // An error is the end of the years that the expression may name.
        self.cron.find_next_occurrence(&from, inclusive).ok()
    }

    fn stretch(&self, at: Timestamp) -> Stretch {
        let offset = self.zone.to_offset(at);
        // Those strictly before the next nanosecond: a change at `at` itself has happened.
        let just_after = at.checked_add(SignedDuration::from_nanos(1)).unwrap_or(at);
        let begins = self.zone.preceding(just_after).next().map(|change| {
            let since = change.timestamp();
            let before = since.checked_sub(SignedDuration::from_nanos(1)).unwrap_or(since);
            (since, self.zone.to_offset(before))
        });
        let ends = self.zone.following(at).next().map(|change| change.timestamp());
        Stretch { offset, begins, ends }
    }

    /// Whether the clocks, going forward at `at`, jumped over something that is due.
    fn skipped_before(&self, stretch: &Stretch, at: Timestamp) -> bool {
        match stretch.begins {
            Some((since, before)) if since == at && before < stretch.offset && !self.every_hour => {
                let first_new = stretch.offset.to_datetime(at);
                self.walk(before.to_datetime(at), true)
                    .is_some_and(|due| due < first_new)
            }
            _ => false,
        }
    }

    /// Up to when the civil times of a stretch have been there before.
    fn repeated_until(&self, stretch: &Stretch) -> Option<DateTime> {
        match stretch.begins {
            Some((since, before)) if before > stretch.offset && !self.every_hour => Some(before.to_datetime(since)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(text: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let cron = ZonedCron::parse(text, zone.clone()).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        let mut found = Vec::new();
        while found.len() < count {
            let Some(due) = cron.next(at) else { break };
            assert!(due > at, "{text} does not advance: {due} after {at}");
            at = due;
            found.push(due.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %:z").to_string());
        }
        found
    }

    // Oslo went from 02:00 to 03:00 on 2026-03-29, and from 03:00 back to 02:00 on 2026-10-25.

    #[test]
    fn the_field_that_is_wrong_is_named() {
        let why = |text: &str| ZonedCron::parse(text, TimeZone::UTC).unwrap_err();
        for (text, part) in [
            ("70 * * * *", "`70` cannot stand for the minute (0 to 59)"),
            ("0 0 25 * * *", "`25` cannot stand for the hour"),
            ("0 0 * * FOO", "the day of the week"),
            ("0 0 32 * *", "the day of the month"),
            ("* * *", "it has 3 fields"),
            ("soon", "one field"),
            ("@sometimes", "no such name"),
            ("", "empty"),
        ] {
            assert!(why(text).contains(part), "{text}: {}", why(text));
        }
    }

    #[test]
    fn a_skipped_hour_runs_once_when_the_clocks_go_forward() {
        assert_eq!(
            next("30 2 * * *", "Europe/Oslo", "2026-03-28T00:00:00Z", 3),
            [
                "2026-03-28 02:30:00 +01:00",
                "2026-03-29 03:00:00 +02:00",
                "2026-03-30 02:30:00 +02:00"
            ]
        );
        assert_eq!(
            next("*/10 2 * * *", "Europe/Oslo", "2026-03-28T01:50:00Z", 2),
            ["2026-03-29 03:00:00 +02:00", "2026-03-30 02:00:00 +02:00"]
        );
        // What is due at three by itself is due there once, with what was skipped.
        assert_eq!(
            next("30 2,3 * * *", "Europe/Oslo", "2026-03-28T03:00:00Z", 2),
            ["2026-03-29 03:00:00 +02:00", "2026-03-29 03:30:00 +02:00"]
        );
        assert_eq!(
            next("0 2,3 * * *", "Europe/Oslo", "2026-03-28T03:00:00Z", 2),
            ["2026-03-29 03:00:00 +02:00", "2026-03-30 02:00:00 +02:00"]
        );
    }

    #[test]
    fn a_repeated_hour_runs_the_first_time_only() {
        assert_eq!(
            next("30 2 * * *", "Europe/Oslo", "2026-10-24T10:00:00Z", 2),
            ["2026-10-25 02:30:00 +02:00", "2026-10-26 02:30:00 +01:00"]
        );
        assert_eq!(
            next("*/30 2,3 * * *", "Europe/Oslo", "2026-10-24T10:00:00Z", 4),
            [
                "2026-10-25 02:00:00 +02:00",
                "2026-10-25 02:30:00 +02:00",
                "2026-10-25 03:00:00 +01:00",
                "2026-10-25 03:30:00 +01:00"
            ]
        );
        // Asked in the middle of the second time round.
        assert_eq!(
            next("30 2 * * *", "Europe/Oslo", "2026-10-25T01:10:00Z", 1),
            ["2026-10-26 02:30:00 +01:00"]
        );
    }

    #[test]
    fn every_hour_goes_on_by_elapsed_time() {
        assert_eq!(
            next("*/30 * * * *", "Europe/Oslo", "2026-10-25T00:00:00Z", 5),
            [
                "2026-10-25 02:30:00 +02:00",
                "2026-10-25 02:00:00 +01:00",
                "2026-10-25 02:30:00 +01:00",
                "2026-10-25 03:00:00 +01:00",
                "2026-10-25 03:30:00 +01:00"
            ]
        );
        assert_eq!(
            next("45 * * * *", "Europe/Oslo", "2026-03-29T00:00:00Z", 2),
            ["2026-03-29 01:45:00 +01:00", "2026-03-29 03:45:00 +02:00"]
        );
    }

    #[test]
    fn zones_that_change_oddly() {
        // Half an hour: Lord Howe goes from 02:00 to 02:30 on 2026-10-04, and back on 2026-04-05.
        assert_eq!(
            next("15 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", 2),
            ["2026-10-04 02:30:00 +11:00", "2026-10-05 02:15:00 +11:00"]
        );
        assert_eq!(
            next("45 1 * * *", "Australia/Lord_Howe", "2026-04-04T00:00:00Z", 2),
            ["2026-04-05 01:45:00 +11:00", "2026-04-06 01:45:00 +10:30"]
        );
        // Clocks that change at midnight: there is no 00:00 on 2026-04-24 in Cairo.
        assert_eq!(
            next("0 0 * * *", "Africa/Cairo", "2026-04-23T00:00:00Z", 2),
            ["2026-04-24 01:00:00 +03:00", "2026-04-25 00:00:00 +03:00"]
        );
        // A whole day that was not there: Samoa had no 2011-12-30.
        assert_eq!(
            next("0 12 * * *", "Pacific/Apia", "2011-12-29T00:00:00Z", 3),
            [
                "2011-12-29 12:00:00 -10:00",
                "2011-12-31 00:00:00 +14:00",
                "2011-12-31 12:00:00 +14:00"
            ]
        );
    }

    #[test]
    fn the_letters_of_quartz() {
        assert_eq!(
            next("0 9 L * *", "UTC", "2028-02-01T00:00:00Z", 2),
            ["2028-02-29 09:00:00 +00:00", "2028-03-31 09:00:00 +00:00"]
        );
        // 2026-08-15 is a Saturday.
        assert_eq!(
            next("0 9 15W 8 *", "UTC", "2026-08-01T00:00:00Z", 1),
            ["2026-08-14 09:00:00 +00:00"]
        );
        assert_eq!(
            next("0 9 * * FRI#2", "UTC", "2026-11-01T00:00:00Z", 1),
            ["2026-11-13 09:00:00 +00:00"]
        );
        assert_eq!(
            next("0 9 * * FRI#L", "UTC", "2026-11-01T00:00:00Z", 1),
            ["2026-11-27 09:00:00 +00:00"]
        );
        assert_eq!(
            next("0 30 7 * * MON-FRI", "UTC", "2026-11-20T08:00:00Z", 1),
            ["2026-11-23 07:30:00 +00:00"]
        );
        assert_eq!(
            next("@midnight", "UTC", "2026-11-20T08:00:00Z", 1),
            ["2026-11-21 00:00:00 +00:00"]
        );
        assert_eq!(
            next("0 0 0 1 1 * 2031", "UTC", "2026-11-20T08:00:00Z", 2),
            ["2031-01-01 00:00:00 +00:00"]
        );
    }

    #[test]
    fn a_rare_day_is_found_across_many_changes_of_clocks() {
        assert_eq!(
            next("30 2 29 2 *", "America/New_York", "2097-01-01T00:00:00Z", 2),
            ["2104-02-29 02:30:00 -05:00", "2108-02-29 02:30:00 -05:00"]
        );
        assert!(next("0 0 30 2 *", "America/New_York", "2026-01-01T00:00:00Z", 1).is_empty());
    }

    #[test]
    fn what_is_wrong_is_told() {
        for bad in [
            "",
            "* * *",
            "61 * * * *",
            "0 7 * * MONDAI",
            "@fortnightly",
            "0 7 * * * * * *",
        ] {
            let error = ZonedCron::parse(bad, TimeZone::UTC).unwrap_err();
            assert!(error.contains("five fields"), "{bad}: {error}");
        }
    }
}
