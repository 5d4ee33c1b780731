//! Writing waits, deliveries and events.

use bowline_store::{Delivery, EventRow, ExecNo, WaitRow, WaitState};
use rusqlite::Connection;

use super::Refusal;
use super::executions::known;
use crate::codes;

type Written = Result<(), Refusal>;

pub(super) fn open(connection: &Connection, row: &WaitRow) -> Written {
    let changes = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO waits (exec_no, tag, kind, state, name, key, path, opened_at, until, detail) \
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10 WHERE EXISTS (SELECT 1 FROM execution WHERE exec_no = ?1)",
        )?
        .execute((
            row.exec.0,
            codes::of_tag(row.tag),
            codes::of_kind(row.kind),
            codes::of_state(row.state),
            &row.name,
            &row.key,
            &row.path,
            row.opened_at,
            row.until,
            row.detail.as_deref(),
        ))?;
    known(changes, row.exec)
}

pub(super) fn close(connection: &Connection, exec: ExecNo, tag: u64, state: WaitState) -> Written {
    let tag = codes::of_tag(tag);
    let of_callbacks = connection
        .prepare_cached("UPDATE waits SET state = ?3 WHERE exec_no = ?1 AND tag = ?2 AND kind = 0")?
        .execute((exec.0, tag, codes::of_state(state)))?;
    if of_callbacks == 0 {
        connection
            .prepare_cached("DELETE FROM waits WHERE exec_no = ?1 AND tag = ?2")?
            .execute((exec.0, tag))?;
    }
    Ok(())
}

pub(super) fn keep(connection: &Connection, delivery: &Delivery) -> Written {
    connection
        .prepare_cached(
            "INSERT INTO deliveries (id, exec_no, tag, name, key, answer, received_at, expires_at, organization) \
             VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((
            delivery.id,
            delivery.exec.map(|exec| exec.0),
            delivery.tag.map(codes::of_tag),
            &delivery.name,
            &delivery.key,
            &delivery.answer[..],
            delivery.received_at,
            delivery.expires_at,
            &delivery.organization,
        ))?;
    Ok(())
}

pub(super) fn drop_delivery(connection: &Connection, id: i64) -> Written {
    connection
        .prepare_cached("DELETE FROM deliveries WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

pub(super) fn drop_expired(connection: &Connection, before: i64, at_most: u32) -> Written {
    connection
        .prepare_cached(
            "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries INDEXED BY deliveries_expiry \
             WHERE expires_at < ?1 ORDER BY expires_at LIMIT ?2)",
        )?
        .execute((before, at_most))?;
    Ok(())
}

pub(super) fn emit(connection: &Connection, event: &EventRow) -> Written {
    if event.id != 0 {
        let last: i64 = connection
            .prepare_cached("SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)")?
            .query_row([], |row| row.get(0))?;
        if event.id <= last {
            let what = format!("the number {} of an event is not above {last}", event.id);
            return Err(Refusal::Nonsense(what));
        }
    }
    connection
        .prepare_cached(
            "INSERT INTO events (id, event, key, data, source, at, organization) VALUES (nullif(?1, 0), ?2, ?3, ?4, ?5, \
             max(?6, coalesce((SELECT at FROM events ORDER BY id DESC LIMIT 1), ?6)), ?7)",
        )?
        .execute((
            event.id,
            &event.event,
            &event.key,
            &event.data[..],
            &event.source,
            event.at,
            &event.organization,
        ))?;
    connection
        .prepare_cached(
            "UPDATE execution SET wake_at = min(coalesce(wake_at, ?3), ?3) WHERE status = 1 AND exec_no IN ( \
             SELECT exec_no FROM waits INDEXED BY waits_event WHERE kind = 2 AND state = 0 AND name = ?1 AND key IS NULL \
             UNION ALL \
             SELECT exec_no FROM waits INDEXED BY waits_event WHERE kind = 2 AND state = 0 AND name = ?1 AND key = ?2) \
             AND program IN (SELECT no FROM program WHERE organization = ?4)",
        )?
        .execute((&event.event, &event.key, event.at, &event.organization))?;
    Ok(())
}

pub(super) fn drop_events(connection: &Connection, before: i64, at_most: u32) -> Written {
    connection
        .prepare_cached(
            "DELETE FROM events WHERE id IN (SELECT id FROM events INDEXED BY events_at WHERE at < ?1 \
             ORDER BY at, id LIMIT ?2)",
        )?
        .execute((before, at_most))?;
    Ok(())
}
