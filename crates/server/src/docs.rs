//! The readable page of the API: made from the OpenAPI document, served by the program, nothing loaded from elsewhere.

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderName, Method};
use axum::response::IntoResponse;
use maud::{DOCTYPE, Markup, html};
use serde_json::{Map, Value};

use crate::App;
use crate::codes::CODES;
use crate::guard::Rule;
use crate::route::{Api, Document, Operation};

/// Its own style sheet and nothing else.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const STYLE: &str = include_str!("docs.css");

/// The methods of a path, in the order in which they are told.
const METHODS: &[&str] = &["get", "post", "put", "patch", "delete"];

pub(crate) fn add(api: &mut Api) {
    let document = Operation::new(
        Method::GET,
        "/openapi.json",
        "getOpenApi",
        Rule::Public,
        "server",
        "This description, as OpenAPI 3.1",
    );
    api.add(document.answers::<Value>(200, "The document"), json);
    let page = Operation::new(
        Method::GET,
        "/docs",
        "getDocs",
        Rule::Public,
        "server",
        "This description, as a page",
    );
    api.add(page.answers_with(200, "The page", "text/html"), page_);
    let style = Operation::new(
        Method::GET,
        "/docs/style.css",
        "getDocsStyle",
        Rule::Public,
        "server",
        "How that page looks",
    );
    api.add(style.answers_with(200, "The style sheet", "text/css"), style_);
}

async fn json(State(app): State<App>) -> Json<Document> {
    Json(app.document.clone())
}

async fn page_(State(app): State<App>) -> impl IntoResponse {
    (
        [
            (CONTENT_SECURITY_POLICY, POLICY),
            (HeaderName::from_static("x-content-type-options"), "nosniff"),
            (HeaderName::from_static("referrer-policy"), "no-referrer"),
        ],
        axum::response::Html(page(&app.document).into_string()),
    )
}

async fn style_() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/css"), (CACHE_CONTROL, "max-age=3600")], STYLE)
}

/// One operation of the document.
struct Described<'d> {
    method: &'d str,
    path: &'d str,
    operation: &'d Value,
}

impl Described<'_> {
    fn text(&self, field: &str) -> &str {
        self.operation.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

/// The whole page.
pub fn page(document: &Document) -> Markup {
    let groups = groups(document);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Bowline API" }
                link rel="stylesheet" href="/docs/style.css";
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                nav aria-label="Operations" {
                    h1 { "Bowline API" }
                    @for (tag, operations) in &groups {
                        h2 { (tag) }
                        ul {
                            @for one in operations {
                                li { a href={ "#" (one.text("operationId")) } { (one.text("summary")) } }
                            }
                        }
                    }
                    h2 { a href="#problems" { "Problems" } }
                    h2 { a href="#types" { "Types" } }
                }
                main id="content" {
                    p { "Version " (document["info"]["version"].as_str().unwrap_or_default()) ". "
                        "The same for programs: " a href="/openapi.json" { "openapi.json" } "." }
                    p { (document["components"]["securitySchemes"]["key"]["description"].as_str().unwrap_or_default()) }
                    @for (tag, operations) in &groups {
                        section {
                            h2 { (tag) }
                            @for one in operations { (operation(one)) }
                        }
                    }
                    (problems())
                    (types(document))
                }
            }
        }
    }
}

/// The operations by tag, tags in the order of their first operation.
fn groups(document: &Document) -> Vec<(&str, Vec<Described<'_>>)> {
    let mut groups: Vec<(&str, Vec<Described<'_>>)> = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = methods.get(*method) else {
                continue;
            };
            let tag = operation["tags"][0].as_str().unwrap_or("other");
            let one = Described {
                method,
                path,
                operation,
            };
            match groups.iter_mut().find(|(name, _)| *name == tag) {
                Some((_, all)) => all.push(one),
                None => groups.push((tag, vec![one])),
            }
        }
    }
    groups
}

