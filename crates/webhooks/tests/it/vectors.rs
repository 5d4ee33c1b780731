//! What the providers themselves publish: secrets, requests and their signatures.

use bowline_webhooks::Reason;

use crate::support::{Request, signed};

/// <https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>, "Testing the webhook payload
/// validation".
pub(crate) fn github() -> (&'static str, Request) {
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let request = Request::new(
        "Hello, World!",
        1_700_000_000,
        &[
            ("X-Hub-Signature-256", signature),
            ("X-GitHub-Delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
        ],
    );
    ("It's a Secret to Everybody", request)
}

/// <https://docs.slack.dev/authentication/verifying-requests-from-slack>, the example of the step-by-step walk-through.
pub(crate) fn slack() -> (&'static str, Request) {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&\
        channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&\
        response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&\
        trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signature = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    let request = Request::new(
        body,
        1_531_420_618,
        &[
            ("X-Slack-Signature", signature),
            ("X-Slack-Request-Timestamp", "1531420618"),
        ],
    );
    ("8f742231b10e8888abcd99yyyzzz85a5", request)
}

/// <https://github.com/stripe/stripe-dotnet>, `EventUtilityTest.cs` with `event_test_signature.json`.
pub(crate) fn stripe() -> (&'static str, Request) {
    let signature = "t=1533204620,v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7,\
        v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    let body = include_str!("stripe.json");
    (
        "webhook_secret",
        Request::new(body, 1_533_204_620, &[("Stripe-Signature", signature)]),
    )
}

