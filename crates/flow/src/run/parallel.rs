//! `parallel`: several branches at once, and when that is done.
//!
//! Each branch keeps its own note of what it would have to undo. A branch that loses is cancelled and
//! awaited, so that its `finally` runs; then what it had completed is undone. Where the whole block fails,
//! the notes of all branches go to the saga around it.

use std::sync::{Arc, PoisonError};

use bowline_core::{Branches, Canceller, ErrorKind, StepError};
use serde_json::{Map, Value, json};

use super::errors;
use super::saga::{Undo, compensate};
use super::walk::{Flow, Scope};
use crate::plan::{Branch, Join, Step};

/// How a branch ended; none while it has not.
type Ended = Option<Result<Value, StepError>>;

impl Scope {
    pub(crate) async fn parallel(&self, step: &Step, branches: &[Branch], join: Join) -> Result<Flow, StepError> {
        let block = self.enter(&step.id);
        let (scopes, cancellers): (Vec<Self>, Vec<Canceller>) =
            branches.iter().map(|branch| apart(&block.enter(&branch.name))).unzip();
        let mut ended: Vec<Ended> = Vec::new();
        ended.resize_with(branches.len(), || None);
        let outcome = run(branches, &scopes, &cancellers, join, &mut ended).await;
        let failed = match outcome {
            Ok(Some(done @ Flow::Return(_))) => {
                self.keep_all(&scopes);
                return Ok(done);
            }
            Ok(_) => None,
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            // Everything done is the enclosing saga's to undo.
            self.keep_all(&scopes);
            return Err(error);
        }
        let wins = |result: &Ended| match join {
            Join::WaitAll | Join::FirstSuccess | Join::Quorum(_) => matches!(result, Some(Ok(_))),
            Join::WaitAny | Join::Settle => result.is_some(),
        };
        for ((scope, branch), result) in scopes.iter().zip(branches).zip(&ended) {
            if wins(result) {
                self.keep(scope);
                continue;
            }
            let cause = match result {
                Some(Err(error)) => error.clone(),
                _ => StepError::permanent("race.lost", format!("branch `{}` lost", branch.name)),
            };
            self.give_up(scope, &branch.name, &cause).await;
        }
        if let (Join::WaitAny, Some(Some(Err(error)))) = (join, ended.iter().find(|result| result.is_some())) {
            return Err(error.clone());
        }
        let results: Map<String, Value> = branches
            .iter()
            .zip(ended)
            .filter_map(|(branch, result)| Some((branch.name.clone(), shown(join, result?)?)))
            .collect();
        Ok(Flow::Next(Some(Arc::new(Value::Object(results)))))
    }

    pub(crate) fn keep_all(&self, scopes: &[Self]) {
        for scope in scopes {
            self.keep(scope);
        }
    }

    /// Undoes what a branch did that is not wanted any more; what cannot be undone is collected.
    pub(crate) async fn give_up(&self, branch: &Self, name: &str, cause: &StepError) {
        let after = compensate(branch, &branch.undo, cause.clone()).await;
        if after.data != cause.data {
            self.collect(name, &after);
        }
    }

    /// What a branch did is the enclosing saga's from now on.
    pub(crate) fn keep(&self, branch: &Self) {
        let notes = std::mem::take(&mut *branch.undo.lock().unwrap_or_else(PoisonError::into_inner));
        self.undo.lock().unwrap_or_else(PoisonError::into_inner).absorb(notes);
    }
}

/// Runs branches until the join is decided, then cancels the others and awaits their end.
async fn run(
    branches: &[Branch],
    scopes: &[Scope],
    cancellers: &[Canceller],
    join: Join,
    ended: &mut [Ended],
) -> Result<Option<Flow>, StepError> {
    let mut running = Branches::default();
    for (number, (branch, scope)) in branches.iter().zip(scopes).enumerate() {
        running.push(number, scope.steps(&branch.steps));
    }
    let decision = decide(branches, &mut running, join, ended).await;
    wind_down(&mut running, cancellers).await;
    decision
}

/// Cancels what still runs and waits until it has cleaned up.
pub(crate) async fn wind_down<'a, T: Send + 'a>(running: &mut Branches<'a, T>, cancellers: &[Canceller]) {
    if running.is_empty() {
        return;
    }
    cancellers.iter().for_each(Canceller::cancel);
    while running.next().await.is_some() {}
}

async fn decide(
    branches: &[Branch],
    running: &mut Branches<'_, Result<Flow, StepError>>,
    join: Join,
    ended: &mut [Ended],
) -> Result<Option<Flow>, StepError> {
    let total = branches.len();
    let (mut succeeded, mut failed) = (0, Vec::new());
    while let Some((number, result)) = running.next().await {
        let result = match result {
            Ok(done @ Flow::Return(_)) => return Ok(Some(done)),
            Ok(Flow::Next(result)) => Ok(Arc::unwrap_or_clone(result.unwrap_or_default())),
            // The execution is being cancelled; the others will say the same once they have cleaned up.
            Err(error) if error.kind == ErrorKind::Cancelled => return Err(error),
            Err(error) => Err(error),
        };
        match &result {
            Ok(_) => succeeded += 1,
            Err(error) => failed.push(format!("{}: {error}", branches[number].name)),
        }
        let error = result.as_ref().err().cloned();
        ended[number] = Some(result);
        match (join, error) {
            (Join::WaitAll, Some(error)) => return Err(error),
            (Join::WaitAny, _) | (Join::FirstSuccess, None) => return Ok(None),
            (Join::FirstSuccess, Some(_)) if failed.len() == total => {
                let message = format!("no branch succeeded: {}", failed.join("; "));
                return Err(StepError::permanent("parallel.all-failed", message));
            }
            (Join::Quorum(wanted), _) if succeeded == wanted => return Ok(None),
            (Join::Quorum(wanted), Some(_)) if total - failed.len() < wanted => {
                let message = format!("{wanted} of {total} branches had to succeed, but {}", failed.join("; "));
                return Err(StepError::permanent("parallel.no-quorum", message));
            }
            _ => {}
        }
    }
    Ok(None)
}

fn shown(join: Join, result: Result<Value, StepError>) -> Option<Value> {
    match (join, result) {
        (Join::Settle, Ok(output)) => Some(json!({ "status": "succeeded", "output": output })),
        (Join::Settle, Err(error)) => Some(json!({ "status": "failed", "error": errors::as_value(&error) })),
        (_, result) => result.ok(),
    }
}

/// A scope whose undoing is its own and that can be cancelled by itself.
pub(crate) fn apart(scope: &Scope) -> (Scope, Canceller) {
    let (context, canceller) = scope.context.cancellable();
    (
        Scope {
            undo: Undo::default(),
            context,
            ..scope.clone()
        },
        canceller,
    )
}
