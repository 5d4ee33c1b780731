//! What other processes ask of this one, through the store.
//!
//! A request is forgotten only when what it asks for is durable, so that none is lost by a crash; doing it
//! twice does no harm. One about an execution that this process cannot run stays, for a process that can.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_core::{Answer, Input, Payload};
use bowline_store::{PauseTarget, Request, RequestKind, Write};
use tokio::sync::watch::Receiver;

use crate::Retention;
use crate::engine::EngineError;
use crate::env::Env;

/// What could not be carried out is tried again after this.
const AGAIN: Duration = Duration::from_secs(5);

/// Where a request stands that is still in the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// A task is at it.
    Begun,
    /// It is left to another process.
    Left,
}

type Known = Arc<Mutex<BTreeMap<i64, Stands>>>;

/// Looks for requests until the engine has ended.
pub(crate) fn watch(env: &Arc<Env>, mut ended: Receiver<bool>) {
    let interval = env.options.request_interval;
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
        let known = Known::default();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                _ = ticks.tick() => {}
            }
            if env.stopped.get().is_some() {
                return;
            }
            if let Err(error) = take(&env, &known).await {
                tracing::warn!(%error, "requests of other processes cannot be read; it is tried again");
            }
        }
    });
}

/// Begins what is asked for and is not begun yet. Each request has a task of its own: one that takes long, or cannot
/// be carried out now, does not keep others waiting.
async fn take(env: &Arc<Env>, known: &Known) -> Result<(), EngineError> {
    let requests = env.blocking(|env| env.store.requests(0)).await??;
    {
        // Resuming an execution forgets what was asked about it.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|id, _| requests.iter().any(|request| request.id == *id));
    }
    for request in requests {
        {
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            if known.contains_key(&request.id) {
                continue;
            }
            known.insert(request.id, Stands::Begun);
        }
        let (of_task, known) = (Arc::clone(env), Arc::clone(known));
        env.runtime.spawn(async move {
            let (env, id) = (of_task, request.id);
            let stands = match one(&env, request).await {
                Ok(stands) => stands,
                Err(EngineError::Stopped(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, "a request of another process cannot be carried out now; it is tried again");
                    tokio::time::sleep(AGAIN).await;
                    None
                }
            };
            let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
            match stands {
                Some(stands) => drop(known.insert(id, stands)),
                None => drop(known.remove(&id)),
            }
        });
    }
    Ok(())
}

async fn one(env: &Arc<Env>, request: Request) -> Result<Option<Stands>, EngineError> {
    match carry_out(env, request.kind).await {
        Ok(()) => {}
        Err(EngineError::Stuck(stuck)) => {
            tracing::warn!(
                id = %stuck.id,
                error = %stuck.error,
                "a request of another process is about an execution that cannot go on here; it is kept"
            );
            return Ok(Some(Stands::Left));
        }
        // Nothing more can become of it.
        Err(
            error @ (EngineError::Unknown(_)
            | EngineError::Ended { .. }
            | EngineError::BadToken
            | EngineError::TooManyKept(_)
            | EngineError::Invalid(_)
            | EngineError::TooLarge { .. }
            | EngineError::EntryExists { .. }
            | EngineError::EntryChanged { .. }
            | EngineError::Blob(_)),
        ) => tracing::warn!(%error, "a request of another process could not be carried out"),
        Err(error) => return Err(error),
    }
    env.inbox.write(vec![Write::DropRequest(request.id)]).await?;
    Ok(None)
}

/// Forgets finished executions, as another process asked.
async fn prune(env: &Arc<Env>, rule: &Retention) -> Result<(), EngineError> {
    let count = env.prune(rule, &[], false).await?;
    env.give_back().await?;
    tracing::info!(count, "finished executions were forgotten, as another process asked");
    Ok(())
}

async fn carry_out(env: &Arc<Env>, request: RequestKind) -> Result<(), EngineError> {
    match request {
        RequestKind::Cancel { id, reason } => {
            let row = env.row(&id).await?;
            env.route(row.exec, Input::Cancel { reason }).await.map(drop)
        }
        RequestKind::Callback { address, answer } => {
            let answer: Answer =
                serde_json::from_str(&answer).map_err(|error| EngineError::Invalid(error.to_string()))?;
            env.deliver(&address, answer, None).await.map(drop)
        }
        RequestKind::DeliverKept { id, to } => env.deliver_kept(id, to.as_ref(), None).await.map(drop),
        RequestKind::DropKept(id) => env.inbox.write(vec![Write::DropDelivery(id)]).await,
        RequestKind::Signal { id, name, data, signal } => {
            env.is_small(&data)?;
            let row = env.row(&id).await?;
            let data: Payload = serde_json::from_str(&data).map_err(|error| EngineError::Invalid(error.to_string()))?;
            let input = Input::Signal {
                name: name.as_str().into(),
                data,
                id: signal,
            };
            env.route(row.exec, input).await.map(drop)
        }
        RequestKind::Pause(PauseTarget::Execution(id)) => env.pause(&id).await.map(drop),
        RequestKind::Pause(PauseTarget::Workflow { organization, workflow }) => {
            env.pause_workflow(&organization, &workflow).await
        }
        RequestKind::Unpause(PauseTarget::Execution(id)) => env.unpause(&id).await.map(drop),
        RequestKind::Unpause(PauseTarget::Workflow { organization, workflow }) => {
            env.unpause_workflow(&organization, &workflow).await
        }
        RequestKind::Prune {
            organization,
            workflow,
            after_ms,
            keep,
        } => {
            let rule = Retention {
                organization,
                workflow,
                after: after_ms.map(|after| Duration::from_millis(u64::try_from(after).unwrap_or(0))),
                keep,
            };
            prune(env, &rule).await
        }
        RequestKind::Entries(entries) => env.inbox.write(entries.into_iter().map(Write::Entry).collect()).await,
    }
}
