//! One request on one session: a transaction around all statements.
//!
//! A request that writes takes the write lock when it begins, so that it waits for it there, where the busy
//! timeout applies, and is never asked to give up halfway. Whatever fails, the transaction is rolled back
//! before the error leaves; a session whose rollback fails is not used again.

use bowline_connector::{ErrorKind, StepError};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, Statement as Prepared};
use serde_json::Map;

use super::bind::assign;
use super::error::classify;
use super::once;
use super::scan::{Scan, scan};
use super::session::Session;
use super::stop::{Reason, Stop};
use super::value::{self, Kind};
use crate::config::Statement;
use crate::database::{Answer, Request, ResultSet};

/// Carries out `request`.
pub(super) fn execute(session: &mut Session, request: &Request) -> Result<Answer, StepError> {
    let scans: Vec<Scan> = request
        .statements
        .iter()
        .map(|statement| scan(&statement.query))
        .collect();
    for (index, scan) in scans.iter().enumerate() {
        check(scan, index)?;
        session.spoilt |= changes_session(scan);
    }
    let outcome = transact(&session.connection, &session.stop, request, &scans);
    if outcome.is_err() && !session.connection.is_autocommit() {
        session.stop.allow_cleanup();
        if let Err(error) = session.connection.execute_batch("ROLLBACK") {
            // The session is not in autocommit mode then, so the pool closes it, which rolls back too.
            tracing::warn!(%error, "a rollback failed");
        }
    }
    outcome.map_err(|error| match session.stop.reason() {
        Some(Reason::TimedOut(limit)) if was_stopped(&error) => {
            StepError::transient("sql.timeout", format!("not done within {limit:?}; rolled back")).alias("timeout")
        }
        Some(Reason::Cancelled) if was_stopped(&error) => StepError::cancelled(),
        _ => error,
    })
}

/// A stop shows as an interrupt, or as a lock that was not waited for any longer.
fn was_stopped(error: &StepError) -> bool {
    matches!(error.code.as_str(), "sql.interrupted" | "sql.busy")
}

/// Refuses what would take the transaction or the session out of our hands.
fn check(scan: &Scan, index: usize) -> Result<(), StepError> {
    if scan.is_empty() {
        return Err(StepError::permanent(
            "sql.syntax",
            format!("{}: there is no statement in it", place(index)),
        ));
    }
    let why = match scan.verb() {
        "BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "SAVEPOINT" | "RELEASE" => {
            "all statements of one step are one transaction already; leave it out"
        }
        "ATTACH" | "DETACH" => "it belongs into the connection's `initStatements`, because sessions are shared",
        _ => return Ok(()),
    };
    Err(StepError::permanent(
        "sql.not-allowed",
        format!("{}: {} is not allowed: {why}", place(index), scan.verb()),
    ))
}

/// Whether a statement leaves something behind in its session: settings or temporary tables.
fn changes_session(scan: &Scan) -> bool {
    let second = scan.first_words.get(1).map_or("", String::as_str);
    scan.verb() == "PRAGMA" || (scan.verb() == "CREATE" && matches!(second, "TEMP" | "TEMPORARY"))
}

fn transact(connection: &Connection, stop: &Stop, request: &Request, scans: &[Scan]) -> Result<Answer, StepError> {
    go_on(stop)?;
    if let ([statement], [scan], None) = (&request.statements[..], scans, &request.marker)
        && statement.expected_rows.is_none()
        && matches!(scan.verb(), "VACUUM" | "PRAGMA")
    {
        // These two do nothing, or fail, within a transaction.
        let mut budget = request.limits.max_bytes;
        let result = run(connection, request, 0, scan, &mut budget)?;
        return Ok(Answer {
            results: vec![result],
            already_done: false,
        });
    }
    let begin = if request.marker.is_some() || writes(connection, request) {
        "BEGIN IMMEDIATE"
    } else {
        "BEGIN"
    };
    connection
        .execute_batch(begin)
        .map_err(|error| classify(&error, "beginning the transaction", false))?;
    if let Some(marker) = &request.marker
        && let Some(results) = once::find(connection, marker)?
    {
        commit(connection)?;
        return Ok(Answer {
            results,
            already_done: true,
        });
    }
    let mut results = Vec::with_capacity(request.statements.len());
    let mut budget = request.limits.max_bytes;
    for (index, scan) in scans.iter().enumerate() {
        go_on(stop)?;
        results.push(run(connection, request, index, scan, &mut budget)?);
    }
    if let Some(marker) = &request.marker {
        once::write(connection, marker, &results)?;
    }
    go_on(stop)?;
    commit(connection)?;
    Ok(Answer {
        results,
        already_done: false,
    })
}

fn commit(connection: &Connection) -> Result<(), StepError> {
    connection
        .execute_batch("COMMIT")
        .map_err(|error| classify(&error, "committing", true))
}

/// An interrupt that comes between two statements is lost to SQLite; the reason is not.
fn go_on(stop: &Stop) -> Result<(), StepError> {
    match stop.reason() {
        None => Ok(()),
        Some(_) => Err(StepError::transient(
            "sql.interrupted",
            "stopped between two statements",
        )),
    }
}

/// Whether any statement may write. One that does not compile yet (its table comes from an earlier one) may.
fn writes(connection: &Connection, request: &Request) -> bool {
    request.statements.iter().any(|statement| {
        connection
            .prepare_cached(&statement.query)
            .map_or(true, |prepared| !prepared.readonly())
    })
}

