//! An endpoint, ready to take requests: a configuration that was checked, and its compiled parts.

use std::fmt;

use http::Method;
use jsonschema::Validator;
use serde_json::Value;
use url::form_urlencoded;

use crate::authentication::Authentication;
use crate::config::Config;
use crate::mac;
use crate::refusal::{Misfit, Reason, Refusal};
use crate::request::Received;
use crate::scheme::{Scheme, Verified};

/// Most texts about a body that does not fit.
const MOST_MISFITS: usize = 20;

/// Longest text that is written back to a challenge.
const LONGEST_CHALLENGE: usize = 1024;

/// An endpoint of a `webhook-trigger`.
pub struct Endpoint {
    /// Its configuration.
    pub config: Config,
    schema: Option<Validator>,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

impl Endpoint {
    /// Reads a rendered configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it. None of the texts holds a secret.
    pub fn new(config: &Value) -> Result<Self, Vec<String>> {
        // Serde's message can quote a value of the configuration only where its type is wrong; secrets are texts
        // and quoted never.
        let config: Config = serde_json::from_value(config.clone()).map_err(|error| vec![error.to_string()])?;
        config.check()?;
        let schema = match &config.validation {
            Some(validation) => Some(
                jsonschema::validator_for(&validation.schema)
                    .map_err(|error| vec![format!("validation.schema: {error}")])?,
            ),
            None => None,
        };
        Ok(Self { config, schema })
    }

    /// Whether it takes this method.
    pub fn takes(&self, method: &Method) -> bool {
        self.config.method.0.contains(method)
    }

    /// Whether the sender may send this.
    ///
    /// # Errors
    /// Why not.
    pub fn verify(&self, request: &Received<'_>) -> Result<Verified, Refusal> {
        let limit = self.config.body_limit();
        if request.body.len() as u64 > limit {
            return Err(too_large(limit));
        }
        self.config.authentication.verify(request)
    }

    /// Whether a body that was read fits the schema.
    ///
    /// # Errors
    /// [`Reason::SchemaMismatch`] with the places that do not fit, quoting nothing.
    pub fn validate(&self, body: &Value) -> Result<(), Refusal> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let misfits: Vec<Misfit> = schema
            .iter_errors(body)
            .take(MOST_MISFITS)
            .map(|error| Misfit {
                pointer: error.instance_path().as_str().to_owned(),
                message: error.masked_with("what is there").to_string(),
            })
            .collect();
        if misfits.is_empty() {
            return Ok(());
        }
        let mut refusal = Refusal::new(
            Reason::SchemaMismatch,
            "the body does not fit the schema of this endpoint",
        );
        refusal.misfits = misfits;
        Err(refusal)
    }

    /// What is written back to a sender that asks by GET whether the endpoint is there. `None`: this is no such
    /// question.
    ///
    /// # Errors
    /// [`Reason::WrongCredentials`] where its token is wrong.
    pub fn challenge(&self, method: &Method, query: &str) -> Option<Result<String, Refusal>> {
        let challenge = self.config.challenge.as_ref()?;
        if method != Method::GET {
            return None;
        }
        let of = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find(|(name, _)| name == wanted)
                .map(|(_, value)| value.into_owned())
        };
        let text = of(&challenge.parameter)?;
        if let (Some(parameter), Some(token)) = (&challenge.token_parameter, &challenge.token)
            && !mac::same(&of(parameter).unwrap_or_default(), token.expose())
        {
            return Some(Err(Refusal::new(
                Reason::WrongCredentials,
                format!("the parameter {parameter} is wrong"),
            )));
        }
        if text.len() > LONGEST_CHALLENGE {
            return Some(Err(Refusal::new(
                Reason::BodyTooLarge,
                "the challenge is longer than 1024 bytes",
            )));
        }
        Some(Ok(text))
    }

    /// What Slack wants written back when the address of an app is entered. `None`: this is no such question. Only
    /// for bodies that were verified.
    pub fn url_verification(&self, body: &Value) -> Option<String> {
        let Authentication::Signature(signature) = &self.config.authentication else {
            return None;
        };
        let asks = signature.scheme == Scheme::Slack && body.get("type")?.as_str()? == "url_verification";
        asks.then(|| body.get("challenge")?.as_str().map(ToOwned::to_owned))?
    }
}

/// The refusal of a body with too many bytes.
pub fn too_large(limit: u64) -> Refusal {
    Refusal::new(
        Reason::BodyTooLarge,
        format!("the body has more than {limit} bytes, which is the most that this endpoint takes"),
    )
}
