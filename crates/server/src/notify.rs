//! What the service manager is told (systemd's `sd_notify`); nothing where there is none.

use sd_notify::NotifyState;

/// The server answers.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The server is stopping.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be told how the server is");
    }
}
