//! Whether places in memory are held back for other organizations: as soon as one is made, before it has started anything.

use std::time::Duration;

use crate::App;

/// Organizations that commands make beside the server are noticed after so long.
const AGAIN: Duration = Duration::from_secs(30);

/// Looks until there is a second organization.
pub(crate) fn look(app: &App) {
    let app = app.clone();
    tokio::spawn(async move {
        loop {
            match app.guard.access.list_organizations().await {
                Ok(all) if all.len() > 1 => return app.host.engine().share_out(),
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "organizations cannot be listed; it is tried again"),
            }
            tokio::select! {
                () = tokio::time::sleep(AGAIN) => {}
                () = app.stop.stopped() => return,
            }
        }
    });
}
