//! A pool of database sessions: at most `max` open, at least `min` kept, idle ones closed after a time.
//!
//! Our own, because an error while opening must reach the step that waits at once with its code, which the
//! common pools keep to themselves until the acquire timeout has passed; and because the settings mean what
//! the node notation says.
//!
//! Invariant: sessions in use plus idle ones never exceed `max`. Every session in use or being opened holds a
//! permit; a permit's holder takes an idle session before it opens one; a session is put back before its
//! permit is.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bowline_connector::{ErrorKind, StepError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::pool_config::PoolConfig;

/// The future of opening a session.
pub(crate) type OpenFuture<'a, S> = Pin<Box<dyn Future<Output = Result<S, StepError>> + Send + 'a>>;

/// Opens sessions and says which may be used again.
pub(crate) trait Manager: Send + Sync + 'static {
    /// One connection to the database.
    type Session: Send + 'static;

    /// Opens one. A transient error is tried again within the acquire timeout.
    fn open(&self) -> OpenFuture<'_, Self::Session>;

    /// Whether a session that comes back is as good as new.
    fn reusable(&self, session: &Self::Session) -> bool;

    /// Closes sessions; called from async code, so it must not block.
    fn close(&self, sessions: Vec<Self::Session>);
}

/// Sessions of one database.
pub(crate) struct Pool<M: Manager>(Arc<Inner<M>>);

struct Inner<M: Manager> {
    manager: M,
    config: PoolConfig,
    permits: Arc<Semaphore>,
    sessions: Mutex<Sessions<M::Session>>,
    reaper: AtomicBool,
}

struct Sessions<S> {
    /// In use, being opened, or idle.
    open: u32,
    /// Unused since; the longest unused first.
    idle: Vec<(S, Instant)>,
}

impl<M: Manager> Pool<M> {
    /// A pool that opens nothing yet.
    pub(crate) fn new(manager: M, config: PoolConfig) -> Self {
        Self(Arc::new(Inner {
            manager,
            config,
            permits: Arc::new(Semaphore::new(config.max as usize)),
            sessions: Mutex::new(Sessions {
                open: 0,
                idle: Vec::new(),
            }),
            reaper: AtomicBool::new(false),
        }))
    }

    /// Who opens the sessions.
    pub(crate) fn manager(&self) -> &M {
        &self.0.manager
    }

    /// A session for the caller alone, until the lease is dropped.
    ///
    /// # Errors
    /// `sql.pool-timeout` when none came free in time, or what opening one said.
    pub(crate) async fn acquire(&self) -> Result<Lease<M>, StepError> {
        self.start_reaper();
        let limit = self.0.config.acquire_timeout_millis.0;
        let deadline = Instant::now() + limit;
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout_at(deadline, permit).await else {
            return Err(self.pool_timeout("all of them are in use"));
        };
        let mut lease = self.0.reserve(permit);
        if lease.session.is_none() {
            lease.session = Some(self.open(deadline).await?);
        }
        Ok(lease)
    }

    async fn open(&self, deadline: Instant) -> Result<M::Session, StepError> {
        let pause = self.0.config.create_retry_interval_millis.0;
        loop {
            let error = match tokio::time::timeout_at(deadline, self.0.manager.open()).await {
                Ok(Ok(session)) => return Ok(session),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.pool_timeout("opening one more took too long")),
            };
            if error.kind != ErrorKind::Transient || Instant::now() + pause >= deadline {
                return Err(error);
            }
            tracing::debug!(%error, "a session could not be opened; trying again");
            tokio::time::sleep(pause).await;
        }
    }

    fn pool_timeout(&self, why: &str) -> StepError {
        let PoolConfig {
            max,
            acquire_timeout_millis,
            ..
        } = self.0.config;
        StepError::transient(
            "sql.pool-timeout",
            format!(
                "no session of the pool came free within {:?}: {why} (pool.max is {max})",
                acquire_timeout_millis.0
            ),
        )
    }

    /// Once for each pool, from the first step that uses it, because only then is there a runtime for sure.
    fn start_reaper(&self) {
        if self.0.reaper.swap(true, Ordering::Relaxed) {
            return;
        }
        let pool = Arc::downgrade(&self.0);
        let interval = self.0.config.reap_interval_millis.0;
        tokio::spawn(reap(pool, interval));
    }
}

