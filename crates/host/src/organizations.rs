//! What each organization is given of this process: variables, credentials and files.
//!
//! The organization `default` is whoever runs the process: its workflows read the environment and the credentials as they
//! are, except what is meant for others. Every other organization reads only what it was given:
//! - the variable `BOWLINE_ORG_<NAME>__<VAR>` as `env.VAR`, where `<NAME>` is the organization's name in capitals with `_`
//!   for `-`;
//! - of the credentials what is below `organizations.<name>`;
//! - of the files those in the folder `files/<name>` of the data folder;
//! - of the blobs those that it was given by reference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bowline_connector::Registry;
use bowline_core::{BlobStore, StepError, TokenKey};
use bowline_expression::Masker;
use bowline_flow::{Runtime, Settings};
use bowline_store::DEFAULT_ORGANIZATION;
use serde_json::Value;

use crate::own_blobs::own_blobs;

/// Variables whose names begin so are for one organization.
const PREFIX: &str = "BOWLINE_ORG_";

/// Of the credentials, what is for other organizations than the default one.
const OTHERS: &str = "organizations";

/// The folder in the data folder that has a folder for the files of each organization.
const FILES: &str = "files";

/// What one organization runs with.
#[derive(Clone)]
pub struct Own {
    /// What its templates read. Holds secrets: never log or show it.
    pub settings: Arc<Settings>,
    /// What its workflows run with: connection pools of its own, too.
    pub runtime: Arc<Runtime>,
    /// Knows its secrets, and not those of others.
    pub masker: Masker,
}

/// What each organization runs with, made when it is first asked for.
pub struct Organizations {
    registry: Arc<Registry>,
    masker: Masker,
    blobs: Arc<dyn BlobStore>,
    tokens: TokenKey,
    process: Settings,
    files: PathBuf,
    made: Mutex<HashMap<String, Own>>,
}

impl Organizations {
    /// Gives each its part of `process`, which is what this process has, and of the blobs with the key of the store.
    /// `data` is the data folder.
    #[must_use]
    pub fn new(
        registry: Arc<Registry>,
        masker: Masker,
        mut process: Settings,
        (blobs, tokens): (Arc<dyn BlobStore>, TokenKey),
        data: &Path,
    ) -> Self {
        // Callbacks of all organizations arrive at one place.
        process.public_url = process
            .public_url
            .or_else(|| process.env.get("BOWLINE_PUBLIC_URL").cloned());
        let data = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
        Self {
            registry,
            masker,
            blobs,
            tokens,
            process,
            files: data.join(FILES),
            made: Mutex::default(),
        }
    }

    /// Connectors, connection types and kinds of triggers.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// What this organization runs with.
    pub fn of(&self, organization: &str) -> Own {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.get(organization) {
            return made.clone();
        }
        let (env, credentials) = given(organization, &self.process.env, &self.process.credentials);
        let settings = Settings {
            env,
            credentials,
            limits: self.process.limits.clone(),
            public_url: self.process.public_url.clone(),
            place: if organization == DEFAULT_ORGANIZATION {
                String::new()
            } else {
                format!("/o/{organization}")
            },
            files: (organization != DEFAULT_ORGANIZATION).then(|| self.files.join(organization)),
        };
        let masker = self.masker.part();
        let runtime = Runtime::new(Arc::clone(&self.registry), masker.clone(), settings.clone());
        let own = Own {
            masker,
            settings: Arc::new(settings),
            runtime: Arc::new(runtime.with_blobs(self.blobs(organization))),
        };
        made.insert(organization.to_owned(), own.clone());
        own
    }

    /// The blobs of an organization.
    pub(crate) fn blobs(&self, organization: &str) -> Arc<dyn BlobStore> {
        own_blobs(&self.blobs, &self.tokens, organization)
    }

    /// The folder of an organization's files, made where it is not there. Workflows that the API deploys resolve relative
    /// paths against it.
    ///
    /// # Errors
    /// Where it cannot be made, or the name cannot be that of a folder.
    pub fn folder(&self, organization: &str) -> std::io::Result<PathBuf> {
        if !is_label(organization) {
            let message = format!("`{}` is no name of an organization", organization.escape_debug());
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, message));
        }
        let folder = self.files.join(organization);
        std::fs::create_dir_all(&folder)?;
        folder.canonicalize()
    }

    /// Makes sure that an organization has what its workflows run in.
    pub(crate) fn prepare(&self, organization: &str) -> Result<(), StepError> {
        if organization == DEFAULT_ORGANIZATION {
            return Ok(());
        }
        self.folder(organization).map(drop).map_err(|error| {
            let message = format!("the folder for the files of organization {organization} cannot be made");
            StepError::permanent("definition.folder", message).caused_by(&error)
        })
    }
}

