//! Why an execution does not go on, for somebody at a terminal: with the commands that help.

use std::path::Path;

use bowline_host::Why;
use bowline_host::why::Looking;
pub(crate) use bowline_host::why::outside;
use bowline_store::{ExecutionRow, Store};

use super::{registry, store};
use crate::exit::Result;
use crate::terminal::time;

/// Why an execution does not go on.
pub(crate) fn explain(store: &dyn Store, folder: &Path, row: &ExecutionRow) -> Result<Why> {
    let looking = Looking {
        store,
        registry: &registry(),
        folder: Some(folder),
        is_run: store::holder(folder).is_some(),
        now: time::now(),
    };
    Ok(looking.why(row)?)
}
