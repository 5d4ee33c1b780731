//! HTTP clients, one per distinct set of settings, kept for the life of the process.
//!
//! A client owns a pool of sockets, so making one per call would connect for every call. Calls that share
//! their settings share a client, whether or not they name a connection.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bowline_connector::StepError;
use reqwest::{Client, redirect};

use crate::failure::invalid;
use crate::proxy::ProxySettings;
use crate::tls::TlsMaterial;

/// What a client is made of. Two calls with equal settings share sockets. Holds secrets: never print it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct ClientSettings {
    pub(crate) connect_timeout: Duration,
    pub(crate) proxy: ProxySettings,
    pub(crate) tls: TlsMaterial,
    /// How long an unused socket is kept.
    pub(crate) idle_timeout: Duration,
    /// Most unused sockets to keep per host.
    pub(crate) max_idle: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            proxy: ProxySettings::default(),
            tls: TlsMaterial::default(),
            idle_timeout: Duration::from_secs(90),
            max_idle: 64,
        }
    }
}

/// Beyond this many clients the one unused for longest is forgotten; calls that hold it keep it alive.
const KEPT: usize = 64;

#[derive(Default)]
struct Kept {
    clients: HashMap<ClientSettings, (Client, u64)>,
    uses: u64,
}

static CLIENTS: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

impl Kept {
    fn get(&mut self, settings: &ClientSettings) -> Option<Client> {
        self.uses += 1;
        let (client, used) = self.clients.get_mut(settings)?;
        *used = self.uses;
        Some(client.clone())
    }

    fn put(&mut self, settings: ClientSettings, client: Client) -> Client {
        if let Some(found) = self.get(&settings) {
            return found;
        }
        if self.clients.len() >= KEPT
            && let Some(oldest) = self
                .clients
                .iter()
                .min_by_key(|(_, (_, used))| *used)
                .map(|(key, _)| key.clone())
        {
            self.clients.remove(&oldest);
        }
        self.clients.insert(settings, (client.clone(), self.uses));
        client
    }
}

/// The client for `settings`. Blocks for some milliseconds where it must be built: the system's
/// certificates are read from disk.
pub(crate) fn shared_blocking(settings: ClientSettings) -> Result<Client, StepError> {
    let found = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner).get(&settings);
    if let Some(client) = found {
        return Ok(client);
    }
    let client = build(&settings)?;
    Ok(CLIENTS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .put(settings, client))
}

/// The client for `settings`, built aside from the runtime's threads where it must be built.
pub(crate) async fn shared(settings: ClientSettings) -> Result<Client, StepError> {
    let found = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner).get(&settings);
    if let Some(client) = found {
        return Ok(client);
    }
    tokio::task::spawn_blocking(move || shared_blocking(settings))
        .await
        .map_err(|error| StepError::transient("http.client", "the HTTP client could not be built").caused_by(&error))?
}

fn build(settings: &ClientSettings) -> Result<Client, StepError> {
    let failed = |error: reqwest::Error| {
        StepError::permanent("http.client", "the HTTP client cannot be built").caused_by(&error.without_url())
    };
    let error = match builder(settings)?.build() {
        Ok(client) => return Ok(client),
        Err(error) => error,
    };
    if settings.tls.identity_fails() {
        return Err(invalid(
            "tls.clientCertificate",
            "the key does not belong to it, or is of an unknown kind",
        )
        .caused_by(&error));
    }
    if settings.tls.has_own_ca() {
        return Err(failed(error));
    }
    // A machine without certificate authorities (a bare container) must still be able to call http://.
    // With nothing to trust, https:// calls fail with `http.tls`, which is true.
    let client = builder(settings)?.tls_certs_only([]).build().map_err(failed)?;
    tracing::warn!(%error, "this machine has no certificate authorities; https calls without tls.ca will fail");
    Ok(client)
}

fn builder(settings: &ClientSettings) -> Result<reqwest::ClientBuilder, StepError> {
    let builder = Client::builder()
        .user_agent(concat!("bowline/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(settings.connect_timeout)
        .pool_idle_timeout(settings.idle_timeout)
        .pool_max_idle_per_host(settings.max_idle)
        .redirect(redirect::Policy::none())
        .referer(false);
    settings.tls.apply(settings.proxy.apply(builder)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_settings_share_and_the_oldest_is_forgotten() {
        let mut kept = Kept::default();
        let client = Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
        let settings = |ms| ClientSettings {
            connect_timeout: Duration::from_millis(ms),
            ..ClientSettings::default()
        };
        for ms in 0..KEPT as u64 {
            kept.put(settings(ms), client.clone());
        }
        assert!(kept.get(&settings(0)).is_some());
        kept.put(settings(1000), client.clone());
        assert_eq!(kept.clients.len(), KEPT);
        assert!(kept.get(&settings(0)).is_some(), "used just now");
        assert!(kept.get(&settings(1)).is_none(), "unused for longest");
    }
}
