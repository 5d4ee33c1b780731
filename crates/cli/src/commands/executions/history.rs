//! `bowline executions history`: every event of an execution.

use std::sync::Arc;

use crate::args::OneArgs;
use crate::exit::{Exit, Result};
use crate::terminal::model::View;
use crate::terminal::shape::Shape;
use crate::terminal::{self, json, lines, time};
use crate::wiring::blobs::Loader;
use crate::wiring::{programs, registry, store};
use bowline_store::Store;

pub(super) fn run(args: &OneArgs) -> Result {
    let store = store::existing(&args.data.folder)?;
    let row = store::find(&store, &args.id)?;
    let mut view = View::new(&row.id, &row.workflow, row.started_at);
    if !args.json {
        // Only how many attempts there may be comes from it, so a definition that is gone is no error.
        let definition = store.definition(&row.definition)?;
        let plan = definition.and_then(|definition| programs::read(&definition, &registry()).ok());
        view.shape = plan.map(|(_, plan)| Arc::new(Shape::new(plan)));
    }
    // Lines of text tell nothing of payloads.
    let loader = if args.json {
        Some(Loader::new(&args.data.folder)?)
    } else {
        None
    };
    store::events(&store, &row, loader.as_ref(), |at, event| {
        if args.json {
            return terminal::print_json_line(&json::event(&row.id, at, event));
        }
        view.apply(at, event);
        terminal::print(&format!("{}  {}", time::exact(at), lines::describe(&view, at, event)))
    })?;
    Ok(Exit::Success)
}
