//! Writing, reading and forgetting the audit log.

use bowline_store::{EntryRange, EntryWrite, key, key_parts};

use crate::AccessError;
use crate::access::Access;
use crate::audit::{self, AuditEntry, AuditFilter, AuditPage};

/// How many lines are looked at for one page: a filter that fits few of them gives short pages, and not a long wait.
const LOOKED_AT: usize = 5_000;

/// The longest page.
const LARGEST_PAGE: usize = 1_000;

/// How many lines are forgotten in one commit.
const FORGOTTEN: usize = 1_000;

impl Access {
    /// Writes a line, with the present time.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn write_audit(&self, note: AuditEntry) -> Result<(), AccessError> {
        let write = note.write(self.clock.now())?;
        Ok(self.recorder.record(vec![write]).await?)
    }

    /// The write that keeps a line, for the commit of what the line is about.
    ///
    /// # Errors
    /// Where there are no random numbers.
    pub fn audit_write(&self, note: AuditEntry) -> Result<EntryWrite, AccessError> {
        note.write(self.clock.now())
    }

    /// Lines of an organization's log, newest first. A page may be short; `next` says whether there may be more.
    ///
    /// # Errors
    /// [`AccessError::Invalid`] for a cursor that is none.
    pub async fn audit(&self, organization: &str, filter: &AuditFilter) -> Result<AuditPage, AccessError> {
        let wanted = if filter.limit == 0 {
            100
        } else {
            filter.limit.min(LARGEST_PAGE)
        };
        let after = filter
            .cursor
            .as_deref()
            .map(|cursor| audit::at_cursor(organization, cursor))
            .transpose()?;
        let is_filtered = filter.who.is_some() || filter.action.is_some();
        let look_at = if is_filtered { LOOKED_AT } else { wanted };
        let range = EntryRange {
            space: audit::SPACE.into(),
            prefix: audit::place(organization),
            after,
            reverse: true,
            limit: look_at,
        };
        let lines = self.blocking(move |store| store.entries(&range)).await?;
        let count = lines.len();
        let mut page = AuditPage {
            items: Vec::new(),
            next: None,
        };
        for (at, (place, value)) in lines.iter().enumerate() {
            let line: AuditEntry = serde_json::from_slice(value).map_err(AccessError::unavailable)?;
            let fits = filter.who.as_ref().is_none_or(|who| line.who == *who)
                && filter
                    .action
                    .as_ref()
                    .is_none_or(|action| line.action.starts_with(action.as_str()));
            if fits {
                page.items.push(line);
            }
            let is_full = page.items.len() >= wanted;
            let may_go_on = at + 1 < count || count >= look_at;
            if (is_full || at + 1 == count) && may_go_on {
                page.next = audit::cursor(place);
            }
            if is_full {
                break;
            }
        }
        Ok(page)
    }

    /// Forgets lines of all organizations that are older than the configuration keeps them; how many. Takes several short
    /// commits.
    ///
    /// # Errors
    /// Where the store cannot be read or written.
    pub async fn forget_old_audit(&self) -> Result<usize, AccessError> {
        let keep = i64::try_from(self.config.keep_audit().as_millis()).unwrap_or(i64::MAX);
        let before = self.clock.now().saturating_sub(keep).max(0);
        let mut count = 0;
        for organization in self.list_organizations().await? {
            let bound = key(&[&organization.name, &format!("{before:020}")]);
            loop {
                let range = EntryRange {
                    space: audit::SPACE.into(),
                    prefix: audit::place(&organization.name),
                    after: None,
                    reverse: false,
                    limit: FORGOTTEN,
                };
                let oldest = self.blocking(move |store| store.entries(&range)).await?;
                let gone: Vec<EntryWrite> = oldest
                    .into_iter()
                    .map(|(key, _)| key)
                    .take_while(|key| *key < bound && key_parts(key).count() == 3)
                    .map(|key| EntryWrite::Remove {
                        space: audit::SPACE.into(),
                        key,
                    })
                    .collect();
                let found = gone.len();
                if found > 0 {
                    self.recorder.record(gone).await?;
                    count += found;
                }
                if found < FORGOTTEN {
                    break;
                }
            }
        }
        Ok(count)
    }
}
