//! One process that runs executions: mocks, store, engine and progress, from the start to the end.

mod follow;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bowline_core::{Outcome, TokenKey};
use bowline_engine::{Clock, Engine, EngineError, Handle, Options, StartRequest, read_record};
use bowline_flow::{Plan, Settings};
use bowline_host::organizations::Organizations;
use bowline_store::{Definition, ExecNo, Store};
use bowline_store_sqlite::SqliteStore;
use bowline_testing::MockServices;

use super::programs::FlowPrograms;
use super::signals::Signals;
use super::{blobs, environment, masker, programs, registry, retention, store};
use crate::args::EngineArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::model::View;
use crate::terminal::progress::{Mode, Progress};
use crate::terminal::{self, text};

/// How long calls under way may take to end after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Unfinished executions read at once.
const PAGE: usize = 256;

/// Everything that running executions needs.
pub(crate) struct Session {
    pub(crate) store: SqliteStore,
    pub(crate) engine: Engine,
    progress: Progress,
    signals: Signals,
    mode: Mode,
    folder: PathBuf,
    is_virtual: bool,
    /// Others than the one that matters are taken up too.
    takes_up: bool,
    /// Listen until the end.
    _mocks: Option<MockServices>,
}

/// How a followed execution left off.
pub(crate) enum Followed {
    /// It ended.
    Ended(Outcome),
    /// A signal came first.
    Interrupted,
    /// It waits for something that is not going to happen in this process by itself.
    Waits,
}

/// Runs the body of a command on an async runtime of a few threads.
pub(crate) fn block_on<T>(body: impl Future<Output = Result<T>>) -> Result<T> {
    let processors = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(processors.clamp(2, 4))
        .thread_name("bowline-worker")
        .enable_all()
        .build()
        .map_err(|error| {
            Failure::new(
                Exit::Bug,
                anyhow::Error::new(error).context("threads cannot be started"),
            )
        })?;
    let result = runtime.block_on(body);
    // A blocking call that hangs must not keep the process from leaving.
    runtime.shutdown_timeout(Duration::from_millis(200));
    result
}

impl Session {
    /// Starts mocks, opens the store and the engine. `main` is the execution that matters.
    pub(crate) async fn open(args: &EngineArgs, main: Option<String>) -> Result<Self> {
        Self::open_with(args, main, None).await
    }

    /// As [`Session::open`]; `plan` is a workflow that is about to run.
    pub(crate) async fn open_with(args: &EngineArgs, main: Option<String>, plan: Option<&Plan>) -> Result<Self> {
        let signals = Signals::install()?;
        let mocks = match &args.mocks {
            Some(file) => Some(MockServices::start_file(file).await?),
            None => None,
        };
        let mock_env = mocks.as_ref().map(MockServices::env).unwrap_or_default();
        let env = environment::variables(args.env_file.as_deref(), mock_env)?;
        let credentials = environment::credentials(args.credentials.as_deref())?;
        let store = store::open(&args.data.folder)?;
        let blobs = blobs::open(&args.data.folder)?;
        let tokens = TokenKey::new(store.token_key()?);
        let settings = Settings {
            env,
            credentials,
            ..Settings::default()
        };
        let programs = Arc::new(FlowPrograms::new(Arc::new(Organizations::new(
            registry(),
            masker().clone(),
            settings,
            (Arc::clone(&blobs), tokens),
            &args.data.folder,
        ))));
        let clock = if args.virtual_time {
            Clock::virtual_now()
        } else {
            Clock::System
        };
        let mode = Mode::choose(args.json, args.quiet);
        let shapes = Arc::clone(&programs);
        let progress =
            Progress::start(mode, clock.clone(), main, Box::new(move |name| shapes.shape(name))).map_err(|error| {
                Failure::new(
                    Exit::Bug,
                    anyhow::Error::new(error).context("a thread cannot be started"),
                )
            })?;
        let drivers = std::thread::available_parallelism()
            .map_or(1, std::num::NonZero::get)
            .min(4);
        let retention = if args.virtual_time {
            // A rehearsal that jumps over months must not forget what is real.
            Vec::new()
        } else {
            retention::rules(&store, plan, &registry())?
        };
        let options = Options {
            retention,
            drivers,
            clock,
            observer: Some(progress.observer()),
            blobs: Some(blobs),
            ..Options::default()
        };
        let engine = Engine::open(
            Arc::new(store.clone()),
            programs as Arc<dyn bowline_engine::Programs>,
            tokio::runtime::Handle::current(),
            options,
        )?;
        Ok(Self {
            store,
            engine,
            progress,
            signals,
            mode,
            folder: args.data.folder.clone(),
            is_virtual: args.virtual_time,
            takes_up: false,
            _mocks: mocks,
        })
    }

