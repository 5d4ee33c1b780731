//! Answers of routes: compiled once, rendered for each call.

use std::time::Duration;

use bowline_expression::{Moment, Scope, Template};
use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

use super::request::{SCOPE_NAMES, unknown_names};
use crate::check::{dotted, join};
use crate::definition::Response;
use crate::error::Problem;
use crate::fault::StatusFault;
use crate::notation::Delay;
use crate::seed::Chance;

/// An answer as it goes over the wire.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// A status with a JSON body.
    pub(crate) fn json(status: StatusCode, body: &Value) -> Self {
        let mut answer = Self {
            status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        answer.set_body(body, false);
        answer
    }

    /// The answer of a status fault.
    pub(crate) fn of_fault(fault: &StatusFault) -> Self {
        let mut answer = Self {
            status: StatusCode::from_u16(fault.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        if let Some(seconds) = fault.retry_after {
            answer.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        match &fault.body {
            Some(body) => answer.set_body(body, false),
            None => answer.set_body(
                &json!({ "error": "fault", "message": "the mock was told to answer this" }),
                false,
            ),
        }
        answer
    }

    /// Text is sent as it is, everything else (or all, with `as_text`) as compact JSON.
    fn set_body(&mut self, body: &Value, as_text: bool) {
        let content_type = match body {
            Value::String(text) => {
                self.body = Bytes::copy_from_slice(text.as_bytes());
                "text/plain; charset=utf-8"
            }
            other => {
                self.body = Bytes::from(other.to_string());
                if as_text {
                    "text/plain; charset=utf-8"
                } else {
                    "application/json"
                }
            }
        };
        self.headers
            .entry(CONTENT_TYPE)
            .or_insert(HeaderValue::from_static(content_type));
    }
}

/// One answer of a route.
#[derive(Debug)]
pub(crate) struct AnswerPlan {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    template: Template,
    as_text: bool,
    delay: Option<Delay>,
}

impl AnswerPlan {
    /// Compiles the response that stands at `path`.
    pub(crate) fn compile(response: Response, path: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let as_text = response.body_text.is_some();
        let body = match (response.body, response.body_text) {
            (Some(_), Some(_)) => {
                problems.push(Problem::new(path, "has both `body` and `bodyText`").expected("one of them"));
                None
            }
            (None, Some(text)) => Some(("bodyText", Value::String(text))),
            (body, None) => body.map(|body| ("body", body)),
        };
        let headers = header_names(&response.headers, path, problems);
        let mut parts = Map::new();
        parts.insert("headers".to_owned(), Value::Object(response.headers));
        parts.extend(body.map(|(name, value)| (name.to_owned(), value)));
        let template = match Template::compile(&Value::Object(parts)) {
            Ok(template) => template,
            Err(errors) => {
                for error in errors {
                    problems.push(Problem::new(join(path, &dotted(&error.pointer)), error.message).hint(error.hint));
                }
                return None;
            }
        };
        for (pointer, _, expression) in template.expressions() {
            for name in unknown_names(expression) {
                let problem = Problem::new(join(path, &dotted(pointer)), format!("reads `{name}`"));
                problems.push(problem.expected(format!("one of: {}", SCOPE_NAMES.join(", "))));
            }
        }
        (problems.len() == before).then_some(Self {
            status: StatusCode::from_u16(response.status).ok()?,
            headers,
            template,
            as_text,
            delay: response.delay,
        })
    }

    /// The answer to a call.
    ///
    /// # Errors
    /// What went wrong with an expression or a header.
    pub(crate) fn render(&self, scope: &dyn Scope, moment: &Moment) -> Result<Answer, String> {
        let rendered;
        let parts = if let Some(constant) = self.template.constant() {
            constant
        } else {
            rendered = self
                .template
                .render(scope, moment)
                .map_err(|error| error.to_string())?
                .value;
            &rendered
        };
        let mut answer = Answer {
            status: self.status,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        for (name, written) in &self.headers {
            let one_or_several = parts
                .get("headers")
                .and_then(|headers| headers.get(written))
                .unwrap_or(&Value::Null);
            let several = one_or_several
                .as_array()
                .map_or(std::slice::from_ref(one_or_several), Vec::as_slice);
            for value in several {
                let text = text_of(value);
                let value = HeaderValue::from_str(&text)
                    .map_err(|_| format!("`{text}` cannot be sent in the header `{name}`"))?;
                answer.headers.append(name.clone(), value);
            }
        }
        if let Some(body) = parts.get("bodyText").or_else(|| parts.get("body")) {
            answer.set_body(body, self.as_text);
        }
        Ok(answer)
    }

    /// How long to wait before answering; `other` where the response says nothing itself.
    pub(crate) fn delay(&self, other: Option<Delay>, chance: Chance) -> Duration {
        let Some(delay) = self.delay.or(other) else {
            return Duration::ZERO;
        };
        let (min, max) = (delay.min.duration(), delay.max.duration());
        min + max.saturating_sub(min).mul_f64(chance.fraction())
    }
}

fn header_names(headers: &Map<String, Value>, path: &str, problems: &mut Vec<Problem>) -> Vec<(HeaderName, String)> {
    let mut names = Vec::new();
    for (written, value) in headers {
        let path = join(path, &format!("headers.{written}"));
        if value.is_object() || value.is_null() {
            problems.push(
                Problem::new(path.clone(), "cannot be sent in a header").expected("text, a number, or a list of them"),
            );
        }
        match HeaderName::from_bytes(written.as_bytes()) {
            Ok(name) if name == "content-length" || name == "transfer-encoding" => {
                problems.push(Problem::new(path, "is set by the mock itself").hint(Some(
                    "for broken answers use `fault: malformed` or `fault: drop`".to_owned(),
                )));
            }
            Ok(name) => names.push((name, written.clone())),
            Err(_) => problems.push(Problem::new(path, "is not the name of a header")),
        }
    }
    names
}

/// Text itself, everything else as JSON.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
