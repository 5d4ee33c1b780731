//! Moments and durations as people and scripts read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The system's time in milliseconds since the Unix epoch.
pub fn now() -> i64 {
    bowline_engine::Clock::System.now()
}

fn local(ms: i64, format: &str) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |at| at.to_zoned(TimeZone::system()).strftime(format).to_string(),
    )
}

/// `04:00:01.234`, local time.
pub fn clock(ms: i64) -> String {
    local(ms, "%H:%M:%S.%3f")
}

/// `2026-11-22 04:00:01`, local time.
pub fn date(ms: i64) -> String {
    local(ms, "%Y-%m-%d %H:%M:%S")
}

/// `2026-11-22 04:00:01.234`, local time.
pub fn exact(ms: i64) -> String {
    local(ms, "%Y-%m-%d %H:%M:%S.%3f")
}

/// When something is due, as seen from `now`: the time, with its date where it is another day.
pub fn due(ms: i64, now: i64) -> String {
    if date(ms).get(..10) == date(now).get(..10) {
        local(ms, "%H:%M:%S")
    } else {
        date(ms)
    }
}

/// `2026-11-22T04:00:01.234Z`, for scripts.
pub fn rfc3339(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(
        |_| ms.to_string(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
    )
}

/// `0.12s`, `3.4s`, `1m 20s`, `2h 5m`, `3d 4h`.
pub fn duration(ms: i64) -> String {
    let ms = ms.max(0);
    let seconds = ms / 1000;
    let two = |big: i64, big_name: &str, small: i64, small_name: &str| {
        if small == 0 {
            format!("{big}{big_name}")
        } else {
            format!("{big}{big_name} {small}{small_name}")
        }
    };
    match seconds {
        0 => format!("0.{:02}s", ms / 10),
        1..60 => format!("{seconds}.{}s", ms % 1000 / 100),
        60..3600 => two(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// How long until then, as a count-down shows it: whole seconds, rounded up.
pub fn until(at: i64, now: i64) -> String {
    let left = (at - now).max(0);
    if left < 1000 { format!("{left}ms") } else { whole(left) }
}

fn whole(ms: i64) -> String {
    let seconds = (ms + 999) / 1000;
    if seconds < 60 {
        format!("{seconds}s")
    } else {
        duration(seconds * 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        for (ms, expected) in [
            (-5, "0.00s"),
            (120, "0.12s"),
            (3_456, "3.4s"),
            (80_000, "1m 20s"),
            (60_000, "1m"),
            (7_500_000, "2h 5m"),
            (273_600_000, "3d 4h"),
        ] {
            assert_eq!(duration(ms), expected, "{ms}");
        }
    }

    #[test]
    fn count_downs_round_up() {
        for (left, expected) in [
            (-1, "0ms"),
            (250, "250ms"),
            (1000, "1s"),
            (3_001, "4s"),
            (172_800_000, "2d"),
        ] {
            assert_eq!(until(left, 0), expected);
        }
    }

    #[test]
    fn scripts_get_utc_with_milliseconds() {
        assert_eq!(rfc3339(1_700_000_000_005), "2023-11-14T22:13:20.005Z");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
