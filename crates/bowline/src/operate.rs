//! What those who run workflows do besides starting them: pausing, doing again, forgetting, looking after.

use bowline_engine::{AuditReport, Delivered, Retention, Retry, Stuck};
use bowline_store::{CallbackAddress, DEFAULT_ORGANIZATION, ExecutionFilter, Status};
use serde::de::DeserializeOwned;

use crate::{Bowline, Handle, Result};

impl Bowline {
    /// Makes an execution stand still: attempts under way end and are recorded, nothing new begins, timers wait. What
    /// comes from outside is recorded all the same. False where it has ended.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let wait = Workflow::new("wait", |ctx: Context, (): ()| async move { ctx.signal::<u32>("go", "go").await });
    /// # let bowline = Bowline::builder().workflow(&wait).open_in_memory().await?;
    /// let handle = bowline.start(&wait, ()).await?;
    /// assert!(bowline.pause(handle.id()).await?);
    /// assert!(bowline.unpause(handle.id()).await?);
    /// bowline.signal(handle.id(), "go", &7, None).await?;
    /// assert_eq!(handle.result().await?, 7);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is none with this id, or the engine has stopped.
    pub async fn pause(&self, id: &str) -> Result<bool> {
        Ok(self.engine().pause(id).await?)
    }

    /// Lets a paused execution go on. What came due meanwhile happens at once. False where it was not paused.
    ///
    /// See [`Bowline::pause`] for an example.
    ///
    /// # Errors
    /// Where there is none with this id, or the engine has stopped.
    pub async fn unpause(&self, id: &str) -> Result<bool> {
        Ok(self.engine().unpause(id).await?)
    }