/// <https://github.com/Shopify/shopify-api-php>, `tests/Webhooks/RegistryTest.php`; the secret is that of
/// `tests/BaseTestCase.php`.
pub(crate) fn shopify() -> (&'static str, Request) {
    let request = Request::new(
        r#"{"foo":"bar"}"#,
        1_700_000_000,
        &[
            ("X-Shopify-Hmac-Sha256", "/Redz4YXHLnSmmSN8grr5/Jl/Ua3d7yX3iWbjb8R8wo="),
            ("X-Shopify-Webhook-Id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
        ],
    );
    ("steffi", request)
}

/// <https://www.twilio.com/docs/usage/security>, and the tests of <https://github.com/twilio/twilio-csharp>
/// (`RequestValidatorTest.cs`) and <https://github.com/twilio/twilio-php>.
pub(crate) fn twilio() -> (&'static str, Request) {
    let mut request = Request::new(
        "Digits=1234&To=%2B18005551212&From=%2B14158675309&Caller=%2B14158675309&CallSid=CA1234567890ABCDE",
        1_700_000_000,
        &[
            ("X-Twilio-Signature", "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            ("I-Twilio-Idempotency-Token", "f8a1"),
        ],
    );
    request.url = "https://mycompany.com/myapp.php?foo=1&bar=2".into();
    ("12345", request)
}

/// <https://github.com/standard-webhooks/standard-webhooks>, the test suite of its libraries.
pub(crate) fn standard() -> (&'static str, Request) {
    let request = Request::new(
        r#"{"test": 2432232314}"#,
        1_614_265_330,
        &[
            ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        ],
    );
    ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", request)
}

/// The same with a public key: <https://github.com/svix/svix-webhooks>, `test_asymmetric_key_signing` of its server,
/// whose signature is also the example of the specification.
pub(crate) fn standard_public() -> (&'static str, Request) {
    let (_, request) = standard();
    let signature = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    (
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        request.with("webhook-signature", signature),
    )
}

#[test]
fn what_providers_publish_is_taken() {
    for (scheme, (secret, request), id) in [
        ("github", github(), Some("72d3162e-cc78-11e3-81ab-4c9367dc0958")),
        ("slack", slack(), None),
        ("stripe", stripe(), Some("evt_123")),
        ("shopify", shopify(), Some("b54557e4-bdd9-4b37-8a5f-bf7d70bcd043")),
        ("twilio", twilio(), Some("f8a1")),
        ("standard-webhooks", standard(), Some("msg_p5jXN8AQM9LWM0D4loKWxJek")),
        (
            "standard-webhooks",
            standard_public(),
            Some("msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ),
    ] {
        let verified = request.verify(&signed(scheme, secret));
        let verified = verified.unwrap_or_else(|reason| panic!("{scheme}: {reason:?}"));
        assert_eq!(verified.id.as_deref(), id, "{scheme}");
    }
}

/// Every address and signature of Twilio's own tests, taken and refused.
#[test]
fn twilio_signs_addresses_in_many_forms() {
    let (secret, request) = twilio();
    let endpoint = signed("twilio", secret);
    let fits = |url: &str, signature: &str| {
        let mut request = request.clone().with("X-Twilio-Signature", signature);
        request.url = url.to_owned();
        request.verify(&endpoint).err()
    };
    for (url, signature) in [
        (
            "https://MyCompany.com/myapp.php?foo=1&bar=2",
            "g9IN/x4Cft2g517EjYvEvM/W7LU=",
        ),
        (
            "https://MyCompany.com:1234/myapp.php?foo=1&bar=2",
            "PCqOZm8cnu/L6+u5i5fuEd+Iac4=",
        ),
        (
            "http://MyCompany.com/myapp.php?foo=1&bar=2",
            "XY7AlKOKL6im4yWyX84gldUrtis=",
        ),
        (
            "http://username:password@MyCompany.com/myapp.php?foo=1&bar=2",
            "PJ08CxXr7KLPjEQCTc8LkUSMwSM=",
        ),
        (
            "HTTP://username:password@MyCompany.com/myapp.php?foo=1&bar=2",
            "hy/l8pca+LFms4cvRdv8uiP6NGc=",
        ),
        (
            "http://Username:Password@MyCompany.com/myapp.php?foo=1&bar=2",
            "SkTSKyDJH9kUlhItI0slbgZ1UsI=",
        ),
        (
            "https://mycompany.com:1234/myapp.php?foo=1&bar=2",
            "RSOYDt4T1cUTdK1PDd93/VVr8B8=",
        ),
        (
            "http://mycompany.com:1234/myapp.php?foo=1&bar=2",
            "Zmvh+3yNM1Phv2jhDCwEM3q5ebU=",
        ),
        (
            "https://mycompany.com/myapp.php?foo=1&bar=2",
            "kvajT1Ptam85bY51eRf/AJRuM3w=",
        ),
        (
            "http://mycompany.com/myapp.php?foo=1&bar=2",
            "0ZXoZLH/DfblKGATFgpif+LLRf4=",
        ),
        (
            "https://mycompany.com:1234/myapp.php?foo=1&bar=2",
            "CYn1h0gLBdNxDGkKJg6hYohgeD8=",
        ),
    ] {
        assert_eq!(fits(url, signature), None, "{url} {signature}");
    }
    for url in [
        "https://MyCompany.com/myapp.php?foo=1&bar=2",
        "https://MyCompany.com:1234/myapp.php?foo=1&bar=2",
        "http://MyCompany.com/myapp.php?foo=1&bar=2",
    ] {
        assert_eq!(
            fits(url, "RSOYDt4T1cUTdK1PDd93/VVr8B8="),
            Some(Reason::WrongSignature),
            "{url}"
        );
    }
    assert_eq!(
        request
            .clone()
            .body("Sid=CA123&SidAccount=AC123&Digits=5678&Digits=1234&Digits=1234")
            .with("X-Twilio-Signature", "IK+Dwps556ElfBT0I3Rgjkr1wJU=")
            .verify(&endpoint)
            .err(),
        None,
        "repetitions"
    );
    let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
    let json = |query: &str, signature: &str, body: &str| {
        let mut request = request.clone().body(body).with("X-Twilio-Signature", signature);
        request.url = format!("https://mycompany.com/myapp.php?{query}bodySHA256={hash}");
        request.verify(&endpoint).err()
    };
    let body = r#"{"property": "value", "boolean": true}"#;
    assert_eq!(json("foo=1&bar=2&", "a9nBmqA0ju/hNViExpshrM61xv4=", body), None);
    assert_eq!(json("", "y77kIzt2vzLz71DgmJGsen2scGs=", body), None);
    assert_eq!(
        json("", "y77kIzt2vzLz71DgmJGsen2scGs=", "{}"),
        Some(Reason::WrongSignature)
    );
}

/// The headers that Stripe's own tests refuse.
#[test]
fn stripe_headers_that_say_nothing_are_refused() {
    let (secret, request) = stripe();
    let endpoint = signed("stripe", secret);
    let v1 = "v1=2220f87ef101a04665f11cdf770523143f875572008577fa0f20882ddb9cc3c7";
    for header in [
        &format!("t=,{v1}"),
        v1,
        "t,v1=,v0=",
        "t,v1=,v0",
        "t,,",
        ",,",
        "t",
        "t=1533204620,v1=",
        &format!("t=1533204620,t=1533204621,{v1}"),
    ] {
        let refused = request.clone().with("Stripe-Signature", header).verify(&endpoint);
        assert!(refused.is_err(), "{header}");
    }
    let several = format!("t=1533204620,v1=deadbeef,{v1},v1=00");
    let taken = request.clone().with("Stripe-Signature", &several).verify(&endpoint);
    assert!(taken.is_ok(), "one of several v1 is enough");
    let only_old = "t=1533204620,v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef";
    assert_eq!(
        request.with("Stripe-Signature", only_old).verify(&endpoint),
        Err(Reason::WrongAlgorithm)
    );
}

#[test]
fn standard_webhooks_takes_one_of_several() {
    let (secret, request) = standard();
    let (public, _) = standard_public();
    let v1 = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let v1a = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";
    let many = format!("v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= v2,AAAA {v1} {v1a}");
    let request = request.with("webhook-signature", &many);
    for key in [secret, public, secret.trim_start_matches("whsec_")] {
        assert!(request.verify(&signed("standard-webhooks", key)).is_ok(), "{key}");
    }
    for (header, reason) in [
        (v1.replace("v1,", "v2,"), Reason::WrongAlgorithm),
        (v1.replace("v1,", "v1a,"), Reason::WrongSignature),
        (v1.replace("v1,", ""), Reason::WrongAlgorithm),
        (vec![v1; 17].join(" "), Reason::MalformedHeader),
    ] {
        let refused = request.clone().with("webhook-signature", &header);
        assert_eq!(
            refused.verify(&signed("standard-webhooks", secret)),
            Err(reason),
            "{header}"
        );
    }
    let svix = Request::new(
        r#"{"test": 2432232314}"#,
        1_614_265_330,
        &[
            ("svix-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
            ("svix-timestamp", "1614265330"),
            ("svix-signature", v1),
        ],
    );
    assert!(svix.verify(&signed("standard-webhooks", secret)).is_ok());
}
