//! The configuration of an `http-request` step.

use std::collections::BTreeMap;

use bowline_connector::Millis;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::alias;
use crate::auth::Authentication;
use crate::headers::HeaderValues;
use crate::idempotency::IdempotencyHeader;
use crate::method::Method;
use crate::multipart::Part;
use crate::pairs::ArrayStyle;
use crate::proxy::Proxy;
use crate::size::ByteSize;
use crate::status::StatusSet;
use crate::tls::Tls;

/// Makes one HTTP call and returns status, headers and body of the answer.
///
/// ```yaml
/// type: http-request
/// config:
///   method: POST
///   url: https://pay.example/charges
///   headers: { Authorization: "Bearer ${env.PAY_TOKEN}" }
///   body: { order: "${input.order.id}", amount: "${input.order.total}" }
///   timeout: 30s
/// ```
///
/// Over a connection, with a path below its `baseUrl`:
///
/// ```yaml
/// type: http-request
/// config:
///   connection: shop
///   url: /orders
///   query: { status: [open, paid], limit: 50 }
/// ```
///
/// A file and a field as a multipart form:
///
/// ```yaml
/// type: http-request
/// config:
///   method: POST
///   url: https://files.example/upload
///   multipart:
///     - { name: title, value: "Invoice ${input.number}" }
///     - { name: document, file: out/invoice.pdf, contentType: application/pdf }
/// ```
///
/// Errors: `http.<status>`, `http.connect`, `http.connect-timeout`, `http.dns`, `http.tls`, `http.proxy`,
/// `http.reset`, `http.timeout`, `http.protocol`, `http.redirect`, `http.redirect-downgrade`,
/// `http.too-many-redirects`, `http.response-too-large`, `http.request-too-large`, `http.invalid-json`,
/// `http.invalid-text`, `http.content-encoding`, `http.body-unreadable`, `http.pool-timeout`, `blob.missing`,
/// `blob.damaged`, `blob.store`, `blob.too-large` and `config.invalid`. Those that Node knows answer to its names too: `ECONNREFUSED`, `ECONNRESET`,
/// `ETIMEDOUT`, `ENOTFOUND`, `EPIPE`.
///
/// A large body from one service to another, streamed both ways:
///
/// ```yaml
/// - id: download
///   type: http-request
///   config: { url: "https://files.example/video", responseType: blob, timeout: 10m }
/// - id: upload
///   type: http-request
///   config: { method: PUT, url: "https://archive.example/video", body: "${download.body}", timeout: 10m }
/// ```
///
/// An answer outside `successCodes` is the error `http.<status>`. 408, 425, 429 and 503 may be repeated,
/// when `Retry-After` says so; 500, 502 and 504 leave open whether a POST, PUT, PATCH or DELETE was
/// carried out; any other status will not get better by repeating.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = aliases)]
pub struct Config {
    /// Name of a connection of type `http`, which gives `baseUrl` and defaults for most fields below. What
    /// is set here wins over the connection.
    pub connection: Option<String>,
    /// HTTP method: GET (default), POST, PUT, PATCH, DELETE, HEAD, OPTIONS or TRACE; case does not matter.
    pub method: Method,
    /// Absolute URL, or a path below the connection's `baseUrl`. With a connection that has a `baseUrl`,
    /// an absolute URL must be on the same origin. `endpoint` is the same.
    #[serde(alias = "endpoint")]
    pub url: Option<String>,
    /// Query parameters, added to those in `url`. Scalars, or lists of scalars; null leaves one out.
    /// `queryParams` is the same.
    #[serde(alias = "queryParams")]
    pub query: Map<String, Value>,
    /// How lists in `query` and in a form body are written: `repeat` (`a=1&a=2`, default), `brackets`
    /// (`a[]=1`), `indices` (`a[0]=1`) or `comma` (`a=1,2`).
    pub query_arrays: ArrayStyle,
    /// Request headers. A value may be a list, which repeats the header; null sends none, also not the
    /// connection's. A header named here wins over `authentication` and over the idempotency key.
    pub headers: BTreeMap<String, HeaderValues>,
    /// Request body; null or absent sends none. See `bodyType`. A reference to a blob, such as
    /// `${download.body}`, streams the blob, with the content type that it came with unless you set
    /// one. `payload` is the same.
    #[serde(alias = "payload")]
    pub body: Option<Value>,
    /// How the body is written. `auto` (default): with `multipart` a multipart form; with `bodyFile` the
    /// file; an object next to a `Content-Type` of `application/x-www-form-urlencoded` a form; any other
    /// object, list, number or boolean JSON; text as it stands, as `text/plain; charset=utf-8` unless you
    /// set a `Content-Type`. Text next to a JSON `Content-Type` is sent as it stands when it is JSON
    /// already, and as a JSON string otherwise.
    pub body_type: BodyType,
    /// Path of a file to stream as the body, relative to the workflow file. Its type is
    /// `application/octet-stream` unless you set a `Content-Type`.
    pub body_file: Option<String>,
    /// Parts of a multipart form: fields and files.
    pub multipart: Vec<Part>,
    /// How the answer's body is read. `auto` (default) goes by its `Content-Type`: JSON becomes a value,
    /// text a string, anything else base64, or a reference to a blob where it is over `maxInline`. `blob` keeps
    /// any body as a blob. An empty body is null.
    pub response_type: ResponseType,
    /// Largest answer body that is neither JSON nor text and stands in the result as base64, in bytes or as text
    /// such as `1 MB`. Default 65536 (64 KiB). A larger one is streamed to the blob store, and `body` is a
    /// reference to it.
    pub max_inline: Option<ByteSize>,
    /// Character set of a text answer, instead of the one that its `Content-Type` names (UTF-8 if none),
    /// such as `windows-1252`.
    pub charset: Option<String>,
    /// How the call proves who makes it. Replaces the connection's.
    pub authentication: Option<Authentication>,
    /// Most time for the whole call, redirects and reading the body included. Milliseconds or text such as
    /// `30s`. Default 30 s.
    pub timeout: Option<Millis>,
    /// Most time to reach the service, TLS included. Milliseconds or text. Default 10 s.
    pub connect_timeout: Option<Millis>,
    /// Longest silence: from sending to the answer's headers, and then between two pieces of its body.
    /// Milliseconds or text. No limit of its own by default; `timeout` holds in any case.
    pub read_timeout: Option<Millis>,
    /// Whether redirects are followed. Default `true`. Credentials and the idempotency key are not sent to
    /// another origin, and a redirect from https to http is refused. When `false`, the redirect itself is
    /// the answer and counts as success.
    pub follow_redirects: Option<bool>,
    /// Most redirects to follow, 10 by default; one more is the error `http.too-many-redirects`.
    pub max_redirects: Option<u32>,
    /// Largest answer body, in bytes or as text such as `10 MB` (default). A larger one is the error
    /// `http.response-too-large`; nothing is cut off. A body that becomes a blob has no limit by default.
    pub max_response_size: Option<ByteSize>,
    /// Largest request body, in bytes or as text. A larger one is the error `http.request-too-large`, and
    /// nothing is sent. No limit by default.
    pub max_request_size: Option<ByteSize>,
    /// Status codes that count as success: codes, ranges (`"200-299"`) and classes (`"2xx"`). Default
    /// 2xx; 3xx too when `followRedirects` is `false`.
    pub success_codes: Option<StatusSet>,
    /// Header that carries the idempotency key with POST, PUT, PATCH and DELETE: a name, or `false` for
    /// none. Default `Idempotency-Key`. The key is the same when the step is repeated.
    pub idempotency_header: Option<IdempotencyHeader>,
    /// Proxy: a URL, an object with `url`, `username`, `password` and `noProxy`, `system` for the
    /// environment's, or `none`. Default none.
    pub proxy: Option<Proxy>,
    /// TLS settings. Replace the connection's.
    pub tls: Option<Tls>,
    /// Number of retries, as the node notation puts it here. It belongs to the step: the workflow's
    /// retry policy takes it, and the call itself ignores it.
    pub retries: Option<Value>,
    /// Wait between retries, as the node notation puts it here. The workflow's retry policy takes it.
    pub retry_delay: Option<Value>,
}

fn aliases(schema: &mut Schema) {
    alias::add(schema, "url", "endpoint");
    alias::add(schema, "query", "queryParams");
    alias::add(schema, "body", "payload");
}

/// How a request body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BodyType {
    /// By the kind of value; see `bodyType`.
    #[default]
    Auto,
    /// JSON, whatever the value is; text becomes a JSON string.
    Json,
    /// `application/x-www-form-urlencoded`, from an object.
    Form,
    /// `multipart/form-data`, from `multipart` and the fields of `body`.
    Multipart,
    /// Text as it stands.
    Text,
    /// Bytes: `body` in base64, or `bodyFile`.
    Binary,
}

/// How a response body is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ResponseType {
    /// By its `Content-Type`: JSON, text, or base64. Without one: text where it is UTF-8.
    #[default]
    Auto,
    /// JSON, whatever the `Content-Type` says.
    Json,
    /// Text.
    Text,
    /// Base64 of the bytes.
    Binary,
    /// A reference to a blob, whatever the `Content-Type` says.
    Blob,
    /// Not at all; the body is null.
    None,
}
