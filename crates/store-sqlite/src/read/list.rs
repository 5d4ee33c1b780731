//! Lists of executions.
//!
//! Which index a query uses is said in the query (`INDEXED BY`), because the wrong one is only slow when it matters.
//! A list without a fitting index goes through the executions from the newest in windows, each a transaction of its
//! own, so that no reader stays in one for long. One of an organization, a workflow, a status or an error is merged
//! from [several](super::merge).

use std::fmt::Write as _;

use bowline_store::{AuditPage, ExecNo, ExecutionFilter, ExecutionRow, Status};
use rusqlite::{Connection, OptionalExtension as _, Result, ToSql};

use super::{COLUMNS, PROGRAM, execution_row, limit_of, merge};
use crate::codes;
use crate::write::{BLOCK_BITS, MINUTE};

/// So many numbers of executions are looked at in one transaction of a list.
const WINDOW: i64 = 100_000;
/// So many are looked at by one page of an audit: some tens of milliseconds.
const AUDIT_WINDOW: i64 = 20_000;
/// From so many characters on, a prefix of an id is taken to be rare.
const SELECTIVE_PREFIX: usize = 8;

pub(crate) fn executions(connection: &Connection, filter: &ExecutionFilter) -> Result<Vec<ExecutionRow>> {
    let newest: Option<i64> = connection
        .prepare_cached("SELECT max(exec_no) FROM execution")?
        .query_row([], |row| row.get(0))?;
    let Some(newest) = newest else {
        return Ok(Vec::new());
    };
    let end = filter
        .before
        .map_or(i64::MAX, |before| before.0)
        .min(newest.saturating_add(1));
    let oldest: i64 = connection
        .prepare_cached("SELECT min(exec_no) FROM execution")?
        .query_row([], |row| row.get(0))?;
    let mut found = Vec::new();
    for (begin, end) in ranges(connection, filter, (oldest, end))? {
        if merge::fits(filter) {
            merge::executions(connection, filter, (begin, end), &mut found)?;
        } else {
            scan(connection, filter, (begin, end), &mut found)?;
        }
        if found.len() >= filter.page() {
            break;
        }
    }
    Ok(found)
}

/// The numbers that executions of a list may have, within `all`, the highest first: all, or where a time is asked for
/// those of the blocks that it is in. See the table `started`.
fn ranges(connection: &Connection, filter: &ExecutionFilter, all: (i64, i64)) -> Result<Vec<(i64, i64)>> {
    let (since, until) = filter.started;
    if since.is_none() && until.is_none() {
        return Ok(vec![all]);
    }
    let first = since.map_or(i64::MIN, |since| since.div_euclid(MINUTE));
    let last = until.map_or(i64::MAX, |until| until.div_euclid(MINUTE));
    let (lowest, highest) = (all.0 >> BLOCK_BITS, all.1 >> BLOCK_BITS);
    let mut statement = connection.prepare_cached(
        "SELECT block FROM started WHERE block >= ?1 AND block <= ?2 AND last >= ?3 AND first <= ?4 ORDER BY block DESC",
    )?;
    let mut found: Vec<(i64, i64)> = Vec::new();
    for block in statement.query_map((lowest, highest, first, last), |row| row.get::<_, i64>(0))? {
        let begin = block? << BLOCK_BITS;
        let end = begin + (1 << BLOCK_BITS);
        match found.last_mut() {
            Some(range) if range.0 == end => range.0 = begin,
            _ => found.push((begin, end)),
        }
    }
    for range in &mut found {
        *range = (range.0.max(all.0), range.1.min(all.1));
    }
    Ok(found)
}

