//! The host as the place where triggers are.

use std::sync::Arc;

use async_trait::async_trait;
use bowline_engine::EngineError;
use bowline_host::{ErrorKind, Host, HostError, Problem, Start, StartKey};
use bowline_store::{EntryRange, EntryWrite, Status, Store, StoreError};
use bytes::Bytes;

use crate::place::{Begin, Begun, Ended, Place, Trouble};

impl From<HostError> for Trouble {
    fn from(error: HostError) -> Self {
        match (error.kind, error.code) {
            (_, "entry.exists" | "entry.changed") => Self::Changed,
            (ErrorKind::Unavailable | ErrorKind::Internal, _) => Self::Later(error.to_string()),
            _ => Self::Refused(error.to_string()),
        }
    }
}

impl From<EngineError> for Trouble {
    fn from(error: EngineError) -> Self {
        HostError::from(error).into()
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        HostError::from(error).into()
    }
}

/// Reads from the store on a thread that may block.
async fn read<T: Send + 'static>(
    host: &Host,
    read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Trouble> {
    let store = Arc::clone(host.store());
    let done = tokio::task::spawn_blocking(move || read(store.as_ref())).await;
    Ok(done.map_err(|error| Trouble::Later(error.to_string()))??)
}

#[async_trait]
impl Place for Host {
    async fn entry(&self, space: &'static str, key: String) -> Result<Option<Bytes>, Trouble> {
        read(self, move |store| store.entry(space, &key)).await
    }

    async fn entries(&self, range: EntryRange) -> Result<Vec<(String, Bytes)>, Trouble> {
        read(self, move |store| store.entries(&range)).await
    }

    async fn record(&self, writes: Vec<EntryWrite>) -> Result<(), Trouble> {
        Ok(self.engine().record(Vec::new(), writes).await?)
    }

    async fn startable(&self, organization: &str, workflow: &str) -> bool {
        let active = self.active(Some(organization));
        let active = active.borrow();
        active.iter().any(|active| *active.workflow == *workflow)
    }

    async fn start(&self, organization: &str, begin: Begin) -> Result<Begun, Trouble> {
        let mut start = Start::new(begin.workflow, begin.input);
        start.id = Some(begin.id);
        start.key = begin.key.map(StartKey::new);
        start.with = begin.with;
        let started = Host::start(self, organization, start).await?;
        Ok(Begun {
            id: started.id,
            created: started.created,
        })
    }

    async fn ended(&self, organization: &str, id: &str) -> Result<Option<Ended>, Trouble> {
        let wanted = id.to_owned();
        let row = read(self, move |store| store.execution(&wanted)).await?;
        let Some(row) = row.filter(|row| *row.organization == *organization) else {
            return Ok(Some(Ended {
                status: "deleted".to_owned(),
                completed: false,
                failed: false,
            }));
        };
        Ok(row.status.is_finished().then(|| Ended {
            status: row.status.name().to_owned(),
            completed: row.status == Status::Succeeded,
            failed: row.status == Status::Failed,
        }))
    }

    async fn wait(&self, _: &str, id: &str) {
        // What cannot be watched is not there any more, or the host is about to stop: either way whoever waits looks.
        if let Ok(handle) = self.engine().watch(id).await {
            let _ = handle.outcome().await;
        }
    }

    fn note(&self, organization: &str, workflow: &str, source: &str, problems: Vec<Problem>) {
        self.note_trigger_problems(organization, workflow, source, problems);
    }

    async fn cancel(&self, organization: &str, id: &str, reason: &str) -> Result<(), Trouble> {
        match Host::cancel(self, organization, id, reason).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Gone) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
