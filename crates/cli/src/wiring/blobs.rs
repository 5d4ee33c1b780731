//! The blobs of a data folder: what is too large for a journal.

use std::path::Path;
use std::sync::Arc;

use bowline_blobs::Blobs;
use bowline_core::{BlobStore, Event, internalize};
use tokio::runtime::Runtime;

use super::store::BLOBS;
use crate::exit::{Exit, Failure, Result};

/// The blob store of a data folder; it is made where there is none.
pub(crate) fn open(folder: &Path) -> Result<Arc<dyn BlobStore>> {
    let blobs = Blobs::local(folder.join(BLOBS)).map_err(|error| Failure::new(Exit::Store, error))?;
    Ok(Arc::new(blobs))
}

/// Loads payloads that a journal only refers to, for commands that look.
pub(crate) struct Loader(Option<(Runtime, Blobs)>);

impl Loader {
    /// For the journals of a data folder.
    pub(crate) fn new(folder: &Path) -> Result<Self> {
        let home = folder.join(BLOBS);
        if !home.is_dir() {
            return Ok(Self(None));
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|error| Failure::new(Exit::Bug, error))?;
        let blobs = Blobs::local(home).map_err(|error| Failure::new(Exit::Store, error))?;
        Ok(Self(Some((runtime, blobs))))
    }

    /// Puts the payloads in their places.
    pub(crate) fn load(&self, events: &mut [Event]) -> Result<()> {
        let Some((runtime, blobs)) = &self.0 else { return Ok(()) };
        runtime
            .block_on(internalize(events, blobs))
            .map_err(|error| Failure::new(Exit::Store, error).hint("`bowline doctor` checks the data folder"))
    }
}
