//! One call from the first request to the last byte of the answer.
//!
//! Redirects are followed here and not by the client, because only this crate knows which header, query
//! parameter or body field is a credential. What was left behind at an origin's border is never taken up
//! again, even when a later redirect leads back.

use std::time::Duration;

use bowline_connector::{ErrorKind, Masker, StepError};
use encoding_rs::Encoding;
use reqwest::header::{
    CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, LOCATION,
};
use reqwest::{Client, Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

use crate::body::BodyPlan;
use crate::config::ResponseType;
use crate::decode::{self, Decoded};
use crate::failure::Attempted;
use crate::headers::is_credential;
use crate::method::Method;
use crate::output::{self, Output};
use crate::quiet::{self, Activity, Silence};
use crate::receive::{Ending, Keeping, Receiving};
use crate::redirect::{self, Refusal};
use crate::size::ByteSize;
use crate::status::StatusSet;
use crate::target;

/// The media type that an answer names.
fn content_type(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(CONTENT_TYPE)?.to_str().ok()?.to_owned())
}

/// A call with every setting resolved. Holds credentials: never print it.
pub(crate) struct Call {
    pub(crate) client: Client,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: BodyPlan,
    /// The body for another origin, where `body` holds a key.
    pub(crate) keyless_body: Option<BodyPlan>,
    /// Headers that carry credentials, besides those known by their names.
    pub(crate) credential_headers: Vec<HeaderName>,
    /// The API key in the query.
    pub(crate) query_key: Option<(String, String)>,
    pub(crate) timeout: Duration,
    pub(crate) read_timeout: Option<Duration>,
    /// Most redirects to follow; `None` follows none.
    pub(crate) redirects: Option<u32>,
    pub(crate) max_response_size: ByteSize,
    /// Which answers become blobs.
    pub(crate) keeping: Option<Keeping>,
    pub(crate) success: StatusSet,
    pub(crate) response_type: ResponseType,
    pub(crate) charset: Option<&'static Encoding>,
    pub(crate) masker: Masker,
}

/// Where a chain of redirects has led.
struct Position {
    method: Method,
    url: Url,
    headers: HeaderMap,
    has_body: bool,
    left_origin: bool,
    /// A redirect turned the step's method into GET: the service has acted.
    acted: bool,
}

impl Call {
    /// Makes the call.
    pub(crate) async fn run(mut self) -> Result<Output, StepError> {
        let mut at = Position {
            method: self.method,
            url: self.url.clone(),
            headers: std::mem::take(&mut self.headers),
            has_body: true,
            left_origin: false,
            acted: false,
        };
        if let Some((name, value)) = &self.query_key {
            at.url.query_pairs_mut().append_pair(name, value);
        }
        match tokio::time::timeout(self.timeout, self.follow(&mut at)).await {
            Ok(result) => result,
            Err(_) => Err(self.attempted(&at).too_slow("timeout", self.timeout)),
        }
    }

    async fn follow(&self, at: &mut Position) -> Result<Output, StepError> {
        let activity = Activity::default();
        let mut hops = 0;
        loop {
            let request = self.request(at, &activity).await?;
            let sent = quiet::wait(self.client.execute(request), self.read_timeout, &activity).await;
            let response = match sent {
                Ok(Ok(response)) => response,
                Ok(Err(error)) => return Err(self.attempted(at).no_answer(error)),
                Err(Silence(limit)) => return Err(self.attempted(at).too_slow("readTimeout", limit)),
            };
            let (status, headers) = (response.status(), response.headers());
            let Some(most) = self.redirects.filter(|_| redirect::is_redirect(status, headers)) else {
                return self.finish(at, response, &activity).await;
            };
            hops += 1;
            if hops > most {
                let what = format!("redirected more than {most} times");
                return Err(self
                    .attempted(at)
                    .error("http.too-many-redirects", ErrorKind::Permanent, &what));
            }
            self.step(at, &response)?;
            // A short body is read, so that the socket can be used again; a long one is not worth it.
            if response.content_length().is_some_and(|length| length <= 64 * 1024) {
                let _ = self.read(at, response, &HeaderMap::new(), false, &activity).await;
            }
        }
    }

