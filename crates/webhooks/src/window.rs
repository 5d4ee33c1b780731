//! When a request was signed, and whether that is near enough.

use std::time::Duration;

use jiff::Timestamp;

use crate::refusal::{Reason, Refusal};

/// How far the sender's clock may be from ours, and how long a request may be under way: what the providers
/// recommend.
pub const DEFAULT_TOLERANCE: Duration = Duration::from_secs(300);

/// Reads a moment as senders write it: seconds or milliseconds since the Unix epoch, or RFC 3339 text. In
/// milliseconds.
pub(crate) fn read(header: &str, text: &str) -> Result<i64, Refusal> {
    let expected = "a moment: seconds since 1970, or RFC 3339 text";
    if let Ok(number) = text.parse::<i64>() {
        // Eleven digits are the year 5138 in seconds, and 1973 in milliseconds.
        let is_seconds = number.unsigned_abs() < 100_000_000_000;
        return (if is_seconds {
            number.checked_mul(1000)
        } else {
            Some(number)
        })
        .ok_or_else(|| Refusal::malformed(header, expected));
    }
    text.parse::<Timestamp>()
        .map(Timestamp::as_millisecond)
        .map_err(|_| Refusal::malformed(header, expected))
}

/// Refuses what was signed too far from now, in either direction.
pub(crate) fn check(signed: i64, now: i64, tolerance: Duration) -> Result<(), Refusal> {
    let allowed = i64::try_from(tolerance.as_millis()).unwrap_or(i64::MAX);
    let away = now.saturating_sub(signed);
    let told = |away: i64| format!("{} s, and {} s are allowed", away.unsigned_abs() / 1000, allowed / 1000);
    if away > allowed {
        return Err(Refusal::new(
            Reason::TooOld,
            format!("it was signed too long ago: {}", told(away)),
        ));
    }
    if away < allowed.saturating_neg() {
        return Err(Refusal::new(
            Reason::TooNew,
            format!("it was signed in the future: {}", told(away)),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_in_every_form() {
        for text in ["1614265330", "1614265330000", "2021-02-25T15:02:10Z"] {
            assert_eq!(read("x", text).unwrap(), 1_614_265_330_000, "{text}");
        }
        for text in ["", "soon", "1e9", "99999999999999999999", "2021-02-25"] {
            assert_eq!(read("x", text).unwrap_err().reason, Reason::MalformedHeader, "{text}");
        }
    }

    #[test]
    fn the_window_has_two_sides() {
        let now = 1_614_265_330_000;
        let reason = |signed| {
            check(signed, now, DEFAULT_TOLERANCE)
                .err()
                .map(|refusal| refusal.reason)
        };
        assert_eq!(reason(now - 300_000), None);
        assert_eq!(reason(now + 300_000), None);
        assert_eq!(reason(now - 300_001), Some(Reason::TooOld));
        assert_eq!(reason(now + 300_001), Some(Reason::TooNew));
        assert_eq!(reason(i64::MIN), Some(Reason::TooOld));
        assert_eq!(reason(i64::MAX), Some(Reason::TooNew));
    }
}
