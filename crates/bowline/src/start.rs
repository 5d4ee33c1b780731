//! Starting executions.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::pin::Pin;

use bowline_core::Payload;
use bowline_engine::{StartKey, StartRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Bowline, Handle, Result, WorkflowName, value};

impl Bowline {
    /// Starts an execution. Awaited, it returns once that is durable: whatever happens then, the execution goes on.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// let handle = bowline.start(&double, 21).await?;
    /// assert_eq!(handle.result().await?, 42);
    ///
    /// // By name, where the types are not at hand:
    /// let error = bowline.start::<_, u32>("double", "many").await.unwrap_err();
    /// assert_eq!(error.message(), "the input of workflow `double` is not a u32: invalid type: string \"many\", expected u32");
    /// # Ok(())
    /// # });
    /// ```
    pub fn start<I: Serialize, O>(&self, workflow: impl Into<WorkflowName<I, O>>, input: I) -> Start<O> {
        let workflow = workflow.into();
        let name = workflow.as_str();
        Start {
            bowline: self.clone(),
            workflow: name.to_owned(),
            input: value::write(&input, "workflow.input", &format!("the input of workflow `{name}`")),
            id: None,
            key: None,
            output: PhantomData,
        }
    }
}

/// An execution that is about to start; awaited, it does. Made by [`Bowline::start`].
///
/// ```
/// # use bowline::{Bowline, Context, Workflow};
/// # bowline::testing::block_on(async {
/// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
/// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
/// let handle = bowline.start(&double, 4).id("order-17").await?;
/// assert_eq!(handle.id(), "order-17");
/// # Ok(())
/// # });
/// ```
#[must_use = "it does not start until it is awaited"]
pub struct Start<O> {
    bowline: Bowline,
    workflow: String,
    input: Result<Payload>,
    id: Option<String>,
    key: Option<StartKey>,
    output: PhantomData<fn() -> O>,
}

impl<O> Start<O> {
    /// An id of your own instead of a new UUID. One that exists is refused with `engine.duplicate`.
    ///
    /// See [`Start`] for an example.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// A key of the caller's own, such as the number of an order: starting a workflow twice with the same key starts
    /// it once. The policies of [`StartKey`] say what happens when the key is taken.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, StartKey, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// let first = bowline.start(&double, 4).key(StartKey::new("order-17")).await?;
    /// let again = bowline.start(&double, 4).key(StartKey::new("order-17")).await?;
    /// assert_eq!(first.id(), again.id());
    /// let other = bowline.start(&double, 5).key(StartKey::new("order-17")).await;
    /// assert!(other.unwrap_err().is("engine.key-taken"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn key(mut self, key: StartKey) -> Self {
        self.key = Some(key);
        self
    }

    async fn begin(self) -> Result<Handle<O>>
    where
        O: DeserializeOwned,
    {
        let workflow = self.bowline.registry().current(&self.workflow)?;
        let input = self.input?;
        (workflow.check)(&input, &self.workflow)?;
        let request = StartRequest {
            id: self.id,
            key: self.key,
            ..StartRequest::new(workflow.definition()?, input)
        };
        Ok(Handle::new(self.bowline.engine().start(request).await?))
    }
}

impl<O: DeserializeOwned + 'static> IntoFuture for Start<O> {
    type Output = Result<Handle<O>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.begin())
    }
}
