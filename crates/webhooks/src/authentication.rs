//! Who may send to an endpoint.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use url::form_urlencoded;

use crate::mac;
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::scheme::{Scheme, Signature, Verified};
use crate::secrets::Secrets;

/// The header with the sender's id of a delivery, where no scheme of signatures says another: by it a second delivery is
/// known.
pub(crate) const ID_HEADER: &str = "Idempotency-Key";

/// Who may send. There is no default: an endpoint that takes requests of anybody has to say so.
///
/// ```yaml
/// authentication: { type: signature, secret: "${env.WEBHOOK_SECRET}" }
/// ```
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub enum Authentication {
    /// Anybody may send. Only for what is known to be reachable by nobody else.
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
    /// A key in a header or in the query.
    ApiKey {
        /// The key, and where it stands.
        credentials: ApiKey,
    },
    /// A signature over the raw request.
    Signature(Box<Signature>),
}

/// User name and password.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BasicCredentials {
    /// User name.
    pub username: String,
    /// The password, or several while one is being replaced.
    pub password: Secrets,
}

/// A bearer token.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BearerCredentials {
    /// The token, or several while one is being replaced.
    pub token: Secrets,
}

/// An API key.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    /// Where the key stands: `header` (default) or `query`.
    #[serde(default)]
    pub key_location: KeyLocation,
    /// Name of the header or of the query parameter.
    pub key_name: String,
    /// The key, or several while one is being replaced.
    pub key_value: Secrets,
}

/// Where an API key stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum KeyLocation {
    /// In a header.
    #[default]
    Header,
    /// In a parameter of the query. Addresses get into logs, so a header is better.
    Query,
}

impl Authentication {
    /// What makes it unusable, beyond its form.
    ///
    /// # Errors
    /// One text for each thing, naming the field.
    pub fn check(&self) -> Result<(), Vec<String>> {
        let at = |name: &str| format!("authentication.credentials.{name}");
        let one = |result: Result<(), String>| result.map_err(|what| vec![what]);
        match self {
            Self::None {} => Ok(()),
            Self::Basic { credentials } if credentials.username.contains(':') => {
                Err(vec![format!("{}: it cannot hold a colon", at("username"))])
            }
            Self::Basic { credentials } => one(credentials.password.check(&at("password"))),
            Self::Bearer { credentials } => one(credentials.token.check(&at("token"))),
            Self::ApiKey { credentials } => {
                if credentials.key_location == KeyLocation::Header
                    && HeaderName::from_bytes(credentials.key_name.as_bytes()).is_err()
                {
                    return Err(vec![format!("{}: it is not a header name", at("keyName"))]);
                }
                one(credentials.key_value.check(&at("keyValue")))
            }
            Self::Signature(signature) => signature.check(),
        }
    }

    /// What it is called: `none`, `basic`, `bearer`, `api-key` or the scheme of a signature.
    pub fn name(&self) -> &'static str {
        match self {
            Self::None {} => "none",
            Self::Basic { .. } => "basic",
            Self::Bearer { .. } => "bearer",
            Self::ApiKey { .. } => "api-key",
            Self::Signature(signature) => match signature.scheme {
                Scheme::Hmac => "hmac",
                Scheme::Stripe => "stripe",
                Scheme::Github => "github",
                Scheme::Slack => "slack",
                Scheme::Shopify => "shopify",
                Scheme::Twilio => "twilio",
                Scheme::StandardWebhooks => "standard-webhooks",
            },
        }
    }

    /// How long a signature of now counts, on both sides of its time; nothing where none has a time.
    pub(crate) fn counts_for(&self) -> Duration {
        match self {
            Self::Signature(signature) if signature.signs_time() => 2 * signature.tolerance(),
            _ => Duration::ZERO,
        }
    }

    /// Whether the sender may send.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, request: &Received<'_>) -> Result<Verified, Refusal> {
        let proven = match self {
            Self::None {} => true,
            Self::Signature(signature) => return signature.verify(request),
            Self::Basic { credentials } => {
                let given = credential(request, "Basic")?;
                let decoded = STANDARD
                    .decode(given)
                    .ok()
                    .and_then(|bytes| String::from_utf8(bytes).ok());
                let (user, password) = decoded
                    .as_deref()
                    .and_then(|text| text.split_once(':'))
                    .ok_or_else(|| Refusal::malformed("Authorization", "Basic and base64 of name:password"))?;
                // Both are looked at, whichever is wrong.
                mac::same(user, &credentials.username) & known(&credentials.password, password, request.at)?
            }
            Self::Bearer { credentials } => {
                let given = credential(request, "Bearer")?;
                known(&credentials.token, given, request.at)?
            }
            Self::ApiKey { credentials } => match credentials.key_location {
                KeyLocation::Header => known(
                    &credentials.key_value,
                    request.header(&credentials.key_name)?,
                    request.at,
                )?,
                KeyLocation::Query => {
                    let mut all = form_urlencoded::parse(request.query().as_bytes())
                        .filter(|(name, _)| *name == credentials.key_name)
                        .map(|(_, value)| value);
                    let (Some(given), None) = (all.next(), all.next()) else {
                        return Err(Refusal::new(
                            Reason::WrongCredentials,
                            format!("the query has no parameter {}, or several", credentials.key_name),
                        ));
                    };
                    known(&credentials.key_value, &given, request.at)?
                }
            },
        };
        if proven {
            // Signatures say themselves where the sender's id stands.
            Ok(Verified {
                id: request.header_if(ID_HEADER).map(ToOwned::to_owned),
                ..Verified::default()
            })
        } else {
            Err(Refusal::new(Reason::WrongCredentials, "the credentials are wrong"))
        }
    }
}

/// What `Authorization` has after the name of the kind.
fn credential<'a>(request: &Received<'a>, kind: &str) -> Result<&'a str, Refusal> {
    let header = request.header("Authorization")?;
    let (name, rest) = header.split_once(' ').unwrap_or((header, ""));
    if !name.eq_ignore_ascii_case(kind) {
        return Err(Refusal::new(
            Reason::WrongAlgorithm,
            format!("the header Authorization is not {kind}, and nothing else is taken"),
        ));
    }
    Ok(rest.trim())
}

/// Whether a text is one of the secrets that count now. All are compared.
fn known(secrets: &Secrets, given: &str, at: i64) -> Result<bool, Refusal> {
    let mut found = false;
    let mut any = false;
    for secret in secrets.at(at) {
        any = true;
        found |= mac::same(secret.expose(), given);
    }
    if any {
        return Ok(found);
    }
    Err(Refusal::new(
        Reason::NoSecretCounts,
        "none of the endpoint's secrets counts at this moment; see notBefore and notAfter",
    ))
}
