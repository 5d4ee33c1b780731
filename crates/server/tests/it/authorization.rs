//! Every route × role × organization × kind of credentials, as the OpenAPI document says. A route that says nothing fails.

use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use bowline_access::{Audit, MadeKey, NewKey, Role, Scope};
use bowline_connector::Millis;
use bowline_host::Start;
use bowline_server::{Config, Server, Stop};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::running::{Answer, LONG, Running, folder, host};

/// An operation of the document.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) id: String,
    /// None: everybody may.
    pub(crate) rule: Option<(Role, Scope)>,
    /// The example of its body.
    pub(crate) example: Option<Value>,
}

impl Operation {
    /// The request to this with these credentials, about things that are not there unless `fill` says otherwise.
    pub(crate) fn request(&self, server: &Running, fill: impl Fn(&str) -> String) -> reqwest::RequestBuilder {
        let path: Vec<String> = self
            .path
            .split('/')
            .map(
                |part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                    Some(name) => fill(name.trim_start_matches('*')),
                    None => part.to_owned(),
                },
            )
            .collect();
        let request = server.request(self.method.clone(), &path.join("/"));
        match &self.example {
            Some(example) => request.json(example),
            None => request,
        }
    }
}

/// All operations, with their rules.
pub(crate) async fn operations(server: &Running) -> Vec<Operation> {
    let document = server.get("/openapi.json").await;
    document.is(200);
    let mut all = Vec::new();
    for (path, methods) in document.body["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let place = format!("{method} {path}");
            let rule = match (operation.get("x-bowline-role"), operation.get("x-bowline-scope")) {
                (Some(role), Some(scope)) => Some((
                    serde_json::from_value(role.clone()).unwrap(),
                    serde_json::from_value(scope.clone()).unwrap(),
                )),
                (None, None) => {
                    assert_eq!(
                        operation["security"],
                        json!([]),
                        "{place} has no rule and does not say that it is public"
                    );
                    None
                }
                _ => panic!("{place} has half a rule"),
            };
            let contents = operation.pointer("/requestBody/content").and_then(Value::as_object);
            all.push(Operation {
                method: method.to_ascii_uppercase().parse().unwrap(),
                path: path.clone(),
                id: operation["operationId"].as_str().unwrap().to_owned(),
                rule,
                example: contents.and_then(|all| all.get("application/json")?.get("example").cloned()),
            });
        }
    }
    assert!(all.len() > 30, "the document has only {} operations", all.len());
    all
}

/// Makes a key of an organization.
pub(crate) async fn key(server: &Running, organization: &str, role: Role, scopes: Option<Vec<Scope>>) -> MadeKey {
    let new = NewKey {
        organization: organization.to_owned(),
        name: format!("{organization} {role}"),
        role,
        scopes,
        expires_at: None,
    };
    let note = Audit::command(organization, "test", "", Value::Null);
    server.app.guard.access.create_key(new, note).await.unwrap()
}

/// Makes an organization.
pub(crate) async fn organization(server: &Running, name: &str) {
    let note = Audit::command(name, "test", "", Value::Null);
    server
        .app
        .guard
        .access
        .create_organization(name, "", note)
        .await
        .unwrap();
}

/// A configuration with an issuer whose tokens this key signs.
fn issuer(folder: &std::path::Path) -> (Config, EncodingKey) {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let key = EncodingKey::from_ec_der(der.as_ref());
    let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    let file = folder.join("jwks.json");
    std::fs::write(&file, json!({ "keys": [jwk] }).to_string()).unwrap();
    let mut config = Config::default();
    // Thousands of wrong credentials come from one address here.
    config.limits.failure_rate = 0;
    config.limits.caller_rate = 0;
    let jwt = json!({ "issuer": "https://issuer.test", "audience": "bowline", "jwksFile": file });
    config.access.jwt = Some(serde_json::from_value(jwt).unwrap());
    (config, key)
}

fn token(key: &EncodingKey, organization: &str, role: &str, seconds: i64) -> String {
    let claims = json!({
        "iss": "https://issuer.test", "aud": "bowline", "sub": "ada", "organization": organization, "role": role,
        "exp": jiff::Timestamp::now().as_second() + seconds,
    });
    encode(&Header::new(Algorithm::ES256), &claims, key).unwrap()
}

