//! Undoing what was done, newest first, when something later fails.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::{NotUndone, Path, Saga as CoreSaga, StepError};

use crate::context::misuse;
use crate::folding::Around;
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
///         saga.undo(&ctx, "book room", move |ctx| async move {
///             ctx.step("cancel room").run(move |_| async move { Ok(room) }).await?;
///             Ok(())
///         })?;
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
/// A branch that loses (of a [`race`](crate::race), a [`parallel`](crate::parallel) or a [`Context::timeout`]) is cancelled
/// and waited for, so a saga that runs in it undoes. Only a future that you drop yourself undoes nothing.
#[derive(Clone)]
pub struct Saga {
    context: Context,
    /// The parts of loops that it belongs to as a whole.
    around: Around,
    done: Arc<Mutex<CoreSaga>>,
}

impl Saga {
    pub(crate) fn new(context: &Context) -> Self {
        Self {
            context: context.clone(),
            around: Around::now(),
            done: Arc::default(),
        }
    }

    /// Adds what undoes something that is done: a step, child or scope that was asked for as `done` from `context`
    /// (last, where it was asked for several times). Steps that are asked for in `undo` are known to undo it: an
    /// execution that is resumed after they ran does it again, with a new idempotency key.
    /// [`Operation::undo`](crate::Operation::undo) is the short form for one operation.
    ///
    /// ```
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let saga = ctx.saga();
    /// ctx.step("open").run(|_| async { Ok(()) }).await?;
    /// saga.undo(&ctx, "open", |ctx| async move { ctx.step("close").run(|_| async { Ok(()) }).await })?;
    /// assert!(saga.compensate().await.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `workflow.misuse` where nothing was asked for as `done`: what undoes nothing known would leave a resumed
    /// execution with a result that is gone.
    pub fn undo<F, Fut>(&self, context: &Context, done: &str, undo: F) -> Result<()>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let core = context.core();
        let Some(path) = core.asked_path(done) else {
            return Err(misuse(&format!(
                "nothing was asked for as `{}`, so it cannot be undone; give `Saga::undo` the context and the name of the \
                 step that is to be undone, after the step",
                core.path_of(done)
            )));
        };
        self.push(path.to_string(), Some(path), undo);
        Ok(())
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
        self.around.added();
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
    /// ctx.step("open").run(|_| async { Ok(()) }).await?;
    /// saga.undo(&ctx, "open", |_| async { Err(Error::permanent("stuck", "it does not close")) })?;
    /// let error = saga.fail(Error::permanent("late", "too late")).await;
    /// assert_eq!(error.to_string(), "too late: `open` could not be undone: it does not close [stuck] [late]");
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
