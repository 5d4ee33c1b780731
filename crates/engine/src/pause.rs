//! Making executions stand still, and letting them go on.

use std::sync::{Arc, PoisonError};

use bowline_store::{ExecutionFilter, Status, Write};
use tokio::sync::oneshot;

use crate::driver::{Message, Pause};
use crate::engine::{Engine, EngineError};
use crate::env::Env;
use crate::owners::Whereabouts;
use crate::routing::Handled;

/// So many executions of a workflow are let go on at once.
const PAGE: usize = 500;

impl Engine {
    /// Makes an execution stand still: attempts under way end and are recorded, nothing new begins, timers wait.
    /// What comes from outside is recorded all the same. False where it has ended.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] where it does not exist.
    pub async fn pause(&self, id: &str) -> Result<bool, EngineError> {
        self.env.pause(id).await
    }

    /// Lets a paused execution go on. What came due meanwhile happens at once. False where it was not paused.
    ///
    /// # Errors
    /// [`EngineError::Unknown`] where it does not exist.
    pub async fn unpause(&self, id: &str) -> Result<bool, EngineError> {
        self.env.unpause(id).await
    }

    /// Makes all executions of an organization's workflow stand still, also those that start from now on.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn pause_workflow(&self, organization: &str, workflow: &str) -> Result<(), EngineError> {
        self.env.pause_workflow(organization, workflow).await
    }

    /// Lets all paused executions of an organization's workflow go on.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn unpause_workflow(&self, organization: &str, workflow: &str) -> Result<(), EngineError> {
        self.env.unpause_workflow(organization, workflow).await
    }
}

impl Env {
    pub(crate) async fn pause(self: &Arc<Self>, id: &str) -> Result<bool, EngineError> {
        let row = self.row(id).await?;
        let mut asked = None;
        loop {
            let change = self.owners.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let row = self.row(&row.id).await?;
            if row.status.is_finished() {
                return Ok(false);
            }
            match self.owners.find(row.exec) {
                Whereabouts::Arriving => change.await,
                Whereabouts::Driven(driver) => {
                    if row.status == Status::Paused {
                        return Ok(true);
                    }
                    // Once: asked again, it would undo an `unpause` that came in between.
                    if asked != Some(driver) {
                        asked = Some(driver);
                        self.send(driver, Message::Pause(Pause::One(row.exec)))?;
                    }
                    // It leaves memory when it stands still.
                    change.await;
                }
                Whereabouts::Absent if row.status == Status::Paused => return Ok(true),
                Whereabouts::Absent => {
                    let Some(_claim) = self.owners.claim(row.exec, 0) else {
                        continue;
                    };
                    // Read again, because it is ours only now.
                    let row = self.row(&row.id).await?;
                    if row.status.is_finished() {
                        return Ok(false);
                    }
                    let park = Write::Park {
                        exec: row.exec,
                        status: Status::Paused,
                        wake_at: None,
                    };
                    self.inbox.write(vec![park]).await?;
                    return Ok(true);
                }
            }
        }
    }

    pub(crate) async fn unpause(self: &Arc<Self>, id: &str) -> Result<bool, EngineError> {
        loop {
            let change = self.owners.change();
            tokio::pin!(change);
            change.as_mut().enable();
            let row = self.row(id).await?;
            match self.owners.find(row.exec) {
                Whereabouts::Arriving => change.await,
                Whereabouts::Driven(driver) => {
                    let (told, done) = oneshot::channel();
                    self.send(driver, Message::Pause(Pause::Continue(row.exec, told)))?;
                    match done.await {
                        // It has ended or left memory meanwhile; a driver that is gone takes no message.
                        Ok(Handled::Gone) | Err(_) => {}
                        Ok(_) => return Ok(row.status == Status::Paused),
                    }
                }
                Whereabouts::Absent if row.status != Status::Paused => return Ok(false),
                Whereabouts::Absent => {
                    let Some(claim) = self.owners.claim(row.exec, 0) else {
                        continue;
                    };
                    if self.row(id).await?.status != Status::Paused {
                        continue;
                    }
                    let at = self.options.clock.now();
                    let park = Write::Park {
                        exec: row.exec,
                        status: Status::Waiting,
                        wake_at: Some(at),
                    };
                    self.inbox.write(vec![park]).await?;
                    drop(claim);
                    if self.options.clock.is_virtual() {
                        self.spawn_bring_back(row.exec);
                    } else {
                        self.wakes.add(at, row.exec);
                    }
                    return Ok(true);
                }
            }
        }
    }

    pub(crate) async fn pause_workflow(
        self: &Arc<Self>,
        organization: &str,
        workflow: &str,
    ) -> Result<(), EngineError> {
        let pause = Write::PauseWorkflow {
            organization: organization.to_owned(),
            workflow: workflow.to_owned(),
        };
        self.inbox.write(vec![pause]).await?;
        self.paused
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert((organization.to_owned(), workflow.to_owned()));
        for driver in 0..self.drivers.len() {
            self.send(
                driver,
                Message::Pause(Pause::Workflow(organization.into(), workflow.into())),
            )?;
        }
        Ok(())
    }

    pub(crate) async fn unpause_workflow(
        self: &Arc<Self>,
        organization: &str,
        workflow: &str,
    ) -> Result<(), EngineError> {
        let unpause = Write::UnpauseWorkflow {
            organization: organization.to_owned(),
            workflow: workflow.to_owned(),
        };
        self.inbox.write(vec![unpause]).await?;
        self.paused
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&(organization.to_owned(), workflow.to_owned()));
        for driver in 0..self.drivers.len() {
            self.send(
                driver,
                Message::Pause(Pause::ContinueWorkflow(organization.into(), workflow.into())),
            )?;
        }
        let mut filter = ExecutionFilter {
            organization: Some(organization.to_owned()),
            status: Some(Status::Paused),
            workflow: Some(workflow.to_owned()),
            limit: PAGE,
            ..ExecutionFilter::default()
        };
        loop {
            let wanted = filter.clone();
            let page = self.blocking(move |env| env.store.executions(&wanted)).await??;
            let Some(last) = page.last() else { return Ok(()) };
            filter.before = Some(last.exec);
            for row in page {
                self.unpause(&row.id).await?;
            }
        }
    }
}
