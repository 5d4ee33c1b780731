//! Waiting for the world: callbacks, signals, and events of other executions.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bowline_core::{CallbackOptions, Filter, Path, Payload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Context, Error, Operation, Result, value};

impl Context {
    /// Waits for an answer from outside: from whoever gets its token, or knows the other side's reference. See
    /// [`Callback`].
    pub fn callback<T>(&self, name: &str) -> Callback<T> {
        Callback {
            context: self.clone(),
            name: name.to_owned(),
            options: CallbackOptions::default(),
            wrong: None,
            path: OnceLock::new(),
            answer: PhantomData,
        }
    }

    /// Waits for a signal to this execution. `name` is the name of the wait, `signal` that of the signal. See
    /// [`Signal`].
    pub fn signal<T>(&self, name: &str, signal: &str) -> Signal<T> {
        Signal::new(self, name, signal, false)
    }

    /// Waits for an event that another execution [emits](Context::emit). `name` is the name of the wait, `event` that
    /// of the event. An event that came before this execution began does not count, nor does one that an earlier
    /// wait has taken.
    ///
    /// ```
    /// # use bowline::{testing, Bowline, Context, Workflow};
    /// # testing::block_on(async {
    /// let ship = Workflow::new("ship", |ctx: Context, order: String| async move {
    ///     let paid = ctx.event::<u32>("payment", "paid").key(&order).await?;
    ///     Ok(paid.data)
    /// });
    /// let pay = Workflow::new("pay", |ctx: Context, order: String| async move {
    ///     ctx.emit("tell", "paid", Some(&order), &30).await
    /// });
    /// let world = testing::World::new(Bowline::builder().workflow(&ship).workflow(&pay)).await?;
    /// let shipped = world.start(&ship, "o-1".to_owned()).await?;
    /// world.run(&pay, "o-1".to_owned()).await?;
    /// assert_eq!(shipped.result().await?, 30);
    /// # Ok(())
    /// # });
    /// ```
    pub fn event<T>(&self, name: &str, event: &str) -> Signal<Emitted<T>> {
        Signal::new(self, name, event, true)
    }

    /// Tells all executions that wait for such an event, now or later. The key is what it is about, for those that
    /// wait for one key only. See [`Context::event`] for an example.
    pub fn emit(&self, name: &str, event: &str, key: Option<&str>, data: &(impl Serialize + ?Sized)) -> Operation<()> {
        let core = self.core();
        match value::write(data, "event.data", &format!("the data of event `{event}`")) {
            Ok(data) => Operation::new(core, name, core.emit(name, event, key.map(str::to_owned), data)),
            Err(error) => Operation::refused(core, name, error),
        }
    }
}