fn run(
    connection: &Connection,
    request: &Request,
    index: usize,
    scan: &Scan,
    budget: &mut u64,
) -> Result<ResultSet, StepError> {
    let statement = &request.statements[index];
    let place = place(index);
    let before = connection.total_changes();
    let mut prepared = connection
        .prepare_cached(&statement.query)
        .map_err(|error| classify(&error, &place, false))?;
    bind(&mut prepared, statement, scan, &place)?;
    let reads = prepared.readonly();
    let mut result = ResultSet {
        columns: prepared.column_names().map(str::to_owned).collect(),
        ..ResultSet::default()
    };
    collect(&mut prepared, request, &place, &mut result, budget).map_err(|error| hide_values(error, statement))?;
    drop(prepared);
    result.row_count = result.rows.len() as u64;
    if !reads && connection.total_changes() != before {
        result.affected_rows = connection.changes();
    }
    if scan.inserts && result.affected_rows > 0 {
        result.last_insert_id = Some(value::integer_to_json(connection.last_insert_rowid()));
    }
    if let Some(expected) = statement.expected_rows {
        let (rows, what) = if reads {
            (result.row_count, "returned")
        } else {
            (result.affected_rows, "changed")
        };
        if !expected.holds(rows) {
            return Err(StepError::permanent(
                "sql.unexpected-rows",
                format!(
                    "{place}: it {what} {rows} rows, expected {}; rolled back",
                    expected.words()
                ),
            ));
        }
    }
    Ok(result)
}

fn bind(prepared: &mut Prepared<'_>, statement: &Statement, scan: &Scan, place: &str) -> Result<(), StepError> {
    let names: Vec<Option<String>> = (1..=prepared.parameter_count())
        .map(|at| prepared.parameter_name(at).map(str::to_owned))
        .collect();
    let values = assign(place, scan, &names, &statement.parameters)?;
    for (index, value) in values.into_iter().enumerate() {
        let Some(value) = value else { continue };
        let name = names[index].clone().unwrap_or_else(|| format!("?{}", index + 1));
        let bound = value::to_sql(value)
            .map_err(|why| StepError::permanent("sql.parameters", format!("{place}: the value of {name}: {why}")))?;
        prepared
            .raw_bind_parameter(index + 1, bound)
            .map_err(|error| classify(&error, place, false))?;
    }
    Ok(())
}

fn collect(
    prepared: &mut Prepared<'_>,
    request: &Request,
    place: &str,
    result: &mut ResultSet,
    budget: &mut u64,
) -> Result<(), StepError> {
    let mut kinds: Option<Vec<Kind>> = None;
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next().map_err(|error| classify(&error, place, false))? {
        if kinds.is_none() {
            // Only now it is certain which columns there are: the first step compiles anew after a schema change.
            let columns = row.as_ref().columns();
            let (names, found) = columns
                .map(|c| (c.name().to_owned(), Kind::of(c.decl_type(), request.parse_json)))
                .unzip();
            result.columns = names;
            kinds = Some(found);
            distinct(&result.columns, place)?;
        }
        if result.rows.len() as u64 >= request.limits.max_rows {
            return Err(StepError::permanent(
                "sql.too-many-rows",
                format!(
                    "{place}: it returns more than {} rows (maxRows)",
                    request.limits.max_rows
                ),
            ));
        }
        let kinds = kinds.as_deref().unwrap_or_default();
        result
            .rows
            .push(read(row, &result.columns, kinds, request, place, budget)?);
    }
    Ok(())
}

fn read(
    row: &Row<'_>,
    columns: &[String],
    kinds: &[Kind],
    request: &Request,
    place: &str,
    budget: &mut u64,
) -> Result<Map<String, serde_json::Value>, StepError> {
    let mut fields = Map::with_capacity(columns.len());
    for (at, (name, kind)) in columns.iter().zip(kinds).enumerate() {
        let stored: ValueRef<'_> = row.get_ref(at).map_err(|error| classify(&error, place, false))?;
        let size = value::size(stored) + name.len() as u64 + 4;
        *budget = budget.checked_sub(size).ok_or_else(|| {
            let limit = request.limits.max_bytes;
            StepError::permanent(
                "sql.too-many-bytes",
                format!("{place}: the rows have more than {limit} bytes (maxBytes)"),
            )
        })?;
        let json = value::from_sql(stored, *kind)
            .map_err(|why| StepError::permanent("sql.unreadable", format!("{place}: column `{name}`: {why}")))?;
        fields.insert(name.clone(), json);
    }
    Ok(fields)
}

/// Two columns of one name cannot both be in an object; neither may get lost.
fn distinct(columns: &[String], place: &str) -> Result<(), StepError> {
    match columns
        .iter()
        .enumerate()
        .find(|(at, name)| columns[..*at].contains(name))
    {
        None => Ok(()),
        Some((_, name)) => Err(StepError::permanent(
            "sql.duplicate-column",
            format!("{place}: two columns are called `{name}`; name one of them with AS"),
        )),
    }
}

/// Messages that come up while a statement runs can quote what it works on (a JSON path, a search text).
fn hide_values(mut error: StepError, statement: &Statement) -> StepError {
    use crate::config::Parameters;
    if error.kind == ErrorKind::Permanent && error.code == "sql.error" {
        let values: Box<dyn Iterator<Item = &serde_json::Value>> = match &statement.parameters {
            Parameters::List(values) => Box::new(values.iter()),
            Parameters::Named(values) => Box::new(values.values()),
        };
        for text in values
            .filter_map(serde_json::Value::as_str)
            .filter(|text| text.len() > 2)
        {
            error.message = error.message.replace(text, "…");
        }
    }
    error
}

fn place(index: usize) -> String {
    format!("statement {}", index + 1)
}
