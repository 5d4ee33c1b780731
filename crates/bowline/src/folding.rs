//! Which parts of a workflow may be forgotten once they are done.
//!
//! A finished item of a loop is folded to its result: a replay does not run it again. That would lose what the
//! item left elsewhere in memory. A saga around the loop is just that, so an item that added to one is not folded. What
//! it shows to those who ask is kept with its result.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use bowline_core::{Branch, Payload};

thread_local! {
    /// The parts that are being polled, outermost first.
    static INSIDE: RefCell<Vec<Arc<Left>>> = const { RefCell::new(Vec::new()) };
}

/// What a workflow shows, by name.
pub(crate) type Shown = BTreeMap<String, Payload>;

/// What a part leaves besides its result.
#[derive(Default)]
pub(crate) struct Left {
    /// Something that a replay must find again.
    something: AtomicBool,
    shown: Mutex<Shown>,
}

/// The parts that something belongs to.
#[derive(Clone, Default)]
pub(crate) struct Around(Vec<Arc<Left>>);

impl Around {
    /// Those that are being polled.
    pub(crate) fn now() -> Self {
        Self(INSIDE.with_borrow(Clone::clone))
    }

    /// Something was added to what belongs to these parts: those inside of them must run again on a replay.
    pub(crate) fn added(&self) {
        INSIDE.with_borrow(|inside| {
            let others = inside
                .iter()
                .filter(|part| !self.0.iter().any(|around| Arc::ptr_eq(around, part)));
            for part in others {
                part.something.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// A value was shown.
pub(crate) fn note(name: &str, value: &Payload) {
    INSIDE.with_borrow(|inside| {
        for part in inside {
            // Nothing panics while it is held.
            let mut shown = part.shown.lock().unwrap_or_else(PoisonError::into_inner);
            shown.insert(name.to_owned(), value.clone());
        }
    });
}

/// A part that may be folded, unless something says otherwise while it runs.
pub(crate) struct Part<'a, T> {
    future: Branch<'a, T>,
    left: Arc<Left>,
}

impl<'a, T> Part<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self {
            future: Box::pin(future),
            left: Arc::default(),
        }
    }
}

struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

impl<T> Future for Part<'_, T> {
    /// The result, and where the part may be folded what it has shown.
    type Output = (T, Option<Shown>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        INSIDE.with_borrow_mut(|inside| inside.push(Arc::clone(&self.left)));
        let leave = Leave;
        let polled = self.future.as_mut().poll(cx);
        drop(leave);
        polled.map(|result| {
            let shown = std::mem::take(&mut *self.left.shown.lock().unwrap_or_else(PoisonError::into_inner));
            (result, (!self.left.something.load(Ordering::Relaxed)).then_some(shown))
        })
    }
}
