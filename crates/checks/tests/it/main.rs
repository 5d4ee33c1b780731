//! The repository's rules. One binary, because it holds all connectors and linking it is what costs.

mod docs;
mod examples;
mod layers;
mod tidy;

use std::sync::LazyLock;

use bowline_connector::Registry;

/// Every connector of the program. [`layers`] checks that this list and the program's agree.
static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_connector_mail::register(&mut registry);
    bowline_connector_sql::register(&mut registry);
    bowline_webhooks::register(&mut registry);
    bowline_triggers::register(&mut registry);
    registry
});

/// Fails with a list, unless it is empty.
#[track_caller]
fn none(rule: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{rule}:\n  {}", broken.join("\n  "));
}