/// Somebody with what that one may do; none may nothing, and is not let in.
struct Somebody {
    what: String,
    authorization: Option<String>,
    may: Option<(Role, Vec<Scope>)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_lets_in_whom_it_says_and_nobody_else() {
    let folder = folder();
    let (config, signer) = issuer(folder.path());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Running::on(folder, listener, config).await;
    organization(&server, "acme").await;
    let access = &server.app.guard.access;
    let note = || Audit::command("default", "test", "", Value::Null);

    let mut everybody = Vec::new();
    for organization in ["default", "acme"] {
        for role in Role::ALL {
            let made = key(&server, organization, role, None).await;
            for (kind, text) in [
                ("key", made.text),
                ("jwt", token(&signer, organization, role.name(), 300)),
            ] {
                everybody.push(Somebody {
                    what: format!("{kind} of {organization}, {role}"),
                    authorization: Some(format!("Bearer {text}")),
                    may: Some((role, Scope::usual())),
                });
            }
        }
    }
    for scope in Scope::ALL {
        let made = key(&server, "default", Role::Admin, Some(vec![scope])).await;
        everybody.push(Somebody {
            what: format!("admin for {scope}"),
            authorization: Some(format!("Bearer {}", made.text)),
            may: Some((Role::Admin, vec![scope])),
        });
    }
    let foreign = key(&server, "acme", Role::Admin, Some(Scope::ALL.to_vec())).await;
    everybody.push(Somebody {
        what: "admin of acme with all scopes".into(),
        authorization: Some(format!("Bearer {}", foreign.text)),
        // That of organizations counts in the default one only.
        may: Some((Role::Admin, Scope::usual())),
    });
    let revoked = key(&server, "default", Role::Admin, None).await;
    access.revoke_key("default", &revoked.key.id, note()).await.unwrap();
    let ended = key(&server, "default", Role::Admin, None).await;
    access.rotate_key("default", &ended.key.id, 0, note()).await.unwrap();
    for (what, authorization) in [
        ("nobody", None),
        ("revoked key", Some(format!("Bearer {}", revoked.text))),
        ("secret that was rotated away", Some(format!("Bearer {}", ended.text))),
        (
            "made-up key",
            Some(format!("Bearer bwk_{}_{}", "0".repeat(16), "0".repeat(64))),
        ),
        (
            "expired token",
            Some(format!("Bearer {}", token(&signer, "default", "admin", -300))),
        ),
        (
            "token without a role",
            Some(format!("Bearer {}", token(&signer, "default", "root", 300))),
        ),
        ("basic", Some("Basic YTpi".to_owned())),
        ("nonsense", Some("x".to_owned())),
    ] {
        everybody.push(Somebody {
            what: what.to_owned(),
            authorization,
            may: None,
        });
    }

    let mut asked = 0;
    for operation in operations(&server).await {
        for somebody in &everybody {
            let mut request = operation.request(&server, |_| "nope".to_owned());
            if let Some(authorization) = &somebody.authorization {
                request = request.header("authorization", authorization);
            }
            // Streams have no end: the status is enough.
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            let place = format!("{} {} by {}: {status}", operation.method, operation.path, somebody.what);
            asked += 1;
            match (&operation.rule, &somebody.may) {
                (None, _) => assert!(status != 401 && status != 403, "{place}"),
                (Some(_), None) => {
                    assert_eq!(status, 401, "{place}");
                    assert!(answer.headers().contains_key("www-authenticate"), "{place}");
                }
                (Some((role, scope)), Some((own, scopes))) if own >= role && scopes.contains(scope) => {
                    assert!(status != 401 && status != 403, "{place}");
                }
                (Some(_), Some(_)) => {
                    assert_eq!(status, 403, "{place}");
                    let body: Value = answer.json().await.unwrap();
                    assert_eq!(body["code"], "access.forbidden", "{place}");
                }
            }
            assert!(status < 500, "{place}");
        }
    }
    assert!(asked > 1_000, "{asked}");
    // A token of an organization that is not there, with whatever role.
    let unknown = format!("Bearer {}", token(&signer, "nowhere", "admin", 300));
    let answer = Answer::of(
        server
            .request(Method::GET, "/api/v1/executions")
            .header("authorization", unknown),
    )
    .await;
    answer.is_problem(403, "access.forbidden");
}

/// What is not in the document (pages of the inspector, figures) has a rule all the same, and is held to it.
#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_table_refuses_strangers() {
    let server = Running::new().await;
    key(&server, "default", Role::Viewer, None).await;
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let mut guarded = 0;
    for ((method, path), route) in &server.app.rules {
        if route.rule == bowline_server::guard::Rule::Public {
            continue;
        }
        guarded += 1;
        let path = path.replace(['{', '}', '*'], "");
        let answer = client
            .request(method.clone(), format!("{}{path}", server.url))
            .send()
            .await
            .unwrap();
        let is_login = answer.status() == 303
            && answer
                .headers()
                .get("location")
                .is_some_and(|to| to.to_str().unwrap().starts_with("/ui/login"));
        assert!(
            answer.status() == 401 || is_login,
            "{method} {path}: {}",
            answer.status()
        );
    }
    assert!(guarded > 30, "{guarded}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_listens_for_others_without_a_key() {
    let folder = folder();
    let open = async |config: Config| {
        let host = host(folder.path()).await;
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let opened = Server::new(config, host.clone(), listener, Stop::new()).map(drop);
        host.stop(std::time::Duration::from_secs(5)).await;
        opened.map_err(|error| error.to_string())
    };
    let refused = open(Config::default()).await.unwrap_err();
    assert!(
        refused.contains("bowline keys create") && refused.contains("127.0.0.1"),
        "{refused}"
    );
    let (config, _) = issuer(folder.path());
    assert_eq!(open(config).await, Ok(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_in_the_audit_log() {
    let server = Running::new().await;
    let admin = key(&server, "default", Role::Admin, None).await;
    let viewer = key(&server, "default", Role::Viewer, None).await;
    let send = async |method: Method, path: &str, key: &str, body: Value| {
        let request = server
            .request(method, path)
            .header("authorization", format!("Bearer {key}"));
        Answer::of(if body.is_null() { request } else { request.json(&body) }).await
    };
    let start = json!({ "workflow": "patient" });
    let started = send(Method::POST, "/api/v1/executions", &admin.text, start.clone()).await;
    started.is(201);
    let id = started.body["id"].as_str().unwrap();
    send(
        Method::POST,
        &format!("/api/v1/executions/{id}/cancel"),
        &admin.text,
        json!({}),
    )
    .await;
    send(Method::POST, "/api/v1/executions", &viewer.text, start)
        .await
        .is(403);
    send(
        Method::POST,
        "/api/v1/executions",
        &admin.text,
        json!({ "workflow": "none" }),
    )
    .await
    .is(404);
    send(Method::GET, "/api/v1/executions", &admin.text, Value::Null)
        .await
        .is(200);
    let wish = json!({ "name": "other", "role": "viewer" });
    let made = send(Method::POST, "/api/v1/keys", &admin.text, wish).await;
    made.is(201);
    let page = send(Method::GET, "/api/v1/audit", &admin.text, Value::Null).await;
    page.is(200);
    let lines: Vec<(&str, &str, &str)> = page.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|line| line["action"] != "test")
        .map(|line| {
            assert_eq!(line["from"], "127.0.0.1", "{line}");
            assert_eq!(line["by"], "key");
            let text = |name: &str| line[name].as_str().unwrap();
            (text("who"), text("action"), text("outcome"))
        })
        .collect();
    assert_eq!(
        lines,
        [
            ("default admin", "createKey", "done"),
            ("default admin", "startExecution", "refused"),
            ("default viewer", "startExecution", "refused"),
            ("default admin", "cancelExecution", "done"),
            ("default admin", "startExecution", "done"),
        ]
    );
    assert!(!page.text.contains(made.body["text"].as_str().unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_do_not_grow() {
    let server = Running::new().await;
    let some = vec![Scope::Keys, Scope::Executions];
    let admin = key(&server, "default", Role::Admin, Some(some)).await;
    let ask = async |body: Value| {
        let request = server.request(Method::POST, "/api/v1/keys");
        Answer::of(
            request
                .header("authorization", format!("Bearer {}", admin.text))
                .json(&body),
        )
        .await
    };
    let made = ask(json!({ "name": "a", "role": "admin" })).await;
    made.is(201);
    assert_eq!(made.body["scopes"], json!(["executions", "keys"]));
    ask(json!({ "name": "a", "role": "viewer", "scopes": ["audit"] }))
        .await
        .is_problem(403, "access.forbidden");
    ask(json!({ "name": "a", "role": "viewer", "scopes": ["organizations"] }))
        .await
        .is(403);
    ask(json!({ "name": "", "role": "viewer" }))
        .await
        .is_problem(422, "access.invalid");
    ask(json!({ "name": "a", "role": "owner" })).await.is(400);
    ask(json!({ "name": "a", "role": "viewer", "expiresIn": "1d", "expiresAt": "2100-01-01T00:00:00Z" }))
        .await
        .is(400);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_hold_of_a_key_that_may_do_more() {
    let server = Running::new().await;
    let above = key(&server, "default", Role::Admin, Some(Scope::ALL.to_vec())).await;
    let usual = key(&server, "default", Role::Admin, None).await;
    let keys = key(&server, "default", Role::Admin, Some(vec![Scope::Keys])).await;
    let send = async |method: Method, of: &str, what: &str, by: &str| {
        let path = format!("/api/v1/keys/{of}{what}");
        Answer::of(
            server
                .request(method, &path)
                .header("authorization", format!("Bearer {by}")),
        )
        .await
    };
    for (of, by) in [(&above, &usual), (&above, &keys), (&usual, &keys)] {
        for (method, what) in [(Method::POST, "/rotate"), (Method::DELETE, "")] {
            let refused = send(method, &of.key.id, what, &by.text).await;
            refused.is_problem(403, "access.forbidden");
            assert!(!refused.text.contains("bwk_"), "{}", refused.text);
        }
    }
    send(Method::POST, &keys.key.id, "/rotate", &usual.text).await.is(200);
    send(Method::POST, &usual.key.id, "/rotate", &above.text).await.is(200);
    send(Method::POST, &above.key.id, "/rotate", &above.text).await.is(200);
    send(Method::DELETE, &usual.key.id, "", &above.text).await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_with_what_lets_its_reader_in() {
    let mut config = Config::default();
    config.events.heartbeat = Millis(Duration::from_millis(20));
    let server = Running::with(config).await;
    let reader = key(&server, "default", Role::Viewer, None).await;
    let started = server
        .host
        .start("default", Start::new("patient", json!({})))
        .await
        .unwrap();
    let mut streams = Vec::new();
    for path in [
        "/api/v1/executions/events".to_owned(),
        format!("/api/v1/executions/{}/events", started.id),
        "/ui/live/executions".to_owned(),
    ] {
        let request = server.request(Method::GET, &path);
        let stream = request
            .header("authorization", format!("Bearer {}", reader.text))
            .send()
            .await
            .unwrap();
        assert_eq!(stream.status(), 200, "{path}");
        streams.push(stream);
    }
    let note = Audit::command("default", "test", "", Value::Null);
    server
        .app
        .guard
        .access
        .revoke_key("default", &reader.key.id, note)
        .await
        .unwrap();
    for stream in streams {
        tokio::time::timeout(LONG, stream.text()).await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn approvals_are_decided_with_their_own_scope() {
    let server = Running::new().await;
    let asked = server.start("asks", json!({ "name": "ada" })).await;
    server
        .until(&format!("/api/v1/approvals?execution={asked}"), |page| {
            page["items"][0].is_object()
        })
        .await;
    let open = "/api/v1/callbacks?tokens=true";
    let token = server.get(open).await.body["items"][0]["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let few = key(&server, "default", Role::Operator, Some(vec![Scope::Callbacks])).await;
    let send = async |method: Method, path: &str, body: Value, by: &str| {
        let request = server
            .request(method, path)
            .header("authorization", format!("Bearer {by}"));
        Answer::of(if body.is_null() { request } else { request.json(&body) }).await
    };
    let listed = send(Method::GET, open, Value::Null, &few.text).await;
    assert!(listed.is(200).body["items"][0]["token"].is_null(), "{}", listed.text);
    let body = json!({ "approved": true });
    let answers = [
        json!({ "execution": asked, "path": "boss", "body": body }),
        json!({ "execution": asked, "path": "later", "body": body }),
        json!({ "token": token, "body": body }),
    ];
    for answer in answers {
        send(Method::POST, "/api/v1/callbacks", answer, &few.text)
            .await
            .is_problem(403, "access.forbidden");
    }
    let both = vec![Scope::Callbacks, Scope::Approvals];
    let both = key(&server, "default", Role::Operator, Some(both)).await;
    let answer = json!({ "token": token, "body": body });
    send(Method::POST, "/api/v1/callbacks", answer, &both.text)
        .await
        .is(200);
}
