//! The reference of connectors and connection types, from the schemas of their configurations.

use std::fmt::Write as _;

use bowline_connector::Registry;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::fields;

/// A connector or a connection type.
pub(crate) struct Entry {
    /// What users write under `type:`.
    pub(crate) name: &'static str,
    /// JSON Schema of its configuration.
    pub(crate) config: Value,
    /// JSON Schema of its result; a connection has none.
    pub(crate) output: Option<Value>,
}

/// Everything that is registered: connectors first, both by name.
pub(crate) fn all(registry: &Registry) -> Vec<Entry> {
    let connectors = registry.connectors().map(|entry| Entry {
        name: entry.name,
        config: whole(entry.config_schema),
        output: Some(whole(entry.output_schema)),
    });
    let connections = registry.connections().map(|entry| Entry {
        name: entry.name,
        config: whole(entry.config_schema),
        output: None,
    });
    connectors.chain(connections).collect()
}

pub(super) fn whole(schema_of: fn(&mut SchemaGenerator) -> Schema) -> Value {
    let mut generator = SchemaGenerator::default();
    let mut schema = schema_of(&mut generator).to_value();
    let mut definitions = generator.take_definitions(true);
    // A type with a name of its own is given as a reference to it.
    let target = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|target| target.rsplit('/').next());
    if let Some(found) = target.and_then(|name| definitions.remove(name)) {
        schema = found;
    }
    if let Some(fields) = schema.as_object_mut().filter(|_| !definitions.is_empty()) {
        fields.insert("$defs".to_owned(), Value::Object(definitions));
    }
    schema
}

impl Entry {
    /// Whether steps can be of this type.
    pub(crate) fn is_connector(&self) -> bool {
        self.output.is_some()
    }

    /// The first sentence of its description.
    pub(crate) fn summary(&self) -> String {
        let description = self
            .config
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let first = description.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        match first.split_once(". ") {
            Some((sentence, _)) => format!("{sentence}."),
            None => first,
        }
    }

    /// Its reference as Markdown, with headings from this level on.
    pub(crate) fn markdown(&self, level: usize) -> String {
        let mark = "#".repeat(level);
        let mut page = format!("{mark} {}\n\n", self.name);
        let description = self
            .config
            .get("description")
            .and_then(Value::as_str)
            .unwrap_or_default();
        if !description.is_empty() {
            page.push_str(description);
            page.push_str("\n\n");
        }
        let title = if self.is_connector() {
            "Configuration"
        } else {
            "Settings"
        };
        // Writing to a text cannot fail.
        let _ = write!(page, "{mark}# {title}\n\n{}", fields::table(&self.config));
        let mut told = Map::new();
        page.push_str(&fields::definitions(&self.config, &format!("{mark}##"), &mut told));
        if let Some(output) = &self.output {
            let _ = write!(page, "\n{mark}# Result\n\n{}", fields::table(output));
            page.push_str(&fields::definitions(output, &format!("{mark}##"), &mut told));
        }
        page
    }
}

/// The page of all of them.
pub(crate) fn page(registry: &Registry) -> String {
    let entries = all(registry);
    let mut page = String::from(super::MADE);
    page.push_str(
        "# Connectors\n\nA step with `type:` calls a connector; `connection:` in its configuration names one of the \
         workflow's `connections:`, whose `type:` is a connection type. Every field takes expressions.\n",
    );
    for entry in &entries {
        page.push('\n');
        page.push_str(&entry.markdown(2));
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_every_connector_is_described() {
        let entries = all(&crate::wiring::registry());
        assert!(entries.len() >= 8, "{}", entries.len());
        let mut bare = Vec::new();
        for entry in &entries {
            assert!(!entry.summary().is_empty(), "{} has no description", entry.name);
            for (field, schema) in entry.config["properties"].as_object().into_iter().flatten() {
                if schema.get("description").is_none() {
                    bare.push(format!("{}.{field}", entry.name));
                }
            }
        }
        assert!(bare.is_empty(), "without a description: {bare:?}");
    }
}
