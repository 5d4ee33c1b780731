//! A crash at every commit, compared with a run without one.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Event, Outcome};
use bowline_store::Fault;
use serde::Serialize;

use super::World;
use crate::{Builder, Clock, Error, MemoryStore, Result, WorkflowName};

/// How long an engine that is left has for going.
const GRACE: Duration = Duration::from_secs(5);

/// What [`crash_at_every_commit`] has done.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashReport<R> {
    /// How many commits the workflow needs; each was tried with a crash before it and one after it.
    pub commits: u64,
    /// How the workflow ended, each time.
    pub outcome: Outcome,
    /// What the probe said, each time.
    pub probed: R,
}

/// Runs a workflow once in peace, and then again for every commit with a crash just before it (what was done is not
/// recorded) and just after it (it is recorded, but nobody was told). After each crash a new engine goes on with what
/// is in the store, and must end as the first run did.
///
/// `setup` makes the workflows with fresh mocks each time, and a probe of what the mocks saw, which must be the same
/// each time. As a step may run twice when a crash comes between its end and its record, let mocks count distinct
/// idempotency keys rather than calls.
///
/// ```
/// use std::collections::BTreeSet;
/// use std::sync::{Arc, Mutex};
/// use bowline::{testing, Bowline, Context, Workflow};
///
/// # testing::block_on(async {
/// let report = testing::crash_at_every_commit("pay", 30, || {
///     let charged = Arc::new(Mutex::new(BTreeSet::new()));
///     let keys = Arc::clone(&charged);
///     let pay = Workflow::with("pay", charged, |ctx: Context, charged: Arc<Mutex<BTreeSet<String>>>, amount: u32| async move {
///         let receipt = ctx.step("charge").run(move |call| {
///             charged.lock().unwrap().insert(call.idempotency_key());
///             async move { Ok(amount) }
///         });
///         receipt.await
///     });
///     (Bowline::builder().workflow(&pay), move || keys.lock().unwrap().len())
/// })
/// .await?;
/// assert_eq!((report.commits, report.probed), (2, 1));
/// # Ok(())
/// # });
/// ```
///
/// # Errors
/// Where a run after a crash ends differently, or its probe says something else: `crash.differs`, naming the commit.
pub async fn crash_at_every_commit<I, P, R>(
    workflow: &str,
    input: I,
    setup: impl Fn() -> (Builder, P),
) -> Result<CrashReport<R>>
where
    I: Serialize + Clone,
    P: FnOnce() -> R,
    R: PartialEq + Debug,
{
    let calm = one_run(workflow, &input, &setup, None).await?;
    for commit in 0..calm.commits {
        for (place, fault) in [("before", Fault::CrashBefore), ("after", Fault::CrashAfter)] {
            let found = one_run(workflow, &input, &setup, Some((commit, fault))).await?;
            let differs = |what: &str, expected: &dyn Debug, found: &dyn Debug| {
                let message = format!(
                    "with a crash just {place} commit {commit}, {what} differs: expected {expected:?}, found {found:?}"
                );
                Err(Error::permanent("crash.differs", message))
            };
            if found.outcome != calm.outcome {
                return differs("the outcome", &calm.outcome, &found.outcome);
            }
            if found.probed != calm.probed {
                return differs("what the probe says", &calm.probed, &found.probed);
            }
        }
    }
    Ok(calm)
}

const ID: &str = "00000000-0000-7000-8000-000000000000";

async fn one_run<I, P, R>(
    workflow: &str,
    input: &I,
    setup: &impl Fn() -> (Builder, P),
    crash: Option<(u64, Fault)>,
) -> Result<CrashReport<R>>
where
    I: Serialize + Clone,
    P: FnOnce() -> R,
{
    let store = MemoryStore::new();
    let clock = Clock::Virtual(Arc::new(super::world::BEGINNING.into()));
    if let Some((commit, fault)) = crash {
        store.inject(usize::try_from(commit).unwrap_or(usize::MAX), fault);
    }
    let start = |world: &World| {
        let name: WorkflowName<I, serde::de::IgnoredAny> = workflow.into();
        world.start(name, input.clone()).id(ID)
    };
    let (builder, probe) = setup();
    let mut world = World::on(builder.clone(), store.clone(), clock.clone()).await?;
    let started = match start(&world).await {
        // It ended by the crash, or just before it, or in peace.
        Ok(handle) => handle.outcome().await.map(drop),
        Err(error) => Err(error),
    };
    if crash.is_none() {
        started?;
    } else {
        drop(world);
        store.crash();
        store.heal();
        world = World::on(builder, store.clone(), clock).await?;
        if world.execution(ID).await?.is_none() {
            // The crash came before the start was durable; its caller was told so and starts it again.
            start(&world).await?.outcome().await?;
        }
        world.idle().await?;
    }
    world.replay_check().await?;
    let journal = world.journal(ID).await?;
    let last = journal.records.last().and_then(|record| record.events.last());
    let Some(Event::Finished { outcome }) = last else {
        return Err(Error::permanent(
            "crash.unfinished",
            format!("workflow `{workflow}` does not end by itself"),
        ));
    };
    let outcome = outcome.clone();
    world.stop(GRACE).await;
    Ok(CrashReport {
        commits: store.commits(),
        outcome,
        probed: probe(),
    })
}
