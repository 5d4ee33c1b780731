//! Large payloads: kept beside the journal, which has references to them.
//!
//! What comes in (results of steps, inputs, answers, signals) is kept before its event is made, by whoever brings
//! it and never by a driver. What a journal refers to is loaded before an execution is brought back.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{
    Answer, BlobId, BlobStore, ErrorKind, Event, Input, Outcome, Payload, Record, StepError, externalize, internalize,
};
use bowline_store::{ExecNo, OpenExecution, Write};
use tokio::sync::watch::Receiver;

use crate::engine::EngineError;
use crate::env::Env;
use crate::recovery::Stuck;
use crate::segments::read_journal;

/// How often what nothing refers to any more is deleted.
const COLLECT: Duration = Duration::from_secs(3600);
/// A blob is put before the commit that refers to it, so young ones are left alone.
const YOUNG: Duration = Duration::from_secs(24 * 3600);
/// How a stored payload looks in a record.
const STORED: &[u8] = b"{\"$payload\"";

impl Env {
    /// Keeps a payload beside the journal if it is large.
    pub(crate) async fn externalize(&self, payload: Payload) -> Result<Payload, EngineError> {
        match &self.options.blobs {
            Some(blobs) => externalize(payload, blobs.as_ref())
                .await
                .map_err(|error| EngineError::Blob(Arc::new(error))),
            None => Ok(payload),
        }
    }

    /// The same for what comes in from outside.
    pub(crate) async fn externalize_input(&self, input: Input) -> Result<Input, EngineError> {
        Ok(match input {
            Input::WaitAnswered {
                path,
                answer: Answer::Succeeded { output, event },
            } => {
                let output = self.externalize(output).await?;
                Input::WaitAnswered {
                    path,
                    answer: Answer::Succeeded { output, event },
                }
            }
            Input::Signal { name, data, id } => Input::Signal {
                name,
                data: self.externalize(data).await?,
                id,
            },
            other => other,
        })
    }

    /// What a journal says, where it refers to payloads that have to be loaded; none where the driver can read it.
    pub(crate) async fn loaded_records(&self, open: &OpenExecution) -> Result<Option<Vec<Record>>, Stuck> {
        if !refers_to_payloads(open) {
            return Ok(None);
        }
        let stuck = |error: String| Stuck {
            id: open.row.id.clone(),
            workflow: open.row.workflow.clone(),
            error,
        };
        let mut records =
            read_journal(&open.journal).map_err(|error| stuck(format!("its journal cannot be read: {error}")))?;
        self.load(&mut records)
            .await
            .map_err(|error| stuck(error.to_string()))?;
        Ok(Some(records))
    }

    /// Loads all payloads that records refer to.
    pub(crate) async fn load(&self, records: &mut [Record]) -> Result<(), EngineError> {
        let Some(blobs) = &self.options.blobs else {
            return Ok(());
        };
        for record in records {
            internalize(&mut record.events, blobs.as_ref())
                .await
                .map_err(|error| EngineError::Blob(Arc::new(error)))?;
        }
        Ok(())
    }

    /// The same for how an execution ended.
    pub(crate) async fn load_outcome(&self, outcome: Outcome) -> Result<Outcome, EngineError> {
        let mut records = [Record {
            at: 0,
            events: vec![Event::Finished { outcome }],
        }];
        self.load(&mut records).await?;
        let [Record { events, .. }] = records;
        match events.into_iter().next() {
            Some(Event::Finished { outcome }) => Ok(outcome),
            _ => Err(EngineError::Invalid("an end without an outcome".into())),
        }
    }
}

/// The result of an attempt, kept if it is large. What cannot be kept was done all the same.
pub(crate) async fn keep_result(
    blobs: Option<Arc<dyn BlobStore>>,
    result: Result<Payload, StepError>,
) -> Result<Payload, StepError> {
    match (result, blobs) {
        (Ok(output), Some(blobs)) => externalize(output, blobs.as_ref()).await.map_err(|error| {
            let mut error = StepError::from(error);
            if error.kind == ErrorKind::Transient {
                error.kind = ErrorKind::OutcomeUnknown;
            }
            error
        }),
        (result, _) => result,
    }
}

/// That an execution refers to what its record refers to.
pub(crate) fn references(exec: ExecNo, record: &[u8]) -> impl Iterator<Item = Write> {
    BlobId::all_in(record).into_iter().map(move |id| Write::Reference {
        exec,
        blob: id.to_string(),
    })
}

pub(crate) fn refers_to_payloads(open: &OpenExecution) -> bool {
    open.journal
        .iter()
        .any(|record| memchr::memmem::find(&record.events, STORED).is_some())
}

/// Whether a payload of how something ended is not here.
pub(crate) fn is_absent(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Succeeded(output) if output.absent().is_some())
}

/// Deletes what nothing refers to any more, until the engine has ended.
pub(crate) fn run_collector(env: &Arc<Env>, mut ended: Receiver<bool>) {
    let Some(blobs) = env.options.blobs.clone() else { return };
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
        let mut ticks = tokio::time::interval(COLLECT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                _ = ticks.tick() => {}
            }
            let store = Arc::clone(&env.store);
            let referenced = move |id: &BlobId| {
                bowline_store::is_blob_kept(store.as_ref(), id.as_str())
                    .map_err(|error| bowline_core::BlobError::Source(Box::new(error)))
            };
            match blobs.collect(Arc::new(referenced), YOUNG).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "blobs that nothing refers to were deleted"),
                Err(error) => {
                    tracing::warn!(%error, "blobs that nothing refers to cannot be deleted; it is tried again");
                }
            }
        }
    });
}
