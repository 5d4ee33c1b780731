//! What users write for a directory.

use std::path::{Component, Path, PathBuf};

use bowline_connector::{Millis, Mistake};
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schedule::OneOrMany;

/// Which files start a workflow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DirectoryConfig {
    /// The directory. It need not be there yet.
    pub path: PathBuf,
    /// Which names, as a glob or several: `*.csv`, `{orders,returns}-*.json`. One with a slash is compared with the
    /// path below the directory (`2026/**/*.csv`), one without with the file's name. Names that begin with a dot are
    /// taken only by patterns that do.
    #[serde(default = "everything")]
    pub pattern: OneOrMany,
    /// Globs of what is left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// What starts the workflow. Files are compared by content: one that was only touched is not modified.
    #[serde(default = "created")]
    pub events: Vec<FileEvent>,
    /// Whether directories below it are looked into. Symbolic links are never followed.
    #[serde(default)]
    pub recursive: bool,
    /// How many levels of directories are looked into, with `recursive`. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub depth: Option<usize>,
    /// A file is whole when its size and time have not changed for so long. Writers that pause for longer should write
    /// under another name, and rename.
    #[serde(default = "second")]
    pub debounce: Millis,
    /// A file is taken only when it was last written so long ago.
    #[serde(default)]
    pub min_age: Millis,
    /// Looks at the directory so often, in addition to what the system tells. What was missed is found then.
    #[serde(default = "minute")]
    pub rescan: Millis,
    /// Only looks, and does not ask the system: for network file systems, which tell nothing. `rescan` says how often.
    #[serde(default)]
    pub poll: bool,
    /// What to do with files that are there when the workflow is first deployed.
    #[serde(default)]
    pub existing: Existing,
    /// What becomes of a file when its execution has ended.
    #[serde(default)]
    pub after: After,
}

/// What can happen to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum FileEvent {
    /// It is there, and was not.
    Created,
    /// Its content has changed.
    Modified,
    /// It is not there any more.
    Deleted,
}

/// What to do with files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Existing {
    /// They count as created.
    #[default]
    Start,
    /// They are noted, and start nothing until they change.
    Ignore,
}

/// What becomes of a file when its execution has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct After {
    /// Where files go whose executions succeeded. Their paths below the watched directory are kept; where there is such
    /// a file already, a number is added to the name.
    #[serde(default, rename = "move", skip_serializing_if = "Option::is_none")]
    pub move_to: Option<PathBuf>,
    /// Where those go whose executions failed or were cancelled. Default: they stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<PathBuf>,
    /// Deletes files whose executions succeeded.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub delete: bool,
}

impl After {
    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn everything() -> OneOrMany {
    OneOrMany::One("*".to_owned())
}

fn created() -> Vec<FileEvent> {
    vec![FileEvent::Created]
}

fn second() -> Millis {
    Millis(std::time::Duration::from_secs(1))
}

fn minute() -> Millis {
    Millis(std::time::Duration::from_secs(60))
}

fn glob(text: &str) -> Result<Glob, String> {
    let glob = GlobBuilder::new(text).literal_separator(true).build();
    glob.map_err(|error| format!("`{text}` is not a glob: {}", error.kind()))
}

/// Which paths below a directory a configuration is about.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// Compared with the name.
    plain: GlobSet,
    dotted: GlobSet,
    /// Compared with the path.
    paths: GlobSet,
    not_plain: GlobSet,
    not_paths: GlobSet,
}

impl Names {
    pub(crate) fn read(config: &DirectoryConfig) -> Result<Self, String> {
        let all = config.pattern.all();
        let set = |globs: &[String], wanted: &dyn Fn(&str) -> bool| {
            let mut set = GlobSetBuilder::new();
            for text in globs.iter().filter(|text| wanted(text)) {
                set.add(glob(text)?);
            }
            set.build().map_err(|error| error.to_string())
        };
        let is_path = |text: &str| text.contains('/');
        Ok(Self {
            plain: set(all, &|text| !is_path(text))?,
            dotted: set(all, &|text| !is_path(text) && text.starts_with('.'))?,
            paths: set(all, &is_path)?,
            not_plain: set(&config.exclude, &|text| !is_path(text))?,
            not_paths: set(&config.exclude, &is_path)?,
        })
    }

    /// Whether a file is meant. `path` is the one below the directory.
    pub(crate) fn take(&self, path: &Path) -> bool {
        let Some(name) = path.file_name() else { return false };
        let is_dotted = name.as_encoded_bytes().first() == Some(&b'.');
        let by_name = if is_dotted { &self.dotted } else { &self.plain };
        (by_name.is_match(name) || self.paths.is_match(path))
            && !self.not_plain.is_match(name)
            && !self.not_paths.is_match(path)
    }
}

impl DirectoryConfig {
    /// Reads a rendered configuration.
    ///
    /// # Errors
    /// What is wrong with it, as a sentence.
    pub(crate) fn read(value: &serde_json::Value) -> Result<(Self, Names), String> {
        let config = Self::deserialize(value)
            .map_err(|error| format!("the configuration of the directory watcher is wrong: {error}"))?;
        let mistakes: Vec<String> = config.mistakes().into_iter().map(|mistake| mistake.message).collect();
        if !mistakes.is_empty() {
            return Err(mistakes.join("; "));
        }
        let names = Names::read(&config)?;
        Ok((config, names))
    }

