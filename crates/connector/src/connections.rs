//! Connections: what several steps share to reach one system, and the pools behind them.
//!
//! A connection is declared by name (`connections:` of a workflow or of `bowline.yaml`), has a type that
//! a connector family registered, and is built from its rendered configuration on first use. The built
//! value (an HTTP client, a pool) is shared by every execution whose rendered configuration is the same;
//! another value of a secret gives another connection.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::StepError;
use serde_json::Value;

use crate::{Registry, StepContext};

/// A built connection, before it is cast to what its family uses.
pub type AnyConnection = Arc<dyn Any + Send + Sync>;

/// A connection as a workflow declares it, with every template rendered.
#[derive(Clone, PartialEq)]
pub struct Declared {
    /// The registered type, such as `http` or `sqlite`.
    pub kind: String,
    /// The rendered configuration, without `type`. Holds secrets in clear: never log or print it.
    pub config: Value,
}

/// The declared connections of one workflow, and the built ones of the process.
#[derive(Clone, Default)]
pub struct Connections {
    declared: Arc<BTreeMap<String, Declared>>,
    pools: Pools,
}

impl Connections {
    /// Connections for a workflow, built from and kept in `pools`.
    #[must_use]
    pub fn new(declared: BTreeMap<String, Declared>, pools: Pools) -> Self {
        Self {
            declared: Arc::new(declared),
            pools,
        }
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self, name: &str, ctx: &StepContext) -> Result<Arc<T>, StepError> {
        let declared = self.declared.get(name).ok_or_else(|| {
            let known: Vec<_> = self.declared.keys().map(String::as_str).collect();
            StepError::permanent(
                "connection.unknown",
                format!(
                    "no connection named `{name}`; known: {}",
                    if known.is_empty() {
                        "none".into()
                    } else {
                        known.join(", ")
                    }
                ),
            )
        })?;
        let built = self.pools.get_or_build(declared, ctx)?;
        built.downcast::<T>().map_err(|_| {
            StepError::permanent(
                "connection.type",
                format!(
                    "connection `{name}` is of type `{}`, which this step cannot use",
                    declared.kind
                ),
            )
        })
    }
}

type Built = HashMap<(String, String, PathBuf), AnyConnection>;

/// Every connection that this process has built, by type and rendered configuration.
#[derive(Clone, Default)]
pub struct Pools {
    registry: Arc<Registry>,
    built: Arc<Mutex<Built>>,
}

impl Pools {
    /// Pools that build with the connection types of `registry`.
    #[must_use]
    pub fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            built: Arc::default(),
        }
    }

    fn get_or_build(&self, declared: &Declared, ctx: &StepContext) -> Result<AnyConnection, StepError> {
        let key = (
            declared.kind.clone(),
            declared.config.to_string(),
            ctx.base_dir.as_ref().clone(),
        );
        // Held while building, so that two steps do not build one pool each. Building opens no sockets:
        // a pool connects when it is used.
        let mut built = self.built.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = built.get(&key) {
            return Ok(Arc::clone(found));
        }
        let made = self
            .registry
            .build_connection(&declared.kind, declared.config.clone(), ctx)?;
        built.insert(key, Arc::clone(&made));
        Ok(made)
    }
}
