//! Mock services with faults, and what tests of workflows need.
//!
//! A mocks file lists services (`mock-http-service`, `mock-smtp-service`) that listen on 127.0.0.1, answer by
//! their routes, fail as they are told, and keep every call. `bowline run --mocks FILE` and tests start them
//! through [`MockServices`].
//!
//! ```
//! # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
//! # runtime.block_on(async {
//! use bowline_testing::MockServices;
//! use serde_json::json;
//!
//! let mocks = MockServices::start(
//!     &json!([{
//!         "id": "payment",
//!         "type": "mock-http-service",
//!         "config": { "routes": [{
//!             "path": "/charge",
//!             "method": "POST",
//!             "response": { "status": 200, "body": { "id": "mock-${random.uuid}", "amount": "${request.body.amount}" } },
//!             "faults": [{ "type": "reset", "every": 3 }]
//!         }] }
//!     }]),
//!     ".".as_ref(),
//! )
//! .await?;
//! assert!(mocks.url("payment").unwrap().starts_with("http://127.0.0.1:"));
//! assert!(mocks.calls("payment").is_empty());
//! # mocks.stop().await;
//! # Ok::<(), bowline_testing::MockError>(())
//! # }).unwrap();
//! ```
//!
//! What always holds: a call is recorded before it is answered, and nothing about a call waits on another
//! connection.

mod check;
mod definition;
mod error;
mod extend;
mod fault;
pub mod fuzz;
mod http;
mod mocks;
mod notation;
mod path;
mod plan;
mod recorder;
mod seed;
mod smtp;
mod yaml;

pub use error::{MockError, Problem};
pub use mocks::{MockOptions, MockServices, read_definition};
pub use recorder::{BodyEncoding, Call, read_calls};

/// The JSON Schema of a mocks file, for editors and for the reference.
#[must_use]
pub fn mocks_schema() -> serde_json::Value {
    let mut schema = check::schema_of::<definition::MocksFile>();
    if let Some(fields) = schema.as_object_mut() {
        fields.insert("title".to_owned(), "Bowline mocks".into());
    }
    schema
}
