//! `http-request`: from a step's configuration, its connection and the defaults to one call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_connector::{Millis, StepContext, StepError};
use encoding_rs::Encoding;
use reqwest::Client;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::auth::Applied;
use crate::body::{self, BodyPlan};
use crate::client::{self, ClientSettings};
use crate::config::{Config, ResponseType};
use crate::connection::HttpConnection;
use crate::exchange::Call;
use crate::failure::invalid;
use crate::headers;
use crate::idempotency::{self, IdempotencyHeader};
use crate::method::Method;
use crate::output::Output;
use crate::pairs;
use crate::receive::Keeping;
use crate::size::ByteSize;
use crate::status::StatusSet;
use crate::target;

/// Longest call when neither step nor connection says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// The W3C trace context.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
/// Most redirects when the step does not say otherwise.
const DEFAULT_REDIRECTS: u32 = 10;

/// Makes one attempt of the call.
pub(crate) async fn run(ctx: StepContext, config: Config) -> Result<Output, StepError> {
    let connection = match &config.connection {
        Some(name) => Some(ctx.connection::<HttpConnection>(name)?),
        None => None,
    };
    let call = prepare(&ctx, &config, connection.as_deref()).await?;
    // Waiting for a turn is not part of the call's own time.
    let _turn = match &connection {
        Some(connection) => connection.turn().await?,
        None => None,
    };
    // The line is worth its text only where somebody reads it.
    let told =
        tracing::enabled!(tracing::Level::DEBUG).then(|| (call.method, target::place(&call.url), Instant::now()));
    let result = call.run().await;
    if let Some((method, place, begin)) = told {
        let outcome = match &result {
            Ok(output) => output.status.to_string(),
            Err(error) => error.code.clone(),
        };
        tracing::debug!(%method, %place, outcome, elapsed_ms = begin.elapsed().as_millis() as u64, "http request");
    }
    result
}

async fn prepare(ctx: &StepContext, config: &Config, connection: Option<&HttpConnection>) -> Result<Call, StepError> {
    let mut url = target::resolve(
        config.url.as_deref(),
        connection.and_then(|connection| connection.base.as_ref()),
    )?;
    let userinfo = target::take_userinfo(&mut url, &ctx.masker)?;
    url.set_fragment(None);
    let query = pairs::pairs("query", &config.query, config.query_arrays)?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(&query);
    }

    let mut map = connection
        .map(|connection| connection.headers.clone())
        .unwrap_or_default();
    headers::put(&mut map, &config.headers)?;
    let auth = match (&config.authentication, userinfo) {
        (Some(authentication), _) => Credentials::of_step(authentication.apply(&ctx.masker)?),
        (None, Some(userinfo)) => Credentials::of_step(userinfo),
        (None, None) => Credentials::of_connection(connection),
    };
    let mut credential_headers = auth.put(config, &mut map);
    credential_headers.extend(put_idempotency_key(ctx, config, connection, &mut map)?);

    // As it is written, or the attempt's own where the execution belongs to a trace.
    if let Some(trace) = ctx.trace.as_deref().and_then(|trace| HeaderValue::from_str(trace).ok()) {
        map.entry(TRACEPARENT).or_insert(trace);
    }

    let (body, keyless_body) = bodies(ctx, config, &map, auth.applied.body.as_ref()).await?;
    let limit = |field: &str, step: Option<Millis>, connection: Option<Millis>| match step.or(connection) {
        Some(Millis(Duration::ZERO)) => Err(invalid(field, "it is 0, which leaves no time at all")),
        limit => Ok(limit.map(Millis::duration)),
    };
    let keeping = keeping(ctx, config, connection)?;
    let follows = config.follow_redirects.unwrap_or(true);
    Ok(Call {
        client: client(ctx, config, connection).await?,
        method: config.method,
        url,
        headers: map,
        body,
        keyless_body,
        credential_headers,
        query_key: auth.applied.query,
        timeout: limit("timeout", config.timeout, connection.and_then(|c| c.timeout))?.unwrap_or(DEFAULT_TIMEOUT),
        read_timeout: limit(
            "readTimeout",
            config.read_timeout,
            connection.and_then(|c| c.read_timeout),
        )?,
        redirects: follows.then(|| config.max_redirects.unwrap_or(DEFAULT_REDIRECTS)),
        max_response_size: config
            .max_response_size
            .or(connection.and_then(|connection| connection.max_response_size))
            .unwrap_or(ByteSize::DEFAULT_RESPONSE),
        success: config
            .success_codes
            .clone()
            .unwrap_or_else(|| StatusSet::success(follows)),
        keeping,
        response_type: config.response_type,
        charset: config.charset.as_deref().map(charset).transpose()?,
        masker: ctx.masker.clone(),
    })
}

