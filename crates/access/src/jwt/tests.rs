//! Tokens with real keys, and an issuer that serves them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;
use crate::config::OneOrMore;

/// A key of an issuer.
struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn rsa(id: &'static str, size: KeySize) -> Self {
        let pair = RsaKeyPair::generate(size).unwrap();
        // What comes is PKCS #8, what is taken is the PKCS #1 in it, behind a header of 26 bytes.
        let der = pair.as_der().unwrap();
        Self {
            id,
            algorithm: Algorithm::RS256,
            key: EncodingKey::from_rsa_der(&der.as_ref()[26..]),
        }
    }

    fn ec(id: &'static str) -> Self {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self {
            id,
            algorithm: Algorithm::ES256,
            key: EncodingKey::from_ec_der(der.as_ref()),
        }
    }

    fn ed(id: &'static str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        Self {
            id,
            algorithm: Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(der.as_ref()),
        }
    }

    fn public(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    fn header(&self) -> Header {
        Header {
            kid: Some(self.id.to_owned()),
            ..Header::new(self.algorithm)
        }
    }

    fn sign(&self, claims: &Value) -> String {
        encode(&self.header(), claims, &self.key).unwrap()
    }
}

/// Serves what it is told to, and counts how often it is asked.
struct Issuer {
    url: String,
    document: Arc<Mutex<(u16, String)>>,
    asked: Arc<AtomicUsize>,
}

impl Issuer {
    async fn start(keys: &[&Signer]) -> Self {
        let document: Arc<Mutex<(u16, String)>> = Arc::default();
        let asked = Arc::new(AtomicUsize::new(0));
        let (served, counted) = (Arc::clone(&document), Arc::clone(&asked));
        let router = axum::Router::new().route(
            "/jwks",
            axum::routing::get(move || async move {
                counted.fetch_add(1, Ordering::SeqCst);
                let (status, text) = served.lock().unwrap().clone();
                (axum::http::StatusCode::from_u16(status).unwrap(), text)
            }),
        );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let issuer = Self { url, document, asked };
        issuer.publish(keys);
        issuer
    }

    fn publish(&self, keys: &[&Signer]) {
        let keys: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        *self.document.lock().unwrap() = (200, json!({ "keys": keys }).to_string());
    }

    fn tokens(&self, pause: Duration, config: Jwt) -> Tokens {
        let source = Source::Url(self.url.parse().unwrap());
        Tokens::with(config, Jwks::new(source).unwrap().pausing(pause)).unwrap()
    }
}

const NO_PAUSE: Duration = Duration::ZERO;

