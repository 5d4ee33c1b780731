//! Is this input what the workflow wants?

use bowline_core::StepError;
use serde_json::{Value, json};

use super::misfit::{self, Misfit};
use crate::plan::Plan;

/// Everything that is wrong with an input, each with its path in the input. Empty when it fits.
#[must_use]
pub fn check_input(plan: &Plan, input: &Value) -> Vec<String> {
    misfits_of_input(plan, input)
        .into_iter()
        .map(|misfit| misfit.message)
        .collect()
}

/// As [`check_input`], with the place of each.
#[must_use]
pub fn misfits_of_input(plan: &Plan, input: &Value) -> Vec<Misfit> {
    let Some(schema) = &plan.input_schema else {
        return Vec::new();
    };
    // Compiled once: it takes longer than most inputs take to be checked.
    let compiled = plan.input_validator.get_or_init(|| {
        jsonschema::validator_for(schema).map_err(|error| format!("the workflow's input schema is wrong: {error}"))
    });
    match compiled {
        Ok(validator) => misfit::of(validator, input, "input"),
        // The checker refuses such schemas; a definition from elsewhere gets the same answer here.
        Err(error) => misfit::of_schema(error.clone()),
    }
}

pub(crate) fn check(plan: &Plan, input: &Value) -> Result<(), StepError> {
    let problems = check_input(plan, input);
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("the input does not fit: {}", problems.join("; "));
    Err(StepError::permanent("input.invalid", message).with_data(json!({ "problems": problems })))
}
