//! The files of the repository.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Folders that hold nothing of ours.
const ELSEWHERE: &[&str] = &["target", ".git", ".bowline", "node_modules"];

/// The repository's folder.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// A text file of the repository.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path below the root, with `/` between folders.
    pub path: String,
    /// What is in it.
    pub text: String,
}

impl File {
    /// The lines in which `what` holds, as `path:line`.
    pub fn lines_where(&self, what: impl Fn(&str) -> bool) -> Vec<String> {
        let lines = self.text.lines().enumerate();
        lines
            .filter(|(_, line)| what(line))
            .map(|(number, _)| format!("{}:{}", self.path, number + 1))
            .collect()
    }
}

/// All files below `folder` (a path below the root) whose name ends with one of `endings`, in the order of
/// their paths. Files that are not UTF-8 are left out.
///
/// # Errors
/// Where a folder or a file cannot be read.
pub fn find(folder: &str, endings: &[&str]) -> Result<Vec<File>> {
    let mut found = Vec::new();
    collect(&root().join(folder), endings, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// One file, by its path below the root.
///
/// # Errors
/// Where it cannot be read.
pub fn read(path: &str) -> Result<File> {
    let text = fs::read_to_string(root().join(path)).with_context(|| format!("reading {path}"))?;
    Ok(File {
        path: path.to_owned(),
        text,
    })
}

fn collect(folder: &Path, endings: &[&str], into: &mut Vec<File>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let Some(name) = name.to_str() else { continue };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !ELSEWHERE.contains(&name) {
                collect(&path, endings, into)?;
            }
        } else if kind.is_file() && endings.iter().any(|ending| name.ends_with(ending)) {
            let Ok(text) = String::from_utf8(fs::read(&path)?) else {
                continue;
            };
            let below = path.strip_prefix(root()).unwrap_or(&path);
            let parts: Vec<_> = below
                .components()
                .map(|part| part.as_os_str().to_string_lossy())
                .collect();
            into.push(File {
                path: parts.join("/"),
                text,
            });
        }
    }
    Ok(())
}