fn operation(one: &Described<'_>) -> Markup {
    let parameters = one.operation["parameters"].as_array();
    let body = &one.operation["requestBody"];
    html! {
        article id=(one.text("operationId")) {
            h3 { code.method { (one.method.to_ascii_uppercase()) } " " code { (one.path) } }
            p { (one.text("summary")) "." }
            @if !one.text("description").is_empty() { p { (one.text("description")) } }
            p.who {
                @match one.operation.get("x-bowline-role").and_then(Value::as_str) {
                    Some(role) => { "For " strong { (role) } " and above, scope " strong { (one.text("x-bowline-scope")) } "." }
                    None => { "For everybody." }
                }
            }
            @if let Some(parameters) = parameters {
                table {
                    caption { "Parameters" }
                    thead { tr { th scope="col" { "name" } th scope="col" { "in" } th scope="col" { "type" } th scope="col" { "meaning" } } }
                    tbody {
                        @for parameter in parameters {
                            tr {
                                th scope="row" { code { (parameter["name"].as_str().unwrap_or_default()) } }
                                td { (parameter["in"].as_str().unwrap_or_default()) }
                                td { (kind(&parameter["schema"])) }
                                td { (parameter["description"].as_str().unwrap_or_default())
                                    @if parameter["required"].as_bool() == Some(true) { " Required." } }
                            }
                        }
                    }
                }
            }
            @for (media, content) in body["content"].as_object().into_iter().flatten() {
                h4 { "Body: " (media) ", " (kind(&content["schema"])) }
                @if let Some(example) = content.get("example") { pre tabindex="0" { code { (format!("{example:#}")) } } }
            }
            table {
                caption { "Answers" }
                thead { tr { th scope="col" { "status" } th scope="col" { "type" } th scope="col" { "meaning" } } }
                tbody {
                    @for (status, answer) in one.operation["responses"].as_object().into_iter().flatten() {
                        tr {
                            th scope="row" { (status) }
                            td {
                                @for (media, content) in answer["content"].as_object().into_iter().flatten() {
                                    @if media == "application/json" { (kind(&content["schema"])) } @else { (media) }
                                }
                            }
                            td { (answer["description"].as_str().unwrap_or_default()) }
                        }
                    }
                }
            }
        }
    }
}

fn problems() -> Markup {
    html! {
        section {
            h2 id="problems" { "Problems" }
            p { "What was refused is told as problem details (RFC 9457). " code { "code" } " says what kind of problem it is:" }
            dl {
                @for (code, meaning) in CODES {
                    dt id=(code) { code { (code) } }
                    dd { (meaning) }
                }
            }
        }
    }
}

fn types(document: &Document) -> Markup {
    let empty = Map::new();
    let schemas = document["components"]["schemas"].as_object().unwrap_or(&empty);
    html! {
        section {
            h2 id="types" { "Types" }
            @for (name, schema) in schemas {
                article id={ "type-" (name) } {
                    h3 { (name) }
                    @if let Some(text) = schema["description"].as_str() { p { (text) } }
                    @match schema.get("properties").and_then(Value::as_object) {
                        Some(fields) => {
                            table {
                                caption { "Fields of " (name) }
                                thead { tr { th scope="col" { "field" } th scope="col" { "type" } th scope="col" { "meaning" } } }
                                tbody {
                                    @for (field, schema) in fields {
                                        tr {
                                            th scope="row" { code { (field) } }
                                            td { (kind(schema)) }
                                            td { (schema["description"].as_str().unwrap_or_default()) }
                                        }
                                    }
                                }
                            }
                        }
                        None => { p { (kind(schema)) } }
                    }
                }
            }
        }
    }
}

/// A type in a few words, with links to those that have a name.
fn kind(schema: &Value) -> Markup {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let name = target.rsplit('/').next().unwrap_or(target);
        return html! { a href={ "#type-" (name) } { (name) } };
    }
    if let Some(value) = schema.get("const") {
        return html! { code { (value) } };
    }
    if let Some(values) = schema.get("enum").and_then(Value::as_array) {
        return join(
            values
                .iter()
                .filter(|value| !value.is_null())
                .map(|value| html! { code { (value) } }),
        );
    }
    for word in ["anyOf", "oneOf", "allOf"] {
        if let Some(kinds) = schema.get(word).and_then(Value::as_array) {
            let is_null = |kind: &&Value| kind.get("type").and_then(Value::as_str) == Some("null");
            return join(kinds.iter().filter(|kind| !is_null(kind)).map(kind));
        }
    }
    let name = |name: &str| match name {
        "array" => html! { "list of " (schema.get("items").map_or_else(|| html! { "anything" }, kind)) },
        other => html! { (other) },
    };
    match schema.get("type") {
        Some(Value::String(one)) => name(one),
        Some(Value::Array(names)) => join(
            names
                .iter()
                .filter_map(Value::as_str)
                .filter(|one| *one != "null")
                .map(name),
        ),
        _ => html! { "anything" },
    }
}

fn join(parts: impl Iterator<Item = Markup>) -> Markup {
    html! { @for (at, part) in parts.enumerate() { @if at > 0 { " or " } (part) } }
}
