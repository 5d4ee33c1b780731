//! What the family registers, and that users are told what every field means.

use bowline_connector::Registry;
use schemars::SchemaGenerator;

#[test]
fn every_field_is_described() {
    let mut registry = Registry::default();
    bowline_connector_mail::register(&mut registry);
    let mut generator = SchemaGenerator::default();
    let mut schemas = Vec::new();
    schemas.extend(
        registry
            .connectors()
            .map(|entry| (entry.name, (entry.config_schema)(&mut generator))),
    );
    schemas.extend(
        registry
            .connectors()
            .map(|entry| (entry.name, (entry.output_schema)(&mut generator))),
    );
    schemas.extend(
        registry
            .connections()
            .map(|entry| (entry.name, (entry.config_schema)(&mut generator))),
    );
    assert_eq!(
        schemas.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["email-send", "sms-send", "email-send", "sms-send", "smtp", "twilio"]
    );
    for (entry, schema) in schemas {
        let properties = schema
            .get("properties")
            .and_then(|p| p.as_object())
            .expect("properties")
            .clone();
        for (name, property) in properties {
            assert!(
                property.get("description").is_some(),
                "{entry}: {name} has no description: {property}"
            );
        }
    }
}
