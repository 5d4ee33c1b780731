//! A few open conversations with one server, used again while they last.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bowline_connector::{StepError, Tested};
use lettre::transport::smtp::client::AsyncSmtpConnection;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::config::PoolConfig;
use super::conversation::{Delivery, Letter, Server};

/// What a connection of type `smtp` is built to.
pub(crate) struct Smtp(Arc<Inner>);

struct Inner {
    server: Server,
    config: PoolConfig,
    permits: Semaphore,
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    /// Unused since; the longest unused first.
    talks: Vec<(AsyncSmtpConnection, Instant)>,
    /// A task closes what is unused for too long; it ends when nothing is left.
    watched: bool,
}

impl Smtp {
    /// Conversations with `server`; none yet.
    pub(super) fn new(server: Server, config: PoolConfig) -> Self {
        let permits = Semaphore::new(config.max as usize);
        Self(Arc::new(Inner {
            server,
            config,
            permits,
            idle: Mutex::default(),
        }))
    }

    /// Folders from which attachments may be read, besides the workflow's own.
    pub(crate) fn attachment_folders(&self) -> &[String] {
        self.0.server.attachment_folders()
    }

    /// Hands a letter over, in a conversation that is open or a new one.
    pub(crate) async fn deliver(&self, letter: &Letter) -> Result<Delivery, StepError> {
        let Ok(_permit) = self.0.permits.acquire().await else {
            return Err(StepError::cancelled());
        };
        let mut talk = self.0.talk().await?;
        let (delivery, good) = self.0.server.deliver(&mut talk, letter).await;
        if good {
            self.0.keep(talk);
        }
        delivery
    }
}

impl Smtp {
    /// Opens a conversation of its own, logs in, and ends it.
    pub(super) async fn test(&self) -> Result<Tested, StepError> {
        let server = &self.0.server;
        match server.connect().await {
            Ok(talk) => {
                server.quit(talk).await;
                let logged_in = server.has_login();
                Ok(Tested {
                    reachable: true,
                    authenticated: logged_in.then_some(true),
                    error: None,
                    message: format!(
                        "{} answered{}",
                        server.name(),
                        if logged_in { " and took the login" } else { "" }
                    ),
                })
            }
            // It has answered with a status, or offers no such login.
            Err(error) if is_refusal(&error) => Ok(Tested {
                reachable: true,
                authenticated: Some(false),
                message: error.message.clone(),
                error: Some(error),
            }),
            Err(error) => Err(error),
        }
    }
}

fn is_refusal(error: &StepError) -> bool {
    error
        .code
        .strip_prefix("smtp.")
        .is_some_and(|code| code == "no-login" || code.parse::<u16>().is_ok_and(|status| (500..600).contains(&status)))
}

impl Inner {
    async fn talk(&self) -> Result<AsyncSmtpConnection, StepError> {
        loop {
            let last = self.lock().talks.pop();
            let Some((mut talk, since)) = last else {
                return self.server.connect().await;
            };
            if since.elapsed() < self.config.idle_timeout.0 && self.server.is_alive(&mut talk).await {
                return Ok(talk);
            }
        }
    }

    fn keep(self: &Arc<Self>, talk: AsyncSmtpConnection) {
        let mut idle = self.lock();
        idle.talks.push((talk, Instant::now()));
        if !idle.watched {
            idle.watched = true;
            tokio::spawn(close_unused(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn close_unused(pool: Weak<Inner>) {
    loop {
        let Some(inner) = pool.upgrade() else { return };
        let limit = inner.config.idle_timeout.0;
        let (expired, next) = {
            let mut idle = inner.lock();
            let old = idle
                .talks
                .iter()
                .take_while(|(_, since)| since.elapsed() >= limit)
                .count();
            let expired: Vec<_> = idle.talks.drain(..old).collect();
            let next = idle.talks.first().map(|(_, since)| *since + limit);
            idle.watched = next.is_some();
            (expired, next)
        };
        for (talk, _) in expired {
            inner.server.quit(talk).await;
        }
        drop(inner);
        match next {
            Some(next) => tokio::time::sleep_until(next).await,
            None => return,
        }
    }
}
