//! `sql-query`: reads its configuration, asks the database, gives the result.

use bowline_connector::{StepContext, StepError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::blobs;
use crate::config::Config;
use crate::database::{Limits, Marker, Request, ResultSet, SqlConnection};

/// What `sql-query` returns.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Output {
    /// With `query`.
    One {
        /// What the statement gave.
        #[serde(flatten)]
        result: ResultSet,
        /// Only with `once`: whether an earlier attempt had carried it out, so that this one executed nothing.
        #[serde(rename = "alreadyDone", skip_serializing_if = "Option::is_none")]
        already_done: Option<bool>,
    },
    /// With `statements`.
    Several {
        /// What each statement gave, in order.
        results: Vec<ResultSet>,
        /// Only with `once`: whether an earlier attempt had carried them out, so that this one executed nothing.
        #[serde(rename = "alreadyDone", skip_serializing_if = "Option::is_none")]
        already_done: Option<bool>,
    },
}

/// Runs one attempt.
pub(crate) async fn run(ctx: StepContext, config: Config) -> Result<Output, StepError> {
    let connection = ctx.connection::<SqlConnection>(&config.connection)?;
    let once = config.once.is_some();
    let marker = config.once.map(|once| Marker {
        table: once.table,
        key: once.key.unwrap_or_else(|| ctx.idempotency_key.to_string()),
    });
    let mut statements = config.statements;
    blobs::load(&ctx, &mut statements).await?;
    let request = Request {
        statements,
        marker,
        limits: Limits {
            max_rows: config.max_rows,
            max_bytes: config.max_bytes,
        },
        timeout: config.timeout.map(bowline_connector::Millis::duration),
        parse_json: config.parse_json,
    };
    let expected = request.statements.len();
    let answer = connection.database().run(request).await?;
    let already_done = once.then_some(answer.already_done);
    if config.several {
        return Ok(Output::Several {
            results: answer.results,
            already_done,
        });
    }
    match <[ResultSet; 1]>::try_from(answer.results) {
        Ok([result]) => Ok(Output::One { result, already_done }),
        Err(results) => Err(StepError::permanent(
            "sql.once-other-work",
            format!(
                "the marker of this step holds the results of {} statements, but the step has {expected}: \
                 another step has used the same `once` key",
                results.len()
            ),
        )),
    }
}
