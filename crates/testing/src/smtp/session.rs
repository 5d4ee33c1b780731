//! One SMTP conversation.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, json};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::Service;
use super::message::{self, Envelope};
use super::wire::{Data, Wire};
use crate::fault::Strike;
use crate::recorder::{BodyEncoding, Call, Recorder};

/// Serves a client until it leaves, a fault ends the connection, or the mocks stop.
pub(crate) async fn serve(stream: TcpStream, service: Arc<Service>, recorder: Arc<Recorder>, stop: CancellationToken) {
    let mut session = Session {
        wire: Wire::new(stream),
        service,
        recorder,
        stop: stop.clone(),
        user: None,
        from: None,
        to: Vec::new(),
    };
    let ended = tokio::select! {
        ended = session.run() => ended,
        () = stop.cancelled() => Ok(Ending::Close),
    };
    match ended {
        Ok(Ending::Reset) => {
            // A stream that lingers for no time sends a reset when it is dropped.
            if let Err(error) = session.wire.into_inner().set_zero_linger() {
                tracing::debug!(%error, "the client of a mock left first");
            }
        }
        Ok(Ending::Close) => {}
        Err(error) => tracing::debug!(%error, "a conversation with a mail mock ended"),
    }
}

/// How the connection ends.
enum Ending {
    Close,
    Reset,
}

struct Session {
    wire: Wire,
    service: Arc<Service>,
    recorder: Arc<Recorder>,
    stop: CancellationToken,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

type Step = io::Result<ControlFlow<Ending>>;

impl Session {
    async fn run(&mut self) -> io::Result<Ending> {
        self.wire.reply(220, "mock.invalid ESMTP").await?;
        while let Some(line) = self.wire.line().await? {
            if let ControlFlow::Break(ending) = self.command(&line).await? {
                return Ok(ending);
            }
        }
        Ok(Ending::Close)
    }

    async fn command(&mut self, line: &str) -> Step {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => {
                self.reset();
                let greeting =
                    "250-mock.invalid\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n";
                self.wire.bytes(greeting.as_bytes()).await?;
            }
            "HELO" => {
                self.reset();
                self.wire.reply(250, "mock.invalid").await?;
            }
            "AUTH" => self.authenticate(argument).await?,
            "MAIL" => self.mail(argument).await?,
            "RCPT" => return self.recipient(argument).await,
            "DATA" => return self.data().await,
            "RSET" => {
                self.reset();
                self.wire.reply(250, "forgotten").await?;
            }
            "NOOP" => self.wire.reply(250, "ok").await?,
            "VRFY" => self.wire.reply(252, "send it and see").await?,
            "QUIT" => {
                self.wire.reply(221, "goodbye").await?;
                return Ok(ControlFlow::Break(Ending::Close));
            }
            _ => self.wire.reply(502, "command not implemented").await?,
        }
        Ok(ControlFlow::Continue(()))
    }

