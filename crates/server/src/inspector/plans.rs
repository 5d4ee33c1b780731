//! Plans for pictures, by the hash of their definition. They do not change, so each is read once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bowline_flow::Plan;
use bowline_host::programs;

use crate::App;

/// So many are kept; then all are forgotten, and read again as they are needed.
const KEPT: usize = 200;

/// What was read.
#[derive(Default)]
pub(super) struct Plans(Mutex<HashMap<String, Option<Arc<Plan>>>>);

/// The plan of a definition; none where there is none, or this program cannot read it. Whoever asks has seen to it that
/// the definition may be looked at.
pub(super) async fn of(app: &App, hash: &str) -> Option<Arc<Plan>> {
    let known = app
        .inspector
        .plans
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(hash)
        .cloned();
    if let Some(known) = known {
        return known;
    }
    let (host, wanted) = (app.host.clone(), hash.to_owned());
    let read = tokio::task::spawn_blocking(move || {
        let definition = host.store().definition(&wanted).ok()??;
        let (_, plan) = programs::read(&definition, host.registry()).ok()?;
        Some(Arc::new(plan))
    });
    let read = read.await.ok().flatten();
    let mut plans = app.inspector.plans.0.lock().unwrap_or_else(PoisonError::into_inner);
    if plans.len() >= KEPT {
        plans.clear();
    }
    plans.insert(hash.to_owned(), read.clone());
    read
}
