//! The sources of the configuration laid over each other, and where each value came from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::Config;

/// What the names of variables begin with: `BOWLINE_SERVER_LISTEN`, `BOWLINE_SERVER_EVENTS_HEARTBEAT`.
pub const PREFIX: &str = "BOWLINE_SERVER_";

/// What the configuration is made of. Later ones go over earlier ones, value by value.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file and its `server:`.
    pub file: Option<(PathBuf, Value)>,
    /// The environment; variables without [`PREFIX`] are left alone.
    pub env: BTreeMap<String, String>,
    /// Settings of the command line: the dotted name of a setting, the flag's name, the value.
    pub flags: Vec<(&'static str, &'static str, Value)>,
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This file.
    File(PathBuf),
    /// This variable.
    Variable(String),
    /// This flag.
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Variable(name) => f.write_str(name),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Dotted names of what was set, with where; all else has its default.
    pub origins: BTreeMap<String, Origin>,
}

/// What is wrong with a configuration: all of it.
#[derive(Clone, Debug, thiserror::Error)]
pub struct ConfigError {
    /// Each thing that is wrong.
    pub problems: Vec<ConfigProblem>,
}

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigProblem {
    /// The setting's dotted name; empty where that is not known.
    pub setting: String,
    /// Where it stands.
    pub origin: Option<Origin>,
    /// What is wrong, and what was expected.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration of the server is wrong")?;
        for problem in &self.problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        if !self.setting.is_empty() {
            write!(f, "{}: ", self.setting)?;
        }
        f.write_str(&self.message)
    }
}

/// One setting of the reference.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its dotted name: `events.heartbeat`.
    pub name: String,
    /// The variable that sets it.
    pub variable: String,
    /// Its JSON Schema.
    pub schema: Value,
    /// Its default; null where there is none.
    pub default: Value,
}

impl Setting {
    /// Whether its value is never shown: its schema has `"writeOnly": true`.
    pub fn is_secret(&self) -> bool {
        self.schema.get("writeOnly").and_then(Value::as_bool) == Some(true)
    }
}

/// Every setting, in the order of the type.
pub fn settings() -> Vec<Setting> {
    let schema = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.inline_subschemas = true;
            settings.meta_schema = None;
        })
        .into_generator()
        .into_root_schema_for::<Config>()
        .to_value();
    let default = serde_json::to_value(Config::default()).unwrap_or_default();
    let mut all = Vec::new();
    gather("", &schema, &default, &mut all);
    all
}

fn gather(name: &str, schema: &Value, default: &Value, all: &mut Vec<Setting>) {
    for (key, field) in schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        let name = if name.is_empty() {
            key.clone()
        } else {
            format!("{name}.{key}")
        };
        let default = default.get(key).unwrap_or(&Value::Null);
        // A section that may be left out as a whole is gone into all the same.
        if let Some(inner) = section(field) {
            gather(&name, inner, default, all);
        } else {
            all.push(Setting {
                variable: variable(&name),
                name,
                schema: field.clone(),
                default: default.clone(),
            });
        }
    }
}

/// The object that a field is, if it is one with fields of its own.
fn section(field: &Value) -> Option<&Value> {
    if field.get("properties").is_some() {
        return Some(field);
    }
    let mut kinds = field
        .get("anyOf")?
        .as_array()?
        .iter()
        .filter(|kind| kind.get("type") != Some(&Value::from("null")));
    kinds
        .next()
        .filter(|kind| kind.get("properties").is_some() && kinds.next().is_none())
}

/// `events.maxAge` is set by `BOWLINE_SERVER_EVENTS_MAX_AGE`.
fn variable(name: &str) -> String {
    let mut out = PREFIX.to_owned();
    for letter in name.chars() {
        match letter {
            '.' => out.push('_'),
            letter if letter.is_ascii_uppercase() => {
                out.push('_');
                out.push(letter);
            }
            letter => out.push(letter.to_ascii_uppercase()),
        }
    }
    out
}

