//! Which value goes to which placeholder.
//!
//! SQLite numbers placeholders by their first appearance and takes `$1` for a name. Users mean what they
//! wrote, so numbers and names are mapped here, and every placeholder and every value must have its partner:
//! a forgotten value would be bound as NULL without a word otherwise.

use bowline_connector::StepError;
use serde_json::Value;

use super::scan::Scan;
use crate::config::Parameters;

/// The value for each placeholder, in SQLite's order. `None` for a number that the text does not use.
///
/// `names` are SQLite's names of the placeholders: `None` for a bare `?` and for an unused number.
///
/// # Errors
/// `sql.parameters`, which names the placeholder or the value that has no partner, never a value itself.
pub(super) fn assign<'a>(
    place: &str,
    scan: &Scan,
    names: &[Option<String>],
    parameters: &'a Parameters,
) -> Result<Vec<Option<&'a Value>>, StepError> {
    let assigned = match parameters {
        Parameters::List(values) => by_number(scan, names, values),
        Parameters::Named(values) => by_name(scan, names, values),
    };
    let wrong = |what: String| StepError::permanent("sql.parameters", format!("{place}: {what}"));
    let assigned = assigned.map_err(wrong)?;
    for (index, value) in assigned.iter().enumerate() {
        let name = names[index].clone().unwrap_or_else(|| format!("#{}", index + 1));
        if matches!(value, Some(Value::Array(_))) && scan.in_lists.contains(&name) {
            let shown = name.replace('#', "?");
            return Err(wrong(format!(
                "a list is given for {shown} in `IN ({shown})`, which would compare with its JSON text; \
                 write `IN (SELECT value FROM json_each({shown}))`"
            )));
        }
    }
    Ok(assigned)
}

fn by_number<'a>(scan: &Scan, names: &[Option<String>], values: &'a [Value]) -> Result<Vec<Option<&'a Value>>, String> {
    let numbered = names.iter().any(Option::is_some);
    if numbered && scan.bare_parameters > 0 {
        return Err("it mixes `?` with numbered or named placeholders; use one kind".into());
    }
    let mut used = vec![false; values.len()];
    let mut assigned = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let number = match name {
            None if numbered => {
                assigned.push(None);
                continue;
            }
            None => index + 1,
            Some(name) => number(name)?,
        };
        let Some(value) = number.checked_sub(1).and_then(|at| values.get(at)) else {
            let shown = name.clone().unwrap_or_else(|| format!("the {number}. `?`"));
            return Err(format!(
                "{shown} has no value: `parameters` has {}",
                count(values.len())
            ));
        };
        used[number - 1] = true;
        assigned.push(Some(value));
    }
    match used.iter().position(|used| !used) {
        Some(unused) => Err(format!(
            "value {} of `parameters` belongs to no placeholder",
            unused + 1
        )),
        None => Ok(assigned),
    }
}

fn by_name<'a>(
    scan: &Scan,
    names: &[Option<String>],
    values: &'a serde_json::Map<String, Value>,
) -> Result<Vec<Option<&'a Value>>, String> {
    if scan.bare_parameters > 0 {
        return Err("it has bare `?` placeholders, which need a list in `parameters`; or write `:name`".into());
    }
    let mut assigned = Vec::with_capacity(names.len());
    for name in names {
        let Some(name) = name else {
            assigned.push(None);
            continue;
        };
        let found = values.get(&name[1..]).or_else(|| values.get(name.as_str()));
        assigned.push(Some(found.ok_or_else(|| {
            format!("{name} has no value: `parameters` has no `{}`", &name[1..])
        })?));
    }
    let is_used = |key: &str| names.iter().flatten().any(|name| &name[1..] == key || name == key);
    match values.keys().find(|key| !is_used(key)) {
        Some(unused) => Err(format!("`{unused}` of `parameters` belongs to no placeholder")),
        None => Ok(assigned),
    }
}

fn number(name: &str) -> Result<usize, String> {
    let written = &name[1..];
    if let Some((number, kind)) = written.split_once("::") {
        return Err(format!(
            "{name} is one placeholder to SQLite, which has no `::`; write CAST(${number} AS {kind})"
        ));
    }
    written
        .parse()
        .map_err(|_| format!("{name} is a name, but `parameters` is a list; give an object, or write $1"))
}

fn count(values: usize) -> String {
    match values {
        0 => "no values".into(),
        1 => "1 value".into(),
        more => format!("{more} values"),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;
    use serde_json::json;

    use super::super::scan::scan;
    use super::*;

    /// The values in SQLite's order, or the message.
    fn check(sql: &str, parameters: Value) -> Result<Vec<Option<Value>>, String> {
        let connection = Connection::open_in_memory().expect("open");
        let statement = connection.prepare(sql).expect("valid SQL");
        let names: Vec<_> = (1..=statement.parameter_count())
            .map(|at| statement.parameter_name(at).map(str::to_owned))
            .collect();
        let parameters: Parameters = serde_json::from_value(parameters).expect("valid");
        assign("statement 1", &scan(sql), &names, &parameters)
            .map(|values| values.into_iter().map(Option::<&Value>::cloned).collect())
            .map_err(|error| error.message)
    }

    #[test]
    fn every_notation_finds_its_value() {
        for (sql, parameters, expected) in [
            ("select ?, ?", json!(["a", "b"]), json!(["a", "b"])),
            ("select $2, $1, $2", json!(["a", "b"]), json!(["b", "a"])),
            ("select ?2, ?1", json!(["a", "b"]), json!(["a", "b"])),
            ("select :1, @2", json!(["a", "b"]), json!(["a", "b"])),
            ("select :b, @a, $c", json!({ "a": 1, "b": 2, "c": 3 }), json!([2, 1, 3])),
            ("select :b", json!({ ":b": 2 }), json!([2])),
            ("select $1", json!({ "1": 2 }), json!([2])),
            ("select 1", json!([]), json!([])),
            ("select 1", json!({}), json!([])),
            (
                "select $1 where 1 in (select value from json_each($1))",
                json!([[1, 2]]),
                json!([[1, 2]]),
            ),
        ] {
            let values = check(sql, parameters).expect(sql);
            assert_eq!(json!(values), expected, "{sql}");
        }
    }

    #[test]
    fn what_has_no_partner_is_named() {
        for (sql, parameters, part) in [
            ("select $1, $2", json!([1]), "$2 has no value: `parameters` has 1 value"),
            ("select ?, ?", json!([]), "the 1. `?` has no value"),
            ("select ?", json!([1, 2]), "value 2 of"),
            ("select $1, $3", json!([1, 2, 3]), "value 2 of"),
            ("select $0", json!([1]), "$0 has no value"),
            ("select :a", json!([1]), ":a is a name"),
            ("select :a, :b", json!({ "a": 1 }), ":b has no value"),
            ("select :a", json!({ "a": 1, "b": 2 }), "`b` of"),
            ("select ?", json!({ "a": 1 }), "bare `?`"),
            ("select ?, $1", json!([1, 2]), "mixes"),
            ("select $1::int", json!([1]), "CAST($1 AS int)"),
            ("select 1 where 1 in ($1)", json!([[1, 2]]), "json_each($1)"),
            ("select 1 where 1 in (?)", json!([[1, 2]]), "json_each(?1)"),
        ] {
            let message = check(sql, parameters).expect_err(sql);
            assert!(message.contains(part), "{sql}: {message}");
            assert!(message.starts_with("statement 1: "), "{message}");
        }
    }
}