/// Goes through the executions from the end of a range, until the page is full.
pub(super) fn scan(
    connection: &Connection,
    filter: &ExecutionFilter,
    (first, mut end): (i64, i64),
    found: &mut Vec<ExecutionRow>,
) -> Result<()> {
    let mut query = Query::new(filter);
    let mut statement = connection.prepare_cached(&query.sql)?;
    while end > first && found.len() < filter.page() {
        let begin = if query.windowed {
            end.saturating_sub(WINDOW).max(first)
        } else {
            first
        };
        let left = limit_of(filter.page() - found.len());
        query.values[..3].clone_from_slice(&[begin.into(), end.into(), left.into()]);
        let values = query.values.iter().map(|value| value as &dyn ToSql).collect::<Vec<_>>();
        for row in statement.query_map(&values[..], execution_row)? {
            found.push(row?);
        }
        end = begin;
    }
    Ok(())
}

/// Whether it is for so few ids that they are sorted.
pub(super) fn is_selective(filter: &ExecutionFilter) -> bool {
    let prefix = filter.id_prefix.as_ref();
    prefix.is_some_and(|prefix| prefix.chars().count() >= SELECTIVE_PREFIX)
}

/// A list as SQL. The first three parameters are the window and how many rows are still wanted.
pub(super) struct Query {
    pub(super) sql: String,
    values: Vec<rusqlite::types::Value>,
    windowed: bool,
}

impl Query {
    fn new(filter: &ExecutionFilter) -> Self {
        let selective = is_selective(filter);
        let source = if selective {
            "INDEXED BY execution_id"
        } else if filter.parent.is_some() {
            "INDEXED BY execution_parent"
        } else if filter.status == Some(Status::Running) {
            "INDEXED BY execution_open"
        } else {
            "NOT INDEXED"
        };
        let mut query = Self {
            sql: format!(
                "SELECT {COLUMNS} FROM execution AS e {source} {PROGRAM} WHERE e.exec_no >= ?1 AND e.exec_no < ?2"
            ),
            values: vec![0.into(); 3],
            windowed: !selective,
        };
        if let Some(status) = filter.status {
            // As text of the query, not as a parameter: the index on open ones is for this number.
            query.also(&format!("e.status = {}", codes::of_status(status)));
        }
        if filter.unfinished {
            query.also("e.status IN (0, 1, 2)");
        }
        if let Some(organization) = &filter.organization {
            query.also_with("p.organization = ", organization.clone());
        }
        if let Some(error) = &filter.error {
            query.also_with("e.error = ", error.clone());
        }
        if let Some(since) = filter.started.0 {
            query.also_with("e.started_at >= ", since);
        }
        if let Some(until) = filter.started.1 {
            query.also_with("e.started_at < ", until);
        }
        if let Some(workflow) = &filter.workflow {
            query.also_with("p.workflow = ", workflow.clone());
        }
        if let Some(definition) = &filter.definition {
            query.also_with("p.definition = ", definition.clone());
        }
        if let Some(parent) = &filter.parent {
            query.also_with("e.parent = ", parent.clone());
        }
        if let Some(prefix) = filter.id_prefix.as_ref().filter(|prefix| !prefix.is_empty()) {
            query.also_with("e.id >= ", prefix.clone());
            query.also_with("e.id < ", format!("{prefix}\u{10FFFF}"));
        }
        query.sql.push_str(" ORDER BY e.exec_no DESC LIMIT ?3");
        query
    }

    fn also(&mut self, condition: &str) {
        self.sql.push_str(" AND ");
        self.sql.push_str(condition);
    }

    fn also_with(&mut self, condition: &str, value: impl Into<rusqlite::types::Value>) {
        self.values.push(value.into());
        self.also(condition);
        // Writing to a string does not fail.
        let _ = write!(self.sql, "?{}", self.values.len());
    }
}

