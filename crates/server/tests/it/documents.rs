//! What the server says about itself: OpenAPI, the page of it, codes, health.

use std::collections::BTreeSet;
use std::path::Path;

use bowline_server::api;
use serde_json::Value;

use crate::running::Running;

fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap();
        methods
            .iter()
            .map(|(method, operation)| (method.clone(), path.clone(), operation.clone()))
    });
    each.collect()
}

#[test]
fn every_operation_has_a_name_a_tag_a_rule_and_what_it_refuses() {
    let document = api::routes().document();
    assert_eq!(document["openapi"], "3.1.0");
    let all = operations(&document);
    assert!(all.len() > 30, "{}", all.len());
    let mut names = BTreeSet::new();
    for (method, path, operation) in &all {
        let name = operation["operationId"].as_str().unwrap();
        assert!(names.insert(name.to_owned()), "{name} twice");
        assert!(operation["tags"][0].is_string(), "{name}");
        assert!(!operation["summary"].as_str().unwrap().ends_with('.'), "{name}");
        let is_public = operation["security"].as_array().is_some_and(Vec::is_empty);
        assert_ne!(is_public, operation["x-bowline-role"].is_string(), "{method} {path}");
        if !is_public {
            assert!(operation["responses"]["401"].is_object(), "{name}");
            assert!(operation["responses"]["403"].is_object(), "{name}");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let is_described = parameter["in"] == "path" || parameter["description"].is_string();
            assert!(is_described, "{name}: {parameter}");
        }
    }
}

#[test]
fn every_reference_leads_to_a_type_and_every_example_fits() {
    let document = api::routes().document();
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"").skip(1) {
        let target = reference.split('"').next().unwrap();
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
    let mut examples = 0;
    for (_, _, operation) in operations(&document) {
        let content = &operation["requestBody"]["content"]["application/json"];
        let (Some(schema), Some(example)) = (content.get("schema"), content.get("example")) else {
            continue;
        };
        let mut schema = schema.clone();
        schema["components"] = document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let wrong: Vec<String> = validator.iter_errors(example).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", operation["operationId"]);
        examples += 1;
    }
    assert!(examples > 5, "{examples}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_tells_every_operation_and_loads_nothing_from_elsewhere() {
    let server = Running::new().await;
    let document = server.get("/openapi.json").await;
    assert_eq!(document.is(200).body, api::routes().document());
    let page = server.get("/docs").await;
    assert_eq!(page.is(200).header("content-type"), "text/html; charset=utf-8");
    assert!(page.header("content-security-policy").contains("default-src 'none'"));
    for (_, path, operation) in operations(&document.body) {
        let anchor = format!("id=\"{}\"", operation["operationId"].as_str().unwrap());
        assert!(page.text.contains(&anchor) && page.text.contains(&path), "{path}");
    }
    for word in ["src=", "href=\"http", "href=\"//", "<script", "url("] {
        assert!(!page.text.contains(word), "{word}");
    }
    server.get("/docs/style.css").await.is(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_version_are_for_everybody() {
    let server = Running::new().await;
    server.get("/health/live").await.is(200);
    server.get("/health/ready").await.is(200);
    let version = server.get("/version").await;
    assert_eq!(version.is(200).body["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(server.get("/api/v1/version").await.is(200).body, version.body);
    server.get("/api/v1/nothing").await.is_problem(404, "path.not-found");
    let wrong = crate::running::Answer::of(server.request(reqwest::Method::PATCH, "/api/v1/workflows")).await;
    wrong.is_problem(405, "method.not-allowed");
    assert!(wrong.header("allow").contains("GET"));
}

/// Texts that look like a code, in calls that make a problem.
fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            codes_in(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for maker in [
            "Problem::new(",
            "Problem::not_found(",
            "HostError::new(",
            "HostError::not_found(",
            "HostError::invalid(",
            "Self::new(",
            "Self::not_found(",
            "Self::invalid(",
        ] {
            for call in text.split(maker).skip(1) {
                // A code stands before any other text of the call.
                let Some(first) = call.split('"').nth(1) else { continue };
                let before = call.split('"').next().unwrap_or_default();
                let is_code = first.contains('.')
                    && first
                        .bytes()
                        .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'-'));
                // Faults are all told as `internal`.
                let is_fault = before.contains("Internal");
                if is_code && !is_fault && before.len() < 80 && !before.contains(';') {
                    found.insert(first.to_owned());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_code_is_explained_on_the_page() {
    let mut codes = BTreeSet::new();
    codes_in(Path::new("src"), &mut codes);
    codes_in(Path::new("../host/src"), &mut codes);
    assert!(codes.len() > 20, "{codes:?}");
    let server = Running::new().await;
    let page = server.get("/docs").await.text;
    let missing: Vec<&String> = codes
        .iter()
        .filter(|code| !page.contains(&format!("<dt id=\"{code}\">")))
        .collect();
    assert!(missing.is_empty(), "not in src/codes.rs: {missing:?}");
}
