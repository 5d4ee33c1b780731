//! Taking up what an earlier process left unfinished.
//!
//! Unfinished executions are read page by page. Those that there are places for go on at once; the others wait for theirs in the
//! backlog, like new ones, so memory does not grow with how many there are, and nobody waits for what hangs.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bowline_core::{Origin, Path, StepError};
use bowline_store::{
    Definition, ExecNo, JournalRecord, OpenExecution, Status, Store, StoreError, WaitFilter, WaitState,
};
use tokio::sync::{mpsc, oneshot};

use crate::backlog::Placed;
use crate::driver::{Message, Recover, Resume};
use crate::engine::{Engine, EngineError, Handle};
use crate::env::{Env, requests_about};
use crate::segments::read_journal;
use crate::{Migration, waker};

const PAGE: usize = 512;

/// An execution that cannot go on: its program does not fit its journal, or cannot be loaded. It stays
/// as it is, unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its id.
    pub id: String,
    /// Its workflow.
    pub workflow: String,
    /// Why, naming the step where one is concerned.
    pub error: String,
}

/// What a recovery found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// How many executions go on.
    pub resumed: usize,
    /// How many go on later, each when there is a place for it in memory.
    pub waiting: usize,
    /// Those that cannot.
    pub stuck: Vec<Stuck>,
}

impl Engine {
    /// Takes up everything that is unfinished in the store, children with their parents. Returns when all of it is running
    /// again that there are places for: the rest begins as places come free, also while what runs hangs; what of it cannot go
    /// on is told by [`Engine::stuck`]. With a virtual clock it returns when nothing waits any more. [`Engine::idle`] tells
    /// when all of it has ended.
    ///
    /// # Errors
    /// Where the store cannot be read or the engine stops.
    pub async fn recover(&self) -> Result<RecoveryReport, EngineError> {
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut summary = RecoveryReport::default();
        let mut drivers: HashMap<String, usize> = HashMap::new();
        let mut sent = 0;
        let env = &self.env;
        let read = |after: ExecNo| {
            let env = Arc::clone(env);
            let reading = async move { env.blocking(move |env| env.store.open_executions(after, PAGE)).await };
            env_task(&self.env, reading)
        };
        let mut next = read(ExecNo(0));
        loop {
            let page = next.await???;
            let Some(last) = page.last() else { break };
            // Read while this page is being replayed.
            next = read(last.row.exec);
            for open in page {
                if open.row.exec >= env.first_own {
                    continue;
                }
                let driver = open.row.parent.as_ref().and_then(|parent| drivers.get(parent).copied());
                let permit = match env.place_for_now(&open)? {
                    Placed::Is(permit) => permit,
                    Placed::None => {
                        env.put_off(&open.row);
                        summary.waiting += 1;
                        continue;
                    }
                };
                let driver = driver.unwrap_or_else(|| env.pick());
                let Some(claim) = env.owners.claim_as_read(open.row.exec, driver) else {
                    continue;
                };
                drivers.insert(open.row.id.clone(), driver);
                match env.definition_of(&open.row.organization, &open.row.definition).await? {
                    Err(error) => {
                        let stuck = stuck(&open, &error);
                        env.stuck(&stuck, open.row.exec);
                        summary.stuck.push(stuck);
                    }
                    Ok(loaded) => {
                        let report = report.clone();
                        let records = match env.loaded_records(&open).await {
                            Ok(records) => records,
                            Err(stuck) => {
                                env.stuck(&stuck, open.row.exec);
                                summary.stuck.push(stuck);
                                continue;
                            }
                        };
                        let recover = Recover::new(open, records, loaded, permit, claim, report);
                        env.send(driver, Message::Recover(Box::new(recover)))?;
                        sent += 1;
                    }
                }
            }
        }
        drop(report);
        while let Some(result) = reports.recv().await {
            sent -= 1;
            summary.count(result);
        }
        // Those without an answer were running here already.
        tracing::debug!(unanswered = sent, "recovery is done");
        if env.options.clock.is_virtual() {
            self.wake_all().await?;
            env.backlog_is_empty().await?;
        }
        env.spawn_bring_together();
        Ok(summary)
    }

