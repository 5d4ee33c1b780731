//! What a workflow waits for: a core operation whose result has a type.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Poll, ready};

use bowline_core::{Context as CoreContext, Payload, Resolved, StepError};
use serde::de::DeserializeOwned;

use crate::{Context, Error, Result, Saga, value};

/// A step, timer, child or wait that begins when it is first awaited. Dropped before its end, it is cancelled.
///
/// ```
/// # use bowline::{testing, Context};
/// # testing::example(|ctx: Context| async move {
/// let slow = ctx.step("slow").run(|_| async { Ok(1) });
/// let fast = ctx.step("fast").run(|_| async { Ok(2) });
/// assert_eq!(bowline::parallel((slow, fast)).await?, (1, 2));
/// # Ok(())
/// # });
/// ```
#[must_use = "an operation does nothing until it is awaited"]
pub struct Operation<T> {
    inner: Inner,
    core: CoreContext,
    name: String,
    read: PhantomData<fn() -> T>,
}

enum Inner {
    Asked(Box<bowline_core::Operation>),
    /// It cannot be asked for; taken by the first poll.
    Refused(Option<Error>),
}

impl<T> Operation<T> {
    /// `name` is what the core operation was asked for as, in this context.
    pub(crate) fn new(core: &CoreContext, name: &str, inner: bowline_core::Operation) -> Self {
        Self {
            inner: Inner::Asked(Box::new(inner)),
            core: core.clone(),
            name: name.to_owned(),
            read: PhantomData,
        }
    }

    pub(crate) fn refused(core: &CoreContext, name: &str, error: Error) -> Self {
        Self {
            inner: Inner::Refused(Some(error)),
            core: core.clone(),
            name: name.to_owned(),
            read: PhantomData,
        }
    }
}

impl<T: DeserializeOwned> Operation<T> {
    fn read(&self, result: Result<Payload, StepError>) -> Result<T> {
        let what = || format!("the result of `{}`", self.core.path_of(&self.name));
        value::read(&result?, "step.output", &what())
    }

    /// Its result, and how many attempts it took.
    pub(crate) async fn counted(mut self) -> (Result<T>, u32) {
        match std::mem::replace(&mut self.inner, Inner::Refused(None)) {
            Inner::Asked(operation) => {
                let Resolved { result, attempts, .. } = operation.detailed().await;
                (self.read(result), attempts)
            }
            refused @ Inner::Refused(_) => {
                self.inner = refused;
                (self.await, 0)
            }
        }
    }
}

impl<T: DeserializeOwned> Future for Operation<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut std::task::Context<'_>) -> Poll<Result<T>> {
        let this = &mut *self;
        match &mut this.inner {
            Inner::Asked(operation) => {
                let result = ready!(Pin::new(operation).poll(cx));
                Poll::Ready(this.read(result))
            }
            Inner::Refused(error) => match error.take() {
                Some(error) => Poll::Ready(Err(error)),
                // Polled after it was ready, which is the workflow's mistake.
                None => Poll::Pending,
            },
        }
    }
}

impl<T: DeserializeOwned + Clone + Send + 'static> Operation<T> {
    /// Once it has succeeded, adds to the saga what undoes it; `undo` gets the result. Steps that are asked
    /// for there are known to undo this one: an execution that is resumed after they ran does this one again,
    /// with a new idempotency key.
    ///
    /// ```
    /// # use bowline::{testing, Context, Error};
    /// # testing::example(|ctx: Context| async move {
    /// let saga = ctx.saga();
    /// let failed = saga
    ///     .run(async {
    ///         ctx.step("reserve")
    ///             .run(|_| async { Ok(7) })
    ///             .undo(&saga, |ctx, room: u32| async move {
    ///                 ctx.step("release").run(move |_| async move { Ok(room) }).await?;
    ///                 Ok(())
    ///             })
    ///             .await?;
    ///         Err::<(), _>(Error::permanent("sold-out", "no flight"))
    ///     })
    ///     .await;
    /// assert!(failed.unwrap_err().is("sold-out"));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Those of the operation.
    pub async fn undo<F, Fut>(self, saga: &Saga, undo: F) -> Result<T>
    where
        F: FnOnce(Context, T) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let path = self.core.upcoming_path(&self.name);
        let result = self.await?;
        let done = result.clone();
        saga.push(path.to_string(), Some(path), move |context| undo(context, done));
        Ok(result)
    }
}
