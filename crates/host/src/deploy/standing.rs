//! Whether a workflow that runs no more may come back as it was.

use crate::Host;

/// How a workflow stands towards what it has from outside, such as the paths of its webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can be started.
    Used,
    /// Its file is gone from the folder of workflows, perhaps for a moment: what it has is kept for it.
    FileGone,
    /// Its current version cannot run, until somebody mends it: what it has is kept for it.
    Broken,
    /// There is none, or somebody removed it: what it had is free.
    Gone,
}

impl Host {
    /// How a workflow stands.
    #[must_use]
    pub fn standing(&self, organization: &str, workflow: &str) -> Standing {
        let Some(known) = self.0.deployments.known(organization, workflow) else {
            return Standing::Gone;
        };
        match &known.withdrawn {
            _ if known.active.is_some() => Standing::Used,
            Some(withdrawn) if withdrawn.by.is_some() => Standing::Gone,
            Some(_) => Standing::FileGone,
            None if known.current.is_some() => Standing::Broken,
            None => Standing::Gone,
        }
    }
}
