//! What a database driver has to do: take a request, run it as one transaction, give rows back.
//!
//! A new driver implements [`Database`] and registers a connection type that builds a [`SqlConnection`] of it;
//! `sql-query` needs no change. Everything that differs between databases (placeholders, types, error codes,
//! cancelling) lives behind this trait; limits and the shape of a result are the same for all.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::config::Statement;

/// The future of one request.
pub type RunFuture<'a> = Pin<Box<dyn Future<Output = Result<Answer, StepError>> + Send + 'a>>;

/// A database that runs requests. Shared by all steps that use the connection.
pub trait Database: Send + Sync {
    /// Runs all statements of `request` as one transaction and returns one result for each.
    ///
    /// An implementation keeps these promises: on any error nothing of the request has happened (or the
    /// error says `OutcomeUnknown`); a dropped future stops the running statement and rolls back; with a
    /// [`Marker`] the statements are carried out once for its key, however often the request comes.
    fn run(&self, request: Request) -> RunFuture<'_>;

    /// What a test of the connection runs: one statement that reads. An error where there is nothing to read from, and
    /// running one would make it.
    fn probe(&self) -> Result<&'static str, StepError> {
        Ok("select 1")
    }
}

/// What a connection type of the SQL family builds: the step asks for this, whatever the database is.
#[derive(Clone)]
pub struct SqlConnection(Arc<dyn Database>);

impl SqlConnection {
    /// A connection to `database`.
    pub fn new(database: impl Database + 'static) -> Self {
        Self(Arc::new(database))
    }

    /// The database behind it.
    #[must_use]
    pub fn database(&self) -> &dyn Database {
        self.0.as_ref()
    }
}

/// One step's work.
#[derive(Clone, Debug)]
pub struct Request {
    /// The statements, in order; at least one.
    pub statements: Vec<Statement>,
    /// Carry the statements out once for this key.
    pub marker: Option<Marker>,
    /// What a result may not exceed.
    pub limits: Limits,
    /// How long all statements together may take, waiting for locks included. `None`: no limit of its own.
    pub timeout: Option<Duration>,
    /// Whether values of columns declared `JSON` become JSON instead of text.
    pub parse_json: bool,
}

/// The row that says that a request was carried out.
#[derive(Clone, Debug)]
pub struct Marker {
    /// Its table: a plain identifier, checked before it gets here.
    pub table: String,
    /// Its key.
    pub key: String,
}

/// What a result may not exceed; beyond it the request fails and nothing of it has happened.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Rows of one statement.
    pub max_rows: u64,
    /// Bytes of all rows of one request, roughly as JSON.
    pub max_bytes: u64,
}

/// What a request gave.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One entry for each statement, in order.
    pub results: Vec<ResultSet>,
    /// The marker was found: nothing was executed now, and `results` is what the first time gave.
    pub already_done: bool,
}

/// What one statement gave.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResultSet {
    /// The rows, each an object with the columns' names in the order of the statement.
    pub rows: Vec<Map<String, Value>>,
    /// How many rows there are.
    pub row_count: u64,
    /// How many rows the statement inserted, updated or deleted; 0 for a query.
    pub affected_rows: u64,
    /// Id of the last row that an `INSERT` made, where the database gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_insert_id: Option<Value>,
    /// Names of the columns, in order.
    pub columns: Vec<String>,
}