    /// Takes up what earlier processes left unfinished; how many that are.
    pub(crate) async fn take_up(&mut self) -> Result<usize> {
        self.takes_up = true;
        self.remember_unfinished()?;
        let report = self.engine.recover().await?;
        let resumed = report.resumed + report.waiting;
        if resumed > 0 {
            terminal::note(&format!("resumed {}", text::count(resumed, "unfinished execution")));
        }
        for stuck in &report.stuck {
            self.progress.forget(&stuck.id);
            if stuck.error.contains(programs::IN_RUST) {
                terminal::note(&format!(
                    "execution {} of {} is left to its Rust program",
                    stuck.id, stuck.workflow
                ));
                continue;
            }
            let why = text::one_line(&stuck.error);
            terminal::note(&format!(
                "stuck: execution {} of {} cannot go on: {why}",
                stuck.id, stuck.workflow
            ));
        }
        Ok(resumed)
    }

    /// Starts an execution, if what its workflow reads from the environment is there.
    pub(crate) async fn start(&self, request: StartRequest) -> Result<Handle> {
        Ok(self.engine.start(request).await?)
    }

    /// Takes up one execution.
    pub(crate) async fn resume(&self, id: &str, reason: &str) -> Result<Handle> {
        self.remember(id)?;
        match self.engine.resume(id, reason).await {
            // It was due, and has come back by itself.
            Err(EngineError::AlreadyRunning(_)) => Ok(self.engine.watch(id).await?),
            handle => Ok(handle?),
        }
    }

    /// Takes up one execution on another definition.
    pub(crate) async fn resume_on(&self, id: &str, definition: Definition, reason: &str) -> Result<Handle> {
        self.remember(id)?;
        Ok(self.engine.resume_on(id, definition, reason).await?)
    }

    /// Takes note of what an execution has done so far, before anything more happens to it.
    pub(crate) fn remember(&self, id: &str) -> Result<()> {
        let row = store::find(&self.store, id)?;
        let mut view = View::new(&row.id, &row.workflow, row.started_at);
        view.parent.clone_from(&row.parent);
        for record in store::records(&self.store, &row)? {
            for event in &record.events {
                view.apply(record.at, event);
            }
        }
        self.progress.remember(view);
        Ok(())
    }

    /// Leaves the data folder: there is nothing more to do.
    pub(crate) async fn quit(self) {
        self.engine.stop(GRACE).await;
        self.progress.catch_up();
    }

    /// Stops after the first signal: calls under way may end, everything else is left for the next run.
    pub(crate) async fn stop(&self) {
        let seconds = GRACE.as_secs();
        terminal::note(&format!(
            "stopping: calls under way have {seconds} s to end; once more to leave at once"
        ));
        self.engine.stop(GRACE).await;
    }

    /// Another execution than the one that was to be started is the one that matters.
    pub(crate) fn mind(&self, id: &str) {
        self.progress.mind(id);
    }

    /// Lets the progress know what unfinished executions have done so far.
    fn remember_unfinished(&self) -> Result<()> {
        let mut after = ExecNo(0);
        loop {
            let page = self.store.open_executions(after, PAGE)?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.row.exec;
            for open in page {
                let mut view = View::new(&open.row.id, &open.row.workflow, open.row.started_at);
                view.parent = open.row.parent;
                for record in &open.journal {
                    // What cannot be read is the engine's to report.
                    for record in read_record(record).unwrap_or_default() {
                        for event in &record.events {
                            view.apply(record.at, event);
                        }
                    }
                }
                self.progress.remember(view);
            }
        }
    }
}
