//! Forward proxies against a real tinyproxy.

use std::fs;

use bowline_connector::ErrorKind;
use serde_json::{Value, json};

use crate::certificates::Authority;
use crate::daemons::{Site, nginx, tinyproxy};
use crate::support::{authority, call, echo_server, free_port};

#[tokio::test]
async fn plain_calls_go_through_with_credentials() {
    let Some((proxy, port)) = tinyproxy("robot", "s3cret") else {
        return;
    };
    let base = echo_server().await;
    // tinyproxy at times drops a connection without an answer; the engine would try again, too.
    let get = async |proxy: Value| {
        for _ in 0..4 {
            match call(json!({ "url": format!("{base}/x"), "proxy": proxy.clone() })).await {
                Err(error) if error.code == "http.reset" && error.kind == ErrorKind::Transient => {}
                answer => return answer,
            }
        }
        call(json!({ "url": format!("{base}/x"), "proxy": proxy })).await
    };
    let log = || fs::read_to_string(proxy.folder.path().join("proxy.log")).unwrap_or_default();

    for setting in [
        json!(format!("http://robot:s3cret@127.0.0.1:{port}")),
        json!({ "url": format!("127.0.0.1:{port}"), "username": "robot", "password": "s3cret" }),
    ] {
        let output = get(setting).await.unwrap();
        assert!(
            output["body"]["headers"]["via"].as_str().unwrap().contains("tinyproxy"),
            "{output}"
        );
        assert!(
            output["body"]["headers"].get("proxy-authorization").is_none(),
            "the service does not see them"
        );
    }
    assert!(log().contains(authority(&base).split(':').next().unwrap()));

    let error = get(json!(format!("http://robot:wrong@127.0.0.1:{port}")))
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Permanent, "{error:?}");
    let error = get(json!(format!("http://127.0.0.1:{port}"))).await.unwrap_err();
    assert_eq!((error.code.as_str(), error.kind), ("http.407", ErrorKind::Permanent));

    let direct = json!({ "url": format!("http://127.0.0.1:{port}"), "noProxy": ["127.0.0.1"] });
    let output = get(direct).await.unwrap();
    assert!(output["body"]["headers"].get("via").is_none(), "noProxy goes directly");
}

#[tokio::test]
async fn tls_goes_through_a_tunnel() {
    let Some((_proxy, port)) = tinyproxy("robot", "s3cret") else {
        return;
    };
    let ours = Authority::new("ours");
    let server = ours.issue("localhost");
    let site = Site {
        identity: &server,
        client_authority: None,
        protocols: "TLSv1.2 TLSv1.3",
    };
    let Some((_nginx, ports)) = nginx(&[site]) else { return };
    let get = async |proxy: String, port: u16| {
        call(json!({ "url": format!("https://localhost:{port}/"), "tls": { "ca": ours.pem }, "proxy": proxy })).await
    };
    let known = format!("http://robot:s3cret@127.0.0.1:{port}");
    assert_eq!(
        get(known.clone(), ports[0]).await.unwrap()["body"]["protocol"],
        "TLSv1.3"
    );

    let error = get(format!("http://127.0.0.1:{port}"), ports[0]).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.407", ErrorKind::Permanent),
        "{error:?}"
    );
    let error = get(known, free_port()).await.unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.proxy", ErrorKind::Transient),
        "{error:?}"
    );
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn the_environment_is_not_asked_unless_told() {
    // The variables are read by the process that is asked, so this asks another one: this test itself.
    let proxied = std::env::var("BOWLINE_TEST_PROXIED");
    if let Ok(url) = proxied {
        let direct = call(json!({ "url": url })).await.unwrap();
        assert_eq!(direct["status"], 200);
        let error = call(json!({ "url": url, "proxy": "system" })).await.unwrap_err();
        assert_eq!(error.code, "http.connect", "{error}");
        return;
    }
    let url = echo_server().await;
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let me = std::env::current_exe().unwrap();
    let child = tokio::task::spawn_blocking(move || {
        std::process::Command::new(me)
            .args(["proxies::the_environment_is_not_asked_unless_told", "--exact"])
            .envs([
                ("BOWLINE_TEST_PROXIED", url.as_str()),
                ("http_proxy", &nowhere),
                ("ALL_PROXY", &nowhere),
            ])
            .env_remove("NO_PROXY")
            .env_remove("no_proxy")
            .output()
            .unwrap()
    });
    let output = child.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
