//! The generic scheme: an HMAC whose every part is said in the configuration.

use bowline_connector::Secret;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Signature, Verified};
use crate::authentication::ID_HEADER;
use crate::mac::{self, Encoding};
use crate::refusal::{Reason, Refusal};
use crate::request::Received;
use crate::window;

const HEADER: &str = "X-Webhook-Signature";

/// How a secret is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SecretEncoding {
    /// Its characters are the key (default).
    #[default]
    Text,
    /// Hexadecimal digits.
    Hex,
    /// Base64 with `+` and `/`.
    Base64,
    /// Base64 with `-` and `_`.
    Base64url,
}

impl SecretEncoding {
    fn read(self, secret: &Secret) -> Option<Zeroizing<Vec<u8>>> {
        let text = secret.expose();
        let decoded = match self {
            Self::Text => Some(text.as_bytes().to_vec()),
            Self::Hex => Encoding::Hex.decode(text.trim()),
            Self::Base64 => Encoding::Base64.decode(text.trim()),
            Self::Base64url => Encoding::Base64url.decode(text.trim()),
        };
        decoded.filter(|key| !key.is_empty()).map(Zeroizing::new)
    }
}

/// A piece of what is signed.
enum Piece<'a> {
    Text(&'a str),
    Field(&'a str),
}

/// Cuts `{name}` out of a text.
fn pieces(text: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut all = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find('{') {
        let length = rest[start..]
            .find('}')
            .ok_or_else(|| "authentication.signed: a { has no }".to_owned())?;
        all.push(Piece::Text(&rest[..start]));
        all.push(Piece::Field(&rest[start + 1..start + length]));
        rest = &rest[start + length + 1..];
    }
    all.push(Piece::Text(rest));
    Ok(all)
}

impl Signature {
    fn signed_text(&self) -> &str {
        match &self.signed {
            Some(text) => text,
            None if self.has_time() => "{timestamp}.{body}",
            None => "{body}",
        }
    }

    pub(super) fn has_time(&self) -> bool {
        self.timestamp_header.is_some() || self.timestamp_part.is_some()
    }

    pub(super) fn check_hmac(&self) -> Result<(), Vec<String>> {
        let mut problems = Vec::new();
        for (field, header) in [
            ("header", &self.header),
            ("timestampHeader", &self.timestamp_header),
            ("idHeader", &self.id_header),
        ] {
            if let Some(header) = header
                && HeaderName::from_bytes(header.as_bytes()).is_err()
            {
                problems.push(format!("authentication.{field}: {header:?} is not a header name"));
            }
        }
        let encoding = self.secret_encoding.unwrap_or_default();
        if self.secret.0.iter().any(|dated| encoding.read(&dated.value).is_none()) {
            problems.push("authentication.secret: it is not written as secretEncoding says".to_owned());
        }
        if self.timestamp_header.is_some() && self.timestamp_part.is_some() {
            problems.push("authentication: timestampHeader and timestampPart exclude each other".to_owned());
        }
        if self.timestamp_part.is_some() && self.signature_part.is_none() {
            problems.push("authentication.timestampPart: it needs signaturePart beside it".to_owned());
        }
        match pieces(self.signed_text()) {
            Err(what) => problems.push(what),
            Ok(pieces) => {
                let fields: Vec<&str> = pieces
                    .iter()
                    .filter_map(|piece| match piece {
                        Piece::Field(name) => Some(*name),
                        Piece::Text(_) => None,
                    })
                    .collect();
                let known = ["body", "timestamp", "id", "method", "path", "query", "url"];
                problems.extend(
                    fields
                        .iter()
                        .filter(|name| {
                            let header = name.strip_prefix("header:");
                            !known.contains(name)
                                && header.is_none_or(|header| HeaderName::from_bytes(header.as_bytes()).is_err())
                        })
                        .map(|name| {
                            format!(
                                "authentication.signed: {{{name}}} is unknown; there are {{body}}, {{timestamp}}, {{id}}, {{method}}, \
                                 {{path}}, {{query}}, {{url}} and {{header:Name}}"
                            )
                        }),
                );
                if !fields.contains(&"body") {
                    problems.push("authentication.signed: {body} is missing, so anybody could change it".to_owned());
                }
                if self.has_time() != fields.contains(&"timestamp") {
                    problems.push(if self.has_time() {
                        "authentication.signed: {timestamp} is missing; a time that is not signed proves nothing"
                            .to_owned()
                    } else {
                        "authentication.signed: {timestamp} needs timestampHeader or timestampPart".to_owned()
                    });
                }
            }
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    pub(super) fn verify_hmac(&self, request: &Received<'_>) -> Result<Verified, Refusal> {
        let header = self.header.as_deref().unwrap_or(HEADER);
        let text = request.header(header)?;
        let (signatures, part_time) = self.parts(header, text)?;
        let time = match (&self.timestamp_header, part_time) {
            (Some(name), _) => Some((name.as_str(), request.header(name)?)),
            (None, Some(time)) => Some((header, time)),
            (None, None) => None,
        };
        let signed_at = time.map(|(name, time)| window::read(name, time)).transpose()?;
        let given = self.decoded(header, &signatures)?;
        let id_header = self.id_header.as_deref().unwrap_or(ID_HEADER);
        let signed = self.signed(request, time.map(|(_, time)| time), id_header)?;
        let parts: Vec<&[u8]> = signed.iter().map(AsRef::as_ref).collect();
        let encoding = self.secret_encoding.unwrap_or_default();
        let keys = self.keys(request.at, |secret| encoding.read(secret));
        if !mac::fits(self.algorithm.unwrap_or_default(), &keys, &parts, &given) {
            return Err(Refusal::wrong(header));
        }
        Ok(Verified {
            id: request.header_if(id_header).map(ToOwned::to_owned),
            signed_at,
            proof: self.proof(self.signed_text().contains("{id}"), &parts),
        })
    }

    /// The signatures in the header, and the time where it is in there too.
    fn parts<'a>(&self, header: &str, text: &'a str) -> Result<(Vec<&'a str>, Option<&'a str>), Refusal> {
        let Some(name) = self.signature_part.as_deref() else {
            return Ok((vec![text], None));
        };
        let all: Vec<(&str, &str)> = text
            .split([',', ';'])
            .filter_map(|part| part.trim().split_once('='))
            .collect();
        let of = |wanted: &str| {
            let wanted = wanted.to_owned();
            all.iter()
                .filter(move |(name, _)| *name == wanted)
                .map(|(_, value)| *value)
        };
        let signatures: Vec<&str> = of(name).collect();
        if signatures.is_empty() {
            return Err(Refusal::malformed(header, &format!("a list with {name}=")));
        }
        let time = match &self.timestamp_part {
            None => None,
            Some(part) => {
                let mut times = of(part);
                match (times.next(), times.next()) {
                    (Some(time), None) => Some(time),
                    _ => return Err(Refusal::malformed(header, &format!("a list with one {part}="))),
                }
            }
        };
        Ok((signatures, time))
    }

    fn decoded(&self, header: &str, signatures: &[&str]) -> Result<Vec<Vec<u8>>, Refusal> {
        let own = format!("{}=", self.algorithm.unwrap_or_default().name());
        let encoding = self.encoding.unwrap_or_default();
        let mut all = Vec::new();
        for text in signatures {
            let digits = match &self.prefix {
                Some(prefix) => text
                    .strip_prefix(prefix.as_str())
                    .ok_or_else(|| Refusal::malformed(header, &format!("a signature after {prefix}")))?,
                None => text.strip_prefix(own.as_str()).unwrap_or(text),
            };
            if self.prefix.is_none()
                && ["sha1=", "sha256=", "sha384=", "sha512=", "md5="]
                    .iter()
                    .any(|p| digits.starts_with(p))
            {
                return Err(Refusal::new(
                    Reason::WrongAlgorithm,
                    format!("{header} is not {own}..., and no other algorithm is taken"),
                ));
            }
            all.extend(encoding.decode(digits));
        }
        if all.is_empty() {
            return Err(Refusal::malformed(
                header,
                "a signature in the encoding of this endpoint",
            ));
        }
        Ok(all)
    }

    /// The pieces of what is signed, in order.
    fn signed<'a>(
        &'a self,
        request: &Received<'a>,
        time: Option<&'a str>,
        id_header: &str,
    ) -> Result<Vec<std::borrow::Cow<'a, [u8]>>, Refusal> {
        let pieces = pieces(self.signed_text()).map_err(|what| Refusal::new(Reason::NotConfigured, what))?;
        pieces
            .into_iter()
            .map(|piece| {
                let text = match piece {
                    Piece::Text(text) => text,
                    Piece::Field("body") => return Ok(request.body.into()),
                    Piece::Field("timestamp") => time.unwrap_or_default(),
                    Piece::Field("id") => request.header(id_header)?,
                    Piece::Field("method") => request.method.as_str(),
                    Piece::Field("path") => request.path,
                    Piece::Field("query") => request.query(),
                    Piece::Field("url") => request.url,
                    Piece::Field(name) => match name.strip_prefix("header:") {
                        Some(name) => request.header(name)?,
                        None => return Err(Refusal::new(Reason::NotConfigured, format!("{{{name}}} is unknown"))),
                    },
                };
                Ok(text.as_bytes().into())
            })
            .collect()
    }
}
