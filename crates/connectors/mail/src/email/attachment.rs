//! Attachments: where their bytes come from, and how many there may be.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bowline_connector::{BlobRef, StepContext, StepError};
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Attachment as Part, Body, SinglePart};
use tokio::io::AsyncReadExt as _;

use super::address::one_line;
use super::config::Attachment;

/// An attachment with its bytes.
pub(super) struct Loaded {
    pub(super) filename: Option<String>,
    pub(super) content_type: ContentType,
    pub(super) bytes: Vec<u8>,
    pub(super) cid: Option<String>,
}

impl Loaded {
    /// The part of the message.
    pub(super) fn part(self) -> Result<SinglePart, StepError> {
        let part = match (self.cid, self.filename) {
            (Some(cid), Some(name)) => Part::new_inline_with_name(cid, name),
            (Some(cid), None) => Part::new_inline(cid),
            (None, name) => Part::new(name.unwrap_or_else(|| "attachment".to_owned())),
        };
        // Always base64: it is the one encoding through which no mail server changes a byte.
        let body = Body::new_with_encoding(self.bytes, ContentTransferEncoding::Base64)
            .map_err(|_| StepError::permanent("email.invalid", "an attachment cannot be encoded"))?;
        Ok(part.body(body, self.content_type))
    }
}

/// Reads all attachments.
///
/// # Errors
/// `email.too-large` when they have more than `max_size` bytes together, `email.attachment` where a file cannot
/// be read or lies outside the folders that are allowed, `config.invalid` for what makes no sense.
pub(super) async fn load(
    attachments: &[Attachment],
    max_size: u64,
    ctx: &StepContext,
    folders: &[String],
) -> Result<Vec<Loaded>, StepError> {
    let mut left = max_size;
    let mut loaded = Vec::with_capacity(attachments.len());
    for (index, attachment) in attachments.iter().enumerate() {
        let field = format!("attachments[{index}]");
        let bytes_type = "application/octet-stream".to_owned();
        let (bytes, name, default_type) = match (
            &attachment.content,
            &attachment.content_base64,
            &attachment.path,
            &attachment.blob,
        ) {
            (Some(text), None, None, None) => (text.clone().into_bytes(), None, "text/plain; charset=utf-8".to_owned()),
            (None, Some(text), None, None) => {
                let bytes = BASE64
                    .decode(text.split_ascii_whitespace().collect::<String>())
                    .map_err(|error| invalid(&field, "`contentBase64` is not base64").caused_by(&error))?;
                (bytes, None, bytes_type)
            }
            (None, None, Some(path), None) => {
                let path = allowed(&field, path, ctx, folders).await?;
                let bytes = read(&field, &path, left, max_size).await?;
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                (bytes, name, bytes_type)
            }
            (None, None, None, Some(blob)) => {
                let blob = BlobRef::of(blob).ok_or_else(|| invalid(&field, "`blob` is not a reference to a blob"))?;
                if blob.size > left {
                    return Err(too_large(max_size));
                }
                let bytes = ctx.read_blob(&field, &blob, left).await?;
                (bytes, None, blob.content_type.unwrap_or(bytes_type))
            }
            _ => {
                return Err(invalid(
                    &field,
                    "needs exactly one of `content`, `contentBase64`, `path` and `blob`",
                ));
            }
        };
        left = left
            .checked_sub(bytes.len() as u64)
            .ok_or_else(|| too_large(max_size))?;
        let filename = attachment.filename.clone().or(name);
        let written = attachment.content_type.as_deref().unwrap_or(&default_type);
        for (part, value) in [
            ("filename", filename.as_deref()),
            ("contentType", Some(written)),
            ("cid", attachment.cid.as_deref()),
        ] {
            one_line(&format!("{field}.{part}"), value.unwrap_or_default())?;
        }
        if let Some(cid) = &attachment.cid
            && (cid.is_empty() || !cid.chars().all(|c| c.is_ascii_graphic() && !"<>\"".contains(c)))
        {
            return Err(invalid(&field, "`cid` is a name of ASCII letters, digits and signs"));
        }
        let content_type =
            ContentType::parse(written).map_err(|_| invalid(&field, "`contentType` is not a media type"))?;
        loaded.push(Loaded {
            filename,
            content_type,
            bytes,
            cid: attachment.cid.clone(),
        });
    }
    Ok(loaded)
}

/// The real path of a file that may be attached. Links are followed first, so none can lead outside.
async fn allowed(field: &str, path: &str, ctx: &StepContext, folders: &[String]) -> Result<PathBuf, StepError> {
    let base_dir = ctx.base_dir.as_path();
    let cannot = |error: &std::io::Error| {
        StepError::permanent("email.attachment", format!("{field}: cannot read {path}")).caused_by(error)
    };
    let real = tokio::fs::canonicalize(ctx.file(field, path)?)
        .await
        .map_err(|error| cannot(&error))?;
    for folder in std::iter::once(base_dir.to_path_buf()).chain(folders.iter().map(|folder| base_dir.join(folder))) {
        if let Ok(folder) = tokio::fs::canonicalize(&folder).await
            && real.starts_with(&folder)
        {
            return Ok(real);
        }
    }
    Err(StepError::permanent(
        "email.attachment",
        format!(
            "{field}: {path} is outside the workflow's folder; name its folder in the connection's `attachmentFolders`"
        ),
    ))
}

/// At most `left` bytes; one more is an error.
async fn read(field: &str, path: &Path, left: u64, max_size: u64) -> Result<Vec<u8>, StepError> {
    let cannot = |error: std::io::Error| {
        StepError::permanent("email.attachment", format!("{field}: cannot read {}", path.display())).caused_by(&error)
    };
    let file = tokio::fs::File::open(path).await.map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(left.saturating_add(1))
        .read_to_end(&mut bytes)
        .await
        .map_err(cannot)?;
    if bytes.len() as u64 > left {
        Err(too_large(max_size))
    } else {
        Ok(bytes)
    }
}

fn too_large(max_size: u64) -> StepError {
    StepError::permanent(
        "email.too-large",
        format!("the attachments have more than {max_size} bytes together (maxSize)"),
    )
}

fn invalid(field: &str, why: &str) -> StepError {
    StepError::permanent("config.invalid", format!("{field}: {why}"))
}
