//! Directory watchers as triggers of workflows.

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bowline_connector::TriggerType;
use bowline_engine::Clock;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::KIND;
use super::config::{DirectoryConfig, FileEvent};
use super::seen::Seen;
use super::watcher::Watcher;
use crate::place::Trouble;
use crate::schedule::calendar;
use crate::source::{Bound, Source};

/// What templates of a watcher read as `trigger`.
const FIELDS: &[(&str, &str)] = &[
    ("type", "`directory-watcher`"),
    ("event", "`created`, `modified` or `deleted`"),
    ("path", "the file, as an absolute path"),
    ("name", "its name"),
    ("folder", "the directory that it is in"),
    ("relativePath", "its path below the watched directory"),
    ("size", "its size in bytes; of a deleted one, what it had"),
    ("modifiedAt", "when it was last written"),
    ("sha256", "SHA-256 of its content in hexadecimal"),
    ("detectedAt", "when it was taken"),
];

/// The kind of trigger `directory-watcher`.
#[must_use]
pub fn kind() -> TriggerType {
    TriggerType::of::<DirectoryConfig>(KIND)
        .about("Starts the workflow for files that come, change or go in a directory, also for what happened while the server was down. The workflow gets the path and a hash, not the content.")
        .fields(FIELDS)
        .mistakes(|config| {
            // What has no form yet, because of templates, is looked at when it has one.
            let read = DirectoryConfig::deserialize(config).ok();
            read.map(|config| config.mistakes()).unwrap_or_default()
        })
}

/// What templates read as `trigger`.
pub(super) fn values(config: &DirectoryConfig, path: &Path, event: FileEvent, seen: &Seen, now: i64) -> Value {
    let text = |path: Option<&Path>| path.map(|path| path.to_string_lossy().into_owned());
    let modified: i128 = seen.modified.parse().unwrap_or_default();
    json!({
        "type": KIND,
        "event": event,
        "path": text(Some(path)),
        "name": text(path.file_name().map(Path::new)),
        "folder": text(path.parent()),
        "relativePath": text(path.strip_prefix(&config.path).ok()),
        "size": seen.size,
        "modifiedAt": calendar::text(i64::try_from(modified / 1_000_000).unwrap_or_default()),
        "sha256": seen.sha256,
        "detectedAt": calendar::text(now),
    })
}

/// Runs directory watchers.
pub(crate) struct DirectorySource {
    clock: Clock,
}

impl DirectorySource {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock }
    }
}

#[async_trait]
impl Source for DirectorySource {
    fn kind(&self) -> TriggerType {
        kind()
    }

    async fn run(&self, bound: Arc<Bound>, stop: CancellationToken) -> Result<(), Trouble> {
        let (config, names) = DirectoryConfig::read(&bound.config).map_err(Trouble::Refused)?;
        if let Some(root) = &bound.active.settings.files {
            config.keep_to(root).map_err(Trouble::Refused)?;
        }
        let mut watcher = Watcher::new(bound, config, names, self.clock.clone());
        watcher.load().await?;
        tokio::select! {
            // What is cut off was not acknowledged, or is stored.
            () = stop.cancelled() => Ok(()),
            done = watcher.work() => done,
        }
    }
}
