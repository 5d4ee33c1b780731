//! Testing a connection: one statement that reads.

use std::time::Duration;

use bowline_connector::{StepContext, StepError, Tested};

use crate::config::{Parameters, Statement};
use crate::database::{Limits, Request, SqlConnection};

/// How long the database has to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the database answers, and takes the credentials.
pub(crate) async fn test(ctx: StepContext, name: String) -> Result<Tested, StepError> {
    let connection = ctx.connection::<SqlConnection>(&name)?;
    let database = connection.database();
    let query = database.probe()?;
    let request = Request {
        statements: vec![Statement {
            query: query.to_owned(),
            parameters: Parameters::default(),
            expected_rows: None,
        }],
        marker: None,
        limits: Limits {
            max_rows: 10,
            max_bytes: 64 * 1024,
        },
        timeout: Some(PATIENCE),
        parse_json: false,
    };
    database.run(request).await?;
    Ok(Tested {
        reachable: true,
        authenticated: None,
        error: None,
        message: format!("`{query}` was answered"),
    })
}
