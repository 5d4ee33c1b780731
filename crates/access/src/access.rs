//! From what a request presents to who asks.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use bowline_engine::Clock;
use bowline_store::{EntryRange, SharedStore, Store, key};
use serde::de::DeserializeOwned;
use tokio::sync::Mutex;

use crate::cache::{Cache, FRESH};
use crate::jwt::Tokens;
use crate::keys::{self, ApiKey};
use crate::organizations::{self, Organization};
use crate::recorder::Recorder;
use crate::sessions::{self, Session};
use crate::{AccessError, Caller, Config, DEFAULT_ORGANIZATION, Denied, Kind, secret};

/// Who may do what. Clones are the same one.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

/// What is behind an [`Access`].
pub struct Inner {
    pub(crate) store: SharedStore,
    pub(crate) recorder: Arc<dyn Recorder>,
    pub(crate) config: Config,
    pub(crate) clock: Clock,
    tokens: Option<Tokens>,
    pub(crate) keys: Cache<ApiKey>,
    pub(crate) organizations: Cache<Organization>,
    pub(crate) sessions: Cache<Session>,
    /// Whether a key was ever made. Once it is so it stays so: a key that is revoked opens nothing to others.
    has_keys: AtomicBool,
    /// When it was looked for keys last.
    looked: Mutex<Option<Instant>>,
    /// Up to which session expired ones have been tidied away; none: from the first one on.
    pub(crate) tidied: std::sync::Mutex<Option<String>>,
}

impl Deref for Access {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Access {
    /// Access as the store and the configuration say. Changes are written with `recorder`.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(
        store: SharedStore,
        recorder: Arc<dyn Recorder>,
        config: Config,
        clock: Clock,
    ) -> Result<Self, AccessError> {
        let tokens = match &config.jwt {
            None => None,
            Some(jwt) => Some(Tokens::new(jwt.clone()).map_err(AccessError::Invalid)?),
        };
        Ok(Self(Arc::new(Inner {
            store,
            recorder,
            config,
            clock,
            tokens,
            keys: Cache::default(),
            organizations: Cache::default(),
            sessions: Cache::default(),
            has_keys: AtomicBool::new(false),
            looked: Mutex::new(None),
            tidied: std::sync::Mutex::default(),
        })))
    }

