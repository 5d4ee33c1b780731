//! How something that happened finds its execution, in memory or not.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Input, Outcome};
use bowline_store::{ExecNo, OpenExecution, Status};
use tokio::sync::{mpsc, oneshot};

use crate::backlog::Placed;
use crate::driver::{Deliver, Delivered, Message, Recover};
use crate::engine::EngineError;
use crate::env::Env;
use crate::owners::{Claim, Whereabouts};
use crate::places::Place;

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Handled {
    /// It is recorded, durably.
    Recorded,
    /// It changed nothing: nothing waits for it.
    Ignored,
    /// The execution has ended, durably.
    Ended(Status),
    /// The driver no longer has the execution.
    Gone,
}

/// Where an input arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Routed {
    /// It is recorded, durably.
    Recorded,
    /// It changed nothing: nothing waits for it.
    Ignored,
    /// The execution has ended.
    Ended(Status),
    /// There is no such execution.
    Unknown,
}

impl Env {
    /// Hands an input to an execution, bringing it back if it has left memory, and returns when what follows
    /// is durable.
    pub(crate) async fn route(self: &Arc<Self>, exec: ExecNo, input: Input) -> Result<Routed, EngineError> {
        self.route_within(exec, input, None).await
    }

    /// As [`Env::route`], and waits for a place at most so long where the execution has left memory.
    pub(crate) async fn route_within(
        self: &Arc<Self>,
        exec: ExecNo,
        input: Input,
        patience: Option<Duration>,
    ) -> Result<Routed, EngineError> {
        let input = self.externalize_input(input).await?;
        self.route_any(exec, Delivered::Input(input), patience).await
    }

    /// As [`Env::route_within`], for an answer that makes these kept ones stale: they are dropped in the commit that records it.
    pub(crate) async fn route_answer(
        self: &Arc<Self>,
        exec: ExecNo,
        input: Input,
        stale: Vec<i64>,
        patience: Option<Duration>,
    ) -> Result<Routed, EngineError> {
        let input = self.externalize_input(input).await?;
        self.route_any(exec, Delivered::Answer { input, stale }, patience).await
    }

    pub(crate) async fn route_any(
        self: &Arc<Self>,
        exec: ExecNo,
        what: Delivered,
        patience: Option<Duration>,
    ) -> Result<Routed, EngineError> {
        loop {
            let change = self.owners.change();
            tokio::pin!(change);
            change.as_mut().enable();
            match self.owners.find(exec) {
                Whereabouts::Arriving => change.await,
                Whereabouts::Driven(driver) => match self.hand_over(driver, exec, what.clone()).await? {
                    Handled::Recorded => return Ok(Routed::Recorded),
                    Handled::Ignored => return Ok(Routed::Ignored),
                    Handled::Ended(status) => return Ok(Routed::Ended(status)),
                    Handled::Gone => {}
                },
                Whereabouts::Absent => {
                    let driver = self.pick();
                    let Some(claim) = self.owners.claim(exec, driver) else {
                        continue;
                    };
                    if let Some(routed) = self.bring((exec, claim), driver, patience).await? {
                        return Ok(routed);
                    }
                }
            }
        }
    }

    async fn hand_over(&self, driver: usize, exec: ExecNo, what: Delivered) -> Result<Handled, EngineError> {
        let (told, handled) = oneshot::channel();
        self.send(driver, Message::Deliver(Box::new(Deliver { exec, what, told })))?;
        handled.await.map_err(|_| self.stopped_error())
    }

    /// Brings a claimed execution into memory; says where that is not possible because it has ended.
    async fn bring(
        self: &Arc<Self>,
        (exec, claim): (ExecNo, Claim),
        driver: usize,
        patience: Option<Duration>,
    ) -> Result<Option<Routed>, EngineError> {
        let open = match self.blocking(move |env| env.store.open_execution(exec)).await?? {
            Some(open) if open.row.status.is_finished() => return Ok(Some(Routed::Ended(open.row.status))),
            Some(open) => open,
            None => return Ok(Some(Routed::Unknown)),
        };
        let permit = self.place_for(&open, patience).await?;
        match self.recover_on(driver, open, claim, permit).await? {
            Ok(()) => Ok(None),
            Err(why) => Err(EngineError::Stuck(why)),
        }
    }

