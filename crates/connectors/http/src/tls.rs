//! TLS settings: whom to trust, and the certificate to show.
//!
//! Files are read once, into [`TlsMaterial`], which is part of the key of a client: a changed certificate
//! gives a new client wherever the files are read again.

use std::borrow::Cow;

use bowline_connector::{Secret, StepContext, StepError};
use reqwest::{Certificate, ClientBuilder, Identity, tls};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::failure::invalid;

/// How TLS is done. PEM texts may be given in place, or as paths relative to the workflow file.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tls {
    /// Certificates of the authorities to trust instead of the system's: PEM text or the path of a PEM
    /// file. Several may follow each other in one text.
    #[serde(default)]
    pub ca: Option<String>,
    /// Certificate to show to the service, with its intermediates: PEM text or a path. Needs `clientKey`.
    #[serde(default)]
    pub client_certificate: Option<String>,
    /// Private key of `clientCertificate`: PEM text (PKCS#8, PKCS#1 or SEC1, not encrypted) or a path.
    #[serde(default)]
    pub client_key: Option<Secret>,
    /// Lowest protocol version to accept: `"1.2"` (default) or `"1.3"`.
    #[serde(default)]
    pub min_version: Option<MinimumTls>,
    /// Accepts any certificate, so that anybody in between can read and change the call. For tests only;
    /// a warning is logged whenever it is used. Default `false`.
    #[serde(default)]
    pub insecure_skip_verify: bool,
}

/// Lowest TLS version to accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MinimumTls {
    /// TLS 1.2 or 1.3.
    #[default]
    V1_2,
    /// TLS 1.3 only.
    V1_3,
}

impl<'de> Deserialize<'de> for MinimumTls {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // YAML reads an unquoted 1.2 as a number.
        let text = match Value::deserialize(deserializer)? {
            Value::String(text) => text,
            other => other.to_string(),
        };
        match text.trim().trim_start_matches("TLS").trim_start_matches('v').trim() {
            "1.2" => Ok(Self::V1_2),
            "1.3" => Ok(Self::V1_3),
            _ => Err(de::Error::custom(format!(
                "tls.minVersion: {text} is not \"1.2\" or \"1.3\""
            ))),
        }
    }
}

impl JsonSchema for MinimumTls {
    fn schema_name() -> Cow<'static, str> {
        "MinimumTls".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "description": "TLS version.", "enum": ["1.2", "1.3", 1.2, 1.3] })
    }
}

/// TLS settings with every file read. Holds a private key: never print it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct TlsMaterial {
    ca: Option<String>,
    identity: Option<String>,
    minimum: MinimumTls,
    skip_verify: bool,
}

impl TlsMaterial {
    /// Whether an authority of the user's own is trusted instead of the system's.
    pub(crate) fn has_own_ca(&self) -> bool {
        self.ca.is_some()
    }

    /// Whether the client certificate and key, on their own, are what makes a client fail to build.
    pub(crate) fn identity_fails(&self) -> bool {
        let Some(pem) = &self.identity else { return false };
        Identity::from_pem(pem.as_bytes())
            .map(|identity| {
                reqwest::Client::builder()
                    .no_proxy()
                    .tls_certs_only([])
                    .identity(identity)
                    .build()
            })
            .is_ok_and(|built| built.is_err())
    }

