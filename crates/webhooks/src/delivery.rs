//! What is kept of a request from outside: the inbox.
//!
//! A delivery is kept in the very commit that starts its execution, so neither is there without the other, and before
//! the sender is answered. A refused one is kept too, for a while and not whole, so that people can see what comes and
//! why it is refused.

use std::collections::BTreeMap;

use bowline_connector::BlobRef;
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::mac;
use crate::refusal::Refusal;
use crate::scheme::Verified;

/// Bodies up to so many bytes are kept in the record itself; larger ones as a blob: 64 KiB.
pub const INLINE_BODY: usize = 64 * 1024;

/// Headers that hold credentials: they are kept nowhere, and no workflow sees them.
const HIDDEN: [&str; 6] = [
    "authorization",
    "proxy-authorization",
    "cookie",
    "x-api-key",
    "x-auth-token",
    "x-forwarded-access-token",
];

const MASK: &str = "***";

/// A request from outside, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Its id: a UUIDv7.
    pub id: String,
    /// When it came, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The method.
    pub method: String,
    /// The address that was called, whole.
    pub url: String,
    /// Its path.
    pub path: String,
    /// The parameters of the path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, String>,
    /// Its headers in the order in which they came, names in small letters. Credentials are masked.
    pub headers: Vec<(String, String)>,
    /// How large the body was, in bytes.
    pub size: u64,
    /// The body.
    pub body: KeptBody,
    /// The address that it came from, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How the sender was verified, such as `stripe`.
    pub authentication: String,
    /// The sender's own id of it, or what the trigger's `key` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// A hash of what was signed, by which the same request is known when it comes again; none where the id is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// The delivery that was played again to make this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<String>,
    /// What the request that plays it again is known by, so that the same request does it once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_key: Option<String>,
    /// The refused delivery that was played again to make this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_as: Option<String>,
    /// Whether its sender was verified when it came, by more than an endpoint that takes requests of anybody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub verified: bool,
    /// What is kept of the credential that it came with, where it was refused: see [`Seal`](crate::Seal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// What is kept of a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum KeptBody {
    /// It is text, and here it is.
    Text(String),
    /// It is not text: base64.
    Base64(String),
    /// It is large: a blob.
    Blob(BlobRef),
    /// It is not kept: it was refused and is large.
    Dropped,
}

impl KeptBody {
    /// Keeps a small body.
    pub fn inline(body: &[u8]) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Base64(mac::base64(body)),
        }
    }

    /// The bytes, where they are in the record.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Text(text) => Some(text.as_bytes().to_vec()),
            Self::Base64(text) => mac::Encoding::Base64.decode(text),
            Self::Blob(_) | Self::Dropped => None,
        }
    }
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "is")]
pub enum Fate {
    /// It started an execution.
    Started {
        /// The execution's id.
        execution: String,
        /// The workflow.
        workflow: String,
        /// The workflow's version.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<u32>,
    },
    /// The trigger's `when` was false: nothing was to start.
    Filtered,
    /// It was refused.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// It is a question whether the endpoint is there, and was answered.
    Challenge,
}

impl Fate {
    /// Its name, such as `started`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Started { .. } => "started",
            Self::Filtered => "filtered",
            Self::Refused { .. } => "refused",
            Self::Challenge => "challenge",
        }
    }
}

/// Longest id of a sender that is kept as it is, in bytes.
const LONGEST_ID: usize = 200;

/// An id of a sender, or a key, as it is kept: a longer one than any sender needs is its hash.
pub fn kept_id(id: String) -> String {
    if id.len() <= LONGEST_ID {
        return id;
    }
    format!("sha256:{}", mac::sha256_hex(id.as_bytes()))
}

