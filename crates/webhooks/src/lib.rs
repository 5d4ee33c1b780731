//! Webhooks and callbacks from outside: who may send, what was sent, and what is kept of it.
//!
//! Nothing here listens, starts executions or knows a status code. A request comes as [`Received`], its raw bytes; an
//! [`Endpoint`] says whether its sender may send it and whether its body fits; [`body::read`] makes a value of it; a
//! [`Delivery`] is what is kept.
//!
//! What always holds:
//! - signatures are over the bytes that came, compared in constant time, with every secret that counts at the moment;
//! - nothing is taken where there is no secret, an empty one, or a configuration that cannot be read;
//! - a moment that was signed is near now, on either side;
//! - no text that comes out of here holds a secret or anything of a body.

mod authentication;
pub mod body;
mod carrier;
mod config;
mod delivery;
mod endpoint;
mod mac;
mod refusal;
mod request;
mod scheme;
mod secrets;
mod table;
mod window;

pub use authentication::{ApiKey, Authentication, BasicCredentials, BearerCredentials, KeyLocation};
pub use carrier::{Carrier, Seal};
pub use config::{
    CallbackConfig, Challenge, Config, DEFAULT_BODY_BYTES, DEFAULT_KEEP, DEFAULT_WAIT, KIND, Methods, Respond,
    TOKEN_PREFIX, Validation, check_callback_path, check_path,
};
pub use delivery::{Delivery, Fate, Hidden, INLINE_BODY, KeptBody, kept_headers, kept_id, kept_url};
pub use endpoint::{Endpoint, too_large};
pub use mac::{Algorithm, Encoding};
pub use refusal::{Misfit, Reason, Refusal};
pub use request::Received;
pub use scheme::{KnownBy, Scheme, SecretEncoding, Signature, Verified};
pub use secrets::{Dated, Secrets};
pub use table::{Found, Table};
pub use window::DEFAULT_TOLERANCE;

use bowline_connector::{Mistake, Registry, TriggerType};
use serde::Deserialize;

/// Fields of `trigger` in a webhook's `when`, `input` and `key`.
const FIELDS: &[(&str, &str)] = &[
    ("id", "id of the delivery in the inbox"),
    ("sourceId", "the sender's own id of it; null where it has none"),
    ("method", "the method, such as `POST`"),
    ("path", "the path that was called"),
    ("url", "the whole address that was called"),
    ("params", "the parameters of the path, by name"),
    (
        "query",
        "the query: texts by name, a list where a name comes several times",
    ),
    (
        "headers",
        "the headers by name in small letters; credentials are masked",
    ),
    ("contentType", "the header Content-Type; null where there is none"),
    (
        "body",
        "the body: JSON as its value, a form as an object, text as text, anything else as a blob",
    ),
    ("from", "the address that it came from; null where it is not known"),
    ("authentication", "how the sender was verified, such as `stripe`"),
    ("receivedAt", "when it came, as RFC 3339 text"),
    ("signedAt", "when it was signed, where that is signed; else null"),
];

/// Fields of `callback` in a callback endpoint's `correlate`, `success` and `failure`.
const CALLBACK_FIELDS: &[(&str, &str)] = &[
    (
        "body",
        "the body: JSON as its value, a form as an object, text as text, anything else as a blob",
    ),
    (
        "headers",
        "the headers by name in small letters; credentials are masked",
    ),
    (
        "query",
        "the query: texts by name, a list where a name comes several times",
    ),
    ("params", "the parameters of the path, by name"),
    ("method", "the method, such as `POST`"),
    ("path", "the path that was called"),
];

/// Adds the trigger `webhook-trigger`, and says what a named callback endpoint is configured with.
pub fn register(registry: &mut Registry) {
    registry.add_trigger(
        TriggerType::of::<Config>(KIND)
            .input("${trigger.body}")
            .about("Starts the workflow when somebody calls its path. The workflow's input is the body.")
            .fields(FIELDS)
            .mistakes(|config| mistakes(Config::deserialize(config).map(|config| config.check())))
            .claims(|config| Config::deserialize(config).map_or_else(|_| Vec::new(), |config| config.claims())),
    );
    registry.set_callback_endpoint(
        TriggerType::of::<CallbackConfig>("callback")
            .about("A path at which others answer, and by which they are known.")
            .fields(CALLBACK_FIELDS)
            .mistakes(|config| mistakes(CallbackConfig::deserialize(config).map(|config| config.check("name")))),
    );
}

/// Texts that begin with the name of a field, by their fields. What has no form yet, because of templates, is looked at
/// when it has one.
fn mistakes<E>(checked: Result<Result<(), Vec<String>>, E>) -> Vec<Mistake> {
    let texts = checked.ok().and_then(Result::err).unwrap_or_default();
    texts
        .into_iter()
        .map(|text| Mistake::new(text.split_once(": ").map_or("", |(field, _)| field), &*text))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_configuration_alone_tells_is_told_before_it_is_deployed() {
        let mut registry = Registry::default();
        register(&mut registry);
        let kind = registry.trigger(KIND).unwrap();
        let open = json!({ "type": "none" });
        let config = |path: &str| json!({ "path": path, "authentication": open });
        let fields = |config: &serde_json::Value| -> Vec<String> {
            let mistakes = (kind.mistakes)(config);
            mistakes.into_iter().map(|mistake| mistake.field).collect()
        };
        assert_eq!(fields(&config("/webhooks/x")), [""; 0]);
        assert_eq!(fields(&config("webhooks/x")), ["path"]);
        assert_eq!(fields(&config("/api/x")), ["path"]);
        let key = json!({ "keyName": "no header", "keyValue": "k-123456" });
        let odd = json!({ "path": "/ui", "authentication": { "type": "api-key", "credentials": key } });
        assert_eq!(fields(&odd), ["path", "authentication.credentials.keyName"]);
        // What has no form yet has no mistakes either.
        assert_eq!(
            fields(&json!({ "path": "/ui", "maxBodyBytes": "${env.MOST}", "authentication": open })),
            [""; 0]
        );

        let both = json!({ "path": "/a/{shop}/{*rest}", "method": ["POST", "PUT"], "authentication": open });
        assert_eq!((kind.claims)(&both), ["POST /a/{}/{*}", "PUT /a/{}/{*}"]);
        let endpoint = registry.callback_endpoint().unwrap();
        let taken = (endpoint.mistakes)(&json!({ "path": "/callbacks/{any}", "authentication": open }));
        assert_eq!(taken.len(), 1);
    }
}
