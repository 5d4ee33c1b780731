//! A service that a workflow calls: any object, with the options for calls to it.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use bowline_core::{Attempt, StepOptions};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Context, Operation, Result, Verified};

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
    /// [`Attempt`] with its idempotency key. The input is recorded for people who look at the execution, so leave out
    /// what is secret: the service itself holds its credentials.
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

    /// A step that calls a service that knows no idempotency keys: `verify` finds out what became of a call whose
    /// outcome is unknown, before it is called again. See [`Step::run_verified`](crate::Step::run_verified).
    ///
    /// ```
    /// # use std::sync::{Arc, Mutex};
    /// # use bowline::{testing, Context, Error, ErrorKind, StepOptions};
    /// # testing::example(|ctx: Context| async move {
    /// let ledger = Arc::new(Mutex::new(Vec::new()));
    /// let ledger = ctx.service(&ledger, &StepOptions::default());
    /// let booked = ledger.call_verified(
    ///     "book",
    ///     30,
    ///     |ledger, amount, _| async move {
    ///         ledger.lock().unwrap().push(amount);
    ///         Err(Error::new("ledger.lost", ErrorKind::OutcomeUnknown, "the answer was lost"))
    ///     },
    ///     |ledger, amount, _key| async move { Ok(ledger.lock().unwrap().contains(&amount).then_some(amount)) },
    /// );
    /// assert_eq!(booked.await?, 30);
    /// # Ok(())
    /// # });
    /// ```
    pub fn call_verified<I, T, F, Fut, V, Verifying>(&self, name: &str, input: I, body: F, verify: V) -> Verified<T>
    where
        I: Serialize + Clone + Send + Sync + 'static,
        T: Serialize + DeserializeOwned + Send + 'static,
        F: Fn(Arc<S>, I, Attempt) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T>> + Send + 'static,
        V: Fn(Arc<S>, I, String) -> Verifying + Send + Sync + 'static,
        Verifying: Future<Output = Result<Option<T>>> + Send + 'static,
    {
        let (service, verifier) = (Arc::clone(&self.service), Arc::clone(&self.service));
        let step = self.context.step(name).input(&input);
        let of = input.clone();
        step.run_verified(
            move |attempt| body(Arc::clone(&service), input.clone(), attempt),
            move |key| verify(Arc::clone(&verifier), of.clone(), key),
        )
    }
}
