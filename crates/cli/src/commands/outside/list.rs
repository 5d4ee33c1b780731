//! `bowline callback list`: what is waited for, and what came and is not.

use bowline_store::{DeliveryFilter, Store, WaitKind};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::{CallbackListArgs, WaitListArgs};
use crate::exit::{Exit, Result};
use crate::terminal::{self, text, time};
use crate::wiring::{answers, store};

pub(super) fn run(args: &CallbackListArgs) -> Result {
    let Some(store) = store::look(&args.list.data.folder)? else {
        if args.list.json {
            terminal::print_json(&json!([]))?;
        } else {
            terminal::note(&format!("no executions in {} yet", args.list.data.folder.display()));
        }
        return Ok(Exit::Success);
    };
    if args.kept {
        kept(&store, &args.list)
    } else {
        open(&store, &args.list)
    }
}

fn open(store: &dyn Store, args: &WaitListArgs) -> Result {
    let exec = match &args.execution {
        Some(id) => Some(store::find(store, id)?.exec),
        None => None,
    };
    let open = answers::some(store, exec, Some(WaitKind::Callback), args.limit as usize, |_| true)?;
    let mut rows = Vec::with_capacity(open.len());
    for wait in &open {
        let execution = store.execution_by_no(wait.exec)?.map(|row| row.id).unwrap_or_default();
        rows.push((execution, wait, answers::token(store, wait)?));
    }
    if args.json {
        let all = rows.iter().map(|(execution, wait, token)| {
            json!({
                "execution": execution,
                "path": wait.path,
                "reference": wait.key,
                "name": wait.name,
                "approval": answers::is_approval(wait),
                "openedAt": time::rfc3339(wait.opened_at),
                "until": wait.until.map(time::rfc3339),
                "token": token,
            })
        });
        terminal::print_json(&Value::Array(all.collect()))?;
    } else if rows.is_empty() {
        terminal::note("no execution waits for a callback");
    } else {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["EXECUTION", "PATH", "REFERENCE", "DUE BY", "TOKEN"]);
        for (execution, wait, token) in &rows {
            table.add_row([
                execution.clone(),
                text::one_line(&wait.path),
                reference(&wait.name, wait.key.as_deref()),
                wait.until.map(time::date).unwrap_or_default(),
                token.clone(),
            ]);
        }
        terminal::print(&text::table(&mut table))?;
        more(rows.len(), args);
    }
    Ok(Exit::Success)
}

fn kept(store: &dyn Store, args: &WaitListArgs) -> Result {
    let exec = match &args.execution {
        Some(id) => Some(store::find(store, id)?.exec),
        None => None,
    };
    let filter = DeliveryFilter {
        exec,
        limit: args.limit as usize,
        ..DeliveryFilter::default()
    };
    let all = store.deliveries(&filter)?;
    let mut rows = Vec::with_capacity(all.len());
    for kept in &all {
        let execution = match kept.exec {
            Some(exec) => store.execution_by_no(exec)?.map(|row| row.id),
            None => None,
        };
        let why = match &execution {
            Some(id) => format!("execution {id} does not wait for it yet"),
            None => "nobody waits for it".to_owned(),
        };
        rows.push((kept, execution, why));
    }
    if args.json {
        let all = rows.iter().map(|(kept, execution, why)| {
            json!({
                "number": kept.id,
                "execution": execution,
                "reference": kept.key,
                "name": kept.name,
                "why": why,
                "receivedAt": time::rfc3339(kept.received_at),
                "expiresAt": time::rfc3339(kept.expires_at),
            })
        });
        terminal::print_json(&Value::Array(all.collect()))?;
    } else if rows.is_empty() {
        terminal::note("no callbacks are kept");
    } else {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["NUMBER", "REFERENCE", "RECEIVED", "EXPIRES", "WHY"]);
        for (kept, _, why) in rows {
            table.add_row([
                kept.id.to_string(),
                reference(&kept.name, kept.key.as_deref()),
                time::date(kept.received_at),
                time::date(kept.expires_at),
                why,
            ]);
        }
        terminal::print(&text::table(&mut table))?;
        more(all.len(), args);
    }
    Ok(Exit::Success)
}

fn reference(name: &str, key: Option<&str>) -> String {
    match key {
        Some(key) if name.is_empty() => text::one_line(key),
        Some(key) => text::one_line(&format!("{key} ({name})")),
        None => String::new(),
    }
}

pub(super) fn more(shown: usize, args: &WaitListArgs) {
    if shown == args.limit as usize {
        terminal::note(&format!("there may be more: --limit {}", shown.saturating_mul(10)));
    }
}
