//! Streams that tell a page to look again. They carry no data: the page loads itself.

use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::stream;

use super::visitor::Visitor;
use crate::App;
use crate::problem::Problem;
use crate::sse;

fn changed() -> Event {
    Event::default().event("changed").data("{}")
}

/// Whenever an execution of the organization changes.
pub(super) async fn executions(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    sse::list(&app, visitor.organization())
}

/// Whenever this execution changes, until it has ended.
pub(super) async fn execution(
    State(app): State<App>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let open = app.streams.open(&app.config.events, &app.stop)?;
    let following = app.host.feed().execution(&id);
    // Who may not see it is told so, and does not follow it.
    app.host.history(visitor.organization(), &id, 0, 1).await?;
    // The page may have been made before the following began, so it looks once more.
    let state = (true, following, app.stop.clone(), open);
    let ticks = stream::unfold(state, |(first, mut following, stop, open)| async move {
        if first {
            return Some((Ok(changed()), (false, following, stop, open)));
        }
        let more = tokio::select! {
            more = following.changed() => more,
            () = stop.stopped() => false,
        };
        more.then(|| (Ok(changed()), (false, following, stop, open)))
    });
    Ok(sse::response(&app.config.events, ticks))
}

/// Whenever another version of a workflow runs, or something else is shown with the workflows, such as what is wrong with
/// their triggers.
pub(super) async fn workflows(State(app): State<App>, visitor: Visitor) -> Result<Response, Problem> {
    let open = app.streams.open(&app.config.events, &app.stop)?;
    let organization = visitor.organization().to_owned();
    let (active, changes) = (app.host.active(Some(&organization)), app.host.changes());
    let shown = app.host.workflows(&organization).await?;
    let state = (app.clone(), organization, active, changes, shown, open);
    let ticks = stream::unfold(state, |state| async move {
        let (app, organization, mut active, mut changes, mut shown, open) = state;
        loop {
            let more = tokio::select! {
                more = active.changed() => more.is_ok(),
                more = changes.changed() => more.is_ok(),
                () = app.stop.stopped() => false,
            };
            if !more {
                return None;
            }
            // Most of what changes is another organization's.
            let Ok(now) = app.host.workflows(&organization).await else {
                continue;
            };
            if now != shown {
                shown = now;
                return Some((Ok(changed()), (app, organization, active, changes, shown, open)));
            }
        }
    });
    Ok(sse::response(&app.config.events, ticks))
}