fn config() -> Jwt {
    let text = json!({ "issuer": "https://issuer.test", "audience": ["bowline", "other"], "jwksUrl": "https://x" });
    serde_json::from_value(text).unwrap()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn claims() -> Value {
    json!({
        "iss": "https://issuer.test", "aud": "bowline", "sub": "ada", "exp": now() + 300,
        "organization": "acme", "role": "operator",
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[name] = value;
    claims
}

fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

async fn why(tokens: &Tokens, token: &str) -> String {
    match tokens.check(token).await {
        Err(Denied::Token(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn tokens_with_all_kinds_of_keys_are_accepted() {
    let signers = [Signer::rsa("r", KeySize::Rsa2048), Signer::ec("e"), Signer::ed("d")];
    let issuer = Issuer::start(&[&signers[0], &signers[1], &signers[2]]).await;
    let tokens = issuer.tokens(NO_PAUSE, config());
    for signer in &signers {
        let caller = tokens.check(&signer.sign(&claims())).await.unwrap();
        assert_eq!((caller.organization.as_str(), caller.role), ("acme", Role::Operator));
        assert_eq!((caller.name.as_str(), caller.kind), ("ada", Kind::Jwt));
        assert_eq!(caller.scopes, Scope::usual());
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn claims_are_held_to_the_configuration() {
    let signer = Signer::ec("e");
    let issuer = Issuer::start(&[&signer]).await;
    let tokens = issuer.tokens(NO_PAUSE, config());
    let cases = [
        (with("exp", json!(now() - 61)), "it has expired"),
        (with("exp", json!("soon")), "it cannot be read"),
        (with("nbf", json!(now() + 90)), "it is not valid yet"),
        (with("iss", json!("https://other")), "its issuer is another one"),
        (with("aud", json!("elsewhere")), "it is for another audience"),
        (without("exp"), "it has no claim `exp`"),
        (without("iss"), "it has no claim `iss`"),
        (without("aud"), "it has no claim `aud`"),
        (
            without("organization"),
            "it has no claim `organization` with an organization",
        ),
        (
            with("organization", json!(7)),
            "its claim `organization` is not text with an organization",
        ),
        (without("role"), "its claim `role` names no role of this server"),
        (
            with("role", json!("root")),
            "its claim `role` names no role of this server",
        ),
    ];
    for (claims, expected) in cases {
        let found = why(&tokens, &signer.sign(&claims)).await;
        // What a number must be is told in one of two ways.
        assert!(
            found == expected || (expected == "it cannot be read" && found.contains("exp")),
            "{claims}: {found}"
        );
    }
    // The leeway is for clocks that differ.
    for good in [
        with("exp", json!(now() - 30)),
        with("nbf", json!(now() + 30)),
        with("aud", json!(["x", "other"])),
    ] {
        assert!(tokens.check(&signer.sign(&good)).await.is_ok(), "{good}");
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let signer = Signer::rsa("r", KeySize::Rsa2048);
    let issuer = Issuer::start(&[&signer]).await;
    let tokens = issuer.tokens(NO_PAUSE, config());
    let good = signer.sign(&claims());
    tokens.check(&good).await.unwrap();

    // No signature.
    let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"r"}"#);
    let body = URL_SAFE_NO_PAD.encode(claims().to_string());
    assert!(
        why(&tokens, &format!("{header}.{body}."))
            .await
            .contains("algorithm is not accepted")
    );

    // The public key, which everybody knows, as the secret of a MAC.
    let modulus = signer.public()["n"].as_str().unwrap().to_owned();
    for secret in [modulus.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(&modulus).unwrap()] {
        let header = Header {
            kid: Some("r".into()),
            ..Header::new(Algorithm::HS256)
        };
        let forged = encode(&header, &claims(), &EncodingKey::from_secret(&secret)).unwrap();
        assert_eq!(why(&tokens, &forged).await, "its algorithm is not accepted");
    }

    // Somebody else's key under the id of the issuer's.
    let other = Signer::rsa("r", KeySize::Rsa2048);
    assert_eq!(why(&tokens, &other.sign(&claims())).await, "its signature is wrong");

    // A key in the token itself, or an address of one, is not looked at.
    let mut header = other.header();
    header.jwk = Some(serde_json::from_value(other.public()).unwrap());
    header.jku = Some("https://evil.test/jwks".into());
    let forged = encode(&header, &claims(), &other.key).unwrap();
    assert_eq!(why(&tokens, &forged).await, "its signature is wrong");

    // Other claims under the same signature.
    let parts: Vec<&str> = good.split('.').collect();
    let changed = URL_SAFE_NO_PAD.encode(with("role", json!("admin")).to_string());
    assert_eq!(
        why(&tokens, &format!("{}.{changed}.{}", parts[0], parts[2])).await,
        "its signature is wrong"
    );

    // An accepted algorithm of another kind of key.
    let ec = Signer::ec("r");
    assert_eq!(why(&tokens, &ec.sign(&claims())).await, "the issuer has no such key");

    // An algorithm that is not on the list, with the right key.
    let header = Header {
        kid: Some("r".into()),
        ..Header::new(Algorithm::RS512)
    };
    let other = encode(&header, &claims(), &signer.key).unwrap();
    assert_eq!(why(&tokens, &other).await, "its algorithm is not accepted");

    let mut header = signer.header();
    header.crit = Some(vec!["exp".into()]);
    let critical = encode(&header, &claims(), &signer.key).unwrap();
    assert_eq!(
        why(&tokens, &critical).await,
        "it has critical extensions, which are not known here"
    );

    for text in ["", "a", "a.b.c", "....", &"x".repeat(LONGEST + 1)] {
        assert!(!why(&tokens, text).await.is_empty());
    }
}

#[tokio::test]
async fn keys_that_are_weak_or_for_something_else_are_not_used() {
    let mut rsa = Signer::rsa("r", KeySize::Rsa2048).public();
    rsa["n"] = json!("AQAB".repeat(64));
    let mut encryption = Signer::ec("e").public();
    encryption["use"] = json!("enc");
    let secret = json!({ "kty": "oct", "k": "AAAA", "kid": "s", "alg": "HS256" });
    let strange = json!({ "kty": "strange" });
    let issuer = Issuer::start(&[]).await;
    let text = json!({ "keys": [rsa, encryption, secret, strange] }).to_string();
    *issuer.document.lock().unwrap() = (200, text);
    let tokens = issuer.tokens(NO_PAUSE, config());
    let denied = tokens.check(&Signer::ec("e").sign(&claims())).await.unwrap_err();
    assert!(
        matches!(&denied, Denied::Unavailable(why) if why.starts_with("the public keys")),
        "{denied:?}"
    );
}

#[tokio::test]
async fn a_rotated_key_is_looked_for_and_a_withdrawn_one_is_forgotten() {
    let (first, second) = (Signer::ec("1"), Signer::ec("2"));
    let issuer = Issuer::start(&[&first]).await;
    let tokens = issuer.tokens(NO_PAUSE, config());
    tokens.check(&first.sign(&claims())).await.unwrap();
    assert_eq!(
        why(&tokens, &second.sign(&claims())).await,
        "the issuer has no such key"
    );
    issuer.publish(&[&first, &second]);
    tokens.check(&second.sign(&claims())).await.unwrap();
    tokens.check(&first.sign(&claims())).await.unwrap();
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 3);
    // What is fetched next does not have it any more.
    issuer.publish(&[&second]);
    assert_eq!(
        why(&tokens, &Signer::ec("3").sign(&claims())).await,
        "the issuer has no such key"
    );
    assert_eq!(why(&tokens, &first.sign(&claims())).await, "the issuer has no such key");
}

#[tokio::test]
async fn unknown_ids_do_not_flood_the_issuer() {
    let signer = Signer::ec("1");
    let issuer = Issuer::start(&[&signer]).await;
    let tokens = issuer.tokens(Duration::from_secs(600), config());
    tokens.check(&signer.sign(&claims())).await.unwrap();
    for _ in 0..50 {
        assert_eq!(
            why(&tokens, &Signer::ec("9").sign(&claims())).await,
            "the issuer has no such key"
        );
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_an_id_the_only_fitting_key_is_taken() {
    let (first, second) = (Signer::ec("1"), Signer::ec("2"));
    let issuer = Issuer::start(&[&first]).await;
    let tokens = issuer.tokens(NO_PAUSE, config());
    let token = encode(&Header::new(Algorithm::ES256), &claims(), &first.key).unwrap();
    tokens.check(&token).await.unwrap();
    issuer.publish(&[&first, &second]);
    assert_eq!(
        why(&tokens, &second.sign(&with("exp", json!(1)))).await,
        "it has expired"
    );
    assert_eq!(why(&tokens, &token).await, "the issuer has no such key");
}

#[tokio::test]
async fn an_issuer_that_fails_is_told_and_what_is_known_goes_on() {
    let signer = Signer::ec("1");
    let issuer = Issuer::start(&[&signer]).await;
    let good = issuer.document.lock().unwrap().clone();
    for (status, text) in [(500, ""), (302, ""), (200, "<html>"), (200, r#"{"keys": []}"#)] {
        *issuer.document.lock().unwrap() = (status, text.to_owned());
        let tokens = issuer.tokens(NO_PAUSE, config());
        let denied = tokens.check(&signer.sign(&claims())).await.unwrap_err();
        // Whoever sends a token is told nothing of files and addresses.
        assert!(
            matches!(&denied, Denied::Unavailable(why) if why == "the public keys of the token issuer cannot be had"),
            "{status} {text}: {denied:?}"
        );
        // It gets better.
        *issuer.document.lock().unwrap() = good.clone();
        tokens.check(&signer.sign(&claims())).await.unwrap();
        // It gets worse again.
        *issuer.document.lock().unwrap() = (500, String::new());
        assert_eq!(
            why(&tokens, &Signer::ec("2").sign(&claims())).await,
            "the issuer has no such key"
        );
        tokens.check(&signer.sign(&claims())).await.unwrap();
    }
    *issuer.document.lock().unwrap() = (200, "x".repeat(1024 * 1024 + 1));
    let tokens = issuer.tokens(NO_PAUSE, config());
    let denied = tokens.check(&signer.sign(&claims())).await.unwrap_err();
    assert!(
        matches!(&denied, Denied::Unavailable(why) if why.starts_with("the public keys")),
        "{denied:?}"
    );
}

#[tokio::test]
async fn keys_come_from_a_file_too() {
    let (first, second) = (Signer::ec("1"), Signer::ec("2"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    let write = |signer: &Signer| std::fs::write(&file, json!({ "keys": [signer.public()] }).to_string()).unwrap();
    write(&first);
    let keys = Jwks::new(Source::File(file.clone())).unwrap().pausing(NO_PAUSE);
    let tokens = Tokens::with(config(), keys).unwrap();
    tokens.check(&first.sign(&claims())).await.unwrap();
    write(&second);
    tokens.check(&second.sign(&claims())).await.unwrap();
}

#[tokio::test]
async fn claims_are_mapped_as_configured() {
    let signer = Signer::ec("1");
    let issuer = Issuer::start(&[&signer]).await;
    let config = Jwt {
        organization: Some("default".into()),
        organization_claim: "https://app.test/org".into(),
        role_claim: "realm.roles".into(),
        roles: [("reader".into(), Role::Viewer), ("boss".into(), Role::Admin)].into(),
        role: None,
        scope_claim: Some("scope".into()),
        ..config()
    };
    let tokens = issuer.tokens(NO_PAUSE, config);
    let mut claims = claims();
    claims["realm"] = json!({ "roles": ["reader", "boss", "admin"] });
    claims["scope"] = json!("openid executions organizations");
    let caller = tokens.check(&signer.sign(&claims)).await.unwrap();
    assert_eq!((caller.organization.as_str(), caller.role), ("default", Role::Admin));
    assert_eq!(caller.scopes, [Scope::Executions, Scope::Organizations]);
    claims["https://app.test/org"] = json!("acme");
    claims["realm"] = json!({ "roles": "admin" });
    // `admin` is not what the configuration calls a role.
    assert!(why(&tokens, &signer.sign(&claims)).await.contains("names no role"));
    claims["realm"] = json!({ "roles": "reader" });
    assert_eq!(tokens.check(&signer.sign(&claims)).await.unwrap().organization, "acme");
}

#[test]
fn a_configuration_that_would_be_unsafe_is_refused() {
    let refused = |change: fn(&mut Jwt)| {
        let mut config = config();
        change(&mut config);
        Tokens::new(config).map(drop).unwrap_err()
    };
    assert!(refused(|jwt| jwt.jwks_url = Some("http://issuer.test/jwks".into())).contains("not HTTPS"));
    assert!(refused(|jwt| jwt.jwks_url = Some("nonsense".into())).contains("not a URL"));
    assert!(refused(|jwt| jwt.jwks_url = None).contains("jwksFile"));
    assert!(refused(|jwt| jwt.jwks_file = Some("x".into())).contains("jwksFile"));
    assert!(refused(|jwt| jwt.issuer = " ".into()).contains("issuer"));
    assert!(refused(|jwt| jwt.audience = OneOrMore::More(vec![])).contains("audience"));
    assert!(refused(|jwt| jwt.audience = OneOrMore::One(String::new())).contains("audience"));
    assert!(refused(|jwt| jwt.algorithms.clear()).contains("algorithms"));
    assert!(Tokens::new(config()).is_ok());
}
