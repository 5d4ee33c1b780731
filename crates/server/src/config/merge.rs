//! The sources of the configuration laid over each other, and where each value came from.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_flow::SharedFile;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::problem::{ConfigError, ConfigProblem, Origin};
use super::settings::{Setting, read, settings};
use super::words::{nearest, refused, refused_items};
use super::{Config, PREFIX, check};

/// What the configuration is made of. Later ones go over earlier ones, value by value.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// A file with its `server:`.
    pub file: Option<SharedFile>,
    /// The environment; variables without [`PREFIX`] are left alone.
    pub env: BTreeMap<String, String>,
    /// Settings of the command line: the dotted name of a setting, the flag's name, the value.
    pub flags: Vec<(&'static str, &'static str, Value)>,
}

/// A configuration and where its values came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Dotted names of what was set, with where; all else has its default.
    pub origins: BTreeMap<String, Origin>,
    file: Option<SharedFile>,
}

impl Loaded {
    /// A problem of a setting, with where its value stands.
    pub fn problem(&self, setting: &str, message: impl Into<String>) -> ConfigProblem {
        let (origin, place) = standing(&self.origins, self.file.as_ref(), setting);
        ConfigProblem {
            setting: setting.to_owned(),
            origin,
            place,
            message: message.into(),
        }
    }
}

/// Where a setting stands, or a section with settings.
fn standing(
    origins: &BTreeMap<String, Origin>,
    file: Option<&SharedFile>,
    setting: &str,
) -> (Option<Origin>, Option<(usize, usize)>) {
    let own = origins.get(setting);
    let inside = format!("{setting}.");
    let below = origins.iter().find(|(name, _)| name.starts_with(&inside));
    let origin = own.or(below.map(|(_, origin)| origin)).cloned();
    let place = match (&origin, file) {
        (Some(Origin::File(_)), Some(file)) if own.is_some() => file.place_of_value(&path(setting)),
        (Some(Origin::File(_)), Some(file)) => file.place_of_field(&path(setting)),
        _ => None,
    };
    (origin, place)
}

/// A setting's place in a file.
fn path(setting: &str) -> Vec<&str> {
    let parts = setting.split('.').filter(|part| !part.is_empty());
    std::iter::once("server").chain(parts).collect()
}

impl Sources {
    /// Lays the sources over each other and reads the result.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(&self) -> Result<Loaded, ConfigError> {
        let (loaded, problems) = self.look();
        if problems.is_empty() {
            Ok(loaded)
        } else {
            Err(ConfigError::of(problems))
        }
    }

    /// As [`Sources::load`], with all that is right in it beside what is wrong: whoever goes on must not leave a problem
    /// out of account.
    pub fn look(&self) -> (Loaded, Vec<ConfigProblem>) {
        let mut reading = Reading {
            settings: settings(),
            whole: Value::Object(Map::new()),
            origins: BTreeMap::new(),
            problems: Vec::new(),
        };
        if let Some(file) = &self.file {
            reading.file(file);
        }
        for (name, text) in &self.env {
            reading.variable(name, text);
        }
        for (name, flag, value) in &self.flags {
            reading.take(name, value.clone(), Origin::Flag(flag), self.file.as_ref());
        }
        let config = reading.config(self.file.as_ref());
        let mut loaded = Loaded {
            config,
            origins: reading.origins,
            file: self.file.clone(),
        };
        let mut problems = reading.problems;
        problems.extend(check::check(&mut loaded));
        (loaded, problems)
    }
}

/// The sources while they are read.
struct Reading {
    settings: Vec<Setting>,
    whole: Value,
    origins: BTreeMap<String, Origin>,
    problems: Vec<ConfigProblem>,
}

impl Reading {
    fn file(&mut self, file: &SharedFile) {
        let origin = Origin::File(file.file().into());
        // Other fields are the workflows'; one that nobody has may be a `server` that is misspelt.
        for problem in file.problems().into_iter().flat_map(|problems| &problems.0) {
            if !problem.location.path.contains(['.', '[']) {
                let hint = problem.hint.as_deref().or(problem.expected.as_deref());
                let hint = hint.map_or_else(String::new, |hint| format!("; {hint}"));
                self.problems.push(ConfigProblem {
                    setting: String::new(),
                    origin: Some(origin.clone()),
                    place: Some((problem.location.line, problem.location.column)),
                    message: format!("{}{hint}", problem.message),
                });
            }
        }
        self.section("", file.value("server"), file, &origin);
    }

    /// What stands below a name that is no setting itself.
    fn section(&mut self, name: &str, value: Value, file: &SharedFile, origin: &Origin) {
        let problem = |place, message| ConfigProblem {
            setting: name.to_owned(),
            origin: Some(origin.clone()),
            place,
            message,
        };
        let fields = match value {
            Value::Null => return,
            Value::Object(fields) => fields,
            _ => {
                let message = "this must be a mapping of settings".to_owned();
                self.problems.push(problem(file.place_of_value(&path(name)), message));
                return;
            }
        };
        for (key, value) in fields {
            let below = if name.is_empty() {
                key.clone()
            } else {
                format!("{name}.{key}")
            };
            if self.settings.iter().any(|setting| setting.name == below) {
                self.take(&below, value, origin.clone(), Some(file));
                continue;
            }
            let inside = format!("{below}.");
            if self.settings.iter().any(|setting| setting.name.starts_with(&inside)) {
                self.section(&below, value, file, origin);
                continue;
            }
            let message = format!("there is no setting `{below}`{}", self.meant(name, &key));
            self.problems.push(problem(file.place_of_field(&path(&below)), message));
        }
    }

