//! The crates of the workspace, and what they depend on, as `cargo` sees them.
//!
//! `cargo` is asked offline: whoever runs these tests has built the workspace, so everything is there.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::files::root;

/// A crate of the workspace.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its name, such as `bowline-core`.
    pub name: String,
    /// Its folder below the root, such as `crates/core`.
    pub folder: String,
    /// The crates of the workspace that it needs, those of its tests left out.
    pub needs: BTreeSet<String>,
}

/// Every crate of the workspace.
///
/// # Errors
/// Where `cargo metadata` fails or says something unexpected.
pub fn members() -> Result<Vec<Member>> {
    let text = cargo(&["metadata", "--format-version", "1", "--offline", "--no-deps"])?;
    let metadata: Value = serde_json::from_str(&text).context("cargo metadata is not JSON")?;
    let packages = metadata["packages"]
        .as_array()
        .context("cargo metadata has no packages")?;
    packages.iter().map(member).collect()
}

fn member(package: &Value) -> Result<Member> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let name = text(&package["name"]).context("a package without a name")?;
    let manifest = text(&package["manifest_path"]).context("a package without a manifest")?;
    let folder = std::path::Path::new(&manifest)
        .parent()
        .and_then(|folder| folder.strip_prefix(root()).ok())
        .with_context(|| format!("{manifest} is not below {}", root().display()))?
        .to_string_lossy()
        .replace('\\', "/");
    let dependencies = package["dependencies"]
        .as_array()
        .context("a package without dependencies")?;
    let needs = dependencies
        .iter()
        .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev")
        .filter_map(|dependency| text(&dependency["name"]))
        .collect();
    Ok(Member { name, folder, needs })
}

/// Every package that is built for `package`, directly or not, each name with its versions. With `None`, for the
/// whole workspace. `edges` as `cargo tree -e` takes them.
///
/// # Errors
/// Where `cargo tree` fails.
pub fn built_for(package: Option<&str>, edges: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut arguments = vec!["tree", "--offline", "--prefix", "none", "--format", "{p}", "-e", edges];
    match package {
        Some(package) => arguments.extend(["-p", package]),
        None => arguments.push("--workspace"),
    }
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in cargo(&arguments)?.lines() {
        let mut words = line.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            found.entry(name.to_owned()).or_default().insert(version.to_owned());
        }
    }
    Ok(found)
}

fn cargo(arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .context("cargo cannot be run")?;
    if !output.status.success() {
        bail!(
            "cargo {}: {}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    String::from_utf8(output.stdout).context("cargo said something that is not text")
}
