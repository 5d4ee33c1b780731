//! Whether a request holds what a route asks for besides its path.

use serde_json::{Map, Value};

use super::answer::text_of;
use super::request::Request;
use crate::definition::Match;

/// Why a request is not for a route; the greater, the nearer it was.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    /// Another path.
    Path,
    /// Another method.
    Method,
    /// The route has answered all its `times`.
    Spent,
    /// Another value at this place, such as `match.query.page`.
    Part(String),
    /// `when` is not true, or failed for this reason.
    When(Option<String>),
}

/// `None` if the request holds all of it.
pub(crate) fn compare(wanted: &Match, request: &Request) -> Option<Miss> {
    for (name, value) in &wanted.query {
        if !same_text(request.query.get(name), value) {
            return Some(Miss::Part(format!("match.query.{name}")));
        }
    }
    for (name, value) in &wanted.headers {
        let given = request.headers.get(&name.to_ascii_lowercase());
        if given.is_none_or(|given| *given != text_of(value)) {
            return Some(Miss::Part(format!("match.headers.{name}")));
        }
    }
    let body = wanted.body.as_ref()?;
    difference(body, &request.body, "match.body".to_owned()).map(Miss::Part)
}

/// Query parameters are text, whatever they look like in the file.
fn same_text(given: Option<&Value>, wanted: &Value) -> bool {
    match (given, wanted) {
        (Some(Value::Array(given)), Value::Array(wanted)) => {
            given.len() == wanted.len()
                && given
                    .iter()
                    .zip(wanted)
                    .all(|(given, wanted)| text_of(given) == text_of(wanted))
        }
        (Some(given), wanted) => text_of(given) == text_of(wanted),
        (None, _) => false,
    }
}

/// The first place where `given` does not hold `wanted`.
fn difference(wanted: &Value, given: &Value, path: String) -> Option<String> {
    match (wanted, given) {
        (Value::Object(wanted), Value::Object(given)) => object_difference(wanted, given, &path),
        (Value::Array(wanted), Value::Array(given)) if wanted.len() == given.len() => {
            let mut pairs = wanted.iter().zip(given).enumerate();
            pairs.find_map(|(index, (wanted, given))| difference(wanted, given, format!("{path}[{index}]")))
        }
        (Value::Number(wanted), Value::Number(given)) => {
            let same = wanted == given || wanted.as_f64().is_some_and(|wanted| given.as_f64() == Some(wanted));
            (!same).then_some(path)
        }
        _ => (wanted != given).then_some(path),
    }
}

fn object_difference(wanted: &Map<String, Value>, given: &Map<String, Value>, path: &str) -> Option<String> {
    wanted.iter().find_map(|(name, wanted)| {
        let path = format!("{path}.{name}");
        match given.get(name) {
            Some(given) => difference(wanted, given, path),
            None => Some(path),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bodies_hold_at_least_what_is_asked() {
        let given = json!({"a": 1, "b": {"c": [1, 2], "d": null}, "e": "x"});
        for (wanted, expected) in [
            (json!({}), None),
            (json!({"a": 1.0}), None),
            (json!({"b": {"c": [1, 2]}}), None),
            (json!({"b": {"d": null}}), None),
            (json!({"b": {"c": [1]}}), Some("match.body.b.c")),
            (json!({"b": {"c": [1, 3]}}), Some("match.body.b.c[1]")),
            (json!({"a": "1"}), Some("match.body.a")),
            (json!({"f": null}), Some("match.body.f")),
            (json!([]), Some("match.body")),
        ] {
            assert_eq!(
                difference(&wanted, &given, "match.body".into()).as_deref(),
                expected,
                "{wanted}"
            );
        }
    }
}
