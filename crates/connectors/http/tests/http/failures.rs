//! Servers that do what no HTTP server should.

use std::time::{Duration, Instant};

use bowline_connector::{ErrorKind, StepError};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;

use crate::support::{call, free_port, raw, say};

fn names(error: &StepError) -> (&str, ErrorKind) {
    (&error.code, error.kind)
}

#[tokio::test]
async fn nothing_listens() {
    let url = format!("http://127.0.0.1:{}/path?token=hush", free_port());
    let error = call(json!({ "url": url, "method": "POST" })).await.unwrap_err();
    assert_eq!(names(&error), ("http.connect", ErrorKind::Transient));
    assert!(error.matches("ECONNREFUSED"));
    assert!(
        error.message.contains("/path was refused") && !error.to_string().contains("hush"),
        "{error}"
    );
}

#[tokio::test]
async fn no_such_host() {
    let error = call(json!({ "url": "http://no-such-host.invalid/?token=hush" }))
        .await
        .unwrap_err();
    assert_eq!(names(&error), ("http.dns", ErrorKind::Transient));
    assert!(
        error.matches("ENOTFOUND") && !error.to_string().contains("hush"),
        "{error}"
    );
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer() {
    let url = raw(|mut stream| async move { say(&mut stream, b"").await }).await;
    let error = call(json!({ "url": url, "method": "POST" })).await.unwrap_err();
    assert_eq!(names(&error), ("http.reset", ErrorKind::OutcomeUnknown));
    assert!(error.matches("ECONNRESET"));
    let error = call(json!({ "url": url })).await.unwrap_err();
    assert_eq!(
        names(&error),
        ("http.reset", ErrorKind::Transient),
        "a lost GET changed nothing"
    );
}

#[tokio::test]
async fn a_connection_that_is_reset() {
    let url = raw(|mut stream| async move {
        // Closing with unread input sends a reset.
        let _ = stream.read_u8().await;
    })
    .await;
    let error = call(json!({ "url": url, "method": "PUT", "body": "x".repeat(100_000) }))
        .await
        .unwrap_err();
    assert_eq!(names(&error), ("http.reset", ErrorKind::OutcomeUnknown));
    assert!(error.matches("ECONNRESET"));
}

#[tokio::test]
async fn half_an_answer_is_none() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 O",
    ] {
        let url = raw(move |mut stream| async move { say(&mut stream, answer).await }).await;
        let error = call(json!({ "url": url, "method": "POST" })).await.unwrap_err();
        assert_eq!(
            names(&error),
            ("http.reset", ErrorKind::OutcomeUnknown),
            "{}",
            String::from_utf8_lossy(answer)
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.9\r\n"[..],
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",
    ] {
        let url = raw(move |mut stream| async move { say(&mut stream, answer).await }).await;
        let error = call(json!({ "url": url })).await.unwrap_err();
        assert_eq!(
            names(&error),
            ("http.protocol", ErrorKind::Transient),
            "{}",
            String::from_utf8_lossy(answer)
        );
    }
    let chunk = &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"[..];
    let url = raw(move |mut stream| async move { say(&mut stream, chunk).await }).await;
    assert_eq!(call(json!({ "url": url })).await.unwrap_err().code, "http.protocol");
}

#[tokio::test]
async fn an_error_status_is_told_even_when_its_body_breaks_off() {
    let answer = &b"HTTP/1.1 503 Busy\r\nretry-after: 9\r\ncontent-length: 100\r\n\r\nhalf"[..];
    let url = raw(move |mut stream| async move { say(&mut stream, answer).await }).await;
    let error = call(json!({ "url": url })).await.unwrap_err();
    assert_eq!(names(&error), ("http.503", ErrorKind::After(9000)));
    assert!(
        error.data.unwrap()["bodyUnread"]
            .as_str()
            .unwrap()
            .contains("http.reset")
    );
}

/// A server that says `bytes` and then holds the line, and tells when somebody hangs up.
async fn holds(bytes: &'static [u8]) -> (String, mpsc::UnboundedReceiver<()>) {
    let (closed, hung_up) = mpsc::unbounded_channel();
    let url = raw(move |mut stream| {
        let closed = closed.clone();
        async move {
            say(&mut stream, bytes).await;
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            let _ = closed.send(());
        }
    })
    .await;
    (url, hung_up)
}

async fn held(bytes: &'static [u8], mut config: Value) -> StepError {
    let (url, mut hung_up) = holds(bytes).await;
    config["url"] = url.into();
    let error = call(config).await.unwrap_err();
    hung_up.recv().await.unwrap();
    error
}

