//! Replaying journals to look at executions: nothing is called and nothing is written.
//!
//! A replay asks for no step's body, so that variables which this process does not have are stood in for. Only
//! where a condition reads one can that make a difference, and then the replay says that it does not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use bowline_connector::Registry;
use bowline_core::{Execution, Identity, Record, ReplayError, StepError, TokenKey};
use bowline_expression::Masker;
use bowline_flow::{FlowProgram, Plan, Runtime, Settings};
use bowline_store::{Definition, ExecutionRow, Store, StoreError};
use serde_json::{Map, Value};

use crate::{programs, time};

/// What stands for a variable that this process does not have.
const STAND_IN: &str = "(not set here)";

/// Makes programs that can be replayed, and replays them.
pub struct Replayer {
    registry: Arc<Registry>,
    masker: Masker,
    env: BTreeMap<String, String>,
    credentials: Value,
}

impl Replayer {
    /// With these variables and credentials, which are those of one organization.
    #[must_use]
    pub fn new(registry: Arc<Registry>, masker: Masker, env: BTreeMap<String, String>, credentials: Value) -> Self {
        Self {
            registry,
            masker,
            env,
            credentials,
        }
    }

    /// The program of a definition.
    ///
    /// # Errors
    /// Where this version cannot read it.
    pub fn program(&self, definition: &Definition) -> Result<FlowProgram, StepError> {
        let (bundle, plan) = programs::read(definition, &self.registry)?;
        let (mut env, mut credentials) = (self.env.clone(), self.credentials.clone());
        stand_in(&plan, &mut env, &mut credentials);
        let settings = Settings {
            env,
            credentials,
            ..Settings::default()
        };
        let runtime = Runtime::new(Arc::clone(&self.registry), self.masker.clone(), settings);
        Ok(FlowProgram::new(plan, Arc::new(runtime), bundle.folder))
    }
}

/// An execution as its journal leaves it, if the program fits it. What is too large for the journal has to be loaded.
///
/// # Errors
/// Where the store cannot be read.
pub fn replay(
    store: &dyn Store,
    row: &ExecutionRow,
    program: &FlowProgram,
    records: &[Record],
) -> Result<Result<Execution, ReplayError>, StoreError> {
    let identity = Identity {
        id: row.id.as_str().into(),
        workflow: row.workflow.as_str().into(),
        started_at: row.started_at,
        exec: row.exec.0,
        tokens: TokenKey::new(store.token_key()?),
    };
    Ok(Execution::replay(identity, program, records, time::now()).map(|(execution, _)| execution))
}

fn stand_in(plan: &Plan, env: &mut BTreeMap<String, String>, credentials: &mut Value) {
    let mut paths = Vec::new();
    for step in plan.all_steps() {
        step.each_template(&mut |template| {
            for (_, _, expression) in template.expressions() {
                paths.extend(expression.paths().iter().cloned());
            }
        });
    }
    for path in paths {
        match path.split_first() {
            Some((root, [name, ..])) if root == "env" => {
                env.entry(name.clone()).or_insert_with(|| STAND_IN.to_owned());
            }
            Some((root, names)) if root == "credentials" => put(credentials, names),
            _ => {}
        }
    }
}

fn put(value: &mut Value, names: &[String]) {
    if value.is_null() {
        *value = match names {
            [] => Value::String(STAND_IN.to_owned()),
            _ => Value::Object(Map::new()),
        };
    }
    if let ([name, rest @ ..], Value::Object(fields)) = (names, value) {
        put(fields.entry(name.clone()).or_insert(Value::Null), rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_there_is_not_stood_in_for() {
        let mut value = json!({ "a": { "b": 1 } });
        put(&mut value, &["a".into(), "c".into()]);
        put(&mut value, &["a".into(), "b".into()]);
        put(&mut value, &["x".into()]);
        assert_eq!(value, json!({ "a": { "b": 1, "c": STAND_IN }, "x": STAND_IN }));
    }
}
