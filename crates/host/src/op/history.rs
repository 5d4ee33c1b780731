//! The history of an execution, event by event.

use bowline_core::{Event, Payload};
use bowline_engine::read_record;
use bowline_expression::Masker;
use serde_json::{Map, Value, json};

use super::describe::size;
use crate::records::unreadable;
use crate::time::rfc3339;
use crate::{HistoryEvent, Host, HostError, Page};

/// Events of a page where nothing is said, and at most.
const DEFAULT: usize = 200;
const MOST: usize = 2000;

/// A value over this many bytes is left out of an event.
const INLINE: u64 = 16 * 1024;

/// Bytes of records that are read for a page at most.
const BYTES: usize = 4 * 1024 * 1024;

impl Host {
    /// The events of an execution from the commit with the number `from` on, at most about `limit` (0 means 200) of them:
    /// a page never parts those of one commit. `next` is the number to go on from; it is there at the end too while the
    /// execution has not ended, so that a reader can follow it with [`Feed::execution`](crate::Feed::execution).
    ///
    /// # Errors
    /// `execution.not-found`.
    pub async fn history(
        &self,
        organization: &str,
        id: &str,
        from: u64,
        limit: usize,
    ) -> Result<Page<HistoryEvent>, HostError> {
        let row = self.row(organization, id).await?;
        let limit = if limit == 0 { DEFAULT } else { limit.min(MOST) };
        let (found, next, is_end) = self
            .read(move |store| {
                // Before the journal, so that an end which comes in between is not taken for the end of what was read.
                let row = store.execution(&row.id)?.unwrap_or(row);
                let page = store.journal(row.exec, from, limit)?;
                let (mut found, mut next, mut bytes) = (Vec::new(), from, 0);
                let mut is_end = page.len() < limit;
                for record in page {
                    if found.len() >= limit || bytes >= BYTES {
                        is_end = false;
                        break;
                    }
                    bytes += record.events.len();
                    next = record.seq + 1;
                    let records = read_record(&record).map_err(|error| unreadable(&row, record.seq, &error))?;
                    let events: Vec<_> = records
                        .into_iter()
                        .flat_map(|one| one.events.into_iter().map(move |event| (one.at, event)))
                        .collect();
                    let count = events.len();
                    for (part, (at, event)) in events.into_iter().enumerate() {
                        found.push((record.seq, part, part + 1 == count, at, event));
                    }
                }
                Ok((found, next, is_end && row.status.is_finished()))
            })
            .await?;
        let mut items = Vec::with_capacity(found.len());
        let masker = self.masker(organization);
        for (seq, part, last, at, event) in found {
            items.push(self.event(&masker, (seq, part, last), at, event).await?);
        }
        Ok(Page {
            items,
            next: (!is_end).then(|| next.to_string()),
        })
    }

    async fn event(
        &self,
        masker: &Masker,
        (seq, part, last): (u64, usize, bool),
        at: i64,
        mut event: Event,
    ) -> Result<HistoryEvent, HostError> {
        let mut is_absent = false;
        event.each_payload(&mut |payload| {
            if size(payload) > INLINE {
                *payload = omitted(size(payload));
            } else {
                is_absent |= payload.absent().is_some();
            }
        });
        if is_absent {
            self.load(std::slice::from_mut(&mut event)).await?;
        }
        let path = event.path().map(ToString::to_string);
        let written = serde_json::to_value(&event).map_err(|error| HostError::internal("event.unwritable", &error))?;
        let (kind, mut data) = match written {
            Value::Object(fields) => fields.into_iter().next().unwrap_or_default(),
            Value::String(kind) => (kind, Value::Null),
            _ => (String::new(), Value::Null),
        };
        if let Value::Object(fields) = &mut data {
            fields.shift_remove("path");
            times(fields);
        }
        masker.scrub(&mut data);
        Ok(HistoryEvent {
            seq,
            part: part as u32,
            last,
            at: rfc3339(at),
            kind,
            path,
            data,
        })
    }
}

/// Times are told as elsewhere. `at` of a timer is when it ends.
fn times(fields: &mut Map<String, Value>) {
    for name in ["at", "until", "nextAt"] {
        if let Some(value) = fields.get_mut(name)
            && let Some(ms) = value.as_i64()
        {
            *value = rfc3339(ms).into();
        }
    }
}

fn omitted(bytes: u64) -> Payload {
    Payload::of(&json!({ "$omitted": bytes })).unwrap_or_else(|_| Payload::null())
}
