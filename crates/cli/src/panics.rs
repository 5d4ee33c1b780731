//! Panics: one masked line instead of a trace, and that there was one.
//!
//! The engine catches the panic of a step or a program and makes an error of it, so a panic is not the end of
//! the process. The hook therefore only tells; what becomes of it is decided where it is caught.

use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::terminal;

static SEEN: AtomicBool = AtomicBool::new(false);

/// Makes panics tell one line on stderr.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(|info| {
        SEEN.store(true, Ordering::SeqCst);
        terminal::note(&line(info));
    }));
}

/// Whether anything has panicked in this process.
pub(crate) fn seen() -> bool {
    SEEN.load(Ordering::SeqCst)
}

fn line(info: &PanicHookInfo<'_>) -> String {
    let what = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let what = terminal::text::one_line(what);
    format!("bug: {what} (at {place}); please report this with the command and the workflow")
}
