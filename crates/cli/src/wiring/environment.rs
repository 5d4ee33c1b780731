//! What `env` and `credentials` read: the environment, a file of variables, what mocks set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ArgMatches;
use clap::parser::ValueSource;
use serde_json::Value;

use super::files;
use crate::exit::{Failure, Result};

/// What every command calls the data folder, and what the server's settings call it. They mean the same.
const DATA: [&str; 2] = ["BOWLINE_DATA", "BOWLINE_SERVER_DATA"];

/// The data folder where the command line does not name one.
pub(crate) fn data() -> PathBuf {
    let named = DATA.iter().find_map(std::env::var_os);
    named.map_or_else(|| PathBuf::from(".bowline"), PathBuf::from)
}

/// Refuses an environment that names two data folders, of which one would be used without a word.
pub(crate) fn refuse_two_folders() -> Result<()> {
    match DATA.map(std::env::var_os) {
        [Some(one), Some(other)] if !is_same(Path::new(&one), Path::new(&other)) => {
            let [name, server] = DATA;
            let (one, other) = (one.display(), other.display());
            Err(Failure::usage(format!(
                "{name} is {one}, and {server} is {other}: both are the data folder"
            ))
            .hint("set one of them only"))
        }
        _ => Ok(()),
    }
}

/// Whether a command uses a data folder, and `--data` does not name it.
pub(crate) fn takes_folder(matches: &ArgMatches) -> bool {
    let (mut command, mut inner) = ("", matches);
    while let Some((name, below)) = inner.subcommand() {
        (command, inner) = (name, below);
    }
    // The folder of `init` is that of a new workflow, and the server's own settings have another name for it.
    let has = |name| inner.try_contains_id(name).is_ok();
    let name = match command {
        "init" => return false,
        _ if has("folder") => "folder",
        _ if has("data") => "data",
        _ => return false,
    };
    inner.value_source(name) != Some(ValueSource::CommandLine)
}

/// Whether two paths lead to one folder.
fn is_same(one: &Path, other: &Path) -> bool {
    let whole = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    match (whole(one), whole(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

/// The variables of this process; then those of `file` that are not set; then those of mocks, which win.
pub(crate) fn variables(file: Option<&Path>, mocks: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    // What is not text cannot be read by an expression.
    let mut variables: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    if let Some(path) = file {
        for (name, value) in read(path)? {
            variables.entry(name).or_insert(value);
        }
    }
    variables.extend(mocks);
    Ok(variables)
}

fn read(path: &Path) -> Result<Vec<(String, String)>> {
    let text = files::text(path, "the file of variables")?;
    // A message about a line could quote a secret, so only its place is told.
    dotenvy::from_read_iter(text.as_bytes())
        .enumerate()
        .map(|(number, entry)| {
            entry.map_err(|_| {
                let path = path.display();
                Failure::usage(format!("the file of variables {path} is wrong at entry {}", number + 1))
                    .hint("write one NAME=value a line; put values with blanks or # in quotes")
            })
        })
        .collect()
}

/// What `credentials` reads; an object.
pub(crate) fn credentials(file: Option<&Path>) -> Result<Value> {
    let Some(path) = file else { return Ok(Value::Null) };
    let text = files::text(path, "the file of credentials")?;
    // A message about a line could quote a secret, so it is not told.
    let value = files::parse(&text, "the credentials").map_err(|_| {
        Failure::usage(format!(
            "the credentials {} cannot be read as YAML or JSON",
            path.display()
        ))
    })?;
    if !value.is_object() {
        return Err(Failure::usage(format!(
            "the credentials {} are not a mapping of names",
            path.display()
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_goes_over_a_file_and_mocks_over_both() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(
            &file,
            "# c\nBOWLINE_T_A=file\nexport BOWLINE_T_B='two words'\nPATH=nowhere\n",
        )
        .unwrap();
        let mocks = BTreeMap::from([("BOWLINE_T_A".to_owned(), "mock".to_owned())]);
        let variables = variables(Some(&file), mocks).unwrap();
        assert_eq!(variables["BOWLINE_T_A"], "mock");
        assert_eq!(variables["BOWLINE_T_B"], "two words");
        assert_ne!(variables["PATH"], "nowhere");
    }

    #[test]
    fn a_wrong_file_is_refused_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        std::fs::write(&file, "A=1\nhunter2 hunter2\n").unwrap();
        let error = format!("{:?}", variables(Some(&file), BTreeMap::new()).unwrap_err());
        assert!(error.contains("entry 2") && !error.contains("hunter2"), "{error}");
        std::fs::write(&file, "hunter2: [").unwrap();
        let error = format!("{:?}", credentials(Some(&file)).unwrap_err());
        assert!(!error.contains("hunter2"), "{error}");
    }
}
