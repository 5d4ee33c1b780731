//! What a masker knows at one moment. It never changes; learning makes a new one that shares the old parts.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::hash::{Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use aho_corasick::AhoCorasick;
use zeroize::Zeroizing;

use super::{CAPACITY, FRESH, forms};

/// A secret text. It is found by its text in a set.
#[derive(Clone)]
struct Entry(Arc<Text>);

struct Text {
    text: Zeroizing<String>,
    /// Whether it was used since texts were last forgotten.
    used: AtomicBool,
}

impl Borrow<str> for Entry {
    fn borrow(&self) -> &str {
        &self.0.text
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.as_str().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Entry {}

/// Some secrets and the automaton that finds all their forms.
#[derive(Default)]
struct Layer {
    /// In the order in which they were added.
    order: Vec<Entry>,
    index: HashSet<Entry>,
    automaton: Option<AhoCorasick>,
}

impl Layer {
    #[expect(
        clippy::mutable_key_type,
        reason = "an entry is hashed and compared by its text, which never changes"
    )]
    fn new(order: Vec<Entry>) -> Self {
        let index: HashSet<Entry> = order.iter().cloned().collect();
        let patterns: Vec<Zeroizing<Vec<u8>>> = order.iter().flat_map(|entry| forms::of(&entry.0.text)).collect();
        // Building fails only beyond two billion states, which the length of forms and the capacity prevent.
        let automaton = AhoCorasick::new(patterns.iter().map(|pattern| pattern.as_slice())).ok();
        Self {
            order,
            index,
            automaton,
        }
    }
}

/// Everything a masker knows.
#[derive(Default)]
pub(super) struct Known {
    /// Most texts.
    settled: Arc<Layer>,
    /// The newest ones.
    fresh: Layer,
}

impl Known {
    pub(super) fn len(&self) -> usize {
        self.settled.order.len() + self.fresh.order.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the text is known; marks it as used.
    pub(super) fn recognises(&self, secret: &str) -> bool {
        let entry = self.fresh.index.get(secret).or_else(|| self.settled.index.get(secret));
        if let Some(Entry(text)) = entry {
            // Only the first use writes, so that many threads can use one secret without disturbing each other.
            if !text.used.load(Ordering::Relaxed) {
                text.used.store(true, Ordering::Relaxed);
            }
        }
        entry.is_some()
    }

    /// Everything known, and the given texts.
    pub(super) fn with(&self, secrets: &[&str]) -> Self {
        let mut fresh = self.fresh.order.clone();
        for secret in secrets {
            if !self.recognises(secret) && !fresh.iter().any(|entry| entry.0.text.as_str() == *secret) {
                fresh.push(Entry(Arc::new(Text {
                    text: Zeroizing::new((*secret).to_owned()),
                    used: AtomicBool::new(true),
                })));
            }
        }
        if fresh.len() < FRESH {
            return Self {
                settled: Arc::clone(&self.settled),
                fresh: Layer::new(fresh),
            };
        }
        let mut settled = self.settled.order.clone();
        settled.append(&mut fresh);
        Self {
            settled: Arc::new(Layer::new(remembered(settled))),
            fresh: Layer::default(),
        }
    }

    pub(super) fn occurs(&self, bytes: &[u8]) -> bool {
        self.automata().any(|automaton| automaton.is_match(bytes))
    }

    /// Where secrets are: in order, and those that overlap as one.
    pub(super) fn spans(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut spans: Vec<Range<usize>> = Vec::new();
        for automaton in self.automata() {
            // Most texts have none, and finding that out is much faster than finding all.
            if automaton.is_match(bytes) {
                spans.extend(automaton.find_overlapping_iter(bytes).map(|found| found.range()));
            }
        }
        spans.sort_unstable_by_key(|span| (span.start, span.end));
        let mut merged: Vec<Range<usize>> = Vec::with_capacity(spans.len());
        for span in spans {
            match merged.last_mut() {
                Some(last) if span.start < last.end => last.end = last.end.max(span.end),
                _ => merged.push(span),
            }
        }
        merged
    }

    fn automata(&self) -> impl Iterator<Item = &AhoCorasick> {
        [&self.settled.automaton, &self.fresh.automaton].into_iter().flatten()
    }
}

/// The texts to keep: all, or if there are too many, those used since the last time, the newest first to stay.
fn remembered(mut order: Vec<Entry>) -> Vec<Entry> {
    if order.len() <= CAPACITY {
        return order;
    }
    let newest = order.len() - CAPACITY / 4;
    let mut position = 0;
    order.retain(|entry| {
        position += 1;
        position > newest || entry.0.used.swap(false, Ordering::Relaxed)
    });
    // If nearly all are in use, the oldest go.
    let surplus = order.len().saturating_sub(CAPACITY - CAPACITY / 4);
    order.drain(..surplus);
    order
}
