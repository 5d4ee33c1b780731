//! The connection type `http`: what several steps share to reach one service.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bowline_connector::{Millis, StepContext, StepError};
use reqwest::Client;
use reqwest::header::HeaderMap;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::alias;
use crate::auth::{Applied, Authentication};
use crate::client::{self, ClientSettings};
use crate::failure::invalid;
use crate::headers::{self, HeaderValues};
use crate::idempotency::IdempotencyHeader;
use crate::proxy::Proxy;
use crate::size::ByteSize;
use crate::target;
use crate::tls::{Tls, TlsMaterial};

/// What `http-request` steps share to reach one service.
///
/// ```yaml
/// connections:
///   shop:
///     type: http
///     baseUrl: https://shop.example/api/v2
///     authentication:
///       type: basic
///       credentials: { username: bowline, password: "${env.SHOP_PASSWORD}" }
///     headers: { Accept: application/json }
///     timeout: 20s
///     pool: { max: 20 }
/// ```
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ConnectionConfig {
    /// Absolute http or https URL that steps' relative URLs hang below. Credentials of this connection go
    /// to its origin only.
    pub base_url: Option<String>,
    /// How calls prove who makes them, unless the step says otherwise.
    pub authentication: Option<Authentication>,
    /// Headers of every call; a step's header of the same name wins, and null there takes one away.
    pub headers: BTreeMap<String, HeaderValues>,
    /// Most time for a whole call, unless the step says otherwise. Milliseconds or text such as `30s`.
    /// Default 30 s.
    pub timeout: Option<Millis>,
    /// Most time to reach the service, TLS included. Milliseconds or text. Default 10 s.
    pub connect_timeout: Option<Millis>,
    /// Longest silence of the service, as in `http-request`. Milliseconds or text. No limit by default.
    pub read_timeout: Option<Millis>,
    /// Largest answer body, unless the step says otherwise. Bytes or text. Default `10 MB`.
    pub max_response_size: Option<ByteSize>,
    /// Header that carries the idempotency key, or `false`. Default `Idempotency-Key`.
    pub idempotency_header: Option<IdempotencyHeader>,
    /// Proxy: a URL, an object with `url`, `system` or `none`. Default none.
    pub proxy: Option<Proxy>,
    /// TLS settings.
    pub tls: Option<Tls>,
    /// Limits on the sockets and calls of this connection.
    pub pool: Pool,
    /// Retry policy of the steps that use this connection. The workflow takes it from here; the
    /// connection itself ignores it.
    pub retry_policy: Option<Value>,
}

/// Limits on the sockets and calls of one connection.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = pool_aliases)]
pub struct Pool {
    /// Accepted and without effect: HTTP connections are opened when they are needed.
    pub min: Option<u32>,
    /// Most calls at a time, and most unused sockets kept per host. A further call waits for its turn. No
    /// limit on calls by default, and 64 unused sockets.
    pub max: Option<u32>,
    /// How long a call waits for its turn before it fails with `http.pool-timeout`. Milliseconds or text.
    /// Default 30 s.
    #[serde(alias = "acquireTimeout")]
    pub acquire_timeout_millis: Option<Millis>,
    /// How long an unused socket is kept. Milliseconds or text. Default 90 s. `idle` is the same.
    #[serde(alias = "idleTimeout", alias = "idle")]
    pub idle_timeout_millis: Option<Millis>,
    /// Accepted and without effect: unused sockets are dropped when their time is over.
    pub reap_interval_millis: Option<Millis>,
    /// Accepted and without effect: a failed connect is a failed attempt, and the step's retry policy
    /// says when the next one is made.
    pub create_retry_interval_millis: Option<Millis>,
}

fn pool_aliases(schema: &mut Schema) {
    alias::add(schema, "acquireTimeoutMillis", "acquireTimeout");
    alias::add(schema, "idleTimeoutMillis", "idleTimeout");
    alias::add(schema, "idleTimeoutMillis", "idle");
}

