//! What is read of waits, deliveries and events.

use bowline_store::{Delivery, DeliveryFilter, EventRow, ExecNo, WaitFilter, WaitKind, WaitRow};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, params_from_iter};

use super::{bytes, limit_of};
use crate::codes;

const WAIT: &str = "exec_no, tag, path, kind, name, key, until, detail, opened_at, state";
const DELIVERY: &str = "id, exec_no, tag, name, key, answer, received_at, expires_at, organization";
/// Whose execution a wait is of.
const OWNER: &str = "(SELECT organization FROM program WHERE no = \
                     (SELECT program FROM execution WHERE execution.exec_no = waits.exec_no))";
/// So many closed waits for a key are shown beside the open ones.
const CLOSED: i64 = 16;

pub(crate) fn wait(connection: &Connection, exec: ExecNo, tag: u64) -> Result<Option<WaitRow>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {WAIT} FROM waits WHERE exec_no = ?1 AND tag = ?2"))?;
    statement.query_row((exec.0, codes::of_tag(tag)), wait_row).optional()
}

pub(crate) fn waits(connection: &Connection, filter: &WaitFilter) -> Result<Vec<WaitRow>> {
    let mut conditions = Conditions::default();
    // Only an index that narrows the search much is better than the table in its order.
    let source = match (&filter.key, filter.exec, filter.kind) {
        (Some(_), None, Some(WaitKind::Callback)) => "INDEXED BY waits_key",
        (_, None, Some(WaitKind::Event)) if filter.name.is_some() => "INDEXED BY waits_event",
        _ => "NOT INDEXED",
    };
    if let Some(kind) = filter.kind {
        // As text of the query, not as a parameter: indexes are for one kind each.
        conditions.fixed(&format!("kind = {}", codes::of_kind(kind)));
    }
    if let Some(state) = filter.state {
        conditions.fixed(&format!("state = {}", codes::of_state(state)));
    }
    if let Some(exec) = filter.exec {
        conditions.value("exec_no =", exec.0);
    }
    if let Some(name) = &filter.name {
        conditions.value("name =", name.clone());
    }
    if let Some(key) = &filter.key {
        conditions.value("key =", key.clone());
    }
    if let Some(organization) = &filter.organization {
        conditions.value(&format!("{OWNER} ="), organization.clone());
    }
    if let Some((exec, tag)) = filter.after {
        conditions.value("(exec_no, tag) > (?,", exec.0);
        conditions.rest(codes::of_tag(tag));
    }
    let sql = format!(
        "SELECT {WAIT} FROM waits {source} WHERE {} ORDER BY exec_no, tag LIMIT {}",
        conditions.sql(),
        limit_of(filter.page())
    );
    let mut statement = connection.prepare_cached(&sql)?;
    statement
        .query_map(params_from_iter(conditions.values), wait_row)?
        .collect()
}

pub(crate) fn waits_by_key(
    connection: &Connection,
    organization: &str,
    kind: WaitKind,
    name: &str,
    key: &str,
) -> Result<Vec<WaitRow>> {
    let (source, number) = match kind {
        WaitKind::Callback => ("INDEXED BY waits_key", codes::of_kind(kind)),
        WaitKind::Event => ("INDEXED BY waits_event", codes::of_kind(kind)),
        // A signal is sent to an execution.
        WaitKind::Signal => return Ok(Vec::new()),
    };
    let mut found = Vec::new();
    let parts = [
        ("state = 0 ORDER BY opened_at, exec_no, tag", i64::MAX),
        ("state <> 0 ORDER BY opened_at DESC, exec_no DESC, tag DESC", CLOSED),
    ];
    for (part, limit) in parts {
        let mut statement = connection.prepare_cached(&format!(
            "SELECT {WAIT} FROM waits {source} WHERE kind = {number} AND key = ?1 AND name = ?2 AND {OWNER} = ?4 AND {part} \
             LIMIT ?3"
        ))?;
        for row in statement.query_map((key, name, limit, organization), wait_row)? {
            found.push(row?);
        }
    }
    Ok(found)
}

pub(crate) fn event_waits(
    connection: &Connection,
    organization: &str,
    event: &str,
    key: Option<&str>,
) -> Result<Vec<(ExecNo, u64, String)>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT exec_no, tag, path FROM waits INDEXED BY waits_event \
         WHERE kind = 2 AND state = 0 AND name = ?1 AND key IS NULL AND {OWNER} = ?3 \
         UNION ALL SELECT exec_no, tag, path FROM waits INDEXED BY waits_event \
         WHERE kind = 2 AND state = 0 AND name = ?1 AND key = ?2 AND {OWNER} = ?3 ORDER BY 1, 2"
    ))?;
    let rows = statement.query_map((event, key, organization), |row| {
        Ok((ExecNo(row.get(0)?), codes::tag(row.get(1)?), row.get(2)?))
    })?;
    rows.collect()
}