#[tokio::test]
async fn silence_is_a_timeout() {
    let begun = &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"[..];
    for (bytes, config, setting) in [
        (&b""[..], json!({ "timeout": 50 }), "timeout (50ms)"),
        (begun, json!({ "timeout": "50ms" }), "timeout (50ms)"),
        (&b""[..], json!({ "readTimeout": 50 }), "readTimeout (50ms)"),
        (begun, json!({ "readTimeout": 50 }), "readTimeout (50ms)"),
    ] {
        let error = held(bytes, config.clone()).await;
        assert_eq!(names(&error), ("http.timeout", ErrorKind::Timeout), "{config}");
        assert!(error.matches("ETIMEDOUT") && error.message.contains(setting), "{error}");
    }
}

#[tokio::test]
async fn a_service_that_keeps_talking_is_not_silent() {
    // Thirty pieces 25 ms apart are 750 ms in all, longer than the longest silence allowed.
    let url = raw(|mut stream| async move {
        say(&mut stream, b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n").await;
        let mut ticks = tokio::time::interval(Duration::from_millis(25));
        for _ in 0..30 {
            ticks.tick().await;
            if stream.write_all(b"x").await.is_err() {
                return;
            }
        }
    })
    .await;
    let output = call(json!({ "url": url, "readTimeout": 600 })).await.unwrap();
    assert_eq!(output["body"].as_str().unwrap().len(), 30);
}

#[tokio::test]
async fn a_slow_upload_of_a_file_is_not_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big");
    std::fs::write(&path, vec![b'x'; 16_000_000]).unwrap();
    // Takes the upload in pieces of at most 400 kB every 40 ms, so that it lasts longer than the longest
    // silence allowed. A small receive buffer keeps the kernel from swallowing it whole.
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(200_000).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let begin = Instant::now();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (mut piece, mut got) = (vec![0; 400_000], 0);
        let mut ticks = tokio::time::interval(Duration::from_millis(40));
        while got < 16_000_000 {
            ticks.tick().await;
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(read) => got += read,
            }
        }
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
        let _ = stream.shutdown().await;
        let _ = stream.read_to_end(&mut piece).await;
    });
    let config = json!({ "url": url, "method": "PUT", "bodyFile": path, "readTimeout": 1000 });
    assert_eq!(call(config).await.unwrap()["status"], 200);
    assert!(
        begin.elapsed() > Duration::from_secs(1),
        "the upload was too quick to show anything"
    );
}

#[tokio::test]
async fn a_host_that_never_accepts_is_a_connect_timeout() {
    // The backlog of a listener that never accepts fills up; then the kernel drops further handshakes.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener: TcpListener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(200), tokio::net::TcpStream::connect(address)).await
    {
        held.push(stream);
        assert!(held.len() < 64, "the backlog never fills");
    }
    let error = call(json!({ "url": format!("http://{address}/"), "connectTimeout": 100, "method": "POST" }))
        .await
        .unwrap_err();
    assert_eq!(names(&error), ("http.connect-timeout", ErrorKind::Transient));
    assert!(error.matches("ETIMEDOUT"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_stops_at_the_limit() {
    let url = raw(|mut stream| async move {
        say(&mut stream, b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
    })
    .await;
    let error = call(json!({ "url": url, "maxResponseSize": "100 kB" }))
        .await
        .unwrap_err();
    assert_eq!(names(&error), ("http.response-too-large", ErrorKind::Permanent));
}

#[tokio::test]
async fn the_limit_holds_to_the_byte_without_a_declared_length() {
    let answer = &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n"[..];
    let url = raw(move |mut stream| async move { say(&mut stream, answer).await }).await;
    assert_eq!(
        call(json!({ "url": url, "maxResponseSize": 8 })).await.unwrap()["body"],
        "abcdefgh"
    );
    let error = call(json!({ "url": url, "maxResponseSize": 7 })).await.unwrap_err();
    assert_eq!(error.code, "http.response-too-large");
}

#[tokio::test]
async fn a_file_that_shrinks_breaks_the_call() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, vec![b'x'; 8_000_000]).unwrap();
    let shrunk = path.clone();
    let url = raw(move |mut stream| {
        let shrunk = shrunk.clone();
        async move {
            let _ = stream.read_u8().await;
            std::fs::File::options()
                .write(true)
                .open(shrunk)
                .unwrap()
                .set_len(10)
                .unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
        }
    })
    .await;
    let error = call(json!({ "url": url, "method": "PUT", "bodyFile": path }))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::OutcomeUnknown, "{error}");
}

#[tokio::test]
async fn a_dropped_call_hangs_up() {
    let (events, mut seen) = mpsc::unbounded_channel();
    let url = raw(move |mut stream| {
        let events = events.clone();
        async move {
            say(&mut stream, b"").await;
            events.send("asked").unwrap();
            let mut rest = Vec::new();
            let _ = stream.read_to_end(&mut rest).await;
            events.send("hung up").unwrap();
        }
    })
    .await;
    // The server of this test closes nothing by itself: `say` returns and it waits for our end.
    let attempt = tokio::spawn(async move { call(json!({ "url": url, "timeout": "1h" })).await });
    assert_eq!(seen.recv().await, Some("asked"));
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    assert_eq!(seen.recv().await, Some("hung up"));
}
