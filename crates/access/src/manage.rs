//! Making, rotating and revoking keys; making and disabling organizations; beginning and ending sessions. Each change is
//! written together with its line in the audit log.

use std::net::IpAddr;
use std::sync::PoisonError;

use bowline_store::{EntryRange, EntryWrite, key, prefix};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::access::Access;
use crate::audit::AuditEntry;
use crate::keys::{self, ApiKey, KeyView, MadeKey, NewKey};
use crate::organizations::{self, Organization, OrganizationView};
use crate::recorder::RecordError;
use crate::sessions::{self, MadeSession, Session};
use crate::{AccessError, DEFAULT_ORGANIZATION, Denied, secret};

/// How many entries are read at once.
const PAGE: usize = 500;

/// How many expired sessions one login tidies away.
const TIDIED: usize = 100;

/// How often a change is tried again that somebody else came before.
const ATTEMPTS: usize = 5;

impl Access {
    /// Makes a key. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`AccessError::NotFound`] where there is no such organization; [`AccessError::Invalid`].
    pub async fn create_key(&self, new: NewKey, note: AuditEntry) -> Result<MadeKey, AccessError> {
        self.must_exist(&new.organization).await?;
        let now = self.clock.now();
        let (made, text) = ApiKey::make(new, &note.who, now)?;
        let view = made.view(now);
        let note = of_key(note, &view);
        self.recorder
            .record(vec![EntryWrite::Add(made.entry()?), note.write(now)?])
            .await?;
        self.key_was_made();
        Ok(MadeKey { text, key: view })
    }

