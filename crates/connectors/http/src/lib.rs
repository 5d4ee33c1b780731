//! `http-request`: one HTTP call whose answer goes into the journal, and the connection type `http`.
//!
//! A replayed execution never reaches this crate: it reads the recorded answer. What is here is one
//! attempt, whole: it resolves the address, signs, sends, follows redirects, reads the answer within
//! limits and says what may be done about a failure. It never repeats a call; the engine does, durably.
//!
//! Start reading at `request::run`. What always holds:
//! - credentials leave only for the origin they were given for, also across redirects;
//! - nothing is truncated: an answer over the limit is an error that names the limit;
//! - messages show scheme, host and path of a URL, never its query or its user information;
//! - one client per distinct set of client settings, for the life of the process, so sockets are pooled.

mod alias;
mod auth;
mod blob;
mod body;
mod client;
mod config;
mod connection;
mod decode;
mod exchange;
mod failure;
mod file;
mod headers;
mod idempotency;
mod kind;
mod method;
mod multipart;
mod output;
mod pairs;
mod proxy;
mod quiet;
mod receive;
mod redirect;
mod request;
mod size;
mod status;
mod target;
mod test;
mod tls;

pub use auth::{ApiKey, Authentication, BasicCredentials, BearerCredentials, KeyEncoding, KeyLocation};
pub use config::{BodyType, Config, ResponseType};
pub use connection::{ConnectionConfig, HttpConnection, Pool};
pub use headers::HeaderValues;
pub use idempotency::IdempotencyHeader;
pub use method::Method;
pub use multipart::Part;
pub use output::Output;
pub use pairs::ArrayStyle;
pub use proxy::Proxy;
pub use size::ByteSize;
pub use status::StatusSet;
pub use tls::{MinimumTls, Tls};

use bowline_connector::Registry;

/// Adds the connector `http-request` and the connection type `http`.
pub fn register(registry: &mut Registry) {
    registry.add("http-request", request::run);
    registry.add_connection("http", HttpConnection::build);
    registry.add_connection_test("http", test::test);
}
