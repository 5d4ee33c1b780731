//! What running workflows need from this process: connectors, the environment, secrets, pools.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bowline_connector::{BlobStore, Pools, Registry};
use bowline_expression::{Binding, Limits, Masker, Template};
use serde_json::{Map, Value};

use crate::plan::Plan;

/// Where callbacks arrive if nothing else is said.
const PUBLIC_URL: &str = "http://127.0.0.1:8080";

/// What a [`Runtime`] is made of.
#[derive(Clone, Default)]
pub struct Settings {
    /// What `env.NAME` reads. All of it counts as secret.
    pub env: BTreeMap<String, String>,
    /// What `credentials.…` reads. All of it counts as secret.
    pub credentials: Value,
    /// What bounds one evaluation of one expression.
    pub limits: Limits,
    /// Where `callback.url` begins, such as `https://flows.example`. `None`: the environment variable
    /// `BOWLINE_PUBLIC_URL` in `env`, else `http://127.0.0.1:8080`.
    pub public_url: Option<String>,
    /// What stands between that and the paths of callback endpoints: nothing for the default organization, `/o/acme` for
    /// another one.
    pub place: String,
    /// The only folder whose files are within reach, and against which relative paths are resolved. `None`: all files, and
    /// the folder of the workflow.
    pub files: Option<PathBuf>,
}

/// Shared by all executions of a process. Cheap to share behind an [`Arc`].
pub struct Runtime {
    pub(crate) registry: Arc<Registry>,
    pub(crate) pools: Pools,
    pub(crate) masker: Masker,
    pub(crate) env: Binding,
    pub(crate) credentials: Binding,
    pub(crate) limits: Limits,
    pub(crate) public_url: String,
    pub(crate) place: String,
    pub(crate) files: Option<PathBuf>,
    pub(crate) blobs: Option<Arc<dyn BlobStore>>,
}

impl Runtime {
    /// A runtime that scrubs with `masker`; share the masker with whatever writes logs.
    #[must_use]
    pub fn new(registry: Arc<Registry>, masker: Masker, settings: Settings) -> Self {
        let public_url = settings
            .public_url
            .or_else(|| settings.env.get("BOWLINE_PUBLIC_URL").cloned())
            .filter(|url| !url.is_empty())
            .unwrap_or_else(|| PUBLIC_URL.to_owned());
        let env: Map<String, Value> = settings
            .env
            .into_iter()
            .map(|(name, value)| (name, value.into()))
            .collect();
        let credentials = match settings.credentials {
            Value::Null => Value::Object(Map::new()),
            given => given,
        };
        Self {
            pools: Pools::new(Arc::clone(&registry)),
            registry,
            masker,
            env: Binding::secret(Value::Object(env)),
            credentials: Binding::secret(credentials),
            limits: settings.limits,
            files: settings.files,
            place: settings.place,
            public_url: public_url.trim_end_matches('/').to_owned(),
            blobs: None,
        }
    }

    /// With a place for content that is too large for a journal. Without one, connectors refuse it.
    #[must_use]
    pub fn with_blobs(mut self, blobs: Arc<dyn BlobStore>) -> Self {
        self.blobs = Some(blobs);
        self
    }

    /// Tells the masker every secret that the plan's expressions name, before anything runs: a service
    /// may echo one that an expression only took a part of.
    pub fn learn_secrets(&self, plan: &Plan) {
        for template in templates(plan) {
            for (_, _, expression) in template.expressions() {
                for path in expression.paths() {
                    let root = match path.first().map(AsRef::as_ref) {
                        Some("env") => &self.env,
                        Some("credentials") => &self.credentials,
                        _ => continue,
                    };
                    let found = path.iter().skip(1).try_fold(&*root.value, |value, name| {
                        let name: &str = name.as_ref();
                        value.get(name)
                    });
                    if let Some(found) = found {
                        self.learn(found);
                    }
                }
            }
        }
    }

    fn learn(&self, value: &Value) {
        match value {
            Value::String(text) => self.masker.add(text),
            Value::Number(number) => self.masker.add(&number.to_string()),
            Value::Array(items) => items.iter().for_each(|item| self.learn(item)),
            // All of `env` is not learned: most of it is `PATH` and `HOME`.
            Value::Object(fields) if fields.len() <= 32 => fields.values().for_each(|field| self.learn(field)),
            _ => {}
        }
    }
}

fn templates(plan: &Plan) -> Vec<&Template> {
    let mut found: Vec<&Template> = plan.connections.values().map(|connection| &connection.config).collect();
    for trigger in &plan.triggers {
        found.extend([&trigger.config, &trigger.input]);
        found.extend(&trigger.when);
    }
    found.extend(plan.callbacks.values().map(|endpoint| &endpoint.config));
    for step in plan.all_steps() {
        step.each_template(&mut |template| found.push(template));
    }
    found.extend(&plan.output);
    found
}
