//! What an engine runs and how, before it is opened.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline_blobs::Blobs;
use bowline_engine::{Clock, Engine, Observer, Options, Retention};
use bowline_store::{MemoryStore, SharedStore};
use bowline_store_sqlite::SqliteStore;

use crate::engine::Inner;
use crate::workflow::Registry;
use crate::{Bowline, Error, Result, Workflow};

/// The folder in a data folder where large values are kept, for every program that opens it.
const BLOBS: &str = "blobs";

/// What an engine runs and how, before it is opened. Made by [`Bowline::builder`].
///
/// ```
/// use bowline::{Bowline, Context, Workflow};
///
/// # bowline::testing::block_on(async {
/// # let folder = tempfile::tempdir()?;
/// # let data = folder.path();
/// let greet = Workflow::new("greet", |_: Context, name: String| async move { Ok(format!("Hei {name}")) });
/// let bowline = Bowline::builder().workflow(&greet).max_in_flight(100).open(data).await?;
/// let handle = bowline.start(&greet, "Ada".to_owned()).await?;
/// assert_eq!(handle.result().await?, "Hei Ada");
/// bowline.stop(std::time::Duration::from_secs(5)).await;
/// # Ok(())
/// # });
/// ```
#[must_use = "a builder does nothing until it is opened"]
#[derive(Clone, Default)]
pub struct Builder {
    registry: Registry,
    problems: Vec<String>,
    options: Options,
}

impl Builder {
    /// A workflow that can be started, alone or as a child of another one.
    ///
    /// See [`Builder`] for an example.
    pub fn workflow<I, O>(mut self, workflow: &Workflow<I, O>) -> Self {
        self.problems.extend(self.registry.add(&workflow.erased, true).err());
        self
    }

    /// An older version of a workflow: executions that began on it go on, new ones do not begin on it.
    ///
    /// ```
    /// # use bowline::{Bowline, Context, Workflow};
    /// let old = Workflow::new("greet", |_: Context, (): ()| async { Ok("Hei") });
    /// let new = Workflow::new("greet", |_: Context, (): ()| async { Ok("Hello") }).version("2");
    /// let builder = Bowline::builder().workflow(&new).former(&old);
    /// # let _ = builder;
    /// ```
    pub fn former<I, O>(mut self, workflow: &Workflow<I, O>) -> Self {
        self.problems.extend(self.registry.add(&workflow.erased, false).err());
        self
    }

    /// So many executions are in memory at most; starting another one waits. Default 10,000.
    ///
    /// See [`Builder`] for an example.
    pub fn max_in_flight(mut self, executions: usize) -> Self {
        self.options.max_in_flight = executions;
        self
    }

    /// Who is told of everything that becomes durable, such as a log or a progress display.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// use bowline::{Bowline, Committed, Observer};
    /// struct Count;
    /// impl Observer for Count {
    ///     fn committed(&self, committed: Committed<'_>) {
    ///         eprintln!("{}: {} events", committed.id, committed.events.len());
    ///     }
    /// }
    /// let builder = Bowline::builder().observer(Arc::new(Count));
    /// # let _ = builder;
    /// ```
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.options.observer = Some(observer);
        self
    }

    /// Which finished executions are kept; the others are forgotten by and by. Default: all are kept, for ever.
    ///
    /// ```
    /// use std::time::Duration;
    /// use bowline::{Bowline, Retention};
    /// let month = Retention { after: Some(Duration::from_hours(30 * 24)), ..Retention::default() };
    /// let builder = Bowline::builder().retention(vec![month]);
    /// # let _ = builder;
    /// ```
    pub fn retention(mut self, rules: Vec<Retention>) -> Self {
        self.options.retention = rules;
        self
    }

    /// The rest of the engine's settings.
    ///
    /// ```
    /// use bowline::Bowline;
    /// let builder = Bowline::builder().max_in_flight(100).engine_options(|options| options.drivers = 1);
    /// # let _ = builder;
    /// ```
    pub fn engine_options(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(&mut self.options);
        self
    }

    /// Opens the data folder, makes it where there is none, and goes on with what is unfinished in it. One process at
    /// a time can have a data folder open.
    ///
    /// See [`Builder`] for an example.
    ///
    /// # Errors
    /// Where a workflow is registered twice, another process has the folder, or it cannot be read.
    pub async fn open(self, data_folder: impl AsRef<Path>) -> Result<Bowline> {
        let path = data_folder.as_ref().to_owned();
        let mut this = self;
        let wants_blobs = this.options.blobs.is_none();
        let (store, blobs) = tokio::task::spawn_blocking(move || {
            let store = SqliteStore::open(path, bowline_store_sqlite::Options::default())?;
            let folder = store.path().parent().unwrap_or(Path::new("")).join(BLOBS);
            let blobs = wants_blobs.then(|| Blobs::local(folder)).transpose()?;
            Ok::<_, Error>((store, blobs))
        })
        .await??;
        if let Some(blobs) = blobs {
            this.options.blobs = Some(Arc::new(blobs));
        }
        this.open_store(Arc::new(store)).await
    }

    /// Runs in memory: nothing is left when the process ends. For tests there is [`testing`](crate::testing).
    ///
    /// ```
    /// # use bowline::Bowline;
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_in_memory().await?;
    /// assert_eq!(bowline.in_flight(), 0);
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where a workflow is registered twice.
    pub async fn open_in_memory(self) -> Result<Bowline> {
        self.open_store(Arc::new(MemoryStore::new())).await
    }

    /// Runs on a store of your own, and goes on with what is unfinished in it.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use bowline::{Bowline, MemoryStore};
    /// # bowline::testing::block_on(async {
    /// let bowline = Bowline::builder().open_store(Arc::new(MemoryStore::new())).await?;
    /// # let _ = bowline;
    /// # Ok(())
    /// # });
    /// ```
    ///
    /// # Errors
    /// Where a workflow is registered twice, or the store cannot be taken or read.
    pub async fn open_store(self, store: SharedStore) -> Result<Bowline> {
        let Self {
            registry,
            problems,
            options,
        } = self;
        if !problems.is_empty() {
            return Err(Error::permanent("workflow.registered-twice", problems.join("; ")));
        }
        let programs = Arc::new(registry.clone());
        let blobs = options.blobs.clone();
        let engine = Engine::open(Arc::clone(&store), programs, tokio::runtime::Handle::current(), options)?;
        let recovery = engine.recover().await?;
        for stuck in &recovery.stuck {
            tracing::error!(id = %stuck.id, workflow = %stuck.workflow, error = %stuck.error, "an execution cannot go on");
        }
        let inner = Inner {
            engine,
            registry,
            store,
            blobs,
            recovery,
        };
        Ok(Bowline::new(inner))
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// For tests: with this clock, and giving up at once when the store fails.
    pub(crate) fn rehearsal(mut self, clock: Clock) -> Self {
        self.options.clock = clock;
        self.options.commit_patience = Duration::ZERO;
        self
    }
}
