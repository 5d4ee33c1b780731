//! The secrets that a sender may use, several at once where one is being replaced by another.
//!
//! ```yaml
//! secret: "${env.WEBHOOK_SECRET}"
//! ```
//!
//! ```yaml
//! secret:
//!   - "${env.WEBHOOK_SECRET}"
//!   - { value: "${env.WEBHOOK_SECRET_OLD}", notAfter: "2026-03-01T00:00:00Z" }
//! ```

use std::borrow::Cow;

use bowline_connector::Secret;
use jiff::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, IntoDeserializer, Visitor};
use serde::{Deserialize, Deserializer};

/// One secret, and when it counts.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dated {
    /// The secret itself.
    pub value: Secret,
    /// From when it counts, as RFC 3339 text. Always, where this is absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub not_before: Option<Timestamp>,
    /// Until when it counts, as RFC 3339 text. For ever, where this is absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub not_after: Option<Timestamp>,
}

impl Dated {
    /// Whether it counts at this moment, in milliseconds since the Unix epoch.
    pub fn counts(&self, at: i64) -> bool {
        self.not_before.is_none_or(|from| from.as_millisecond() <= at)
            && self.not_after.is_none_or(|until| at <= until.as_millisecond())
    }
}

/// One secret or several: a text, an object with `value`, `notBefore` and `notAfter`, or a list of these.
#[derive(Clone, Debug)]
pub struct Secrets(pub Vec<Dated>);

impl Secrets {
    /// Those that count at this moment.
    pub fn at(&self, at: i64) -> impl Iterator<Item = &Secret> {
        self.0
            .iter()
            .filter(move |dated| dated.counts(at))
            .map(|dated| &dated.value)
    }

    /// What is wrong with them: nothing may be accepted for a secret that everybody knows.
    ///
    /// # Errors
    /// Where there is none, or one of them is empty.
    pub fn check(&self, field: &str) -> Result<(), String> {
        if self.0.is_empty() {
            return Err(format!("{field}: there is no secret; give at least one"));
        }
        if self.0.iter().any(|dated| dated.value.expose().trim().is_empty()) {
            return Err(format!(
                "{field}: a secret is empty; set the variable that it is taken from"
            ));
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One(Dated);
        impl<'de> Deserialize<'de> for One {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Any;
                impl<'de> Visitor<'de> for Any {
                    type Value = One;
                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a secret, or an object with value, notBefore and notAfter")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<One, E> {
                        Ok(One(Dated {
                            value: Secret::new(text),
                            not_before: None,
                            not_after: None,
                        }))
                    }
                    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<One, A::Error> {
                        Dated::deserialize(de::value::MapAccessDeserializer::new(map)).map(One)
                    }
                }
                deserializer.deserialize_any(Any)
            }
        }
        struct Several;
        impl<'de> Visitor<'de> for Several {
            type Value = Secrets;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a secret, an object with value, notBefore and notAfter, or a list of these")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Secrets, E> {
                One::deserialize(text.into_deserializer()).map(|one| Secrets(vec![one.0]))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Secrets, A::Error> {
                One::deserialize(de::value::MapAccessDeserializer::new(map)).map(|one| Secrets(vec![one.0]))
            }
            fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Secrets, A::Error> {
                let mut all = Vec::new();
                while let Some(One(dated)) = items.next_element()? {
                    all.push(dated);
                }
                Ok(Secrets(all))
            }
        }
        deserializer.deserialize_any(Several)
    }
}

impl JsonSchema for Secrets {
    fn schema_name() -> Cow<'static, str> {
        "Secrets".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let dated = generator.subschema_for::<Dated>();
        json_schema!({
            "description": "A secret, an object with `value`, `notBefore` and `notAfter`, or a list of these while one is being replaced.",
            "anyOf": [
                { "type": "string" },
                dated,
                { "type": "array", "minItems": 1, "items": { "anyOf": [{ "type": "string" }, dated] } }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_several_and_dated() {
        let read = |value| serde_json::from_value::<Secrets>(value);
        let now = "2026-02-01T00:00:00Z".parse::<Timestamp>().unwrap().as_millisecond();
        let texts = |secrets: &Secrets| secrets.at(now).map(|s| s.expose().to_owned()).collect::<Vec<_>>();
        assert_eq!(texts(&read(json!("one")).unwrap()), ["one"]);
        let rotated = read(json!([
            "new",
            { "value": "old", "notAfter": "2026-03-01T00:00:00Z" },
            { "value": "gone", "notAfter": "2026-01-01T00:00:00Z" },
            { "value": "later", "notBefore": "2026-03-01T00:00:00Z" }
        ]))
        .unwrap();
        assert_eq!(texts(&rotated), ["new", "old"]);
        assert_eq!(
            texts(&read(json!({ "value": "x", "notBefore": "2026-01-01T00:00:00Z" })).unwrap()),
            ["x"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for value in [json!(7), json!({ "value": "hush", "until": 1 }), json!([["hush"]])] {
            let error = serde_json::from_value::<Secrets>(value).unwrap_err().to_string();
            assert!(!error.contains("hush"), "{error}");
        }
        assert!(Secrets(Vec::new()).check("secret").is_err());
        let empty = serde_json::from_value::<Secrets>(json!(["hush", " "])).unwrap();
        let told = empty.check("authentication.secret").unwrap_err();
        assert!(
            told.contains("authentication.secret") && !told.contains("hush"),
            "{told}"
        );
    }
}
