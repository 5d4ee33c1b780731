//! Ctrl-C and SIGTERM: the first asks for a gentle stop, the second leaves at once.

use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::exit::{Exit, Failure, Result};
use crate::terminal;

/// Within this time after the first, another signal is the same one: `timeout` and shells send theirs to the
/// process and to its group.
const SAME: Duration = Duration::from_millis(300);

/// Tells of the first signal. Clones tell of the same one.
#[derive(Clone)]
pub(crate) struct Signals(watch::Receiver<bool>);

impl Signals {
    /// Takes the signals over, for the rest of the process.
    pub(crate) fn install() -> Result<Self> {
        let (told, receiver) = watch::channel(false);
        let mut source = Source::new().map_err(|error| {
            Failure::new(
                Exit::Bug,
                anyhow::Error::new(error).context("signals cannot be received"),
            )
        })?;
        tokio::spawn(async move {
            source.next().await;
            // Nobody may be listening: then there is nothing to stop.
            let _ = told.send(true);
            let first = Instant::now();
            loop {
                source.next().await;
                if first.elapsed() > SAME {
                    break;
                }
            }
            terminal::note("leaving at once; what is unfinished goes on at the next run");
            std::process::exit(130);
        });
        Ok(Self(receiver))
    }

    /// Returns once the first signal has come.
    pub(crate) async fn first(&mut self) {
        if self.0.wait_for(|told| *told).await.is_err() {
            // No more signals are received: wait for what else happens.
            std::future::pending::<()>().await;
        }
    }

    /// Whether the first signal has come.
    pub(crate) fn came(&self) -> bool {
        *self.0.borrow()
    }
}

#[cfg(unix)]
struct Source {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Source {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Source;

#[cfg(not(unix))]
impl Source {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
