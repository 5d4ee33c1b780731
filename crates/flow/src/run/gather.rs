//! `scatter` and `gather`: the same question to several nodes, one answer out of theirs.

use std::sync::Arc;

use bowline_core::{Branches, Canceller, ErrorKind, StepError};
use bowline_expression::{Binding, Template};
use serde_json::{Map, Value, json};

use super::walk::{Flow, Scope};
use super::{errors, parallel};
use crate::plan::{Gather, ScatterGather, Step};

/// The branch number of the deadline.
const DEADLINE: usize = usize::MAX;

impl Scope {
    pub(crate) async fn scatter(&self, step: &Step, block: &ScatterGather) -> Result<Flow, StepError> {
        let inner = self.enter(&step.id);
        let (scopes, cancellers): (Vec<Self>, Vec<Canceller>) =
            block.nodes.iter().map(|_| parallel::apart(&inner)).unzip();
        let mut answers: Vec<Answer> = Vec::new();
        answers.resize_with(block.nodes.len(), || None);
        let mut running = Branches::default();
        for (number, (node, scope)) in block.nodes.iter().zip(&scopes).enumerate() {
            running.push(number, scope.one(node));
        }
        let (clock, deadline) = inner.context.cancellable();
        if let Some(timeout) = block.timeout {
            let timer = clock.sleep("timeout", timeout);
            running.push(DEADLINE, async move { timer.await.map(|_| Flow::Next(None)) });
        }
        let early = collect(&mut running, &mut answers, &block.strategy).await;
        deadline.cancel();
        parallel::wind_down(&mut running, &cancellers).await;
        drop(running);
        let early = match early {
            Ok(None) => None,
            Ok(done) => done,
            Err(error) => {
                // Everything done is the enclosing saga's to undo.
                self.keep_all(&scopes);
                return Err(error);
            }
        };
        if let Some(done) = early {
            self.keep_all(&scopes);
            return Ok(done);
        }
        let first_only = matches!(block.strategy, Gather::First);
        let mut results = Vec::new();
        let mut failures = Vec::new();
        for ((node, scope), answer) in block.nodes.iter().zip(&scopes).zip(answers) {
            match answer {
                Some(Ok(value)) => {
                    self.keep(scope);
                    results.push(value);
                }
                Some(Err(error)) => {
                    self.give_up(scope, &node.id, &error).await;
                    failures.push((node, error));
                }
                None => {
                    let error = StepError::timeout(block.timeout.unwrap_or_default());
                    self.give_up(scope, &node.id, &error).await;
                    if !first_only || results.is_empty() {
                        failures.push((node, error));
                    }
                }
            }
        }
        for (node, error) in &failures {
            self.collect(&node.id, error);
        }
        let failures: Vec<Value> = failures
            .iter()
            .map(|(node, error)| {
                let mut entry = errors::as_value(error);
                entry["step"] = json!(node.id);
                entry
            })
            .collect();
        let result = inner.gather(step, &block.strategy, results, failures)?;
        Ok(Flow::Next(Some(Arc::new(result))))
    }