impl Sources {
    /// Lays the sources over each other and reads the result.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let settings = settings();
        let mut problems = Vec::new();
        let mut origins = BTreeMap::new();
        let mut whole = Value::Object(Map::new());
        if let Some((path, server)) = &self.file {
            let folder = path.parent().unwrap_or(Path::new(""));
            match server {
                Value::Null => {}
                Value::Object(_) => {
                    whole = server.clone();
                    leaves("", server, &settings, &mut |name| {
                        origins.insert(name.to_owned(), Origin::File(path.clone()));
                    });
                    for name in PATHS {
                        if let Some(Value::String(text)) = whole.get_mut(*name) {
                            *text = folder.join(&text).to_string_lossy().into_owned();
                        }
                    }
                }
                _ => problems.push(ConfigProblem {
                    setting: String::new(),
                    origin: Some(Origin::File(path.clone())),
                    message: "`server` must be a mapping of settings".to_owned(),
                }),
            }
        }
        for (name, text) in &self.env {
            if !name.starts_with(PREFIX) {
                continue;
            }
            let Some(setting) = settings.iter().find(|setting| setting.variable == *name) else {
                problems.push(ConfigProblem {
                    setting: String::new(),
                    origin: Some(Origin::Variable(name.clone())),
                    message: format!("no setting has this variable{}", nearest(name, &settings)),
                });
                continue;
            };
            put(&mut whole, &setting.name, read(text, &setting.schema));
            origins.insert(setting.name.clone(), Origin::Variable(name.clone()));
        }
        for (name, flag, value) in &self.flags {
            put(&mut whole, name, value.clone());
            origins.insert((*name).to_owned(), Origin::Flag(flag));
        }
        let read: Result<Config, _> = serde_path_to_error::deserialize(whole);
        match read {
            Ok(config) if problems.is_empty() => Ok(Loaded { config, origins }),
            Ok(_) => Err(ConfigError { problems }),
            Err(error) => {
                let setting = error.path().to_string();
                let setting = if setting == "." { String::new() } else { setting };
                let origin = origins
                    .iter()
                    .find(|(name, _)| **name == setting || name.starts_with(&format!("{setting}.")))
                    .or_else(|| {
                        origins.iter().find(|(name, _)| {
                            setting.starts_with(&format!("{name}[")) || setting.starts_with(&format!("{name}."))
                        })
                    })
                    .map(|(_, origin)| origin.clone())
                    .or_else(|| self.file.as_ref().map(|(path, _)| Origin::File(path.clone())));
                problems.push(ConfigProblem {
                    setting,
                    origin,
                    message: error.into_inner().to_string(),
                });
                Err(ConfigError { problems })
            }
        }
    }
}

/// Settings that are paths: in a file they begin at the file's folder.
const PATHS: &[&str] = &["workflows", "data", "credentials", "envFile"];

/// The name that is most like one that does not exist, if a third of it at most is different.
fn nearest(name: &str, settings: &[Setting]) -> String {
    let own = name.trim_start_matches(PREFIX);
    settings
        .iter()
        .map(|setting| {
            let other = setting.variable.trim_start_matches(PREFIX);
            (strsim::damerau_levenshtein(own, other), &setting.variable)
        })
        .min()
        .filter(|(distance, _)| distance * 3 <= own.len())
        .map_or_else(
            || "; `bowline config reference` lists them".to_owned(),
            |(_, other)| format!("; is {other} meant?"),
        )
}

/// Calls `each` with the dotted name of every setting that is in `value`.
fn leaves(name: &str, value: &Value, settings: &[Setting], each: &mut impl FnMut(&str)) {
    match value {
        Value::Object(fields) if !settings.iter().any(|setting| setting.name == name) => {
            for (key, value) in fields {
                let name = if name.is_empty() {
                    key.clone()
                } else {
                    format!("{name}.{key}")
                };
                leaves(&name, value, settings, each);
            }
        }
        _ => each(name),
    }
}

/// Sets what a dotted name means.
fn put(whole: &mut Value, name: &str, value: Value) {
    let mut at = whole;
    for part in name.split('.') {
        if !at.is_object() {
            *at = Value::Object(Map::new());
        }
        at = &mut at[part];
    }
    *at = value;
}

/// The value of a variable: what the schema says its text is. JSON is read for lists and mappings; a list of texts may
/// also be written with commas.
fn read(text: &str, schema: &Value) -> Value {
    let takes = |kind: &str| allows(schema, kind);
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    match parsed {
        Some(Value::Null) if !takes("string") => Value::Null,
        Some(value @ Value::Bool(_)) if takes("boolean") => value,
        Some(value @ Value::Number(_)) if takes("integer") || takes("number") => value,
        Some(value @ Value::Array(_)) if takes("array") => value,
        Some(value @ Value::Object(_)) if takes("object") => value,
        _ if takes("array") && !takes("string") => text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect(),
        _ => text.into(),
    }
}

