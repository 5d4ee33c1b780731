//! `sql-query`: one statement, or one transaction of several, against a SQL database.
//!
//! The connector itself ([`query`]) knows no database. It reads its configuration, hands a [`Request`] to the
//! [`Database`] behind the named connection and returns what comes back. A database is a connection type:
//! today `sqlite`; a type that is not registered is refused when the workflow is checked.
//!
//! What always holds:
//! - SQL text is never put together from values: every value is bound;
//! - all statements of one step are one transaction: either all of them happened or none;
//! - nothing is truncated: more rows or bytes than allowed is an error and rolls back;
//! - an error names the statement by its number and never holds a parameter's value.

mod blobs;
mod config;
mod database;
mod pool;
mod pool_config;
mod query;
mod sqlite;
mod test;

use bowline_connector::Registry;

pub use config::{Config, Once, Parameters, RowsExpected, Statement};
pub use database::{Answer, Database, Limits, Marker, Request, ResultSet, RunFuture, SqlConnection};
pub use pool_config::PoolConfig;
pub use query::Output;
pub use sqlite::SqliteConfig;

/// Adds the `sql-query` connector and the `sqlite` connection type.
pub fn register(registry: &mut Registry) {
    registry.add("sql-query", query::run);
    registry.add_connection("sqlite", sqlite::build);
    registry.add_connection_test("sqlite", test::test);
}
