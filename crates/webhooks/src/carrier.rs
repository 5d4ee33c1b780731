//! Where a request carries what proves its sender, and what is kept of that.
//!
//! A signature is kept as it came: with the body it can be verified again. A credential is kept nowhere. In its place a
//! [`Seal`] of it is, so that one that was refused while the endpoint's secret was missing can be verified when it is
//! there.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::form_urlencoded;

use crate::authentication::{Authentication, KeyLocation};
use crate::delivery::Hidden;
use crate::mac::{self, Algorithm};
use crate::request::Received;

/// Where a request carries what proves its sender.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// In nothing that is a secret: a signature, or nothing at all.
    Signature,
    /// In `Authorization: Basic`.
    Basic,
    /// In `Authorization: Bearer`.
    Bearer,
    /// In this header.
    Header(String),
    /// In this parameter of the query.
    Parameter(String),
    /// Nobody can say.
    Unknown,
}

impl Carrier {
    /// What a configuration says that cannot be had as a whole, such as one whose secret is not set.
    pub fn of_source(config: &Value) -> Self {
        let authentication = &config["authentication"];
        let plain = |value: &Value| {
            let text = value.as_str().filter(|text| !text.contains("${"));
            text.map(ToOwned::to_owned)
        };
        match plain(&authentication["type"]).as_deref() {
            Some("none" | "signature") => Self::Signature,
            Some("basic") => Self::Basic,
            Some("bearer") => Self::Bearer,
            Some("api-key") => {
                let credentials = &authentication["credentials"];
                match (plain(&credentials["keyName"]), credentials["keyLocation"].as_str()) {
                    (Some(name), None | Some("header")) => Self::Header(name),
                    (Some(name), Some("query")) => Self::Parameter(name),
                    _ => Self::Unknown,
                }
            }
            _ => Self::Unknown,
        }
    }

    /// What of a request must be kept nowhere.
    pub fn hidden(&self) -> Hidden<'_> {
        match self {
            Self::Signature | Self::Basic | Self::Bearer => Hidden::Nothing,
            Self::Header(name) => Hidden::Header(name),
            Self::Parameter(name) => Hidden::Parameter(name),
            Self::Unknown => Hidden::All,
        }
    }

    /// The credential that a request presents, if it does so once.
    fn presented(&self, request: &Received<'_>) -> Option<String> {
        let authorization = |kind: &str| {
            let (name, rest) = request.header("Authorization").ok()?.split_once(' ')?;
            name.eq_ignore_ascii_case(kind).then(|| rest.trim().to_owned())
        };
        match self {
            Self::Signature | Self::Unknown => None,
            Self::Basic => String::from_utf8(STANDARD.decode(authorization("Basic")?).ok()?).ok(),
            Self::Bearer => authorization("Bearer"),
            Self::Header(name) => request.header(name).ok().map(ToOwned::to_owned),
            Self::Parameter(wanted) => {
                let mut all = form_urlencoded::parse(request.query().as_bytes()).filter(|(name, _)| name == wanted);
                match (all.next(), all.next()) {
                    (Some((_, value)), None) => Some(value.into_owned()),
                    _ => None,
                }
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Signature => "signature".to_owned(),
            Self::Basic => "basic".to_owned(),
            Self::Bearer => "bearer".to_owned(),
            Self::Header(name) => format!("header {}", name.to_ascii_lowercase()),
            Self::Parameter(name) => format!("parameter {name}"),
            Self::Unknown => "unknown".to_owned(),
        }
    }
}

impl Authentication {
    /// Where a request carries what proves its sender.
    pub fn carrier(&self) -> Carrier {
        match self {
            Self::None {} | Self::Signature(_) => Carrier::Signature,
            Self::Basic { .. } => Carrier::Basic,
            Self::Bearer { .. } => Carrier::Bearer,
            Self::ApiKey { credentials } => match credentials.key_location {
                KeyLocation::Header => Carrier::Header(credentials.key_name.clone()),
                KeyLocation::Query => Carrier::Parameter(credentials.key_name.clone()),
            },
        }
    }

    /// The credentials that count at this moment, as a request presents them.
    fn credentials(&self, at: i64) -> Vec<String> {
        let texts = |secrets: &crate::Secrets| -> Vec<String> {
            secrets.at(at).map(|secret| secret.expose().to_owned()).collect()
        };
        match self {
            Self::None {} | Self::Signature(_) => Vec::new(),
            Self::Basic { credentials } => texts(&credentials.password)
                .into_iter()
                .map(|password| format!("{}:{password}", credentials.username))
                .collect(),
            Self::Bearer { credentials } => texts(&credentials.token),
            Self::ApiKey { credentials } => texts(&credentials.key_value),
        }
    }
}

