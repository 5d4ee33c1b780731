//! Taking up what an earlier process left unfinished.
//!
//! Unfinished executions are read page by page, and each waits for its place in flight like a new one,
//! so memory does not grow with how many there are.

use std::collections::HashMap;
use std::sync::Arc;

use bowline_core::{Path, StepError};
use bowline_store::{ExecNo, OpenExecution, Status};
use tokio::sync::{mpsc, oneshot};

use crate::driver::{Message, Recover};
use crate::engine::{Engine, EngineError, Handle};
use crate::env::{Loaded, requests_about, whole_journal};

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
    /// Those that cannot.
    pub stuck: Vec<Stuck>,
}

impl Engine {
    /// Takes up everything that is unfinished in the store, children with their parents. Returns when
    /// all of it is running again; [`Engine::idle`] tells when it has ended.
    ///
    /// # Errors
    /// Where the store cannot be read or the engine stops.
    pub async fn recover(&self) -> Result<RecoveryReport, EngineError> {
        let (report, mut reports) = mpsc::unbounded_channel();
        let mut summary = RecoveryReport::default();
        let mut drivers: HashMap<String, usize> = HashMap::new();
        let mut sent = 0;
        let read = |after: ExecNo| {
            let store = Arc::clone(&self.env.store);
            tokio::task::spawn_blocking(move || store.open_executions(after, PAGE))
        };
        let mut next = read(ExecNo(0));
        loop {
            let page = next
                .await
                .map_err(|error| EngineError::Stopped(error.to_string().into()))??;
            let Some(last) = page.last() else { break };
            // Read while this page is being replayed.
            next = read(last.row.exec);
            for open in page {
                if open.row.exec >= self.env.first_own || !self.env.claim_as_read(open.row.exec) {
                    continue;
                }
                let driver = open.row.parent.as_ref().and_then(|parent| drivers.get(parent).copied());
                let permit = match driver {
                    Some(_) => None,
                    None => Some(self.place().await?),
                };
                let driver = driver.unwrap_or_else(|| self.pick());
                drivers.insert(open.row.id.clone(), driver);
                match self.definition_of(&open.row.definition).await? {
                    Err(error) => {
                        self.env.release(open.row.exec);
                        summary.stuck.push(stuck(&open, &error));
                    }
                    Ok((definition, program)) => {
                        let report = report.clone();
                        let recover = Recover {
                            open,
                            definition,
                            program,
                            permit,
                            ended: None,
                            resume: None,
                            forget: Vec::new(),
                            report,
                        };
                        self.drivers[driver]
                            .send(Message::Recover(Box::new(recover)))
                            .map_err(|_| self.stopped())?;
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
        Ok(summary)
    }

    /// Takes up one execution: an unfinished one goes on where it was; a failed or cancelled one runs
    /// again from the top, keeping the results of what was completed and not undone.
    ///
    /// # Errors
    /// Where it does not exist, has succeeded, is running here, or does not fit its definition.
    pub async fn resume(&self, id: &str, reason: &str) -> Result<Handle, EngineError> {
        let refuse = |why: String| EngineError::NotResumable { id: id.to_owned(), why };
        let (env, wanted) = (Arc::clone(&self.env), id.to_owned());
        let found = tokio::task::spawn_blocking(move || {
            let Some(row) = env.store.execution(&wanted)? else {
                return Ok(None);
            };
            if !env.claim(row.exec) {
                return Ok(Some(None));
            }
            // Read again, because it is ours only now.
            let read = || {
                let row = env.store.execution(&wanted)?;
                row.map(|row| Ok((whole_journal(env.store.as_ref(), row.exec)?, row)))
                    .transpose()
            };
            let read = read();
            if !matches!(read, Ok(Some(_))) {
                env.release(row.exec);
            }
            Ok::<_, bowline_store::StoreError>(read?.map(|(journal, row)| Some(OpenExecution { row, journal })))
        })
        .await
        .map_err(|error| EngineError::Stopped(error.to_string().into()))??;
        let open = match found {
            None => return Err(EngineError::Unknown(id.to_owned())),
            Some(None) => return Err(refuse("it is running already".into())),
            Some(Some(open)) => open,
        };
        let exec = open.row.exec;
        let taken = self.take_up(id, reason, open).await;
        if taken.is_err() {
            self.env.release(exec);
        }
        taken
    }

    /// Goes on with a claimed execution.
    async fn take_up(&self, id: &str, reason: &str, open: OpenExecution) -> Result<Handle, EngineError> {
        let refuse = |why: String| EngineError::NotResumable { id: id.to_owned(), why };
        let resume = match open.row.status {
            Status::Succeeded => return Err(refuse("it has succeeded".into())),
            Status::Running => None,
            Status::Failed | Status::Cancelled => Some(reason.to_owned()),
        };
        let (definition, program) = self
            .definition_of(&open.row.definition)
            .await?
            .map_err(EngineError::Definition)?;
        let (env, about) = (Arc::clone(&self.env), id.to_owned());
        let forget = tokio::task::spawn_blocking(move || requests_about(env.store.as_ref(), &about))
            .await
            .map_err(|error| EngineError::Stopped(error.to_string().into()))??;
        let permit = Some(self.place().await?);
        let (ended, has_ended) = oneshot::channel();
        let (report, mut reports) = mpsc::unbounded_channel();
        let recover = Recover {
            open,
            definition,
            program,
            permit,
            ended: Some(ended),
            resume,
            forget,
            report,
        };
        let driver = self.pick();
        self.drivers[driver]
            .send(Message::Recover(Box::new(recover)))
            .map_err(|_| self.stopped())?;
        match reports.recv().await {
            Some(Ok(_)) => Ok(Handle::new(id.to_owned(), has_ended)),
            Some(Err(stuck)) => Err(refuse(stuck.error)),
            None => Err(refuse("it is running already".into())),
        }
    }

    async fn definition_of(&self, hash: &str) -> Result<Result<Loaded, StepError>, EngineError> {
        if let Some(found) = self.env.cached(hash) {
            return Ok(Ok(found));
        }
        let (env, wanted) = (Arc::clone(&self.env), hash.to_owned());
        let found = tokio::task::spawn_blocking(move || env.stored_definition(&wanted)).await;
        Ok(found.map_err(|error| EngineError::Stopped(error.to_string().into()))??)
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

fn stuck(open: &OpenExecution, error: &StepError) -> Stuck {
    Stuck {
        id: open.row.id.clone(),
        workflow: open.row.workflow.clone(),
        error: error.to_string(),
    }
}
