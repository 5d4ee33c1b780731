//! TLS against a real nginx, with our own authority.

use bowline_connector::{ErrorKind, StepContext};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::certificates::Authority;
use crate::daemons::{Site, nginx};
use crate::support::{call, call_in, context, raw};

const BOTH: &str = "TLSv1.2 TLSv1.3";

#[tokio::test]
async fn certificates_are_checked() {
    let ours = Authority::new("ours");
    let (good, expired, other) = (
        ours.issue("localhost"),
        ours.issue_until("localhost", 2001),
        ours.issue("other.example"),
    );
    let site = |identity| Site {
        identity,
        client_authority: None,
        protocols: BOTH,
    };
    let Some((_nginx, ports)) = nginx(&[site(&good), site(&expired), site(&other)]) else {
        return;
    };
    let get = async |port: u16, tls: Value| {
        call(json!({ "url": format!("https://localhost:{port}/?token=hush"), "tls": tls })).await
    };
    let trust = json!({ "ca": ours.pem });

    let output = get(ports[0], trust.clone()).await.unwrap();
    assert_eq!(
        (&output["body"]["protocol"], &output["body"]["http"]),
        (&json!("TLSv1.3"), &json!("HTTP/2.0"))
    );

    let strangers = Authority::new("strangers").pem;
    for (port, tls, alias) in [
        (ports[0], json!({ "ca": strangers }), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
        (ports[0], json!({}), "UNABLE_TO_VERIFY_LEAF_SIGNATURE"),
        (ports[1], trust.clone(), "CERT_HAS_EXPIRED"),
        (ports[2], trust.clone(), "ERR_TLS_CERT_ALTNAME_INVALID"),
    ] {
        let error = get(port, tls).await.unwrap_err();
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("http.tls", ErrorKind::Permanent),
            "{error}"
        );
        assert!(error.matches(alias), "{error:?}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    for port in &ports {
        let output = get(*port, json!({ "insecureSkipVerify": true })).await.unwrap();
        assert_eq!(output["status"], 200);
    }
    let error = call(json!({ "url": format!("https://localhost:{}/down", ports[0]), "tls": trust }))
        .await
        .unwrap_err();
    assert_eq!(error.code, "http.redirect-downgrade");
}

#[tokio::test]
async fn a_client_certificate_is_shown() {
    let ours = Authority::new("ours");
    let server = ours.issue("localhost");
    let Some((nginx, ports)) = nginx(&[Site {
        identity: &server,
        client_authority: Some(&ours.pem),
        protocols: BOTH,
    }]) else {
        return;
    };
    let base = format!("https://localhost:{}", ports[0]);
    let client = ours.issue("robot");
    for (name, text) in [
        ("ca.pem", &ours.pem),
        ("robot.crt", &client.certificate),
        ("robot.key", &client.key),
    ] {
        std::fs::write(nginx.folder.path().join(name), text).unwrap();
    }
    let files = json!({ "ca": "ca.pem", "clientCertificate": "robot.crt", "clientKey": "robot.key" });
    let texts = json!({ "ca": ours.pem, "clientCertificate": client.certificate, "clientKey": client.key });
    for tls in [files, texts] {
        let ctx = StepContext {
            base_dir: nginx.folder.path().to_path_buf().into(),
            ..context(json!({ "c": { "baseUrl": base, "tls": tls } }))
        };
        let body = call_in(&ctx, json!({ "connection": "c" })).await.unwrap()["body"].clone();
        assert!(body["client"].as_str().unwrap().contains("CN=robot"), "{body}");
        let body = call_in(&ctx, json!({ "url": base, "tls": tls })).await.unwrap()["body"].clone();
        assert!(body["client"].as_str().unwrap().contains("CN=robot"), "{body}");
    }
    let error = call(json!({ "url": base, "tls": { "ca": ours.pem } }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.400", ErrorKind::Permanent),
        "nginx says so in HTTP: {error}"
    );

    let stranger = ours.issue("stranger");
    let mixed = json!({ "ca": ours.pem, "clientCertificate": client.certificate, "clientKey": stranger.key });
    let error = call(json!({ "url": base, "tls": mixed })).await.unwrap_err();
    assert_eq!(error.code, "config.invalid", "a key of another certificate: {error}");
    assert!(error.message.contains("tls.clientCertificate"), "{error}");
}

#[tokio::test]
async fn the_lowest_version_is_kept() {
    let ours = Authority::new("ours");
    let server = ours.issue("localhost");
    let Some((_nginx, ports)) = nginx(&[Site {
        identity: &server,
        client_authority: None,
        protocols: "TLSv1.2",
    }]) else {
        return;
    };
    let url = format!("https://localhost:{}/", ports[0]);
    let output = call(json!({ "url": url, "tls": { "ca": ours.pem, "minVersion": 1.2 } }))
        .await
        .unwrap();
    assert_eq!(output["body"]["protocol"], "TLSv1.2");
    let error = call(json!({ "url": url, "tls": { "ca": ours.pem, "minVersion": "1.3" } }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.tls", ErrorKind::Transient),
        "{error}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let plain = raw(|mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
            .await;
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
    })
    .await;
    let error = call(json!({ "url": plain.replace("http://", "https://") }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.tls", ErrorKind::Transient),
        "{error:?}"
    );

    let closing = raw(|mut stream| async move {
        // All of the greeting is read, so that closing sends an end and not a reset.
        let mut greeting = vec![0; 65_536];
        let _ = stream.read(&mut greeting).await;
    })
    .await;
    let error = call(json!({ "url": closing.replace("http://", "https://") }))
        .await
        .unwrap_err();
    assert_eq!(
        (error.code.as_str(), error.kind),
        ("http.tls", ErrorKind::Transient),
        "{error:?}"
    );
}
