//! What a workflow certainly needs from the environment.
//!
//! An execution of an earlier process goes on only where its variables are there: without them its next step
//! would fail, although nothing is wrong with it. An expression that is only `env.NAME` needs the variable; one
//! that does something with it (a default, `$exists`) may not, and is left alone.

use std::collections::{BTreeMap, BTreeSet};

use bowline_expression::Template;
use bowline_flow::Plan;
use bowline_flow::plan::{ConnectionPlan, Trigger};
use serde_json::Value;

/// The names of `env` and `credentials` that the plan needs and that are not there.
#[must_use]
pub fn missing(plan: &Plan, env: &BTreeMap<String, String>, credentials: &Value) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    let mut look = |template: &Template| look_at(template, env, credentials, &mut missing);
    for step in plan.all_steps() {
        step.each_template(&mut look);
    }
    if let Some(output) = &plan.output {
        look(output);
    }
    for (name, connection) in &plan.connections {
        // Shared connections that this workflow does not mention are for others.
        if plan.source.text.contains(name.as_str()) {
            look(&connection.config);
        }
    }
    missing
}

/// The same of one connection.
#[must_use]
pub fn missing_of(
    connection: &ConnectionPlan,
    env: &BTreeMap<String, String>,
    credentials: &Value,
) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    look_at(&connection.config, env, credentials, &mut missing);
    missing
}

/// The same of one trigger's configuration.
#[must_use]
pub fn missing_of_trigger(trigger: &Trigger, env: &BTreeMap<String, String>, credentials: &Value) -> BTreeSet<String> {
    let mut missing = BTreeSet::new();
    look_at(&trigger.config, env, credentials, &mut missing);
    missing
}

fn look_at(template: &Template, env: &BTreeMap<String, String>, credentials: &Value, missing: &mut BTreeSet<String>) {
    for (_, _, expression) in template.expressions() {
        let Some(path) = expression.path() else { continue };
        let there = match path.split_first() {
            Some((root, [name, ..])) if root == "env" => env.contains_key(name),
            Some((root, rest)) if root == "credentials" => rest
                .iter()
                .try_fold(credentials, |value, name| value.get(name))
                .is_some(),
            _ => true,
        };
        if !there {
            missing.insert(path.join("."));
        }
    }
}
