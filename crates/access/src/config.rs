//! What can be configured about access.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bowline_connector::Millis;
use jsonwebtoken::Algorithm;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Role;

/// The audit log is kept so long at least.
const SHORTEST_AUDIT: Duration = Duration::from_hours(1);

/// Who is let in. API keys need no configuration; they are made with `bowline keys create`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Accept JSON Web Tokens of this issuer. Default: none are accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// How long a session of the inspector lasts. Default: 12 hours.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Millis>,
    /// How long the audit log is kept; an hour at least. Default: a year.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_audit: Option<Millis>,
}

impl Config {
    /// What would not do, by the names of settings, such as `jwt.issuer`. The file with an issuer's keys is read.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let mut wrong = self.jwt.as_ref().map(crate::jwt::mistakes).unwrap_or_default();
        if self.session().is_zero() {
            let why = "a session of no time lets nobody in; expected more than 0";
            wrong.push(("session", why.to_owned()));
        }
        if self.keep_audit() < SHORTEST_AUDIT {
            let why = "the audit log would be gone before anybody can read it; expected an hour or more, such as 365d";
            wrong.push(("keepAudit", why.to_owned()));
        }
        wrong
    }

    /// [`Config::session`] with its default.
    #[must_use]
    pub fn session(&self) -> Duration {
        self.session.map_or(Duration::from_secs(12 * 3_600), Millis::duration)
    }

    /// [`Config::keep_audit`] with its default.
    #[must_use]
    pub fn keep_audit(&self) -> Duration {
        self.keep_audit
            .map_or(Duration::from_secs(365 * 86_400), Millis::duration)
    }
}

/// JSON Web Tokens of one issuer. Its public keys come as a JWKS, from a URL or a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Jwt {
    /// What the claim `iss` has to be.
    pub issuer: String,
    /// What the claim `aud` has to be, or contain one of.
    pub audience: OneOrMore,
    /// Where the issuer's public keys are. HTTPS, unless the host is this machine. One of this and `jwksFile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// A file with the issuer's public keys; read again when a token names one that is not in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwks_file: Option<PathBuf>,
    /// The algorithms that are accepted. All of them have a public key; `none` and shared secrets cannot be named.
    #[serde(default = "Jwt::usual_algorithms")]
    pub algorithms: Vec<TokenAlgorithm>,
    /// By how much clocks may differ. Default: 60 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leeway: Option<Millis>,
    /// The claim with the organization: its name, or a path such as `app.organization`.
    #[serde(default = "Jwt::usual_organization_claim")]
    pub organization_claim: String,
    /// The organization of tokens without that claim. Default: they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization: Option<String>,
    /// The claim with the role or roles: its name, or a path such as `realm_access.roles`. Of several the highest counts.
    #[serde(default = "Jwt::usual_role_claim")]
    pub role_claim: String,
    /// What the role claim's values mean. Default: each role's own name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub roles: BTreeMap<String, Role>,
    /// The role of tokens whose claim names none. Default: they are refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// The claim with the scopes: a list, or text with spaces. Default: none; a token then has all scopes but
    /// `organizations`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope_claim: Option<String>,
}

impl Jwt {
    fn usual_algorithms() -> Vec<TokenAlgorithm> {
        vec![TokenAlgorithm::Rs256, TokenAlgorithm::Es256, TokenAlgorithm::EdDsa]
    }

    fn usual_organization_claim() -> String {
        "organization".to_owned()
    }

    fn usual_role_claim() -> String {
        "role".to_owned()
    }

    /// [`Jwt::leeway`] with its default.
    #[must_use]
    pub fn leeway(&self) -> Duration {
        self.leeway.map_or(Duration::from_secs(60), Millis::duration)
    }
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl OneOrMore {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }
}

/// How a token may be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum TokenAlgorithm {
    /// RSA PKCS #1 with SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// RSA PKCS #1 with SHA-384.
    #[serde(rename = "RS384")]
    Rs384,
    /// RSA PKCS #1 with SHA-512.
    #[serde(rename = "RS512")]
    Rs512,
    /// RSA-PSS with SHA-256.
    #[serde(rename = "PS256")]
    Ps256,
    /// RSA-PSS with SHA-384.
    #[serde(rename = "PS384")]
    Ps384,
    /// RSA-PSS with SHA-512.
    #[serde(rename = "PS512")]
    Ps512,
    /// ECDSA on P-256.
    #[serde(rename = "ES256")]
    Es256,
    /// ECDSA on P-384.
    #[serde(rename = "ES384")]
    Es384,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl From<TokenAlgorithm> for Algorithm {
    fn from(algorithm: TokenAlgorithm) -> Self {
        match algorithm {
            TokenAlgorithm::Rs256 => Self::RS256,
            TokenAlgorithm::Rs384 => Self::RS384,
            TokenAlgorithm::Rs512 => Self::RS512,
            TokenAlgorithm::Ps256 => Self::PS256,
            TokenAlgorithm::Ps384 => Self::PS384,
            TokenAlgorithm::Ps512 => Self::PS512,
            TokenAlgorithm::Es256 => Self::ES256,
            TokenAlgorithm::Es384 => Self::ES384,
            TokenAlgorithm::EdDsa => Self::EdDSA,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_short_configuration_has_safe_defaults() {
        let config =
            read(r#"{"jwt": {"issuer": "https://i", "audience": "bowline", "jwksUrl": "https://i/jwks"}}"#).unwrap();
        let jwt = config.jwt.unwrap();
        assert_eq!(jwt.leeway(), Duration::from_secs(60));
        assert_eq!((jwt.role, jwt.organization), (None, None));
        assert_eq!(jwt.algorithms.len(), 3);
        assert_eq!(read("{}").unwrap(), Config::default());
    }

    #[test]
    fn all_that_would_not_do_is_told() {
        let text = r#"{"jwt": {"issuer": " ", "audience": [], "algorithms": [], "jwksFile": "/nowhere/jwks.json"},
            "session": 0, "keepAudit": "1ms"}"#;
        let wrong = read(text).unwrap().check();
        let names: Vec<_> = wrong.iter().map(|(name, _)| *name).collect();
        assert_eq!(
            names,
            [
                "jwt.issuer",
                "jwt.audience",
                "jwt.algorithms",
                "jwt.jwksFile",
                "session",
                "keepAudit"
            ]
        );
        assert!(wrong[3].1.contains("/nowhere/jwks.json: "), "{wrong:?}");
        assert!(Config::default().check().is_empty());
    }

    #[test]
    fn none_and_shared_secrets_cannot_be_configured() {
        for bad in ["none", "HS256", "HS512", "rs256"] {
            let text = format!(r#"{{"jwt": {{"issuer": "i", "audience": "a", "algorithms": ["{bad}"]}}}}"#);
            assert!(read(&text).unwrap_err().contains("unknown variant"), "{bad}");
        }
        assert!(read(r#"{"jwtt": {}}"#).is_err());
    }
}
