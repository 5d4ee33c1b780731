//! What other processes ask of this one, through the store.
//!
//! A request is forgotten only when what it asks for is durable, so that none is lost by a crash; doing it
//! twice does no harm.

use std::sync::Arc;

use bowline_core::{Answer, Input, Payload};
use bowline_store::{PauseTarget, RequestKind, Write};
use tokio::sync::watch::Receiver;

use crate::engine::EngineError;
use crate::env::Env;

/// Looks for requests until the engine has ended.
pub(crate) fn watch(env: &Arc<Env>, mut ended: Receiver<bool>) {
    let interval = env.options.request_interval;
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
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
            if let Err(error) = take(&env).await {
                tracing::warn!(%error, "requests of other processes cannot be carried out; they are tried again");
            }
        }
    });
}

async fn take(env: &Arc<Env>) -> Result<(), EngineError> {
    for request in env.blocking(|env| env.store.requests(0)).await?? {
        match carry_out(env, request.kind).await {
            Ok(()) => {}
            // Nothing more can become of it.
            Err(
                error @ (EngineError::Unknown(_)
                | EngineError::Ended { .. }
                | EngineError::BadToken
                | EngineError::Invalid(_)
                | EngineError::Stuck(_)),
            ) => tracing::warn!(%error, "a request of another process could not be carried out"),
            Err(error) => return Err(error),
        }
        env.inbox.write(vec![Write::DropRequest(request.id)]).await?;
    }
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
            env.deliver(&address, answer).await.map(drop)
        }
        RequestKind::DeliverKept { id, to } => env.deliver_kept(id, to.as_ref()).await.map(drop),
        RequestKind::DropKept(id) => env.inbox.write(vec![Write::DropDelivery(id)]).await,
        RequestKind::Signal { id, name, data, signal } => {
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
        RequestKind::Pause(PauseTarget::Workflow(name)) => env.pause_workflow(&name).await,
        RequestKind::Unpause(PauseTarget::Execution(id)) => env.unpause(&id).await.map(drop),
        RequestKind::Unpause(PauseTarget::Workflow(name)) => env.unpause_workflow(&name).await,
    }
}