    /// What may be meant by a name that is no setting: one beside it, or one of this name elsewhere.
    fn meant(&self, section: &str, key: &str) -> String {
        let prefix = if section.is_empty() {
            String::new()
        } else {
            format!("{section}.")
        };
        let beside = self
            .settings
            .iter()
            .filter_map(|setting| setting.name.strip_prefix(&prefix)?.split('.').next());
        if let Some(near) = nearest(key, beside) {
            return format!("; did you mean `{prefix}{near}`?");
        }
        let elsewhere = self.settings.iter().find(|setting| {
            let last = setting.name.rsplit('.').next();
            last == Some(key)
        });
        elsewhere.map_or_else(
            || "; `bowline config reference` lists them".to_owned(),
            |setting| format!("; did you mean `{}`?", setting.name),
        )
    }

    fn variable(&mut self, name: &str, text: &str) {
        let Some(own) = name.strip_prefix(PREFIX) else { return };
        let origin = Origin::Variable(name.to_owned());
        if let Some(setting) = self.settings.iter().find(|setting| setting.variable == name) {
            let (value, name) = (read(text, &setting.schema), setting.name.clone());
            self.take(&name, value, origin, None);
            return;
        }
        let others = self
            .settings
            .iter()
            .map(|setting| setting.variable.trim_start_matches(PREFIX));
        let hint = nearest(own, others).map_or_else(
            || "; `bowline config reference` lists them".to_owned(),
            |near| format!("; is {PREFIX}{near} meant?"),
        );
        self.problems.push(ConfigProblem {
            setting: String::new(),
            origin: Some(origin),
            place: None,
            message: format!("no setting has this variable{hint}"),
        });
    }

    /// Takes a value if it can be one of its setting.
    fn take(&mut self, name: &str, mut value: Value, origin: Origin, file: Option<&SharedFile>) {
        if let (Origin::File(file), Value::String(text)) = (&origin, &mut value)
            && PATHS.contains(&name)
        {
            let folder = file.parent().unwrap_or(Path::new(""));
            *text = folder.join(&*text).to_string_lossy().into_owned();
        }
        let mut alone = Value::Object(Map::new());
        put(&mut alone, name, value.clone());
        let read: Result<Config, _> = serde_path_to_error::deserialize(alone);
        if let Err(error) = read {
            let at = error.path().to_string();
            // A section that needs other settings too is looked at as a whole later.
            let is_about_others = at != name && name.starts_with(&at);
            if !is_about_others {
                let place = match &origin {
                    Origin::File(_) => file.and_then(|file| file.place_of_value(&path(name))),
                    _ => None,
                };
                let message = self.wrong(name, &at, &value, &error.into_inner());
                self.problems.push(ConfigProblem {
                    setting: name.to_owned(),
                    origin: Some(origin),
                    place,
                    message,
                });
                return;
            }
        }
        put(&mut self.whole, name, value);
        self.origins.insert(name.to_owned(), origin);
    }

    /// Why a value cannot be one of its setting. `at` is the part of it that is wrong.
    fn wrong(&self, name: &str, at: &str, value: &Value, error: &serde_json::Error) -> String {
        let Some(setting) = self.settings.iter().find(|setting| setting.name == name) else {
            return error.to_string();
        };
        let part = at.strip_prefix(name).unwrap_or_default();
        match value {
            Value::Array(items) => {
                let wrong: Vec<&Value> = items.iter().filter(|item| !is_item(name, item)).collect();
                match wrong.as_slice() {
                    [] => refused(value, setting),
                    wrong => refused_items(wrong, setting),
                }
            }
            Value::Object(_) if !part.is_empty() && !setting.is_secret() => format!("{}: {error}", &part[1..]),
            value => refused(value, setting),
        }
    }

    /// The configuration of all that was taken. Sections that lack something are told, and left out.
    fn config(&mut self, file: Option<&SharedFile>) -> Config {
        loop {
            let read: Result<Config, _> = serde_path_to_error::deserialize(&self.whole);
            let error = match read {
                Ok(config) => return config,
                Err(error) => error,
            };
            let at = error.path().to_string();
            let (origin, place) = standing(&self.origins, file, &at);
            let message = error.into_inner().to_string();
            let lacks = missing(&message).map(|field| format!("{at}.{field}"));
            self.problems.push(ConfigProblem {
                setting: at.clone(),
                origin,
                place,
                message,
            });
            // Something stands in for it, so that what else is wrong is told as well.
            if let Some(name) =
                lacks.filter(|name| self.whole.pointer(&format!("/{}", name.replace('.', "/"))).is_none())
            {
                put(&mut self.whole, &name, STAND_IN.into());
                continue;
            }
            let section = at.split('.').next().unwrap_or_default();
            let removed = self.whole.as_object_mut().and_then(|whole| whole.remove(section));
            if removed.is_none() {
                return Config::default();
            }
        }
    }
}

/// What stands for a value that is missing. Nobody is given a configuration with it: it has a problem.
const STAND_IN: &str = "-";

/// Whether a list with this alone can be the value of a setting.
fn is_item(setting: &str, item: &Value) -> bool {
    let mut alone = Value::Object(Map::new());
    put(&mut alone, setting, Value::Array(vec![item.clone()]));
    Config::deserialize(alone).is_ok()
}

/// The field that a mapping lacks, by what serde says.
fn missing(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.split('`').next()
}

/// Settings that are paths: in a file they begin at the file's folder.
const PATHS: &[&str] = &["workflows", "data", "credentials", "envFile"];

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
