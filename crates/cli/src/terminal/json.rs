//! Events and rows as JSON for scripts. Times are RFC 3339 in UTC.

use bowline_core::{Event, Outcome, Payload, StepError};
use bowline_store::ExecutionRow;
use serde_json::{Map, Value, json};

use super::time;

/// `{"type": "stepCompleted", "executionId": ..., "at": ..., "path": ..., ...}`
pub(crate) fn event(id: &str, at: i64, event: &Event) -> Value {
    let mut line = Map::new();
    line.insert("type".into(), Value::Null);
    line.insert("executionId".into(), id.into());
    line.insert("at".into(), time::rfc3339(at).into());
    let written = serde_json::to_value(whole(event)).unwrap_or_default();
    if let Value::Object(tagged) = written {
        for (name, fields) in tagged {
            line.insert("type".into(), name.into());
            let Value::Object(fields) = fields else { continue };
            for (field, value) in fields {
                match field.as_str() {
                    // The end of a timer; `at` is when it was set.
                    "at" => line.insert("until".into(), moment(&value)),
                    "until" | "nextAt" => line.insert(field, moment(&value)),
                    "outcome" => {
                        outcome_of(event, &mut line);
                        None
                    }
                    _ => line.insert(field, value),
                };
            }
        }
    }
    Value::Object(line)
}

/// The event with its payloads themselves, where the journal only refers to them.
fn whole(event: &Event) -> Event {
    let mut event = event.clone();
    event.each_payload(&mut |payload| {
        if payload.stored().is_some()
            && payload.absent().is_none()
            && let Ok(value) = payload.parse::<Value>()
            && let Ok(plain) = Payload::of(&value)
        {
            *payload = plain;
        }
    });
    event
}

fn outcome_of(event: &Event, line: &mut Map<String, Value>) {
    if let Event::Finished { outcome: ended } | Event::ChildEnded { outcome: ended, .. } = event {
        line.extend(outcome(ended));
    }
}

fn moment(value: &Value) -> Value {
    value
        .as_i64()
        .map_or_else(|| value.clone(), |ms| time::rfc3339(ms).into())
}

/// `status`, and `output` or `error`.
pub(crate) fn outcome(outcome: &Outcome) -> Map<String, Value> {
    let (status, field, value) = match outcome {
        Outcome::Succeeded(output) => ("succeeded", "output", output.parse().unwrap_or_default()),
        Outcome::Failed(why) => ("failed", "error", error(why)),
        Outcome::Cancelled(why) => ("cancelled", "error", error(why)),
    };
    Map::from_iter([("status".to_owned(), status.into()), (field.to_owned(), value)])
}

/// An error with its code, kind, message, causes and data.
pub(crate) fn error(error: &StepError) -> Value {
    serde_json::to_value(error).unwrap_or_default()
}

/// The last line of a run.
pub(crate) fn result(id: &str, ended: Option<&Outcome>) -> Value {
    let mut line = Map::from_iter([
        ("type".to_owned(), "result".into()),
        ("executionId".to_owned(), id.into()),
    ]);
    match ended {
        Some(ended) => line.extend(outcome(ended)),
        None => drop(line.insert("status".into(), "interrupted".into())),
    }
    Value::Object(line)
}

/// An execution as a list shows it.
pub(crate) fn row(row: &ExecutionRow) -> Value {
    json!({
        "id": row.id,
        "workflow": row.workflow,
        "version": row.definition,
        "parent": row.parent,
        "status": row.status.name(),
        "startedAt": time::rfc3339(row.started_at),
        "finishedAt": row.finished_at.map(time::rfc3339),
        "madeFrom": row.origin,
        "wakeAt": row.wake_at.map(time::rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_flat() {
        let failed = Event::AttemptFailed {
            path: "pay".into(),
            attempt: 1,
            error: StepError::transient("http.503", "busy"),
            next_at: 1_700_000_004_000,
        };
        assert_eq!(
            event("e", 1_700_000_000_000, &failed),
            json!({
                "type": "attemptFailed", "executionId": "e", "at": "2023-11-14T22:13:20.000Z", "path": "pay", "attempt": 1,
                "error": { "code": "http.503", "kind": "transient", "message": "busy" },
                "nextAt": "2023-11-14T22:13:24.000Z",
            })
        );
        let ended = Event::Finished {
            outcome: Outcome::Succeeded(Payload::of(&json!([1])).unwrap()),
        };
        let line = event("e", 0, &ended);
        assert_eq!(
            (&line["type"], &line["status"], &line["output"]),
            (&json!("finished"), &json!("succeeded"), &json!([1]))
        );
        let timer = event(
            "e",
            0,
            &Event::TimerSet {
                path: "t".into(),
                at: 1000,
            },
        );
        assert_eq!(
            (&timer["at"], &timer["until"]),
            (&json!("1970-01-01T00:00:00.000Z"), &json!("1970-01-01T00:00:01.000Z"))
        );
    }

    #[test]
    fn a_result_says_how_it_ended() {
        assert_eq!(
            result("e", None),
            json!({ "type": "result", "executionId": "e", "status": "interrupted" })
        );
        let failed = result("e", Some(&Outcome::Failed(StepError::permanent("x", "no"))));
        assert_eq!(failed["error"]["code"], "x");
    }
}
