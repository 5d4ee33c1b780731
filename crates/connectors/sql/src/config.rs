//! The configuration of `sql-query`.
//!
//! Users write [`Fields`]; a [`Config`] is what remains when the combinations that make no sense are refused.
//! That happens while deserializing, so the checker finds them before anything runs.

use std::borrow::Cow;

use bowline_connector::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Runs SQL on a database connection: one `query`, or several `statements` as one transaction.
///
/// ```yaml
/// type: sql-query
/// config:
///   connection: primary-db
///   query: SELECT id, name FROM users WHERE created_at >= $1
///   parameters: ["${input.startDate}"]
/// ```
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fields {
    /// Name of a connection of a SQL type, such as `sqlite`.
    connection: String,
    /// One SQL statement. Values belong into `parameters`, never into this text.
    #[serde(default)]
    #[schemars(extend("x-no-expressions" = true))]
    query: Option<String>,
    /// Values of the placeholders of `query`.
    #[serde(default)]
    parameters: Option<Parameters>,
    /// How many rows `query` must change (or return, if it changes none by nature). Anything else is the
    /// error `sql.unexpected-rows`, and nothing has happened.
    #[serde(default)]
    expected_rows: Option<RowsExpected>,
    /// Several statements, carried out in order as one transaction; instead of `query`.
    #[serde(default)]
    statements: Option<Vec<StatementFields>>,
    /// `true` may be written for clarity: all statements of one step always are one transaction.
    #[serde(default)]
    transaction: Option<bool>,
    /// Carries the statements out exactly once, also when the step is retried after a lost answer or a crash.
    #[serde(default)]
    once: Option<Once>,
    /// How long all statements together may take, waiting for locks included. Beyond it they are interrupted
    /// and rolled back, and the step fails with `sql.timeout`. Default: no limit but the step's own `timeout`.
    #[serde(default)]
    timeout: Option<Millis>,
    /// Most rows that one statement may return; more is the error `sql.too-many-rows`. Default 10,000.
    #[serde(default = "default_max_rows")]
    max_rows: u64,
    /// Most bytes that all rows together may have, roughly as JSON; more is the error `sql.too-many-bytes`.
    /// Default 10,485,760 (10 MiB).
    #[serde(default = "default_max_bytes")]
    max_bytes: u64,
    /// Whether values of columns declared `JSON` become JSON instead of text. Default true.
    #[serde(default = "default_true")]
    parse_json: bool,
}

/// One of several statements.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StatementFields {
    /// One SQL statement. Values belong into `parameters`, never into this text.
    #[schemars(extend("x-no-expressions" = true))]
    query: String,
    /// Values of its placeholders.
    #[serde(default)]
    parameters: Option<Parameters>,
    /// How many rows it must change (or return, if it changes none by nature); else everything is rolled back.
    #[serde(default, alias = "expect")]
    expected_rows: Option<RowsExpected>,
}

/// Values for placeholders: a list for `$1`, `?1` and `?`, an object for `:name`, `@name` and `$name`.
///
/// A list or object as a value is bound as JSON text, to be read with the database's JSON functions:
/// `WHERE id IN (SELECT value FROM json_each($1))`. `{"$blob": "<base64>"}` is bound as bytes, and so is a reference
/// to a blob of at most 16 MiB, such as `${download.body}`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Parameters {
    /// By position, counted from 1.
    List(Vec<Value>),
    /// By name, with or without the placeholder's first character.
    Named(Map<String, Value>),
}

impl Default for Parameters {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// How many rows a statement must change or return: a number, or bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum RowsExpected {
    /// Exactly so many.
    Exactly(u64),
    /// Within bounds, both included.
    Between {
        /// At least so many. Default 0.
        #[serde(default)]
        min: u64,
        /// At most so many. Default: no bound.
        #[serde(default)]
        max: Option<u64>,
    },
}

impl RowsExpected {
    /// Whether `rows` is what was expected.
    #[must_use]
    pub fn holds(self, rows: u64) -> bool {
        match self {
            Self::Exactly(expected) => rows == expected,
            Self::Between { min, max } => rows >= min && max.is_none_or(|max| rows <= max),
        }
    }

    /// In words, for an error.
    #[must_use]
    pub fn words(self) -> String {
        match self {
            Self::Exactly(expected) => expected.to_string(),
            Self::Between { min, max: None } => format!("at least {min}"),
            Self::Between { min, max: Some(max) } => format!("{min} to {max}"),
        }
    }
}

/// A marker row in a table of the same database, written in the same transaction as the statements. A step
/// that finds its marker executes nothing and returns what the first time returned, with `alreadyDone: true`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Once {
    /// Table of the markers, made if it is missing: letters, digits and `_`, columns `key`, `result`, `created_at`.
    pub table: String,
    /// What identifies the work within the table. Default: the step's idempotency key, which is the same through
    /// retry, replay and resume. Two steps with one key count as the same work.
    #[serde(default)]
    pub key: Option<String>,
}

/// One statement with its values.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Its text.
    pub query: String,
    /// Values of its placeholders.
    pub parameters: Parameters,
    /// How many rows it must change or return.
    pub expected_rows: Option<RowsExpected>,
}

