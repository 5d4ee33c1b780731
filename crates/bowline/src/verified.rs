//! A step that is verified before it is tried again, when nobody knows whether it was carried out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bowline_core::{Attempt, Branch, OnUnknown, Path, StepOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Result, Saga, Step};

/// What verifies, below the step's own path.
const VERIFY: &str = "verify";
/// Every try after the first.
const AGAIN: &str = "again";
const PAUSE: &str = "pause";

/// A step that is verified before it is tried again. Made by [`Step::run_verified`]; awaited, it runs.
///
/// ```
/// # use bowline::{testing, Context};
/// # testing::example(|ctx: Context| async move {
/// let charge = ctx.step("charge").run_verified(|_| async { Ok(30) }, |_key| async { Ok(None) });
/// assert_eq!(charge.await?, 30);
/// # Ok(())
/// # });
/// ```
#[must_use = "it does nothing until it is awaited"]
pub struct Verified<T> {
    context: Context,
    name: String,
    inside: Branch<'static, Result<T>>,
}

impl<T> Verified<T> {
    pub(crate) fn new<F, Fut, V, Verifying>(step: Step, body: F, verify: V) -> Self
    where
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        V: Fn(String) -> Verifying + Send + Sync + 'static,
        Verifying: Future<Output = Result<Option<T>>> + Send + 'static,
    {
        Self {
            context: step.context().clone(),
            name: step.name().to_owned(),
            inside: Box::pin(run(step, Arc::new(body), Arc::new(verify))),
        }
    }
}

impl<T> Future for Verified<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Result<T>> {
        self.inside.as_mut().poll(cx)
    }
}

impl<T: Clone + Send + 'static> Verified<T> {
    /// Once it has succeeded, adds to the saga what undoes it, as [`Operation::undo`](crate::Operation::undo) does.
    ///
    /// ```
    /// # use bowline::{testing, Context, Error};
    /// # testing::example(|ctx: Context| async move {
    /// let saga = ctx.saga();
    /// let charge = ctx.step("charge").run_verified(|_| async { Ok(30) }, |_key| async { Ok(None) });
    /// charge
    ///     .undo(&saga, |ctx, amount: u32| async move {
    ///         ctx.step("refund").run(move |_| async move { Ok(amount) }).await.map(drop)
    ///     })
    ///     .await?;
    /// let failed = saga.run(async { Err::<(), _>(Error::permanent("sold-out", "nothing is left")) }).await;
    /// assert!(failed.unwrap_err().is("sold-out"));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the step.
    pub async fn undo<F, Fut>(self, saga: &Saga, undo: F) -> Result<T>
    where
        F: FnOnce(Context, T) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let path = self.context.core().upcoming_path(&self.name);
        let result = self.await?;
        let done = result.clone();
        saga.push(path.to_string(), Some(path), move |context| undo(context, done));
        Ok(result)
    }
}

async fn run<T, F, Fut, V, Verifying>(step: Step, body: Arc<F>, verify: Arc<V>) -> Result<T>
where
    T: Serialize + DeserializeOwned + Send + 'static,
    F: Fn(Attempt) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T>> + Send + 'static,
    V: Fn(String) -> Verifying + Send + Sync + 'static,
    Verifying: Future<Output = Result<Option<T>>> + Send + 'static,
{
    let (context, name, options) = (step.context(), step.name(), step.step_options());
    let core = context.core();
    let path = core.upcoming_path(name);
    let key = core.idempotency_key(&path);
    // The second of its name has a scope of its own too.
    let below = context.scope(&path[core.path_of("").len()..]);
    let verify_path = below.core().path_of(VERIFY);
    let mut budget = Budget::new(options, core.now());
    // An earlier life found out what became of the first try: the step has that result, or was tried again.
    let mut known = core.remembers(&verify_path);
    let mut is_first = true;
    loop {
        let failed = if known {
            drop(core.reserve(name));
            None
        } else {
            let (at, as_what) = if is_first { (context, name) } else { (&below, AGAIN) };
            let key_of = (!is_first).then(|| Path::clone(&path));
            let body = Arc::clone(&body);
            let asked = step.like(at, as_what, budget.left(core.now()), key_of);
            match asked.run(move |attempt| body(attempt)).counted().await {
                (Err(error), attempts) if error.kind().is_unknown() => {
                    budget.used += attempts;
                    Some(error)
                }
                (ended, _) => return ended,
            }
        };
        (known, is_first) = (false, false);
        let (verify, of) = (Arc::clone(&verify), key.clone());
        let verified = below.step(VERIFY).options(options);
        if let Some(done) = verified.run(move |_| verify(of.clone())).await? {
            return Ok(done);
        }
        if let Some(error) = failed {
            let entropy = below.random(&budget.used.to_string());
            let pause = options
                .retry
                .pause(&error.clone().into_step_error(), budget.used, entropy);
            match pause {
                Some(pause) if budget.allows(core.now(), pause) => below.sleep(PAUSE, pause).await?,
                _ => return Err(error),
            }
        }
    }
}

/// The attempts and the time that a step has in all its tries.
struct Budget<'a> {
    options: &'a StepOptions,
    began: i64,
    used: u32,
}

impl<'a> Budget<'a> {
    fn new(options: &'a StepOptions, now: i64) -> Self {
        Self {
            options,
            began: now,
            used: 0,
        }
    }

    fn passed(&self, now: i64) -> Duration {
        Duration::from_millis(u64::try_from(now.saturating_sub(self.began)).unwrap_or_default())
    }

    /// Whether there is time for another attempt after a pause.
    fn allows(&self, now: i64, pause: Duration) -> bool {
        let begins = self.passed(now).saturating_add(pause);
        self.options.total_timeout.is_none_or(|total| begins < total)
    }

    /// The options of the next try.
    fn left(&self, now: i64) -> StepOptions {
        let mut options = self.options.clone();
        options.on_unknown = OnUnknown::Fail;
        if options.retry.max_attempts != 0 {
            options.retry.max_attempts = options.retry.max_attempts.saturating_sub(self.used).max(1);
        }
        options.total_timeout = options
            .total_timeout
            .map(|total| total.saturating_sub(self.passed(now)));
        options
    }
}
