//! Sizes as users write them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// A number of bytes: a number, or text such as `"10 MB"` (1000-based) or `"512KiB"` (1024-based).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// What an answer may have when nothing else is said: 10 MB.
    pub const DEFAULT_RESPONSE: Self = Self(10_000_000);

    /// What an answer that is no text may have to stand in a result: 64 KiB.
    pub const DEFAULT_INLINE: Self = Self(64 * 1024);

    /// Reads the text form.
    ///
    /// # Errors
    /// What was expected instead.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = || format!("`{text}` is not a size; write bytes, \"10 MB\" or \"512 KiB\"");
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| bad())?;
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" | "k" => 1_000,
            "mb" | "m" => 1_000_000,
            "gb" | "g" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(bad()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(bad)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, factor) in [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)] {
            if self.0 >= factor && self.0.is_multiple_of(factor) {
                return write!(f, "{} {unit}", self.0 / factor);
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Number(number) => number
                .as_u64()
                .map(Self)
                .ok_or_else(|| de::Error::custom(format!("{number} is not a number of bytes"))),
            Value::String(text) => Self::parse(&text).map_err(de::Error::custom),
            _ => Err(de::Error::custom(
                "a size is a number of bytes or text such as \"10 MB\"",
            )),
        }
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Bytes when a number, or text such as `10 MB` (1000-based) or `512 KiB` (1024-based).",
            "type": ["integer", "string"],
            "minimum": 0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_told() {
        for (text, bytes, told) in [
            ("10 MB", 10_000_000, "10 MB"),
            ("512KiB", 524_288, "524288 bytes"),
            ("7", 7, "7 bytes"),
            ("2gb", 2_000_000_000, "2 GB"),
        ] {
            let size = ByteSize::parse(text).unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, told), "{text}");
        }
        for text in ["", "MB", "-1", "1.5 MB", "3 parsecs", "99999999999 GB"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<ByteSize>("-5").is_err());
    }
}
