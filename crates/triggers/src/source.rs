//! The place where triggers plug in.
//!
//! A [`Source`] is one kind of trigger, such as `schedule` or a queue. For every trigger of that kind in a workflow that
//! is deployed its [`run`](Source::run) is called with what the trigger is bound to; it goes on until it is told to stop,
//! which is when the workflow changes, or the server stops. What it hears of it gives to [`Bound::deliver`], and when
//! that has returned, the execution is durable: only then does it tell where it came from (acknowledge a message, store
//! an offset, move a file).
//!
//! What is delivered twice starts once, in one of two ways:
//! - The source's own id of what came (a delivery's id; topic, partition and offset) is the
//!   [key](Delivery::key): where it has come before, the execution that it started is the answer.
//! - Entries of the source's own are written [with](Delivery::with) the start, in one commit. `EntryWrite::Add` and
//!   `EntryWrite::Swap` make a second start fail as [`Trouble::Changed`] before anything is written.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bowline_connector::TriggerType;
use bowline_flow::plan::{Selected, Trigger};
use bowline_host::{Active, Problem};
use bowline_store::EntryWrite;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::place::{Begin, Place, Trouble};

/// A kind of trigger.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// What the language knows of it: its name, its configuration.
    fn kind(&self) -> TriggerType;

    /// Runs one trigger until `stop` is cancelled, and returns soon after. Where it returns an error before that, it is
    /// run again after a while, longer each time up to a minute, and the error is shown with the trigger.
    async fn run(&self, bound: Arc<Bound>, stop: CancellationToken) -> Result<(), Trouble>;

    /// Which triggers of this kind there are now. Called at the start and after every change, before the new ones run.
    async fn present(&self, all: &[Arc<Bound>]) -> Result<(), Trouble> {
        let _ = all;
        Ok(())
    }
}

/// What a trigger has heard of.
#[derive(Clone, Debug, Default)]
pub struct Delivery {
    /// What `when`, `input` and `key` read as `trigger`.
    pub values: Value,
    /// The source's own id of it. The trigger's `key`, where it has one, is taken instead.
    pub key: Option<String>,
    /// The id of the execution; a new one if none is given.
    pub id: Option<String>,
    /// Written in the commit of the start.
    pub with: Vec<EntryWrite>,
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// `when` is false. Nothing was written.
    Filtered,
    /// An execution began.
    Started(String),
    /// Its key led to this execution, which was there. Nothing was written.
    Known(String),
}

/// How a trigger is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriggerView {
    /// The workflow that it starts.
    pub workflow: String,
    /// Its id in the workflow.
    pub trigger: String,
    /// What kind it is, such as `schedule`.
    pub kind: String,
    /// What is wrong with it at the moment; absent while it works.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A trigger of a deployed workflow.
pub struct Bound {
    /// Whose it is.
    pub organization: String,
    /// The workflow that it starts.
    pub workflow: String,
    /// What the workflow says about it.
    pub trigger: Trigger,
    /// Its configuration, with secrets: not for logs.
    pub config: Value,
    pub(crate) active: Active,
    pub(crate) place: Arc<dyn Place>,
    /// Why it has no configuration, such as a variable that is not there. Then nothing runs it.
    pub(crate) unusable: Option<String>,
    pub(crate) problem: Mutex<Option<String>>,
}

impl Bound {
    /// A name for it that is unique in its organization and stays when the workflow changes.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.workflow, self.trigger.id)
    }

    /// Entries and executions, for sources that keep something.
    #[must_use]
    pub fn place(&self) -> &Arc<dyn Place> {
        &self.place
    }

    /// Starts the workflow for something that came, as `when`, `input` and `key` say. When this has returned, what it
    /// returns is durable, and so is what came with the delivery, unless it was filtered or known.
    ///
    /// # Errors
    /// [`Trouble::Refused`] where a template fails or the workflow does not take the input; [`Trouble::Changed`] where
    /// an entry is not as the delivery takes it to be; [`Trouble::Later`] where nobody knows, and it is to be delivered
    /// again.
    pub async fn deliver(&self, delivery: Delivery) -> Result<Taken, Trouble> {
        let selected = self.select(delivery.values).await;
        let (input, key) = match selected.map_err(Trouble::Refused)? {
            Selected::Filtered => return Ok(Taken::Filtered),
            Selected::Start { input, key } => (input, key.or(delivery.key)),
        };
        let begin = Begin {
            workflow: self.workflow.clone(),
            id: delivery.id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string()),
            input,
            key,
            with: delivery.with,
        };
        let started = self.place.start(&self.organization, begin).await?;
        Ok(if started.created {
            Taken::Started(started.id)
        } else {
            Taken::Known(started.id)
        })
    }

    /// What `when`, `input` and `key` make of what came.
    pub(crate) async fn select(&self, values: Value) -> Result<Selected, String> {
        let settings = Arc::clone(&self.active.settings);
        let selected = if self.trigger.is_light() {
            self.trigger.select(&settings, &values)
        } else {
            // An expression may take its time, which others must not wait for.
            let trigger = self.trigger.clone();
            let done = tokio::task::spawn_blocking(move || trigger.select(&settings, &values)).await;
            done.map_err(|error| error.to_string())?
        };
        selected.map_err(|error| error.to_string())
    }

    /// Says what is wrong with the trigger, or that it works. Shown to people; no secrets.
    pub fn report(&self, problem: Option<String>) {
        let mut now = self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        if *now != problem {
            if let Some(problem) = &problem {
                tracing::warn!(
                    organization = self.organization,
                    trigger = self.name(),
                    problem,
                    "a trigger has a problem"
                );
            }
            self.note(problem.as_deref());
            *now = problem;
        }
    }

    /// It is not there any more, nor is what was wrong with it.
    pub(crate) fn forget(&self) {
        self.note(None);
    }

    fn note(&self, problem: Option<&str>) {
        let problems = problem.map(|problem| Problem::at(&self.trigger.location, problem));
        let source = format!("trigger:{}", self.trigger.id);
        self.place.note(
            &self.organization,
            &self.workflow,
            &source,
            problems.into_iter().collect(),
        );
    }

    pub(crate) fn view(&self) -> TriggerView {
        TriggerView {
            workflow: self.workflow.clone(),
            trigger: self.trigger.id.clone(),
            kind: self.trigger.kind.clone(),
            problem: self.problem.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    /// Whether it would do the same as this one.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        self.active.definition.hash == other.active.definition.hash && self.config == other.config
    }
}
