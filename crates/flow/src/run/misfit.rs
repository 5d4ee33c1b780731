//! What of a value does not fit a schema, and where.

use serde_json::Value;

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Where in the value: a JSON pointer; empty for the value itself.
    pub pointer: String,
    /// What is wrong there, with the place in words before it.
    pub message: String,
}

/// Everything of a value that does not fit. `name` is what the value is called in words.
pub(super) fn of(validator: &jsonschema::Validator, value: &Value, name: &str) -> Vec<Misfit> {
    let misfits = validator.iter_errors(value);
    misfits
        .map(|error| {
            let pointer = error.instance_path().to_string();
            Misfit {
                message: format!("{name}{}: {error}", pointer.replace('/', ".")),
                pointer,
            }
        })
        .collect()
}

/// What is wrong with the schema itself.
pub(super) fn of_schema(message: String) -> Vec<Misfit> {
    vec![Misfit {
        pointer: String::new(),
        message,
    }]
}
