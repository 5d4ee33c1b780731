//! How tests make calls, and the servers inside this process.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_connector::{Connections, Declared, Pools, Registry, StepContext, StepError};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The registry with this crate's connectors.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    registry
}

/// A context with these connections, by name.
pub(crate) fn context(connections: Value) -> StepContext {
    let declared: BTreeMap<String, Declared> = connections
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, config)| {
            (
                name.clone(),
                Declared {
                    kind: "http".into(),
                    config: config.clone(),
                },
            )
        })
        .collect();
    let connections = Connections::new(declared, Pools::new(Arc::new(registry())));
    StepContext {
        connections,
        ..StepContext::for_tests()
    }
}

/// Runs one attempt without connections.
pub(crate) async fn call(config: Value) -> Result<Value, StepError> {
    call_in(&context(json!({})), config).await
}

/// Runs one attempt.
pub(crate) async fn call_in(ctx: &StepContext, config: Value) -> Result<Value, StepError> {
    registry()
        .connector("http-request")
        .unwrap()
        .run(ctx.clone(), config)
        .await
}

/// Serves `router` on a free port of this machine and returns its base URL.
pub(crate) async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

/// A server that tells what it was asked, as JSON.
pub(crate) async fn echo_server() -> String {
    serve(Router::new().fallback(echo)).await
}

/// Answers with the request: method, path, query, headers (repeated ones joined with `|`) and body.
pub(crate) async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let mut headers = Map::new();
    for name in parts.headers.keys() {
        let values: Vec<_> = parts
            .headers
            .get_all(name)
            .iter()
            .map(|v| String::from_utf8_lossy(v.as_bytes()))
            .collect();
        headers.insert(name.to_string(), values.join("|").into());
    }
    let (text, base64) = match std::str::from_utf8(&body) {
        Ok(text) => (Value::from(text), Value::Null),
        Err(_) => (Value::Null, STANDARD.encode(&body).into()),
    };
    let told = json!({
        "method": parts.method.as_str(), "path": parts.uri.path(), "query": parts.uri.query(),
        "headers": headers, "text": text, "base64": base64,
    });
    answer(200, &[("content-type", "application/json")], told.to_string())
}

/// An answer with these headers.
pub(crate) fn answer(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Response {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let body: Bytes = body.into();
    let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
    response.headers_mut().remove(header::CONTENT_TYPE);
    response.headers_mut().extend(map);
    response
}

/// A TCP server that handles every connection with `handle`; returns its base URL.
pub(crate) async fn raw<F, Fut>(handle: F) -> String
where
    F: Fn(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(handle(stream));
        }
    });
    format!("http://{address}")
}

/// Reads one request's head, and says `bytes`.
pub(crate) async fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    stream.write_all(bytes).await.unwrap();
}

/// A port of this machine on which nothing listens.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The `host:port` of a base URL.
pub(crate) fn authority(base: &str) -> &str {
    base.split_once("://").unwrap().1
}
