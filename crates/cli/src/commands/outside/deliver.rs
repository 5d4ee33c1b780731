//! Delivering an answer, and telling what became of it.

use bowline_core::Answer;
use bowline_engine::Delivered;
use bowline_store::{CallbackAddress, DeliveryFilter, ExecNo, RequestKind, Status, Store, WaitState};
use serde_json::{Map, Value};

use super::address::Stand;
use super::approve;
use crate::args::EngineArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal::{self, text, time};
use crate::wiring::answers::is_approval;
use crate::wiring::beside::{Asked, ask, leave_to_rust};
use crate::wiring::session::{Session, block_on};
use crate::wiring::store;

/// Delivers by whoever runs executions, or here.
pub(super) fn run(args: &EngineArgs, address: &CallbackAddress, answer: Answer) -> Result {
    let before = Stand::of(&store::existing(&args.data.folder)?, address)?;
    if let (Stand::Open(wait), Answer::Succeeded { output, .. }) = (&before, &answer)
        && is_approval(wait)
    {
        let answer: Value = output.parse().map_err(|error| Failure::new(Exit::Bug, error))?;
        approve::refuse_unfit(wait, &answer)?;
    }
    block_on(async {
        let request = RequestKind::Callback {
            address: address.clone(),
            answer: serde_json::to_string(&answer).map_err(|error| Failure::new(Exit::Bug, error))?,
        };
        match ask(&args.data.folder, &request, "deliver it", true).await? {
            Asked::Done => {
                let store = store::existing(&args.data.folder)?;
                match seen(&store, address, &before, &answer)? {
                    Some(delivered) => tell(args.json, &delivered),
                    None => Err(Failure::usage("the answer was not taken").hint("the log of that process says why")),
                }
            }
            Asked::Left => Ok(Exit::Success),
            Asked::Nobody => {
                let row = match before.exec() {
                    Some(exec) => store::existing(&args.data.folder)?.execution_by_no(exec)?,
                    None => None,
                };
                if let Some(row) = row.as_ref().filter(|row| !row.status.is_finished())
                    && leave_to_rust(&args.data.folder, row, &request)?
                {
                    return Ok(Exit::Success);
                }
                let id = row.map(|row| row.id);
                let session = Session::open(args, id.clone()).await?;
                if let Some(id) = &id {
                    session.remember(id)?;
                }
                let delivered = session.engine.deliver(address, answer).await;
                finish(args, session, delivered).await
            }
        }
    })
}

/// Tells what became of an answer, and goes on with the execution that got it.
pub(super) async fn finish(
    args: &EngineArgs,
    session: Session,
    delivered: std::result::Result<Delivered, bowline_engine::EngineError>,
) -> Result {
    let delivered = match delivered {
        Ok(delivered) => delivered,
        Err(error) => {
            session.quit().await;
            return Err(error.into());
        }
    };
    let execution = match &delivered {
        Delivered::Accepted { execution } => Some(execution),
        // It has not come to the callback yet, and nobody else brings it there.
        Delivered::Kept {
            execution: Some(execution),
            ..
        } if is_running(&session, execution)? => match session.resume(execution, "").await {
            Ok(_) => Some(execution),
            Err(failure) => {
                // What was asked for is done, durably.
                let told = tell(args.json, &delivered);
                failure.note();
                session.quit().await;
                return told;
            }
        },
        _ => None,
    };
    // For people it is told before what follows, for scripts it is the last line.
    let told = if args.json { None } else { Some(tell(false, &delivered)) };
    let left = if let Some(execution) = execution {
        session.leave(execution).await?
    } else {
        session.quit().await;
        Exit::Success
    };
    let told = told.unwrap_or_else(|| tell(args.json, &delivered))?;
    Ok(if left == Exit::Success { told } else { left })
}

fn is_running(session: &Session, execution: &str) -> Result<bool> {
    let row = session.store.execution(execution)?;
    Ok(row.is_some_and(|row| row.status == Status::Running))
}

fn id_of(store: &dyn Store, exec: Option<ExecNo>) -> Result<Option<String>> {
    let row = match exec {
        Some(exec) => store.execution_by_no(exec)?,
        None => None,
    };
    Ok(row.map(|row| row.id))
}

