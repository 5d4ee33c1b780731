//! Replaying journals to look at executions, with what this process has of the environment.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_core::{Execution, ReplayError};
use bowline_flow::FlowProgram;
use bowline_host::organizations::given;
pub(crate) use bowline_host::replay::Replayer;
use bowline_store::{ExecutionRow, Store};

use super::blobs::Loader;
use super::{environment, masker, registry, store};
use crate::exit::Result;

/// A replayer with what an organization is given of these variables and credentials, and of those of this process.
pub(crate) fn replayer(organization: &str, env_file: Option<&Path>, credentials: Option<&Path>) -> Result<Replayer> {
    let env = environment::variables(env_file, BTreeMap::new())?;
    let (env, credentials) = given(organization, &env, &environment::credentials(credentials)?);
    Ok(Replayer::new(registry(), masker().clone(), env, credentials))
}

/// An execution as its journal leaves it, if the program fits it.
pub(crate) fn replay(
    store: &dyn Store,
    row: &ExecutionRow,
    program: &FlowProgram,
    loader: &Loader,
) -> Result<std::result::Result<Execution, ReplayError>> {
    let mut records = store::records(store, row)?;
    for record in &mut records {
        loader.load(&mut record.events)?;
    }
    Ok(bowline_host::replay::replay(store, row, program, &records)?)
}
