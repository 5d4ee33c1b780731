//! Which endpoint had a path first.
//!
//! A path leads to who had it first, for as long as that one declares it, and whether it can be used or not: a secret
//! that is missing after a restart, or a file that is gone for a moment, must not give a signed address to a workflow that
//! takes anything. So who has which path is kept, as entries of the space `endpoint`: organization, method and path, with
//! an [`Owner`] as the value.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use bowline_store::{Entry, EntryRange, EntryWrite, Store, StoreError, key, key_parts};
use bowline_webhooks::Carrier;
use serde::{Deserialize, Serialize};

/// The space of entries.
const SPACE: &str = "endpoint";

/// Entries that are read at once.
const SLICE: usize = 500;

/// Who has a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Owner {
    /// The endpoint's id.
    pub(super) endpoint: String,
    /// The workflow that declares it; of a callback endpoint, the one whose settings count.
    pub(super) workflow: String,
    /// Of a callback endpoint: a hash of its settings, by which others that declare the same are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) settings: Option<String>,
    /// Where its requests carry what proves their sender.
    #[serde(default = "unknown")]
    pub(super) carrier: Carrier,
}

fn unknown() -> Carrier {
    Carrier::Unknown
}

/// Who has which path of which organization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::outside) struct Claims(BTreeMap<String, Owner>);

fn place(organization: &str, method: &Method, path: &str) -> String {
    key(&[organization, method.as_str(), path])
}

impl Claims {
    /// Those that a store keeps.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(in crate::outside) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut all = BTreeMap::new();
        let mut after = None;
        loop {
            let found = store.entries(&EntryRange {
                space: SPACE.into(),
                after: after.take(),
                limit: SLICE,
                ..EntryRange::default()
            })?;
            let is_last = found.len() < SLICE;
            after = found.last().map(|(key, _)| key.clone());
            for (key, value) in found {
                match serde_json::from_slice(&value) {
                    Ok(owner) => drop(all.insert(key, owner)),
                    Err(error) => tracing::warn!(%key, %error, "who has a path cannot be read, and is found anew"),
                }
            }
            if is_last {
                return Ok(Self(all));
            }
        }
    }

    pub(super) fn owner(&self, organization: &str, method: &Method, path: &str) -> Option<&Owner> {
        self.0.get(&place(organization, method, path))
    }

    /// All of them: organization, method, path and owner.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Method, &str, &Owner)> {
        self.0.iter().filter_map(|(key, owner)| {
            let mut parts = key_parts(key);
            let organization = parts.next()?;
            let method = parts.next()?.parse().ok()?;
            Some((organization, method, parts.next()?, owner))
        })
    }

    /// What an endpoint has: its methods and paths.
    pub(super) fn of(&self, organization: &str, endpoint: &str) -> Vec<(Method, String)> {
        self.iter()
            .filter(|(owner_of, _, _, owner)| *owner_of == organization && owner.endpoint == endpoint)
            .map(|(_, method, path, _)| (method, path.to_owned()))
            .collect()
    }

    /// Who has the paths of an endpoint.
    pub(super) fn owners<'a>(&'a self, organization: &'a str, endpoint: &'a str) -> impl Iterator<Item = &'a Owner> {
        self.iter()
            .filter(move |(owner_of, _, _, owner)| *owner_of == organization && owner.endpoint == endpoint)
            .map(|(_, _, _, owner)| owner)
    }

    pub(super) fn put(&mut self, organization: &Arc<str>, method: &Method, path: &str, owner: Owner) {
        self.0.insert(place(organization, method, path), owner);
    }

    /// What makes these of what a store keeps.
    ///
    /// # Errors
    /// Where one cannot be written as text.
    pub(in crate::outside) fn changes(&self, kept: &Self) -> Result<Vec<EntryWrite>, serde_json::Error> {
        let mut writes = Vec::new();
        for (key, owner) in &self.0 {
            if kept.0.get(key) != Some(owner) {
                let value = serde_json::to_vec(owner)?;
                writes.push(EntryWrite::Put(Entry::new(SPACE, key.clone(), value)));
            }
        }
        for key in kept.0.keys().filter(|key| !self.0.contains_key(*key)) {
            writes.push(EntryWrite::Remove {
                space: SPACE.into(),
                key: key.clone(),
            });
        }
        Ok(writes)
    }
}
