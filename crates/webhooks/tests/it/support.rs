//! Requests for tests.

use bowline_webhooks::{Endpoint, Reason, Received, Verified};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

/// A request that can be changed before it is looked at.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Seconds since 1970.
    pub(crate) at: i64,
}

impl Request {
    pub(crate) fn new(body: &str, at: i64, headers: &[(&str, &str)]) -> Self {
        Self {
            url: "https://bowline.example/webhooks/it".into(),
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            body: body.as_bytes().to_vec(),
            at,
        }
    }

    pub(crate) fn without(mut self, header: &str) -> Self {
        let before = self.headers.len();
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        assert!(self.headers.len() < before, "there is no {header}");
        self
    }

    pub(crate) fn with(mut self, header: &str, value: &str) -> Self {
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(header));
        self.headers.push((header.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.body = body.as_bytes().to_vec();
        self
    }

    pub(crate) fn later(mut self, seconds: i64) -> Self {
        self.at += seconds;
        self
    }

    pub(crate) fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            map.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_str(value).unwrap(),
            );
        }
        map
    }

    pub(crate) fn verify(&self, endpoint: &Endpoint) -> Result<Verified, Reason> {
        let headers = self.header_map();
        let path = url::Url::parse(&self.url).unwrap().path().to_owned();
        let received = Received {
            method: &Method::POST,
            url: &self.url,
            path: &path,
            headers: &headers,
            body: &self.body,
            at: self.at * 1000,
        };
        endpoint.verify(&received).map_err(|refusal| refusal.reason)
    }
}

/// An endpoint with this authentication.
pub(crate) fn endpoint(authentication: Value) -> Endpoint {
    let config = json!({ "path": "/webhooks/it", "authentication": authentication });
    Endpoint::new(&config).unwrap()
}

/// An endpoint with a signature.
pub(crate) fn signed(scheme: &str, secret: impl Into<Value>) -> Endpoint {
    endpoint(json!({ "type": "signature", "scheme": scheme, "secret": secret.into() }))
}
