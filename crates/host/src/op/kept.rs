//! Callbacks: answers from outside, and those that are kept because nobody waits for them yet.

use bowline_core::Answer;
use bowline_expression::Masker;
use bowline_store::{CallbackAddress, Delivery, DeliveryFilter, ExecNo, WaitFilter, WaitKind, WaitRow, WaitState};

use super::approvals::refuse_unfit_answer;
use super::wait::shown;
use crate::answers::is_approval;
use crate::time::rfc3339;
use crate::{Addressed, Delivered, Host, HostError, KeptCallback, Page};

/// Answers of a page where nothing is said, and at most.
const DEFAULT: usize = 100;
const MOST: usize = 500;

/// Bodies of up to this many bytes are shown.
const INLINE: usize = 64 * 1024;

impl Host {
    /// Hands an answer to the callback that waits for it. Returns when what became of it is durable. A key is looked for
    /// in this organization, whatever the address says.
    ///
    /// # Errors
    /// `callback.bad-token` for a token that this data folder did not make, or that leads to another organization;
    /// `execution.not-found`.
    pub async fn deliver(
        &self,
        organization: &str,
        address: &CallbackAddress,
        answer: Answer,
    ) -> Result<Delivered, HostError> {
        let address = self.own(organization, address).await?;
        Ok(self.0.engine.deliver(&address, answer).await?.into())
    }

    /// Who waits at this address now. As with [`Host::deliver`], a key is looked for in this organization.
    ///
    /// # Errors
    /// As [`Host::deliver`].
    pub async fn addressed(&self, organization: &str, address: &CallbackAddress) -> Result<Addressed, HostError> {
        Ok(match self.wait_at(organization, address).await? {
            Some(wait) if is_approval(&wait) => Addressed::Approval,
            Some(_) => Addressed::Callback,
            None => Addressed::Nobody,
        })
    }

    /// As [`Host::deliver`]; an answer to an approval has to fit its form, as one of [`Host::approve`] has.
    ///
    /// # Errors
    /// As [`Host::deliver`]; `approval.form`.
    pub async fn deliver_checked(
        &self,
        organization: &str,
        address: &CallbackAddress,
        answer: Answer,
    ) -> Result<Delivered, HostError> {
        if let Answer::Succeeded { output, .. } = &answer
            && let Some(wait) = self.wait_at(organization, address).await?.filter(is_approval)
        {
            refuse_unfit_answer(&self.masker(organization), &wait, &output.parse().unwrap_or_default())?;
        }
        self.deliver(organization, address, answer).await
    }

    /// The execution that waits at this address now, and the path of its wait; of several that wait for one reference the
    /// one that has waited longest.
    ///
    /// # Errors
    /// As [`Host::deliver`].
    pub async fn awaiting(
        &self,
        organization: &str,
        address: &CallbackAddress,
    ) -> Result<Option<(String, String)>, HostError> {
        let Some(wait) = self.wait_at(organization, address).await? else {
            return Ok(None);
        };
        let row = self.read(move |store| store.execution_by_no(wait.exec)).await?;
        Ok(row.map(|row| (row.id, wait.path)))
    }

    /// The open wait that an address leads to.
    async fn wait_at(&self, organization: &str, address: &CallbackAddress) -> Result<Option<WaitRow>, HostError> {
        let address = self.own(organization, address).await?;
        let open = WaitFilter {
            organization: Some(organization.into()),
            kind: Some(WaitKind::Callback),
            state: Some(WaitState::Open),
            limit: usize::MAX,
            ..WaitFilter::default()
        };
        match address {
            CallbackAddress::Token(token) => {
                let Some((exec, tag)) = self.0.tokens.read(&token) else {
                    return Err(bad_token());
                };
                self.wait_of(open, ExecNo(exec), move |wait| wait.tag == tag).await
            }
            CallbackAddress::Path { execution, path } => {
                let exec = self.row(organization, &execution).await?.exec;
                self.wait_of(open, exec, move |wait| wait.path == path).await
            }
            CallbackAddress::Key { name, key, .. } => {
                let organization = organization.to_owned();
                self.read(move |store| {
                    // As the engine looks: open ones first, and the oldest of them.
                    let waits = store.waits_by_key(&organization, WaitKind::Callback, &name, &key)?;
                    Ok(waits.into_iter().next().filter(|wait| wait.state == WaitState::Open))
                })
                .await
            }
            CallbackAddress::Kept(id) => {
                let kept = self.own_kept(organization, id).await?;
                let sent_to = match (kept.exec, kept.tag, kept.key) {
                    (Some(exec), Some(tag), _) => CallbackAddress::Token(self.0.tokens.token(exec.0, tag)),
                    (_, _, Some(key)) => CallbackAddress::Key {
                        organization: kept.organization,
                        name: kept.name,
                        key,
                    },
                    _ => return Ok(None),
                };
                Box::pin(self.wait_at(organization, &sent_to)).await
            }
        }
    }

    async fn wait_of(
        &self,
        open: WaitFilter,
        exec: ExecNo,
        fits: impl Fn(&WaitRow) -> bool + Send + 'static,
    ) -> Result<Option<WaitRow>, HostError> {
        let filter = WaitFilter {
            exec: Some(exec),
            ..open
        };
        self.read(move |store| Ok(store.waits(&filter)?.into_iter().find(|wait| fits(wait))))
            .await
    }

