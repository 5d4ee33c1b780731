//! A step: the one place where a workflow touches the world.

use std::future::Future;
use std::sync::Arc;

use bowline_core::{Attempt, Path, Payload, StepError, StepOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Error, Operation, Result, Verified, value};

/// What steps written in Rust are called in the journal.
const KIND: &str = "rust";

/// A step that is being described; [`Step::run`] says what it does. Made by [`Context::step`].
///
/// ```
/// # use bowline::{testing, Context, StepOptions};
/// # testing::example(|ctx: Context| async move {
/// let greeting: String = ctx
///     .step("greet")
///     .input("Ada")
///     .options(&StepOptions { timeout: None, ..StepOptions::default() })
///     .run(|call| async move { Ok(format!("Hello, attempt {}", call.number)) })
///     .await?;
/// assert_eq!(greeting, "Hello, attempt 1");
/// # Ok(())
/// # });
/// ```
#[must_use = "a step does nothing until it is told what to run"]
pub struct Step {
    context: Context,
    name: String,
    options: Arc<StepOptions>,
    input: Option<Result<Payload>>,
    /// The path that the idempotency key is made of, where that is not its own.
    key_of: Option<Path>,
}

impl Step {
    pub(crate) fn new(context: &Context, name: &str) -> Self {
        Self {
            context: context.clone(),
            name: name.to_owned(),
            options: Arc::clone(context.options()),
            input: None,
            key_of: None,
        }
    }

    /// Timeouts and retries of this step, instead of those of its context.
    ///
    /// ```
    /// # use bowline::{testing, Context, RetryPolicy, StepOptions};
    /// # testing::example(|ctx: Context| async move {
    /// let once = StepOptions { retry: RetryPolicy::never(), ..StepOptions::default() };
    /// let failed = ctx.step("try once").options(&once).run(|_| async { Ok("x".parse::<u8>()?) });
    /// assert!(failed.await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    pub fn options(mut self, options: &StepOptions) -> Self {
        self.options = Arc::new(options.clone());
        self
    }

    /// What the step is asked to do, recorded for people who look at the execution. The step itself does not
    /// get it, and it is not read back; leave out what is secret.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// ctx.step("log in").input(&("ada", "***")).run(|_| async { Ok(()) }).await?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn input<I: Serialize + ?Sized>(mut self, input: &I) -> Self {
        self.input = Some(value::write(
            input,
            "step.input",
            &format!("the input of step `{}`", self.name),
        ));
        self
    }

    /// What the step does. It may run several times (retries, and a crash before its result was recorded), each
    /// time with the same [`Attempt::idempotency_key`]. Its result is recorded once and for all.
    ///
    /// ```
    /// # use bowline::{testing, Classify as _, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let size: u64 = ctx
    ///     .step("measure")
    ///     .run(|_| async { Ok(std::fs::metadata(".").permanent("measure.failed")?.len()) })
    ///     .await?;
    /// # let _ = size;
    /// # Ok(())
    /// # });
    /// ```
    pub fn run<T, F, Fut>(self, body: F) -> Operation<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let name: Arc<str> = self.name.as_str().into();
        let run = move |attempt: Attempt| {
            let (attempt, name) = (body(attempt), Arc::clone(&name));
            async move { recorded(attempt.await, &name) }
        };
        self.ask(run)
    }

    /// What the step does, as a function that blocks. It runs on a thread that may; a timeout stops waiting for
    /// it, but cannot stop the function.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let here = ctx.step("look").run_blocking(|_| Ok(std::fs::exists(".")?)).await?;
    /// assert!(here);
    /// # Ok(())
    /// # });
    /// ```
    pub fn run_blocking<T, F>(self, body: F) -> Operation<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Attempt) -> Result<T> + Send + Sync + 'static,
    {
        let (name, body): (Arc<str>, _) = (self.name.as_str().into(), Arc::new(body));
        let run = move |attempt: Attempt| {
            let (name, body) = (Arc::clone(&name), Arc::clone(&body));
            async move {
                let ended = tokio::task::spawn_blocking(move || recorded(body(attempt), &name)).await;
                ended.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => Err(bowline_core::panicked(panic.as_ref())),
                    Err(error) => Err(StepError::transient("step.stopped", "the step was cut off").caused_by(&error)),
                })
            }
        };
        self.ask(run)
    }

    /// What the step does, for steps that must not be done twice by a service that knows no idempotency keys. When
    /// nobody knows whether an attempt was carried out (its answer was lost, it took too long, or the process was
    /// killed), `verify` finds out: it gets the idempotency key of the step and says what the step came to, or
    /// that it was not carried out; then it is tried again after the pause of the retry policy, with the attempts and
    /// the time that are left. `verify` is a step of its own with the same options, `name/verify`; further tries are
    /// `name/again`, with the same idempotency key.
    ///
    /// ```
    /// # use bowline::{testing, Context, Error, ErrorKind};
    /// # testing::example(|ctx: Context| async move {
    /// let charge = ctx.step("charge").run_verified(
    ///     |_| async { Err(Error::new("gateway.lost", ErrorKind::OutcomeUnknown, "no answer")) },
    ///     |key| async move { Ok(Some(format!("charged with {}-digit key", key.len()))) },
    /// );
    /// assert_eq!(charge.await?, "charged with 36-digit key");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// It fails with the errors of the step or of `verify`; with that of the last attempt, where its outcome is unknown,
    /// it was not carried out, and the retry policy has no other attempt.
    pub fn run_verified<T, F, Fut, V, Verifying>(self, body: F, verify: V) -> Verified<T>
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        V: Fn(String) -> Verifying + Send + Sync + 'static,
        Verifying: Future<Output = Result<Option<T>>> + Send + 'static,
    {
        Verified::new(self, body, verify)
    }

    /// The same step under another name or key, or with other options.
    pub(crate) fn like(&self, context: &Context, name: &str, options: StepOptions, key_of: Option<Path>) -> Self {
        Self {
            context: context.clone(),
            name: name.to_owned(),
            options: Arc::new(options),
            input: self.input.clone(),
            key_of,
        }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn step_options(&self) -> &StepOptions {
        &self.options
    }

    fn ask<T, F, Fut>(self, body: F) -> Operation<T>
    where
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Payload, StepError>> + Send + 'static,
    {
        let Self {
            context,
            name,
            options,
            input,
            key_of,
        } = self;
        let core = context.core();
        let input = match input.transpose() {
            Ok(input) => input,
            Err(error) => return Operation::refused(core, &name, error),
        };
        let step = bowline_core::Step {
            name: name.clone(),
            kind: KIND.into(),
            input,
            options: StepOptions::clone(&options),
            compensates: context.undoes().cloned(),
            key_of,
            body: Arc::new(body),
        };
        Operation::new(core, &name, core.step(step))
    }
}

/// The result in the form that the journal keeps.
fn recorded<T: Serialize>(result: Result<T>, name: &str) -> Result<Payload, StepError> {
    result
        .and_then(|output| value::write(&output, "step.output", &format!("the result of step `{name}`")))
        .map_err(Error::into_step_error)
}
