//! Times and durations.

use jiff::Timestamp;
use maud::{Markup, html};

/// A moment: RFC 3339 text in, exact and readable out. What is no time is shown as it is.
pub(crate) fn exact(at: &str) -> Markup {
    html! { time datetime=(at) { (readable(at)) } }
}

/// As [`exact`]; where scripts run it is told as how long ago it is.
pub(crate) fn relative(at: &str) -> Markup {
    html! { time datetime=(at) data-relative { (readable(at)) } }
}

/// `2026-11-22 09:48:09 UTC`.
pub(crate) fn readable(at: &str) -> String {
    at.parse::<Timestamp>()
        .map_or_else(|_| at.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// Milliseconds since 1970 of RFC 3339 text.
pub(crate) fn millis(at: &str) -> Option<i64> {
    at.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

/// Milliseconds as people read them: `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..=9 => format!("{seconds}.{} s", millis % 1000 / 100),
        10..=59 => format!("{seconds} s"),
        60..=3599 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..=86_399 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

fn two(large: i64, large_unit: &str, small: i64, small_unit: &str) -> String {
    if small == 0 {
        format!("{large} {large_unit}")
    } else {
        format!("{large} {large_unit} {small} {small_unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        for (given, expected) in [
            (-5, "0 ms"),
            (7, "7 ms"),
            (1234, "1.2 s"),
            (59_999, "59 s"),
            (200_000, "3 min 20 s"),
            (7_200_000, "2 h"),
            (93_600_000, "1 d 2 h"),
        ] {
            assert_eq!(duration(given), expected);
        }
    }

    #[test]
    fn what_is_no_time_is_shown_as_it_is() {
        assert_eq!(readable("soon"), "soon");
        assert_eq!(readable("2026-11-22T09:48:09.5Z"), "2026-11-22 09:48:09 UTC");
    }
}
