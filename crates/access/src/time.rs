//! Times as they are shown.

/// A time in RFC 3339, with milliseconds, in UTC.
pub(crate) fn text(ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{ms} ms"),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_time_has_milliseconds() {
        assert_eq!(super::text(1_500), "1970-01-01T00:00:01.500Z");
    }
}
