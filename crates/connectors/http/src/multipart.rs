//! Multipart forms: fields and files.

use std::path::Path;

use bowline_connector::{BlobRef, StepContext, StepError};
use bytes::Bytes;
use reqwest::Body;
use reqwest::multipart;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::blob::BlobBody;
use crate::body;
use crate::failure::invalid;
use crate::file::FileBody;
use crate::quiet::Activity;

/// One part of a multipart form: exactly one of `value`, `file` and `base64`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Part {
    /// Name of the form field.
    #[schemars(required)]
    pub name: String,
    /// Value of a field: text, number or boolean as they stand; an object or a list as JSON; a reference to a blob
    /// as the blob, streamed.
    pub value: Option<Value>,
    /// Path of a file to stream, relative to the workflow file.
    pub file: Option<String>,
    /// Content in base64.
    pub base64: Option<String>,
    /// File name to tell the service; the last part of `file` by default, and none for a field.
    #[serde(alias = "fileName")]
    pub filename: Option<String>,
    /// Content type, such as `application/pdf`; by default `application/octet-stream` for files, and
    /// for blobs the one they came with.
    pub content_type: Option<String>,
}

/// A part that is ready to be sent, as often as needed.
#[derive(Clone)]
pub(crate) struct ReadyPart {
    name: String,
    content: Content,
    filename: Option<String>,
    content_type: Option<String>,
}

#[derive(Clone)]
enum Content {
    Bytes(Bytes),
    File(FileBody),
    Blob(BlobBody),
}

impl ReadyPart {
    /// A field with a text value.
    pub(crate) fn field(name: &str, value: String) -> Self {
        Self {
            name: name.to_owned(),
            content: Content::Bytes(value.into()),
            filename: None,
            content_type: None,
        }
    }

    /// Bytes of the content.
    pub(crate) fn len(&self) -> u64 {
        match &self.content {
            Content::Bytes(bytes) => bytes.len() as u64,
            Content::File(file) => file.len(),
            Content::Blob(blob) => blob.len(),
        }
    }

    fn check(&self) -> Result<(), StepError> {
        self.with_meta(multipart::Part::bytes(Vec::new())).map(drop)
    }

    fn with_meta(&self, mut part: multipart::Part) -> Result<multipart::Part, StepError> {
        if let Some(filename) = &self.filename {
            part = part.file_name(filename.clone());
        }
        if let Some(content_type) = &self.content_type {
            part = part.mime_str(content_type).map_err(|_| {
                invalid(
                    &format!("multipart.{}.contentType", self.name),
                    &format!("{content_type:?} is not a content type"),
                )
            })?;
        }
        Ok(part)
    }
}

/// Checks the parts and reads what is needed of them; files are opened when they are sent.
pub(crate) async fn ready(parts: &[Part], ctx: &StepContext) -> Result<Vec<ReadyPart>, StepError> {
    let mut ready = Vec::with_capacity(parts.len());
    for (at, part) in parts.iter().enumerate() {
        let field = |name: &str| format!("multipart[{at}].{name}");
        if part.name.is_empty() {
            return Err(invalid(&field("name"), "it is missing"));
        }
        if let (Some(value), None, None) = (&part.value, &part.file, &part.base64)
            && let Some(mut of_blob) = of_blob(&part.name, value, ctx)?
        {
            of_blob.filename.clone_from(&part.filename);
            of_blob.content_type = part.content_type.clone().or(of_blob.content_type);
            of_blob.check()?;
            ready.push(of_blob);
            continue;
        }
        let mut default_name = None;
        let (content, default_type) = match (&part.value, &part.file, &part.base64) {
            (Some(Value::String(text)), None, None) => (Content::Bytes(text.clone().into()), None),
            (Some(value @ (Value::Object(_) | Value::Array(_))), None, None) => {
                (Content::Bytes(value.to_string().into()), Some("application/json"))
            }
            (Some(value), None, None) => (Content::Bytes(value.to_string().into()), None),
            (None, Some(path), None) => {
                let file = FileBody::find(&field("file"), path, ctx).await?;
                default_name = Path::new(path)
                    .file_name()
                    .map(|name| name.to_string_lossy().into_owned());
                (Content::File(file), Some("application/octet-stream"))
            }
            (None, None, Some(text)) => (
                Content::Bytes(body::from_base64(&field("base64"), text)?),
                Some("application/octet-stream"),
            ),
            _ => {
                return Err(invalid(
                    &format!("multipart[{at}]"),
                    "give exactly one of value, file and base64",
                ));
            }
        };
        let part = ReadyPart {
            name: part.name.clone(),
            content,
            filename: part.filename.clone().or(default_name),
            content_type: part.content_type.clone().or_else(|| default_type.map(str::to_owned)),
        };
        part.check()?;
        ready.push(part);
    }
    Ok(ready)
}

/// A part that streams a blob, where `value` refers to one.
pub(crate) fn of_blob(name: &str, value: &Value, ctx: &StepContext) -> Result<Option<ReadyPart>, StepError> {
    let Some(blob) = BlobRef::of(value) else {
        return Ok(None);
    };
    let blob = BlobBody::find(ctx, &format!("multipart.{name}"), blob)?;
    Ok(Some(ReadyPart {
        name: name.to_owned(),
        filename: None,
        content_type: Some(blob.content_type().unwrap_or("application/octet-stream").to_owned()),
        content: Content::Blob(blob),
    }))
}

/// The form, with its files and blobs opened.
pub(crate) async fn form(parts: &[ReadyPart], activity: &Activity) -> Result<multipart::Form, StepError> {
    let mut form = multipart::Form::new();
    for part in parts {
        let content = match &part.content {
            Content::Bytes(bytes) => multipart::Part::stream_with_length(Body::from(bytes.clone()), bytes.len() as u64),
            Content::File(file) => multipart::Part::stream_with_length(file.open(activity).await?, file.len()),
            Content::Blob(blob) => multipart::Part::stream_with_length(blob.open(activity).await?, blob.len()),
        };
        form = form.part(part.name.clone(), part.with_meta(content)?);
    }
    Ok(form)
}
