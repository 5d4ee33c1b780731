//! Sets of status codes: which answers count as success.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

/// Status codes: `200`, `"200-299"`, `"2xx"`, or a list of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusSet(Vec<RangeInclusive<u16>>);

impl StatusSet {
    /// 200 to 299, and 300 to 399 too when redirects are answers and not followed.
    #[must_use]
    pub fn success(follows_redirects: bool) -> Self {
        Self(vec![200..=if follows_redirects { 299 } else { 399 }])
    }

    /// Whether `status` is in the set.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }

    fn item(value: &Value) -> Result<RangeInclusive<u16>, String> {
        let bad = || format!("{value} is not a status code; write 200, \"200-299\" or \"2xx\"");
        let code = |text: &str| {
            text.trim()
                .parse::<u16>()
                .ok()
                .filter(|code| (100..=999).contains(code))
                .ok_or_else(bad)
        };
        match value {
            Value::Number(number) => code(&number.to_string()).map(|code| code..=code),
            Value::String(text) => {
                let text = text.trim();
                if let Some(class) = text.to_ascii_lowercase().strip_suffix("xx") {
                    let class = class
                        .parse::<u16>()
                        .ok()
                        .filter(|class| (1..=9).contains(class))
                        .ok_or_else(bad)?;
                    return Ok(class * 100..=class * 100 + 99);
                }
                if let Some((low, high)) = text.split_once('-') {
                    let (low, high) = (code(low)?, code(high)?);
                    return if low <= high { Ok(low..=high) } else { Err(bad()) };
                }
                code(text).map(|code| code..=code)
            }
            _ => Err(bad()),
        }
    }
}

impl<'de> Deserialize<'de> for StatusSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ranges = match Value::deserialize(deserializer)? {
            Value::Array(items) => items.iter().map(Self::item).collect::<Result<Vec<_>, _>>(),
            one => Self::item(&one).map(|range| vec![range]),
        }
        .map_err(de::Error::custom)?;
        if ranges.is_empty() {
            return Err(de::Error::custom(
                "successCodes is empty, so that no answer could succeed",
            ));
        }
        Ok(Self(ranges))
    }
}

impl JsonSchema for StatusSet {
    fn schema_name() -> Cow<'static, str> {
        "StatusCodes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let one = serde_json::json!({
            "oneOf": [
                { "type": "integer", "minimum": 100, "maximum": 999 },
                { "type": "string", "pattern": "^\\s*([1-9]\\d\\d(\\s*-\\s*[1-9]\\d\\d)?|[1-9][xX][xX])\\s*$" }
            ]
        });
        json_schema!({
            "description": "Status codes: `200`, `\"200-299\"`, `\"2xx\"`, or a list of these.",
            "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ranges_and_classes() {
        let set: StatusSet = serde_json::from_str(r#"[200, "204", "300-303", "4XX"]"#).unwrap();
        for (status, expected) in [
            (200, true),
            (201, false),
            (204, true),
            (303, true),
            (304, false),
            (404, true),
            (500, false),
        ] {
            assert_eq!(set.contains(status), expected, "{status}");
        }
        assert!(serde_json::from_str::<StatusSet>("\"2xx\"").unwrap().contains(299));
        for bad in [
            "[]",
            "\"20\"",
            "\"299-200\"",
            "0",
            "\"xx\"",
            "\"0xx\"",
            "{}",
            "\"2xx-3xx\"",
        ] {
            assert!(serde_json::from_str::<StatusSet>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn unfollowed_redirects_are_answers() {
        assert!(!StatusSet::success(true).contains(302));
        assert!(StatusSet::success(false).contains(302));
        assert!(!StatusSet::success(false).contains(400));
    }
}
