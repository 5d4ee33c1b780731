//! The scheme whose parts are said one by one, and configurations that are refused.

use bowline_webhooks::{CallbackConfig, Endpoint, Reason};
use serde_json::{Value, json};

use crate::support::{Request, endpoint};

const BODY: &str = r#"{"orderId":"o-1"}"#;
/// HMAC-SHA-256 of [`BODY`] under `hush-hush`, made with `openssl dgst -sha256 -hmac hush-hush`.
const HEX: &str = "9436d13f3f7d878587f64b14f91a4e667230044330833fbdf8b34a6c77ca9712";
/// The same in base64 with `-` and `_`.
const BASE64URL: &str = "lDbRPz99h4WH9ksU-RpOZnIwBEMwgz-9-LNKbHfKlxI";
/// HMAC-SHA-512 of `1614265330.` and [`BODY`].
const TIMED_512: &str = "6255a12c961b6160e48f7064c04dfda4cf0a6a9c60e566adf22ba6b6f5040ddeb6d8c8b386ff931463505e7dfcb9ff44adbc3c9bd2a00070fca6e412a5bd9ef4";
/// HMAC-SHA-256 of `POST\n/webhooks/it\nid-7\nshop\n` and [`BODY`] under the bytes 01 02 03.
const COMPOSED: &str = "22fb61c118941373cd2c1d088cff7835ace9e93c8000b6941638f7abcc370c94";

fn hmac(more: Value) -> Endpoint {
    let mut authentication = json!({ "type": "signature", "secret": "hush-hush" });
    for (name, value) in more.as_object().unwrap() {
        authentication[name] = value.clone();
    }
    endpoint(authentication)
}

fn reason(endpoint: &Endpoint, headers: &[(&str, &str)]) -> Option<Reason> {
    Request::new(BODY, 1_614_265_330, headers).verify(endpoint).err()
}

#[test]
fn a_secret_alone_is_enough() {
    let endpoint = hmac(json!({}));
    let header = "X-Webhook-Signature";
    for text in [HEX, &format!("sha256={HEX}"), &HEX.to_uppercase()] {
        assert_eq!(reason(&endpoint, &[(header, text)]), None, "{text}");
    }
    assert_eq!(
        reason(&endpoint, &[(header, &format!("sha1={HEX}"))]),
        Some(Reason::WrongAlgorithm)
    );
    assert_eq!(reason(&endpoint, &[(header, "00")]), Some(Reason::WrongSignature));
    assert_eq!(reason(&endpoint, &[(header, "zz")]), Some(Reason::MalformedHeader));
    assert_eq!(reason(&endpoint, &[]), Some(Reason::MissingHeader));
    let id = Request::new(BODY, 0, &[(header, HEX), ("Idempotency-Key", "k-1")]);
    assert_eq!(id.verify(&endpoint).unwrap().id.as_deref(), Some("k-1"));
}

#[test]
fn every_part_can_be_said() {
    let endpoint = hmac(json!({ "header": "X-Own", "encoding": "base64url", "prefix": "v2:" }));
    assert_eq!(reason(&endpoint, &[("X-Own", &format!("v2:{BASE64URL}"))]), None);
    assert_eq!(
        reason(&endpoint, &[("X-Own", BASE64URL)]),
        Some(Reason::MalformedHeader)
    );

    let endpoint = hmac(json!({ "algorithm": "sha512", "timestampHeader": "X-Time", "header": "X-Own" }));
    assert_eq!(
        reason(&endpoint, &[("X-Own", TIMED_512), ("X-Time", "1614265330")]),
        None
    );
    assert_eq!(
        reason(&endpoint, &[("X-Own", TIMED_512), ("X-Time", "1614265331")]),
        Some(Reason::WrongSignature)
    );
    assert_eq!(reason(&endpoint, &[("X-Own", TIMED_512)]), Some(Reason::MissingHeader));

    let endpoint =
        hmac(json!({ "algorithm": "sha512", "header": "X-Own", "signaturePart": "v1", "timestampPart": "t" }));
    assert_eq!(
        reason(&endpoint, &[("X-Own", &format!("t=1614265330, v1=00,v1={TIMED_512}"))]),
        None
    );
    for text in [
        format!("v1={TIMED_512}"),
        "t=1614265330".to_owned(),
        format!("t=1,t=1614265330,v1={TIMED_512}"),
    ] {
        assert_eq!(
            reason(&endpoint, &[("X-Own", &text)]),
            Some(Reason::MalformedHeader),
            "{text}"
        );
    }

    let endpoint = hmac(json!({
        "secret": "010203", "secretEncoding": "hex", "header": "X-Own", "idHeader": "X-Id",
        "signed": "{method}\n{path}\n{id}\n{header:X-From}\n{body}"
    }));
    let headers = [("X-Own", COMPOSED), ("X-Id", "id-7"), ("X-From", "shop")];
    assert_eq!(reason(&endpoint, &headers), None);
    assert_eq!(reason(&endpoint, &headers[..2]), Some(Reason::MissingHeader));
}

