//! Callbacks that people answer: a page at the callback's address that asks, and a form that decides.
//!
//! Looking changes nothing: mail scanners, previews and browsers that load ahead follow links. Only the form's POST
//! decides. Whoever has the token may answer, so there is nothing that another site could do in somebody's name without
//! it; the page is not framed, sends its address to nobody and runs no script.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bowline_access::{Audit, AuditEntry};
use bowline_host::Delivered;
use bowline_store::{ExecNo, ExecutionRow, WaitRow, WaitState};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::incoming::{Address, Incoming};
use super::{Inner, callback, inbox};
use crate::problem::Problem;

/// A hidden field that tells this page's form from a form that a service sends.
const OURS: &str = "bowline-form";

/// What a token leads to.
pub(super) struct Waiting {
    row: ExecutionRow,
    /// None where the execution has not asked yet.
    wait: Option<WaitRow>,
}

impl Waiting {
    /// The organization of the execution.
    pub(super) fn organization(&self) -> &str {
        &self.row.organization
    }

    fn is_over(&self) -> bool {
        self.row.status.is_finished()
            || self
                .wait
                .as_ref()
                .is_some_and(|wait| !matches!(wait.state, WaitState::Open | WaitState::Answered))
    }

    fn is_answered(&self) -> bool {
        self.wait.as_ref().is_some_and(|wait| wait.state == WaitState::Answered)
    }

    /// What a person is asked, where it is an approval that is still open.
    fn approval(&self) -> Option<Value> {
        let wait = self.wait.as_ref().filter(|wait| wait.state == WaitState::Open)?;
        serde_json::from_slice(wait.detail.as_deref()?).ok()
    }

    /// The line of the audit log about an answer to an approval: who has the address may decide, and is not known by
    /// more than that; `by` is what was written. None where nothing is to be approved.
    pub(super) fn decided(&self, address: &Address, answer: &Value) -> Option<AuditEntry> {
        self.approval()?;
        let detail = json!({
            "execution": self.row.id,
            "path": self.wait.as_ref().map(|wait| wait.path.as_str()),
            "approved": answer.get("approved"),
            "by": answer.get("by"),
        });
        let line = AuditEntry {
            organization: self.row.organization.clone(),
            by: "token".to_owned(),
            ..Audit::stranger("approval.decided", "/callbacks/{token}", detail)
        };
        Some(match &address.from {
            Some(from) => line.came_from(from),
            None => line,
        })
    }

    /// The JSON Schema that an answer has to fit, where there is one.
    pub(super) fn form(&self) -> Option<Value> {
        let form = self.approval()?.get_mut("form")?.take();
        (!form.is_null()).then_some(form)
    }
}

/// What a token leads to.
///
/// # Errors
/// 404 for one that this store did not make, or whose execution is gone.
pub(super) async fn find(inner: &Inner, token: &str) -> Result<Waiting, Problem> {
    let (exec, tag) = inner.tokens.read(token).ok_or_else(callback::bad_token)?;
    let found = inbox::read(&inner.host, move |store| {
        let exec = ExecNo(exec);
        Ok(match store.execution_by_no(exec)? {
            Some(row) => Some(Waiting {
                row,
                wait: store.wait(exec, tag)?,
            }),
            None => None,
        })
    })
    .await?;
    found.ok_or_else(callback::bad_token)
}

/// Whether a request is the form of this page.
pub(super) fn is_form(incoming: &Incoming) -> bool {
    let kind = incoming.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_form = kind.is_some_and(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim();
        essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
    });
    is_form && pairs(&incoming.body).any(|(name, _)| name == OURS)
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (String, String)> + '_ {
    let decode = |text: &[u8]| {
        let spaced: Vec<u8> = text
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect();
        percent_encoding::percent_decode(&spaced)
            .decode_utf8_lossy()
            .into_owned()
    };
    text.split(|byte| *byte == b'&')
        .filter(|part| !part.is_empty())
        .map(move |part| {
            let at = part.iter().position(|byte| *byte == b'=').unwrap_or(part.len());
            let value = part.get(at + 1..).unwrap_or_default();
            (decode(&part[..at]), decode(value))
        })
}