/// Names of organizations: they are parts of paths and of names of variables.
fn is_label(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What an organization reads of these variables and credentials.
#[must_use]
pub fn given(
    organization: &str,
    env: &BTreeMap<String, String>,
    credentials: &Value,
) -> (BTreeMap<String, String>, Value) {
    if organization == DEFAULT_ORGANIZATION {
        let mut env = env.clone();
        env.retain(|name, _| !name.starts_with(PREFIX));
        let mut credentials = credentials.clone();
        if let Some(fields) = credentials.as_object_mut() {
            fields.remove(OTHERS);
        }
        return (env, credentials);
    }
    let own = prefix(organization);
    let env = env.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(own.as_deref()?).filter(|name| !name.is_empty())?;
        Some((name.to_owned(), value.clone()))
    });
    let credentials = credentials.get(OTHERS).and_then(|all| all.get(organization));
    (env.collect(), credentials.cloned().unwrap_or_default())
}

/// How the variables of an organization begin. A name with `--` has none: they would be those of a shorter name, too.
fn prefix(organization: &str) -> Option<String> {
    let is_plain = is_label(organization) && !organization.contains("--") && !organization.contains('_');
    is_plain.then(|| format!("{PREFIX}{}__", organization.to_ascii_uppercase().replace('-', "_")))
}

/// That an organization lacks these names of `env` and `credentials`, and how it is given them.
#[must_use]
pub fn lacks(organization: &str, missing: &BTreeSet<String>) -> String {
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    let names = names.join(", ");
    if organization == DEFAULT_ORGANIZATION {
        return format!("the workflow reads {names}, which this process does not have");
    }
    let ways: Vec<String> = missing
        .iter()
        .map(|name| match (name.split_once('.'), prefix(organization)) {
            (Some(("env", name)), Some(prefix)) => format!("set the variable {prefix}{name}"),
            (Some(("env", _)), None) => "variables cannot be given to an organization of this name".to_owned(),
            (Some((_, name)), _) => format!("write `{name}` below `{OTHERS}.{organization}` in the credentials file"),
            (None, _) => format!("write `{OTHERS}.{organization}` in the credentials file"),
        })
        .collect();
    format!(
        "the workflow reads {names}, which the organization {organization} was not given; for whoever runs the server: {}",
        ways.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn env(names: &[&str]) -> BTreeMap<String, String> {
        names.iter().map(|name| ((*name).to_owned(), (*name).into())).collect()
    }

    #[test]
    fn each_organization_is_given_its_own_and_nothing_else() {
        let env = env(&[
            "TOKEN",
            "BOWLINE_ORG_ACME__TOKEN",
            "BOWLINE_ORG_ACME__",
            "BOWLINE_ORG_ACME_NORTH__KEY",
            "BOWLINE_ORG_ACME__NORTH__KEY",
        ]);
        let credentials = json!({ "mail": 1, "organizations": { "acme": { "mail": 2 } } });
        let names = |organization: &str| -> Vec<(String, String)> {
            given(organization, &env, &credentials).0.into_iter().collect()
        };
        let one = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(names("default"), [one("TOKEN", "TOKEN")]);
        assert_eq!(
            names("acme"),
            [
                one("NORTH__KEY", "BOWLINE_ORG_ACME__NORTH__KEY"),
                one("TOKEN", "BOWLINE_ORG_ACME__TOKEN")
            ]
        );
        assert_eq!(names("acme-north"), [one("KEY", "BOWLINE_ORG_ACME_NORTH__KEY")]);
        // It would read what `acme` does.
        assert_eq!(names("acme--north"), []);
        let of = |organization: &str| given(organization, &env, &credentials).1;
        assert_eq!(of("default"), json!({ "mail": 1 }));
        assert_eq!(of("acme"), json!({ "mail": 2 }));
        assert_eq!(of("acme-north"), Value::Null);
    }

    #[test]
    fn what_is_missing_is_told_with_how_to_give_it() {
        let missing = BTreeSet::from(["env.TOKEN".to_owned(), "credentials.mail.user".to_owned()]);
        let told = lacks("acme-north", &missing);
        for part in [
            "BOWLINE_ORG_ACME_NORTH__TOKEN",
            "`mail.user` below `organizations.acme-north`",
        ] {
            assert!(told.contains(part), "{told}");
        }
        assert!(!lacks("default", &missing).contains("BOWLINE_ORG"));
    }
}
