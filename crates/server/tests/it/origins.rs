//! Requests that a browser sends for somebody else's page; sessions.

use bowline_access::Role;
use bowline_server::guard::session;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::authorization::key;
use crate::running::{Answer, Running};

const EXECUTIONS: &str = "/api/v1/executions";

async fn with(server: &Running, method: Method, headers: &[(&str, &str)]) -> Answer {
    let request = server.request(method.clone(), EXECUTIONS);
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    let start = json!({ "workflow": "hello", "input": { "name": "ada" } });
    Answer::of(if method == Method::POST {
        request.json(&start)
    } else {
        request
    })
    .await
}

/// What a request of HTTP/1.0 is answered with.
async fn old(server: &Running) -> String {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("GET {EXECUTIONS} HTTP/1.0\r\nHost: {}\r\n\r\n", server.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_only_this_machine_is_let_in() {
    let server = Running::new().await;
    with(&server, Method::POST, &[]).await.is(201);
    let own = format!("http://{}", server.address);
    with(&server, Method::POST, &[("origin", &own)]).await.is(201);
    with(&server, Method::POST, &[("sec-fetch-site", "same-origin")])
        .await
        .is(201);
    // By way of a proxy on this machine, for somebody who is not on it.
    with(&server, Method::GET, &[("x-forwarded-for", "192.0.2.1")])
        .await
        .is_problem(401, "credentials.missing");
    with(&server, Method::GET, &[("forwarded", "for=192.0.2.1")])
        .await
        .is(401);
    // A page of somebody else, and a name that somebody else has pointed here.
    with(&server, Method::POST, &[("origin", "https://evil.test")])
        .await
        .is_problem(403, "access.foreign");
    with(&server, Method::POST, &[("origin", "null")]).await.is(403);
    with(&server, Method::GET, &[("sec-fetch-site", "cross-site")])
        .await
        .is(403);
    with(&server, Method::GET, &[("host", "evil.test")]).await.is(401);
    // A link somewhere that leads to a page here.
    let link = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", "document"),
    ];
    for (path, status) in [("/ui/executions", 200), (EXECUTIONS, 403)] {
        let request = server.request(Method::GET, path);
        let request = link
            .iter()
            .fold(request, |request, (name, value)| request.header(*name, *value));
        Answer::of(request).await.is(status);
    }
    // A proxy on this machine that says nothing of itself.
    assert!(old(&server).await.starts_with("HTTP/1.0 401"));
    // An old cookie does no harm.
    let cookie = format!("bowline_session={}", "0".repeat(64));
    with(&server, Method::GET, &[("cookie", &cookie)]).await.is(200);
    let before = key(&server, "default", Role::Operator, None).await;
    with(&server, Method::GET, &[])
        .await
        .is_problem(401, "credentials.missing");
    with(&server, Method::GET, &[("cookie", &cookie)])
        .await
        .is_problem(401, "credentials.session-ended");
    let bearer = format!("Bearer {}", before.text);
    with(&server, Method::POST, &[("authorization", &bearer)]).await.is(201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_for_the_servers_own_pages() {
    let server = Running::new().await;
    let made = key(&server, "default", Role::Operator, None).await;
    assert!(session::begin(&server.app, "bwk_wrong").await.is_err());
    let set = session::begin(&server.app, &made.text).await.unwrap();
    let set = set.to_str().unwrap();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains(&made.text[4..]));
    let cookie = set.split(';').next().unwrap();
    let own = format!("http://{}", server.address);
    with(&server, Method::GET, &[("cookie", cookie)]).await.is(200);
    with(
        &server,
        Method::POST,
        &[("cookie", cookie), ("sec-fetch-site", "same-origin")],
    )
    .await
    .is(201);
    with(&server, Method::POST, &[("cookie", cookie), ("origin", &own)])
        .await
        .is(201);
    for headers in [
        &[("cookie", cookie)][..],
        &[("cookie", cookie), ("origin", "https://evil.test")],
        &[("cookie", cookie), ("sec-fetch-site", "same-site")],
        &[("cookie", cookie), ("sec-fetch-site", "none")],
    ] {
        with(&server, Method::POST, headers)
            .await
            .is_problem(403, "access.foreign");
    }
    // It may what the key may.
    let request = server.request(Method::GET, "/api/v1/keys").header("cookie", cookie);
    Answer::of(request).await.is(403);
    let mut headers = HeaderMap::new();
    headers.insert("cookie", cookie.parse().unwrap());
    let cleared = session::end(&server.app, &headers).await.unwrap();
    assert!(cleared.to_str().unwrap().contains("Max-Age=0"));
    with(&server, Method::GET, &[("cookie", cookie)])
        .await
        .is_problem(401, "credentials.session-ended");
}