    /// The organization of the execution that a callback token leads to. Whoever has the token may answer, so a
    /// request that carries nothing else is for this organization.
    ///
    /// # Errors
    /// `callback.bad-token` for one that this data folder did not make, or whose execution has been deleted.
    pub async fn organization_of_token(&self, token: &str) -> Result<String, HostError> {
        let exec = self.0.tokens.read(token).map(|(exec, _)| ExecNo(exec));
        let row = match exec {
            Some(exec) => self.read(move |store| store.execution_by_no(exec)).await?,
            None => None,
        };
        row.map(|row| row.organization).ok_or_else(bad_token)
    }

    /// Answers that came and that nobody waits for, oldest first, after the number of the last one of the page before.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub async fn kept(
        &self,
        organization: &str,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Page<KeptCallback>, HostError> {
        let limit = if limit == 0 { DEFAULT } else { limit.min(MOST) };
        let filter = DeliveryFilter {
            organization: Some(organization.into()),
            after: after.unwrap_or(0),
            limit: limit + 1,
            ..DeliveryFilter::default()
        };
        let mut found = self
            .read(move |store| {
                let mut found = Vec::new();
                for kept in store.deliveries(&filter)? {
                    let row = kept.exec.map(|exec| store.execution_by_no(exec)).transpose()?.flatten();
                    found.push((kept, row.map(|row| row.id)));
                }
                Ok(found)
            })
            .await?;
        let masker = self.masker(organization);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|(last, _)| last.id.to_string());
        Ok(Page {
            items: found
                .into_iter()
                .map(|(kept, id)| kept_view(&masker, kept, id))
                .collect(),
            next,
        })
    }

    /// Tries a kept answer again, at `to` if that is given and otherwise where it was sent. One to an approval has to fit its
    /// form.
    ///
    /// # Errors
    /// `callback.not-kept`; as [`Host::deliver_checked`].
    pub async fn deliver_kept(
        &self,
        organization: &str,
        id: i64,
        to: Option<&CallbackAddress>,
    ) -> Result<Delivered, HostError> {
        let kept = self.own_kept(organization, id).await?;
        let to = match to {
            Some(to) => Some(self.own(organization, to).await?),
            None => None,
        };
        // As one that comes now.
        if let Ok(Answer::Succeeded { output, .. }) = serde_json::from_slice(&kept.answer) {
            let address = to.clone().unwrap_or(CallbackAddress::Kept(id));
            if let Some(wait) = self.wait_at(organization, &address).await?.filter(is_approval) {
                let output = output
                    .parse()
                    .map_err(|error| HostError::internal("answer.unreadable", &error))?;
                refuse_unfit_answer(&self.masker(organization), &wait, &output)?;
            }
        }
        Ok(self.0.engine.deliver_kept(id, to.as_ref()).await?.into())
    }

    /// Forgets a kept answer.
    ///
    /// # Errors
    /// `callback.not-kept`.
    pub async fn drop_kept(&self, organization: &str, id: i64) -> Result<(), HostError> {
        self.own_kept(organization, id).await?;
        Ok(self.0.engine.drop_kept(id).await?)
    }

    /// The address, if it leads into this organization.
    async fn own(&self, organization: &str, address: &CallbackAddress) -> Result<CallbackAddress, HostError> {
        Ok(match address {
            CallbackAddress::Token(token) => {
                if self.organization_of_token(token).await? != organization {
                    return Err(bad_token());
                }
                address.clone()
            }
            CallbackAddress::Key { name, key, .. } => CallbackAddress::Key {
                organization: organization.into(),
                name: name.clone(),
                key: key.clone(),
            },
            CallbackAddress::Path { execution, .. } => {
                self.row(organization, execution).await?;
                address.clone()
            }
            CallbackAddress::Kept(id) => {
                self.own_kept(organization, *id).await?;
                address.clone()
            }
        })
    }

    async fn own_kept(&self, organization: &str, id: i64) -> Result<Delivery, HostError> {
        let filter = DeliveryFilter {
            id: Some(id),
            organization: Some(organization.into()),
            ..DeliveryFilter::default()
        };
        let found = self.read(move |store| store.deliveries(&filter)).await?.pop();
        found.ok_or_else(|| {
            HostError::not_found("callback.not-kept", format!("no callback is kept as number {id}"))
                .hint("see the list of kept callbacks; one that was taken is not kept any more")
        })
    }
}

fn bad_token() -> HostError {
    bowline_engine::EngineError::BadToken.into()
}

fn kept_view(masker: &Masker, kept: Delivery, execution: Option<String>) -> KeptCallback {
    let why = match &execution {
        Some(id) => format!("execution {id} does not wait for it yet"),
        None => "nobody waits for it".to_owned(),
    };
    let answer = serde_json::from_slice(&kept.answer).ok();
    let body = match &answer {
        Some(Answer::Succeeded { output, .. }) if kept.answer.len() <= INLINE => shown(masker, output).ok(),
        Some(Answer::Failed(error)) => {
            let mut error = serde_json::to_value(error).unwrap_or_default();
            masker.scrub(&mut error);
            Some(error)
        }
        _ => None,
    };
    KeptCallback {
        id: kept.id,
        execution,
        name: Some(kept.name).filter(|name| !name.is_empty()),
        reference: kept.key.map(|key| masker.scrub_text(&key).into_owned()),
        why,
        received_at: rfc3339(kept.received_at),
        expires_at: rfc3339(kept.expires_at),
        answer: match answer {
            Some(Answer::Failed(_)) => "failed",
            _ => "succeeded",
        },
        body,
    }
}