/// Closes what was unused for too long and opens what is missing to `min`, until the pool is gone.
async fn reap<M: Manager>(pool: Weak<Inner<M>>, interval: Duration) {
    loop {
        {
            let Some(inner) = pool.upgrade() else { return };
            let expired = inner.take_expired();
            if !expired.is_empty() {
                inner.manager.close(expired);
            }
            while let Some(mut lease) = inner.reserve_missing() {
                match inner.manager.open().await {
                    Ok(session) => lease.session = Some(session),
                    Err(error) => {
                        tracing::warn!(%error, "the pool cannot keep its minimum of sessions");
                        break;
                    }
                }
            }
        }
        tokio::time::sleep(interval).await;
    }
}

impl<M: Manager> Inner<M> {
    fn lock(&self) -> MutexGuard<'_, Sessions<M::Session>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session used last, so that those not needed grow old; or the right to open one.
    fn reserve(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Lease<M> {
        let mut sessions = self.lock();
        let session = sessions.idle.pop().map(|(session, _)| session);
        if session.is_none() {
            sessions.open += 1;
        }
        Lease {
            session,
            pool: Arc::clone(self),
            _permit: permit,
        }
    }

    /// The right to open one session more, where fewer than `min` are open.
    fn reserve_missing(self: &Arc<Self>) -> Option<Lease<M>> {
        let permit = Arc::clone(&self.permits).try_acquire_owned().ok()?;
        let mut sessions = self.lock();
        if sessions.open >= self.config.min {
            return None;
        }
        sessions.open += 1;
        Some(Lease {
            session: None,
            pool: Arc::clone(self),
            _permit: permit,
        })
    }

    fn take_expired(&self) -> Vec<M::Session> {
        let mut guard = self.lock();
        let sessions = &mut *guard;
        let limit = self.config.idle_timeout_millis.0;
        let old = sessions
            .idle
            .iter()
            .take_while(|(_, since)| since.elapsed() >= limit)
            .count();
        let spare = sessions.open.saturating_sub(self.config.min) as usize;
        let expired: Vec<_> = sessions
            .idle
            .drain(..old.min(spare))
            .map(|(session, _)| session)
            .collect();
        sessions.open = sessions.open.saturating_sub(expired.len() as u32);
        expired
    }
}

/// A session in use. Dropping it puts the session back, or closes it if it may not be used again.
pub(crate) struct Lease<M: Manager> {
    session: Option<M::Session>,
    pool: Arc<Inner<M>>,
    /// Given back after the session: fields are dropped after [`Drop::drop`] has run.
    _permit: OwnedSemaphorePermit,
}

impl<M: Manager> Lease<M> {
    /// The session; `None` only while it is being opened, which callers of [`Pool::acquire`] never see.
    pub(crate) fn session(&mut self) -> Option<&mut M::Session> {
        self.session.as_mut()
    }
}

impl<M: Manager> Drop for Lease<M> {
    fn drop(&mut self) {
        let session = self.session.take();
        let mut sessions = self.pool.lock();
        match session {
            Some(session) if self.pool.manager.reusable(&session) => sessions.idle.push((session, Instant::now())),
            other => {
                sessions.open = sessions.open.saturating_sub(1);
                drop(sessions);
                if let Some(session) = other {
                    self.pool.manager.close(vec![session]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    /// Opens numbered sessions; the first `failures` attempts fail.
    #[derive(Default)]
    struct Numbers {
        opened: Arc<AtomicU32>,
        closed: Arc<AtomicU32>,
        failures: AtomicU32,
        permanent: bool,
    }

    impl Manager for Numbers {
        type Session = u32;

        fn open(&self) -> OpenFuture<'_, u32> {
            Box::pin(async {
                if self.failures.load(Ordering::SeqCst) > 0 {
                    self.failures.fetch_sub(1, Ordering::SeqCst);
                    let kind = if self.permanent {
                        ErrorKind::Permanent
                    } else {
                        ErrorKind::Transient
                    };
                    return Err(StepError::new("sql.cannot-open", kind, "no"));
                }
                Ok(self.opened.fetch_add(1, Ordering::SeqCst))
            })
        }

        fn reusable(&self, session: &u32) -> bool {
            *session != 13
        }

        fn close(&self, sessions: Vec<u32>) {
            self.closed.fetch_add(sessions.len() as u32, Ordering::SeqCst);
        }
    }

    fn config(min: u32, max: u32) -> PoolConfig {
        PoolConfig {
            min,
            max,
            ..PoolConfig::default()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_max_and_the_wait_ends() {
        let pool = Pool::new(Numbers::default(), config(0, 2));
        let first = pool.acquire().await.expect("one");
        let _second = pool.acquire().await.expect("two");
        let error = pool.acquire().await.err().expect("none left");
        assert_eq!(
            (error.code.as_str(), error.kind),
            ("sql.pool-timeout", ErrorKind::Transient)
        );
        drop(first);
        let mut again = pool.acquire().await.expect("free again");
        assert_eq!(again.session(), Some(&mut 0), "the same session, not a new one");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_sessions_are_closed_down_to_min() {
        let manager = Numbers::default();
        let (opened, closed) = (Arc::clone(&manager.opened), Arc::clone(&manager.closed));
        let pool = Pool::new(manager, config(1, 5));
        let leases = [pool.acquire().await, pool.acquire().await, pool.acquire().await];
        drop(leases);
        assert_eq!(opened.load(Ordering::SeqCst), 3);
        tokio::time::sleep(Duration::from_secs(599)).await;
        assert_eq!(closed.load(Ordering::SeqCst), 0);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(closed.load(Ordering::SeqCst), 2);
        assert_eq!(pool.0.lock().open, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn the_minimum_is_opened_ahead() {
        let pool = Pool::new(Numbers::default(), config(3, 5));
        drop(pool.acquire().await.expect("one"));
        tokio::time::sleep(Duration::from_millis(1)).await;
        let sessions = pool.0.lock();
        assert_eq!((sessions.open, sessions.idle.len()), (3, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn opening_is_tried_again_only_when_that_may_help() {
        let pool = Pool::new(
            Numbers {
                failures: 3.into(),
                ..Numbers::default()
            },
            config(0, 1),
        );
        let before = Instant::now();
        pool.acquire().await.expect("the fourth time");
        assert_eq!(before.elapsed().as_millis() / 10, 60, "three pauses of 200 ms");

        let pool = Pool::new(
            Numbers {
                failures: 1.into(),
                permanent: true,
                ..Numbers::default()
            },
            config(0, 1),
        );
        let error = pool.acquire().await.err().expect("at once");
        assert_eq!(error.code, "sql.cannot-open");
        assert_eq!(pool.0.lock().open, 0);
        pool.acquire().await.expect("the place was given back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_is_spoilt_is_not_used_again() {
        let manager = Numbers {
            opened: Arc::new(13.into()),
            ..Numbers::default()
        };
        let closed = Arc::clone(&manager.closed);
        let pool = Pool::new(manager, config(0, 1));
        drop(pool.acquire().await.expect("13"));
        assert_eq!(closed.load(Ordering::SeqCst), 1);
        assert_eq!(pool.acquire().await.expect("14").session(), Some(&mut 14));
    }
}
