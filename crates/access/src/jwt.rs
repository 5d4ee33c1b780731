//! JSON Web Tokens: from the text of a token to a caller.

use std::collections::HashSet;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use url::Url;

use crate::config::Jwt;
use crate::jwks::{self, Jwks, NoKey, Source};
use crate::{Caller, Denied, Kind, Role, Scope};

/// The longest token that is looked at, in bytes.
const LONGEST: usize = 16 * 1024;

/// The longest subject that is kept, in characters.
const LONGEST_SUBJECT: usize = 200;

/// Checks the tokens of one issuer.
pub(crate) struct Tokens {
    config: Jwt,
    algorithms: Vec<Algorithm>,
    keys: Jwks,
}

impl Tokens {
    /// # Errors
    /// What is wrong with the configuration.
    pub(crate) fn new(config: Jwt) -> Result<Self, String> {
        let source = match (&config.jwks_url, &config.jwks_file) {
            (Some(url), None) => Source::Url(address(url).map_err(|why| format!("jwt.jwksUrl: {why}"))?),
            (None, Some(file)) => Source::File(file.clone()),
            _ => return Err(format!("jwt: {ONE_SOURCE}")),
        };
        let keys = Jwks::new(source)?;
        Self::with(config, keys)
    }

    pub(crate) fn with(config: Jwt, keys: Jwks) -> Result<Self, String> {
        if let Some((name, why)) = claims(&config).into_iter().next() {
            return Err(format!("{name}: {why}"));
        }
        let algorithms: Vec<Algorithm> = config
            .algorithms
            .iter()
            .map(|algorithm| Algorithm::from(*algorithm))
            .collect();
        Ok(Self {
            config,
            algorithms,
            keys,
        })
    }

    /// Who the token is of. Whether its organization exists is not asked here.
    pub(crate) async fn check(&self, token: &str) -> Result<Caller, Denied> {
        let refused = |why: &str| Denied::Token(why.to_owned());
        if token.len() > LONGEST {
            return Err(refused("it is too long"));
        }
        // An algorithm that is not known, such as `none`, is refused here.
        let header =
            decode_header(token).map_err(|_| refused("it cannot be read, or its algorithm is not accepted"))?;
        if !self.algorithms.contains(&header.alg) {
            return Err(refused("its algorithm is not accepted"));
        }
        if header.crit.is_some() {
            return Err(refused("it has critical extensions, which are not known here"));
        }
        let key = match self.keys.find(header.kid.as_deref(), header.alg).await {
            Ok(key) => key,
            Err(NoKey::Unknown) => return Err(refused("the issuer has no such key")),
            // Why is in the log, and nothing for whoever sends a token: it may name files and addresses.
            Err(NoKey::Unavailable) => {
                let why = "the public keys of the token issuer cannot be had";
                return Err(Denied::Unavailable(why.to_owned()));
            }
        };
        let claims = decode::<Map<String, Value>>(token, &key.verifier, &self.validation(header.alg))
            .map_err(|error| Denied::Token(told(error.kind())))?
            .claims;
        self.caller(&claims)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = self.config.leeway().as_secs();
        validation.validate_nbf = true;
        validation.set_audience(self.config.audience.all());
        validation.set_issuer(&[&self.config.issuer]);
        validation.required_spec_claims = HashSet::from(["exp", "iss", "aud"].map(str::to_owned));
        validation
    }

