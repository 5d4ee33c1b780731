//! Files as request bodies: streamed from disk, never held in memory.

use std::io;
use std::path::{Path, PathBuf};

use bowline_connector::{StepContext, StepError};
use futures_util::StreamExt;
use reqwest::Body;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::quiet::Activity;

/// A file that is streamed. Its length is taken once; a file that shrinks while it is sent breaks the call.
#[derive(Clone)]
pub(crate) struct FileBody {
    path: PathBuf,
    len: u64,
}

impl FileBody {
    /// Finds `path`, where the step may read it.
    pub(crate) async fn find(field: &str, path: &str, ctx: &StepContext) -> Result<Self, StepError> {
        let path = ctx.file(field, path)?;
        let found = tokio::fs::metadata(&path)
            .await
            .map_err(|error| unreadable(field, &path, &error))?;
        if !found.is_file() {
            return Err(unreadable(field, &path, &io::Error::other("it is not a file")));
        }
        Ok(Self { path, len: found.len() })
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Opens the file for one request. Every piece that goes out counts as activity.
    pub(crate) async fn open(&self, activity: &Activity) -> Result<Body, StepError> {
        let file = File::open(&self.path)
            .await
            .map_err(|error| unreadable("file", &self.path, &error))?;
        let activity = activity.clone();
        let pieces = ReaderStream::with_capacity(file.take(self.len), 64 * 1024);
        Ok(Body::wrap_stream(pieces.inspect(move |_| activity.tick())))
    }
}

fn unreadable(field: &str, path: &Path, error: &io::Error) -> StepError {
    StepError::permanent(
        "http.body-unreadable",
        format!("{field}: cannot read {}", path.display()),
    )
    .caused_by(error)
}