/// A built connection: a client, and what to put on every call.
pub struct HttpConnection {
    pub(crate) base: Option<Url>,
    pub(crate) headers: HeaderMap,
    pub(crate) auth: Applied,
    pub(crate) timeout: Option<Millis>,
    pub(crate) read_timeout: Option<Millis>,
    pub(crate) max_response_size: Option<ByteSize>,
    pub(crate) idempotency_header: Option<IdempotencyHeader>,
    pub(crate) settings: ClientSettings,
    pub(crate) client: Client,
    turns: Option<Arc<Semaphore>>,
    acquire_timeout: Duration,
}

impl HttpConnection {
    /// Builds the connection: reads certificate files, opens no socket.
    ///
    /// # Errors
    /// `config.invalid`, naming the field, where the configuration cannot be used.
    pub fn build(ctx: &StepContext, config: ConnectionConfig) -> Result<Self, StepError> {
        let mut base = config
            .base_url
            .as_deref()
            .map(|url| target::parse("baseUrl", url))
            .transpose()?;
        let userinfo = base
            .as_mut()
            .map(|url| target::take_userinfo(url, &ctx.masker))
            .transpose()?
            .flatten();
        if let Some(base) = &mut base {
            base.set_fragment(None);
        }
        let auth = match &config.authentication {
            Some(authentication) => authentication.apply(&ctx.masker)?,
            None => userinfo.unwrap_or_default(),
        };
        let mut map = HeaderMap::new();
        headers::put(&mut map, &config.headers)?;
        let mut settings = ClientSettings::default();
        settings.change(ctx, config.connect_timeout, config.proxy.as_ref(), config.tls.as_ref())?;
        if let Some(idle) = config.pool.idle_timeout_millis {
            settings.idle_timeout = idle.duration();
        }
        if config.pool.max == Some(0) {
            return Err(invalid("pool.max", "it is 0, so that no call could be made"));
        }
        if let Some(max) = config.pool.max {
            settings.max_idle = max as usize;
        }
        Ok(Self {
            base,
            headers: map,
            auth,
            timeout: config.timeout,
            read_timeout: config.read_timeout,
            max_response_size: config.max_response_size,
            idempotency_header: config.idempotency_header,
            client: client::shared_blocking(settings.clone())?,
            settings,
            turns: config.pool.max.map(|max| Arc::new(Semaphore::new(max as usize))),
            acquire_timeout: config
                .pool
                .acquire_timeout_millis
                .map_or(Duration::from_secs(30), Millis::duration),
        })
    }

    /// Whether calls over it carry credentials of its own, as far as that can be told.
    pub(crate) fn has_credentials(&self) -> bool {
        self.auth.is_some() || self.headers.contains_key(reqwest::header::AUTHORIZATION)
    }

    /// Waits until one more call may be made over this connection; the turn ends when it is dropped.
    pub(crate) async fn turn(&self) -> Result<Option<OwnedSemaphorePermit>, StepError> {
        let Some(turns) = &self.turns else { return Ok(None) };
        match tokio::time::timeout(self.acquire_timeout, Arc::clone(turns).acquire_owned()).await {
            Ok(Ok(turn)) => Ok(Some(turn)),
            // The semaphore is never closed; if it were, no turn could come.
            Ok(Err(_)) | Err(_) => Err(StepError::transient(
                "http.pool-timeout",
                format!(
                    "pool.max calls are under way over this connection, and none ended within {:?}",
                    self.acquire_timeout
                ),
            )),
        }
    }
}

impl ClientSettings {
    /// Puts what is given over what is there. Certificate files are read, which blocks.
    pub(crate) fn change(
        &mut self,
        ctx: &StepContext,
        connect_timeout: Option<Millis>,
        proxy: Option<&Proxy>,
        tls: Option<&Tls>,
    ) -> Result<(), StepError> {
        if let Some(limit) = connect_timeout {
            if limit.duration().is_zero() {
                return Err(invalid("connectTimeout", "it is 0, which leaves no time at all"));
            }
            self.connect_timeout = limit.duration();
        }
        if let Some(proxy) = proxy {
            self.proxy = proxy.settings(&ctx.masker)?;
        }
        if let Some(tls) = tls {
            self.tls = TlsMaterial::load(tls, ctx)?;
        }
        Ok(())
    }
}