    /// Makes all executions of a workflow stand still, also those that start from now on.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// bowline.pause_workflow("double").await?;
    /// bowline.unpause_workflow("double").await?;
    /// assert_eq!(bowline.start(&double, 4).await?.result().await?, 8);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn pause_workflow(&self, workflow: &str) -> Result<()> {
        Ok(self.engine().pause_workflow(DEFAULT_ORGANIZATION, workflow).await?)
    }

    /// Lets all paused executions of a workflow go on.
    ///
    /// See [`Bowline::pause_workflow`] for an example.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn unpause_workflow(&self, workflow: &str) -> Result<()> {
        Ok(self.engine().unpause_workflow(DEFAULT_ORGANIZATION, workflow).await?)
    }

    /// Does an ended execution again as a new one: on the same version, with the results of what was completed before
    /// the step that [`Retry::from`] names.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Retry, Workflow};
    /// # bowline::testing::block_on(async {
    /// let ship = Workflow::new("ship", |ctx: Context, (): ()| async move {
    ///     let parcel = ctx.step("pack").run(|call| async move { Ok(call.execution.to_string()) }).await?;
    ///     ctx.step("send").run(|_| async { Ok(()) }).await?;
    ///     Ok(parcel)
    /// });
    /// let bowline = Bowline::builder().workflow(&ship).open_in_memory().await?;
    /// bowline.start(&ship, ()).id("s-1").await?.result().await?;
    /// let again = Retry { from: Some("send".into()), reason: "it got lost".into(), ..Retry::default() };
    /// let parcel: String = bowline.retry("s-1", again).await?.result().await?;
    /// // It was packed once.
    /// assert_eq!(parcel, "s-1");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is none with this id, it has not ended, or it has no such step.
    pub async fn retry<O: DeserializeOwned>(&self, id: &str, retry: Retry) -> Result<Handle<O>> {
        Ok(Handle::new(self.engine().retry(id, retry).await?))
    }

    /// Forgets finished executions as the rule says, and how many those are; with `dry_run` nothing is forgotten. What
    /// [`Builder::retention`](crate::Builder::retention) says is done by itself.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Retention, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// for n in 0..3 {
    ///     bowline.start(&double, n).await?.result().await?;
    /// }
    /// let rule = Retention { workflow: Some("double".into()), keep: Some(1), ..Retention::default() };
    /// let would_go = bowline.prune(&rule, true).await?;
    /// assert_eq!(bowline.prune(&rule, false).await?, would_go);
    /// assert_eq!(bowline.prune(&rule, true).await?, 0);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn prune(&self, rule: &Retention, dry_run: bool) -> Result<usize> {
        Ok(self.engine().prune(rule, dry_run).await?)
    }

    /// Tries a callback that was kept (see [`Delivered::Kept`]) again, at `to` if that is given and otherwise where it was
    /// sent. It is forgotten when an execution has taken it.
    ///
    /// ```
    /// # use bowline::{Answer, Bowline, CallbackAddress, Delivered, Payload};
    /// # bowline::testing::block_on(async {
    /// # let bowline = Bowline::builder().open_in_memory().await?;
    /// let early = CallbackAddress::reference("stripe", "ch_1");
    /// let answer = Answer::Succeeded { output: Payload::of("settled")?, event: None };
    /// let Delivered::Kept { id, .. } = bowline.deliver(&early, answer).await? else { panic!() };
    /// // Still nobody waits for it.
    /// assert!(matches!(bowline.deliver_kept(id, None).await?, Delivered::Kept { .. }));
    /// bowline.drop_kept(id).await?;
    /// assert!(bowline.deliver_kept(id, None).await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is no such kept callback; as [`Bowline::deliver`].
    pub async fn deliver_kept(&self, id: i64, to: Option<&CallbackAddress>) -> Result<Delivered> {
        Ok(self.engine().deliver_kept(id, to).await?)
    }

    /// Forgets a kept callback.
    ///
    /// See [`Bowline::deliver_kept`] for an example.
    ///
    /// # Errors
    /// Where the store cannot be written.
    pub async fn drop_kept(&self, id: i64) -> Result<()> {
        Ok(self.engine().drop_kept(id).await?)
    }

    /// What the engine's audit of itself has seen since it was opened.
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// assert_eq!(bowline.audit().repaired, 0);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn audit(&self) -> AuditReport {
        self.engine().audit()
    }

    /// Executions that cannot go on, because their workflow is not registered or does not fit their journal.
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// assert!(bowline.stuck().is_empty());
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn stuck(&self) -> Vec<Stuck> {
        self.engine().stuck()
    }

    /// Waits until every execution has ended, also those that wait for something and have left memory. Those that are
    /// paused, or stuck when it looks at them, are not waited for.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{Bowline, Context, Status, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let nap = Workflow::new("nap", |ctx: Context, (): ()| async move { ctx.sleep("nap", Duration::from_millis(5)).await });
    /// # let bowline = Bowline::builder().workflow(&nap).open_in_memory().await?;
    /// drop(bowline.start(&nap, ()).id("n").await?);
    /// bowline.settled().await?;
    /// assert_eq!(bowline.execution("n").await?.unwrap().status, Status::Succeeded);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the engine stops before, or the store cannot be read.
    pub async fn settled(&self) -> Result<()> {
        // Those that ended may have started others.
        while self.wait_for_all().await? {}
        Ok(())
    }

    /// Waits for all that are unfinished now; whether there were any.
    async fn wait_for_all(&self) -> Result<bool> {
        let (mut before, mut waited) = (None, false);
        loop {
            let filter = ExecutionFilter {
                unfinished: true,
                before,
                ..ExecutionFilter::default()
            };
            let rows = self.executions(&filter).await?;
            let Some(last) = rows.last() else {
                return Ok(waited);
            };
            before = Some(last.exec);
            for row in rows.iter().filter(|row| row.status != Status::Paused) {
                if self.stuck().iter().any(|stuck| stuck.id == row.id) {
                    continue;
                }
                self.engine().watch(&row.id).await?.outcome().await?;
                waited = true;
            }
        }
    }
}