    fn gather(
        &self,
        step: &Step,
        strategy: &Gather,
        results: Vec<Value>,
        failures: Vec<Value>,
    ) -> Result<Value, StepError> {
        let none = |what: &str| {
            StepError::permanent("gather.no-answer", format!("{}: gather: {what}", step.location))
                .with_data(json!({ "failures": failures }))
        };
        if results.is_empty() && !matches!(strategy, Gather::Expression(_)) {
            return Err(none("no node answered"));
        }
        match strategy {
            Gather::All => Ok(Value::Array(results)),
            Gather::First => results.into_iter().next().ok_or_else(|| none("no node answered")),
            Gather::Majority => {
                let asked = results.len() + failures.len();
                let winner = results
                    .iter()
                    .find(|one| results.iter().filter(|other| other == one).count() * 2 > asked);
                winner
                    .cloned()
                    .ok_or_else(|| none("no answer was given by more than half of the nodes"))
            }
            Gather::Merge => {
                let mut merged = Map::new();
                for result in results {
                    if let Value::Object(fields) = body(result) {
                        merged.extend(fields);
                    }
                }
                Ok(Value::Object(merged))
            }
            Gather::BestPrice => best(results, |result| Ok(price(result)), |new, old| new < old)?
                .ok_or_else(|| none("no answer has a number as `price`, `total` or `amount`")),
            Gather::Min(by) => best(results, |result| self.number(step, by, result), |new, old| new < old)?
                .ok_or_else(|| none("`min` gave no number for any answer")),
            Gather::Max(by) => best(results, |result| self.number(step, by, result), |new, old| new > old)?
                .ok_or_else(|| none("`max` gave no number for any answer")),
            Gather::Expression(template) => {
                let names = [
                    ("results".to_owned(), Binding::open(Value::Array(results))),
                    ("failures".to_owned(), Binding::open(Value::Array(failures))),
                ];
                let scope = Self {
                    frame: self.frame.local(names),
                    ..self.clone()
                };
                Ok(scope.eval(step, "gather", template)?.masked)
            }
        }
    }

    fn number(&self, step: &Step, by: &Template, result: &Value) -> Result<Option<f64>, StepError> {
        let names = [("result".to_owned(), Binding::open(result.clone()))];
        let scope = Self {
            frame: self.frame.local(names),
            ..self.clone()
        };
        Ok(scope.eval(step, "gather", by)?.value.as_f64())
    }
}

type Answer = Option<Result<Value, StepError>>;

/// Takes answers until all are there, the first one is enough, or the time is up. Some flow where a node's
/// step ended the workflow.
async fn collect(
    running: &mut Branches<'_, Result<Flow, StepError>>,
    answers: &mut [Answer],
    strategy: &Gather,
) -> Result<Option<Flow>, StepError> {
    let mut missing = answers.len();
    while missing > 0
        && let Some((number, result)) = running.next().await
    {
        let result = match result {
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
            _ if number == DEADLINE => break,
            Ok(done @ Flow::Return(_)) => return Ok(Some(done)),
            Ok(Flow::Next(result)) => Ok(Arc::unwrap_or_clone(result.unwrap_or_default())),
            Err(error) => Err(error),
        };
        let enough = result.is_ok() && matches!(strategy, Gather::First);
        answers[number] = Some(result);
        missing -= 1;
        if enough {
            break;
        }
    }
    Ok(None)
}

fn best(
    results: Vec<Value>,
    measure: impl Fn(&Value) -> Result<Option<f64>, StepError>,
    better: fn(f64, f64) -> bool,
) -> Result<Option<Value>, StepError> {
    let mut best: Option<(f64, Value)> = None;
    for result in results {
        if let Some(number) = measure(&result)?
            && best.as_ref().is_none_or(|(old, _)| better(number, *old))
        {
            best = Some((number, result));
        }
    }
    Ok(best.map(|(_, result)| result))
}

/// The body of an HTTP answer, or the answer itself.
fn body(result: Value) -> Value {
    match result {
        Value::Object(mut fields) if fields.contains_key("status") && fields.contains_key("body") => {
            fields.remove("body").unwrap_or_default()
        }
        other => other,
    }
}

fn price(result: &Value) -> Option<f64> {
    let in_value = |value: &Value| {
        ["price", "total", "amount"]
            .iter()
            .find_map(|name| value.get(name)?.as_f64())
    };
    result.get("body").and_then(in_value).or_else(|| in_value(result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_found_in_the_body_or_beside_it() {
        for (value, expected) in [
            (json!({"status": 200, "body": {"price": 7.5}}), Some(7.5)),
            (json!({"total": 3}), Some(3.0)),
            (json!({"body": {"amount": 2}}), Some(2.0)),
            (json!({"body": {"price": "7"}}), None),
            (json!([1]), None),
        ] {
            assert_eq!(price(&value), expected, "{value}");
        }
    }
}
