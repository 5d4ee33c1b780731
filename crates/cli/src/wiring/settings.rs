//! The settings of a server that runs, in their file: who changes them there is told when they count.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bowline_flow::SharedFile;
use serde_json::Value;

/// How often the file is looked at.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Logs each change of `server:` in this file, for as long as it is polled.
pub(crate) async fn watch(file: SharedFile) {
    let mut watched = Watched::new(&file);
    loop {
        tokio::time::sleep(LOOK_AGAIN).await;
        if watched.is_changed() {
            tracing::warn!(
                file = %watched.path.display(),
                "`server` has been changed: the server runs with the settings that it was started with, and takes these at its \
                 next start"
            );
        }
    }
}

/// A file with settings.
struct Watched {
    path: PathBuf,
    /// When it was changed last.
    at: Option<SystemTime>,
    known: Value,
}

impl Watched {
    fn new(file: &SharedFile) -> Self {
        Self {
            path: PathBuf::from(file.file()),
            // It may have changed since it was read.
            at: None,
            known: file.value("server"),
        }
    }

    /// Whether other settings are in it than when it was looked at last. While it cannot be read nothing is known.
    fn is_changed(&mut self) -> bool {
        let at = std::fs::metadata(&self.path).and_then(|about| about.modified()).ok();
        if at.is_none() || at == self.at {
            return false;
        }
        let Ok(file) = SharedFile::read(&self.path) else {
            return false;
        };
        self.at = at;
        let now = file.value("server");
        let is_changed = now != self.known;
        self.known = now;
        is_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_other_settings_are_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bowline.yaml");
        let mut time = SystemTime::now();
        let mut write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            time += Duration::from_secs(1);
            std::fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(time)
                .unwrap();
        };
        write("server: { maxWait: 1s }\n");
        let mut watched = Watched::new(&SharedFile::read(&path).unwrap());
        assert!(!watched.is_changed());
        write("# a comment\nserver: { maxWait: 1s }\nnodes: {}\n");
        assert!(!watched.is_changed());
        write("server: { maxWait: 2s }\n");
        assert!(watched.is_changed() && !watched.is_changed());
        write("server: [\n");
        assert!(!watched.is_changed());
    }
}