    /// PLAIN and LOGIN; whoever asks is let in.
    async fn authenticate(&mut self, argument: &str) -> io::Result<()> {
        let (mechanism, first) = argument.split_once(' ').unwrap_or((argument, ""));
        let user = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let given = if first.is_empty() {
                    self.ask("").await?
                } else {
                    Some(first.to_owned())
                };
                // `authorization identity NUL user NUL password`
                decoded(given).and_then(|text| text.split('\0').nth(1).map(str::to_owned))
            }
            "LOGIN" => {
                let user = if first.is_empty() {
                    self.ask("VXNlcm5hbWU6").await?
                } else {
                    Some(first.to_owned())
                };
                let password = self.ask("UGFzc3dvcmQ6").await?;
                decoded(password).and(decoded(user))
            }
            _ => return self.wire.reply(504, "only PLAIN and LOGIN").await,
        };
        match user {
            None => {
                self.wire
                    .reply(501, "that is not base64 of a user and a password")
                    .await
            }
            user => {
                self.user = user;
                self.wire.reply(235, "welcome").await
            }
        }
    }

    async fn ask(&mut self, prompt: &str) -> io::Result<Option<String>> {
        self.wire.reply(334, prompt).await?;
        self.wire.line().await
    }

    async fn mail(&mut self, argument: &str) -> io::Result<()> {
        if self.from.is_some() {
            return self.wire.reply(503, "one sender at a time; say RSET first").await;
        }
        match address(argument, "FROM:") {
            Some(from) => {
                self.from = Some(from);
                self.wire.reply(250, "ok").await
            }
            None => self.wire.reply(501, "say MAIL FROM:<address>").await,
        }
    }

    async fn recipient(&mut self, argument: &str) -> Step {
        let Some(from) = self.from.clone() else {
            self.wire.reply(503, "say MAIL first").await?;
            return Ok(ControlFlow::Continue(()));
        };
        let Some(to) = address(argument, "TO:").filter(|to| !to.is_empty()) else {
            self.wire.reply(501, "say RCPT TO:<address>").await?;
            return Ok(ControlFlow::Continue(()));
        };
        let refusal = self
            .service
            .refuses(&to)
            .map(|reject| (reject.code, reject.message.clone()));
        if let Some((code, message)) = refusal {
            let envelope = Envelope { from, to: vec![to] };
            let mut call = self.call("RCPT", &envelope);
            call.body = json!({ "from": envelope.from, "to": envelope.to });
            call.status = Some(code);
            call.route = Some("reject".to_owned());
            if self.record(call).await? {
                self.wire.reply(code, &message).await?;
            }
        } else {
            self.to.push(to);
            self.wire.reply(250, "ok").await?;
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn data(&mut self) -> Step {
        let (Some(from), false) = (self.from.clone(), self.to.is_empty()) else {
            self.wire.reply(503, "say MAIL and RCPT first").await?;
            return Ok(ControlFlow::Continue(()));
        };
        self.wire.reply(354, "end with a line that holds one dot").await?;
        let raw = match self.wire.data().await? {
            None => return Ok(ControlFlow::Break(Ending::Close)),
            Some(Data::TooLarge) => {
                self.reset();
                self.wire.reply(552, "too large").await?;
                return Ok(ControlFlow::Continue(()));
            }
            Some(Data::Message(raw)) => raw,
        };
        let envelope = Envelope {
            from,
            to: std::mem::take(&mut self.to),
        };
        self.reset();
        let strike = self.service.faults.next().cloned();
        let mut call = self.call("SEND", &envelope);
        call.headers = message::headers(&raw);
        call.body = message::body(&envelope, &raw);
        call.route = Some("message".to_owned());
        call.fault = strike.as_ref().map(|strike| strike.name().to_owned());
        call.status = match &strike {
            None => Some(250),
            Some(Strike::Status(fault)) => Some(fault.status),
            Some(_) => None,
        };
        if !self.record(call).await? {
            return Ok(ControlFlow::Continue(()));
        }
        match strike {
            None => self.wire.reply(250, "kept").await?,
            Some(Strike::Status(fault)) => {
                let text = fault
                    .body
                    .as_ref()
                    .and_then(serde_json::Value::as_str)
                    .unwrap_or("the mock was told to answer this");
                self.wire
                    .reply(fault.status, text.lines().next().unwrap_or_default())
                    .await?;
            }
            Some(Strike::Reset) => return Ok(ControlFlow::Break(Ending::Reset)),
            Some(Strike::Empty) => return Ok(ControlFlow::Break(Ending::Close)),
            Some(Strike::Drop) => {
                self.wire.bytes(b"25").await?;
                return Ok(ControlFlow::Break(Ending::Close));
            }
            Some(Strike::Malformed | Strike::Garbage) => {
                self.wire.bytes(b"\xff\xfe what is this?\r\n").await?;
                return Ok(ControlFlow::Break(Ending::Close));
            }
            Some(Strike::Hang) => {
                // Until the mocks stop, or the client leaves.
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    _ = self.wire.line() => {}
                }
                return Ok(ControlFlow::Break(Ending::Close));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn call(&self, method: &str, envelope: &Envelope) -> Call {
        let mut query = Map::new();
        query.extend(self.user.iter().map(|user| ("user".to_owned(), json!(user))));
        Call {
            number: 0,
            service: self.service.id.clone(),
            at: Timestamp::now(),
            method: method.to_owned(),
            path: envelope.to.join(","),
            query,
            headers: std::collections::BTreeMap::new(),
            body: serde_json::Value::Null,
            body_encoding: BodyEncoding::Json,
            status: None,
            route: None,
            idempotency_key: None,
            repeated: false,
            fault: None,
            error: None,
        }
    }

    /// Whether the call is recorded; the client is told where it is not.
    async fn record(&mut self, call: Call) -> io::Result<bool> {
        match self.recorder.record(call) {
            Ok(()) => Ok(true),
            Err(error) => {
                tracing::error!(%error, "a mock cannot record a message");
                self.wire.reply(451, "the mock cannot record this").await?;
                Ok(false)
            }
        }
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

/// `FROM:<a@b.c> SIZE=1` is `a@b.c`; the empty address `<>` is allowed.
fn address(argument: &str, keyword: &str) -> Option<String> {
    let head = argument.get(..keyword.len())?;
    if !head.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let rest = argument[keyword.len()..].trim_start().strip_prefix('<')?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

fn decoded(text: Option<String>) -> Option<String> {
    String::from_utf8(STANDARD.decode(text?.trim()).ok()?).ok()
}
