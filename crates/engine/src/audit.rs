//! The self-audit: every execution that has not ended has an owner, or something that wakes it.
//!
//! It goes through the store a part at a time, for as long as the engine lives. What breaks the rule is taken
//! up again, and counted: it must not happen, and nobody should have to wait for a restart if it does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bowline_store::{ExecNo, Status, Write};
use tokio::sync::watch::Receiver;

use crate::engine::{Engine, EngineError};
use crate::env::Env;
use crate::owners::Whereabouts;
use crate::waker;

/// Executions that one look covers at most.
const PART: usize = 1000;
/// What breaks the rule for longer than this breaks it.
const SETTLE: Duration = Duration::from_secs(1);
/// Old rows that one commit drops at most.
const AT_MOST: u32 = 1000;
/// While not everything is taken up yet, retention looks again after this.
const NOT_YET: Duration = Duration::from_secs(1);

/// What the audit has seen since the engine began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// How often it has gone through everything.
    pub rounds: u64,
    /// Executions without an owner that it has taken up again.
    pub repaired: u64,
    /// Executions that cannot go on: see [`Engine::stuck`].
    pub stuck: u64,
}

#[derive(Default)]
pub(crate) struct Audit {
    rounds: AtomicU64,
    repaired: AtomicU64,
}

impl Engine {
    /// What the self-audit has seen.
    #[must_use]
    pub fn audit(&self) -> AuditReport {
        let Audit { rounds, repaired } = &self.env.audit;
        AuditReport {
            rounds: rounds.load(Ordering::Relaxed),
            repaired: repaired.load(Ordering::Relaxed),
            stuck: self.env.all_stuck().len() as u64,
        }
    }

    /// Executions that cannot go on, because their program cannot be loaded or does not fit their journal.
    #[must_use]
    pub fn stuck(&self) -> Vec<crate::Stuck> {
        self.env.all_stuck()
    }
}

/// Audits until the engine has ended. Begins after [`Engine::recover`], which takes up what is to be taken up.
pub(crate) fn run(env: &Arc<Env>, mut ended: Receiver<bool>) {
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
        let mut ticks = tokio::time::interval(env.options.audit_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut after = ExecNo(0);
        loop {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                _ = ticks.tick() => {}
            }
            if env.stopped.get().is_some() {
                return;
            }
            if !env.recovered.load(Ordering::SeqCst) {
                continue;
            }
            match look(&env, after, true).await {
                Ok(next) => {
                    if next.is_none() {
                        env.audit.rounds.fetch_add(1, Ordering::Relaxed);
                    }
                    after = next.unwrap_or(ExecNo(0));
                }
                Err(EngineError::Stopped(_)) => return,
                Err(error) => tracing::warn!(%error, "the self-audit cannot read the store; it tries again"),
            }
            if let Err(error) = tidy_up(&env).await {
                tracing::warn!(%error, "old events and callbacks cannot be dropped; it is tried again");
            }
        }
    });
}

/// Forgets finished executions as the rules say, until the engine has ended.
pub(crate) fn run_retention(env: &Arc<Env>, mut ended: Receiver<bool>) {
    if env.options.retention.is_empty() {
        return;
    }
    let of_task = Arc::clone(env);
    env.runtime.spawn(async move {
        let env = of_task;
        let mut ticks = tokio::time::interval(env.options.retention_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = ended.wait_for(|ended| *ended) => return,
                _ = ticks.tick() => {}
            }
            if !env.recovered.load(Ordering::SeqCst) {
                // Looked at again soon: a process may end before the next turn comes.
                ticks.reset_after(env.options.retention_interval.min(NOT_YET));
                continue;
            }
            match env.retain().await {
                Ok(()) => {}
                Err(EngineError::Stopped(_)) => return,
                Err(error) => tracing::warn!(%error, "finished executions cannot be forgotten; it is tried again"),
            }
        }
    });
}

/// Takes up what a process that died between two commits has left: parents that left memory just when their child
/// had ended, whom it could not tell any more.
pub(crate) async fn take_up_left(env: &Arc<Env>) -> Result<(), EngineError> {
    let mut after = Some(ExecNo(0));
    while let Some(from) = after {
        after = look(env, from, false).await?;
    }
    Ok(())
}

/// Looks at one part; where the next begins.
async fn look(env: &Arc<Env>, after: ExecNo, counts: bool) -> Result<Option<ExecNo>, EngineError> {
    let page = env.blocking(move |env| env.store.audit(after, PART)).await??;
    let mut lost = Vec::new();
    let mut suspects = page.found;
    suspects.retain(|row| is_nobodys(env, row.exec));
    if !suspects.is_empty() && counts {
        // Its owner may be about to hear of what was just written.
        tokio::time::sleep(SETTLE).await;
    }
    for row in suspects {
        if !is_nobodys(env, row.exec) {
            continue;
        }
        // It may have ended, or left memory, since it was read.
        let exec = row.exec;
        let again = env
            .blocking(move |env| env.store.audit(ExecNo(exec.0 - 1), 1))
            .await??;
        let still = again
            .found
            .iter()
            .any(|again| again.exec == exec && again.status == row.status);
        if still && is_nobodys(env, exec) {
            lost.push(row);
        }
    }
    for row in lost {
        if counts {
            tracing::warn!(id = %row.id, status = row.status.name(), "an unfinished execution had no owner; it is taken up");
            env.audit.repaired.fetch_add(1, Ordering::Relaxed);
        }
        if row.status == Status::Waiting {
            let Some(_claim) = env.owners.claim(row.exec, 0) else {
                continue;
            };
            // It may have ended since.
            let exec = row.exec;
            let now = env.blocking(move |env| env.store.execution_by_no(exec)).await??;
            if now.is_none_or(|now| now.status != Status::Waiting) {
                continue;
            }
            let park = Write::Park {
                exec,
                status: Status::Waiting,
                wake_at: Some(env.options.clock.now()),
            };
            env.inbox.write(vec![park]).await?;
        }
        waker::bring_back(env, vec![row.exec], i64::MAX).await?;
    }
    Ok(page.next)
}

/// Whether an execution is on no driver, and nobody is about to bring it to one.
fn is_nobodys(env: &Env, exec: ExecNo) -> bool {
    !env.is_stuck(exec) && !env.backlog.contains(exec) && env.owners.find(exec) == Whereabouts::Absent
}

/// Drops what is too old to be of use.
async fn tidy_up(env: &Arc<Env>) -> Result<(), EngineError> {
    let now = env.options.clock.now();
    let kept = env.kept.load(Ordering::SeqCst);
    let found = env.blocking(|env| env.store.housekeeping()).await??;
    if found.first_expiry.is_none() {
        // None is kept, unless one came since this was read: then this is refused.
        let _ = env.kept.compare_exchange(kept, 0, Ordering::SeqCst, Ordering::SeqCst);
    }
    let keep = i64::try_from(env.options.keep_events.as_millis()).unwrap_or(i64::MAX);
    let mut writes = Vec::new();
    if found.oldest_event.is_some_and(|at| at < now.saturating_sub(keep)) {
        writes.push(Write::DropEvents {
            before: now.saturating_sub(keep),
            at_most: AT_MOST,
        });
    }
    if found.first_expiry.is_some_and(|at| at <= now) {
        writes.push(Write::DropExpired {
            before: now,
            at_most: AT_MOST,
        });
    }
    env.inbox.write(writes).await
}
