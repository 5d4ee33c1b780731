//! Who we are to the service: basic, bearer and API keys.
//!
//! An [`Authentication`] is turned into an [`Applied`] once, which says what to put where; redirects to
//! another origin take exactly that away again.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_connector::{Masker, Secret, StepError};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use crate::alias;
use crate::failure::invalid;
use crate::headers::value_of;

/// How a call proves who makes it.
///
/// ```yaml
/// authentication:
///   type: bearer
///   credentials: { token: "${credentials.shop.token}" }
/// ```
///
/// ```yaml
/// authentication:
///   type: api-key-auth
///   config:
///     keyLocation: header
///     keyName: X-API-Key
///     keyValue: "${env.EXTERNAL_API_KEY}"
///     encoding: base64
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Authentication {
    /// No authentication; at a step it switches off the connection's.
    None {},
    /// User name and password, as `Authorization: Basic`.
    Basic {
        /// User name and password.
        credentials: BasicCredentials,
    },
    /// A token, as `Authorization: Bearer`.
    Bearer {
        /// The token.
        credentials: BearerCredentials,
    },
    /// A ready OAuth 2 access token, sent exactly like `bearer`. The token is fetched elsewhere.
    Oauth {
        /// The token.
        credentials: BearerCredentials,
    },
    /// A key in a header, in the query or in the body.
    ApiKey {
        /// The key, and where it goes.
        credentials: ApiKey,
    },
    /// An `api-key-auth` node as it stands in the node notation.
    ApiKeyAuth {
        /// The key, and where it goes.
        config: ApiKey,
        /// The node's id; it has no effect here.
        #[serde(default)]
        id: Option<String>,
    },
}

/// User name and password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicCredentials {
    /// User name; it cannot hold a colon.
    pub username: Secret,
    /// Password; empty when absent, as some services want it next to a key.
    #[serde(default)]
    pub password: Secret,
}

/// A bearer token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = token_aliases)]
pub struct BearerCredentials {
    /// The token, without the word `Bearer`. `accessToken` is the same.
    #[serde(alias = "accessToken")]
    pub token: Secret,
}

fn token_aliases(schema: &mut Schema) {
    alias::add(schema, "token", "accessToken");
}

/// An API key, and where it goes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    /// Where the key goes: `header` (default), `query`, or `body` as a further field of a JSON object, a
    /// form or a multipart body.
    #[serde(default)]
    pub key_location: KeyLocation,
    /// Name of the header, the query parameter or the body field.
    pub key_name: String,
    /// The key.
    pub key_value: Secret,
    /// How the key is encoded before it is sent; as it is when absent.
    #[serde(default)]
    pub encoding: Option<KeyEncoding>,
    /// Text put before the (encoded) key, such as `"Token "`.
    #[serde(default)]
    pub prefix: Option<String>,
}

/// Where an API key goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyLocation {
    /// A request header.
    #[default]
    Header,
    /// A parameter of the query.
    Query,
    /// A field of the body.
    Body,
}

/// How an API key is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyEncoding {
    /// Not at all.
    None,
    /// Base64 with the standard alphabet and padding.
    Base64,
}

/// What authentication adds to a request. At most one of the three is set.
#[derive(Clone, Default)]
pub(crate) struct Applied {
    pub(crate) header: Option<(HeaderName, HeaderValue)>,
    pub(crate) query: Option<(String, String)>,
    pub(crate) body: Option<(String, String)>,
}

impl Applied {
    /// Whether it puts anything anywhere.
    pub(crate) fn is_some(&self) -> bool {
        self.header.is_some() || self.query.is_some() || self.body.is_some()
    }
}

impl Authentication {
    /// Works out what to put where. Derived forms of the secrets become known to `masker`.
    pub(crate) fn apply(&self, masker: &Masker) -> Result<Applied, StepError> {
        match self {
            Self::None {} => Ok(Applied::default()),
            Self::Basic { credentials } => basic(credentials.username.expose(), credentials.password.expose(), masker),
            Self::Bearer { credentials } | Self::Oauth { credentials } => {
                let token = credentials.token.expose().trim();
                if token.is_empty() {
                    return Err(invalid("authentication.credentials.token", "it is empty"));
                }
                header(
                    "authentication.credentials.token",
                    AUTHORIZATION,
                    &format!("Bearer {token}"),
                )
            }
            Self::ApiKey { credentials: key } | Self::ApiKeyAuth { config: key, .. } => key.apply(masker),
        }
    }
}

