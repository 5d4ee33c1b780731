//! What the tests of mocks share.

use std::path::Path;
use std::time::Duration;

use bowline_testing::MockServices;
use serde_json::{Value, json};

/// Long enough for a busy machine; nothing waits so long unless it fails.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Starts one HTTP service `svc` with this `config`.
#[expect(clippy::panic, reason = "mocks that do not start fail the test")]
pub(crate) async fn http(config: Value) -> MockServices {
    let definition = json!([{ "id": "svc", "type": "mock-http-service", "config": config }]);
    match MockServices::start(&definition, Path::new(".")).await {
        Ok(mocks) => mocks,
        Err(error) => panic!("{error}"),
    }
}

/// The URL of `path` on `svc`.
#[expect(clippy::expect_used, reason = "a service that does not run fails the test")]
pub(crate) fn url(mocks: &MockServices, path: &str) -> String {
    format!("{}{path}", mocks.url("svc").expect("svc runs"))
}
