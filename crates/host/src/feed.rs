//! News of executions, for readers that follow them live.
//!
//! Nothing is queued for a reader. It is told that there is something new, and reads the journal from where it was. So
//! one that is slow costs nothing, and a commit costs one look into a table, however many readers there are.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use bowline_core::{Event, RESPONSE};
use bowline_engine::{Committed, Observer};
use tokio::sync::watch;
use tokio::time::Instant;

/// A list is looked at again at most so often.
const LIST_PAUSE: Duration = Duration::from_millis(250);

/// What is known of an execution that somebody follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// Grows with each commit.
    commits: u64,
    /// A `respond` step has answered since it is followed.
    pub(crate) responded: bool,
    /// It has ended.
    pub(crate) ended: bool,
}

/// Tells readers that something is new. Cheap to clone.
#[derive(Clone, Default)]
pub struct Feed(Arc<Shared>);

#[derive(Default)]
struct Shared {
    followed: RwLock<HashMap<String, watch::Sender<News>>>,
    /// So that a commit of an execution that nobody follows takes no lock while nobody follows anything.
    followers: AtomicUsize,
    lists: RwLock<HashMap<String, watch::Sender<u64>>>,
}

impl Feed {
    /// Follows one execution. What was committed before is not told: subscribe first, then read.
    #[must_use]
    pub fn execution(&self, id: &str) -> Following {
        let mut followed = self.0.followed.write().unwrap_or_else(PoisonError::into_inner);
        let sender = followed.entry(id.to_owned()).or_default();
        let receiver = sender.subscribe();
        self.0.followers.fetch_add(1, Ordering::SeqCst);
        Following {
            id: id.to_owned(),
            receiver: Some(receiver),
            feed: self.clone(),
        }
    }

    /// Follows the list of an organization's executions.
    #[must_use]
    pub fn list(&self, organization: &str) -> ListFollowing {
        let mut lists = self.0.lists.write().unwrap_or_else(PoisonError::into_inner);
        let sender = lists.entry(organization.to_owned()).or_default();
        ListFollowing {
            receiver: sender.subscribe(),
            told_at: None,
        }
    }

    /// How many follow an execution now.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.0.followers.load(Ordering::SeqCst)
    }

    fn leave(&self, id: &str) {
        let mut followed = self.0.followed.write().unwrap_or_else(PoisonError::into_inner);
        self.0.followers.fetch_sub(1, Ordering::SeqCst);
        // Nobody can join while the table is locked.
        if followed.get(id).is_some_and(|sender| sender.receiver_count() == 0) {
            followed.remove(id);
        }
    }

    /// Lets go of all readers: the host stops.
    pub(crate) fn close(&self) {
        self.0.followed.write().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.lists.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Tells the list of an organization that something else than a commit has changed it, such as a deletion.
    pub(crate) fn touch(&self, organization: &str) {
        let lists = self.0.lists.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = lists.get(organization) {
            sender.send_modify(|ticks| *ticks += 1);
        }
    }
}

impl Observer for Feed {
    fn committed(&self, committed: Committed<'_>) {
        // Who is told of an end does not find that lists hear of it later.
        self.touch(committed.organization);
        if self.0.followers.load(Ordering::SeqCst) > 0 {
            let followed = self.0.followed.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = followed.get(committed.id) {
                let responds = |event: &Event| matches!(event, Event::Emitted { event, .. } if &**event == RESPONSE);
                let ends = |event: &Event| matches!(event, Event::Finished { .. });
                sender.send_modify(|news| {
                    news.commits += 1;
                    news.responded |= committed.events.iter().any(responds);
                    news.ended = committed.events.iter().any(ends);
                });
            }
        }
    }
}

/// One reader of one execution.
#[derive(Debug)]
pub struct Following {
    id: String,
    receiver: Option<watch::Receiver<News>>,
    feed: Feed,
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").field("followers", &self.followers()).finish()
    }
}

impl Following {
    /// Waits until something was committed since this was asked last. False where the host stops, and nothing will come
    /// any more.
    pub async fn changed(&mut self) -> bool {
        match &mut self.receiver {
            Some(receiver) => receiver.changed().await.is_ok(),
            None => false,
        }
    }

    /// What is known now.
    pub(crate) fn news(&self) -> News {
        self.receiver
            .as_ref()
            .map_or_else(News::default, |receiver| *receiver.borrow())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.receiver = None;
        self.feed.leave(&self.id);
    }
}

/// One reader of a list.
#[derive(Debug)]
pub struct ListFollowing {
    receiver: watch::Receiver<u64>,
    told_at: Option<Instant>,
}

impl ListFollowing {
    /// Waits until the list may look different, and a quarter of a second has gone since this was said last. False where
    /// the host stops.
    pub async fn changed(&mut self) -> bool {
        if self.receiver.changed().await.is_err() {
            return false;
        }
        if let Some(told_at) = self.told_at {
            tokio::time::sleep_until(told_at + LIST_PAUSE).await;
            // What came meanwhile is told with this.
            self.receiver.mark_unchanged();
        }
        self.told_at = Some(Instant::now());
        true
    }
}
