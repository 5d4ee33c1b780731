//! `forEach` and `repeat`.

use std::sync::Arc;

use bowline_core::{Branches, ErrorKind, StepError};
use bowline_expression::Binding;
use serde_json::{Value, json};

use super::walk::{Flow, Scope};
use super::{errors, parallel};
use crate::plan::{ForEach, OnItemError, Repeat, RepeatCondition, Step};

impl Scope {
    /// The same steps for every item, so many at a time. Results are in the order of the items. An item
    /// that fails undoes nothing by itself; where the block fails, its saga does.
    pub(crate) async fn for_each(&self, step: &Step, block: &ForEach) -> Result<Flow, StepError> {
        let rendered = self.eval(step, "forEach", &block.items)?;
        let secret = !rendered.secrets.is_empty();
        let items = match rendered.value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            other => return Err(errors::wrong(&step.location, "forEach", "a list", &other)),
        };
        let mut results: Vec<Option<Value>> = Vec::new();
        results.resize_with(items.len(), || None);
        let mut running = Branches::default();
        let mut items = items.into_iter().enumerate();
        let (context, canceller) = self.context.cancellable();
        let block_scope = Self {
            context,
            ..self.clone()
        };
        let decision = loop {
            while running.len() < block.concurrency
                && let Some((number, item)) = items.next()
            {
                let item = if secret {
                    Binding::secret(item)
                } else {
                    Binding::open(item)
                };
                let names = [
                    (block.as_name.clone(), item),
                    (block.index_name.clone(), Binding::open(json!(number))),
                ];
                let scope = Self {
                    frame: self.frame.item(names),
                    ..block_scope.enter(&format!("{}[{number}]", step.id))
                };
                running.push(number, async move { scope.steps(&block.steps).await });
            }
            let Some((number, ended)) = running.next().await else {
                break Ok(None);
            };
            match ended {
                Ok(done @ Flow::Return(_)) => break Ok(Some(done)),
                Ok(Flow::Next(result)) => results[number] = Some(Arc::unwrap_or_clone(result.unwrap_or_default())),
                Err(error) if error.kind == ErrorKind::Cancelled => break Err(error),
                Err(error) => match block.on_item_error {
                    OnItemError::Fail => break Err(error),
                    OnItemError::Collect => results[number] = Some(json!({ "error": errors::as_value(&error) })),
                    OnItemError::Skip => self.run.collect(&format!("{}[{number}]", step.id), &error),
                },
            }
        };
        parallel::wind_down(&mut running, std::slice::from_ref(&canceller)).await;
        if let Some(done) = decision? {
            return Ok(done);
        }
        Ok(Flow::Next(Some(Arc::new(Value::Array(
            results.into_iter().flatten().collect(),
        )))))
    }

    /// The same steps again and again, with a durable pause between rounds.
    pub(crate) async fn repeat(&self, step: &Step, block: &Repeat) -> Result<Flow, StepError> {
        let mut last = None;
        for round in 1..=block.max {
            let name = format!("{}[{round}]", step.id);
            let counter = [("iteration".to_owned(), Binding::open(json!(round)))];
            let scope = Self {
                frame: self.frame.local(counter),
                ..self.enter(&name)
            };
            if let RepeatCondition::While(condition) = &block.condition
                && !scope.condition(step, "while", condition)?
            {
                return Ok(Flow::Next(last));
            }
            match scope.steps(&block.steps).await? {
                done @ Flow::Return(_) => return Ok(done),
                Flow::Next(result) => last = result,
            }
            if let RepeatCondition::Until(condition) = &block.condition
                && scope.condition(step, "until", condition)?
            {
                return Ok(Flow::Next(last));
            }
            if let Some(delay) = block.delay.filter(|_| round < block.max) {
                scope.context.sleep("delay", delay).await?;
            }
        }
        if let RepeatCondition::While(condition) = &block.condition {
            let round = [("iteration".to_owned(), Binding::open(json!(block.max + 1)))];
            let scope = Self {
                frame: self.frame.local(round),
                ..self.clone()
            };
            if !scope.condition(step, "while", condition)? {
                return Ok(Flow::Next(last));
            }
        }
        let message = format!(
            "{}: `{}` was still not done after {} rounds",
            step.location, step.id, block.max
        );
        Err(StepError::permanent("repeat.exhausted", message))
    }
}