    /// The place that an execution takes up; children have their own, as they must not wait for their parents.
    pub(crate) async fn place_for(
        &self,
        open: &OpenExecution,
        patience: Option<Duration>,
    ) -> Result<Option<Place>, EngineError> {
        match open.row.parent {
            Some(_) => self.child_place(&open.row.organization, patience).await,
            None => self.place(&open.row.organization, patience).await.map(Some),
        }
    }

    /// As [`Env::place_for`], without waiting.
    pub(crate) fn place_for_now(&self, open: &OpenExecution) -> Result<Placed, EngineError> {
        if open.row.parent.is_some() {
            return self.child_place_now(&open.row.organization);
        }
        let place = self.place_now(&open.row.organization)?;
        Ok(place.map_or(Placed::None, |place| Placed::Is(Some(place))))
    }

    /// Gives what was read of a claimed execution to its driver, and waits until it has it.
    pub(crate) async fn recover_on(
        self: &Arc<Self>,
        driver: usize,
        open: OpenExecution,
        claim: Claim,
        permit: Option<Place>,
    ) -> Result<Result<(), crate::Stuck>, EngineError> {
        let loaded = match self.definition_of(&open.row.organization, &open.row.definition).await? {
            Ok(loaded) => loaded,
            Err(error) => return Ok(Err(crate::recovery::stuck(&open, &error))),
        };
        let records = match self.loaded_records(&open).await {
            Ok(records) => records,
            Err(stuck) => {
                self.stuck(&stuck, open.row.exec);
                return Ok(Err(stuck));
            }
        };
        let (report, mut reports) = mpsc::unbounded_channel();
        let recover = Recover::new(open, records, loaded, permit, claim, report);
        self.send(driver, Message::Recover(Box::new(recover)))?;
        match reports.recv().await {
            Some(Ok(_)) => Ok(Ok(())),
            Some(Err(stuck)) => Ok(Err(stuck)),
            None => Err(self.stopped_error()),
        }
    }

    /// Waits for the end of an execution, wherever it is.
    pub(crate) async fn watch(
        self: &Arc<Self>,
        exec: ExecNo,
        told: oneshot::Sender<Result<Outcome, EngineError>>,
    ) -> Result<(), EngineError> {
        let mut told = told;
        loop {
            let change = self.owners.change();
            tokio::pin!(change);
            change.as_mut().enable();
            match self.owners.find(exec) {
                Whereabouts::Arriving => change.await,
                Whereabouts::Driven(driver) => {
                    let (back, returned) = oneshot::channel();
                    self.send(driver, Message::Watch { exec, told, back })?;
                    match returned.await {
                        // It has gone meanwhile.
                        Ok(sender) => told = sender,
                        Err(_) => return Ok(()),
                    }
                }
                Whereabouts::Absent => {
                    // Whoever ends it looks here after it was released, and so does whoever takes it up.
                    self.watch_parked(exec, told);
                    let row = self.blocking(move |env| env.store.execution_by_no(exec)).await??;
                    let Some(row) = row.filter(|row| row.status.is_finished()) else {
                        return Ok(());
                    };
                    let outcome = self
                        .blocking(move |env| crate::env::outcome_of(env.store.as_ref(), &row))
                        .await??;
                    let outcome = match outcome {
                        Some(outcome) => Some(self.load_outcome(outcome).await?),
                        None => None,
                    };
                    for watcher in self.watchers_of(exec) {
                        let answer = outcome.clone().ok_or_else(|| EngineError::Unknown(format!("{exec:?}")));
                        // Whoever waited may have gone.
                        let _ = watcher.send(answer);
                    }
                    return Ok(());
                }
            }
        }
    }
}