/// What authentication adds, and who says so: a header of the step wins over both, a header of the
/// connection wins over the connection's authentication.
struct Credentials {
    applied: Applied,
    of_step: bool,
}

impl Credentials {
    fn of_step(applied: Applied) -> Self {
        Self { applied, of_step: true }
    }

    fn of_connection(connection: Option<&HttpConnection>) -> Self {
        Self {
            applied: connection.map(|connection| connection.auth.clone()).unwrap_or_default(),
            of_step: false,
        }
    }

    /// Puts the header, unless one that wins is there. Names the header, if any.
    fn put(&self, config: &Config, map: &mut HeaderMap) -> Vec<HeaderName> {
        let Some((name, value)) = &self.applied.header else {
            return Vec::new();
        };
        let named_by_step = config
            .headers
            .keys()
            .any(|given| given.eq_ignore_ascii_case(name.as_str()));
        if !named_by_step && (self.of_step || !map.contains_key(name)) {
            map.insert(name.clone(), value.clone());
        }
        vec![name.clone()]
    }
}

/// Puts the idempotency key, unless the user has set that header. Names the header, if any.
fn put_idempotency_key(
    ctx: &StepContext,
    config: &Config,
    connection: Option<&HttpConnection>,
    map: &mut HeaderMap,
) -> Result<Option<HeaderName>, StepError> {
    let header = config.idempotency_header.clone();
    let header = header.or_else(|| connection.and_then(|connection| connection.idempotency_header.clone()));
    let IdempotencyHeader::Named(name) = header.unwrap_or_default() else {
        return Ok(None);
    };
    let given = config
        .headers
        .keys()
        .any(|given| given.eq_ignore_ascii_case(name.as_str()));
    if config.method.is_safe() || given || map.contains_key(&name) {
        return Ok(Some(name));
    }
    let value = idempotency::header_value(&ctx.idempotency_key)
        .ok_or_else(|| invalid("idempotencyHeader", "the key cannot stand in a header"))?;
    map.insert(name.clone(), value);
    Ok(Some(name))
}

/// The body, and the body without its API key for another origin.
async fn bodies(
    ctx: &StepContext,
    config: &Config,
    map: &HeaderMap,
    key: Option<&(String, String)>,
) -> Result<(BodyPlan, Option<BodyPlan>), StepError> {
    let body = body::plan(config, map, key, ctx).await?;
    if config.method == Method::Trace && !matches!(body, BodyPlan::None) {
        return Err(invalid("body", "a TRACE request has none"));
    }
    let keyless = match key {
        Some(_) => Some(body::plan(config, map, None, ctx).await?),
        None => None,
    };
    Ok((body, keyless))
}

/// Which answers become blobs; none where there is no place for them.
fn keeping(
    ctx: &StepContext,
    config: &Config,
    connection: Option<&HttpConnection>,
) -> Result<Option<Keeping>, StepError> {
    if config.response_type == ResponseType::Blob {
        ctx.blob_store("responseType")?;
    }
    Ok(ctx.blobs.as_ref().map(|store| Keeping {
        store: Arc::clone(store),
        inline: config.max_inline.unwrap_or(ByteSize::DEFAULT_INLINE),
        limit: config
            .max_response_size
            .or(connection.and_then(|connection| connection.max_response_size)),
    }))
}

/// The connection's client, or one of the step's own where the step changes what a client is made of.
async fn client(ctx: &StepContext, config: &Config, connection: Option<&HttpConnection>) -> Result<Client, StepError> {
    let changes = config.connect_timeout.is_some() || config.proxy.is_some() || config.tls.is_some();
    if let (Some(connection), false) = (connection, changes) {
        return Ok(connection.client.clone());
    }
    let mut settings = connection.map_or_else(ClientSettings::default, |connection| connection.settings.clone());
    settings.change(ctx, config.connect_timeout, config.proxy.as_ref(), None)?;
    if let Some(tls) = config.tls.clone() {
        let ctx = ctx.clone();
        settings = tokio::task::spawn_blocking(move || {
            settings.change(&ctx, None, None, Some(&tls))?;
            Ok::<_, StepError>(settings)
        })
        .await
        .map_err(|error| StepError::transient("http.client", "the TLS files could not be read").caused_by(&error))??;
    }
    client::shared(settings).await
}

fn charset(label: &str) -> Result<&'static Encoding, StepError> {
    Encoding::for_label(label.trim().as_bytes())
        .ok_or_else(|| invalid("charset", &format!("{label:?} is not a known character set")))
}
