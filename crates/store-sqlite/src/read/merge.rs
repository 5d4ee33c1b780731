//! Lists of an organization, a workflow, a status or an error code: an index has each version in each status (or with
//! each code) from the newest on, and those that are asked for are merged.
//!
//! Only as much of each is read as the page needs, so that neither how many executions there are nor how many of them
//! are of another kind matters.

use std::collections::{BinaryHeap, VecDeque};

use bowline_store::{ExecNo, ExecutionFilter, ExecutionRow, Status};
use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use super::{execution_by_no, limit_of, list};
use crate::codes;
use crate::write::BLOCK_BITS;

/// With more to merge than this, the newest executions are gone through first: most often the page is among them.
const MANY: usize = 64;
/// So many of the newest.
const NEWEST: i64 = 2_000;
/// What is said of when executions began is said of so many.
const BLOCK: i64 = 1 << BLOCK_BITS;
/// So many numbers of one kind are read at once at most.
const AHEAD: usize = 128;
/// So many are looked at in one transaction.
const TOGETHER: usize = 20_000;

/// Whether merging is the best way to a list.
pub(super) fn fits(filter: &ExecutionFilter) -> bool {
    let is_rare = filter.parent.is_some() || list::is_selective(filter);
    let narrows = filter.organization.is_some() || filter.workflow.is_some() || filter.definition.is_some();
    // What runs has an index of its own.
    let of_kind = filter.unfinished || filter.status.is_some_and(|status| status != Status::Running);
    !is_rare && (narrows || of_kind || filter.error.is_some())
}

/// Adds the executions of the list with numbers in the range, from its end, until the page is full.
pub(super) fn executions(
    connection: &Connection,
    filter: &ExecutionFilter,
    (mut begin, mut end): (i64, i64),
    found: &mut Vec<ExecutionRow>,
) -> Result<()> {
    let kinds = kinds(connection, filter)?;
    let first = begin;
    if kinds.len() > MANY {
        // Of the blocks at both ends of a time, most are of another one, which costs less to pass over here.
        let is_for_a_time = filter.started != (None, None);
        let newest = if is_for_a_time { BLOCK } else { NEWEST };
        let newest = end.saturating_sub(newest).max(begin);
        list::scan(connection, filter, (newest, end), found)?;
        end = newest;
        if is_for_a_time {
            begin = begin.saturating_add(BLOCK).min(end);
        }
    }
    while end > begin && found.len() < filter.page() {
        // A status changes, so what is merged has to be of one moment.
        let transaction = connection.unchecked_transaction()?;
        end = Merge::new(&transaction, &kinds, filter.error.as_deref(), (begin, end))?.fill(filter, found)?;
        transaction.finish()?;
    }
    list::scan(connection, filter, (first, begin), found)
}

/// What is merged: a version, and a status unless it is a list of an error.
type Kind = (i64, Option<i64>);

fn kinds(connection: &Connection, filter: &ExecutionFilter) -> Result<Vec<Kind>> {
    let mut sql = "SELECT no FROM program WHERE 1".to_owned();
    let mut values: Vec<Value> = Vec::new();
    let names = [
        (" AND organization = ?", &filter.organization),
        (" AND workflow = ?", &filter.workflow),
        (" AND definition = ?", &filter.definition),
    ];
    for (condition, name) in names {
        if let Some(name) = name {
            sql.push_str(condition);
            values.push(name.clone().into());
        }
    }
    let statuses: Vec<Option<i64>> = if filter.error.is_some() {
        vec![None]
    } else {
        let wanted = Status::ALL.into_iter().filter(|status| {
            filter.status.is_none_or(|wanted| wanted == *status) && !(filter.unfinished && status.is_finished())
        });
        wanted.map(|status| Some(codes::of_status(status))).collect()
    };
    let mut statement = connection.prepare_cached(&sql)?;
    let mut kinds = Vec::new();
    for program in statement.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))? {
        let program = program?;
        kinds.extend(statuses.iter().map(|status| (program, *status)));
    }
    Ok(kinds)
}

/// The numbers of one kind, from the highest on.
struct Source {
    kind: Kind,
    read: VecDeque<i64>,
    /// How many are read next; 0 when there are no more.
    ahead: usize,
    end: i64,
}

struct Merge<'c> {
    connection: &'c Connection,
    error: Option<&'c str>,
    begin: i64,
    sources: Vec<Source>,
    /// The highest number of each source, with the source's place.
    heap: BinaryHeap<(i64, usize)>,
}

impl<'c> Merge<'c> {
    fn new(
        connection: &'c Connection,
        kinds: &[Kind],
        error: Option<&'c str>,
        (begin, end): (i64, i64),
    ) -> Result<Self> {
        let mut merge = Self {
            connection,
            error,
            begin,
            sources: Vec::with_capacity(kinds.len()),
            heap: BinaryHeap::with_capacity(kinds.len()),
        };
        for (place, kind) in kinds.iter().enumerate() {
            merge.sources.push(Source {
                kind: *kind,
                read: VecDeque::new(),
                ahead: 1,
                end,
            });
            merge.advance(place)?;
        }
        Ok(merge)
    }