    /// Who presents this `Authorization` header. `from_loopback` says that the request comes from this machine, and not
    /// by way of a proxy; it counts only as long as no key was ever made and no tokens are configured.
    ///
    /// # Errors
    /// Why nobody is let in.
    pub async fn authenticate(&self, authorization: Option<&str>, from_loopback: bool) -> Result<Caller, Denied> {
        let Some(header) = authorization else {
            if from_loopback && !self.is_configured().await? {
                return Ok(Caller::loopback());
            }
            return Err(Denied::Missing);
        };
        let (scheme, text) = header
            .trim()
            .split_once(' ')
            .ok_or(Denied::Malformed("it has no scheme"))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Denied::Malformed("its scheme is not Bearer"));
        }
        let text = text.trim();
        if text.starts_with(keys::PREFIX) {
            return self.by_key(text).await;
        }
        match &self.tokens {
            Some(tokens) => {
                let caller = tokens.check(text).await?;
                self.organization_is_open(&caller.organization).await?;
                Ok(caller)
            }
            None => Err(Denied::Malformed("it holds no API key, and no tokens are configured")),
        }
    }

    /// Who has the session with this cookie.
    ///
    /// # Errors
    /// Why nobody is let in.
    pub async fn by_session(&self, token: &str) -> Result<Caller, Denied> {
        if !sessions::is_well_formed(token) {
            return Err(Denied::SessionEnded);
        }
        let place = sessions::place(token);
        let session = self
            .read(&self.sessions, sessions::SPACE, &place)
            .await?
            .ok_or(Denied::SessionEnded)?;
        let now = self.clock.now();
        if session.expires_at <= now {
            return Err(Denied::SessionEnded);
        }
        let mut caller = self
            .opened(&session.key, &session.secret)
            .await
            .map_err(|denied| match denied {
                Denied::UnknownKey | Denied::Expired | Denied::Rotated | Denied::Revoked => Denied::SessionEnded,
                other => other,
            })?;
        caller.kind = Kind::Session;
        Ok(caller)
    }

    /// The same caller acting in this organization: in its own, or in any if it may act in others.
    ///
    /// # Errors
    /// [`Denied::Forbidden`] where it may not, or there is no such organization: the same to those who may not.
    pub async fn acting_in(&self, caller: Caller, organization: &str) -> Result<Caller, Denied> {
        if organization == caller.organization {
            return Ok(caller);
        }
        if !caller.is_super_admin() {
            return Err(Denied::Forbidden(format!(
                "{} may not act in other organizations: this needs an admin of `{DEFAULT_ORGANIZATION}` with the scope \
                 organizations",
                caller.name
            )));
        }
        self.organization_is_open(organization).await?;
        Ok(Caller {
            organization: organization.to_owned(),
            ..caller
        })
    }

    /// Whether anybody has to present something: a key was made, or tokens are configured. Where not, only those on this
    /// machine are let in, and a server must not listen elsewhere.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where the store cannot be read.
    pub async fn is_configured(&self) -> Result<bool, Denied> {
        if self.tokens.is_some() || self.has_keys.load(Ordering::Acquire) {
            return Ok(true);
        }
        let mut looked = self.looked.lock().await;
        if self.has_keys.load(Ordering::Acquire) {
            return Ok(true);
        }
        if looked.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(false);
        }
        let found = self
            .blocking(move |store| store.entries(&any_key()))
            .await
            .map_err(unavailable)?;
        *looked = Some(Instant::now());
        if found.is_empty() {
            return Ok(false);
        }
        self.key_was_made();
        Ok(true)
    }

    /// [`Access::is_configured`] for a start, on a thread that may block.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn is_configured_now(&self) -> Result<bool, AccessError> {
        if self.tokens.is_some() {
            return Ok(true);
        }
        let found = self.store.entries(&any_key()).map_err(AccessError::unavailable)?;
        self.has_keys.fetch_or(!found.is_empty(), Ordering::AcqRel);
        Ok(!found.is_empty())
    }

    pub(crate) fn key_was_made(&self) {
        let is_first = !self.has_keys.swap(true, Ordering::AcqRel);
        if is_first && self.tokens.is_none() {
            tracing::info!("there is an API key now: from here on everybody has to present one");
        }
    }

    pub(crate) async fn by_key(&self, text: &str) -> Result<Caller, Denied> {
        let (id, secret) = keys::parse(text).ok_or(Denied::UnknownKey)?;
        self.opened(id, &secret::hash(secret)).await
    }

    /// Who opens this key with a secret that has this hash.
    pub(crate) async fn opened(&self, id: &str, hash: &str) -> Result<Caller, Denied> {
        let found = self.read(&self.keys, keys::SPACE, &key(&[id])).await?;
        let found = found.ok_or(Denied::UnknownKey)?;
        found.check(hash, self.clock.now())?;
        self.organization_is_open(&found.organization).await?;
        Ok(Caller {
            organization: found.organization.clone(),
            home: found.organization.clone(),
            role: found.role,
            scopes: found.scopes.clone(),
            name: found.name.clone(),
            kind: Kind::Key,
            key: Some(found.id.clone()),
        })
    }

    /// Whether it is there and not disabled.
    pub(crate) async fn organization_is_open(&self, name: &str) -> Result<(), Denied> {
        if name == DEFAULT_ORGANIZATION {
            return Ok(());
        }
        let found = self
            .read(&self.organizations, organizations::SPACE, &key(&[name]))
            .await?;
        match found {
            Some(found) if found.disabled_at.is_none() => Ok(()),
            _ => Err(Denied::Forbidden(
                "the organization is not known here, or is disabled".into(),
            )),
        }
    }

    /// What is kept under this key, as it was a moment ago at most.
    async fn read<T: DeserializeOwned + Send + Sync + 'static>(
        &self,
        cache: &Cache<T>,
        space: &'static str,
        place: &str,
    ) -> Result<Option<Arc<T>>, Denied> {
        if let Some(found) = cache.get(place) {
            return Ok(Some(found));
        }
        let at = Instant::now();
        let owned = place.to_owned();
        let Some(bytes) = self
            .blocking(move |store| store.entry(space, &owned))
            .await
            .map_err(unavailable)?
        else {
            cache.forget(place);
            return Ok(None);
        };
        let thing: T = serde_json::from_slice(&bytes).map_err(|error| Denied::Unavailable(error.to_string()))?;
        let thing = Arc::new(thing);
        cache.put(place, at, Arc::clone(&thing));
        Ok(Some(thing))
    }

    /// Asks the store, on a thread that may block.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&dyn Store) -> Result<T, bowline_store::StoreError> + Send + 'static,
    ) -> Result<T, AccessError> {
        let store = Arc::clone(&self.store);
        tokio::task::spawn_blocking(move || ask(&*store))
            .await
            .map_err(AccessError::unavailable)?
            .map_err(AccessError::unavailable)
    }
}

/// The first key that there is.
fn any_key() -> EntryRange {
    EntryRange {
        space: keys::SPACE.into(),
        limit: 1,
        ..EntryRange::default()
    }
}

fn unavailable(error: AccessError) -> Denied {
    match error {
        AccessError::Unavailable(why) => Denied::Unavailable(why),
        other => Denied::Unavailable(other.to_string()),
    }
}
