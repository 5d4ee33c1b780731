//! The other workflows of a folder: their names, and which of them they start.
//!
//! A workflow that starts another one is checked against this. A file that cannot be read is left out here:
//! its own problems are told when it is loaded itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::source::{SHARED_FILE, Source, read_text};
use crate::tree::{Kind, Node, parse};

/// The most files that are looked at.
const MAX_FILES: usize = 2000;

/// The names of the workflows in a folder, each with the names of those that it starts.
pub fn workflows_in(folder: &Path) -> BTreeMap<String, Vec<String>> {
    look_through(folder)
        .into_iter()
        .map(|(_, name, children)| (name, children))
        .collect()
}

/// The names of the workflows in a folder, each with its file. Of two with one name, which [`load_file`](crate::load_file)
/// refuses, the last file is given, in the order of the alphabet.
pub fn workflow_files_in(folder: &Path) -> BTreeMap<String, PathBuf> {
    look_through(folder)
        .into_iter()
        .map(|(path, name, _)| (name, path))
        .collect()
}

/// The names that several workflows of a folder have, each with their files: all of them, or only the name of
/// `source`, the workflow in `path`.
pub(crate) fn twins(path: &Path, folder: &Path, source: &Source, all: bool) -> BTreeMap<String, Vec<String>> {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    if all {
        for (path, name, _) in look_through(folder) {
            files.entry(name).or_default().push(path.display().to_string());
        }
    } else if let Some((own, _)) = name_and_children(source) {
        // Only files that can have the name are parsed.
        for path in paths(folder) {
            let Some(other) = read_text(&path)
                .ok()
                .map(|text| Source::new(path.display().to_string(), text))
            else {
                continue;
            };
            let may_be_it = other.stem() == own || other.text.contains(&own);
            if may_be_it && name_and_children(&other).is_some_and(|(name, _)| name == own) {
                files.entry(own.clone()).or_default().push(other.file);
            }
        }
    }
    let is_alone = |files: &Vec<String>| files.len() < 2;
    files.retain(|_, files| !is_alone(files));
    // A file that is not named like a workflow, such as a test's, is none of the folder's.
    if is_workflow_file(path) { files } else { BTreeMap::new() }
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| is_workflow_file(path))
        .collect();
    paths.sort();
    paths.truncate(MAX_FILES);
    paths
}

fn look_through(folder: &Path) -> Vec<(PathBuf, String, Vec<String>)> {
    let look = |path: PathBuf| {
        let source = Source::new(path.display().to_string(), read_text(&path).ok()?);
        let (name, children) = name_and_children(&source)?;
        Some((path, name, children))
    };
    paths(folder).into_iter().filter_map(look).collect()
}

/// Whether a path is named like a workflow: `*.yaml`, `*.yml` or `*.json`, but not `bowline.yaml` and not a
/// test (`*.test.yaml`).
pub fn is_workflow_file(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return false;
    };
    let ending = path.extension().and_then(|ending| ending.to_str());
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    matches!(ending, Some("yaml" | "yml" | "json"))
        && name != SHARED_FILE
        && !name.starts_with('.')
        && !matches!(stem.rsplit_once('.'), Some((_, "test" | "schema")))
}

/// Whether a file that lies among workflows is something else: mocks, an input, a test. It can be read, and nothing in it
/// is of a workflow. What cannot be read, or only has a word misspelt, is a workflow with a mistake.
pub fn is_something_else(source: &Source) -> bool {
    let Ok(root) = parse(&source.text, 0) else {
        return false;
    };
    if !matches!(root.kind, Kind::Map(_)) || root.get("assertions").is_some() {
        return true;
    }
    let is_of_workflow = |key: &str| {
        let words = || {
            ["steps", "triggers"]
                .into_iter()
                .chain(crate::lower::STEP_KEYS.iter().copied())
        };
        words().any(|word| word == key) || bowline_expression::nearest(key, ["steps"]).is_some()
    };
    let is_mocks = root.get("services").is_some() && root.get("steps").is_none();
    is_mocks || !root.entries().iter().any(|entry| is_of_workflow(&entry.key))
}

/// What a workflow's text says about itself at first sight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Its name.
    pub name: String,
    /// The names of the workflows that it starts, each once.
    pub children: Vec<String>,
    /// How many steps it has, nested ones too.
    pub steps: usize,
}

/// The name of a workflow and those of the workflows that it starts, as far as its text can be read at all.
pub fn name_and_children(source: &Source) -> Option<(String, Vec<String>)> {
    outline(source).map(|outline| (outline.name, outline.children))
}

/// What a workflow's text says about itself, as far as it can be read at all. Checks nothing.
pub fn outline(source: &Source) -> Option<Outline> {
    let root = parse(&source.text, 0).ok()?;
    let is_map = matches!(root.kind, Kind::Map(_));
    let own = root
        .get("name")
        .or_else(|| root.get("id"))
        .and_then(|entry| entry.value.text());
    let name = own.map_or_else(|| source.stem(), str::to_owned);
    let mut outline = Outline {
        name,
        children: Vec::new(),
        steps: 0,
    };
    collect(&root, true, &mut outline);
    outline.children.sort_unstable();
    outline.children.dedup();
    (is_map && !root.entries().is_empty()).then_some(outline)
}

/// Every step, and every `workflow: name` of one. Configurations, inputs and the like hold data and are left out.
fn collect(node: &Node, is_root: bool, outline: &mut Outline) {
    for item in node.items() {
        collect(item, false, outline);
    }
    let is_of_step = |key: &str| crate::lower::STEP_KEYS.contains(&key);
    if !is_root && node.entries().iter().any(|entry| is_of_step(&entry.key)) {
        outline.steps += 1;
    }
    for entry in node.entries() {
        match (&*entry.key, entry.value.text()) {
            ("workflow", Some(name)) if !is_root => outline.children.push(name.to_owned()),
            ("config" | "input" | "output" | "set" | "return" | "connections", _) => {}
            _ => collect(&entry.value, false, outline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_workflows_is_known() {
        for (text, expected) in [
            ("steps: []", false),
            ("step: []", false),
            ("triggers: []", false),
            ("type: http-request", false),
            ("name: a\nparallel: []", false),
            ("a: [", false),
            ("services: []", true),
            ("extends: mocks.yaml\nservices: []", true),
            ("- id: a\n  type: mock-http-service", true),
            ("name: a test\nassertions: []", true),
            ("{\"orderId\": 1, \"name\": \"Ada\"}", true),
            ("just text", true),
        ] {
            assert_eq!(is_something_else(&Source::new("f.yaml", text)), expected, "{text}");
        }
    }
}