impl ApiKey {
    fn apply(&self, masker: &Masker) -> Result<Applied, StepError> {
        if self.key_value.expose().is_empty() {
            return Err(invalid("authentication: keyValue", "it is empty"));
        }
        let mut key = self.key_value.expose().to_owned();
        if self.encoding == Some(KeyEncoding::Base64) {
            key = STANDARD.encode(key);
            masker.add(&key);
        }
        if let Some(prefix) = &self.prefix {
            key = format!("{prefix}{key}");
        }
        let name = self.key_name.clone();
        match self.key_location {
            KeyLocation::Header => {
                let name = HeaderName::from_bytes(name.as_bytes())
                    .map_err(|_| invalid("authentication: keyName", &format!("{name:?} is not a header name")))?;
                header("authentication: keyValue", name, &key)
            }
            KeyLocation::Query => Ok(Applied {
                query: Some((name, key)),
                ..Applied::default()
            }),
            KeyLocation::Body => Ok(Applied {
                body: Some((name, key)),
                ..Applied::default()
            }),
        }
    }
}

/// `Authorization: Basic`, with its base64 form made known to `masker`.
pub(crate) fn basic(username: &str, password: &str, masker: &Masker) -> Result<Applied, StepError> {
    if username.contains(':') {
        return Err(invalid(
            "authentication.credentials.username",
            "a user name for basic cannot hold a colon",
        ));
    }
    let encoded = STANDARD.encode(format!("{username}:{password}"));
    masker.add(&encoded);
    header("authentication.credentials", AUTHORIZATION, &format!("Basic {encoded}"))
}

fn header(field: &str, name: HeaderName, text: &str) -> Result<Applied, StepError> {
    let mut value = value_of(field, text)?;
    value.set_sensitive(true);
    Ok(Applied {
        header: Some((name, value)),
        ..Applied::default()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(value: serde_json::Value) -> Applied {
        serde_json::from_value::<Authentication>(value)
            .unwrap()
            .apply(&Masker::default())
            .unwrap()
    }

    #[test]
    fn headers_of_basic_and_bearer() {
        let basic = applied(json!({ "type": "basic", "credentials": { "username": "user", "password": "pass" } }));
        assert_eq!(basic.header.unwrap().1, "Basic dXNlcjpwYXNz");
        for kind in ["bearer", "oauth"] {
            let bearer = applied(json!({ "type": kind, "credentials": { "accessToken": "t0k" } }));
            assert_eq!(bearer.header.unwrap().1, "Bearer t0k", "{kind}");
        }
        assert!(applied(json!({ "type": "none" })).header.is_none());
    }

    #[test]
    fn a_node_of_the_node_notation_is_read_verbatim() {
        let node = json!({
            "id": "api-key-auth-001", "type": "api-key-auth",
            "config": { "keyLocation": "header", "keyName": "X-API-Key", "keyValue": "secret", "encoding": "base64" }
        });
        let (name, value) = applied(node).header.unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("x-api-key", "c2VjcmV0"));
    }

    #[test]
    fn keys_go_to_query_and_body_with_prefix() {
        let key = |location: &str| {
            applied(json!({ "type": "api-key", "credentials":
                { "keyLocation": location, "keyName": "k", "keyValue": "v", "prefix": "Token " } }))
        };
        assert_eq!(key("query").query, Some(("k".into(), "Token v".into())));
        assert_eq!(key("body").body, Some(("k".into(), "Token v".into())));
    }

    #[test]
    fn what_cannot_be_sent_is_refused_without_telling_it() {
        for value in [
            json!({ "type": "basic", "credentials": { "username": "a:hush", "password": "" } }),
            json!({ "type": "bearer", "credentials": { "token": "" } }),
            json!({ "type": "bearer", "credentials": { "token": "hush\r\nX: 1" } }),
            json!({ "type": "api-key", "credentials": { "keyName": "bad name", "keyValue": "hush" } }),
            json!({ "type": "api-key", "credentials": { "keyName": "n", "keyValue": "" } }),
        ] {
            let auth: Authentication = serde_json::from_value(value.clone()).unwrap();
            let error = auth.apply(&Masker::default()).err().unwrap();
            assert_eq!(error.code, "config.invalid", "{value}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        for value in [
            json!({ "type": "magic" }),
            json!({ "type": "bearer" }),
            json!({ "type": "none", "extra": 1 }),
            json!({ "type": "basic", "credentials": { "user": "a" } }),
        ] {
            assert!(
                serde_json::from_value::<Authentication>(value.clone()).is_err(),
                "{value}"
            );
        }
    }
}