pub(crate) fn audit(connection: &Connection, after: ExecNo, limit: usize) -> Result<AuditPage> {
    let first: Option<i64> = connection
        .prepare_cached("SELECT exec_no FROM execution WHERE exec_no > ?1 ORDER BY exec_no LIMIT 1")?
        .query_row([after.0], |row| row.get(0))
        .optional()?;
    let Some(first) = first else {
        return Ok(AuditPage::default());
    };
    let end = first.saturating_add(AUDIT_WINDOW);
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM execution AS e NOT INDEXED {PROGRAM} WHERE e.exec_no >= ?1 AND e.exec_no < ?2 \
         AND (e.status = 0 OR (e.status = 1 AND e.wake_at IS NULL \
         AND NOT EXISTS (SELECT 1 FROM waits WHERE waits.exec_no = e.exec_no AND waits.state = 0) \
         AND NOT EXISTS (SELECT 1 FROM execution AS child INDEXED BY execution_parent \
         WHERE child.parent = e.id AND child.status IN (0, 1, 2)))) ORDER BY e.exec_no LIMIT ?3"
    ))?;
    let found = statement
        .query_map((first, end, limit_of(limit)), execution_row)?
        .collect::<Result<Vec<_>>>()?;
    let next = if found.len() >= limit {
        Some(found.last().map_or(after, |row| row.exec))
    } else {
        connection
            .prepare_cached("SELECT 1 FROM execution WHERE exec_no >= ?1")?
            .exists([end])?
            .then(|| ExecNo(end - 1))
    };
    Ok(AuditPage { found, next })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{database, insert};
    use super::*;

    fn plan(connection: &Connection, query: &Query) -> String {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {}", query.sql))
            .unwrap();
        let values = query.values.iter().map(|value| value as &dyn ToSql).collect::<Vec<_>>();
        let lines = statement.query_map(&values[..], |row| row.get::<_, String>(3)).unwrap();
        let program = "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)";
        let lines: Vec<_> = lines.map(Result::unwrap).filter(|line| line != program).collect();
        lines.join("; ")
    }

    #[test]
    fn every_list_uses_what_fits_and_only_a_rare_prefix_is_sorted() {
        let connection = database();
        let all = ExecutionFilter::default();
        let running = ExecutionFilter {
            status: Some(Status::Running),
            workflow: Some("w".into()),
            ..all.clone()
        };
        let failed = ExecutionFilter {
            status: Some(Status::Failed),
            ..all.clone()
        };
        let children = ExecutionFilter {
            parent: Some("p".into()),
            ..running.clone()
        };
        let short = ExecutionFilter {
            id_prefix: Some("0198".into()),
            ..all.clone()
        };
        let long = ExecutionFilter {
            id_prefix: Some("0198c0de-00".into()),
            ..children.clone()
        };
        for (filter, expected) in [
            (&all, "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (&failed, "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (&short, "SEARCH e USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"),
            (
                &running,
                "SEARCH e USING INDEX execution_open (exec_no>? AND exec_no<?)",
            ),
            (
                &children,
                "SEARCH e USING INDEX execution_parent (parent=? AND rowid>? AND rowid<?)",
            ),
            (
                &long,
                "SEARCH e USING INDEX execution_id (id>? AND id<?); USE TEMP B-TREE FOR ORDER BY",
            ),
        ] {
            assert_eq!(plan(&connection, &Query::new(filter)), expected);
        }
    }

    #[test]
    fn a_list_goes_on_through_windows_with_nothing_in_them() {
        let connection = database();
        let numbers = [3, 4, WINDOW, WINDOW + 1, 7 * WINDOW, 7 * WINDOW + 5];
        for exec in numbers {
            insert(&connection, exec, &format!("id-{exec}"), 4);
        }
        for status in [None, Some(Status::Failed)] {
            let filter = ExecutionFilter {
                status,
                ..ExecutionFilter::default()
            };
            let found: Vec<i64> = executions(&connection, &filter)
                .unwrap()
                .into_iter()
                .map(|row| row.exec.0)
                .collect();
            assert_eq!(found, numbers.into_iter().rev().collect::<Vec<_>>());
        }
        let filter = ExecutionFilter {
            before: Some(ExecNo(WINDOW + 1)),
            limit: 2,
            ..ExecutionFilter::default()
        };
        let found: Vec<i64> = executions(&connection, &filter)
            .unwrap()
            .into_iter()
            .map(|row| row.exec.0)
            .collect();
        assert_eq!(found, [WINDOW, 4]);
    }
}
