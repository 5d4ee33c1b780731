//! The schemas of the real connectors and the checker understand each other.

use std::path::Path;

use bowline_connector::Registry;
use bowline_flow::{LoadOptions, Source, language_schema, load};

fn registry() -> Registry {
    let mut registry = Registry::default();
    bowline_connector_http::register(&mut registry);
    bowline_connector_mail::register(&mut registry);
    bowline_connector_sql::register(&mut registry);
    registry
}

fn report(text: &str) -> String {
    load(Source::new("w.yaml", text), &registry(), &LoadOptions::default())
        .err()
        .map_or_else(String::new, |problems| problems.to_string())
}

#[test]
fn the_node_notation_loads_with_them() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/notation");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("the folder is there").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("the file is there");
        // Sending mail needs a connection with the real connector.
        let problems = report(
            &text
                .replace(
                    "to: [\"${input.email}\"]",
                    "connection: mail, from: a@x.example, to: [\"${input.email}\"]",
                )
                .replace(
                    "\nnodes:\n  update-inventory",
                    "\nconnections: { mail: { type: smtp, host: mail.example } }\nnodes:\n  update-inventory",
                ),
        );
        assert_eq!(problems, "", "{:?}", entry.file_name());
        count += 1;
    }
    assert!(count >= 10);
}

#[test]
fn what_is_wrong_in_their_configurations_is_found() {
    for (text, wanted) in [
        (
            "type: http-request\nconfig: { url: https://x.example, metod: GET }",
            "w.yaml:2:35: config.metod: unknown field `metod`",
        ),
        (
            "type: http-request\nconfig: { url: https://x.example, timeout: 5 parsecs }",
            "w.yaml:2:44: config.timeout: `5 parsecs` is not a duration",
        ),
        (
            "type: http-request\nconfig: { url: https://x.example, followRedirects: yes }",
            "config.followRedirects: this is text",
        ),
        (
            "type: http-request\nconfig: { url: https://x.example, bodyType: xml }",
            "config.bodyType: `xml` cannot stand here",
        ),
        (
            "connections: { db: { type: sqlite, database: x.db } }\ntype: sql-query\nconfig: { connection: db, query: \"select ${input.a}\" }",
            "w.yaml:3:34: config.query: an expression cannot stand in this text",
        ),
        (
            "connections: { db: { type: sqlite, database: x.db } }\ntype: sql-query\nconfig: { connection: db }",
            "`query` or `statements` is missing",
        ),
        (
            "connections: { a: { type: http, baseUrll: https://x.example } }\ntype: http-request\nconfig: { connection: a, url: / }",
            "unknown field `baseUrll`",
        ),
        (
            "connections: { a: { type: http, baseUrl: https://x.example, authentication: { type: bearr, credentials: { token: x } } } }\ntype: http-request\nconfig: { connection: a, url: / }",
            "`bearr` cannot stand here",
        ),
    ] {
        let problems = report(text);
        assert!(problems.contains(wanted), "{text}\n{problems}");
    }
}

#[test]
fn expressions_may_stand_in_every_field() {
    let problems = report(
        "type: http-request\nconfig:\n  url: '${input.url}'\n  method: '${input.method}'\n  headers: '${input.headers}'\n  query: { a: '${input.a}', b: ['${input.b}'] }\n  \
         followRedirects: '${input.follow}'\n  maxRedirects: '${input.most}'\n  successCodes: '${input.codes}'\n  bodyType: '${input.type}'\n  maxResponseSize: '${input.size}'\n  \
         authentication: { type: basic, credentials: { username: '${env.USER}', password: '${env.PASSWORD}' } }\n  timeout: '${input.timeout}'",
    );
    assert_eq!(problems, "");
}

#[test]
fn the_schema_for_editors_is_one() {
    let schema = language_schema(&registry());
    jsonschema::validator_for(&schema).expect("it compiles");
    let text = schema.to_string();
    for name in ["http-request", "sql-query", "email-send"] {
        assert!(text.contains(name), "{name}");
    }
}
