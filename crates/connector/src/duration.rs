//! Durations as users write them.

use std::fmt;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration: milliseconds when a number, or text such as `"30s"`, `"1m 30s"`, `"2d"`, `"250ms"`, or
/// ISO 8601 (`PT5M`, `P2D`). Weeks, days, hours and minutes have their fixed lengths; months and years
/// are refused, because they have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Millis(pub Duration);

impl Millis {
    /// The duration.
    #[must_use]
    pub fn duration(self) -> Duration {
        self.0
    }

    /// Reads the text form.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad =
            || format!("`{text}` is not a duration; write milliseconds, \"30s\", \"5m\", \"2d\" or ISO 8601 (PT5M)");
        let long = || format!("`{text}` is longer than 100 years, the longest duration");
        if let Ok(ms) = text.trim().parse::<u64>() {
            return Self::bounded(Duration::from_millis(ms)).ok_or_else(long);
        }
        let span: Span = text.trim().parse().map_err(|_| bad())?;
        let fixed = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| bad())?;
        Self::bounded(Duration::try_from(fixed).map_err(|_| bad())?).ok_or_else(long)
    }

    /// A hundred years at most: beyond it a typing error is likelier than a wish.
    fn bounded(duration: Duration) -> Option<Self> {
        (duration <= Duration::from_secs(36_525 * 86_400)).then_some(Self(duration))
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX))
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Millis;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration: milliseconds, \"30s\", \"5m\", \"2d\" or ISO 8601 (PT5M)")
            }
            fn visit_u64<E: de::Error>(self, ms: u64) -> Result<Millis, E> {
                Millis::parse(&ms.to_string()).map_err(E::custom)
            }
            fn visit_i64<E: de::Error>(self, ms: i64) -> Result<Millis, E> {
                u64::try_from(ms)
                    .map_err(|_| E::invalid_value(de::Unexpected::Signed(ms), &self))
                    .and_then(|ms| self.visit_u64(ms))
            }
            fn visit_f64<E: de::Error>(self, ms: f64) -> Result<Millis, E> {
                if ms.fract() == 0.0 && (0.0..=4e12).contains(&ms) {
                    self.visit_u64(ms as u64)
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(ms), &self))
                }
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Millis, E> {
                Millis::parse(text).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl JsonSchema for Millis {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Milliseconds when a number, or text such as `30s`, `5m`, `2d`, or ISO 8601 (`PT5M`).",
            "type": ["integer", "string"],
            "minimum": 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read() {
        for (text, ms) in [
            ("30s", 30_000),
            ("250ms", 250),
            ("5m", 300_000),
            ("1m 30s", 90_000),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
            ("PT5M", 300_000),
            ("P2D", 172_800_000),
            ("P1DT1H0.5S", 90_000_500),
            ("1000", 1000),
        ] {
            assert_eq!(Millis::parse(text).map(|m| m.0.as_millis()), Ok(ms), "{text}");
        }
        for text in [
            "",
            "P",
            "-5s",
            "5 parsecs",
            "P1Y",
            "PT",
            "s",
            "1.2.3s",
            "99999999d",
            "99999999999999999999",
        ] {
            assert!(Millis::parse(text).is_err(), "{text}");
        }
        assert!(Millis::parse("100000d").unwrap_err().contains("100 years"));
    }

    #[test]
    fn numbers_are_milliseconds() {
        assert_eq!(serde_json::from_str::<Millis>("30000").ok(), Millis::parse("30s").ok());
        assert!(serde_json::from_str::<Millis>("-1").is_err());
        assert!(serde_json::from_str::<Millis>("1.5").is_err());
    }
}
