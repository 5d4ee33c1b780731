//! Traces: what a W3C `traceparent` header says, and the ids of the spans that an execution and its attempts are.
//!
//! Ids of spans are computed from what they stand for. So a span that begins in one process and ends in another is the same
//! one, and whoever is called by an attempt can name it before it has ended.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// A `traceparent`: which trace something belongs to, and below which span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace: [u8; 16],
    /// The span above.
    pub span: [u8; 8],
    /// Whether spans of the trace are wanted.
    pub sampled: bool,
}

impl TraceParent {
    /// Reads the text of a header. `None` where it is not one: a wrong form, or ids that are all zeros.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // Version 00 ends here; later ones may have more.
        let is_known = version.len() == 2 && version != "ff" && (version != "00" || parts.next().is_none());
        let [_] = bytes::<1>(version)?;
        let [flags] = bytes::<1>(flags)?;
        let (trace, span) = (bytes::<16>(trace)?, bytes::<8>(span)?);
        (is_known && trace != [0; 16] && span != [0; 8]).then_some(Self {
            trace,
            span,
            sampled: flags & 1 == 1,
        })
    }

    /// The text of the header.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "00-{}-{}-{:02x}",
            hex(&self.trace),
            hex(&self.span),
            u8::from(self.sampled)
        )
    }

    /// The same trace below another span.
    #[must_use]
    pub fn below(self, span: [u8; 8]) -> Self {
        Self { span, ..self }
    }
}

/// The span that an execution is.
#[must_use]
pub fn execution_span(execution: &str) -> [u8; 8] {
    span(&[execution])
}

/// The span that an attempt of a step is; attempts count from 1.
#[must_use]
pub fn attempt_span(execution: &str, path: &str, attempt: u32) -> [u8; 8] {
    span(&[execution, path, &attempt.to_string()])
}

/// What an attempt tells the service that it calls: the trace of its execution, below the attempt's own span. `None`
/// where what the execution was started with is no `traceparent`.
#[must_use]
pub fn attempt_parent(trace: &str, execution: &str, path: &str, attempt: u32) -> Option<String> {
    let parent = TraceParent::parse(trace)?;
    Some(parent.below(attempt_span(execution, path, attempt)).text())
}

fn span(parts: &[&str]) -> [u8; 8] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash = hash.finalize();
    let mut id = [0; 8];
    id.copy_from_slice(&hash[..8]);
    // All zeros means that there is none.
    if id == [0; 8] {
        id[7] = 1;
    }
    id
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let is_small = |digit: &u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit);
    if digits.len() != 2 * N || !digits.iter().all(is_small) {
        return None;
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_header_reads_back() {
        let parent = TraceParent::parse(HEADER).unwrap();
        assert!(parent.sampled);
        assert_eq!(parent.text(), HEADER);
        let later = TraceParent::parse("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-more").unwrap();
        assert_eq!((later.trace, later.sampled), (parent.trace, false));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-01",
        ] {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn attempts_are_spans_of_their_own_in_the_same_trace() {
        let told = attempt_parent(HEADER, "e", "a", 1).unwrap();
        let told = TraceParent::parse(&told).unwrap();
        assert_eq!(told.trace, TraceParent::parse(HEADER).unwrap().trace);
        assert_eq!(told.span, attempt_span("e", "a", 1));
        let others = [
            attempt_span("e", "a", 2),
            attempt_span("e", "b", 1),
            attempt_span("ea", "", 1),
            execution_span("e"),
        ];
        assert!(others.iter().all(|other| *other != told.span), "{others:?}");
        assert_eq!(attempt_parent("x", "e", "a", 1), None);
    }
}
