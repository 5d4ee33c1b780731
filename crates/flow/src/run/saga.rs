//! Undoing: what compensations there are, and when they run.
//!
//! Every completed node that has a compensation is noted in the [`Undo`] of the innermost saga around
//! it; the workflow itself is the outermost. When a saga fails, its notes are undone newest first, out of
//! reach of cancellation, each with its own retries. A compensation reads the result of what it undoes as
//! `action`, and sees names as they were then in its loop frame.

use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::{Saga as Notes, StepError};
use bowline_expression::Binding;
use serde_json::{Value, json};

use super::errors;
use super::frame::Frame;
use super::walk::{Flow, Scope};
use crate::plan::{Saga, Step, StepKind};

/// What would have to be undone. Kept outside the futures that fill it, because those of a race's losers
/// are dropped.
pub(crate) type Undo = Arc<Mutex<Notes>>;

/// What a compensation reads of what it undoes; see [`note`].
pub(crate) struct Noted {
    frame: Arc<Frame>,
    id: String,
}

impl Noted {
    /// The action has its result only now: a callback brought it.
    pub(crate) fn result(&self, result: &Arc<Value>) {
        self.frame.rebind("action", Binding::open(Arc::clone(result)));
        self.frame.rebind(&self.id, Binding::open(Arc::clone(result)));
    }

    /// The answer of the node, where that is not its result.
    pub(crate) fn response(&self, response: &Arc<Value>) {
        self.frame.rebind("response", Binding::open(Arc::clone(response)));
    }
}

/// Takes note of how to undo an action that is done.
pub(crate) fn note(scope: &Scope, id: &str, path: String, compensation: &Arc<Step>, result: &Arc<Value>) -> Noted {
    let (undone, step) = (id.to_owned(), Arc::clone(compensation));
    let names = [
        ("action".to_owned(), Binding::open(Arc::clone(result))),
        (id.to_owned(), Binding::open(Arc::clone(result))),
    ];
    let scope = Scope {
        frame: scope.frame.local(names),
        ..scope.clone()
    };
    let read = Noted {
        frame: Arc::clone(&scope.frame),
        id: id.to_owned(),
    };
    let mut notes = scope.undo.lock().unwrap_or_else(PoisonError::into_inner);
    let cause = Arc::clone(&scope.run.cause);
    let undo_scope = scope.clone();
    notes.done(undone, move |_| {
        Box::pin(async move {
            let cause = cause.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let frame = undo_scope.frame.local([("error".to_owned(), Binding::open(cause))]);
            // A compensation is not itself compensated.
            let scope = Scope {
                recorder: Arc::clone(&undo_scope.run.recorder),
                frame,
                undo: Undo::default(),
                compensates: Some(path.as_str().into()),
                context: undo_scope.context.shielded(),
                ..undo_scope
            };
            scope.compensation(&step, &path).await
        })
    });
    drop(notes);
    read
}

/// Undoes everything noted, and gives the error back with what could not be undone.
pub(crate) async fn compensate(scope: &Scope, undo: &Undo, mut error: StepError) -> StepError {
    let notes = std::mem::take(&mut *undo.lock().unwrap_or_else(PoisonError::into_inner));
    if notes.is_empty() {
        return error;
    }
    *scope.run.cause.lock().unwrap_or_else(PoisonError::into_inner) = errors::as_value(&error);
    let left = notes.compensate(&scope.context).await;
    if !left.is_empty() {
        let not_undone: Vec<Value> = left
            .iter()
            .map(|left| json!({ "step": left.name, "error": errors::as_value(&left.error) }))
            .collect();
        let names: Vec<&str> = left.iter().map(|left| left.name.as_str()).collect();
        error.message = format!("{}; not undone: {}", error.message, names.join(", "));
        let mut data = error.data.take().map_or_else(|| json!({}), |data| *data);
        if !data.is_object() {
            data = json!({ "data": data });
        }
        data["notUndone"] = json!(not_undone);
        error.data = Some(Box::new(data));
    }
    error
}

impl Scope {
    /// `saga`: actions in order, undone in reverse when one fails. Its result maps actions to results.
    pub(crate) async fn saga(&self, step: &Step, saga: &Saga) -> Result<Flow, StepError> {
        let undo = Undo::default();
        let inner = Scope {
            undo: Arc::clone(&undo),
            ..self.enter(&step.id)
        };
        let mut results = serde_json::Map::new();
        for step in &saga.steps {
            let (action, compensation) = (&step.action, step.compensation.as_ref());
            // A node notes its own undoing when it is done; that of other blocks is noted here.
            let is_node = matches!(action.kind, StepKind::Node(_));
            let place = Scope {
                undone_by: compensation.filter(|_| is_node).cloned(),
                may_fold: inner.may_fold && (is_node || compensation.is_none()),
                ..inner.clone()
            };
            let result = match place.one(action).await {
                Ok(Flow::Return(result)) => {
                    self.keep(&inner);
                    return Ok(Flow::Return(result));
                }
                // It was skipped: there is nothing to undo.
                Ok(Flow::Next(None)) => continue,
                Ok(Flow::Next(Some(result))) => result,
                Err(error) => return Err(compensate(&inner, &undo, error).await),
            };
            if let (Some(compensation), false) = (compensation, is_node) {
                let _ = note(
                    &inner,
                    &action.id,
                    inner.context.path_of(&action.id),
                    compensation,
                    &result,
                );
            }
            results.insert(action.id.clone(), Value::clone(&result));
        }
        // Done as a whole: what encloses it may still have to undo it.
        self.keep(&inner);
        Ok(Flow::Next(Some(Arc::new(Value::Object(results)))))
    }
}
