//! References to blobs among the parameters: a database wants the bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bowline_connector::{BlobRef, StepContext, StepError};
use serde_json::{Value, json};

use crate::config::{Parameters, Statement};

/// The largest blob that is read into memory to be bound.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Puts the bytes of every blob that a parameter refers to in the place of the reference.
///
/// # Errors
/// `blob.too-large` for one over 16 MiB, before it is read, and whatever reading it says.
pub(crate) async fn load(ctx: &StepContext, statements: &mut [Statement]) -> Result<(), StepError> {
    for statement in statements {
        match &mut statement.parameters {
            Parameters::List(values) => {
                for (at, value) in values.iter_mut().enumerate() {
                    one(ctx, &format!("parameters[{at}]"), value).await?;
                }
            }
            Parameters::Named(values) => {
                for (name, value) in values.iter_mut() {
                    one(ctx, &format!("parameters.{name}"), value).await?;
                }
            }
        }
    }
    Ok(())
}

async fn one(ctx: &StepContext, field: &str, value: &mut Value) -> Result<(), StepError> {
    if let Some(blob) = BlobRef::of(value) {
        let content = ctx.read_blob(field, &blob, LARGEST).await?;
        *value = json!({ "$blob": BASE64.encode(content) });
    }
    Ok(())
}
