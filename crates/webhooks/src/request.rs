//! A request as it came, before anything is believed.

use http::{HeaderMap, Method};

use crate::refusal::Refusal;

/// A request from outside: its raw bytes, and when they came.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The method.
    pub method: &'a Method,
    /// The address that the sender called, whole: scheme, host, path and query. Some schemes sign it.
    pub url: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// All headers.
    pub headers: &'a HeaderMap,
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// When it came, in milliseconds since the Unix epoch.
    pub at: i64,
}

impl<'a> Received<'a> {
    /// The text of a header that has to be there once.
    pub(crate) fn header(&self, name: &str) -> Result<&'a str, Refusal> {
        let mut values = self.headers.get_all(name).iter();
        let value = values.next().ok_or_else(|| Refusal::missing(name))?;
        // Which of two would count is a question that a forger must not get to ask.
        if values.next().is_some() {
            return Err(Refusal::malformed(name, "there once"));
        }
        let text = value
            .to_str()
            .map_err(|_| Refusal::malformed(name, "plain text"))?
            .trim();
        if text.is_empty() {
            return Err(Refusal::missing(name));
        }
        Ok(text)
    }

    /// The text of a header, if it is there and readable.
    pub(crate) fn header_if(&self, name: &str) -> Option<&'a str> {
        let text = self.headers.get(name)?.to_str().ok()?.trim();
        (!text.is_empty()).then_some(text)
    }

    /// The query, without the question mark.
    pub fn query(&self) -> &'a str {
        self.url
            .split_once('?')
            .map_or("", |(_, query)| query)
            .split('#')
            .next()
            .unwrap_or("")
    }
}
