//! What goes into a step and comes out of it: JSON text that the core carries and never reads.
//!
//! A large one is kept in the blob store, and the journal holds a reference in its place. Whoever holds the
//! payload sees its text all the same; only its journal form differs:
//!
//! - `{"$payload":{"$blob":"sha256:...","size":n},"refs":[...]}` stands for content in the blob store, `refs` being
//!   the blobs that this content refers to, which would not be found otherwise;
//! - `{"$payload":null,"inline":...}` stands for `...`, where that begins like one of these two itself.

use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::blob::{BlobId, BlobRef};

/// A JSON document as text. Cheap to clone; written into a journal record as it is, unless it is
/// [stored](Payload::stored_as).
#[derive(Clone)]
pub struct Payload(Content);

#[derive(Clone)]
enum Content {
    /// Here, and nowhere else.
    Inline(Arc<RawValue>),
    /// Here, and in the blob store.
    Stored(Arc<RawValue>, Arc<Envelope>),
    /// Read from a journal, and not yet loaded from the blob store.
    Absent(Arc<Envelope>),
}

/// How a journal record begins that holds no content.
const PREFIX: &str = "{\"$payload\":";

/// The journal form of a stored payload.
struct Envelope {
    blob: BlobRef,
    text: Box<RawValue>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeForm {
    #[serde(rename = "$payload")]
    payload: Option<BlobRef>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refs: Vec<Referred>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    inline: Option<Box<RawValue>>,
}

/// In this form [`BlobId::all_in`] finds it.
#[derive(Serialize, Deserialize)]
struct Referred {
    #[serde(rename = "$blob")]
    id: BlobId,
}

impl Payload {
    /// JSON `null`.
    #[must_use]
    pub fn null() -> Self {
        static NULL: OnceLock<Payload> = OnceLock::new();
        NULL.get_or_init(|| Self(Content::Inline(RawValue::NULL.to_owned().into())))
            .clone()
    }

    /// Writes a value as JSON.
    ///
    /// # Errors
    /// Where the value has no JSON form, such as a map with keys that are not strings.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(|raw| Self(Content::Inline(raw.into())))
    }

    /// Reads the JSON into a type.
    ///
    /// # Errors
    /// Where the JSON does not fit the type, and where the content was not [loaded](Self::load).
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.0 {
            Content::Inline(raw) | Content::Stored(raw, _) => serde_json::from_str(raw.get()),
            Content::Absent(envelope) => Err(serde_json::Error::custom(format!(
                "its content is blob {}, which has not been loaded",
                envelope.blob.id
            ))),
        }
    }

    /// The JSON text; of content that was not [loaded](Self::load) the form that stands for it.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.0 {
            Content::Inline(raw) | Content::Stored(raw, _) => raw.get(),
            Content::Absent(envelope) => envelope.text.get(),
        }
    }

    /// The blob that holds the content, if one does.
    #[must_use]
    pub fn stored(&self) -> Option<&BlobRef> {
        match &self.0 {
            Content::Inline(_) => None,
            Content::Stored(_, envelope) | Content::Absent(envelope) => Some(&envelope.blob),
        }
    }

    /// The blob whose content is to be [loaded](Self::load) before this can be read.
    #[must_use]
    pub fn absent(&self) -> Option<&BlobRef> {
        match &self.0 {
            Content::Absent(envelope) => Some(&envelope.blob),
            _ => None,
        }
    }

    /// The same payload, whose content `blob` now holds: a journal refers to it instead of repeating it.
    ///
    /// # Errors
    /// None that can be caused from outside; writing JSON says that it may fail.
    pub fn stored_as(&self, blob: BlobRef) -> Result<Self, serde_json::Error> {
        let Content::Inline(raw) = &self.0 else {
            return Ok(self.clone());
        };
        let refs = BlobId::all_in(raw.get().as_bytes());
        let text = serde_json::value::to_raw_value(&EnvelopeForm {
            payload: Some(blob.clone()),
            refs: refs.into_iter().map(|id| Referred { id }).collect(),
            inline: None,
        })?;
        Ok(Self(Content::Stored(
            Arc::clone(raw),
            Arc::new(Envelope { blob, text }),
        )))
    }

    /// Puts the content in: the bytes of the blob that [`absent`](Self::absent) names. Does nothing where it is
    /// there already.
    ///
    /// # Errors
    /// Where `content` is not JSON.
    pub fn load(&mut self, content: Vec<u8>) -> Result<(), serde_json::Error> {
        if let Content::Absent(envelope) = &self.0 {
            let text = String::from_utf8(content).map_err(serde_json::Error::custom)?;
            let raw = RawValue::from_string(text)?;
            self.0 = Content::Stored(raw.into(), Arc::clone(envelope));
        }
        Ok(())
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Content::Absent(envelope), _) => other.stored().is_some_and(|blob| blob.id == envelope.blob.id),
            (_, Content::Absent(_)) => other == self,
            _ => self.text() == other.text(),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The journal form.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Content::Inline(raw) if raw.get().starts_with(PREFIX) => EnvelopeForm {
                payload: None,
                refs: Vec::new(),
                inline: Some((**raw).to_owned()),
            }
            .serialize(serializer),
            Content::Inline(raw) => raw.serialize(serializer),
            Content::Stored(_, envelope) | Content::Absent(envelope) => envelope.text.serialize(serializer),
        }
    }
}

