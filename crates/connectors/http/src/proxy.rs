//! The proxy that calls go through. The environment's proxy settings count only where asked for, so that
//! a workflow does the same on every machine.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_connector::{Masker, Secret, StepError};
use reqwest::{ClientBuilder, NoProxy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use url::Url;

use crate::failure::invalid;

/// The proxy of a call: a URL, `system`, `none`, or an object with `url`.
#[derive(Clone, Debug)]
pub enum Proxy {
    /// Call the service directly, also where the connection names a proxy.
    None,
    /// What `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` of the process say.
    System,
    /// Go through this one.
    Via(Via),
}

/// A proxy and its exceptions.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Via {
    /// `http://`, `https://`, `socks5://` or `socks5h://` URL of the proxy; it may hold user name and
    /// password. Plain `host:port` means `http://`.
    pub url: Secret,
    /// User name for the proxy, instead of one in the URL.
    #[serde(default)]
    pub username: Option<Secret>,
    /// Password for the proxy.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Hosts to call directly: names (with their subdomains), addresses and networks such as
    /// `10.0.0.0/8`; `*` is every host.
    #[serde(default)]
    pub no_proxy: Vec<String>,
}

impl<'de> Deserialize<'de> for Proxy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(match text.as_str() {
                "system" => Self::System,
                "none" => Self::None,
                _ => Self::Via(Via {
                    url: Secret::new(text),
                    username: None,
                    password: None,
                    no_proxy: Vec::new(),
                }),
            }),
            Value::Bool(false) => Ok(Self::None),
            value @ Value::Object(_) => Via::deserialize(value).map(Self::Via).map_err(de::Error::custom),
            _ => Err(de::Error::custom(
                "proxy is a URL, `system`, `none`, or an object with `url`",
            )),
        }
    }
}

impl JsonSchema for Proxy {
    fn schema_name() -> Cow<'static, str> {
        "Proxy".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let via = generator.subschema_for::<Via>();
        json_schema!({
            "description": "A proxy URL, `system` (the environment's), `none`, or an object with `url`.",
            "anyOf": [{ "type": "string" }, { "const": false }, via]
        })
    }
}

/// A checked proxy setting; part of the key of a client. Holds a password: never print it.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum ProxySettings {
    #[default]
    Direct,
    System,
    Via {
        url: Url,
        no_proxy: String,
    },
}

impl Proxy {
    pub(crate) fn settings(&self, masker: &Masker) -> Result<ProxySettings, StepError> {
        let via = match self {
            Self::None => return Ok(ProxySettings::Direct),
            Self::System => return Ok(ProxySettings::System),
            Self::Via(via) => via,
        };
        let text = via.url.expose().trim();
        let text: Cow<'_, str> = if text.contains("://") {
            text.into()
        } else {
            format!("http://{text}").into()
        };
        let mut url = Url::parse(&text).map_err(|error| invalid("proxy.url", "it is not a URL").caused_by(&error))?;
        if !matches!(
            url.scheme(),
            "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h"
        ) || !url.has_host()
        {
            return Err(invalid(
                "proxy.url",
                "write http://, https://, socks5:// or socks5h:// and a host",
            ));
        }
        let refused = |()| invalid("proxy.username", "this proxy URL cannot carry one");
        if let Some(username) = &via.username {
            url.set_username(username.expose()).map_err(refused)?;
            url.set_password(via.password.as_ref().map(Secret::expose))
                .map_err(refused)?;
        } else if via.password.is_some() {
            return Err(invalid("proxy.username", "it is missing; password needs it"));
        }
        if !url.username().is_empty() {
            let decode = |text: &str| {
                percent_encoding::percent_decode_str(text)
                    .decode_utf8_lossy()
                    .into_owned()
            };
            let plain = format!("{}:{}", decode(url.username()), decode(url.password().unwrap_or("")));
            masker.add(&STANDARD.encode(plain));
        }
        Ok(ProxySettings::Via {
            url,
            no_proxy: via.no_proxy.join(","),
        })
    }
}

impl ProxySettings {
    pub(crate) fn apply(&self, builder: ClientBuilder) -> Result<ClientBuilder, StepError> {
        match self {
            Self::Direct => Ok(builder.no_proxy()),
            Self::System => Ok(builder),
            Self::Via { url, no_proxy } => {
                let proxy = reqwest::Proxy::all(url.as_str())
                    .map_err(|error| invalid("proxy.url", "it cannot be used").caused_by(&error.without_url()))?;
                Ok(builder.proxy(proxy.no_proxy(NoProxy::from_string(no_proxy))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn settings(value: Value) -> Result<ProxySettings, StepError> {
        serde_json::from_value::<Proxy>(value)
            .unwrap()
            .settings(&Masker::default())
    }

    #[test]
    fn every_notation() {
        assert!(settings(json!("none")).unwrap() == ProxySettings::Direct);
        assert!(settings(json!(false)).unwrap() == ProxySettings::Direct);
        assert!(settings(json!("system")).unwrap() == ProxySettings::System);
        for (value, expected, exceptions) in [
            (json!("proxy.example:3128"), "http://proxy.example:3128/", ""),
            (
                json!("http://u:p@proxy.example:3128"),
                "http://u:p@proxy.example:3128/",
                "",
            ),
            (
                json!({ "url": "http://proxy.example:1", "username": "u", "password": "p@ss/1", "noProxy": ["a.example", "10.0.0.0/8"] }),
                "http://u:p%40ss%2F1@proxy.example:1/",
                "a.example,10.0.0.0/8",
            ),
        ] {
            let ProxySettings::Via { url, no_proxy } = settings(value).unwrap() else {
                panic!("not via a proxy")
            };
            assert_eq!((url.as_str(), no_proxy.as_str()), (expected, exceptions));
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_telling_it() {
        for value in [
            json!("ftp://hush@x"),
            json!("http://"),
            json!({ "url": "http://x", "password": "hush" }),
        ] {
            let error = settings(value).err().unwrap();
            assert_eq!(error.code, "config.invalid");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        assert!(serde_json::from_value::<Proxy>(json!(3)).is_err());
    }
}