/// An event that an execution emitted. What [`Context::event`] waits for.
///
/// ```
/// # use bowline::{testing, Context};
/// # testing::example(|ctx: Context| async move {
/// ctx.emit("tell", "order.paid", Some("o-1"), &30).await?;
/// let paid = ctx.event::<u32>("payment", "order.paid").matching(|paid| paid.data > 20).await?;
/// assert_eq!((paid.key.as_deref(), paid.data), (Some("o-1"), 30));
/// assert_eq!(paid.source, ctx.execution_id());
/// # Ok(())
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Emitted<T> {
    /// Ascending over all events of the data folder.
    pub id: i64,
    /// Its type, such as `order.paid`.
    #[serde(rename = "type")]
    pub event: String,
    /// What it is about.
    pub key: Option<String>,
    /// What goes with it.
    pub data: T,
    /// The id of the execution that emitted it.
    pub source: String,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// A wait for an answer from outside; awaited, it waits. Made by [`Context::callback`].
///
/// ```
/// use std::time::Duration;
/// use bowline::{testing, Bowline, Context, Workflow};
///
/// # testing::block_on(async {
/// let invoice = Workflow::new("invoice", |ctx: Context, (): ()| async move {
///     let paid = ctx.callback::<u32>("paid").timeout(Duration::from_hours(14 * 24));
///     let token = paid.token();
///     // Whoever has the token can answer.
///     ctx.step("send").run(move |_| {
///         SENT.lock().unwrap().push(token.clone());
///         async { Ok(()) }
///     }).await?;
///     paid.await
/// });
/// # static SENT: std::sync::Mutex<Vec<String>> = std::sync::Mutex::new(Vec::new());
/// let world = testing::World::new(Bowline::builder().workflow(&invoice)).await?;
/// let held = world.hold_time().await?;
/// let handle = world.start(&invoice, ()).await?;
/// # while SENT.lock().unwrap().is_empty() { tokio::task::yield_now().await }
/// let token = SENT.lock().unwrap().pop().unwrap();
/// world.answer(&token, &30).await?;
/// drop(held);
/// assert_eq!(handle.result().await?, 30);
/// # Ok(())
/// # });
/// ```
///
/// It fails with what the other side reports, with `callback.timeout`, or with `callback.heartbeat-timeout`.
#[must_use = "it does not wait until it is awaited"]
pub struct Callback<T> {
    context: Context,
    name: String,
    options: CallbackOptions,
    wrong: Option<Error>,
    /// Set when the token was asked for: the path is its own from then on.
    path: OnceLock<Path>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Callback<T> {
    /// The token that answers it and no other callback, also of the same name. It can be handed out before the wait
    /// begins, and is as good as a password.
    ///
    /// See [`Callback`] for an example.
    #[must_use]
    pub fn token(&self) -> String {
        let core = self.context.core();
        core.token_of(self.path.get_or_init(|| core.reserve(&self.name)))
    }

    /// It fails with `callback.timeout` after so long. Default: never.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let answer = ctx.callback::<String>("answer").timeout(Duration::from_hours(1));
    /// assert!(answer.await.unwrap_err().is("callback.timeout"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.options.timeout = Some(limit);
        self
    }

    /// It fails with `callback.heartbeat-timeout` when nothing, not even a heartbeat, was heard for so long. Default:
    /// never.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let answer = ctx.callback::<String>("answer").heartbeat(Duration::from_mins(1));
    /// assert!(answer.await.unwrap_err().is("callback.heartbeat-timeout"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn heartbeat(mut self, limit: Duration) -> Self {
        self.options.heartbeat = Some(limit);
        self
    }

    /// The other side's own reference, for those that cannot send a token back: `channel` names where references
    /// come from, `reference` is theirs. An answer that comes before this wait is kept for it.
    ///
    /// ```
    /// use bowline::{testing, Answer, Bowline, CallbackAddress, Context, Payload, Workflow};
    ///
    /// # testing::block_on(async {
    /// let pay = Workflow::new("pay", |ctx: Context, charge: String| async move {
    ///     ctx.callback::<String>("settled").reference("stripe", &charge).await
    /// });
    /// let world = testing::World::new(Bowline::builder().workflow(&pay)).await?;
    /// // It comes early.
    /// let address = CallbackAddress::reference("stripe", "ch_1");
    /// world.deliver(&address, Answer::Succeeded { output: Payload::of("settled")?, event: None }).await?;
    /// assert_eq!(world.run(&pay, "ch_1".to_owned()).await?, "settled");
    /// # Ok(())
    /// # });
    /// ```
    pub fn reference(mut self, channel: &str, reference: &str) -> Self {
        self.options.channel = (!channel.is_empty()).then(|| channel.into());
        self.options.key = Some(reference.to_owned());
        self
    }

    /// It asks a person for approval: `what` is shown in lists and pages.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let signed = ctx.callback::<bool>("sign").approval(&"the contract of Ada").timeout(Duration::from_hours(1));
    /// assert!(signed.await.is_err());
    /// # Ok(())
    /// # });
    /// ```
    pub fn approval(mut self, what: &(impl Serialize + ?Sized)) -> Self {
        match value::write(what, "callback.approval", &format!("the approval of `{}`", self.name)) {
            Ok(what) => self.options.approval = Some(what),
            Err(error) => self.wrong = Some(error),
        }
        self
    }

    /// The wait itself, for [`race`](crate::race) and the like.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{branch, testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let (first, ()) = bowline::race([
    ///     ctx.callback("answer").wait(),
    ///     ctx.sleep("patience", Duration::from_hours(1)),
    /// ])
    /// .await?;
    /// assert_eq!(first, 1);
    /// # Ok(())
    /// # });
    /// ```
    pub fn wait(self) -> Operation<T> {
        let Self {
            context,
            name,
            options,
            wrong,
            path,
            ..
        } = self;
        let core = context.core();
        match wrong {
            None => Operation::new(core, &name, core.callback_at(&name, path.into_inner(), options)),
            Some(error) => Operation::refused(core, &name, error),
        }
    }
}