/// The journal form.
impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().starts_with(PREFIX) {
            return Ok(Self(Content::Inline(raw.into())));
        }
        let form: EnvelopeForm = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        match (form.payload, form.inline) {
            (Some(blob), None) => Ok(Self(Content::Absent(Arc::new(Envelope { blob, text: raw })))),
            (None, Some(inline)) => Ok(Self(Content::Inline(inline.into()))),
            _ => Err(D::Error::custom("a stored payload names either a blob or its text")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn blob(digit: char, size: u64) -> BlobRef {
        BlobRef {
            id: BlobId::parse(&format!("sha256:{}", digit.to_string().repeat(64))).unwrap(),
            size,
            content_type: None,
            grant: None,
        }
    }

    #[test]
    fn a_stored_payload_reads_as_before_and_is_written_as_a_reference() {
        let inner = blob('b', 9);
        let payload = Payload::of(&json!({ "body": inner, "more": "x".repeat(1000) })).unwrap();
        let stored = payload.stored_as(blob('a', payload.text().len() as u64)).unwrap();
        assert_eq!(stored.text(), payload.text());
        assert_eq!(stored, payload);

        let written = serde_json::to_string(&[&stored]).unwrap();
        assert!(written.len() < 300, "{written}");
        let found: Vec<BlobId> = BlobId::all_in(written.as_bytes()).into_iter().collect();
        assert_eq!(found, [blob('a', 0).id, blob('b', 0).id], "what is inside is found too");

        let [mut read]: [Payload; 1] = serde_json::from_str(&written).unwrap();
        assert_eq!(read.absent(), stored.stored());
        assert_eq!(read, stored, "the same blob");
        assert_ne!(read, payload, "nothing is known of what is not there");
        assert!(
            read.parse::<Value>()
                .unwrap_err()
                .to_string()
                .contains("has not been loaded")
        );
        assert!(read.clone().load(b"{".to_vec()).is_err());
        read.load(payload.text().as_bytes().to_vec()).unwrap();
        assert_eq!((read.text(), read.absent()), (payload.text(), None));
        assert_eq!(serde_json::to_string(&[&read]).unwrap(), written);
    }

    #[test]
    fn what_only_looks_like_a_reference_stays_what_it_is() {
        let forged = [
            json!({ "$payload": blob('a', 3) }),
            json!({ "$payload": null, "inline": 1 }),
            json!({ "$payload": 7 }),
        ];
        for value in forged {
            let payload = Payload::of(&value).unwrap();
            let written = serde_json::to_string(&payload).unwrap();
            let read: Payload = serde_json::from_str(&written).unwrap();
            assert_eq!((read.text(), read.absent()), (payload.text(), None));
        }
        // Never written by us, so it is whatever it is.
        let spaced: Payload = serde_json::from_str(r#"{ "$payload": {"$blob":"x"}}"#).unwrap();
        assert_eq!(spaced.absent(), None);
        assert!(serde_json::from_str::<Payload>(r#"{"$payload":{"$blob":"x"}}"#).is_err());
    }
}
