//! An execution that was started or taken up.

use std::marker::PhantomData;

use bowline_core::Outcome;
use serde::de::DeserializeOwned;

use crate::{Result, value};

/// An execution that is in the store. Dropping the handle does nothing to it.
///
/// See [`Bowline::start`](crate::Bowline::start) for an example.
#[derive(Debug)]
#[must_use = "the execution goes on without it; drop it on purpose or wait for the result"]
pub struct Handle<O> {
    handle: bowline_engine::Handle,
    output: PhantomData<fn() -> O>,
}

impl<O: DeserializeOwned> Handle<O> {
    pub(crate) fn new(handle: bowline_engine::Handle) -> Self {
        Self {
            handle,
            output: PhantomData,
        }
    }

    /// Its id.
    ///
    /// See [`Start`](crate::Start) for an example.
    #[must_use]
    pub fn id(&self) -> &str {
        self.handle.id()
    }

    /// Waits for its end and returns its result.
    ///
    /// See [`Bowline::start`](crate::Bowline::start) for an example.
    ///
    /// # Errors
    /// Why it failed or was cancelled; `engine.stopped` where the engine stops before, and the execution goes on at
    /// the next start; `workflow.output` where the result is of another type.
    pub async fn result(self) -> Result<O> {
        let what = format!("the result of execution {}", self.id());
        match self.outcome().await? {
            Outcome::Succeeded(output) => value::read(&output, "workflow.output", &what),
            Outcome::Failed(error) | Outcome::Cancelled(error) => Err(error.into()),
        }
    }

    /// Waits for its end and says how it ended, without a look at the type of its result.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Outcome, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// let outcome = bowline.start(&double, 4).await?.outcome().await?;
    /// assert!(matches!(outcome, Outcome::Succeeded(output) if output.text() == "8"));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// `engine.stopped` where the engine stops before.
    pub async fn outcome(self) -> Result<Outcome> {
        Ok(self.handle.outcome().await?)
    }
}