    /// The keys of an organization, in the order of their ids.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn list_keys(&self, organization: &str) -> Result<Vec<KeyView>, AccessError> {
        let now = self.clock.now();
        let all: Vec<ApiKey> = self.all(keys::SPACE).await?;
        Ok(all
            .iter()
            .filter(|found| found.organization == organization)
            .map(|found| found.view(now))
            .collect())
    }

    /// One key of an organization.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub async fn key(&self, organization: &str, id: &str) -> Result<KeyView, AccessError> {
        let (found, _) = self.key_of(organization, id).await?;
        Ok(found.view(self.clock.now()))
    }

    /// Gives a key another secret. Those that it has are accepted for `overlap` milliseconds more.
    ///
    /// # Errors
    /// [`AccessError::NotFound`], or [`AccessError::Conflict`] where it is not accepted any more.
    pub async fn rotate_key(
        &self,
        organization: &str,
        id: &str,
        overlap: i64,
        note: AuditEntry,
    ) -> Result<MadeKey, AccessError> {
        let now = self.clock.now();
        let (text, key) = self
            .change_key(organization, id, note, now, |found| {
                found.rotate(overlap, now).map(Some)
            })
            .await?;
        Ok(MadeKey {
            text: text.unwrap_or_default(),
            key,
        })
    }

    /// Revokes a key: it is not accepted from now on, and never again. Does nothing where it is revoked.
    ///
    /// # Errors
    /// [`AccessError::NotFound`].
    pub async fn revoke_key(&self, organization: &str, id: &str, note: AuditEntry) -> Result<KeyView, AccessError> {
        let now = self.clock.now();
        let revoke = |found: &mut ApiKey| {
            found.revoked_at.get_or_insert(now);
            Ok(None)
        };
        Ok(self.change_key(organization, id, note, now, revoke).await?.1)
    }

    async fn change_key(
        &self,
        organization: &str,
        id: &str,
        note: AuditEntry,
        now: i64,
        change: impl Fn(&mut ApiKey) -> Result<Option<String>, AccessError>,
    ) -> Result<(Option<String>, KeyView), AccessError> {
        for _ in 0..ATTEMPTS {
            let (mut found, was) = self.key_of(organization, id).await?;
            let text = change(&mut found)?;
            let view = found.view(now);
            let swap = EntryWrite::Swap {
                entry: found.entry()?,
                was: Some(was),
            };
            let note = of_key(note.clone(), &view).write(now)?;
            let written = self.recorder.record(vec![swap, note]).await;
            self.keys.forget(&key(&[id]));
            match written {
                Ok(()) => return Ok((text, view)),
                Err(RecordError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccessError::Conflict(format!(
            "the key `{id}` is changed by others all the time; try again"
        )))
    }

    async fn key_of(&self, organization: &str, id: &str) -> Result<(ApiKey, Bytes), AccessError> {
        let (found, was): (ApiKey, Bytes) = self
            .one(keys::SPACE, key(&[id]))
            .await?
            .ok_or_else(|| AccessError::not_found("API key", id))?;
        if found.organization != organization {
            return Err(AccessError::not_found("API key", id));
        }
        Ok((found, was))
    }

    /// Makes an organization.
    ///
    /// # Errors
    /// [`AccessError::Conflict`] where there is one with this name; [`AccessError::Invalid`].
    pub async fn create_organization(
        &self,
        name: &str,
        title: &str,
        note: AuditEntry,
    ) -> Result<OrganizationView, AccessError> {
        let exists = || AccessError::Conflict(format!("there is an organization `{name}` already"));
        let now = self.clock.now();
        let made = Organization::make(name, title, &note.who, now)?;
        if name == DEFAULT_ORGANIZATION {
            return Err(exists());
        }
        let note = AuditEntry {
            organization: name.to_owned(),
            target: name.to_owned(),
            ..note
        };
        let written = self
            .recorder
            .record(vec![EntryWrite::Add(made.entry()?), note.write(now)?])
            .await;
        match written {
            Ok(()) => Ok(made.view()),
            Err(RecordError::Exists) => Err(exists()),
            Err(error) => Err(error.into()),
        }
    }

    /// All organizations, the default one first and the others in the order of their names.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn list_organizations(&self) -> Result<Vec<OrganizationView>, AccessError> {
        let all: Vec<Organization> = self.all(organizations::SPACE).await?;
        Ok(std::iter::once(organizations::default_view())
            .chain(all.iter().map(Organization::view))
            .collect())
    }

    /// Disables an organization, or lets it in again. Its executions go on; its keys and tokens are refused.
    ///
    /// # Errors
    /// [`AccessError::NotFound`]; [`AccessError::Invalid`] for the default one.
    pub async fn disable_organization(
        &self,
        name: &str,
        is_disabled: bool,
        note: AuditEntry,
    ) -> Result<OrganizationView, AccessError> {
        if name == DEFAULT_ORGANIZATION {
            return Err(AccessError::Invalid(format!(
                "the organization `{DEFAULT_ORGANIZATION}` is always there and cannot be disabled; revoke its keys instead"
            )));
        }
        let now = self.clock.now();
        let place = key(&[name]);
        let note = AuditEntry {
            organization: name.to_owned(),
            target: name.to_owned(),
            ..note
        };
        for _ in 0..ATTEMPTS {
            let (mut found, was): (Organization, Bytes) = self
                .one(organizations::SPACE, place.clone())
                .await?
                .ok_or_else(|| AccessError::not_found("organization", name))?;
            found.disabled_at = is_disabled.then(|| found.disabled_at.unwrap_or(now));
            let swap = EntryWrite::Swap {
                entry: found.entry()?,
                was: Some(was),
            };
            let written = self.recorder.record(vec![swap, note.clone().write(now)?]).await;
            self.organizations.forget(&place);
            match written {
                Ok(()) => return Ok(found.view()),
                Err(RecordError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AccessError::Conflict(format!(
            "`{name}` is changed by others all the time; try again"
        )))
    }

    /// Begins a session with the text of a key, sent from this address where that is known.
    ///
    /// # Errors
    /// Why the key is not accepted.
    pub async fn log_in(&self, text: &str, from: Option<IpAddr>) -> Result<MadeSession, Denied> {
        let caller = self.by_key(text.trim()).await?;
        let unavailable = |error: AccessError| Denied::Unavailable(error.to_string());
        let (id, secret_text) = keys::parse(text.trim()).ok_or(Denied::UnknownKey)?;
        let now = self.clock.now();
        let lasts = self.config.session();
        let token = secret::random::<32>().map_err(unavailable)?;
        let session = Session {
            key: id.to_owned(),
            secret: secret::hash(secret_text),
            expires_at: now.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX)),
        };
        let mut entries = vec![EntryWrite::Add(session.entry(&token).map_err(unavailable)?)];
        entries.extend(self.expired_sessions(now).await.map_err(unavailable)?);
        let mut note = crate::Audit::note(&caller, "session.begin", id, json!({}));
        if let Some(from) = from {
            note = note.came_from(from);
        }
        entries.push(note.write(now).map_err(unavailable)?);
        self.recorder
            .record(entries)
            .await
            .map_err(|error| unavailable(error.into()))?;
        Ok(MadeSession {
            token,
            seconds: lasts.as_secs(),
        })
    }

    /// Ends a session. Does nothing where there is none.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub async fn log_out(&self, token: &str) -> Result<(), AccessError> {
        if !sessions::is_well_formed(token) {
            return Ok(());
        }
        let place = sessions::place(token);
        let remove = EntryWrite::Remove {
            space: sessions::SPACE.into(),
            key: place.clone(),
        };
        self.recorder.record(vec![remove]).await?;
        self.sessions.forget(&place);
        Ok(())
    }

    /// Expired ones among the next few. Each login goes on where the last one ended, so that none is overlooked for ever.
    async fn expired_sessions(&self, now: i64) -> Result<Vec<EntryWrite>, AccessError> {
        let after = std::mem::take(&mut *self.tidied.lock().unwrap_or_else(PoisonError::into_inner));
        let range = EntryRange {
            space: sessions::SPACE.into(),
            after,
            limit: TIDIED,
            ..EntryRange::default()
        };
        let some = self.blocking(move |store| store.entries(&range)).await?;
        if some.len() == TIDIED {
            *self.tidied.lock().unwrap_or_else(PoisonError::into_inner) = some.last().map(|(key, _)| key.clone());
        }
        Ok(some
            .into_iter()
            .filter(|(_, value)| {
                serde_json::from_slice::<Session>(value).is_ok_and(|session| session.expires_at <= now)
            })
            .map(|(key, _)| EntryWrite::Remove {
                space: sessions::SPACE.into(),
                key,
            })
            .collect())
    }

    async fn must_exist(&self, organization: &str) -> Result<(), AccessError> {
        if organization == DEFAULT_ORGANIZATION {
            return Ok(());
        }
        self.one::<Organization>(organizations::SPACE, key(&[organization]))
            .await?
            .map(drop)
            .ok_or_else(|| AccessError::not_found("organization", organization))
    }

    /// What is kept there now, also as the bytes that it is kept as.
    async fn one<T: DeserializeOwned>(
        &self,
        space: &'static str,
        place: String,
    ) -> Result<Option<(T, Bytes)>, AccessError> {
        let Some(bytes) = self.blocking(move |store| store.entry(space, &place)).await? else {
            return Ok(None);
        };
        let thing = serde_json::from_slice(&bytes).map_err(AccessError::unavailable)?;
        Ok(Some((thing, bytes)))
    }

    async fn all<T: DeserializeOwned>(&self, space: &'static str) -> Result<Vec<T>, AccessError> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let range = EntryRange {
                space: space.into(),
                prefix: prefix(&[]),
                after: after.take(),
                reverse: false,
                limit: PAGE,
            };
            let page = self.blocking(move |store| store.entries(&range)).await?;
            let is_last = page.len() < PAGE;
            for (key, value) in page {
                all.push(serde_json::from_slice(&value).map_err(AccessError::unavailable)?);
                after = Some(key);
            }
            if is_last {
                return Ok(all);
            }
        }
    }
}

/// The line about a change of a key: in the log of the organization that it belongs to.
fn of_key(note: AuditEntry, view: &KeyView) -> AuditEntry {
    AuditEntry {
        organization: view.organization.clone(),
        target: view.id.clone(),
        detail: json!({ "name": view.name, "role": view.role, "scopes": view.scopes, "expiresAt": view.expires_at }),
        ..note
    }
}