/// The page that asks.
pub(super) async fn ask(inner: &Inner, token: &str, query: &str) -> Response {
    let waiting = match find(inner, token).await {
        Ok(waiting) => waiting,
        Err(problem) => return refused(problem),
    };
    // Who has just decided may well open the link again, when the execution has ended.
    if waiting.is_answered() {
        return page(
            StatusCode::OK,
            "This was answered",
            &html! { p { "The answer is recorded. You need not do anything." } },
        );
    }
    if waiting.is_over() {
        return page(
            StatusCode::GONE,
            "Nobody waits for this any more",
            &html! { p { "It was decided otherwise, or its time is over. You need not do anything." } },
        );
    }
    match waiting.approval() {
        Some(approval) => page(
            StatusCode::OK,
            "Your decision is wanted",
            &approval_form(&approval, query, &[], &[]),
        ),
        None => page(StatusCode::OK, "Please confirm", &confirm_form(query)),
    }
}

/// What the form of this page says.
pub(super) async fn decide(inner: &Inner, token: &str, address: &Address, incoming: &Incoming) -> Response {
    let waiting = match find(inner, token).await {
        Ok(waiting) => waiting,
        Err(problem) => return refused(problem),
    };
    let given: Vec<(String, String)> = pairs(&incoming.body).filter(|(name, _)| name != OURS).collect();
    let answer = match waiting.approval() {
        Some(approval) => {
            let answer = decision(&approval["form"], &given);
            let problems = match waiting.form() {
                Some(form) => bowline_flow::check_answer(&form, &answer),
                None => Vec::new(),
            };
            if !problems.is_empty() {
                let form = approval_form(&approval, "", &problems, &given);
                return page(StatusCode::UNPROCESSABLE_ENTITY, "Your decision is wanted", &form);
            }
            answer
        }
        None => Value::Object(given.into_iter().map(|(name, value)| (name, value.into())).collect()),
    };
    let decided = waiting.decided(address, &answer);
    let delivered = match callback::succeeded(&answer) {
        Ok(answer) => callback::deliver(inner, token, answer).await,
        Err(problem) => Err(problem),
    };
    if let Ok(delivered) = &delivered {
        audit(inner, decided, delivered).await;
    }
    match delivered {
        Ok(Delivered::Accepted { .. } | Delivered::Kept { .. }) => page(
            StatusCode::OK,
            "Thank you",
            &html! { p { "Your answer is recorded. You can close this page." } },
        ),
        Ok(Delivered::Duplicate { .. }) => page(
            StatusCode::OK,
            "This was answered already",
            &html! { p { "Your answer changed nothing. You can close this page." } },
        ),
        Ok(Delivered::Late { .. } | Delivered::NotAwaited) => page(
            StatusCode::GONE,
            "Nobody waits for this any more",
            &html! { p { "Your answer came too late and changed nothing." } },
        ),
        Err(problem) => refused(problem),
    }
}

