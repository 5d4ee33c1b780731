//! What a workflow sees of the world.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bowline_core::{Canceller, Contestants, Context as CoreContext, Path, Payload, StepError, StepOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::combine::{branch, cancel};
use crate::folding;
use crate::step::Step;
use crate::{Error, Operation, Result, Saga, Service, WorkflowName, value};

/// A place in a running workflow from which it asks for steps, timers and children. Cheap to clone.
///
/// Everything that touches the world goes through it and has a name; the name is what the result is recorded
/// under. Within one context the same name may come twice; the second is `name#2`. Branches and loops get
/// names of their own with [`Context::scope`].
///
/// ```
/// # use std::time::Duration;
/// # use bowline::{testing, Context};
/// # testing::example(|ctx: Context| async move {
/// let began = ctx.now();
/// ctx.sleep("a day", Duration::from_hours(24)).await?;
/// assert_eq!(ctx.now().duration_since(began)?, Duration::from_hours(24));
/// # Ok(())
/// # });
/// ```
#[derive(Clone)]
pub struct Context {
    core: CoreContext,
    options: Arc<StepOptions>,
    /// What the steps asked for from here undo.
    undoes: Option<Path>,
}

impl Context {
    pub(crate) fn new(core: CoreContext) -> Self {
        Self {
            core,
            options: Arc::default(),
            undoes: None,
        }
    }

    pub(crate) fn core(&self) -> &CoreContext {
        &self.core
    }

    pub(crate) fn options(&self) -> &Arc<StepOptions> {
        &self.options
    }

    pub(crate) fn undoes(&self) -> Option<&Path> {
        self.undoes.as_ref()
    }

    /// The same settings at another place.
    pub(crate) fn at(&self, core: CoreContext) -> Self {
        Self { core, ..self.clone() }
    }

    pub(crate) fn undoing(&self, undoes: Option<Path>) -> Self {
        Self { undoes, ..self.clone() }
    }

    /// The same place with other options for the steps that are asked for from here.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context, StepOptions};
    /// # testing::example(|ctx: Context| async move {
    /// let quick = ctx.with(&StepOptions { timeout: Some(Duration::from_secs(2)), ..StepOptions::default() });
    /// quick.step("look up").run(|_| async { Ok(1) }).await?;
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn with(&self, options: &StepOptions) -> Self {
        Self {
            options: Arc::new(options.clone()),
            ..self.clone()
        }
    }

