//! SQLite behind [`Database`]: a pool of connections to one file, used from blocking threads.
//!
//! A request takes one session, runs on a blocking thread and gives the session back there. The future only
//! waits: when it is dropped, or `timeout` has passed, it stops the session's statement (see [`stop`]), the
//! transaction rolls back and the session becomes free again.

mod bind;
mod config;
mod error;
mod execute;
mod once;
mod scan;
mod session;
mod stop;
mod value;

use bowline_connector::{StepContext, StepError};

pub use config::SqliteConfig;

use crate::database::{Answer, Database, Request, RunFuture, SqlConnection};
use crate::pool::Pool;
use session::Opener;
use stop::{Reason, StopOnDrop};

/// Builds a connection of type `sqlite`. Opens nothing yet.
pub(crate) fn build(ctx: &StepContext, config: SqliteConfig) -> Result<SqlConnection, StepError> {
    let pool = config.pool.unwrap_or_default();
    pool.check()?;
    let opener = Opener::new(ctx, config)?;
    Ok(SqlConnection::new(Sqlite {
        pool: Pool::new(opener, pool),
    }))
}

struct Sqlite {
    pool: Pool<Opener>,
}

impl Sqlite {
    async fn run(&self, request: Request) -> Result<Answer, StepError> {
        let mut lease = self.pool.acquire().await?;
        let Some(session) = lease.session() else {
            return Err(StepError::permanent("sql.internal", "the pool gave no session"));
        };
        let guard = StopOnDrop(session.stop.start());
        let timeout = request.timeout;
        let mut job = tokio::task::spawn_blocking(move || {
            let Some(session) = lease.session() else {
                return Err(StepError::cancelled());
            };
            let answer = execute::execute(session, &request);
            session.stop.finish();
            drop(lease);
            answer
        });
        let done = match timeout {
            None => (&mut job).await,
            Some(limit) => tokio::select! {
                done = &mut job => done,
                () = tokio::time::sleep(limit) => {
                    guard.0.stop(Reason::TimedOut(limit));
                    (&mut job).await
                }
            },
        };
        done.unwrap_or_else(|error| {
            if error.is_cancelled() {
                return Err(StepError::cancelled());
            }
            Err(StepError::permanent("sql.internal", "the statement's thread broke").caused_by(&error))
        })
    }
}

impl Database for Sqlite {
    fn run(&self, request: Request) -> RunFuture<'_> {
        Box::pin(self.run(request))
    }

    fn probe(&self) -> Result<&'static str, StepError> {
        let path = self.pool.manager().path();
        match path.try_exists() {
            // Opening would make it.
            Ok(false) => Err(StepError::permanent(
                "sql.no-database",
                format!(
                    "there is no file {} yet; the first step that uses it makes it",
                    path.display()
                ),
            )),
            // Reads the file, so that one which is no database is found out.
            _ => Ok("select count(*) from sqlite_schema"),
        }
    }
}
