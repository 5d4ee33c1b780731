//! Running workflows: the engine with its store, as a program holds it.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Answer, BlobStore, Execution, Identity, Payload, Record, TokenKey, internalize};
use bowline_engine::{Delivered, Engine, RecoveryReport, read_journal, read_record};
use bowline_store::{CallbackAddress, ExecutionFilter, ExecutionRow, SharedStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::workflow::Registry;
use crate::{Builder, Error, Handle, Result, value};

/// Records read from a store at once.
const PAGE: usize = 1024;

/// A running engine. Cheap to clone; clones are the same engine.
///
/// See [`Builder`] for an example.
#[derive(Clone)]
pub struct Bowline {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) engine: Engine,
    pub(crate) registry: Registry,
    pub(crate) store: SharedStore,
    pub(crate) blobs: Option<Arc<dyn BlobStore>>,
    pub(crate) recovery: RecoveryReport,
}

impl std::fmt::Debug for Bowline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bowline")
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}

impl Bowline {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.registry
    }

    /// What is to run and how.
    ///
    /// See [`Builder`] for an example.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Takes up an execution: one that is unfinished goes on where it was; one that failed or was cancelled runs
    /// again from the top, and steps that are done and were not undone keep their results.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use std::sync::atomic::{AtomicBool, Ordering};
    /// # use bowline::{Bowline, Context, Error, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let repaired = Arc::new(AtomicBool::new(false));
    /// # let state = Arc::clone(&repaired);
    /// # let fragile = Workflow::with("fragile", state, |ctx: Context, repaired: Arc<AtomicBool>, (): ()| async move {
    /// #     ctx.step("use").run(move |_| {
    /// #         let works = repaired.load(Ordering::SeqCst);
    /// #         async move { if works { Ok("done".to_owned()) } else { Err(Error::permanent("broken", "broken")) } }
    /// #     }).await
    /// # });
    /// # let bowline = Bowline::builder().workflow(&fragile).open_in_memory().await?;
    /// let handle = bowline.start(&fragile, ()).await?;
    /// let id = handle.id().to_owned();
    /// assert!(handle.result().await.unwrap_err().is("broken"));
    /// repaired.store(true, Ordering::SeqCst);
    /// let result: String = bowline.resume(&id, "it was repaired").await?.result().await?;
    /// assert_eq!(result, "done");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where it does not exist, has succeeded, runs already, or no longer fits its workflow.
    pub async fn resume<O: DeserializeOwned>(&self, id: &str, reason: &str) -> Result<Handle<O>> {
        Ok(Handle::new(self.inner.engine.resume(id, reason).await?))
    }

    /// Lets an execution go on on the version of its workflow that is registered now: from the top, with the results of
    /// all steps that are done and not undone, by their names. Works for one that runs, waits, failed or was cancelled.
    ///
    /// A result is kept wherever the new code asks for the same kind of thing under the same name, even if the step now
    /// does something else: give such a step another name. What the new code does not ask for any more is neither undone
    /// nor reported.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Error, Workflow};
    /// # bowline::testing::block_on(async {
    /// let old = Workflow::new("sell", |ctx: Context, (): ()| async move {
    ///     let stock = ctx.step("count").run(|_| async { Ok(3) }).await?;
    ///     Err::<u32, _>(Error::permanent("bug", format!("{stock} is not supported")))
    /// });
    /// let new = Workflow::new("sell", |ctx: Context, (): ()| async move {
    ///     ctx.step("count").run(|_| async { Ok(4) }).await
    /// });
    /// let new = new.version("2");
    /// # let store = std::sync::Arc::new(bowline::MemoryStore::new());
    /// # let before = Bowline::builder().workflow(&old).open_store(store.clone()).await?;
    /// # let failed = before.start(&old, ()).id("s-1").await?.result().await;
    /// # assert!(failed.unwrap_err().is("bug"));
    /// # before.stop(std::time::Duration::from_secs(5)).await;
    /// # drop(before);
    /// let bowline = Bowline::builder().workflow(&new).former(&old).open_store(store).await?;
    /// let handle = bowline.resume_on_current::<u32>("s-1", "the bug is mended").await?;
    /// // The stock was counted before.
    /// assert_eq!(handle.result().await?, 3);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where it does not exist, has succeeded, or its workflow is not registered.
    pub async fn resume_on_current<O: DeserializeOwned>(&self, id: &str, reason: &str) -> Result<Handle<O>> {
        let row = self.execution(id).await?.ok_or_else(|| unknown(id))?;
        let definition = self.registry().current(&row.workflow)?.definition()?;
        Ok(Handle::new(self.inner.engine.resume_on(id, definition, reason).await?))
    }

    /// Asks an execution to stop: what it waits for ends with an error that [`Error::is_cancelled`], and its sagas
    /// are undone. Returns when the wish is recorded; false where it has ended or was asked before.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let nap = Workflow::new("nap", |ctx: Context, (): ()| async move { ctx.sleep("nap", Duration::from_hours(1)).await });
    /// # let bowline = Bowline::builder().workflow(&nap).open_in_memory().await?;
    /// let handle = bowline.start(&nap, ()).await?;
    /// bowline.cancel(handle.id(), "no time for that").await?;
    /// assert!(handle.result().await.unwrap_err().is_cancelled());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is none with this id, or the engine has stopped.
    pub async fn cancel(&self, id: &str, reason: &str) -> Result<bool> {
        Ok(self.inner.engine.cancel(id, reason).await?)
    }

    /// An execution that was started before, here or by another process: to wait for its result.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let double = Workflow::new("double", |_: Context, n: u32| async move { Ok(n * 2) });
    /// # let bowline = Bowline::builder().workflow(&double).open_in_memory().await?;
    /// let id = bowline.start(&double, 21).id("answer").await?.id().to_owned();
    /// assert_eq!(bowline.handle::<u32>(&id).await?.result().await?, 42);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is none with this id.
    pub async fn handle<O: DeserializeOwned>(&self, id: &str) -> Result<Handle<O>> {
        Ok(Handle::new(self.inner.engine.watch(id).await?))
    }

    /// Answers a callback ([`Context::callback`](crate::Context::callback)) by its token. Returns when what became of the answer is durable, so
    /// that whoever sent it can be told.
    ///
    /// See [`Callback`](crate::Callback) for an example.
    ///
    /// # Errors
    /// `engine.bad-token` for what is no token of this data folder.
    pub async fn answer(&self, token: &str, output: &(impl Serialize + ?Sized)) -> Result<Delivered> {
        let output = value::write(output, "callback.output", "the answer")?;
        let answer = Answer::Succeeded { output, event: None };
        self.deliver(&CallbackAddress::Token(token.to_owned()), answer).await
    }

    /// Hands any answer (a result, a failure, a heartbeat) to a callback, by its token or by the other side's own
    /// reference. One that comes before anybody waits for it is kept.
    ///
    /// See [`Callback::reference`](crate::Callback::reference) for an example.
    ///
    /// # Errors
    /// `engine.bad-token`, `engine.unknown-execution`, or where the store cannot be written.
    pub async fn deliver(&self, address: &CallbackAddress, answer: Answer) -> Result<Delivered> {
        Ok(self.inner.engine.deliver(address, answer).await?)
    }

    /// Sends a signal to an execution. With `once`, a second one of the same text is ignored. Returns when it is
    /// recorded; false where it was recorded before.
    ///
    /// See [`Signal`](crate::Signal) for an example.
    ///
    /// # Errors
    /// `engine.unknown-execution`, or `engine.ended` for one that has ended.
    pub async fn signal(
        &self,
        id: &str,
        signal: &str,
        data: &(impl Serialize + ?Sized),
        once: Option<&str>,
    ) -> Result<bool> {
        let data = value::write(data, "signal.data", &format!("the data of signal `{signal}`"))?;
        Ok(self
            .inner
            .engine
            .signal(id, signal, data, once.map(str::to_owned))
            .await?)
    }

    /// Where an execution stands; none if there is none with this id.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Status, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let quick = Workflow::new("quick", |_: Context, (): ()| async { Ok(()) });
    /// # let bowline = Bowline::builder().workflow(&quick).open_in_memory().await?;
    /// let handle = bowline.start(&quick, ()).await?;
    /// let id = handle.id().to_owned();
    /// handle.result().await?;
    /// assert_eq!(bowline.execution(&id).await?.unwrap().status, Status::Succeeded);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn execution(&self, id: &str) -> Result<Option<ExecutionRow>> {
        let (store, id) = (Arc::clone(&self.inner.store), id.to_owned());
        Ok(tokio::task::spawn_blocking(move || store.execution(&id)).await??)
    }

    /// Executions newest first, as the filter says.
    ///
    /// ```
    /// # use bowline::{Bowline, ExecutionFilter, Status};
    /// # bowline::testing::block_on(async {
    /// # let bowline = Bowline::builder().open_in_memory().await?;
    /// let failed = ExecutionFilter { status: Some(Status::Failed), ..ExecutionFilter::default() };
    /// assert!(bowline.executions(&failed).await?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn executions(&self, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>> {
        let (store, filter) = (Arc::clone(&self.inner.store), filter.clone());
        Ok(tokio::task::spawn_blocking(move || store.executions(&filter)).await??)
    }

    /// The whole journal of an execution, for people and for [`testing::replay_check`](crate::testing::replay_check).
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// # let quick = Workflow::new("quick", |_: Context, (): ()| async { Ok(()) });
    /// # let bowline = Bowline::builder().workflow(&quick).open_in_memory().await?;
    /// let handle = bowline.start(&quick, ()).await?;
    /// let id = handle.id().to_owned();
    /// handle.result().await?;
    /// assert_eq!(bowline.journal(&id).await?.workflow, "quick");
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is no such execution, or the store cannot be read.
    pub async fn journal(&self, id: &str) -> Result<crate::Journal> {
        let (store, id) = (Arc::clone(&self.inner.store), id.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let row = store.execution(&id)?.ok_or_else(|| unknown(&id))?;
            let mut records = Vec::new();
            let mut from = 0;
            loop {
                let page = store.journal(row.exec, from, PAGE)?;
                let Some(last) = page.last() else { break };
                from = last.seq + 1;
                for record in &page {
                    records.extend(read_record(record)?);
                }
            }
            Ok::<_, Error>((row, records))
        });
        let (row, mut records) = read.await??;
        self.load(&mut records).await?;
        // Large values stand in the journal itself then, so that it can be read without this data folder.
        for event in records.iter_mut().flat_map(|record| &mut record.events) {
            event.each_payload(&mut |payload| {
                if let Ok(plain) = payload.parse::<Box<RawValue>>().and_then(|raw| Payload::of(&raw)) {
                    *payload = plain;
                }
            });
        }
        Ok(crate::Journal {
            id: row.id,
            workflow: row.workflow,
            started_at: row.started_at,
            records,
        })
    }

    /// Fetches what the records only refer to.
    async fn load(&self, records: &mut [Record]) -> Result<()> {
        if let Some(blobs) = &self.inner.blobs {
            for record in records {
                internalize(&mut record.events, blobs.as_ref()).await?;
            }
        }
        Ok(())
    }

    /// What an execution shows of itself under a name ([`Context::publish`](crate::Context::publish)); none where it
    /// shows nothing there. It is found by replaying the journal, so the execution does not notice, and it works for
    /// one that waits or has ended too.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// # bowline::testing::block_on(async {
    /// let copy = Workflow::new("copy", |ctx: Context, (): ()| async move {
    ///     ctx.publish("progress", &0.5)?;
    ///     ctx.signal::<()>("go", "go").await
    /// });
    /// let bowline = Bowline::builder().workflow(&copy).open_in_memory().await?;
    /// let handle = bowline.start(&copy, ()).await?;
    /// assert_eq!(bowline.query::<f64>(handle.id(), "progress").await?, Some(0.5));
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where there is no such execution, its workflow is not registered or no longer fits the journal, or the value is
    /// of another type.
    pub async fn query<T: DeserializeOwned>(&self, id: &str, name: &str) -> Result<Option<T>> {
        let (inner, wanted) = (Arc::clone(&self.inner), id.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let row = inner.store.execution(&wanted)?.ok_or_else(|| unknown(&wanted))?;
            let open = inner.store.open_execution(row.exec)?.ok_or_else(|| unknown(&wanted))?;
            let definition = inner
                .store
                .definition(&row.definition)?
                .ok_or_else(|| unknown(&wanted))?;
            let program = Arc::clone(&inner.registry.exact(&definition)?.program);
            let tokens = TokenKey::new(inner.store.token_key()?);
            Ok::<_, Error>((row, program, tokens, read_journal(&open.journal)?))
        });
        let (row, program, tokens, mut journal) = read.await??;
        self.load(&mut journal).await?;
        let replayed = tokio::task::spawn_blocking(move || {
            let identity = Identity {
                id: row.id.as_str().into(),
                workflow: row.workflow.as_str().into(),
                started_at: row.started_at,
                exec: row.exec.0,
                tokens,
            };
            let now = journal.last().map_or(row.started_at, |record| record.at);
            let (execution, _) = Execution::replay(identity, program.as_ref(), &journal, now)?;
            Ok::<_, Error>(execution.published())
        });
        let mut published = replayed.await??;
        let what = format!("the published value `{name}`");
        published
            .remove(name)
            .map(|found| value::read(&found, "publish.value", &what))
            .transpose()
    }

    /// Waits until no execution is in memory. One that waits for long has left memory and is not waited for; see
    /// [`Bowline::settled`].
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// bowline.idle().await?;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where the engine stops on an error of the store.
    pub async fn idle(&self) -> Result<()> {
        Ok(self.inner.engine.idle().await?)
    }

    /// How many executions are in memory.
    ///
    /// See [`Builder::open_in_memory`] for an example.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inner.engine.in_flight()
    }

    /// What was found unfinished when the store was opened: how many executions go on, and which cannot, and why.
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// assert!(bowline.recovery().stuck.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.inner.recovery
    }

    /// Stops gently: no new attempts begin, those under way get `grace` to end and be recorded; then they are cut
    /// off. What is unfinished goes on at the next start.
    ///
    /// See [`Builder`] for an example.
    pub async fn stop(&self, grace: Duration) {
        self.inner.engine.stop(grace).await;
    }

    /// The engine below, for what has no place here.
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// assert_eq!(bowline.engine().in_flight(), 0);
    /// # Ok(())
    /// # });
    /// ```
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }
}

fn unknown(id: &str) -> Error {
    Error::permanent("engine.unknown-execution", format!("there is no execution {id}"))
}
