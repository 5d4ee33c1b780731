//! `bowline executions list`.

use bowline_store::{ExecutionFilter, ExecutionRow, Store};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use crate::args::ListArgs;
use crate::exit::{Exit, Result};
use crate::terminal::{self, json, text, time};
use crate::wiring::store;

pub(super) fn run(args: &ListArgs) -> Result {
    let Some(store) = store::look(&args.data.folder)? else {
        if args.json {
            terminal::print_json(&json!([]))?;
        } else {
            terminal::note(&format!("no executions in {} yet", args.data.folder.display()));
        }
        return Ok(Exit::Success);
    };
    let before = match &args.before {
        Some(id) => Some(store::find(&store, id)?.exec),
        None => None,
    };
    let filter = ExecutionFilter {
        organization: Some(args.of.organization.clone()),
        status: args.status,
        workflow: args.workflow.clone(),
        before,
        limit: args.limit as usize,
        ..ExecutionFilter::default()
    };
    let rows = store.executions(&filter)?;
    if args.json {
        let rows: Vec<Value> = rows.iter().map(json::row).collect();
        terminal::print_json(&Value::Array(rows))?;
    } else if rows.is_empty() {
        terminal::note("no executions match");
    } else {
        terminal::print(&table(&rows))?;
        if let Some(last) = rows.last().filter(|_| rows.len() == filter.limit) {
            terminal::note(&format!("there may be more: --before {}", last.id));
        }
    }
    Ok(Exit::Success)
}

fn table(rows: &[ExecutionRow]) -> String {
    let now = time::now();
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(["ID", "WORKFLOW", "STATUS", "STARTED", "TOOK"]);
    for row in rows {
        let took = match row.finished_at {
            _ if !row.status.is_finished() => format!("{} so far", time::duration(now - row.started_at)),
            Some(at) => time::duration(at - row.started_at),
            None => String::new(),
        };
        let workflow = text::one_line(&row.workflow);
        table.add_row([
            row.id.clone(),
            workflow,
            row.status.name().to_owned(),
            time::date(row.started_at),
            took,
        ]);
    }
    text::table(&mut table)
}
