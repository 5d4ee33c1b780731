//! A writer that lets no secret through.

use std::io::{self, Write};

use super::Masker;

/// A line that is longer is passed on in parts, never cut inside a secret.
const LONGEST_LINE: usize = 1 << 20;

/// How much of a long line is held back when a part of it is passed on. No form of a secret is longer.
const HELD_BACK: usize = 128 << 10;

/// Scrubs what is written through it, for logs and terminals.
///
/// It passes on whole lines, so that a secret written in two calls is found too. [`flush`](Write::flush) passes
/// on what there is of an unfinished line, and so does dropping it; a line longer than 1 MiB goes in parts.
pub struct MaskingWriter<W: Write> {
    /// `None` only once [`into_inner`](Self::into_inner) took it.
    inner: Option<W>,
    masker: Masker,
    pub(super) waiting: Vec<u8>,
}

impl<W: Write> MaskingWriter<W> {
    /// A writer that scrubs with what `masker` knows when a line is passed on.
    pub fn new(inner: W, masker: Masker) -> Self {
        Self {
            inner: Some(inner),
            masker,
            waiting: Vec::new(),
        }
    }

    /// Passes everything on and gives back the writer behind it.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.pass_on(self.waiting.len())?;
        self.inner.take().ok_or_else(closed)
    }

    /// Scrubs and passes on the first bytes of what is waiting. What was passed on, or could not be, is no
    /// longer waiting: a writer that fails loses a line and does not repeat one.
    fn pass_on(&mut self, bytes: usize) -> io::Result<()> {
        if bytes == 0 {
            return Ok(());
        }
        let inner = self.inner.as_mut().ok_or_else(closed)?;
        let result = inner.write_all(&self.masker.scrub_bytes(&self.waiting[..bytes]));
        self.waiting.drain(..bytes);
        result
    }

    /// Where a line that is too long may be cut: before what is held back, and not inside a secret.
    fn cut(&self) -> usize {
        let end = self.waiting.len() - HELD_BACK;
        self.masker
            .known()
            .spans(&self.waiting)
            .into_iter()
            .find(|span| span.start < end && end < span.end)
            .map_or(end, |span| span.start)
    }
}

impl<W: Write> Write for MaskingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.waiting.len();
        self.waiting.extend_from_slice(bytes);
        if let Some(newline) = bytes.iter().rposition(|byte| *byte == b'\n') {
            self.pass_on(before + newline + 1)?;
        }
        if self.waiting.len() > LONGEST_LINE {
            let cut = self.cut();
            self.pass_on(cut)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on(self.waiting.len())?;
        self.inner.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl<W: Write> Drop for MaskingWriter<W> {
    fn drop(&mut self) {
        // Nobody is left to tell; whoever needs to know flushes first.
        let _ = self.flush();
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the writer was taken")
}