    /// What is wrong with it, beyond its form.
    pub(super) fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        let mut wrong = |field: &str, message: String| mistakes.push(Mistake::new(field, message));
        if !self.path.is_absolute() {
            let path = self.path.display();
            wrong("path", format!("`path: {path}` is not absolute; begin it with /"));
        }
        if self.events.is_empty() {
            wrong(
                "events",
                "`events` is empty: write created, modified or deleted".to_owned(),
            );
        }
        if self.rescan.duration() < std::time::Duration::from_millis(100) {
            wrong("rescan", "`rescan` is at least 100 ms".to_owned());
        }
        if self.after.delete && self.after.move_to.is_some() {
            wrong("after", "`after` says both `delete` and `move`; take one".to_owned());
        }
        let targets = [
            ("after.move", &self.after.move_to),
            ("after.failed", &self.after.failed),
        ];
        for (field, folder) in targets {
            if let Some(folder) = folder.as_ref().filter(|folder| !folder.is_absolute()) {
                let folder = folder.display();
                wrong(field, format!("`{field}: {folder}` is not absolute; begin it with /"));
            }
        }
        for (field, globs) in [("pattern", self.pattern.all()), ("exclude", &self.exclude)] {
            for text in globs {
                if let Err(error) = glob(text) {
                    wrong(field, error);
                }
            }
        }
        mistakes
    }

    /// Refuses directories outside of `root`: the files of an organization. They must be written without links, as what
    /// they lead to could change.
    ///
    /// # Errors
    /// What is outside, as a sentence.
    pub(crate) fn keep_to(&self, root: &Path) -> Result<(), String> {
        let targets = self.after.move_to.iter().chain(&self.after.failed);
        for folder in std::iter::once(&self.path).chain(targets) {
            let is_plain = !folder.components().any(|part| part == Component::ParentDir);
            if !(is_plain && folder.starts_with(root)) {
                return Err(format!(
                    "`{}` is outside of the organization's files; its directories are below {}",
                    folder.display(),
                    root.display()
                ));
            }
        }
        Ok(())
    }

    /// Whether a directory below the watched one is looked into: not where files are moved to.
    pub(crate) fn enters(&self, folder: &Path, level: usize) -> bool {
        let is_target = self
            .after
            .move_to
            .iter()
            .chain(&self.after.failed)
            .any(|target| target == folder);
        self.recursive && !is_target && self.depth.is_none_or(|depth| level < depth)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn names(config: Value) -> Names {
        DirectoryConfig::read(&config).unwrap().1
    }

    #[test]
    fn an_organization_keeps_to_its_own_folder() {
        let keeps = |config: Value| {
            DirectoryConfig::read(&config)
                .unwrap()
                .0
                .keep_to(Path::new("/files/acme"))
        };
        assert_eq!(
            keeps(json!({"path": "/files/acme/in", "after": {"move": "/files/acme/done"}})),
            Ok(())
        );
        for config in [
            json!({"path": "/etc"}),
            json!({"path": "/files/acme-north"}),
            json!({"path": "/files/acme/../rival"}),
            json!({"path": "/files/acme/in", "after": {"move": "/etc/cron.d"}}),
            json!({"path": "/files/acme/in", "after": {"delete": true, "failed": "/etc/cron.d"}}),
        ] {
            assert!(keeps(config).unwrap_err().contains("/files/acme"));
        }
    }

    #[test]
    fn names_and_paths_are_told_apart() {
        let csv = names(json!({"path": "/in", "pattern": "*.csv", "exclude": ["old-*", "tmp/**"]}));
        let takes = |path: &str| csv.take(Path::new(path));
        assert!(takes("a.csv") && takes("deep/er/b.csv"));
        assert!(!takes("a.csv.part") && !takes(".a.csv") && !takes("old-1.csv") && !takes("tmp/a.csv"));
        let both = names(json!({"path": "/in", "pattern": ["2026/*/{a,b}.json", ".hidden*"]}));
        assert!(both.take(Path::new("2026/11/a.json")) && both.take(Path::new("x/.hidden1")));
        assert!(!both.take(Path::new("2026/11/22/a.json")) && !both.take(Path::new("2026/11/c.json")));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let wrong = |config: Value| DirectoryConfig::read(&config).unwrap_err();
        assert!(wrong(json!({"path": "in"})).contains("not absolute"));
        assert!(wrong(json!({"path": "/in", "pattern": "[a"})).contains("not a glob"));
        assert!(wrong(json!({"path": "/in", "events": []})).contains("empty"));
        assert!(wrong(json!({"path": "/in", "after": {"delete": true, "move": "/done"}})).contains("take one"));
        assert!(wrong(json!({"path": "/in", "after": {"move": "done"}})).contains("done"));
        assert!(wrong(json!({"path": "/in", "patern": "*"})).contains("patern"));
    }
}
