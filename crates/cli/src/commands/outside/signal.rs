//! `bowline signal`.

use bowline_core::Event;
use bowline_store::{ExecutionRow, RequestKind, Store};
use serde_json::json;

use crate::args::SignalArgs;
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::beside::{Asked, ask, leave_to_rust};
use crate::wiring::session::{Session, block_on};
use crate::wiring::store;

pub(crate) fn signal(args: &SignalArgs) -> Result {
    let folder = &args.engine.data.folder;
    let data = super::payload(args.payload.as_deref())?;
    let store = store::existing(folder)?;
    let row = store::find(&store, &args.id)?;
    if args.name.trim().is_empty() || args.name.chars().any(char::is_control) {
        return Err(Failure::usage("the signal's name is empty or has control characters"));
    }
    if row.status.is_finished() {
        let message = format!(
            "execution {} has {}, and takes no signals any more",
            row.id,
            row.status.name()
        );
        return Err(Failure::usage(message));
    }
    if let Some(id) = &args.signal_id
        && is_recorded(&store, &row, id)?
    {
        return tell(args, &row, false);
    }
    // With an id of its own, whoever is asked and asks again does not send two.
    let id = args
        .signal_id
        .clone()
        .unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    block_on(async {
        let request = RequestKind::Signal {
            id: row.id.clone(),
            name: args.name.clone(),
            data: data.text().to_owned(),
            signal: Some(id.clone()),
        };
        match ask(folder, &request, "pass the signal on", true).await? {
            Asked::Done if is_recorded(&store, &row, &id)? => tell(args, &row, true),
            Asked::Done => {
                let message = format!("execution {} has not taken the signal", row.id);
                Err(Failure::usage(message).hint(format!("see `bowline why {}`", row.id)))
            }
            Asked::Left => Ok(Exit::Success),
            Asked::Nobody if leave_to_rust(folder, &row, &request)? => Ok(Exit::Success),
            Asked::Nobody => {
                let session = Session::open(&args.engine, Some(row.id.clone())).await?;
                session.remember(&row.id)?;
                match session.engine.signal(&row.id, &args.name, data, Some(id)).await {
                    Ok(is_new) => {
                        if !args.engine.json {
                            tell(args, &row, is_new)?;
                        }
                        let left = session.leave(&row.id).await?;
                        if args.engine.json {
                            tell(args, &row, is_new)?;
                        }
                        Ok(left)
                    }
                    Err(error) => {
                        session.quit().await;
                        Err(error.into())
                    }
                }
            }
        }
    })
}

fn is_recorded(store: &dyn Store, row: &ExecutionRow, signal: &str) -> Result<bool> {
    let mut found = false;
    store::events(store, row, None, |_, event| {
        found |= matches!(event, Event::SignalReceived { id: Some(id), .. } if id == signal);
        Ok(())
    })?;
    Ok(found)
}

fn tell(args: &SignalArgs, row: &ExecutionRow, is_new: bool) -> Result {
    if args.engine.json {
        let outcome = if is_new { "accepted" } else { "duplicate" };
        terminal::print_json_line(&json!({ "type": "signalled", "outcome": outcome, "execution": row.id }))?;
    } else if is_new {
        terminal::note(&format!("signal {} is recorded by execution {}", args.name, row.id));
    } else {
        terminal::note(&format!("duplicate: execution {} has had this signal before", row.id));
    }
    Ok(Exit::Success)
}