    async fn request(&self, at: &Position, activity: &Activity) -> Result<Request, StepError> {
        let mut request = Request::new(at.method.to_reqwest(), at.url.clone());
        request.headers_mut().clone_from(&at.headers);
        if !at.has_body {
            return Ok(request);
        }
        let body = self
            .keyless_body
            .as_ref()
            .filter(|_| at.left_origin)
            .unwrap_or(&self.body);
        body.put(&self.client, request, activity).await
    }

    /// Moves to where `response` redirects, and drops what must not go there.
    fn step(&self, at: &mut Position, response: &Response) -> Result<(), StepError> {
        let location = response
            .headers()
            .get(LOCATION)
            .map(HeaderValue::as_bytes)
            .unwrap_or_default();
        let hop = redirect::next(response.status(), at.method, &at.url, location).map_err(|refusal| {
            let (code, what) = match refusal {
                Refusal::BadLocation => (
                    "http.redirect",
                    "redirected to something that is not an http or https URL",
                ),
                Refusal::Downgrade => (
                    "http.redirect-downgrade",
                    "redirected from https to http, which is not followed",
                ),
            };
            self.attempted(at).error(code, ErrorKind::Permanent, what)
        })?;
        if !hop.keeps_body {
            at.has_body = false;
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LANGUAGE] {
                at.headers.remove(name);
            }
        }
        if hop.method != at.method {
            at.acted = true;
        }
        if hop.leaves_origin {
            at.left_origin = true;
            let dropped: Vec<HeaderName> = at
                .headers
                .iter()
                .filter(|(name, value)| self.stays(name, value.as_bytes()))
                .map(|(name, _)| name.clone())
                .collect();
            for name in dropped {
                at.headers.remove(name);
            }
        }
        (at.url, at.method) = (hop.url, hop.method);
        if let Some((name, value)) = &self.query_key
            && !at.left_origin
            && !at.url.query_pairs().any(|(found, _)| found == name.as_str())
        {
            at.url.query_pairs_mut().append_pair(name, value);
        }
        Ok(())
    }

    /// Whether a header stays behind when a redirect leads to another origin.
    fn stays(&self, name: &HeaderName, value: &[u8]) -> bool {
        let holds_secret = || std::str::from_utf8(value).is_ok_and(|text| self.masker.scrub_text(text) != text);
        name == HOST || is_credential(name) || self.credential_headers.contains(name) || holds_secret()
    }

    async fn finish(&self, at: &Position, mut response: Response, activity: &Activity) -> Result<Output, StepError> {
        let status = response.status();
        let succeeded = self.success.contains(status.as_u16());
        let raw = std::mem::take(response.headers_mut());
        let headers = output::headers(&raw);
        if succeeded && self.response_type == ResponseType::None {
            if response.content_length().is_some_and(|length| length <= 64 * 1024) {
                let _ = self.read(at, response, &raw, false, activity).await;
            }
            return Ok(self.output(at, status, headers, Value::Null));
        }
        let ending = self.read(at, response, &raw, succeeded, activity).await;
        if !succeeded {
            // The status decides what may be done, so a body that cannot be had does not hide it.
            let (body, unread) = match ending {
                Ending::Whole(bytes) => (decode::decode_anyhow(&bytes, &raw), None),
                // Only what succeeded is kept.
                Ending::Kept(blob) => (Decoded::blob(&blob), None),
                Ending::TooLarge => (decode::decode_anyhow(&[], &raw), Some(self.too_large(at).message)),
                Ending::Failed(error) => (decode::decode_anyhow(&[], &raw), Some(error.to_string())),
            };
            let reason = decode::reason(&body, &raw, &self.masker);
            let mut data = json!({ "status": status.as_u16(), "headers": headers, "body": body.value });
            if body.base64 {
                data["bodyEncoding"] = "base64".into();
            }
            if let Some(unread) = unread {
                data["bodyUnread"] = unread.into();
            }
            return Err(self
                .attempted(at)
                .status(status, &raw, reason.as_deref())
                .with_data(data));
        }
        let bytes = match ending {
            Ending::Whole(bytes) => bytes,
            Ending::Kept(blob) => return Ok(self.output(at, status, headers, Decoded::blob(&blob).value)),
            Ending::TooLarge => {
                let data = json!({ "status": status.as_u16(), "headers": headers, "body": null });
                return Err(self.too_large(at).with_data(data));
            }
            Ending::Failed(error) => return Err(error),
        };
        match decode::decode(&bytes, &raw, self.response_type, self.charset) {
            Ok(body) => Ok(Output {
                body_encoding: body.base64.then_some("base64"),
                ..self.output(at, status, headers, body.value)
            }),
            Err(wrong) => {
                let mut data = json!({ "status": status.as_u16(), "headers": headers, "body": wrong.body.value });
                if wrong.body.base64 {
                    data["bodyEncoding"] = "base64".into();
                }
                Err(self
                    .attempted(at)
                    .error(
                        wrong.code,
                        ErrorKind::Permanent,
                        &format!("answered, but {}", wrong.what),
                    )
                    .with_data(data))
            }
        }
    }

    fn output(&self, at: &Position, status: StatusCode, headers: Map<String, Value>, body: Value) -> Output {
        Output {
            status: status.as_u16(),
            headers,
            body,
            body_encoding: None,
            url: self.shown(at),
        }
    }

    /// Reads the body: into memory, or to the blob store where it succeeded and is of the sort that goes there.
    async fn read(
        &self,
        at: &Position,
        response: Response,
        headers: &HeaderMap,
        succeeded: bool,
        activity: &Activity,
    ) -> Ending {
        let keeping = self.keeping.as_ref().filter(|_| succeeded);
        let keeping = keeping.and_then(|keeping| Some((keeping.inline(self.response_type, headers)?, keeping)));
        let limit = match keeping {
            Some((_, keeping)) => keeping.limit.map_or(u64::MAX, |limit| limit.0),
            None => self.max_response_size.0,
        };
        if self.method != Method::Head && response.content_length().is_some_and(|length| length > limit) {
            return Ending::TooLarge;
        }
        let receiving = Receiving {
            response,
            read_timeout: self.read_timeout,
            activity: activity.clone(),
            attempted: self.attempted(at),
            limit,
            read: 0,
        };
        match keeping {
            Some((inline, keeping)) => {
                receiving
                    .kept(inline, keeping, content_type(headers), self.max_response_size)
                    .await
            }
            None => receiving.whole().await,
        }
    }

    fn too_large(&self, at: &Position) -> StepError {
        let mend = match self.keeping {
            Some(_) if self.response_type != ResponseType::Blob => {
                "; a larger one is taken where that is raised, or as a blob with responseType blob"
            }
            _ => "",
        };
        let what = format!(
            "answered with a body over maxResponseSize ({}){mend}",
            self.max_response_size
        );
        self.attempted(at)
            .error("http.response-too-large", ErrorKind::Permanent, &what)
    }

    fn attempted(&self, at: &Position) -> Attempted {
        Attempted {
            method: self.method,
            place: target::place(&at.url),
            acted: at.acted,
        }
    }

    /// The URL as the journal may show it.
    fn shown(&self, at: &Position) -> String {
        let mut url = at.url.clone();
        url.set_fragment(None);
        if let Some((key, _)) = &self.query_key
            && url.query_pairs().any(|(name, _)| name == key.as_str())
        {
            let kept: Vec<_> = at.url.query_pairs().filter(|(name, _)| name != key.as_str()).collect();
            url.set_query(None);
            if !kept.is_empty() {
                url.query_pairs_mut().extend_pairs(kept);
            }
        }
        url.into()
    }
}
