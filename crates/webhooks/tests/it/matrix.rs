//! What each scheme refuses, and for which reason.

use bowline_webhooks::{Endpoint, Reason};
use serde_json::json;

use crate::support::{Request, endpoint, signed};
use crate::vectors;

/// One scheme: its secret, a request that fits, its headers, and an altered form of each that is refused.
struct Case {
    scheme: &'static str,
    secret: &'static str,
    request: Request,
    /// Headers without which nothing is taken.
    needed: &'static [&'static str],
    /// Whether the time is signed.
    is_timed: bool,
    /// The signature's header with another algorithm's name in it.
    other_algorithm: Option<(&'static str, String)>,
}

fn cases() -> Vec<Case> {
    let case =
        |scheme, (secret, request): (&'static str, Request), needed, is_timed, other: Option<(&'static str, &str)>| {
            Case {
                scheme,
                secret,
                request,
                needed,
                is_timed,
                other_algorithm: other.map(|(header, text)| (header, text.to_owned())),
            }
        };
    vec![
        case(
            "github",
            vectors::github(),
            &["X-Hub-Signature-256"],
            false,
            Some(("X-Hub-Signature-256", "sha1=6e939b5b3f3ae3fb1ee2ad8a2b1ba6ff7fdd8d1c")),
        ),
        case(
            "slack",
            vectors::slack(),
            &["X-Slack-Signature", "X-Slack-Request-Timestamp"],
            true,
            Some((
                "X-Slack-Signature",
                "v1=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            )),
        ),
        case(
            "stripe",
            vectors::stripe(),
            &["Stripe-Signature"],
            true,
            Some((
                "Stripe-Signature",
                "t=1533204620,v0=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7",
            )),
        ),
        case("shopify", vectors::shopify(), &["X-Shopify-Hmac-Sha256"], false, None),
        case("twilio", vectors::twilio(), &["X-Twilio-Signature"], false, None),
        case(
            "standard-webhooks",
            vectors::standard(),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
            true,
            Some(("webhook-signature", "v9,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")),
        ),
        case(
            "standard-webhooks",
            vectors::standard_public(),
            &["webhook-id", "webhook-timestamp", "webhook-signature"],
            true,
            None,
        ),
    ]
}

/// Another secret of the same form.
fn other_secret(secret: &str) -> String {
    if let Some(rest) = secret.strip_prefix("whpk_") {
        return format!("whpk_A{}", &rest[1..]);
    }
    if let Some(rest) = secret.strip_prefix("whsec_") {
        return format!("whsec_A{}", &rest[1..]);
    }
    format!("{secret}-other")
}

#[test]
fn every_scheme_refuses_what_it_must() {
    for case in cases() {
        let name = case.scheme;
        let endpoint = signed(name, case.secret);
        let reason = |request: Request| request.verify(&endpoint).err();
        assert_eq!(reason(case.request.clone()), None, "{name}: as it is");

        assert_eq!(
            case.request.verify(&signed(name, other_secret(case.secret))).err(),
            Some(Reason::WrongSignature),
            "{name}: wrong secret"
        );
        let mut changed = case.request.clone();
        *changed.body.last_mut().unwrap() ^= 1;
        assert_eq!(reason(changed), Some(Reason::WrongSignature), "{name}: changed body");
        let longer = String::from_utf8(case.request.body.clone()).unwrap() + "&x=1";
        assert_eq!(
            reason(case.request.clone().body(&longer)),
            Some(Reason::WrongSignature),
            "{name}: longer body"
        );
        for header in case.needed {
            assert_eq!(
                reason(case.request.clone().without(header)),
                Some(Reason::MissingHeader),
                "{name}: without {header}"
            );
            assert_eq!(
                reason(case.request.clone().with(header, " ")),
                Some(Reason::MissingHeader),
                "{name}: empty {header}"
            );
            let mut twice = case.request.clone();
            let value = twice
                .headers
                .iter()
                .find(|(known, _)| known == header)
                .unwrap()
                .1
                .clone();
            twice.headers.push(((*header).to_owned(), value));
            assert_eq!(reason(twice), Some(Reason::MalformedHeader), "{name}: {header} twice");
            let nonsense = reason(case.request.clone().with(header, "nonsense"));
            assert!(nonsense.is_some(), "{name}: nonsense in {header}");
        }
        if let Some((header, text)) = &case.other_algorithm {
            assert_eq!(
                reason(case.request.clone().with(header, text)),
                Some(Reason::WrongAlgorithm),
                "{name}: wrong algorithm"
            );
        }
        let (late, early) = (
            reason(case.request.clone().later(301)),
            reason(case.request.clone().later(-301)),
        );
        if case.is_timed {
            assert_eq!(late, Some(Reason::TooOld), "{name}: old");
            assert_eq!(early, Some(Reason::TooNew), "{name}: from the future");
            for at in [300, -300] {
                assert_eq!(
                    reason(case.request.clone().later(at)),
                    None,
                    "{name}: {at} s is allowed"
                );
            }
        } else {
            assert_eq!((late, early), (None, None), "{name} signs no time");
        }
    }
}

#[test]
fn a_secret_is_rotated_without_a_refusal() {
    for case in cases() {
        let name = case.scheme;
        let moment = |offset: i64| {
            jiff::Timestamp::from_second(case.request.at + offset)
                .unwrap()
                .to_string()
        };
        let with = |secrets| case.request.verify(&signed(name, secrets)).err();
        let other = other_secret(case.secret);
        assert_eq!(with(json!([other, case.secret])), None, "{name}: new and old");
        assert_eq!(
            with(json!([other, { "value": case.secret, "notAfter": moment(1) }])),
            None,
            "{name}: old one still counts"
        );
        assert_eq!(
            with(json!([other, { "value": case.secret, "notAfter": moment(-1) }])),
            Some(Reason::WrongSignature),
            "{name}: old one counts no more"
        );
        assert_eq!(
            with(json!([{ "value": case.secret, "notBefore": moment(1) }])),
            Some(Reason::NoSecretCounts),
            "{name}: none counts yet"
        );
    }
}

#[test]
fn without_a_secret_there_is_no_endpoint() {
    for scheme in [
        "hmac",
        "stripe",
        "github",
        "slack",
        "shopify",
        "twilio",
        "standard-webhooks",
    ] {
        for secret in [
            json!(""),
            json!("  "),
            json!([]),
            json!(["good-enough", ""]),
            json!({ "value": "" }),
        ] {
            let config = json!({ "path": "/webhooks/x", "authentication": { "type": "signature", "scheme": scheme, "secret": secret } });
            assert!(Endpoint::new(&config).is_err(), "{scheme} {secret}");
        }
    }
    for authentication in [
        json!({ "type": "signature" }),
        json!({ "type": "basic", "credentials": { "username": "u", "password": "" } }),
        json!({ "type": "bearer", "credentials": { "token": "" } }),
        json!({ "type": "api-key", "credentials": { "keyName": "X-Key", "keyValue": [""] } }),
        json!(null),
        json!({}),
    ] {
        let config = json!({ "path": "/webhooks/x", "authentication": authentication });
        assert!(Endpoint::new(&config).is_err(), "{authentication}");
    }
    assert!(
        Endpoint::new(&json!({ "path": "/webhooks/x" })).is_err(),
        "nothing said is not open to all"
    );
}

#[test]
fn a_sender_without_a_signature_names_its_deliveries_too() {
    for authentication in [
        json!({ "type": "none" }),
        json!({ "type": "bearer", "credentials": { "token": "t0k" } }),
    ] {
        let request = Request::new("{}", 0, &[("Authorization", "Bearer t0k"), ("Idempotency-Key", "k-1")]);
        let verified = request.verify(&endpoint(authentication.clone())).unwrap();
        assert_eq!(verified.id.as_deref(), Some("k-1"), "{authentication}");
    }
}

#[test]
fn credentials_are_compared_whole() {
    let at = 1_700_000_000;
    let basic = endpoint(json!({ "type": "basic", "credentials": { "username": "user", "password": ["new", "old"] } }));
    let bearer = endpoint(json!({ "type": "bearer", "credentials": { "token": "t0k" } }));
    let key = endpoint(json!({ "type": "api-key", "credentials": { "keyName": "X-Key", "keyValue": "k3y" } }));
    let query = endpoint(
        json!({ "type": "api-key", "credentials": { "keyLocation": "query", "keyName": "key", "keyValue": "k3y" } }),
    );
    let with = |endpoint: &Endpoint, header: &str, value: &str| {
        Request::new("{}", at, &[(header, value)]).verify(endpoint).err()
    };
    // user:new, user:old, user:other, other:new
    assert_eq!(with(&basic, "Authorization", "Basic dXNlcjpuZXc="), None);
    assert_eq!(with(&basic, "Authorization", "basic dXNlcjpvbGQ="), None);
    let wrong = Some(Reason::WrongCredentials);
    assert_eq!(with(&basic, "Authorization", "Basic dXNlcjpvdGhlcg=="), wrong);
    assert_eq!(with(&basic, "Authorization", "Basic b3RoZXI6bmV3"), wrong);
    assert_eq!(with(&basic, "Authorization", "Basic !"), Some(Reason::MalformedHeader));
    assert_eq!(
        with(&basic, "Authorization", "Bearer t0k"),
        Some(Reason::WrongAlgorithm)
    );
    assert_eq!(with(&bearer, "Authorization", "Bearer t0k"), None);
    for other in ["Bearer t0", "Bearer t0kk", "Bearer T0K", "Bearer"] {
        assert_eq!(with(&bearer, "Authorization", other), wrong, "{other}");
    }
    assert_eq!(with(&bearer, "X-Other", "t0k"), Some(Reason::MissingHeader));
    assert_eq!(with(&key, "x-key", "k3y"), None);
    assert_eq!(with(&key, "x-key", "k3"), wrong);
    let ask = |text: &str| {
        let mut request = Request::new("{}", at, &[]);
        request.url = format!("https://bowline.example/webhooks/it?{text}");
        request.verify(&query).err()
    };
    assert_eq!(ask("key=k3y"), None);
    for text in ["", "key=k3", "key=k3y&key=k3y", "KEY=k3y"] {
        assert_eq!(ask(text), wrong, "{text}");
    }
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_verified() {
    let config = json!({ "path": "/webhooks/x", "authentication": { "type": "none" }, "maxBodyBytes": 4 });
    let endpoint = Endpoint::new(&config).unwrap();
    assert_eq!(Request::new("1234", 0, &[]).verify(&endpoint).err(), None);
    assert_eq!(
        Request::new("12345", 0, &[]).verify(&endpoint).err(),
        Some(Reason::BodyTooLarge)
    );
}

#[test]
fn what_does_not_fit_the_schema_is_told_by_its_place() {
    let config = json!({
        "path": "/webhooks/order-created", "method": "POST",
        "authentication": { "type": "none" },
        "validation": { "schema": {
            "type": "object",
            "properties": { "orderId": { "type": "string" }, "amount": { "type": "number" }, "items": { "type": "array", "items": { "type": "object" } } },
            "required": ["orderId", "amount"]
        } }
    });
    let endpoint = Endpoint::new(&config).unwrap();
    assert_eq!(endpoint.validate(&json!({ "orderId": "o", "amount": 1 })), Ok(()));
    let refusal = endpoint
        .validate(&json!({ "amount": "hush", "items": [{}, "hush"] }))
        .unwrap_err();
    let mut places: Vec<&str> = refusal.misfits.iter().map(|misfit| misfit.pointer.as_str()).collect();
    places.sort_unstable();
    assert_eq!(places, ["", "/amount", "/items/1"]);
    let told = serde_json::to_string(&refusal).unwrap();
    assert!(!told.contains("hush") && told.contains("orderId"), "{told}");
}

#[test]
fn challenges_are_answered_with_their_token_only() {
    let config = json!({
        "path": "/webhooks/x", "authentication": { "type": "none" },
        "challenge": { "parameter": "hub.challenge", "tokenParameter": "hub.verify_token", "token": "t0k" }
    });
    let endpoint = Endpoint::new(&config).unwrap();
    let ask = |query| endpoint.challenge(&http::Method::GET, query);
    assert_eq!(ask("hub.challenge=42&hub.verify_token=t0k"), Some(Ok("42".into())));
    assert!(matches!(ask("hub.challenge=42&hub.verify_token=no"), Some(Err(_))));
    assert!(matches!(ask("hub.challenge=42"), Some(Err(_))));
    assert_eq!(ask("hub.verify_token=t0k"), None);
    assert_eq!(
        endpoint.challenge(&http::Method::POST, "hub.challenge=42&hub.verify_token=t0k"),
        None
    );

    let slack = signed("slack", "secret");
    let asks = json!({ "type": "url_verification", "challenge": "abc" });
    assert_eq!(slack.url_verification(&asks).as_deref(), Some("abc"));
    assert_eq!(slack.url_verification(&json!({ "type": "event_callback" })), None);
    assert_eq!(signed("github", "secret").url_verification(&asks), None);
}
