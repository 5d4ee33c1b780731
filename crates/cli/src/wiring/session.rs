//! One process that runs executions: mocks, store, engine and progress, from the start to the end.

use std::sync::Arc;
use std::time::Duration;

use bowline_core::Outcome;
use bowline_engine::{Clock, Engine, EngineError, Handle, Options, StartRequest};
use bowline_store::{ExecNo, Store};
use bowline_store_sqlite::SqliteStore;
use bowline_testing::MockServices;

use super::programs::FlowPrograms;
use super::signals::Signals;
use super::{environment, registry, store};
use crate::args::EngineArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::model::View;
use crate::terminal::progress::{Mode, Progress, Rest};
use crate::terminal::{self, json, text, time, tree};

/// How long calls under way may take to end after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// How often it is looked whether anything is still being done.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Unfinished executions read at once.
const PAGE: usize = 256;

/// Everything that running executions needs.
pub(crate) struct Session {
    pub(crate) store: SqliteStore,
    pub(crate) engine: Engine,
    programs: Arc<FlowPrograms>,
    progress: Progress,
    signals: Signals,
    mode: Mode,
    is_virtual: bool,
    /// Listen until the end.
    _mocks: Option<MockServices>,
}

/// How a followed execution left off.
pub(crate) enum Followed {
    /// It ended.
    Ended(Outcome),
    /// A signal came first.
    Interrupted,
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
        let signals = Signals::install()?;
        let mocks = match &args.mocks {
            Some(file) => Some(MockServices::start_file(file).await?),
            None => None,
        };
        let mock_env = mocks.as_ref().map(MockServices::env).unwrap_or_default();
        let env = environment::variables(args.env_file.as_deref(), mock_env)?;
        let credentials = environment::credentials(args.credentials.as_deref())?;
        let programs = Arc::new(FlowPrograms::new(registry(), env, credentials));
        let store = store::open(&args.data.folder)?;
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
        let options = Options {
            drivers,
            clock,
            observer: Some(progress.observer()),
            ..Options::default()
        };
        let engine = Engine::open(
            Arc::new(store.clone()),
            Arc::clone(&programs) as Arc<dyn bowline_engine::Programs>,
            tokio::runtime::Handle::current(),
            options,
        )?;
        Ok(Self {
            store,
            engine,
            programs,
            progress,
            signals,
            mode,
            is_virtual: args.virtual_time,
            _mocks: mocks,
        })
    }

    /// Takes up what earlier processes left unfinished; how many that are.
    pub(crate) async fn take_up(&mut self) -> Result<usize> {
        self.remember_unfinished()?;
        self.programs.careful(true);
        let report = self.engine.recover().await;
        self.programs.careful(false);
        let report = report?;
        if report.resumed > 0 {
            terminal::note(&format!(
                "resumed {}",
                text::count(report.resumed, "unfinished execution")
            ));
        }
        for stuck in &report.stuck {
            self.progress.forget(&stuck.id);
            let why = text::one_line(&stuck.error);
            terminal::note(&format!(
                "stuck: execution {} of {} cannot go on: {why}",
                stuck.id, stuck.workflow
            ));
        }
        Ok(report.resumed)
    }

    /// Starts an execution, if what its workflow reads from the environment is there.
    pub(crate) async fn start(&self, request: StartRequest) -> Result<Handle> {
        self.programs.careful(true);
        let handle = self.engine.start(request).await;
        self.programs.careful(false);
        Ok(handle?)
    }

    /// Takes up one execution.
    pub(crate) async fn resume(&self, id: &str, reason: &str) -> Result<Handle> {
        let row = store::find(&self.store, id)?;
        let mut view = View::new(&row.id, &row.workflow, row.started_at);
        view.parent.clone_from(&row.parent);
        store::events(&self.store, &row, |at, event| {
            view.apply(at, event);
            Ok(())
        })?;
        self.programs.careful(true);
        // Before anything more happens to it.
        self.progress.remember(view);
        let handle = self.engine.resume(id, reason).await;
        self.programs.careful(false);
        Ok(handle?)
    }

    /// Waits for the end of an execution, or for a signal.
    pub(crate) async fn follow(&mut self, handle: Handle) -> Result<Followed> {
        let id = handle.id().to_owned();
        let outcome = handle.outcome();
        tokio::pin!(outcome);
        tokio::select! {
            ended = &mut outcome => return Ok(Followed::Ended(ended?)),
            () = self.signals.first() => {}
        }
        self.stop().await;
        // It may have ended while calls under way were waited for.
        match outcome.await {
            Ok(ended) => Ok(Followed::Ended(ended)),
            Err(EngineError::Stopped(_)) => {
                self.progress.catch_up();
                terminal::note(&format!(
                    "interrupted: execution {id} goes on at the next run with this data folder"
                ));
                Ok(Followed::Interrupted)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Waits until nothing is being worked on. What only waits for a time that is seconds away or more is left
    /// alone; `then` says when it goes on. True if a signal came first.
    pub(crate) async fn settle(&mut self, then: &str) -> Result<bool> {
        loop {
            if self.engine.in_flight() == 0 {
                return Ok(self.signals.came());
            }
            match self.progress.rest(self.engine.in_flight()) {
                Rest::Waiting(count, until) if !self.is_virtual => {
                    let until = time::due(until, time::now());
                    terminal::note(&if count == 1 {
                        format!("1 execution waits until {until} and goes on {then}")
                    } else {
                        format!("{count} executions wait, the first until {until}, and go on {then}")
                    });
                    return Ok(self.signals.came());
                }
                _ => {}
            }
            tokio::select! {
                idle = self.engine.idle() => idle?,
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.signals.first() => return Ok(true),
            }
        }
    }

    /// Stops after the first signal: calls under way may end, everything else is left for the next run.
    pub(crate) async fn stop(&self) {
        let seconds = GRACE.as_secs();
        terminal::note(&format!(
            "stopping: calls under way have {seconds} s to end; once more to leave at once"
        ));
        self.engine.stop(GRACE).await;
    }

    /// Shows how an execution ended and gives the exit code.
    pub(crate) fn tell(&self, id: &str, outcome: &Outcome) -> Result {
        self.progress.catch_up();
        if self.mode != Mode::Json {
            if let Outcome::Succeeded(output) = outcome {
                let value: serde_json::Value = output.parse().map_err(|error| Failure::new(Exit::Bug, error))?;
                terminal::print_json(&value)?;
            } else {
                let view = self.progress.main().filter(|view| view.id == id);
                tell_failure(view.as_ref(), outcome);
            }
        }
        Ok(match outcome {
            Outcome::Succeeded(_) => Exit::Success,
            Outcome::Failed(_) => Exit::Failed,
            Outcome::Cancelled(_) => Exit::Cancelled,
        })
    }

    /// Waits for the rest, leaves the data folder, and writes the last line of JSON output.
    pub(crate) async fn close(mut self, id: &str, followed: &Followed) -> Result<()> {
        let interrupted = match followed {
            Followed::Ended(_) => self.settle("at the next run with this data folder").await?,
            Followed::Interrupted => false,
        };
        if interrupted {
            self.stop().await;
        } else {
            self.engine.stop(GRACE).await;
        }
        self.progress.catch_up();
        if self.mode == Mode::Json {
            let outcome = match followed {
                Followed::Ended(outcome) => Some(outcome),
                Followed::Interrupted => None,
            };
            terminal::print_json_line(&json::result(id, outcome))?;
        }
        Ok(())
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
                    for event in bowline_core::decode(&record.events).unwrap_or_default() {
                        view.apply(record.at, &event);
                    }
                }
                self.progress.remember(view);
            }
        }
    }
}

fn tell_failure(view: Option<&View>, outcome: &Outcome) {
    let told = view.and_then(tree::error_line);
    let (word, line) = match outcome {
        Outcome::Succeeded(_) => return,
        Outcome::Failed(error) => ("failed", told.unwrap_or_else(|| error.to_string())),
        Outcome::Cancelled(error) => ("cancelled", text::reason(error)),
    };
    terminal::note(&format!("{}: {line}", terminal::palette::err_bad(word)));
}
