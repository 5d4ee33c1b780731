//! Lines in, replies out, with bounds on both.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;

/// The longest line; RFC 5321 asks for 1,000 at least.
const MAX_LINE: usize = 64 << 10;

/// The greatest message.
const MAX_MESSAGE: usize = 32 << 20;

/// One end of an SMTP conversation.
pub(crate) struct Wire {
    stream: BufStream<TcpStream>,
}

/// What came after `DATA`.
pub(crate) enum Data {
    /// The message, without the dots that the protocol puts before dots.
    Message(Vec<u8>),
    /// It was read to its end, but is too great to keep.
    TooLarge,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream: BufStream::new(stream),
        }
    }

    /// The next line without its end; `None` when the client has left.
    pub(crate) async fn line(&mut self) -> io::Result<Option<String>> {
        let bytes = self.raw_line().await?;
        Ok(bytes.map(|bytes| {
            String::from_utf8_lossy(&bytes)
                .trim_end_matches(['\r', '\n'])
                .to_owned()
        }))
    }

    /// The message after `DATA`, up to the line with one dot; `None` when the client leaves before.
    pub(crate) async fn data(&mut self) -> io::Result<Option<Data>> {
        let mut message = Vec::new();
        let mut too_large = false;
        loop {
            let Some(line) = self.raw_line().await? else {
                return Ok(None);
            };
            let line = match line.as_slice() {
                b".\r\n" | b".\n" => break,
                [b'.', rest @ ..] => rest,
                all => all,
            };
            too_large |= message.len() + line.len() > MAX_MESSAGE;
            if !too_large {
                message.extend_from_slice(line);
            }
        }
        Ok(Some(if too_large {
            Data::TooLarge
        } else {
            Data::Message(message)
        }))
    }

    /// Sends one reply line.
    pub(crate) async fn reply(&mut self, code: u16, text: &str) -> io::Result<()> {
        self.bytes(format!("{code} {text}\r\n").as_bytes()).await
    }

    /// Sends these bytes.
    pub(crate) async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The bare connection.
    pub(crate) fn into_inner(self) -> TcpStream {
        self.stream.into_inner()
    }

    async fn raw_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(MAX_LINE as u64)
            .read_until(b'\n', &mut line)
            .await?;
        if read == 0 {
            return Ok(None);
        }
        if line.last() != Some(&b'\n') {
            let message = if read == MAX_LINE {
                "line too long"
            } else {
                "the client left within a line"
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
        Ok(Some(line))
    }
}