    /// Reads the files that `config` names, where the step may read them. Blocks while it reads.
    pub(crate) fn load(config: &Tls, ctx: &StepContext) -> Result<Self, StepError> {
        let identity = match (&config.client_certificate, &config.client_key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                let certificate = pem("tls.clientCertificate", certificate, ctx)?;
                let key = pem("tls.clientKey", key.expose(), ctx)?;
                if key.contains("ENCRYPTED") {
                    return Err(invalid(
                        "tls.clientKey",
                        "the key is encrypted; give it decrypted, as a secret",
                    ));
                }
                Some(format!("{certificate}\n{key}\n"))
            }
            (Some(_), None) => return Err(invalid("tls.clientKey", "it is missing; clientCertificate needs it")),
            (None, Some(_)) => return Err(invalid("tls.clientCertificate", "it is missing; clientKey needs it")),
        };
        Ok(Self {
            ca: config.ca.as_deref().map(|ca| pem("tls.ca", ca, ctx)).transpose()?,
            identity,
            minimum: config.min_version.unwrap_or_default(),
            skip_verify: config.insecure_skip_verify,
        })
    }

    /// Puts the settings into a client that is being built.
    pub(crate) fn apply(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, StepError> {
        if let Some(ca) = &self.ca {
            let authorities = Certificate::from_pem_bundle(ca.as_bytes())
                .map_err(|error| invalid("tls.ca", "it is not a PEM certificate").caused_by(&error))?;
            if authorities.is_empty() {
                return Err(invalid("tls.ca", "it holds no certificate"));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(identity) = &self.identity {
            let identity = Identity::from_pem(identity.as_bytes()).map_err(|error| {
                invalid(
                    "tls.clientCertificate",
                    "it and clientKey are not a PEM certificate and its key",
                )
                .caused_by(&error)
            })?;
            builder = builder.identity(identity);
        }
        if self.skip_verify {
            tracing::warn!(
                "tls.insecureSkipVerify is set: certificates are not checked, anybody in between can read and change these calls"
            );
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        Ok(builder.tls_version_min(match self.minimum {
            MinimumTls::V1_2 => tls::Version::TLS_1_2,
            MinimumTls::V1_3 => tls::Version::TLS_1_3,
        }))
    }
}

/// A PEM text in place, or the text of the file it names.
fn pem(field: &str, text_or_path: &str, ctx: &StepContext) -> Result<String, StepError> {
    if text_or_path.contains("-----BEGIN ") {
        return Ok(text_or_path.to_owned());
    }
    // A key that is neither PEM nor a path must not be told.
    let path = ctx.file(field, text_or_path).map_err(|_| {
        invalid(
            field,
            "not PEM text, and no file in the organization's folder has this name",
        )
    })?;
    let text = std::fs::read_to_string(&path).map_err(|error| {
        // A key that is neither PEM nor a path must not be told, so the path is named only when it exists.
        let what = if path.exists() {
            format!("cannot read {}", path.display())
        } else {
            "no such file, and not PEM text".into()
        };
        invalid(field, &what).caused_by(&error)
    })?;
    if text.contains("-----BEGIN ") {
        Ok(text)
    } else {
        Err(invalid(field, "the file holds no PEM block"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(json: serde_json::Value) -> Result<TlsMaterial, StepError> {
        TlsMaterial::load(&serde_json::from_value(json).unwrap(), &StepContext::for_tests())
    }

    #[test]
    fn halves_and_missing_files_are_named() {
        for (config, field) in [
            (serde_json::json!({ "clientCertificate": "x.pem" }), "tls.clientKey"),
            (serde_json::json!({ "clientKey": "x.pem" }), "tls.clientCertificate"),
            (serde_json::json!({ "ca": "no-such-file.pem" }), "tls.ca"),
            (
                serde_json::json!({
                    "clientCertificate": "-----BEGIN CERTIFICATE-----",
                    "clientKey": "-----BEGIN ENCRYPTED PRIVATE KEY-----"
                }),
                "tls.clientKey",
            ),
        ] {
            let error = load(config).err().unwrap();
            assert_eq!(error.code, "config.invalid");
            assert!(error.message.contains(field), "{error}");
        }
    }

    #[test]
    fn versions_are_read_quoted_and_not() {
        for (text, expected) in [
            ("1.2", MinimumTls::V1_2),
            ("\"1.3\"", MinimumTls::V1_3),
            ("\"TLSv1.3\"", MinimumTls::V1_3),
        ] {
            assert_eq!(serde_json::from_str::<MinimumTls>(text).unwrap(), expected, "{text}");
        }
        assert!(serde_json::from_str::<MinimumTls>("1.1").is_err());
    }

    #[test]
    fn rubbish_in_pem_armour_is_an_error_of_its_field() {
        let material =
            load(serde_json::json!({ "ca": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" }));
        let error = material.and_then(|material| {
            let builder = material.apply(reqwest::Client::builder())?;
            builder
                .build()
                .map(drop)
                .map_err(|error| invalid("tls.ca", "refused").caused_by(&error))
        });
        assert!(error.unwrap_err().message.contains("tls.ca"));
    }
}
