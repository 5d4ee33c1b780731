//! `forEach` and `repeat`. Both run in stretches that [fold](super::fold) where that is possible.

use std::future::Future;
use std::sync::Arc;

use bowline_core::{Branches, ErrorKind, StepError};
use bowline_expression::Binding;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::facts::{Facts, may_do_much};
use super::walk::{Flow, Scope};
use super::{errors, parallel};
use crate::plan::{ForEach, OnItemError, Repeat, RepeatCondition, Step};

/// What some rounds of a loop came to.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Rounds<T> {
    /// They are over, and the loop goes on.
    Next(T),
    /// The loop is done.
    Done(T),
    /// The workflow is.
    Return(Option<Value>),
}

/// The items of a `forEach` that are still to come, with their numbers.
type Items = std::iter::Enumerate<std::vec::IntoIter<Value>>;

impl Scope {
    /// The same steps for every item, so many at a time. Results are in the order of the items. An item
    /// that fails undoes nothing by itself; where the block fails, its saga does.
    pub(crate) async fn for_each(&self, step: &Step, block: &ForEach) -> Result<Flow, StepError> {
        let rendered = self.eval(step, "forEach", &block.items)?;
        let is_secret = !rendered.secrets.is_empty();
        let items = match rendered.value {
            Value::Array(items) => items,
            Value::Null => Vec::new(),
            other => return Err(errors::wrong(&step.location, "forEach", "a list", &other)),
        };
        let each = Each {
            step,
            block,
            is_secret,
            folds: self.may_fold && !is_secret && self.run.facts.can_fold(&block.steps),
        };
        let items = items.into_iter().enumerate();
        let ended = if block.concurrency == 1 {
            self.one_by_one(&each, items).await?
        } else {
            self.at_once(&each, items).await?
        };
        Ok(match ended {
            Rounds::Next(results) | Rounds::Done(results) => Flow::Next(Some(Arc::new(Value::Array(results)))),
            Rounds::Return(result) => Flow::Return(result),
        })
    }

    async fn one_by_one(&self, each: &Each<'_>, mut items: Items) -> Result<Rounds<Vec<Value>>, StepError> {
        let stretch = Facts::stretch(&each.block.steps);
        let mut results = Vec::with_capacity(items.len());
        let mut from = 0;
        while items.len() > 0 {
            let part: Vec<(usize, Value)> = items.by_ref().take(stretch).collect();
            let to = from + part.len() as u64;
            let came = self
                .perhaps_folded(
                    each.folds,
                    each.step,
                    (from, to),
                    &each.block.steps,
                    |scope| async move {
                        let mut results = Vec::with_capacity(part.len());
                        for (number, item) in part {
                            match scope.item(each, number, item).await? {
                                Rounds::Next(result) | Rounds::Done(result) => results.extend(result),
                                Rounds::Return(result) => return Ok(Rounds::Return(result)),
                            }
                        }
                        Ok(Rounds::Next(results))
                    },
                )
                .await?;
            match came {
                Rounds::Next(part) | Rounds::Done(part) => results.extend(part),
                done @ Rounds::Return(_) => return Ok(done),
            }
            from = to;
        }
        Ok(Rounds::Done(results))
    }

    async fn at_once(&self, each: &Each<'_>, mut items: Items) -> Result<Rounds<Vec<Value>>, StepError> {
        let folds = each.folds && may_do_much(&each.block.steps);
        let mut results: Vec<Option<Value>> = Vec::new();
        results.resize_with(items.len(), || None);
        let (context, canceller) = self.context.cancellable();
        let block_scope = Self {
            context,
            ..self.clone()
        };
        let mut running = Branches::default();
        let decision = loop {
            while running.len() < each.block.concurrency
                && let Some((number, item)) = items.next()
            {
                let scope = &block_scope;
                let range = (number as u64, number as u64 + 1);
                running.push(number, async move {
                    scope
                        .perhaps_folded(folds, each.step, range, &each.block.steps, |scope| async move {
                            scope.item(each, number, item).await
                        })
                        .await
                });
            }
            let Some((number, ended)) = running.next().await else {
                break Ok(None);
            };
            match ended {
                Ok(Rounds::Next(result) | Rounds::Done(result)) => results[number] = result,
                Ok(Rounds::Return(result)) => break Ok(Some(result)),
                Err(error) => break Err(error),
            }
        };
        parallel::wind_down(&mut running, std::slice::from_ref(&canceller)).await;
        drop(running);
        Ok(match decision? {
            Some(result) => Rounds::Return(result),
            None => Rounds::Done(results.into_iter().flatten().collect()),
        })
    }