    /// With a virtual clock nothing leaves memory, so that it is known what is due next.
    async fn wake_all(&self) -> Result<(), EngineError> {
        let mut after = (i64::MIN, ExecNo(i64::MIN));
        loop {
            let page = self.env.blocking(move |env| env.store.due(after, PAGE)).await??;
            let Some(last) = page.last() else { return Ok(()) };
            after = *last;
            let execs = page.into_iter().map(|(_, exec)| exec).collect();
            waker::bring_back(&self.env, execs, i64::MAX).await?;
        }
    }

    /// Takes up one execution: an unfinished one goes on where it was; a failed or cancelled one runs
    /// again from the top, keeping the results of what was completed and not undone. Returns when that is durable.
    ///
    /// # Errors
    /// [`EngineError::AlreadyRunning`] where it is in memory here; others where it does not exist, has succeeded, or
    /// does not fit its definition.
    pub async fn resume(&self, id: &str, reason: &str) -> Result<Handle, EngineError> {
        self.take_up(id, reason, None, None).await
    }

    /// As [`Engine::resume`], or [`Engine::resume_on`] where there is a definition, and waits for a place at most so long.
    ///
    /// # Errors
    /// As these; [`EngineError::Busy`] where there was no place in that time: nothing has changed.
    pub async fn resume_within(
        &self,
        id: &str,
        onto: Option<Definition>,
        reason: &str,
        patience: Duration,
    ) -> Result<Handle, EngineError> {
        match onto {
            Some(onto) => self.take_up_on(id, onto, reason, Some(patience)).await,
            None => self.take_up(id, reason, None, Some(patience)).await,
        }
    }

    /// Takes up one execution on another definition. It runs again from the top: what was done and is the same in
    /// the new definition keeps its result, everything else runs. An unfinished one is paused first; where it is refused
    /// it goes on as it was. Returns when that is durable.
    ///
    /// # Errors
    /// As [`Engine::resume`]; and where something was done that the new definition has no place for, with the list.
    pub async fn resume_on(&self, id: &str, definition: Definition, reason: &str) -> Result<Handle, EngineError> {
        self.take_up_on(id, definition, reason, None).await
    }

    async fn take_up_on(
        &self,
        id: &str,
        definition: Definition,
        reason: &str,
        patience: Option<Duration>,
    ) -> Result<Handle, EngineError> {
        let before = self.env.row(id).await?.status;
        let pauses = self.env.pause(id).await? && before != Status::Paused;
        let handle = self.take_up(id, reason, Some(definition), patience).await;
        if pauses && handle.is_err() {
            // The refusal is what matters; that it cannot go on either is told by whatever keeps it from that.
            if let Err(error) = self.env.unpause(id).await {
                tracing::warn!(id, %error, "an execution that was paused to be moved stays paused");
            }
        }
        handle
    }

    async fn take_up(
        &self,
        id: &str,
        reason: &str,
        onto: Option<Definition>,
        patience: Option<Duration>,
    ) -> Result<Handle, EngineError> {
        let refuse = |why: String| EngineError::NotResumable { id: id.to_owned(), why };
        let env = &self.env;
        let row = env.row(id).await?;
        let driver = env.pick();
        let claim = env
            .owners
            .claim(row.exec, driver)
            .ok_or_else(|| EngineError::AlreadyRunning(id.to_owned()))?;
        // Read now that it is ours.
        let (exec, whole) = (row.exec, onto.is_some() || row.status.is_finished());
        let open = env
            .blocking(move |env| {
                let Some(mut open) = env.store.open_execution(exec)? else {
                    return Ok(None);
                };
                if whole {
                    // What earlier lives did is in the whole journal only.
                    open.journal = whole_journal(env.store.as_ref(), exec)?;
                }
                Ok::<_, StoreError>(Some(open))
            })
            .await??
            .ok_or_else(|| EngineError::Unknown(id.to_owned()))?;
        let hash = onto.as_ref().map_or(&open.row.definition, |onto| &onto.hash).clone();
        let resume = match (&onto, open.row.status) {
            (_, Status::Succeeded) => return Err(refuse("it has succeeded".into())),
            (None, Status::Running | Status::Waiting | Status::Paused) => None,
            (None, Status::Failed | Status::Cancelled) => Some(Resume {
                reason: reason.to_owned(),
                onto: None,
            }),
            (Some(onto), _) => Some(Resume {
                reason: reason.to_owned(),
                onto: Some(self.migration(&open, onto).await?),
            }),
        };
        let (definition, program) = match onto {
            Some(onto) => env.program(&row.organization, onto).map_err(EngineError::Definition)?,
            None => env
                .definition_of(&row.organization, &hash)
                .await?
                .map_err(EngineError::Definition)?,
        };
        let about = id.to_owned();
        let forget = env
            .blocking(move |env| requests_about(env.store.as_ref(), &about))
            .await??;
        let open_waits = if resume.is_some() {
            let filter = WaitFilter {
                exec: Some(exec),
                state: Some(WaitState::Open),
                limit: usize::MAX,
                ..WaitFilter::default()
            };
            let waits = env.blocking(move |env| env.store.waits(&filter)).await??;
            waits.into_iter().map(|wait| wait.tag).collect()
        } else {
            Vec::new()
        };
        let permit = env.place_for(&open, patience).await?;
        let (ended, has_ended) = oneshot::channel();
        let (accepted, is_accepted) = oneshot::channel();
        let (report, mut reports) = mpsc::unbounded_channel();
        env.stuck.lock().unwrap_or_else(PoisonError::into_inner).remove(&exec);
        let records = env.loaded_records(&open).await.map_err(|stuck| refuse(stuck.error))?;
        let recover = Recover {
            open,
            records,
            definition,
            program,
            permit,
            ended: Some(ended),
            accepted: Some(accepted),
            resume,
            forget,
            open_waits,
            claim,
            report,
        };
        env.send(driver, Message::Recover(Box::new(recover)))?;
        match reports.recv().await {
            Some(Ok(_)) => {}
            Some(Err(stuck)) => return Err(refuse(stuck.error)),
            None => return Err(self.env.stopped_error()),
        }
        is_accepted.await.unwrap_or_else(|_| Err(self.env.stopped_error()))?;
        Ok(Handle::new(id.to_owned(), has_ended))
    }

