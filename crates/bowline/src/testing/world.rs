//! An engine for tests: in memory, in virtual time.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::replay::check;
use crate::context::time;
use crate::workflow::Registry;
use crate::{
    Bowline, Builder, Clock, Context, ExecutionFilter, MemoryStore, Result, StepOptions, Workflow, WorkflowName,
};

/// When worlds begin: 2024-01-01 00:00:00 UTC, a Monday.
pub(super) const BEGINNING: i64 = 1_704_067_200_000;

/// An engine in memory whose clock stands still while something is being done and jumps to the next due time when
/// everything waits. It begins on Monday, 2024-01-01 00:00:00 UTC. Everything that [`Bowline`] can do, it can do.
///
/// See [`testing`](crate::testing) for an example.
pub struct World {
    bowline: Bowline,
    registry: Registry,
    clock: Clock,
    time: Time,
}

/// Holds the clock of a [`World`] until it is dropped. Made by [`World::hold_time`].
#[must_use = "time goes on when this is dropped"]
pub struct HeldTime {
    time: Time,
}

impl Drop for HeldTime {
    fn drop(&mut self) {
        self.time.let_go.notify_one();
    }
}

/// A step that is under way keeps the clock still; this is one that does nothing.
#[derive(Clone, Default)]
struct Time {
    held: Arc<Notify>,
    let_go: Arc<Notify>,
}

impl Time {
    const NAME: &'static str = "bowline-testing-hold-time";

    fn workflow(&self) -> Workflow<(), ()> {
        let options = StepOptions {
            timeout: None,
            ..StepOptions::default()
        };
        Workflow::with(Self::NAME, self.clone(), move |ctx: Context, time: Self, (): ()| {
            ctx.step("hold").options(&options).run(move |_| {
                let Self { held, let_go } = time.clone();
                async move {
                    held.notify_one();
                    let_go.notified().await;
                    Ok(())
                }
            })
        })
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("bowline", &self.bowline)
            .field("elapsed", &self.elapsed())
            .finish_non_exhaustive()
    }
}

impl Deref for World {
    type Target = Bowline;

    fn deref(&self) -> &Bowline {
        &self.bowline
    }
}

impl World {
    /// A world with these workflows.
    ///
    /// See [`testing`](crate::testing) for an example.
    ///
    /// # Errors
    /// Where a workflow is registered twice.
    pub async fn new(builder: Builder) -> Result<Self> {
        let clock = Clock::Virtual(Arc::new(AtomicI64::new(BEGINNING)));
        Self::on(builder, MemoryStore::new(), clock).await
    }

    pub(super) async fn on(builder: Builder, store: MemoryStore, clock: Clock) -> Result<Self> {
        let time = Time::default();
        let builder = builder.workflow(&time.workflow());
        let registry = builder.registry().clone();
        let bowline = builder.rehearsal(clock.clone()).open_store(Arc::new(store)).await?;
        Ok(Self {
            bowline,
            registry,
            clock,
            time,
        })
    }

    /// Keeps the clock from jumping for as long as the guard is there: to answer a callback, send a signal or cancel
    /// before a timeout of the workflow has its turn. Holding is done by an execution of its own, which is listed
    /// with the others.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Bowline, Context, Workflow};
    /// # testing::block_on(async {
    /// # let ask = Workflow::new("ask", |ctx: Context, (): ()| async move {
    /// #     ctx.signal::<u32>("answer", "answer").timeout(Duration::from_hours(1)).await
    /// # });
    /// let world = testing::World::new(Bowline::builder().workflow(&ask)).await?;
    /// let held = world.hold_time().await?;
    /// let asked = world.start(&ask, ()).await?;
    /// world.signal(asked.id(), "answer", &42, None).await?;
    /// drop(held);
    /// assert_eq!(asked.result().await?, 42);
    /// assert_eq!(world.elapsed(), Duration::ZERO);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the engine has stopped.
    pub async fn hold_time(&self) -> Result<HeldTime> {
        let handle = self.start::<(), ()>(Time::NAME, ()).await?;
        self.time.held.notified().await;
        // The execution ends by itself when it is let go.
        drop(handle);
        Ok(HeldTime {
            time: self.time.clone(),
        })
    }

    /// Runs a workflow to its end, and checks that its journal replays.
    ///
    /// See [`testing`](crate::testing) for an example.
    ///
    /// # Errors
    /// Why it failed, or `replay.nondeterminism` where the workflow did not do the same when it was replayed.
    pub async fn run<I: Serialize, O: DeserializeOwned + 'static>(
        &self,
        workflow: impl Into<WorkflowName<I, O>>,
        input: I,
    ) -> Result<O> {
        let handle = self.start(workflow, input).await?;
        let id = handle.id().to_owned();
        let result = handle.result().await;
        self.check(&id).await?;
        result
    }

    /// Checks that the journals of all executions that have ended replay.
    ///
    /// ```
    /// # use bowline::{testing, Bowline, Context, Workflow};
    /// # testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let world = testing::World::new(Bowline::builder().workflow(&double)).await?;
    /// world.start(&double, 4).await?.result().await?;
    /// world.replay_check().await?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `replay.nondeterminism`, naming the step where code and journal part.
    pub async fn replay_check(&self) -> Result<()> {
        let mut before = None;
        loop {
            let filter = ExecutionFilter {
                before,
                ..ExecutionFilter::default()
            };
            let rows = self.executions(&filter).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            before = Some(last.exec);
            for row in rows.iter().filter(|row| row.status.is_finished()) {
                self.check(&row.id).await?;
            }
        }
    }

    async fn check(&self, id: &str) -> Result<()> {
        let journal = self.journal(id).await?;
        check(&self.registry.current(&journal.workflow)?.program, &journal)
    }

    /// What time it is in this world.
    ///
    /// ```
    /// # use std::time::{Duration, UNIX_EPOCH};
    /// # use bowline::{testing, Bowline};
    /// # testing::block_on(async {
    /// let world = testing::World::new(Bowline::builder()).await?;
    /// assert_eq!(world.now(), UNIX_EPOCH + Duration::from_secs(1_704_067_200));
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn now(&self) -> SystemTime {
        time(self.clock.now())
    }

    /// How much time has passed in this world since its beginning.
    ///
    /// See [`testing`](crate::testing) for an example.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().duration_since(time(BEGINNING)).unwrap_or_default()
    }
}