/// Makes of a credential what may be kept: a text by which it is known when it is there again, and by nobody without the
/// key. Those of two deliveries are different, though the credential is the same.
pub struct Seal([u8; 32]);

impl Seal {
    /// With the key of these bytes, which must be secret and random.
    pub fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    /// What is kept of the credential that a request presents; none where it has none.
    pub fn of(&self, carrier: &Carrier, request: &Received<'_>, delivery: &str) -> Option<String> {
        Some(self.text(carrier, &carrier.presented(request)?, delivery))
    }

    /// Whether the request that `kept` was made of presented a credential that counted at `at`, by what the endpoint's
    /// are now.
    pub fn is_of(&self, authentication: &Authentication, at: i64, delivery: &str, kept: &str) -> bool {
        let carrier = authentication.carrier();
        let all = authentication.credentials(at);
        // All are compared.
        all.iter().fold(false, |found, credential| {
            found | mac::same(&self.text(&carrier, credential, delivery), kept)
        })
    }

    fn text(&self, carrier: &Carrier, credential: &str, delivery: &str) -> String {
        let about = carrier.text();
        let parts: [&[u8]; 6] = [
            b"credential\0",
            delivery.as_bytes(),
            b"\0",
            about.as_bytes(),
            b"\0",
            credential.as_bytes(),
        ];
        mac::hex(mac::sign(Algorithm::Sha256, &self.0, &parts).as_ref())
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_credential_is_known_again_without_being_kept() {
        let seal = Seal::new([7; 32]);
        let cases = [
            (
                json!({ "type": "bearer", "credentials": { "token": "hush" } }),
                ("authorization", "bearer hush"),
            ),
            (
                json!({ "type": "basic", "credentials": { "username": "ann", "password": ["other", "hush"] } }),
                ("authorization", "Basic YW5uOmh1c2g="),
            ),
            (
                json!({ "type": "api-key", "credentials": { "keyName": "X-Key", "keyValue": "hush" } }),
                ("x-key", "hush"),
            ),
            (
                json!({ "type": "api-key", "credentials": { "keyLocation": "query", "keyName": "k", "keyValue": "hush" } }),
                ("x-any", "any"),
            ),
        ];
        for (config, (name, value)) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            let request = Received {
                method: &Method::POST,
                url: "https://host/p?a=1&k=hush",
                path: "/p",
                headers: &headers,
                body: b"",
                at: 0,
            };
            let carrier = Carrier::of_source(&json!({ "authentication": config }));
            let is: Authentication = serde_json::from_value(config.clone()).unwrap();
            assert_eq!(carrier, is.carrier());
            let kept = seal.of(&carrier, &request, "d1").unwrap();
            assert!(!kept.contains("hush"));
            assert!(seal.is_of(&is, 0, "d1", &kept), "{config}");
            assert!(!seal.is_of(&is, 0, "d2", &kept));
            assert!(!Seal::new([8; 32]).is_of(&is, 0, "d1", &kept));
            let other = serde_json::from_str(&config.to_string().replace("hush", "shout")).unwrap();
            assert!(!seal.is_of(&other, 0, "d1", &kept), "{config}");
        }
    }

    #[test]
    fn credentials_are_hidden_without_the_configuration() {
        let of = |authentication: Value| Carrier::of_source(&json!({ "authentication": authentication }));
        let key = |credentials: Value| of(json!({ "type": "api-key", "credentials": credentials }));
        let in_header = key(json!({ "keyName": "X-Own" }));
        assert_eq!(in_header.hidden(), Hidden::Header("X-Own"));
        let in_query = key(json!({ "keyName": "k", "keyLocation": "query" }));
        assert_eq!(in_query.hidden(), Hidden::Parameter("k"));
        assert_eq!(key(json!({ "keyName": "${env.N}" })).hidden(), Hidden::All);
        assert_eq!(of(json!({ "type": "${env.T}" })).hidden(), Hidden::All);
        assert_eq!(Carrier::of_source(&json!("${env.ALL}")).hidden(), Hidden::All);
        assert_eq!(of(json!({ "type": "signature" })).hidden(), Hidden::Nothing);
    }
}
