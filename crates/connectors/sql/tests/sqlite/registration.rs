//! What the family registers, and what the checker can see of it.

use bowline_connector::Registry;
use schemars::SchemaGenerator;
use serde_json::json;

#[test]
fn only_what_works_is_registered() {
    let mut registry = Registry::default();
    bowline_connector_sql::register(&mut registry);
    assert!(registry.connector("sql-query").is_some());
    let types: Vec<_> = registry.connections().map(|entry| entry.name).collect();
    assert_eq!(types, ["sqlite"]);
}

#[test]
fn the_checker_sees_wrong_configurations() {
    let mut registry = Registry::default();
    bowline_connector_sql::register(&mut registry);
    let step = registry.connector("sql-query").expect("registered");
    assert!((step.check)(&json!({ "connection": "db", "query": "select 1" })).is_ok());
    assert!((step.check)(&json!({ "connection": "db" })).is_err());
    let sqlite = registry.connection("sqlite").expect("registered");
    assert!((sqlite.check)(&json!({ "database": "x.db", "busyTimeout": "3s" })).is_ok());
    assert!((sqlite.check)(&json!({ "host": "x" })).is_err());
}

#[test]
fn every_field_is_described() {
    let mut registry = Registry::default();
    bowline_connector_sql::register(&mut registry);
    let mut generator = SchemaGenerator::default();
    let entry = registry.connector("sql-query").expect("registered");
    for schema in [
        (entry.config_schema)(&mut generator),
        (registry.connection("sqlite").expect("registered").config_schema)(&mut generator),
    ] {
        let properties = schema
            .get("properties")
            .and_then(|p| p.as_object())
            .expect("properties")
            .clone();
        assert!(!properties.is_empty());
        for (name, property) in properties {
            assert!(
                property.get("description").is_some(),
                "{name} has no description: {property}"
            );
        }
    }
}
