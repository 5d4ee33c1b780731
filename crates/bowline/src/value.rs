//! Typed values as JSON, with errors that say where.

use bowline_core::{Payload, StepError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;

/// Reads a value; `what` names it in the error, such as "the result of `charge`".
pub(crate) fn read<T: DeserializeOwned>(payload: &Payload, code: &str, what: &str) -> Result<T, Error> {
    let mut json = serde_json::Deserializer::from_str(payload.text());
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        let place = if path == "." {
            String::new()
        } else {
            format!(" at `{path}`")
        };
        let expected = short(std::any::type_name::<T>());
        let detail = without_place(&error.inner().to_string()).to_owned();
        Error::permanent(code, format!("{what} is not a {expected}{place}: {detail}"))
    })
}

/// Writes a value; `what` names it in the error.
pub(crate) fn write<T: Serialize + ?Sized>(value: &T, code: &str, what: &str) -> Result<Payload, Error> {
    Payload::of(value).map_err(|error| {
        StepError::permanent(code, format!("{what} has no JSON form"))
            .caused_by(&error)
            .into()
    })
}

/// The type without the paths of its modules.
fn short(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut word = String::new();
    for part in name.chars() {
        if part.is_alphanumeric() || part == '_' {
            word.push(part);
        } else if part == ':' {
            word.clear();
        } else {
            short.push_str(&word);
            word.clear();
            short.push(part);
        }
    }
    short + &word
}

/// Lines and columns of JSON that nobody has seen help nobody.
fn without_place(detail: &str) -> &str {
    detail.rfind(" at line ").map_or(detail, |at| &detail[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Order {
        #[expect(dead_code, reason = "read by serde only")]
        lines: Vec<u32>,
    }

    #[test]
    fn the_error_names_the_field_and_the_type() {
        let payload = Payload::of(&serde_json::json!({ "lines": [1, "two"] })).unwrap();
        let error = read::<Order>(&payload, "workflow.input", "the input of `ship`").unwrap_err();
        assert_eq!(
            error.message(),
            "the input of `ship` is not a Order at `lines[1]`: invalid type: string \"two\", expected u32"
        );
        let payload = Payload::of(&serde_json::json!({})).unwrap();
        let error = read::<Order>(&payload, "workflow.input", "the input of `ship`").unwrap_err();
        assert_eq!(
            error.message(),
            "the input of `ship` is not a Order: missing field `lines`"
        );
    }

    #[test]
    fn types_are_named_without_their_modules() {
        assert_eq!(short("alloc::vec::Vec<core::option::Option<a::B>>"), "Vec<Option<B>>");
    }
}
