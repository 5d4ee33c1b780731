//! Callbacks that came and that nobody waits for: delivered by hand, or forgotten.

use bowline_store::{CallbackAddress, Delivery, DeliveryFilter, RequestKind, Store, WaitState, Write};
use serde_json::from_slice;

use super::address::Stand;
use super::{address, deliver};
use crate::args::{CallbackTarget, DeliverArgs, DropArgs};
use crate::exit::{Exit, Failure, Result};
use crate::terminal;
use crate::wiring::beside::{Asked, ask};
use crate::wiring::session::{Session, block_on};
use crate::wiring::store;

fn find(store: &dyn Store, number: i64) -> Result<Delivery> {
    let filter = DeliveryFilter {
        id: Some(number),
        ..DeliveryFilter::default()
    };
    store.deliveries(&filter)?.pop().ok_or_else(|| {
        Failure::usage(format!("no callback is kept as number {number}")).hint("see `bowline callback list --kept`")
    })
}

pub(super) fn deliver(args: &DeliverArgs) -> Result {
    let folder = &args.engine.data.folder;
    let kept = find(&store::existing(folder)?, args.number)?;
    let target = CallbackTarget {
        token: args.to.clone(),
        reference: args.reference.clone(),
        execution: args.execution.clone(),
    };
    let has_target = args.to.is_some() || args.reference.is_some() || args.execution.is_some();
    let to = has_target
        .then(|| address::of(folder, &target, &args.more))
        .transpose()?;
    if let Some(to) = &to
        && matches!(Stand::of(&store::existing(folder)?, to)?, Stand::Nowhere)
    {
        let message = format!("nobody waits there; number {} stays kept as it is", kept.id);
        return Err(Failure::usage(message).hint("see `bowline callback list` for what is waited for"));
    }
    block_on(async {
        let request = RequestKind::DeliverKept {
            id: kept.id,
            to: to.clone(),
        };
        match ask(folder, &request, "deliver it", true).await? {
            Asked::Done => {
                let store = store::existing(folder)?;
                let number = kept.id;
                terminal::note(&if find(&store, number).is_err() {
                    format!("number {number} is delivered")
                } else if is_awaited(&store, &kept, to.as_ref())? {
                    format!("number {number} stays kept: it was not taken, and the log of that process says why")
                } else {
                    format!("number {number} stays kept: nobody waits for it yet")
                });
                Ok(Exit::Success)
            }
            Asked::Left => Ok(Exit::Success),
            Asked::Nobody => {
                let session = Session::open(&args.engine, None).await?;
                // The answer must be one that this program understands.
                if let Err(error) = from_slice::<bowline_core::Answer>(&kept.answer) {
                    session.quit().await;
                    return Err(Failure::usage(format!("number {} cannot be read: {error}", kept.id)));
                }
                let delivered = session.engine.deliver_kept(kept.id, to.as_ref()).await;
                deliver::finish(&args.engine, session, delivered).await
            }
        }
    })
}

/// Whether somebody waits where a kept callback goes: there, or where it was sent.
fn is_awaited(store: &dyn Store, kept: &Delivery, to: Option<&CallbackAddress>) -> Result<bool> {
    if let (None, Some(exec), Some(tag)) = (to, kept.exec, kept.tag) {
        return Ok(store.wait(exec, tag)?.is_some_and(|wait| wait.state == WaitState::Open));
    }
    let sent = kept.key.as_ref().map(|key| CallbackAddress::Key {
        organization: kept.organization.clone(),
        name: kept.name.clone(),
        key: key.clone(),
    });
    match to.or(sent.as_ref()) {
        Some(address) => Ok(matches!(Stand::of(store, address)?, Stand::Open(_))),
        None => Ok(false),
    }
}

pub(super) fn drop(args: &DropArgs) -> Result {
    let folder = &args.data.folder;
    find(&store::existing(folder)?, args.number)?;
    let asked = block_on(ask(folder, &RequestKind::DropKept(args.number), "forget it", true))?;
    match asked {
        Asked::Left => return Ok(Exit::Success),
        Asked::Done => {}
        Asked::Nobody => store::open(folder)?
            .writer()?
            .commit(&[Write::DropDelivery(args.number)])?,
    }
    terminal::note(&format!("number {} is forgotten", args.number));
    Ok(Exit::Success)
}