fn allows(schema: &Value, kind: &str) -> bool {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    };
    named
        || ["anyOf", "oneOf"]
            .iter()
            .filter_map(|word| schema.get(*word)?.as_array())
            .flatten()
            .any(|schema| allows(schema, kind))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn env(name: &str, text: &str) -> Sources {
        Sources {
            env: BTreeMap::from([(name.to_owned(), text.to_owned())]),
            ..Sources::default()
        }
    }

    #[test]
    fn every_setting_has_a_variable_of_its_own_that_can_set_its_default() {
        let all = settings();
        assert!(all.len() > 15, "{}", all.len());
        let mut variables = std::collections::BTreeSet::new();
        for setting in all {
            assert!(variables.insert(setting.variable.clone()), "{} twice", setting.variable);
            let text = match &setting.default {
                Value::Null => continue,
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let loaded = env(&setting.variable, &text).load();
            let loaded = loaded.unwrap_or_else(|error| panic!("{}={text}: {error}", setting.variable));
            assert_eq!(loaded.config, Config::default(), "{}", setting.variable);
            assert_eq!(loaded.origins[&setting.name], Origin::Variable(setting.variable));
        }
    }

    #[test]
    fn names_of_variables_are_those_of_settings_in_capitals() {
        assert_eq!(variable("events.maxAge"), "BOWLINE_SERVER_EVENTS_MAX_AGE");
        assert_eq!(variable("listen"), "BOWLINE_SERVER_LISTEN");
    }

    #[test]
    fn paths_of_a_file_begin_at_its_folder() {
        let sources = Sources {
            file: Some((
                "/etc/bowline/bowline.yaml".into(),
                json!({ "data": "data", "workflows": "/flows" }),
            )),
            ..Sources::default()
        };
        let config = sources.load().unwrap().config;
        assert_eq!(config.data.unwrap(), Path::new("/etc/bowline/data"));
        assert_eq!(config.workflows.unwrap(), Path::new("/flows"));
    }

    #[test]
    fn texts_become_what_the_setting_is() {
        let list = json!({ "type": "array", "items": { "type": "string" } });
        assert_eq!(read("a, b,", &list), json!(["a", "b"]));
        assert_eq!(read("[\"a,b\"]", &list), json!(["a,b"]));
        assert_eq!(read("7", &json!({ "type": "string" })), json!("7"));
        assert_eq!(read("7", &json!({ "type": ["integer", "null"] })), json!(7));
        assert_eq!(read("true", &json!({ "type": "boolean" })), json!(true));
        assert_eq!(read("yes", &json!({ "type": "boolean" })), json!("yes"));
        assert_eq!(read("5s", &json!({ "type": ["integer", "string"] })), json!("5s"));
        let optional = json!({ "anyOf": [{ "type": "object" }, { "type": "null" }] });
        assert_eq!(read("{\"a\": 1}", &optional), json!({ "a": 1 }));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_origin() {
        let problem = |sources: Sources| sources.load().unwrap_err().to_string();
        let file = |server: Value| Sources {
            file: Some(("b.yaml".into(), server)),
            ..Sources::default()
        };
        for (sources, parts) in [
            (file(json!([])), ["b.yaml", "mapping"]),
            (
                file(json!({ "events": { "max": "many" } })),
                ["b.yaml: events.max", "many"],
            ),
            (file(json!({ "event": {} })), ["b.yaml", "event"]),
            (
                env("BOWLINE_SERVER_EVENTS_MAX", "-1"),
                ["BOWLINE_SERVER_EVENTS_MAX: events.max", "-1"],
            ),
            (
                env("BOWLINE_SERVER_EVENT_MAX", "1"),
                ["BOWLINE_SERVER_EVENT_MAX", "is BOWLINE_SERVER_EVENTS_MAX meant?"],
            ),
            (
                env("BOWLINE_SERVER_X", "1"),
                ["BOWLINE_SERVER_X", "bowline config reference"],
            ),
        ] {
            let text = problem(sources);
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
        assert!(env("BOWLINE_OTHER", "1").load().is_ok());
    }
}