    /// Puts the next number of a source into the heap, if it has one.
    fn advance(&mut self, place: usize) -> Result<()> {
        let Some(source) = self.sources.get_mut(place) else {
            return Ok(());
        };
        if source.read.is_empty() && source.ahead > 0 {
            let range = (self.begin, source.end);
            let found = numbers(self.connection, source.kind, self.error, range, source.ahead)?;
            source.end = found.back().copied().unwrap_or(source.end);
            let was_all = found.len() < source.ahead;
            source.ahead = if was_all { 0 } else { (source.ahead * 2).min(AHEAD) };
            source.read = found;
        }
        if let Some(number) = source.read.pop_front() {
            self.heap.push((number, place));
        }
        Ok(())
    }

    /// Adds what the filter lets through until the page is full; from where the rest goes on.
    fn fill(mut self, filter: &ExecutionFilter, found: &mut Vec<ExecutionRow>) -> Result<i64> {
        let mut seen = 0;
        while found.len() < filter.page() {
            let Some((number, place)) = self.heap.pop() else {
                return Ok(self.begin);
            };
            let row = execution_by_no(self.connection, ExecNo(number))?;
            found.extend(row.filter(|row| filter.fits(row)));
            seen += 1;
            if seen >= TOGETHER {
                return Ok(number);
            }
            self.advance(place)?;
        }
        Ok(self.begin)
    }
}

/// The numbers of a kind in a range, from the highest on.
fn numbers(
    connection: &Connection,
    (program, status): Kind,
    error: Option<&str>,
    (begin, end): (i64, i64),
    limit: usize,
) -> Result<VecDeque<i64>> {
    let limit = limit_of(limit);
    if let Some(error) = error {
        let mut statement = connection.prepare_cached(BY_ERROR)?;
        let rows = statement.query_map((error, program, begin, end, limit), |row| row.get(0))?;
        return rows.collect();
    }
    let mut statement = connection.prepare_cached(BY_STATUS)?;
    let rows = statement.query_map((status, program, begin, end, limit), |row| row.get(0))?;
    rows.collect()
}

const BY_STATUS: &str = "SELECT exec_no FROM execution INDEXED BY execution_program \
    WHERE status = ?1 AND program = ?2 AND exec_no >= ?3 AND exec_no < ?4 ORDER BY exec_no DESC LIMIT ?5";
const BY_ERROR: &str = "SELECT exec_no FROM execution INDEXED BY execution_error WHERE error IS NOT NULL \
    AND error = ?1 AND program = ?2 AND exec_no >= ?3 AND exec_no < ?4 ORDER BY exec_no DESC LIMIT ?5";

#[cfg(test)]
mod tests {
    use super::super::tests::{database, insert};
    use super::*;

    #[test]
    fn what_is_merged_is_in_its_order_in_an_index() {
        let connection = database();
        for (sql, index) in [
            (
                BY_STATUS,
                "execution_program (program=? AND status=? AND rowid>? AND rowid<?)",
            ),
            (
                BY_ERROR,
                "execution_error (error=? AND program=? AND rowid>? AND rowid<?)",
            ),
        ] {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan = statement
                .query_map((1, 1, 1, 1, 1), |row| row.get::<_, String>(3))
                .unwrap();
            let plan: Vec<String> = plan.map(Result::unwrap).collect();
            assert_eq!(plan, [format!("SEARCH execution USING COVERING INDEX {index}")]);
        }
    }

    #[test]
    fn many_kinds_come_in_one_order() {
        let connection = database();
        for program in 2..=40 {
            let name = format!("w{program}");
            connection
                .execute("INSERT INTO program VALUES (?1, 'default', ?2, 'd')", (program, name))
                .unwrap();
        }
        let rows = 2 * NEWEST;
        for exec in 1..=rows {
            insert(&connection, exec, &format!("id-{exec}"), exec % 6);
            connection
                .execute("UPDATE execution SET program = 1 + ?1 % 40 WHERE exec_no = ?1", [exec])
                .unwrap();
        }
        let mut filter = ExecutionFilter {
            organization: Some("default".into()),
            limit: 300,
            ..ExecutionFilter::default()
        };
        assert!(fits(&filter) && kinds(&connection, &filter).unwrap().len() > MANY);
        let mut expected = (1..=rows).rev();
        loop {
            let page = list::executions(&connection, &filter).unwrap();
            let Some(last) = page.last() else { break };
            filter.before = Some(last.exec);
            for row in page {
                assert_eq!(Some(row.exec.0), expected.next());
            }
        }
        assert_eq!(expected.next(), None);
        filter = ExecutionFilter {
            workflow: Some("w7".into()),
            status: Some(Status::Failed),
            limit: 1_000,
            ..ExecutionFilter::default()
        };
        let found = list::executions(&connection, &filter).unwrap();
        let found: Vec<i64> = found.into_iter().map(|row| row.exec.0).collect();
        let expected = (1..=rows).rev().filter(|exec| exec % 40 == 6 && exec % 6 == 4);
        assert_eq!(found, expected.collect::<Vec<_>>());
        assert!(!found.is_empty());
    }
}
