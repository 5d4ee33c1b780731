//! Which parts of a workflow may be forgotten once they are done.
//!
//! A finished item of a loop is folded to its result: a replay does not run it again. That would lose what the
//! item left elsewhere in memory, and a saga is just that: so an item that added to one is not folded.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use bowline_core::Branch;

thread_local! {
    /// The parts that are being polled, outermost first.
    static INSIDE: RefCell<Vec<Arc<AtomicBool>>> = const { RefCell::new(Vec::new()) };
}

/// Something was left that a replay must find again: what is being polled must run again then.
pub(crate) fn keep_what_is_inside() {
    INSIDE.with_borrow(|inside| {
        for kept in inside {
            kept.store(true, Ordering::Relaxed);
        }
    });
}

/// A part that may be folded, unless something says otherwise while it runs.
pub(crate) struct Part<'a, T> {
    future: Branch<'a, T>,
    kept: Arc<AtomicBool>,
}

impl<'a, T> Part<'a, T> {
    pub(crate) fn new(future: impl Future<Output = T> + Send + 'a) -> Self {
        Self {
            future: Box::pin(future),
            kept: Arc::default(),
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
    /// The result, and whether the part may be folded.
    type Output = (T, bool);

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<(T, bool)> {
        INSIDE.with_borrow_mut(|inside| inside.push(Arc::clone(&self.kept)));
        let leave = Leave;
        let polled = self.future.as_mut().poll(cx);
        drop(leave);
        polled.map(|result| (result, !self.kept.load(Ordering::Relaxed)))
    }
}