/// Writes the line about a decision that was taken.
pub(super) async fn audit(inner: &Inner, decided: Option<AuditEntry>, delivered: &Delivered) {
    let (Some(line), Delivered::Accepted { .. } | Delivered::Kept { .. }) = (decided, delivered) else {
        return;
    };
    let written = match line.write(jiff::Timestamp::now().as_millisecond()) {
        Ok(write) => {
            let done = inner.host.engine().record(Vec::new(), vec![write]).await;
            done.map_err(|error| error.to_string())
        }
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = written {
        tracing::error!(%error, "a line of the audit log about a decision could not be written");
    }
}

/// An answer to an approval, with its fields in the types that the form asks for.
fn decision(form: &Value, given: &[(String, String)]) -> Value {
    let mut answer = Map::new();
    for (name, text) in given {
        let kind = form["properties"][name]["type"].as_str().unwrap_or("string");
        let value = match (name.as_str(), kind) {
            ("approved", _) => json!(text == "true"),
            // What was left empty was not said.
            _ if text.trim().is_empty() => continue,
            (_, "boolean") => json!(text == "true" || text == "on"),
            // A text where a number is wanted is told as a problem of the form.
            (_, "number" | "integer") => {
                serde_json::from_str::<serde_json::Number>(text.trim()).map_or_else(|_| json!(text), Value::Number)
            }
            _ => json!(text),
        };
        answer.insert(name.clone(), value);
    }
    Value::Object(answer)
}

/// The question with its form; `given` is what was written into it before.
fn approval_form(approval: &Value, query: &str, problems: &[String], given: &[(String, String)]) -> Markup {
    let what = approval["what"].as_str().unwrap_or_default();
    let until = approval["until"].as_i64().map(bowline_host::time::rfc3339);
    let form = &approval["form"];
    let required = bowline_host::answers::needed(form);
    let is_required = |name: &str| required.iter().any(|one| one == name);
    let written = |name: &str| given.iter().find(|(own, _)| own == name).map(|(_, text)| text.as_str());
    // A link of a mail can lead to one of the answers; it is asked for all the same.
    let wish = pairs(query.as_bytes()).find_map(|(name, value)| (name == "approved").then(|| value == "true"));
    html! {
        p.what { (what) }
        @if let Some(until) = until { p.note { "Until " time datetime=(until) { (until) } } }
        @if !problems.is_empty() {
            div.problems role="alert" {
                p { "This could not be taken:" }
                ul { @for problem in problems { li { (problem) } } }
            }
        }
        form method="post" {
            input type="hidden" name=(OURS) value="1";
            @for (name, field) in form["properties"].as_object().into_iter().flatten() {
                @if !matches!(name.as_str(), "approved" | "by" | "comment") {
                    (input(name, field, is_required(name), written(name)))
                }
            }
            (input("by", &json!({ "title": "Your name" }), is_required("by"), written("by")))
            label for="comment" { "Comment" @if is_required("comment") { " (needed)" } }
            textarea id="comment" name="comment" rows="3" required[is_required("comment")] { "\n" (written("comment").unwrap_or_default()) }
            div.buttons {
                @if wish != Some(false) { button.yes name="approved" value="true" { "Approve" } }
                @if wish != Some(true) { button.no name="approved" value="false" formnovalidate { "Reject" } }
            }
        }
    }
}

fn input(name: &str, field: &Value, required: bool, written: Option<&str>) -> Markup {
    let title = field["title"].as_str().unwrap_or(name);
    let about = field["description"].as_str();
    let about_id = format!("{name}-about");
    html! {
        label for=(name) { (title) @if required { " (needed)" } }
        @if let Some(about) = about { p.note id=(about_id) { (about) } }
        @if let Some(choices) = field["enum"].as_array() {
            select id=(name) name=(name) required[required] aria-describedby=[about.map(|_| &about_id)] {
                option value="" {}
                @for choice in choices.iter().filter_map(Value::as_str) {
                    option value=(choice) selected[written == Some(choice)] { (choice) }
                }
            }
        } @else if field["type"] == "boolean" {
            select id=(name) name=(name) required[required] aria-describedby=[about.map(|_| &about_id)] {
                option value="" {}
                option value="true" selected[written == Some("true")] { "Yes" }
                option value="false" selected[written == Some("false")] { "No" }
            }
        } @else {
            @let kind = if matches!(field["type"].as_str(), Some("number" | "integer")) { "number" } else { "text" };
            @let step = (kind == "number").then_some("any");
            input type=(kind) step=[step] id=(name) name=(name) required[required] value=[written]
                aria-describedby=[about.map(|_| &about_id)];
        }
    }
}

/// A link that is confirmed: what stands in its query is what the workflow gets.
fn confirm_form(query: &str) -> Markup {
    html! {
        p { "Somebody waits for this to be confirmed. Press the button if you meant to open this page." }
        form method="post" {
            input type="hidden" name=(OURS) value="1";
            @for (name, value) in pairs(query.as_bytes()).filter(|(name, _)| name != OURS) {
                input type="hidden" name=(name) value=(value);
            }
            div.buttons { button.yes { "Confirm" } }
        }
    }
}

fn refused(problem: Problem) -> Response {
    let title = match problem.status {
        StatusCode::NOT_FOUND => "There is nothing here",
        _ => "This did not work",
    };
    let body = html! {
        p { (problem.detail) }
        @if problem.status == StatusCode::NOT_FOUND { p { "Check that the address is whole." } }
        @else { p { "Try again in a minute." } }
    };
    page(problem.status, title, &body)
}

const STYLE: &str = "\
:root{color-scheme:light dark;--text:#1b1f24;--back:#fff;--soft:#57606a;--line:#8c959f;--yes:#0a6b2d;--no:#a40e26}\
@media(prefers-color-scheme:dark){:root{--text:#e6edf3;--back:#0d1117;--soft:#9da7b1;--line:#6e7681;--yes:#3fb950;--no:#ff7b72}}\
body{font:1.05rem/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:36rem;margin:8vh auto;padding:0 1.25rem}\
h1{font-size:1.5rem;line-height:1.25}.what{font-size:1.15rem;white-space:pre-wrap;overflow-wrap:anywhere}.note{color:var(--soft);margin:.25rem 0}\
label{display:block;margin:1rem 0 .25rem;font-weight:600}input,select,textarea{font:inherit;color:inherit;background:transparent;width:100%;\
box-sizing:border-box;padding:.5rem;border:1px solid var(--line);border-radius:.375rem}option{color:#1b1f24;background:#fff}\
.buttons{display:flex;gap:.75rem;margin-top:1.5rem;flex-wrap:wrap}\
button{font:inherit;font-weight:600;padding:.6rem 1.5rem;border-radius:.375rem;border:2px solid var(--yes);background:transparent;color:var(--yes);cursor:pointer}\
button.no{border-color:var(--no);color:var(--no)}:focus-visible{outline:3px solid #218bff;outline-offset:2px}\
.problems{border-left:4px solid var(--no);padding-left:1rem}";

/// Allows this page's style and nothing else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let text = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'"))
});

