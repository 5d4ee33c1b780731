//! What `steps.<id>` tells.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How a step went. Made into a value only when an expression reads it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) status: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub(crate) output: Option<Arc<Value>>,
    /// The answer of a node that a callback followed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "shared")]
    pub(crate) response: Option<Arc<Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Value>,
    /// Attempts, when it was asked for, and when it ended; for nodes only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took: Option<(u32, i64, i64)>,
}

impl Report {
    pub(crate) fn of(status: &'static str) -> Self {
        Self {
            status: Cow::Borrowed(status),
            ..Self::default()
        }
    }

    pub(crate) fn to_value(&self) -> Value {
        let mut value = json!({ "status": self.status });
        if let Some(output) = &self.output {
            value["output"] = Value::clone(output);
        }
        if let Some(response) = &self.response {
            value["response"] = Value::clone(response);
        }
        if let Some(error) = &self.error {
            value["error"] = error.clone();
        }
        if let Some((attempts, started_at, ended_at)) = self.took {
            value["attempts"] = json!(attempts);
            value["startedAt"] = json!(started_at);
            value["endedAt"] = json!(ended_at);
        }
        value
    }
}

/// A shared value as itself. That it is there is told apart from that it is null.
mod shared {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    #[expect(clippy::ref_option, reason = "serde calls it with a reference")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Arc<Value>>, serializer: S) -> Result<S::Ok, S::Error> {
        value.as_deref().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Arc<Value>>, D::Error> {
        Value::deserialize(deserializer).map(|value| Some(Arc::new(value)))
    }
}