#[test]
fn what_cannot_be_is_told_by_its_field() {
    let ok = json!({ "type": "none" });
    for (config, field) in [
        (json!({ "path": "orders", "authentication": ok }), "path"),
        (json!({ "path": "/api/v1/x", "authentication": ok }), "the server's own"),
        (
            json!({ "path": "/callbacks/x", "authentication": ok }),
            "the server's own",
        ),
        (json!({ "path": "/", "authentication": ok }), "path"),
        (json!({ "path": "/webhooks/{", "authentication": ok }), "path"),
        (json!({ "path": "/webhooks/{a}/{a}", "authentication": ok }), "path"),
        (
            json!({ "path": "/webhooks/x", "method": "FETCH", "authentication": ok }),
            "method",
        ),
        (
            json!({ "path": "/webhooks/x", "methods": "POST", "authentication": ok }),
            "methods",
        ),
        (
            json!({ "path": "/webhooks/x", "authentication": ok, "url": "example.org" }),
            "url",
        ),
        (
            json!({ "path": "/webhooks/x", "authentication": ok, "validation": { "schema": { "type": "sting" } } }),
            "validation.schema",
        ),
        (
            json!({ "path": "/webhooks/x", "authentication": ok, "challenge": { "parameter": "c", "token": "hush" } }),
            "tokenParameter",
        ),
        (
            signature(json!({ "scheme": "stripe", "header": "X" })),
            "authentication.header",
        ),
        (signature(json!({ "header": "no header" })), "authentication.header"),
        (signature(json!({ "signed": "{bodi}{body}" })), "{bodi}"),
        (signature(json!({ "signed": "{path}" })), "{body} is missing"),
        (signature(json!({ "signed": "{body" })), "authentication.signed"),
        (signature(json!({ "signed": "{timestamp}{body}" })), "timestampHeader"),
        (
            signature(json!({ "timestampHeader": "X-Time", "signed": "{body}" })),
            "{timestamp} is missing",
        ),
        (signature(json!({ "timestampPart": "t" })), "signaturePart"),
        (signature(json!({ "secretEncoding": "hex" })), "secretEncoding"),
        (
            signature(json!({ "scheme": "standard-webhooks", "secret": "whsk_aHVzaC1odXNo" })),
            "private key",
        ),
        (
            signature(json!({ "scheme": "standard-webhooks", "secret": "whpk_aHVzaC1odXNo" })),
            "32 bytes",
        ),
    ] {
        let problems = Endpoint::new(&config).unwrap_err().join("\n");
        assert!(problems.contains(field), "{config}: {problems}");
        assert!(!problems.contains("hush"), "{problems}");
    }
}

fn signature(more: Value) -> Value {
    let mut authentication = json!({ "type": "signature", "secret": "hush-hush" });
    for (name, value) in more.as_object().unwrap() {
        authentication[name] = value.clone();
    }
    json!({ "path": "/webhooks/x", "authentication": authentication })
}

#[test]
fn callback_endpoints_have_a_path_by_their_name() {
    let read = |value| serde_json::from_value::<CallbackConfig>(value).unwrap();
    let plain = read(json!({ "authentication": { "type": "none" } }));
    assert_eq!(plain.path("valuation"), "/callbacks/valuation");
    assert_eq!(plain.check("valuation"), Ok(()));
    assert_eq!(plain.methods(), ["POST", "PUT"]);
    for path in ["/webhooks/valuation", "/callbacks/v/{shop}"] {
        let other = read(json!({ "path": path, "method": "POST", "authentication": { "type": "none" } }));
        assert_eq!(other.check("valuation"), Ok(()), "{path}");
    }
    for path in ["/callbacks/", "/api/x", "valuation"] {
        let other = read(json!({ "path": path, "authentication": { "type": "none" } }));
        assert!(other.check("valuation").is_err(), "{path}");
    }
}
