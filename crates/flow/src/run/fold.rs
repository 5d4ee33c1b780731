//! Folding: stretches of loops that are done stand for themselves by one value.
//!
//! A loop of a million rounds must not need the journal of a million rounds to go on. So rounds are run in
//! stretches, and of one that is done the core may forget the inside ([`Context::folded`]). Then everything
//! that the rest of the run reads of it has to be in the value that is left: the results, the names that were
//! made, the reports of `steps`, the errors that were collected.
//!
//! A replay may run the inside of a stretch, or may only be told its value, and must not be able to tell the
//! two apart. So while a stretch runs, what it makes is seen inside it only, and comes into view for the
//! rest at its end, in both cases alike.
//!
//! [`Context::folded`]: bowline_core::Context::folded

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::StepError;
use bowline_expression::Binding;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::report::Report;
use super::walk::{Scope, parse, payload};
use crate::plan::Step;

/// What steps leave behind for the rest of the run.
#[derive(Default)]
pub(crate) struct Notes {
    /// `workflow.errors`, in order.
    pub(crate) errors: Vec<Value>,
    /// `steps.<id>`.
    pub(crate) steps: HashMap<String, Report>,
}

impl Notes {
    fn absorb(&mut self, inner: Self) {
        self.errors.extend(inner.errors);
        self.steps.extend(inner.steps);
    }
}

/// The notes of the run, or of a stretch that is under way; those around it can be read too.
#[derive(Default)]
pub(crate) struct Recorder {
    notes: Mutex<Notes>,
    around: Option<Arc<Recorder>>,
}

impl Recorder {
    fn inside(self: &Arc<Self>) -> Arc<Self> {
        Arc::new(Self {
            notes: Mutex::default(),
            around: Some(Arc::clone(self)),
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn collect(&self, error: Value) {
        self.lock().errors.push(error);
    }

    pub(crate) fn report(&self, step: &str, report: Report) {
        self.lock().steps.insert(step.to_owned(), report);
    }

    /// All errors, in order.
    pub(crate) fn errors(&self) -> Vec<Value> {
        let mut errors = self.around.as_ref().map(|around| around.errors()).unwrap_or_default();
        errors.extend(self.lock().errors.iter().cloned());
        errors
    }

    /// All reports.
    pub(crate) fn steps(&self) -> HashMap<String, Report> {
        let mut steps = self.around.as_ref().map(|around| around.steps()).unwrap_or_default();
        steps.extend(
            self.lock()
                .steps
                .iter()
                .map(|(id, report)| (id.clone(), report.clone())),
        );
        steps
    }

    fn take(&self) -> Notes {
        std::mem::take(&mut *self.lock())
    }
}

/// What a stretch came to, as it is recorded.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Folded<T> {
    result: T,
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    names: serde_json::Map<String, Value>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Value>,
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    steps: HashMap<String, Report>,
}

impl Scope {
    /// Runs `inside` as a scope that folds: the rounds `range` of the loop `step`, which run `steps`.
    pub(crate) async fn folded<T, F, Fut>(
        &self,
        step: &Step,
        range: (u64, u64),
        steps: &[Step],
        inside: F,
    ) -> Result<T, StepError>
    where
        T: Serialize + serde::de::DeserializeOwned + Send,
        F: FnOnce(Scope) -> Fut + Send,
        Fut: Future<Output = Result<T, StepError>> + Send,
    {
        let facts = &self.run.facts;
        let names = facts.makes(steps);
        let recorder = self.recorder.inside();
        let frame = self.frame.item([]);
        let inner = Scope {
            recorder: Arc::clone(&recorder),
            frame: Arc::clone(&frame),
            ..self.clone()
        };
        let with_outputs = facts.is_read("steps");
        let made = |names: &BTreeSet<String>| -> Vec<(String, Binding)> {
            let made = names.iter().filter_map(|name| Some((name.clone(), frame.own(name)?)));
            made.collect()
        };
        let folded = self
            .context
            .folded(&step.id, Some(range), async {
                let result = inside(inner).await?;
                let mut notes = recorder.take();
                if !with_outputs {
                    notes.steps.values_mut().for_each(|report| report.output = None);
                }
                let names = made(&names)
                    .into_iter()
                    .map(|(name, binding)| (name, Value::clone(&binding.value)));
                payload(
                    &serde_json::to_value(Folded {
                        result,
                        names: names.collect(),
                        errors: notes.errors,
                        steps: notes.steps,
                    })
                    .map_err(|error| {
                        StepError::permanent("output.invalid", "what a loop came to is not JSON").caused_by(&error)
                    })?,
                )
            })
            .await;
        match folded {
            Ok(folded) => {
                let Folded {
                    result,
                    names,
                    errors,
                    steps,
                } = parse(&folded)?;
                for (name, value) in names {
                    self.frame.set(&name, Binding::open(value));
                }
                self.recorder.lock().absorb(Notes { errors, steps });
                Ok(result)
            }
            Err(error) => {
                // It does not fold, so that a replay runs it again and comes to the same.
                for (name, binding) in made(&names) {
                    self.frame.set(&name, binding);
                }
                self.recorder.lock().absorb(recorder.take());
                Err(error)
            }
        }
    }
}