    fn caller(&self, claims: &Map<String, Value>) -> Result<Caller, Denied> {
        let config = &self.config;
        let organization = match claim(claims, &config.organization_claim) {
            Some(Value::String(name)) => name.clone(),
            Some(_) => {
                return Err(Denied::Token(format!(
                    "its claim `{}` is not text with an organization",
                    config.organization_claim
                )));
            }
            None => config.organization.clone().ok_or_else(|| {
                Denied::Token(format!(
                    "it has no claim `{}` with an organization",
                    config.organization_claim
                ))
            })?,
        };
        let role = texts(claim(claims, &config.role_claim))
            .into_iter()
            .filter_map(|text| self.role(text))
            .max()
            .or(config.role)
            .ok_or_else(|| {
                Denied::Token(format!(
                    "its claim `{}` names no role of this server",
                    config.role_claim
                ))
            })?;
        let scopes = match &config.scope_claim {
            None => Scope::usual(),
            Some(name) => texts(claim(claims, name))
                .into_iter()
                .flat_map(str::split_whitespace)
                .filter_map(|text| text.parse().ok())
                .collect(),
        };
        Ok(Caller {
            home: organization.clone(),
            organization,
            role,
            scopes,
            name: subject(claims),
            kind: Kind::Jwt,
            key: None,
        })
    }

    fn role(&self, text: &str) -> Option<Role> {
        if self.config.roles.is_empty() {
            text.parse().ok()
        } else {
            self.config.roles.get(text).copied()
        }
    }
}

/// What is wrong with a configuration: the names of settings, and why they would not do.
pub(crate) fn mistakes(config: &Jwt) -> Vec<(&'static str, String)> {
    let mut wrong = claims(config);
    match (&config.jwks_url, &config.jwks_file) {
        (Some(url), None) => wrong.extend(address(url).err().map(|why| ("jwt.jwksUrl", why))),
        (None, Some(file)) => wrong.extend(jwks::look(file).err().map(|why| ("jwt.jwksFile", why))),
        _ => wrong.push(("jwt", ONE_SOURCE.to_owned())),
    }
    wrong
}

/// Where keys come from has to be said, once.
const ONE_SOURCE: &str = "name one of `jwksUrl` and `jwksFile`, the public keys of the issuer";

/// What is wrong with what tokens have to say.
fn claims(config: &Jwt) -> Vec<(&'static str, String)> {
    let blank = |text: &String| text.trim().is_empty();
    let audience = config.audience.all();
    [
        (
            "jwt.issuer",
            blank(&config.issuer),
            "this is empty; write what the claim `iss` of the issuer's tokens is",
        ),
        (
            "jwt.audience",
            audience.is_empty() || audience.iter().any(blank),
            "this is empty; write what the claim `aud` of tokens for this server is",
        ),
        (
            "jwt.algorithms",
            config.algorithms.is_empty(),
            "this is empty; name at least one, such as RS256",
        ),
    ]
    .into_iter()
    .filter(|(_, is_wrong, _)| *is_wrong)
    .map(|(name, _, why)| (name, why.to_owned()))
    .collect()
}

/// Keys are fetched over HTTPS, or from this machine.
fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("`{text}` is not a URL: {error}"))?;
    let is_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        _ => Err(format!(
            "`{text}` is not HTTPS: whoever can change what is sent could make tokens; write an https:// URL"
        )),
    }
}

/// A claim by its name, or by a path with dots where there is none with that name.
fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.')
        .try_fold(claims.get(first)?, |value, part| value.get(part))
}

/// The texts of a claim that is a text or a list of texts.
fn texts(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn subject(claims: &Map<String, Value>) -> String {
    let of = ["sub", "client_id", "azp"]
        .into_iter()
        .find_map(|name| claims.get(name)?.as_str());
    let text: String = of
        .unwrap_or_default()
        .chars()
        .filter(|char| !char.is_control())
        .take(LONGEST_SUBJECT)
        .collect();
    if text.is_empty() {
        "a token without a subject".to_owned()
    } else {
        text
    }
}

fn told(kind: &ErrorKind) -> String {
    match kind {
        ErrorKind::ExpiredSignature => "it has expired".into(),
        ErrorKind::ImmatureSignature => "it is not valid yet".into(),
        ErrorKind::InvalidIssuer => "its issuer is another one".into(),
        ErrorKind::InvalidAudience => "it is for another audience".into(),
        ErrorKind::MissingRequiredClaim(name) => format!("it has no claim `{name}`"),
        ErrorKind::InvalidSignature => "its signature is wrong".into(),
        _ => "it cannot be read".into(),
    }
}

#[cfg(test)]
mod tests;
