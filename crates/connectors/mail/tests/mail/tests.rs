//! Testing a connection.

use bowline_connector::{StepError, Tested};
use serde_json::json;

use crate::server::MailServer;
use crate::world::World;

async fn test(world: &World) -> Result<Tested, StepError> {
    let entry = world.registry.connection("smtp").expect("registered");
    entry.test(world.ctx.clone(), "it").expect("testable").await
}

#[tokio::test]
async fn a_test_logs_in_and_sends_nothing() {
    let Some(server) = MailServer::start(&["--security", "starttls", "--auth", "PLAIN"]) else {
        return;
    };
    let with = |password: &str| {
        World::new(
            "smtp",
            server.connection(json!({
                "security": "starttls", "tls": { "ca": &server.certificate }, "username": "shop", "password": password,
            })),
        )
    };
    let right = test(&with("a-password")).await.expect("it answers");
    assert_eq!(
        (right.reachable, right.authenticated, right.error),
        (true, Some(true), None)
    );
    let wrong = test(&with("wrong-one")).await.expect("it answers");
    assert_eq!((wrong.reachable, wrong.authenticated), (true, Some(false)));
    assert!(
        wrong.error.is_some() && !wrong.message.contains("wrong-one"),
        "{}",
        wrong.message
    );
    assert!(server.stored().is_empty());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_reachable() {
    // Nothing listens on port 1.
    let gone = World::new("smtp", json!({ "host": "127.0.0.1", "port": 1, "security": "none" }));
    assert_eq!(test(&gone).await.expect_err("nobody is there").code, "smtp.connect");
}