pub(crate) fn deliveries(connection: &Connection, filter: &DeliveryFilter) -> Result<Vec<Delivery>> {
    let mut conditions = Conditions::default();
    conditions.value("id >", filter.after);
    if let Some(organization) = &filter.organization {
        conditions.value("organization =", organization.clone());
    }
    if let Some(id) = filter.id {
        conditions.value("id =", id);
    }
    if let Some(exec) = filter.exec {
        conditions.value("exec_no =", exec.0);
    }
    if let Some(name) = &filter.name {
        conditions.value("name =", name.clone());
    }
    if let Some(key) = &filter.key {
        conditions.value("key =", key.clone());
    }
    let sql = format!(
        "SELECT {DELIVERY} FROM deliveries WHERE {} ORDER BY id LIMIT {}",
        conditions.sql(),
        limit_of(filter.page())
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query_map(params_from_iter(conditions.values), delivery_row)?;
    rows.collect()
}

pub(crate) fn deliveries_for(
    connection: &Connection,
    exec: ExecNo,
    tag: u64,
    name: &str,
    key: Option<&str>,
) -> Result<Vec<Delivery>> {
    // A delivery names a wait or a key; one that names both comes once.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_wait WHERE exec_no = ?1 AND tag = ?2 \
         UNION SELECT {DELIVERY} FROM deliveries INDEXED BY deliveries_key WHERE key = ?4 AND name = ?3 \
         AND organization = (SELECT organization FROM program WHERE no = (SELECT program FROM execution WHERE exec_no = ?1)) \
         ORDER BY id"
    ))?;
    let rows = statement.query_map((exec.0, codes::of_tag(tag), name, key), delivery_row)?;
    rows.collect()
}

pub(crate) fn last_delivery(connection: &Connection) -> Result<i64> {
    connection
        .prepare_cached("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'deliveries'), 0)")?
        .query_row([], |row| row.get(0))
}

pub(crate) fn events_after(
    connection: &Connection,
    organization: &str,
    event: &str,
    key: Option<&str>,
    after: i64,
    since: i64,
    limit: usize,
) -> Result<Vec<EventRow>> {
    let (source, condition) = match key {
        Some(_) => ("events_key", "key = ?2"),
        None => ("events_name", "?2 IS NULL"),
    };
    // Times rise with numbers, so the first event that is late enough is where to begin.
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, event, key, data, source, at, organization FROM events INDEXED BY {source} \
         WHERE event = ?1 AND {condition} AND organization = ?6 AND id > ?3 AND id >= (SELECT id FROM events INDEXED BY events_at WHERE at >= ?4 ORDER BY at, id LIMIT 1) \
         ORDER BY id LIMIT ?5"
    ))?;
    let wanted = (event, key, after, since, limit_of(limit), organization);
    let rows = statement.query_map(wanted, |row| {
        Ok(EventRow {
            id: row.get(0)?,
            event: row.get(1)?,
            key: row.get(2)?,
            data: bytes(row, 3)?,
            source: row.get(4)?,
            at: row.get(5)?,
            organization: row.get(6)?,
        })
    })?;
    rows.collect()
}

fn wait_row(row: &Row<'_>) -> Result<WaitRow> {
    Ok(WaitRow {
        exec: ExecNo(row.get(0)?),
        tag: codes::tag(row.get(1)?),
        path: row.get(2)?,
        kind: codes::kind(3, row.get(3)?)?,
        name: row.get(4)?,
        key: row.get(5)?,
        until: row.get(6)?,
        detail: row.get::<_, Option<Vec<u8>>>(7)?.map(Into::into),
        opened_at: row.get(8)?,
        state: codes::state(9, row.get(9)?)?,
    })
}

fn delivery_row(row: &Row<'_>) -> Result<Delivery> {
    Ok(Delivery {
        id: row.get(0)?,
        exec: row.get::<_, Option<i64>>(1)?.map(ExecNo),
        tag: row.get::<_, Option<i64>>(2)?.map(codes::tag),
        name: row.get(3)?,
        key: row.get(4)?,
        answer: bytes(row, 5)?,
        received_at: row.get(6)?,
        expires_at: row.get(7)?,
        organization: row.get(8)?,
    })
}

/// What follows `WHERE`, with its values in the order of their marks.
#[derive(Default)]
struct Conditions {
    parts: Vec<String>,
    values: Vec<Value>,
}

impl Conditions {
    fn fixed(&mut self, condition: &str) {
        self.parts.push(condition.to_owned());
    }

    /// `condition` with a mark after it.
    fn value(&mut self, condition: &str, value: impl Into<Value>) {
        self.parts.push(format!("{condition} ?"));
        self.values.push(value.into());
    }

    /// The second value of the last condition, which has a mark for it and lacks its end.
    fn rest(&mut self, value: impl Into<Value>) {
        if let Some(last) = self.parts.last_mut() {
            last.push(')');
        }
        self.values.push(value.into());
    }

    fn sql(&self) -> String {
        if self.parts.is_empty() {
            "1".to_owned()
        } else {
            self.parts.join(" AND ")
        }
    }
}