impl<T: DeserializeOwned> IntoFuture for Callback<T> {
    type Output = Result<T>;
    type IntoFuture = Operation<T>;

    fn into_future(self) -> Operation<T> {
        self.wait()
    }
}

/// A wait for a signal or an event; awaited, it waits. Made by [`Context::signal`] and [`Context::event`].
///
/// ```
/// use bowline::{testing, Bowline, Context, Workflow};
///
/// # testing::block_on(async {
/// let cart = Workflow::new("cart", |ctx: Context, (): ()| async move {
///     let first: u32 = ctx.signal("first", "add").await?;
///     // Small ones are left for others.
///     let large: u32 = ctx.signal("large", "add").matching(|amount| *amount > 100).await?;
///     Ok(first + large)
/// });
/// let world = testing::World::new(Bowline::builder().workflow(&cart)).await?;
/// let handle = world.start(&cart, ()).await?;
/// for amount in [1, 20, 300] {
///     world.signal(handle.id(), "add", &amount, None).await?;
/// }
/// assert_eq!(handle.result().await?, 301);
/// # Ok(())
/// # });
/// ```
///
/// It fails with `signal.timeout` or `event.timeout`.
#[must_use = "it does not wait until it is awaited"]
pub struct Signal<T> {
    context: Context,
    name: String,
    of: String,
    is_event: bool,
    key: Option<String>,
    filter: Option<Filter>,
    timeout: Option<Duration>,
    data: PhantomData<fn() -> T>,
}

impl<T> Signal<T> {
    fn new(context: &Context, name: &str, of: &str, is_event: bool) -> Self {
        Self {
            context: context.clone(),
            name: name.to_owned(),
            of: of.to_owned(),
            is_event,
            key: None,
            filter: None,
            timeout: None,
            data: PhantomData,
        }
    }

    /// It fails with `signal.timeout` or `event.timeout` after so long. Default: never.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let go = ctx.signal::<()>("go", "go").timeout(Duration::from_hours(1));
    /// assert!(go.await.unwrap_err().is("signal.timeout"));
    /// # Ok(())
    /// # });
    /// ```
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// Takes only events with this key. Signals have none, and are refused with it.
    ///
    /// See [`Context::event`] for an example.
    pub fn key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Takes only those whose data is a `T` for which this is true. It must depend on nothing but the data and
    /// values of the workflow.
    ///
    /// See [`Signal`] for an example.
    pub fn matching(mut self, matches: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned,
    {
        self.filter = Some(Arc::new(move |data: &Payload| {
            data.parse().is_ok_and(|data: T| matches(&data))
        }));
        self
    }

    /// The wait itself, for [`race`](crate::race) and the like.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{testing, Context};
    /// # testing::example(|ctx: Context| async move {
    /// let stop = ctx.signal("stop", "stop").wait();
    /// let (first, ()) = bowline::race([stop, ctx.sleep("patience", Duration::from_hours(1))]).await?;
    /// assert_eq!(first, 1);
    /// # Ok(())
    /// # });
    /// ```
    pub fn wait(self) -> Operation<T> {
        let Self {
            context,
            name,
            of,
            is_event,
            key,
            filter,
            timeout,
            ..
        } = self;
        let core = context.core();
        let operation = if is_event {
            core.event(&name, &of, key, filter, timeout)
        } else if key.is_some() {
            let message = format!("signal `{of}` has no key; send it to the execution that it is for");
            return Operation::refused(core, &name, crate::context::misuse(&message));
        } else {
            core.signal(&name, &of, filter, timeout)
        };
        Operation::new(core, &name, operation)
    }
}

impl<T: DeserializeOwned> IntoFuture for Signal<T> {
    type Output = Result<T>;
    type IntoFuture = Operation<T>;

    fn into_future(self) -> Operation<T> {
        self.wait()
    }
}
