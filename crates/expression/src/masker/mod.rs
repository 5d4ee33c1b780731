//! Finding secrets in what comes back, and taking them out.
//!
//! Services echo what they are sent: in error texts, in redirects, in headers. A [`Masker`] knows the secret
//! texts of this process and [`forms`] in which they come back, and replaces them by [`MASK`](crate::MASK)
//! wherever a text is recorded, printed or logged.
//!
//! Looking for thousands of texts at once is one pass (Aho–Corasick). Adding is rare, since the same secrets
//! are used again and again, so a known text is recognised without waiting for anybody. A new one goes into a
//! small automaton, which is built at once, and every [`FRESH`] new ones the large automaton takes them over.
//! Tokens expire and new ones come, so at [`CAPACITY`] texts those that were not used lately are forgotten.

mod forms;
mod known;
mod writer;

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use serde_json::{Map, Value};

use self::known::Known;
pub use self::writer::MaskingWriter;
use crate::MASK;

/// How many new texts are kept in the small automaton.
const FRESH: usize = 64;

/// How many texts are known at most.
const CAPACITY: usize = 4_096;

/// Knows every secret text of this process and takes them out of whatever is recorded, printed or logged.
/// Cheap to clone; clones share what they know.
#[derive(Clone, Default)]
pub struct Masker(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What is known. Readers take a reference out and let go of the lock at once.
    known: RwLock<Arc<Known>>,
    /// Held while something new is learned, so that two do not learn at once.
    learning: Mutex<()>,
    /// Learns what this one learns.
    above: Option<Masker>,
}

impl Masker {
    /// One that knows nothing yet, and from which this one learns: what it is told is hidden by both, and what others know
    /// it does not. Whoever can have texts masked by it finds out nothing of the secrets of others.
    #[must_use]
    pub fn part(&self) -> Self {
        Self(Arc::new(Shared {
            above: Some(self.clone()),
            ..Shared::default()
        }))
    }

    /// Adds a secret text, and the forms in which services echo it: base64, percent-encoded, JSON-escaped and
    /// HTML-escaped, and each long line of a text with several lines.
    ///
    /// Texts shorter than six bytes, `true`, `false`, `null` and numbers with fewer than eight digits are
    /// ignored: replacing every `1` or `true` in a record would destroy it and hide nothing, and a secret that
    /// short can be guessed. A text that is known already costs one look.
    pub fn add(&self, secret: &str) {
        self.add_all([secret]);
    }

    /// Adds several texts, as [`add`](Self::add) does, learning the new ones in one go.
    pub fn add_all<'s>(&self, secrets: impl IntoIterator<Item = &'s str>) {
        let known = self.known();
        // What is used here is used above, too, so that it is not forgotten there.
        let above = self.0.above.as_ref().map(Self::known);
        let is_new = |secret: &&str| {
            let is_known_above = above.as_ref().is_none_or(|above| above.recognises(secret));
            !known.recognises(secret) || !is_known_above
        };
        let new: Vec<&str> = secrets
            .into_iter()
            .filter(|secret| forms::worth_hiding(secret))
            .filter(is_new)
            .collect();
        if new.is_empty() {
            return;
        }
        // First, so that nothing that is used here can be logged in clear.
        if let Some(above) = &self.0.above {
            above.add_all(new.iter().copied());
        }
        let _learning = self.0.learning.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.known();
        let new: Vec<&str> = new.into_iter().filter(|secret| !known.recognises(secret)).collect();
        let more = Arc::new(known.with(&new));
        *self.0.known.write().unwrap_or_else(PoisonError::into_inner) = more;
    }

    /// Whether a known secret occurs in `text`.
    #[must_use]
    pub fn contains(&self, text: &str) -> bool {
        self.known().occurs(text.as_bytes())
    }

    /// `text` with every known secret replaced by [`MASK`](crate::MASK); the same text, not copied, if there is
    /// none.
    #[must_use]
    pub fn scrub_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let spans = self.known().spans(text.as_bytes());
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut out = String::with_capacity(text.len());
        let mut from = 0;
        for span in spans {
            // Every form is whole characters, so the spans are too.
            out.push_str(text.get(from..span.start).unwrap_or_default());
            out.push_str(MASK);
            from = span.end;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// [`scrub_text`](Self::scrub_text) for bytes that need not be text.
    #[must_use]
    pub fn scrub_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let known = self.known();
        let spans = known.spans(bytes);
        if spans.is_empty() {
            return Cow::Borrowed(bytes);
        }
        let mut out = Vec::with_capacity(bytes.len());
        let mut from = 0;
        for span in spans {
            out.extend_from_slice(&bytes[from..span.start]);
            out.extend_from_slice(MASK.as_bytes());
            from = span.end;
        }
        out.extend_from_slice(&bytes[from..]);
        Cow::Owned(out)
    }

    /// Replaces known secrets in every string of `value`, keys included, however deep it is. If two keys of an
    /// object become the same, the later one gets a number.
    ///
    /// Numbers are looked at too: one that is a known secret becomes [`MASK`](crate::MASK).
    pub fn scrub(&self, value: &mut Value) {
        let known = self.known();
        if known.is_empty() {
            return;
        }
        let mut waiting = vec![value];
        while let Some(value) = waiting.pop() {
            match value {
                Value::String(text) => {
                    if let Cow::Owned(clean) = self.scrub_text(text) {
                        *text = clean;
                    }
                }
                Value::Number(number) => {
                    let text = number.to_string();
                    if text.len() >= forms::SHORTEST && known.recognises(&text) {
                        *value = Value::String(MASK.to_owned());
                    }
                }
                Value::Array(items) => waiting.extend(items),
                Value::Object(fields) => {
                    if fields.keys().any(|key| known.occurs(key.as_bytes())) {
                        self.scrub_keys(fields);
                    }
                    waiting.extend(fields.values_mut());
                }
                Value::Null | Value::Bool(_) => {}
            }
        }
    }

    fn scrub_keys(&self, fields: &mut Map<String, Value>) {
        let mut clean = Map::with_capacity(fields.len());
        for (key, field) in std::mem::take(fields) {
            let name = self.scrub_text(&key).into_owned();
            let mut free = name.clone();
            let mut number = 1;
            while clean.contains_key(&free) {
                number += 1;
                free = format!("{name}-{number}");
            }
            clean.insert(free, field);
        }
        *fields = clean;
    }

    fn known(&self) -> Arc<Known> {
        Arc::clone(&self.0.known.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("known", &self.known().len()).finish()
    }
}

#[cfg(test)]
mod tests;
