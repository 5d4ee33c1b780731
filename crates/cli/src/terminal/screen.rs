//! The one way to stdout and stderr: what is printed goes above what is drawn.
//!
//! Progress is a block of lines at the bottom of the terminal that is drawn again and again. Whoever prints
//! meanwhile (a result, a log line) takes the block away, prints, and puts it back, all in one write.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use console::Term;

/// What is drawn at the moment.
struct Drawn {
    lines: Vec<String>,
}

static DRAWN: Mutex<Drawn> = Mutex::new(Drawn { lines: Vec::new() });

fn lock() -> MutexGuard<'static, Drawn> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints lines to stderr, above what is drawn. A stderr that is gone is nobody's concern.
pub(crate) fn above(text: &str) {
    match DRAWN.try_lock() {
        Ok(drawn) => drop(write_above(&drawn, text)),
        Err(TryLockError::Poisoned(drawn)) => drop(write_above(&drawn.into_inner(), text)),
        // Whoever holds it may be the one who panics and wants to tell.
        Err(TryLockError::WouldBlock) if std::thread::panicking() => {
            let _ = writeln!(io::stderr(), "{text}");
        }
        Err(TryLockError::WouldBlock) => drop(write_above(&lock(), text)),
    }
}

fn write_above(drawn: &Drawn, text: &str) -> io::Result<()> {
    let term = Term::buffered_stderr();
    term.clear_last_lines(drawn.lines.len())?;
    term.write_line(text.trim_end_matches('\n'))?;
    put(&term, &drawn.lines)?;
    term.flush()
}

fn put(term: &Term, lines: &[String]) -> io::Result<()> {
    lines.iter().try_for_each(|line| term.write_line(line))
}

/// Prints a line to stdout.
///
/// # Errors
/// Those of stdout.
pub(crate) fn stdout(text: &str) -> io::Result<()> {
    let drawn = lock();
    let term = Term::buffered_stderr();
    if !drawn.lines.is_empty() {
        // Drawing is for people to watch; the result must get out whatever happens to it.
        let _ = term.clear_last_lines(drawn.lines.len()).and_then(|()| term.flush());
    }
    let mut out = io::stdout().lock();
    let written = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    if !drawn.lines.is_empty() {
        let _ = put(&term, &drawn.lines).and_then(|()| term.flush());
    }
    written
}

/// Draws these lines instead of those drawn before. Each must fit into the width of the terminal.
pub(crate) fn draw(lines: Vec<String>) {
    let mut drawn = lock();
    if drawn.lines == lines {
        return;
    }
    let term = Term::buffered_stderr();
    // A terminal that is gone is nobody's concern.
    let _ = term
        .clear_last_lines(drawn.lines.len())
        .and_then(|()| put(&term, &lines))
        .and_then(|()| term.flush());
    drawn.lines = lines;
}

/// Lets what is drawn stand, and forgets it.
pub(crate) fn leave() {
    lock().lines.clear();
}

/// Rows and columns of the terminal on stderr.
pub(crate) fn size() -> (usize, usize) {
    let (rows, columns) = Term::stderr().size();
    (usize::from(rows).max(4), usize::from(columns).max(20))
}

/// For loggers: what is written goes above what is drawn.
pub(crate) struct Above;

impl Write for Above {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        above(&String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