    /// A service that this workflow calls, with the options for calls to it. See [`Service`].
    #[must_use]
    pub fn service<S: ?Sized + Send + Sync + 'static>(&self, service: &Arc<S>, options: &StepOptions) -> Service<S> {
        Service::new(self, service, options)
    }

    /// A step: the one place where a workflow touches the world. See [`Step`].
    pub fn step(&self, name: &str) -> Step {
        Step::new(self, name)
    }

    /// A scope: the names of what is asked for from it begin with `name/`.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// for shop in ["oslo", "bergen"] {
    ///     // `oslo/open`, `bergen/open`
    ///     ctx.scope(shop).step("open").run(|_| async { Ok(()) }).await?;
    /// }
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn scope(&self, name: &str) -> Self {
        self.at(self.core.scope(name))
    }

    /// The same place, out of reach of a cancellation: for cleaning up.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let cleaned = ctx.shielded().step("delete").run(|_| async { Ok(true) }).await?;
    /// assert!(cleaned);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn shielded(&self) -> Self {
        self.at(self.core.shielded())
    }

    /// The same place with something that cancels what is asked for from it. What was asked for then ends with an
    /// error that [`Error::is_cancelled`], so that the branch can clean up; whoever cancels may wait for that.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let (branch, canceller) = ctx.cancellable();
    /// let waiting = branch.sleep("for long", Duration::from_hours(1));
    /// canceller.cancel();
    /// assert!(waiting.await.unwrap_err().is_cancelled());
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn cancellable(&self) -> (Self, Canceller) {
        let (core, canceller) = self.core.cancellable();
        (self.at(core), canceller)
    }

    /// Whether the execution was asked to stop, or this context was cancelled. What is asked for then fails with
    /// an error that [`Error::is_cancelled`].
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// assert!(!ctx.is_cancelled());
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.core.is_cancelled()
    }

    /// Waits for so long, also across crashes and restarts.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// ctx.sleep("cool down", Duration::from_mins(10)).await?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn sleep(&self, name: &str, duration: Duration) -> Operation<()> {
        Operation::new(&self.core, name, self.core.sleep(name, duration))
    }

    /// Waits until a time; returns at once when it has passed.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let trial_ends = ctx.started_at() + Duration::from_hours(14 * 24);
    /// ctx.sleep_until("the trial ends", trial_ends).await?;
    /// assert!(ctx.now() >= trial_ends);
    /// # Ok(())
    /// # });
    /// ```
    pub fn sleep_until(&self, name: &str, at: SystemTime) -> Operation<()> {
        Operation::new(&self.core, name, self.core.sleep_until(name, ms(at)))
    }

    /// Ends with the error `timeout` if `future` takes longer than `limit`. It is cancelled then and its end is waited
    /// for, so that it can clean up, as [`parallel`](crate::parallel) does after a failure. For one step there is [`StepOptions::timeout`].
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let slow = ctx.sleep("slow", Duration::from_hours(2));
    /// let error = ctx.timeout("limit", Duration::from_hours(1), slow).await.unwrap_err();
    /// assert!(error.is("timeout"));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of `future`, `timeout`, or a cancellation.
    pub async fn timeout<T: Send>(
        &self,
        name: &str,
        limit: Duration,
        future: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let timer = self.sleep(name, limit);
        let late = async move { timer.await.and_then(|()| Err(StepError::timeout(limit).into())) };
        let mut running = Contestants::default();
        running.push(0, branch(future));
        running.push(1, branch(late));
        match running.next().await {
            Some((_, Ok(result))) => {
                running.cancel().await;
                Ok(result)
            }
            Some((_, Err(error))) => Err(cancel(running, error).await),
            None => Err(StepError::timeout(limit).into()),
        }
    }

    /// Runs another workflow as an execution of its own and waits for its result. If this one is cancelled, or
    /// does not wait any longer, so is the child.
    ///
    /// ```
    /// # use bowline::{testing, Bowline, Context, Workflow, WorkflowName};
    /// const SQUARE: WorkflowName<u32, u32> = WorkflowName::new("square");
    /// let square = Workflow::new(SQUARE, |_, n: u32| async move { Ok(n * n) });
    /// let sum = Workflow::new("sum", |ctx: Context, (): ()| async move {
    ///     let (a, b) = bowline::parallel((ctx.child("a", SQUARE, 3), ctx.child("b", SQUARE, 4))).await?;
    ///     Ok(a + b)
    /// });
    /// # testing::block_on(async move {
    /// let world = testing::World::new(Bowline::builder().workflow(&square).workflow(&sum)).await?;
    /// assert_eq!(world.run::<_, u32>("sum", ()).await?, 25);
    /// # Ok(())
    /// # });
    /// ```
    pub fn child<I: Serialize, O: DeserializeOwned>(
        &self,
        name: &str,
        workflow: impl Into<WorkflowName<I, O>>,
        input: I,
    ) -> Operation<O> {
        self.start_child(name, &workflow.into(), &input, false)
    }

    /// Starts another workflow as an execution of its own, for whose end nobody waits; its id.
    ///
    /// ```
    /// # use bowline::{testing, Bowline, Context, Workflow};
    /// let audit = Workflow::new("audit", |_, _: String| async { Ok(()) });
    /// let sell = Workflow::new("sell", |ctx: Context, (): ()| async move {
    ///     ctx.child_detached::<_, ()>("audit", "audit", "sold".to_owned()).await
    /// });
    /// # testing::block_on(async move {
    /// let world = testing::World::new(Bowline::builder().workflow(&audit).workflow(&sell)).await?;
    /// let id: String = world.run("sell", ()).await?;
    /// assert_eq!(id.len(), 36);
    /// # Ok(())
    /// # });
    /// ```
    pub fn child_detached<I: Serialize, O>(
        &self,
        name: &str,
        workflow: impl Into<WorkflowName<I, O>>,
        input: I,
    ) -> Operation<String> {
        self.start_child(name, &workflow.into(), &input, true)
    }

    fn start_child<I: Serialize, O, T>(
        &self,
        name: &str,
        workflow: &WorkflowName<I, O>,
        input: &I,
        detached: bool,
    ) -> Operation<T> {
        match value::write(input, "child.input", &format!("the input of child `{name}`")) {
            Ok(input) => {
                let child = self.core.child(name, workflow.as_str(), input, detached);
                Operation::new(&self.core, name, child)
            }
            Err(error) => Operation::refused(&self.core, name, error),
        }
    }

    /// A saga: collects what undoes the steps that are done. See [`Saga`].
    #[must_use]
    pub fn saga(&self) -> Saga {
        Saga::new(self)
    }

    /// The time, which replays the same: that of what last happened to the workflow. It does not pass while the
    /// workflow computes. Use it instead of `SystemTime::now`.
    ///
    /// See [`Context`] for an example.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        time(self.core.now())
    }

    /// When the execution began.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// assert!(ctx.started_at() <= ctx.now());
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        time(self.core.started_at())
    }

    /// A UUID that replays the same: derived from the execution and this name. Ask with another name for another
    /// one.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// assert_eq!(ctx.uuid("order"), ctx.uuid("order"));
    /// assert_ne!(ctx.uuid("order"), ctx.uuid("invoice"));
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn uuid(&self, name: &str) -> String {
        self.core.uuid(name)
    }

    /// 64 random bits that replay the same, derived from the execution and this name. Not for secrets.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let winner = ctx.random("winner") % 3;
    /// assert_eq!(winner, ctx.random("winner") % 3);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn random(&self, name: &str) -> u64 {
        self.core.random(name)
    }

    /// Which way to go where the code of this workflow was changed while executions of it run: `newest` in those that
    /// come here for the first time, 0 in those that passed here before this call was written, and for each
    /// execution always the same. `change` names the change; the old way can go when no execution is on it.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// if ctx.version("check the stock first", 1) >= 1 {
    ///     ctx.step("check stock").run(|_| async { Ok(()) }).await?;
    /// }
    /// ctx.step("charge").run(|_| async { Ok(()) }).await?;
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn version(&self, change: &str, newest: u32) -> u32 {
        self.core.version(change, newest)
    }

    /// Whether the workflow now repeats what it did before. For logging only: whatever else depends on it breaks
    /// replay.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// if !ctx.is_replaying() {
    ///     eprintln!("{} begins", ctx.execution_id());
    /// }
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn is_replaying(&self) -> bool {
        self.core.is_replaying()
    }

    /// Shows a value to whoever asks for the state of the execution. Nothing is recorded; a replay shows it again.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// ctx.publish("progress", &0.5)?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the value has no JSON form.
    pub fn publish(&self, name: &str, value: &(impl Serialize + ?Sized)) -> Result<()> {
        let value = value::write(value, "publish.value", &format!("the published value `{name}`"))?;
        self.show(name, value);
        Ok(())
    }

    pub(crate) fn show(&self, name: &str, value: Payload) {
        folding::note(name, &value);
        self.core.publish(name, value);
    }

    /// The id of the execution.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// assert_eq!(ctx.execution_id().len(), 36);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn execution_id(&self) -> &str {
        self.core.execution_id()
    }

    /// The name of the workflow.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// assert_eq!(ctx.workflow(), "example");
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn workflow(&self) -> &str {
        self.core.workflow()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("execution", &self.execution_id())
            .field("workflow", &self.workflow())
            .field("scope", &self.core.path_of(""))
            .finish_non_exhaustive()
    }
}

/// Milliseconds since the Unix epoch, rounded up: a timer must not fire early.
fn ms(at: SystemTime) -> i64 {
    match at.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos().div_ceil(1_000_000)).unwrap_or(i64::MAX),
        Err(_) => 0,
    }
}

pub(crate) fn time(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// An error of the library itself about how a combinator was used.
pub(crate) fn misuse(message: &str) -> Error {
    Error::permanent("workflow.misuse", message)
}
