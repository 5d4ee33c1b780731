//! A service that a workflow calls: any object, with the options for calls to it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use bowline_core::{Attempt, StepOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Operation, Result};

/// A service and the options of the steps that call it. Made by [`Context::service`].
///
/// The service is usually an `Arc<dyn Trait>`, so that tests put a mock in its place.
///
/// ```
/// # use std::sync::Arc;
/// # use bowline::{testing, Context, StepOptions};
/// # testing::example(|ctx: Context| async move {
/// trait Payments: Send + Sync {
///     fn charge(&self, amount: u32, key: &str) -> bowline::Result<String>;
/// }
/// struct Mock;
/// impl Payments for Mock {
///     fn charge(&self, amount: u32, _key: &str) -> bowline::Result<String> {
///         Ok(format!("charged {amount}"))
///     }
/// }
/// let payments: Arc<dyn Payments> = Arc::new(Mock);
///
/// let payments = ctx.service(&payments, &StepOptions::default());
/// let receipt = payments
///     .call("charge", 30, |payments, amount, call| async move {
///         payments.charge(amount, &call.idempotency_key())
///     })
///     .await?;
/// assert_eq!(receipt, "charged 30");
/// # Ok(())
/// # });
/// ```
pub struct Service<S: ?Sized> {
    context: Context,
    service: Arc<S>,
}

impl<S: ?Sized> Clone for Service<S> {
    fn clone(&self) -> Self {
        Self {
            context: self.context.clone(),
            service: Arc::clone(&self.service),
        }
    }
}

impl<S: ?Sized> Debug for Service<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("options", self.context.options())
            .finish_non_exhaustive()
    }
}

impl<S: ?Sized + Send + Sync + 'static> Service<S> {
    pub(crate) fn new(context: &Context, service: &Arc<S>, options: &StepOptions) -> Self {
        Self {
            context: context.with(options),
            service: Arc::clone(service),
        }
    }

    /// The same service, called from another context: a branch, or what undoes a step.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bowline::{testing, Context, StepOptions};
    /// # testing::example(|ctx: Context| async move {
    /// let words = ctx.service(&Arc::new(String::from("abc")), &StepOptions::default());
    /// let first = words.on(&ctx.scope("first"));
    /// let length = first.call("length", (), |words, (), _| async move { Ok(words.len()) });
    /// assert_eq!(length.await?, 3);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn on(&self, context: &Context) -> Self {
        Self {
            context: context.with(self.context.options()),
            service: Arc::clone(&self.service),
        }
    }

    /// A step that calls the service. Each attempt gets the service, a copy of the input, and the
    /// [`Attempt`] with its idempotency key. The input is recorded for people who look at the execution.
    ///
    /// See [`Service`] for an example.
    pub fn call<I, T, F, Fut>(&self, name: &str, input: I, body: F) -> Operation<T>
    where
        I: Serialize + Clone + Send + Sync + 'static,
        T: Serialize + DeserializeOwned,
        F: Fn(Arc<S>, I, Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
    {
        let service = Arc::clone(&self.service);
        let step = self.context.step(name).input(&input);
        step.run(move |attempt| body(Arc::clone(&service), input.clone(), attempt))
    }
}
