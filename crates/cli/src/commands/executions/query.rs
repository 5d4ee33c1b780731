//! `bowline executions query`: the state of an execution, by replaying its journal here. Nothing is written, and
//! whoever runs the execution does not notice.

use bowline_expression::{Binding, Expression, Limits, Moment};
use serde_json::{Map, Value};

use crate::args::QueryArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text, time};
use crate::wiring::blobs::Loader;
use crate::wiring::replay::{replay, replayer};
use crate::wiring::store;
use bowline_store::Store;

pub(super) fn run(args: &QueryArgs) -> Result {
    let store = store::existing(&args.data.folder)?;
    let row = store::find(&store, &args.id)?;
    let definition = store
        .definition(&row.definition)?
        .ok_or_else(|| Failure::usage(format!("the definition of execution {} is not in the store", row.id)))?;
    let replayer = replayer(&row.organization, args.env_file.as_deref(), args.credentials.as_deref())?;
    let program = replayer
        .program(&definition)
        .map_err(|error| Failure::usage(text::message(&error)))?;
    let execution = replay(&store, &row, &program, &Loader::new(&args.data.folder)?)?
        .map_err(|error| Failure::usage(format!("execution {} cannot be replayed: {error}", row.id)))?;
    let state: Map<String, Value> = execution
        .published()
        .into_iter()
        .map(|(name, payload)| (name, payload.parse().unwrap_or_default()))
        .collect();
    let Some(text) = &args.expression else {
        terminal::print_json(&Value::Object(state))?;
        return Ok(Exit::Success);
    };
    // `${...}` around it is what workflows have; here it is optional.
    let text = text.trim();
    let text = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'))
        .unwrap_or(text);
    let expression = Expression::compile(text).map_err(|error| Failure::usage(format!("the expression: {error}")))?;
    let names: std::collections::HashMap<String, Binding> = state
        .into_iter()
        .flat_map(|(name, value)| {
            // Steps' results and variables are at hand by their own names too, as in the workflow.
            let own: Vec<(String, Value)> = match (&*name, &value) {
                ("variables", Value::Object(all)) => {
                    all.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
                }
                ("steps", Value::Object(all)) => all
                    .iter()
                    .filter_map(|(name, report)| Some((name.clone(), report.get("output")?.clone())))
                    .collect(),
                _ => Vec::new(),
            };
            own.into_iter().chain([(name, value)])
        })
        .map(|(name, value)| (name, Binding::open(value)))
        .collect();
    let moment = Moment {
        now_ms: time::now(),
        limits: Limits::default(),
        ..Moment::default()
    };
    let found = expression
        .evaluate(&names, &moment)
        .map_err(|error| Failure::usage(format!("the expression: {error}")))?;
    terminal::print_json(&found.value.unwrap_or_default())?;
    Ok(Exit::Success)
}