/// A configuration that makes sense.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Fields")]
pub struct Config {
    /// Name of the connection.
    pub connection: String,
    /// At least one statement.
    pub statements: Vec<Statement>,
    /// Whether `statements` was written, so that the result is a list.
    pub several: bool,
    /// Carry the statements out once.
    pub once: Option<Once>,
    /// Limit for all statements together.
    pub timeout: Option<Millis>,
    /// Most rows of one statement.
    pub max_rows: u64,
    /// Most bytes of all rows.
    pub max_bytes: u64,
    /// Whether values of columns declared `JSON` are parsed.
    pub parse_json: bool,
}

impl TryFrom<Fields> for Config {
    type Error = Cow<'static, str>;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        if fields.transaction == Some(false) {
            return Err(
                "`transaction: false` is not possible: all statements of one step are one transaction; \
                write one step for each statement instead"
                    .into(),
            );
        }
        let (statements, several) = match (fields.query, fields.statements) {
            (Some(_), Some(_)) => return Err("write `query` or `statements`, not both".into()),
            (None, None) => return Err("`query` or `statements` is missing".into()),
            (None, Some(statements)) => {
                if fields.parameters.is_some() || fields.expected_rows.is_some() {
                    return Err("with `statements`, `parameters` and `expectedRows` belong to each statement".into());
                }
                if statements.is_empty() {
                    return Err("`statements` is empty".into());
                }
                (statements.into_iter().map(Statement::from).collect(), true)
            }
            (Some(query), None) => {
                let parameters = fields.parameters.unwrap_or_default();
                (
                    vec![Statement {
                        query,
                        parameters,
                        expected_rows: fields.expected_rows,
                    }],
                    false,
                )
            }
        };
        if let Some(once) = &fields.once {
            if !is_identifier(&once.table) {
                return Err(
                    "`once.table` is a name of letters, digits and `_` (63 at most) that starts with no digit".into(),
                );
            }
            if once.key.as_deref() == Some("") {
                return Err("`once.key` is empty".into());
            }
        }
        Ok(Self {
            connection: fields.connection,
            statements,
            several,
            once: fields.once,
            timeout: fields.timeout,
            max_rows: fields.max_rows,
            max_bytes: fields.max_bytes,
            parse_json: fields.parse_json,
        })
    }
}

impl From<StatementFields> for Statement {
    fn from(fields: StatementFields) -> Self {
        Self {
            query: fields.query,
            parameters: fields.parameters.unwrap_or_default(),
            expected_rows: fields.expected_rows,
        }
    }
}

impl JsonSchema for Config {
    fn schema_name() -> Cow<'static, str> {
        "SqlQuery".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Fields::json_schema(generator)
    }
}

fn default_max_rows() -> u64 {
    10_000
}

fn default_max_bytes() -> u64 {
    10 * 1024 * 1024
}

fn default_true() -> bool {
    true
}

fn is_identifier(name: &str) -> bool {
    name.len() <= 63
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn error(config: Value) -> String {
        serde_json::from_value::<Config>(config)
            .expect_err("refused")
            .to_string()
    }

    #[test]
    fn combinations_without_sense_are_refused() {
        for (config, part) in [
            (json!({ "connection": "c" }), "is missing"),
            (
                json!({ "connection": "c", "query": "select 1", "statements": [] }),
                "not both",
            ),
            (json!({ "connection": "c", "statements": [] }), "is empty"),
            (
                json!({ "connection": "c", "statements": [{ "query": "x" }], "parameters": [1] }),
                "belong to each",
            ),
            (
                json!({ "connection": "c", "query": "x", "transaction": false }),
                "one transaction",
            ),
            (
                json!({ "connection": "c", "query": "x", "once": { "table": "a; drop table b" } }),
                "letters, digits",
            ),
            (
                json!({ "connection": "c", "query": "x", "once": { "table": "a", "key": "" } }),
                "is empty",
            ),
            (
                json!({ "connection": "c", "query": "x", "params": [] }),
                "unknown field `params`",
            ),
            (
                json!({ "connection": "c", "query": "x", "parameters": 7 }),
                "Parameters",
            ),
        ] {
            let message = error(config.clone());
            assert!(message.contains(part), "{config}: {message}");
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let config: Config = serde_json::from_value(json!({ "connection": "c", "query": "select 1" })).expect("valid");
        assert_eq!(
            (config.max_rows, config.max_bytes, config.parse_json),
            (10_000, 10_485_760, true)
        );
        assert!(!config.several && config.once.is_none() && config.timeout.is_none());
    }

    #[test]
    fn expected_rows_are_a_number_or_bounds() {
        for (written, rows, holds) in [
            (json!(1), 1, true),
            (json!(1), 2, false),
            (json!({ "min": 1 }), 9, true),
            (json!({ "min": 1 }), 0, false),
            (json!({ "max": 3 }), 0, true),
            (json!({ "min": 1, "max": 3 }), 4, false),
        ] {
            let expected: RowsExpected = serde_json::from_value(written.clone()).expect("valid");
            assert_eq!(expected.holds(rows), holds, "{written} {rows}");
        }
    }
}
