//! Keys, organizations, sessions and the audit log on a store.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod keys;
mod log;
mod organizations;
mod sessions;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bowline_access::{Access, Audit, AuditEntry, Config, NewKey, RecordError, Recorder, Role, Scope};
use bowline_engine::Clock;
use bowline_store::{EntryWrite, MemoryStore, Store, Write, Writer};
use serde_json::Value;

/// Writes with the store's own writer.
struct Direct(Mutex<Box<dyn Writer>>);

#[async_trait]
impl Recorder for Direct {
    async fn record(&self, entries: Vec<EntryWrite>) -> Result<(), RecordError> {
        let batch: Vec<Write> = entries.into_iter().map(Write::Entry).collect();
        Ok(self.0.lock().unwrap().commit(&batch)?)
    }
}

/// Access on a store in memory, at a time that the test sets.
struct World {
    access: Access,
    now: Arc<AtomicI64>,
    store: MemoryStore,
    recorder: Arc<Direct>,
}

impl World {
    fn new() -> Self {
        let store = MemoryStore::new();
        let recorder = Arc::new(Direct(Mutex::new(store.writer().unwrap())));
        let now = Arc::new(AtomicI64::new(1_000_000));
        let access = Access::new(
            Arc::new(store.clone()),
            Arc::clone(&recorder) as Arc<dyn Recorder>,
            Config::default(),
            Clock::Virtual(Arc::clone(&now)),
        )
        .unwrap();
        Self {
            access,
            now,
            store,
            recorder,
        }
    }

    /// As another process sees the same store.
    fn other(&self) -> Access {
        Access::new(
            Arc::new(self.store.clone()),
            Arc::clone(&self.recorder) as Arc<dyn Recorder>,
            Config::default(),
            Clock::Virtual(Arc::clone(&self.now)),
        )
        .unwrap()
    }

    fn pass(&self, ms: i64) {
        self.now.fetch_add(ms, Ordering::SeqCst);
    }

    async fn key(&self, organization: &str, role: Role, scopes: Option<Vec<Scope>>) -> bowline_access::MadeKey {
        let new = NewKey {
            organization: organization.into(),
            name: format!("{organization} {role}"),
            role,
            scopes,
            expires_at: None,
        };
        self.access.create_key(new, note("key.create")).await.unwrap()
    }
}

fn note(action: &str) -> AuditEntry {
    Audit::command("default", action, "", Value::Null)
}

fn bearer(text: &str) -> String {
    format!("Bearer {text}")
}