    /// One item: its result, or none where it failed and is left out.
    async fn item(&self, each: &Each<'_>, number: usize, item: Value) -> Result<Rounds<Option<Value>>, StepError> {
        let Each { step, block, .. } = each;
        let item = if each.is_secret {
            Binding::secret(item)
        } else {
            Binding::open(item)
        };
        let names = [
            (block.as_name.clone(), item),
            (block.index_name.clone(), Binding::open(json!(number))),
        ];
        let name = format!("{}[{number}]", step.id);
        let scope = Self {
            frame: self.frame.item(names),
            ..self.enter(&name)
        };
        match scope.steps(&block.steps).await {
            Ok(Flow::Return(result)) => Ok(Rounds::Return(result)),
            Ok(Flow::Next(result)) => Ok(Rounds::Next(Some(Arc::unwrap_or_clone(result.unwrap_or_default())))),
            Err(error) if error.kind == ErrorKind::Cancelled => Err(error),
            Err(error) => match block.on_item_error {
                OnItemError::Fail => Err(error),
                OnItemError::Collect => Ok(Rounds::Next(Some(json!({ "error": errors::as_value(&error) })))),
                OnItemError::Skip => {
                    self.collect(&name, &error);
                    Ok(Rounds::Next(None))
                }
            },
        }
    }

    async fn perhaps_folded<T, F, Fut>(
        &self,
        folds: bool,
        step: &Step,
        range: (u64, u64),
        steps: &[Step],
        inside: F,
    ) -> Result<Rounds<T>, StepError>
    where
        T: Serialize + serde::de::DeserializeOwned + Send,
        F: FnOnce(Self) -> Fut + Send,
        Fut: Future<Output = Result<Rounds<T>, StepError>> + Send,
    {
        if folds {
            self.folded(step, range, steps, inside).await
        } else {
            inside(self.clone()).await
        }
    }

    /// The same steps again and again, with a durable pause between rounds.
    pub(crate) async fn repeat(&self, step: &Step, block: &Repeat) -> Result<Flow, StepError> {
        let folds = self.may_fold && self.run.facts.can_fold(&block.steps);
        let stretch = Facts::stretch(&block.steps) as u64;
        let mut last = None;
        let mut from = 1;
        while from <= block.max {
            let to = from.saturating_add(stretch).min(block.max.saturating_add(1));
            let before = last.take();
            let came = self
                .perhaps_folded(folds, step, (from, to), &block.steps, |scope| async move {
                    scope.rounds(step, block, (from, to), before).await
                })
                .await?;
            match came {
                Rounds::Next(result) => last = result,
                Rounds::Done(result) => return Ok(Flow::Next(result.map(Arc::new))),
                Rounds::Return(result) => return Ok(Flow::Return(result)),
            }
            from = to;
        }
        if let RepeatCondition::While(condition) = &block.condition
            && !self
                .round(block.max.saturating_add(1))
                .condition(step, "while", condition)?
        {
            return Ok(Flow::Next(last.map(Arc::new)));
        }
        let message = format!(
            "{}: `{}` was still not done after {} rounds",
            step.location, step.id, block.max
        );
        Err(StepError::permanent("repeat.exhausted", message))
    }

    /// The same place with the number of a round in view.
    fn round(&self, number: u64) -> Self {
        Self {
            frame: self
                .frame
                .local([("iteration".to_owned(), Binding::open(json!(number)))]),
            ..self.clone()
        }
    }

    /// Rounds of a `repeat`; `last` is the result of the one before them.
    async fn rounds(
        &self,
        step: &Step,
        block: &Repeat,
        (from, to): (u64, u64),
        last: Option<Value>,
    ) -> Result<Rounds<Option<Value>>, StepError> {
        let mut last = last.map(Arc::new);
        for round in from..to {
            let scope = self.enter(&format!("{}[{round}]", step.id)).round(round);
            if let RepeatCondition::While(condition) = &block.condition
                && !scope.condition(step, "while", condition)?
            {
                return Ok(Rounds::Done(last.map(Arc::unwrap_or_clone)));
            }
            match scope.steps(&block.steps).await? {
                Flow::Return(result) => return Ok(Rounds::Return(result)),
                Flow::Next(result) => last = result,
            }
            if let RepeatCondition::Until(condition) = &block.condition
                && scope.condition(step, "until", condition)?
            {
                return Ok(Rounds::Done(last.map(Arc::unwrap_or_clone)));
            }
            if let Some(delay) = block.delay.filter(|_| round < block.max) {
                scope.context.sleep("delay", delay).await?;
            }
        }
        Ok(Rounds::Next(last.map(Arc::unwrap_or_clone)))
    }
}

/// A `forEach` that is under way.
struct Each<'a> {
    step: &'a Step,
    block: &'a ForEach,
    /// The list was made from a secret.
    is_secret: bool,
    folds: bool,
}
