//! The connections that a plan declares, rendered with what this process has.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bowline_connector::{Connections, Declared, StepContext, StepError};
use bowline_expression::Moment;
use serde_json::Value;

use super::Runtime;
use crate::plan::{ConnectionPlan, Plan};

impl Runtime {
    /// A declared connection, rendered. Its secrets are known to the masker from then on.
    pub(crate) fn declared(&self, plan: &Plan, name: &str, connection: &ConnectionPlan) -> Result<Declared, StepError> {
        let moment = Moment {
            now_ms: 0,
            seed: 0,
            limits: self.limits.clone(),
        };
        match connection.config.render(self, &moment) {
            Ok(config) => {
                config.secrets.iter().for_each(|secret| self.masker.add(secret));
                Ok(Declared {
                    kind: connection.kind.clone(),
                    config: config.value,
                })
            }
            Err(error) => Err(StepError::permanent(
                error.code,
                format!("connection `{name}` of {}: {error}", plan.name),
            )),
        }
    }

    /// The configuration of a connection as it may be shown: with what this process has, and without secrets, which all of
    /// `env` and `credentials` are. None where it cannot be rendered.
    #[must_use]
    pub fn shown_connection(&self, connection: &ConnectionPlan) -> Option<Value> {
        let moment = Moment {
            limits: self.limits.clone(),
            ..Moment::default()
        };
        Some(connection.config.render(self, &moment).ok()?.masked)
    }

    /// A context in which the connection called `name` can be used outside of an execution, such as for a test. Relative
    /// paths are resolved against `base_dir`.
    ///
    /// # Errors
    /// Where the plan declares no such connection, or what it needs of the environment is not there.
    pub fn connection_context(&self, plan: &Plan, name: &str, base_dir: PathBuf) -> Result<StepContext, StepError> {
        let connection = plan.connections.get(name).ok_or_else(|| {
            StepError::permanent(
                "connection.unknown",
                format!("{} has no connection `{name}`", plan.name),
            )
        })?;
        let declared = BTreeMap::from([(name.to_owned(), self.declared(plan, name, connection)?)]);
        Ok(StepContext {
            execution_id: "test".into(),
            workflow: plan.name.as_str().into(),
            path: name.into(),
            attempt: 1,
            idempotency_key: format!("test/{}", plan.name).into(),
            connections: Connections::new(declared, self.pools.clone()),
            masker: self.masker.clone(),
            base_dir: Arc::new(self.files.clone().unwrap_or(base_dir)),
            confined: self.files.is_some(),
            blobs: self.blobs.clone(),
            ..StepContext::for_tests()
        })
    }
}
