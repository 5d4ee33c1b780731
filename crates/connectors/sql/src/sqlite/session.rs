//! Opening a session: one SQLite connection with its settings and its stop switch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bowline_connector::{StepContext, StepError};
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, OpenFlags};

use super::config::SqliteConfig;
use super::error;
use super::stop::Stop;
use crate::pool::{Manager, OpenFuture};

/// Virtual machine instructions between two looks at the stop flag: far below a millisecond.
const PROGRESS_INSTRUCTIONS: i32 = 2000;
/// Longest pause between two tries for a lock.
const LONGEST_BUSY_PAUSE: Duration = Duration::from_millis(50);

/// One connection to the file.
pub(crate) struct Session {
    pub(super) connection: Connection,
    pub(super) stop: Arc<Stop>,
    /// A statement may have changed settings of the session, so it must not serve another step.
    pub(super) spoilt: bool,
}

/// Opens sessions of one file.
pub(crate) struct Opener {
    settings: Arc<Settings>,
}

struct Settings {
    path: PathBuf,
    /// Statements may name no other files.
    confined: bool,
    config: SqliteConfig,
}

impl Opener {
    /// Where the file is, or is going to be.
    pub(super) fn path(&self) -> &Path {
        &self.settings.path
    }

    /// Reads where the file is; does not touch it.
    pub(super) fn new(ctx: &StepContext, config: SqliteConfig) -> Result<Self, StepError> {
        let target = config.connection.as_ref().map(|target| target.database.as_str());
        let written = match (config.database.as_deref(), target) {
            (Some(path), None) | (None, Some(path)) => path,
            (None, None) => return Err(invalid("`database` is missing: the path of the SQLite file")),
            (Some(_), Some(_)) => return Err(invalid("write `database` or `connection.database`, not both")),
        };
        if written.trim().is_empty() || written.contains('\0') {
            return Err(invalid("`database` is not a path"));
        }
        if written == ":memory:" {
            return Err(invalid(
                "`:memory:` would be another empty database for every session; give the path of a file",
            ));
        }
        let path = ctx.file("database", written)?;
        let confined = ctx.confined;
        Ok(Self {
            settings: Arc::new(Settings { path, confined, config }),
        })
    }
}

impl Manager for Opener {
    type Session = Session;

    fn open(&self) -> OpenFuture<'_, Session> {
        let settings = Arc::clone(&self.settings);
        Box::pin(async move {
            match tokio::task::spawn_blocking(move || settings.open()).await {
                Ok(opened) => opened,
                Err(error) if error.is_cancelled() => Err(StepError::cancelled()),
                Err(error) => Err(
                    StepError::permanent("sql.internal", "the thread that opens the database broke").caused_by(&error),
                ),
            }
        })
    }

    fn reusable(&self, session: &Session) -> bool {
        !session.spoilt && session.connection.is_autocommit()
    }

    fn close(&self, sessions: Vec<Session>) {
        // Closing the last session of a file in WAL mode writes the log back, which blocks.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(sessions));
        }
    }
}

impl Settings {
    fn open(&self) -> Result<Session, StepError> {
        let access = if self.config.read_only {
            OpenFlags::SQLITE_OPEN_READ_ONLY
        } else {
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE
        };
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection =
            Connection::open_with_flags(&self.path, flags).map_err(|error| opening(&self.path, &error))?;
        let flag = Arc::new(AtomicBool::new(false));
        self.configure(&mut connection, &flag)
            .map_err(|error| opening(&self.path, &error))?;
        if self.confined {
            connection
                .authorizer(Some(within_the_file))
                .map_err(|error| opening(&self.path, &error))?;
        }
        for (index, sql) in self.config.init_statements.iter().enumerate() {
            connection
                .execute_batch(sql)
                .map_err(|error| error::classify(&error, &format!("initStatements[{index}]"), false))?;
        }
        if !connection.is_autocommit() {
            return Err(invalid("`initStatements` leave a transaction open"));
        }
        let stop = Stop::new(connection.get_interrupt_handle(), flag);
        Ok(Session {
            connection,
            stop,
            spoilt: false,
        })
    }

    fn configure(&self, connection: &mut Connection, flag: &Arc<AtomicBool>) -> rusqlite::Result<()> {
        let limit = self.config.busy_timeout.map_or(Duration::from_secs(5), |limit| limit.0);
        connection.busy_handler(Some(busy_handler(limit, Arc::clone(flag))))?;
        let stopped = Arc::clone(flag);
        connection.progress_handler(PROGRESS_INSTRUCTIONS, Some(move || stopped.load(Ordering::Relaxed)))?;
        connection.set_prepared_statement_cache_capacity(64);
        if let (Some(mode), false) = (self.config.journal_mode.pragma(), self.config.read_only) {
            connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get::<_, String>(0))?;
        }
        connection.pragma_update(None, "foreign_keys", self.config.foreign_keys.unwrap_or(true))?;
        // Reads the file's header, so that a file that is no database is found here and not in a step's statement.
        connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
        Ok(())
    }
}

/// Refuses statements that would open or write another file than the one of the connection. `VACUUM` attaches a file
/// without a name, and `VACUUM INTO` one with.
fn within_the_file(asked: AuthContext<'_>) -> Authorization {
    match asked.action {
        AuthAction::Attach { filename } if !filename.is_empty() => Authorization::Deny,
        // The name is not written but computed.
        AuthAction::Unknown { code, .. } if code == rusqlite::ffi::SQLITE_ATTACH => Authorization::Deny,
        AuthAction::Pragma { pragma_name, .. } if pragma_name.eq_ignore_ascii_case("temp_store_directory") => {
            Authorization::Deny
        }
        _ => Authorization::Allow,
    }
}

/// Waits for a lock in growing pauses, until `limit` has passed or `stopped` is raised.
fn busy_handler(limit: Duration, stopped: Arc<AtomicBool>) -> impl FnMut(i32) -> bool + Send + 'static {
    let mut since = Instant::now();
    move |tries| {
        if tries == 0 {
            since = Instant::now();
        }
        let left = limit.saturating_sub(since.elapsed());
        if left.is_zero() || stopped.load(Ordering::Relaxed) {
            return false;
        }
        let pause = Duration::from_millis(1 << tries.clamp(0, 6))
            .min(LONGEST_BUSY_PAUSE)
            .min(left);
        std::thread::sleep(pause);
        true
    }
}

fn opening(path: &Path, error: &rusqlite::Error) -> StepError {
    error::classify(error, &format!("opening {}", path.display()), false)
}

fn invalid(message: &str) -> StepError {
    StepError::permanent("config.invalid", message)
}
