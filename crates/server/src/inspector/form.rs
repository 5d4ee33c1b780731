//! Forms that change something. The guard has seen to it that a page of this server sent them; here they are held to the
//! token that such a page carries.

use std::collections::BTreeMap;

use axum::Form;
use axum::RequestExt as _;
use axum::extract::{FromRequest, Request};
use serde_json::Value;

use super::visitor::Visitor;
use crate::App;
use crate::problem::Problem;

/// A form, and who sent it.
pub(super) struct Sent {
    /// Who.
    pub(super) visitor: Visitor,
    fields: BTreeMap<String, String>,
}

impl FromRequest<App> for Sent {
    type Rejection = Problem;

    async fn from_request(mut request: Request, app: &App) -> Result<Self, Problem> {
        let visitor: Visitor = request.extract_parts_with_state(app).await?;
        let fields = read(request, app).await?;
        visitor.check(fields.get("form-token").map_or("", String::as_str))?;
        Ok(Self { visitor, fields })
    }
}

/// The fields of a form.
pub(super) async fn read(request: Request, app: &App) -> Result<BTreeMap<String, String>, Problem> {
    let read = Form::<BTreeMap<String, String>>::from_request(request, app).await;
    let Form(fields) = read.map_err(|error| Problem::new(error.status(), "request.form", error.body_text()))?;
    Ok(fields)
}

impl Sent {
    /// The text of a field, without spaces around; empty where it is not there.
    pub(super) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text.trim())
    }

    /// The text of a field; none where it is empty.
    pub(super) fn some(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(str::to_owned)
    }

    /// The JSON of a field; none where it is empty.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, Problem> {
        let Some(text) = self.some(name) else {
            return Ok(None);
        };
        let value = serde_json::from_str(&text);
        value.map(Some).map_err(|error| {
            Problem::invalid(format!("the field `{name}` is not JSON: {error}"))
                .hint("go back and mend it: what you wrote is still there")
        })
    }

    /// The number in a field; none where it is empty.
    pub(super) fn number(&self, name: &str) -> Result<Option<u32>, Problem> {
        let Some(text) = self.some(name) else {
            return Ok(None);
        };
        let number = text.parse();
        number
            .map(Some)
            .map_err(|_| Problem::invalid(format!("the field `{name}` must be a number")))
    }
}