fn page(status: StatusCode, title: &str, body: &Markup) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="robots" content="noindex";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { main { h1 { (title) } (body) } }
        }
    };
    let mut response = (status, page.into_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(
        HeaderName::from_static("x-content-type-options"),
        HeaderValue::from_static("nosniff"),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_gives_the_types_that_are_asked_for() {
        let form = json!({ "properties": { "limit": { "type": "number" }, "ok": { "type": "boolean" }, "why": { "type": "string" } } });
        let given: Vec<_> = pairs(b"approved=true&limit=12.5&ok=false&why=a+b%26c&by=&other=x").collect();
        assert_eq!(
            decision(&form, &given),
            json!({ "approved": true, "limit": 12.5, "ok": false, "why": "a b&c", "other": "x" })
        );
        let wrong: Vec<_> = pairs(b"approved=no&limit=many").collect();
        assert_eq!(decision(&form, &wrong), json!({ "approved": false, "limit": "many" }));
    }

    #[test]
    fn what_approving_needs_is_marked_and_what_was_written_stays() {
        let approval = json!({ "what": "x", "form": {
            "properties": { "limit": { "type": "number" }, "why": { "type": "string" } },
            "required": ["approved"],
            "allOf": [{ "if": { "properties": { "approved": { "const": true } } }, "then": { "required": ["limit"] } }],
        } });
        let given = [("limit", "many"), ("comment", "a < b")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let text = approval_form(&approval, "", &["wrong".to_owned()], &given).into_string();
        for wanted in [
            "limit (needed)",
            ">why</label>",
            "value=\"many\"",
            "a &lt; b</textarea>",
            "formnovalidate>Reject",
        ] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }

    #[test]
    fn pages_hold_nothing_that_runs() {
        let approval =
            json!({ "what": "<script>x</script>", "form": { "properties": { "a\"b": { "title": "<b>" } } } });
        let text = approval_form(&approval, "approved=true", &["<i>".to_owned()], &[]).into_string();
        assert!(
            !text.contains("<script") && !text.contains("<b>") && !text.contains("<i>"),
            "{text}"
        );
        assert!(text.contains("Approve") && !text.contains("Reject"), "{text}");
        let both = approval_form(&approval, "", &[], &[]).into_string();
        assert!(both.contains("Approve") && both.contains("Reject"), "{both}");
        let confirm = confirm_form("a=%22%3E%3Cscript%3E&b").into_string();
        assert!(
            !confirm.contains("<script") && confirm.contains("name=\"b\""),
            "{confirm}"
        );
    }
}
