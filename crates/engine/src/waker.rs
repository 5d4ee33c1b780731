//! Brings back what is due, in the order in which it is due.

use std::sync::Arc;
use std::time::Duration;

use bowline_store::{ExecNo, OpenExecution, Status};
use tokio::sync::mpsc;
use tokio::sync::watch::Receiver;

use crate::backlog::Placed;
use crate::driver::{Message, Recover};
use crate::engine::EngineError;
use crate::env::Env;
use crate::owners::Whereabouts;

/// So many journals are read at once.
const BATCH: usize = 64;
/// A long wait is cut into pieces of this length, so that a system clock that was set is noticed.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What could not be brought back is due again after so many milliseconds.
pub(crate) const AGAIN: i64 = 1000;
/// What cannot be read is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);

/// Wakes what is due until the engine has ended.
pub(crate) fn run(env: &Arc<Env>, mut ended: Receiver<bool>) {
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
        loop {
            let changed = env.wakes.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let pause = match wake_due(&env, env.options.clock.now()).await {
                Ok(Some(pause)) => pause,
                Ok(None) => LONGEST_WAIT,
                Err(EngineError::Stopped(_)) => return,
                Err(error) => {
                    tracing::warn!(%error, "what is due cannot be read; it is tried again");
                    PAUSE
                }
            };
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                () = changed => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
}

/// Wakes all that is due; how long it is then until the next is.
async fn wake_due(env: &Arc<Env>, now: i64) -> Result<Option<Duration>, EngineError> {
    loop {
        let due = env
            .blocking(move |env| env.wakes.due(env.store.as_ref(), now, BATCH))
            .await??;
        if due.is_empty() {
            break;
        }
        bring_back(env, due.into_iter().map(|(_, exec)| exec).collect(), now).await?;
    }
    let next = env.blocking(|env| env.wakes.next_at(env.store.as_ref())).await??;
    let now = env.options.clock.now();
    Ok(next.map(|at| Duration::from_millis(at.saturating_sub(now).max(0) as u64).min(LONGEST_WAIT)))
}

/// Brings executions back that are due by `now`, in this order. Those that somebody has are left to them; those that
/// cannot be brought back now are due again a little later.
pub(crate) async fn bring_back(env: &Arc<Env>, execs: Vec<ExecNo>, now: i64) -> Result<(), EngineError> {
    for exec in execs {
        match bring_one(env, exec, now).await {
            Ok(true) => {}
            Ok(false) => env.wakes.again(env.options.clock.now().saturating_add(AGAIN), exec),
            Err(error @ EngineError::Stopped(_)) => return Err(error),
            Err(error) => {
                tracing::warn!(exec = exec.0, %error, "an execution cannot be brought back; it is tried again");
                env.wakes.again(env.options.clock.now().saturating_add(AGAIN), exec);
            }
        }
    }
    Ok(())
}

/// Brings one back; false where somebody is about to do something with it. Without a free place it goes to the backlog, and the
/// next has its turn.
async fn bring_one(env: &Arc<Env>, exec: ExecNo, now: i64) -> Result<bool, EngineError> {
    let driver = env.pick();
    let Some(claim) = env.owners.claim(exec, driver) else {
        return Ok(env.owners.find(exec) != Whereabouts::Arriving);
    };
    let open = env.blocking(move |env| env.store.open_execution(exec)).await??;
    let Some(open) = open.filter(|open| is_due(open, now)) else {
        return Ok(true);
    };
    let permit = match env.place_for_now(&open)? {
        Placed::Is(permit) => permit,
        Placed::None => {
            env.put_off(&open.row);
            return Ok(true);
        }
    };
    let loaded = match env.definition_of(&open.row.organization, &open.row.definition).await? {
        Ok(loaded) => loaded,
        Err(error) => {
            env.stuck(&crate::recovery::stuck(&open, &error), open.row.exec);
            return Ok(true);
        }
    };
    let records = match env.loaded_records(&open).await {
        Ok(records) => records,
        Err(stuck) => {
            env.stuck(&stuck, open.row.exec);
            return Ok(true);
        }
    };
    // Stuck ones are told by the driver.
    let (report, _) = mpsc::unbounded_channel();
    let recover = Recover::new(open, records, loaded, permit, claim, report);
    env.send(driver, Message::Recover(Box::new(recover)))?;
    Ok(true)
}

pub(crate) fn is_due(open: &OpenExecution, now: i64) -> bool {
    match open.row.status {
        Status::Running => true,
        Status::Waiting => open.row.wake_at.is_some_and(|at| at <= now),
        _ => false,
    }
}

impl Env {
    /// Brings one execution back that has no owner, beside everything else.
    pub(crate) fn spawn_bring_back(self: &Arc<Self>, exec: ExecNo) {
        let (env, errand) = (Arc::clone(self), self.errand());
        self.runtime.spawn(async move {
            let _errand = errand;
            if let Err(error) = bring_back(&env, vec![exec], i64::MAX).await {
                tracing::warn!(%error, "an execution could not be brought back");
            }
        });
    }
}
