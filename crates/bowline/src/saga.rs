//! Undoing what was done, newest first, when something later fails.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::{NotUndone, Path, Saga as CoreSaga, StepError};

use crate::{Context, Error, Result};

/// What would have to be undone. Made by [`Context::saga`]; clones are the same saga, so that branches can
/// share one.
///
/// ```
/// # use bowline::{testing, Context, Error};
/// # testing::example(|ctx: Context| async move {
/// let saga = ctx.saga();
/// let booked = saga
///     .run(async {
///         let room: u32 = ctx.step("book room").run(|_| async { Ok(12) }).await?;
///         saga.undo("cancel room", move |ctx| async move {
///             ctx.step("cancel room").run(move |_| async move { Ok(room) }).await?;
///             Ok(())
///         });
///         ctx.step("book flight").run(|_| async { Err::<u32, _>(Error::permanent("sold-out", "no seats")) }).await
///     })
///     .await;
/// // The room is cancelled by now.
/// assert!(booked.unwrap_err().is("sold-out"));
/// # Ok(())
/// # });
/// ```
///
/// Undoing is out of reach of cancellation, and one undoing that fails does not keep the others from running.
/// A branch that is dropped (it lost a race) undoes nothing by itself: what it completed stays in the saga.
#[derive(Clone)]
pub struct Saga {
    context: Context,
    done: Arc<Mutex<CoreSaga>>,
}

impl Saga {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            done: Arc::default(),
        }
    }

    /// Adds what undoes something that is done; `name` is for people. See [`Operation::undo`](crate::Operation::undo)
    /// for the short form, which also ties the undoing to the step that it undoes.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let saga = ctx.saga();
    /// saga.undo("close", |ctx| async move { ctx.step("close").run(|_| async { Ok(()) }).await });
    /// assert!(saga.compensate().await.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    pub fn undo<F, Fut>(&self, name: &str, undo: F)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.push(name.to_owned(), None, undo);
    }

    pub(crate) fn push<F, Fut>(&self, name: String, undoes: Option<Path>, undo: F)
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let context = self.context.undoing(undoes);
        let undo = move |core: bowline_core::Context| -> bowline_core::Branch<'static, Result<(), StepError>> {
            let undoing = undo(context.at(core));
            Box::pin(async move { undoing.await.map_err(Error::into_step_error) })
        };
        crate::folding::keep_what_is_inside();
        self.done
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .done(name, undo);
    }

    /// Runs a part of the workflow. If it fails, or is cancelled, everything in the saga is undone, and the error is
    /// passed on; what could not be undone stands among its causes.
    ///
    /// # Errors
    /// Those of `part`.
    pub async fn run<T>(&self, part: impl Future<Output = Result<T>>) -> Result<T> {
        match part.await {
            Ok(result) => Ok(result),
            Err(error) => Err(self.fail(error).await),
        }
    }

    /// Undoes everything, newest first, and gives the error back; what could not be undone stands among its causes.
    ///
    /// ```
    /// # use bowline::{testing, Context, Error};
    /// # testing::example(|ctx: Context| async move {
    /// let saga = ctx.saga();
    /// saga.undo("close", |_| async { Err(Error::permanent("stuck", "it does not close")) });
    /// let error = saga.fail(Error::permanent("late", "too late")).await;
    /// assert_eq!(error.to_string(), "too late: `close` could not be undone: it does not close [stuck] [late]");
    /// # Ok(())
    /// # });
    /// ```
    pub async fn fail(&self, mut error: Error) -> Error {
        for NotUndone { name, error: why } in self.compensate().await {
            tracing::warn!(execution = %self.context.execution_id(), %name, error = %why, "could not be undone");
            error.push_cause(format!("`{name}` could not be undone: {why}"));
        }
        error
    }

    /// Undoes everything, newest first, and says what could not be undone. The saga is empty after that.
    ///
    /// See [`Saga::undo`] for an example.
    pub async fn compensate(&self) -> Vec<NotUndone> {
        let done = std::mem::take(&mut *self.done.lock().unwrap_or_else(PoisonError::into_inner));
        done.compensate(self.context.core()).await
    }
}