/// What another process has made of an answer, as the store shows it; none where it has not taken it.
fn seen(store: &dyn Store, address: &CallbackAddress, before: &Stand, answer: &Answer) -> Result<Option<Delivered>> {
    let id = |exec: ExecNo| Ok::<_, Failure>(id_of(store, Some(exec))?.unwrap_or_default());
    let late = |exec: ExecNo| -> Result<Option<Delivered>> {
        let row = store.execution_by_no(exec)?;
        Ok(row.map(|row| Delivered::Late {
            execution: row.id,
            status: row.status,
        }))
    };
    Ok(match (before, Stand::of(store, address)?) {
        (Stand::Closed(wait), _) if wait.state == WaitState::Cancelled => late(wait.exec)?,
        (Stand::Closed(wait), _) => Some(Delivered::Duplicate {
            execution: id(wait.exec)?,
        }),
        (Stand::Ended(row), _) => late(row.exec)?,
        (_, Stand::Open(wait)) if matches!(answer, Answer::Heartbeat) => Some(Delivered::Accepted {
            execution: id(wait.exec)?,
        }),
        (_, Stand::Open(_)) => None,
        (_, Stand::Closed(wait)) if wait.state == WaitState::Cancelled => late(wait.exec)?,
        (_, Stand::Closed(wait)) => Some(Delivered::Accepted {
            execution: id(wait.exec)?,
        }),
        (_, Stand::Ended(row)) => late(row.exec)?,
        (_, Stand::Early(..) | Stand::Nowhere) if matches!(answer, Answer::Heartbeat) => Some(Delivered::NotAwaited),
        (_, Stand::Early(exec, tag)) => {
            let filter = DeliveryFilter {
                exec: Some(exec),
                limit: usize::MAX,
                ..DeliveryFilter::default()
            };
            let kept = store
                .deliveries(&filter)?
                .into_iter()
                .rfind(|kept| kept.tag == Some(tag));
            match kept {
                Some(kept) => Some(Delivered::Kept {
                    id: kept.id,
                    execution: Some(id(exec)?),
                    expires_at: kept.expires_at,
                }),
                None => None,
            }
        }
        (_, Stand::Nowhere) => {
            let CallbackAddress::Key {
                organization,
                name,
                key,
            } = address
            else {
                return Ok(None);
            };
            let filter = DeliveryFilter {
                organization: Some(organization.clone()),
                name: Some(name.clone()),
                key: Some(key.clone()),
                limit: usize::MAX,
                ..DeliveryFilter::default()
            };
            store.deliveries(&filter)?.pop().map(|kept| Delivered::Kept {
                id: kept.id,
                execution: None,
                expires_at: kept.expires_at,
            })
        }
    })
}

/// Says what became of it. An answer that came too late is a failure of the command: nothing follows from it.
pub(super) fn tell(is_json: bool, delivered: &Delivered) -> Result {
    if is_json {
        let mut line = Map::from_iter([("type".to_owned(), Value::from("delivered"))]);
        if let Ok(Value::Object(mut fields)) = serde_json::to_value(delivered) {
            if let Some(at) = fields.get("expiresAt").and_then(Value::as_i64) {
                fields.insert("expiresAt".into(), time::rfc3339(at).into());
            }
            line.extend(fields);
        }
        terminal::print_json_line(&Value::Object(line))?;
    }
    let told = match delivered {
        Delivered::Accepted { execution } => format!("accepted by execution {execution}"),
        Delivered::Duplicate { execution } => {
            format!("duplicate: execution {execution} has had an answer before, and this one changes nothing")
        }
        Delivered::Late { execution, status } => {
            let message = if status.is_finished() {
                format!(
                    "too late: execution {execution} has ended ({}), and this changes nothing",
                    status.name()
                )
            } else {
                format!("too late: execution {execution} waits for this no more, and this changes nothing")
            };
            return Err(Failure::usage(message).hint(format!("see `bowline executions history {execution}`")));
        }
        Delivered::Kept {
            id,
            execution,
            expires_at,
        } => {
            let who = execution.as_ref().map_or_else(
                || "nobody waits for it yet".to_owned(),
                |execution| format!("execution {execution} does not wait for it yet"),
            );
            let until = time::date(*expires_at);
            format!("kept as number {id} until {until}: {who}; it is delivered when somebody does")
        }
        Delivered::NotAwaited => {
            return Err(Failure::usage("nobody waits for this heartbeat, and it is not kept"));
        }
    };
    if !is_json {
        terminal::note(&text::one_line(&told));
    }
    Ok(Exit::Success)
}