    /// How an execution goes on on another definition, if nothing that it did is lost by that.
    async fn migration(&self, open: &OpenExecution, onto: &Definition) -> Result<Migration, EngineError> {
        let env = &self.env;
        let refuse = |why: String| EngineError::NotResumable {
            id: open.row.id.clone(),
            why,
        };
        if onto.workflow != open.row.workflow {
            return Err(refuse(format!(
                "it is an execution of workflow {}, and the definition is of {}",
                open.row.workflow, onto.workflow
            )));
        }
        let (old, _) = env
            .definition_of(&open.row.organization, &open.row.definition)
            .await?
            .map_err(EngineError::Definition)?;
        let migration = env
            .programs
            .migrate(&open.row.organization, &old, onto)
            .map_err(EngineError::Definition)?;
        let records =
            read_journal(&open.journal).map_err(|error| refuse(format!("its journal cannot be read: {error}")))?;
        let kept = Origin::of(&open.row.id.as_str().into(), &records, String::new(), &|_| true).kept;
        let missing: Vec<&str> = kept
            .iter()
            .map(|kept| &*kept.path)
            .filter(|path| (migration.missing)(path))
            .collect();
        if missing.is_empty() {
            return Ok(migration);
        }
        Err(refuse(format!(
            "the new definition has no place for what was done at {}; keep these steps, with their types, or start anew",
            missing.join(", ")
        )))
    }
}

/// A task of the engine's runtime.
fn env_task<T: Send + 'static>(
    env: &Arc<Env>,
    work: impl Future<Output = T> + Send + 'static,
) -> impl Future<Output = Result<T, EngineError>> {
    let task = env.runtime.spawn(work);
    async move {
        task.await
            .map_err(|error| EngineError::Stopped(error.to_string().into()))
    }
}

/// All records of an execution, in order.
pub(crate) fn whole_journal(store: &dyn Store, exec: ExecNo) -> Result<Vec<JournalRecord>, StoreError> {
    let mut journal = Vec::new();
    loop {
        let page = store.journal(exec, journal.len() as u64, 1000)?;
        if page.is_empty() {
            return Ok(journal);
        }
        journal.extend(page);
    }
}

impl RecoveryReport {
    fn count(&mut self, result: Result<Path, Stuck>) {
        match result {
            Ok(_) => self.resumed += 1,
            Err(stuck) => self.stuck.push(stuck),
        }
    }
}

pub(crate) fn stuck(open: &OpenExecution, error: &StepError) -> Stuck {
    Stuck {
        id: open.row.id.clone(),
        workflow: open.row.workflow.clone(),
        error: error.to_string(),
    }
}
