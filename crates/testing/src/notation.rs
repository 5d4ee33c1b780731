//! Notations with a short and a long form, delays and faults, shared by all services.
//!
//! They are read by hand, not as untagged enums, so that an error tells what is wrong with the form that was
//! meant. Their schemas list both forms.

use std::num::NonZeroU64;

use bowline_connector::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A delay: fixed, or random within bounds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Delay {
    pub(crate) min: Millis,
    pub(crate) max: Millis,
}

/// A random delay.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DelayRange {
    /// Shortest.
    min: Millis,
    /// Longest.
    max: Millis,
}

impl<'de> Deserialize<'de> for Delay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let range = if value.is_object() {
            DelayRange::deserialize(value)
        } else {
            Millis::deserialize(value).map(|fixed| DelayRange { min: fixed, max: fixed })
        }
        .map_err(serde::de::Error::custom)?;
        if range.min > range.max {
            return Err(serde::de::Error::custom("`min` is greater than `max`"));
        }
        Ok(Self {
            min: range.min,
            max: range.max,
        })
    }
}

impl JsonSchema for Delay {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Delay".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        #[derive(JsonSchema)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "describes the two notations for the schema")]
        enum Notation {
            /// The same for every call.
            Fixed(Millis),
            /// Random within bounds.
            Range(DelayRange),
        }
        Notation::json_schema(generator)
    }
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FaultType {
    /// The TCP connection is reset.
    Reset,
    /// No answer ever comes; the connection stays open.
    Hang,
    /// The answer starts well and then breaks the protocol.
    Malformed,
    /// The connection closes without a byte.
    Empty,
    /// Bytes that are no answer at all.
    Garbage,
    /// The connection closes in the middle of the answer.
    Drop,
    /// An answer with the fault's `status`; nothing was carried out.
    Status,
}

/// When which fault strikes.
#[derive(Clone, Debug)]
pub(crate) struct Fault(pub(crate) FaultRule);

/// The long form of a fault.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FaultRule {
    /// What goes wrong. May be left out beside `status`.
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<FaultType>,
    /// The status (for mail: the reply code) to answer.
    #[serde(default)]
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: Option<u16>,
    /// Sent as `Retry-After` beside `status`, rounded up to seconds.
    #[serde(default)]
    pub(crate) retry_after: Option<Millis>,
    /// Body beside `status`.
    #[serde(default, deserialize_with = "present")]
    pub(crate) body: Option<Value>,
    /// Strikes every n-th call: 1 is each call, 3 is the third, sixth, and so on.
    #[serde(default = "each")]
    pub(crate) every: NonZeroU64,
    /// So many calls pass before counting begins.
    #[serde(default)]
    pub(crate) after: u64,
    /// Strikes so many times at most.
    #[serde(default)]
    pub(crate) count: Option<u64>,
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let rule = if value.is_object() {
            FaultRule::deserialize(value)
        } else {
            FaultType::deserialize(value).map(|kind| FaultRule {
                kind: Some(kind),
                status: None,
                retry_after: None,
                body: None,
                every: each(),
                after: 0,
                count: None,
            })
        };
        rule.map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Fault {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fault".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        #[derive(JsonSchema)]
        #[serde(untagged)]
        #[expect(dead_code, reason = "describes the two notations for the schema")]
        enum Notation {
            /// Strikes every call.
            Name(FaultType),
            /// Says when it strikes.
            Rule(FaultRule),
        }
        Notation::json_schema(generator)
    }
}

/// Reads a field that is there, so that `null` is a value and not an absence.
pub(crate) fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

fn each() -> NonZeroU64 {
    NonZeroU64::MIN
}
