//! The reference of triggers, from the schemas of their configurations.

use std::fmt::Write as _;

use bowline_connector::{Registry, TriggerType};
use serde_json::{Map, Value};

use super::connectors::whole;
use super::fields;

/// The page of all of them.
pub(crate) fn page(registry: &Registry) -> String {
    let mut page = String::from(super::MADE);
    page.push_str(
        "# Triggers\n\nAn entry of `triggers:` starts its workflow by itself where `bowline serve` runs it. Fields of `config` \
         take expressions that read `env` and `credentials`; `when`, `input` and `key` of the entry read `trigger` too, \
         which has the fields that are listed here.\n",
    );
    let mut told = Map::new();
    for kind in registry.triggers() {
        part(&mut page, kind, kind.name, "trigger", &mut told);
        // Writing to a text cannot fail.
        let _ = write!(
            page,
            "\nThe workflow's input, where the entry says nothing: `{}`.\n",
            kind.input
        );
    }
    if let Some(kind) = registry.callback_endpoint() {
        part(&mut page, kind, "Callback endpoints", "callback", &mut told);
        page.push_str(
            "\nThese are fields of an entry of `callbacks:` in `bowline.yaml`, beside `correlate`, `success` and `failure`, \
             which read `callback`.\n",
        );
    }
    page
}

fn part(page: &mut String, kind: &TriggerType, title: &str, local: &str, told: &mut Map<String, Value>) {
    let config = whole(kind.config_schema);
    let _ = write!(page, "\n## {title}\n\n{}\n\n", kind.about);
    if let Some(description) = config.get("description").and_then(Value::as_str) {
        let _ = write!(page, "{description}\n\n");
    }
    page.push_str("### Configuration\n\n");
    page.push_str(&fields::table(&config));
    page.push_str(&fields::definitions(&config, "####", told));
    let _ = write!(page, "\n### What `{local}` has\n\n| field | what it is |\n|---|---|\n");
    for (name, about) in kind.fields {
        let _ = writeln!(page, "| `{name}` | {} |", fields::cell(about));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_trigger_and_each_of_its_fields_is_described() {
        let registry = crate::wiring::registry();
        let kinds: Vec<&TriggerType> = registry.triggers().chain(registry.callback_endpoint()).collect();
        let names: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        assert_eq!(names, ["directory-watcher", "schedule", "webhook-trigger", "callback"]);
        for kind in kinds {
            assert!(!kind.about.is_empty() && !kind.fields.is_empty(), "{}", kind.name);
            let config = whole(kind.config_schema);
            for (field, schema) in config["properties"].as_object().into_iter().flatten() {
                assert!(schema.get("description").is_some(), "{}.{field}", kind.name);
            }
        }
    }
}