/// What of a request is a credential and must be kept nowhere, beside the headers that always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden<'a> {
    /// Nothing more.
    Nothing,
    /// This header.
    Header(&'a str),
    /// This parameter of the query.
    Parameter(&'a str),
    /// Nobody can say, so no header and nothing of the query is kept.
    All,
}

/// Headers as they are kept: what is a credential is masked.
pub fn kept_headers(headers: &HeaderMap, hidden: Hidden<'_>) -> Vec<(String, String)> {
    let is_hidden = |name: &str| match hidden {
        Hidden::Header(hidden) => hidden.eq_ignore_ascii_case(name),
        Hidden::All => name != "content-type",
        Hidden::Nothing | Hidden::Parameter(_) => false,
    };
    headers
        .iter()
        .map(|(name, value)| {
            let name = name.as_str();
            let value = if HIDDEN.contains(&name) || is_hidden(name) {
                MASK.into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            (name.to_owned(), value.into_owned())
        })
        .collect()
}

/// An address as it is kept: what of the query is a credential is masked.
pub fn kept_url(url: &str, hidden: Hidden<'_>) -> String {
    let Some((before, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let hidden = match hidden {
        Hidden::Nothing | Hidden::Header(_) => return url.to_owned(),
        Hidden::All => return format!("{before}?{MASK}"),
        Hidden::Parameter(hidden) => hidden,
    };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| {
            let name = part.split('=').next().unwrap_or_default();
            let decoded = url::form_urlencoded::parse(name.as_bytes())
                .next()
                .map(|(name, _)| name.into_owned());
            if decoded.as_deref() == Some(hidden) {
                format!("{name}={MASK}")
            } else {
                part.to_owned()
            }
        })
        .collect();
    format!("{before}?{}", parts.join("&"))
}

impl Delivery {
    /// What the trigger's `when`, `input` and `key` read as `trigger`, with the body as it was read.
    pub fn trigger(&self, body: Value, verified: &Verified) -> Value {
        let query = self.url.split_once('?').map_or("", |(_, query)| query);
        let content_type = self.header("content-type");
        json!({
            "id": self.id,
            "sourceId": self.source_id,
            "method": self.method,
            "path": self.path,
            "url": self.url,
            "params": self.params,
            "query": several(url::form_urlencoded::parse(query.as_bytes())),
            "headers": several(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
            "contentType": content_type,
            "body": body,
            "from": self.from,
            "authentication": self.authentication,
            "receivedAt": moment(self.at),
            "signedAt": verified.signed_at.map(moment),
        })
    }

    /// The text of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Its headers, to verify it again. What was masked is not there.
    pub fn header_map(&self) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            if let (Ok(name), Ok(value)) = (http::HeaderName::from_bytes(name.as_bytes()), value.parse())
                && value != MASK
            {
                map.append(name, value);
            }
        }
        map
    }
}

fn moment(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |moment| moment.to_string())
}

/// An object of names and values; what comes several times is a list.
fn several<N: AsRef<str>, V: AsRef<str>>(pairs: impl Iterator<Item = (N, V)>) -> Value {
    let mut fields: Map<String, Value> = Map::new();
    for (name, value) in pairs {
        let value = Value::String(value.as_ref().to_owned());
        match fields.get_mut(name.as_ref()) {
            None => drop(fields.insert(name.as_ref().to_owned(), value)),
            Some(Value::Array(all)) => all.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery() -> Delivery {
        let mut headers = HeaderMap::new();
        headers.append("x-api-key", "hush".parse().unwrap());
        headers.append("x-own", "hush".parse().unwrap());
        headers.append("authorization", "Bearer hush".parse().unwrap());
        headers.append("x-many", "1".parse().unwrap());
        headers.append("x-many", "2".parse().unwrap());
        Delivery {
            id: "d".into(),
            at: 1_614_265_330_000,
            method: "POST".into(),
            url: kept_url("https://host/p?a=1&k%65y=hush&a=2", Hidden::Parameter("key")),
            path: "/p".into(),
            params: BTreeMap::new(),
            headers: kept_headers(&headers, Hidden::Header("X-Own")),
            size: 2,
            body: KeptBody::inline(b"\xff\x00"),
            from: None,
            authentication: "none".into(),
            source_id: None,
            proof: None,
            replay_of: None,
            replay_key: None,
            refused_as: None,
            verified: false,
            credential: None,
            fate: Fate::Filtered,
        }
    }

    #[test]
    fn ids_have_a_length() {
        assert_eq!(kept_id("evt_1".into()), "evt_1");
        let long = kept_id("a".repeat(1 << 20));
        assert_eq!(long.len(), 71);
        assert_ne!(long, kept_id("a".repeat((1 << 20) + 1)));
    }

    #[test]
    fn credentials_are_kept_nowhere() {
        let delivery = delivery();
        let kept = serde_json::to_string(&delivery).unwrap();
        assert!(!kept.contains("hush"), "{kept}");
        assert_eq!(delivery.body.bytes().unwrap(), b"\xff\x00");
        assert_eq!(delivery.header_map().len(), 2);
        let trigger = delivery.trigger(json!(1), &Verified::default());
        assert_eq!(trigger["headers"]["x-many"], json!(["1", "2"]));
        assert_eq!(trigger["query"], json!({ "a": ["1", "2"], "key": "***" }));
        assert_eq!(trigger["receivedAt"], "2021-02-25T15:02:10Z");
        assert_eq!(serde_json::from_str::<Delivery>(&kept).unwrap(), delivery);
        assert_eq!(kept_url("/p?a=hush", Hidden::All), "/p?***");
        let mut headers = HeaderMap::new();
        headers.append("x-any", "hush".parse().unwrap());
        assert_eq!(
            kept_headers(&headers, Hidden::All),
            [("x-any".to_owned(), "***".to_owned())]
        );
    }
}
