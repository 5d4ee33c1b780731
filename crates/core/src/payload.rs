//! What goes into a step and comes out of it: JSON text that the core carries and never reads.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON document as text. Cheap to clone; written into a journal record as it is.
#[derive(Clone)]
pub struct Payload(Arc<RawValue>);

impl Payload {
    /// JSON `null`.
    #[must_use]
    pub fn null() -> Self {
        static NULL: OnceLock<Payload> = OnceLock::new();
        NULL.get_or_init(|| Self(RawValue::NULL.to_owned().into())).clone()
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// Where the value has no JSON form, such as a map with keys that are not strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(raw.into()))
    }

    /// Reads the JSON into a type.
    ///
    /// # Errors
    /// Where the JSON does not fit the type.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }

    /// The JSON text.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(|raw| Self(raw.into()))
    }
}
