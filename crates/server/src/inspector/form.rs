//! Forms that change something. The guard has seen to it that a page of this server sent them; here they are held to the
//! token that such a page carries.

use std::collections::BTreeMap;

use axum::Form;
use axum::RequestExt as _;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bowline_inspector::fields;
use serde_json::{Map, Value, json};

use super::visitor::Visitor;
use crate::App;
use crate::idempotency;
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
        same_organization(&fields, visitor.organization())?;
        Ok(Self { visitor, fields })
    }
}

/// A page of one organization must not change another, because the browser went there in between.
fn same_organization(fields: &BTreeMap<String, String>, here: &str) -> Result<(), Problem> {
    match fields.get("organization") {
        Some(of_page) if of_page != here => Err(Problem::new(
            StatusCode::CONFLICT,
            "access.elsewhere",
            format!("the page was one of the organization `{of_page}`, and you are in `{here}` now: nothing was done"),
        )
        .hint(format!("go back to `{of_page}`, or open the page again here"))),
        _ => Ok(()),
    }
}

/// What was written, as one text. The session's token is no part of it.
fn written(fields: &BTreeMap<String, String>) -> String {
    let all: Vec<_> = fields.iter().filter(|(name, _)| *name != "form-token").collect();
    serde_json::json!(all).to_string()
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

    /// The text of a field with its spaces; lines end as they do in files, which is not how forms send them.
    pub(super) fn whole(&self, name: &str) -> String {
        self.fields
            .get(name)
            .map_or_else(String::new, |text| text.replace("\r\n", "\n"))
    }

    /// All fields as they were sent.
    pub(super) fn all(&self) -> &BTreeMap<String, String> {
        &self.fields
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

    /// The id of what this form makes, by `what` it does: the same one, however often the form is sent with the same fields.
    pub(super) fn id(&self, what: &str) -> String {
        match self.some("once") {
            Some(_) => idempotency::id(self.visitor.organization(), what, &written(&self.fields)),
            None => uuid::Uuid::now_v7().to_string(),
        }
    }

    /// What the fields of a form that was made of `schema` have given.
    pub(super) fn fields(&self, schema: &Value) -> Result<Map<String, Value>, Problem> {
        fields::read(schema, |name| self.text(name)).map_err(|problems| {
            let problems = problems.iter().map(|message| json!({ "message": message }));
            Problem::invalid("the form has fields that cannot be read")
                .hint("go back and mend them: what you wrote is still there")
                .problems(problems.collect())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_makes_a_form_another_one() {
        let of = |n: &str, token: &str| {
            let pairs = [("once", "a"), ("field:n", n), ("form-token", token)];
            written(&pairs.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
        };
        assert_eq!(of("1", "x"), of("1", "y"));
        assert_ne!(of("1", "x"), of("2", "x"));
    }

    #[test]
    fn a_form_of_another_organization_is_refused() {
        let of = |name: &str| BTreeMap::from([("organization".to_owned(), name.to_owned())]);
        assert!(same_organization(&of("acme"), "acme").is_ok());
        let told = same_organization(&of("acme"), "default").unwrap_err();
        assert_eq!(told.status, StatusCode::CONFLICT);
        assert!(
            told.detail.contains("`acme`") && told.detail.contains("`default`"),
            "{}",
            told.detail
        );
    }
}
