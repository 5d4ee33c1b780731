//! One connection of an HTTP service: hyper speaks, and faults go below it.
//!
//! A fault that no HTTP library would produce (a reset, broken bytes, a cut answer) ends hyper's part: the
//! handler leaves an [`Ending`] and fails, hyper stops without writing, and the bare TCP stream is then
//! treated as the fault says.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::answer::Answer;
use super::request::Request;
use super::service::Service;
use crate::fault::Strike;
use crate::recorder::Recorder;

/// The greatest body that a mock reads.
const MAX_BODY: usize = 64 << 20;

/// How a connection ends once hyper has let go of it.
#[derive(Debug, Default)]
enum Ending {
    /// As usual.
    #[default]
    Close,
    /// With a TCP reset.
    Reset,
    /// With these bytes.
    Bytes(Vec<u8>),
}

/// The handler has left an [`Ending`]; hyper is to stop.
#[derive(Debug, thiserror::Error)]
#[error("the mock cuts the connection")]
struct Cut;

type Handled = Pin<Box<dyn Future<Output = Result<Response<Full<Bytes>>, Cut>> + Send>>;

/// What the calls of one connection share.
struct Shared {
    service: Arc<Service>,
    recorder: Arc<Recorder>,
    stop: CancellationToken,
    ending: Mutex<Ending>,
}

/// Serves a connection until the client leaves, a fault ends it, or the mocks stop.
pub(crate) async fn serve(stream: TcpStream, service: Arc<Service>, recorder: Arc<Recorder>, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot turn off Nagle's algorithm");
    }
    let shared = Arc::new(Shared {
        service,
        recorder,
        stop: stop.clone(),
        ending: Mutex::default(),
    });
    let for_calls = Arc::clone(&shared);
    let handler = service_fn(move |request| -> Handled { Box::pin(handle(Arc::clone(&for_calls), request)) });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), handler);
    let mut stopping = false;
    let served = loop {
        tokio::select! {
            served = poll_fn(|context| connection.poll_without_shutdown(context)) => break served,
            () = stop.cancelled(), if !stopping => {
                stopping = true;
                Pin::new(&mut connection).graceful_shutdown();
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%error, "a connection to a mock ended");
    }
    let ending = std::mem::take(&mut *shared.ending.lock().unwrap_or_else(PoisonError::into_inner));
    end(connection.into_parts().io.into_inner(), ending).await;
}

async fn end(mut stream: TcpStream, ending: Ending) {
    let done = match ending {
        // A stream that lingers for no time sends a reset when it is dropped.
        Ending::Reset => stream.set_zero_linger(),
        Ending::Close => stream.shutdown().await,
        Ending::Bytes(bytes) => match stream.write_all(&bytes).await {
            Ok(()) => stream.shutdown().await,
            Err(error) => Err(error),
        },
    };
    if let Err(error) = done {
        tracing::debug!(%error, "the client of a mock left first");
    }
}

async fn handle(shared: Arc<Shared>, request: hyper::Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let (parts, body) = request.into_parts();
    let bytes = match Limited::new(body, MAX_BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let message = format!("a mock reads {MAX_BODY} bytes at most");
            return Ok(response(Answer::json(
                StatusCode::PAYLOAD_TOO_LARGE,
                &json!({ "error": "too-large", "message": message }),
            )));
        }
        // The client left in the middle of its body.
        Err(_) => return Err(Cut),
    };
    let decision = shared.service.decide(Request::new(&parts, &bytes));
    if let Err(error) = shared.recorder.record(decision.call) {
        tracing::error!(%error, "a mock cannot record a call");
        let body = json!({ "error": "not-recorded", "message": format!("the mock cannot record this call: {error}") });
        return Ok(response(Answer::json(StatusCode::INTERNAL_SERVER_ERROR, &body)));
    }
    shared
        .service
        .call_back(decision.callbacks, &shared.recorder, &shared.stop);
    if !decision.delay.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(decision.delay) => {}
            () = shared.stop.cancelled() => {}
        }
    }
    let ending = match decision.strike {
        None | Some(Strike::Status(_)) => return Ok(response(decision.answer)),
        Some(Strike::Hang) => {
            // Hyper drops this future when the client gives up; it ends by itself only when the mocks stop.
            shared.stop.cancelled().await;
            Ending::Close
        }
        Some(Strike::Reset) => Ending::Reset,
        Some(Strike::Empty) => Ending::Close,
        Some(Strike::Malformed) => Ending::Bytes(MALFORMED.to_vec()),
        Some(Strike::Garbage) => Ending::Bytes(GARBAGE.to_vec()),
        Some(Strike::Drop) => Ending::Bytes(first_half(&decision.answer)),
    };
    *shared.ending.lock().unwrap_or_else(PoisonError::into_inner) = ending;
    Err(Cut)
}

/// A head that is fine, and then a chunk whose length is no number.
const MALFORMED: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nbanana\r\n{\"oh\":\r\n";

/// Nothing that HTTP knows.
const GARBAGE: &[u8] = b"\x00\xff\x13\x37 this is not the protocol you are looking for \xfe\x80\r\n\r\n";

/// The head of an answer and half of its body.
fn first_half(answer: &Answer) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {}\r\n", answer.status);
    for (name, value) in &answer.headers {
        head.extend([name.as_str(), ": ", &String::from_utf8_lossy(value.as_bytes()), "\r\n"]);
    }
    // An answer without a body promises one, so that its end is missed.
    head.extend(["content-length: ", &answer.body.len().max(16).to_string(), "\r\n\r\n"]);
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&answer.body[..answer.body.len() / 2]);
    bytes
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}
