//! Places in memory: how many executions are there at once, and how many of them may be one organization's.
//!
//! An organization that is alone may have all places. As soon as there is another one, each may have its share only, so that
//! one whose steps hang cannot keep the others from starting anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bowline_core::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// All places.
pub(crate) struct Places {
    most: usize,
    /// How many of them are out of reach of an organization that is not alone.
    reserved: usize,
    free: Arc<Semaphore>,
    shares: Mutex<HashMap<Path, Arc<Share>>>,
}

/// What one organization may have.
struct Share {
    free: Arc<Semaphore>,
    /// How many of those that it has it does not get back: it had more than its share when it ceased to be alone.
    owed: AtomicUsize,
    /// How many places it has now.
    taken: AtomicUsize,
}

/// A place that an execution takes up, until this is dropped.
pub(crate) struct Place {
    share: Arc<Share>,
    /// None where it was given beyond the share.
    own: Option<OwnedSemaphorePermit>,
    _any: OwnedSemaphorePermit,
}

/// There are no places any more: the engine stops.
#[derive(Debug)]
pub(crate) struct Closed;

impl Places {
    /// So many places; one organization may have so many of a hundred of them.
    pub(crate) fn new(most: usize, percent: u8) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let reserved =
            most / 100 * usize::from(100 - percent.min(100)) + most % 100 * usize::from(100 - percent.min(100)) / 100;
        Self {
            most,
            reserved: reserved.min(most - 1),
            free: Arc::new(Semaphore::new(most)),
            shares: Mutex::default(),
        }
    }

    /// Waits for a place of this organization.
    pub(crate) async fn take(&self, organization: &str) -> Result<Place, Closed> {
        let share = self.share(organization);
        // Who waits for its organization's share keeps nobody else waiting.
        let own = Arc::clone(&share.free).acquire_owned().await.map_err(|_| Closed)?;
        let place = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Closed)?;
        Ok(Place::new(share, Some(own), place))
    }

    /// Waits for a place, also where the organization has its share: for what was in memory before.
    pub(crate) async fn take_again(&self, organization: &str) -> Result<Place, Closed> {
        let share = self.share(organization);
        let own = match Arc::clone(&share.free).try_acquire_owned() {
            Ok(own) => Some(own),
            Err(TryAcquireError::NoPermits) => None,
            Err(TryAcquireError::Closed) => return Err(Closed),
        };
        let place = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Closed)?;
        Ok(Place::new(share, own, place))
    }

    /// How many places each organization has now.
    pub(crate) fn taken(&self) -> Vec<(Path, usize)> {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = |share: &Share| share.taken.load(Ordering::Relaxed);
        shares
            .iter()
            .map(|(whose, share)| (Arc::clone(whose), taken(share)))
            .collect()
    }

    /// Nobody gets a place any more.
    pub(crate) fn close(&self) {
        self.free.close();
        for share in self.shares.lock().unwrap_or_else(PoisonError::into_inner).values() {
            share.free.close();
        }
    }

    fn share(&self, organization: &str) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(organization) {
            return Arc::clone(share);
        }
        let is_alone = shares.is_empty();
        if shares.len() == 1 {
            for share in shares.values() {
                share.lessen(self.reserved);
            }
        }
        let most = if is_alone { self.most } else { self.most - self.reserved };
        let share = Arc::new(Share {
            free: Arc::new(Semaphore::new(most)),
            owed: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
        });
        if self.free.is_closed() {
            share.free.close();
        }
        shares.insert(organization.into(), Arc::clone(&share));
        share
    }
}

impl Share {
    fn lessen(&self, by: usize) {
        let gone = self.free.forget_permits(by);
        self.owed.fetch_add(by - gone, Ordering::SeqCst);
    }
}

impl Place {
    fn new(share: Arc<Share>, own: Option<OwnedSemaphorePermit>, place: OwnedSemaphorePermit) -> Self {
        share.taken.fetch_add(1, Ordering::Relaxed);
        Self {
            share,
            own,
            _any: place,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.taken.fetch_sub(1, Ordering::Relaxed);
        let Some(own) = self.own.take() else { return };
        let pays = |owed: usize| owed.checked_sub(1);
        if self
            .share
            .owed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, pays)
            .is_ok()
        {
            own.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    /// As many as are to be had at once.
    fn all(places: &Places, organization: &str) -> Vec<Place> {
        std::iter::from_fn(|| places.take(organization).now_or_never())
            .map(Result::unwrap)
            .collect()
    }

    #[test]
    fn one_organization_leaves_places_to_others() {
        let places = Places::new(10, 80);
        let mut one = all(&places, "one");
        assert_eq!(one.len(), 10);
        // It gives back what is beyond its share before it gets any.
        assert!(all(&places, "two").is_empty());
        one.truncate(8);
        let two = all(&places, "two");
        assert_eq!((two.len(), all(&places, "one").len()), (2, 0));
        let mut taken = places.taken();
        taken.sort_unstable();
        assert_eq!(taken, [("one".into(), 8), ("two".into(), 2)]);
        one.clear();
        assert_eq!(all(&places, "one").len(), 8);
        drop(two);
        assert_eq!(all(&places, "two").len(), 8);
        assert_eq!(all(&places, "three").len(), 8);
    }

    #[test]
    fn what_was_there_before_is_taken_beyond_the_share() {
        let places = Places::new(10, 80);
        drop((all(&places, "one"), all(&places, "two")));
        let one = all(&places, "one");
        assert_eq!(one.len(), 8);
        let beyond = places.take_again("one").now_or_never().unwrap().unwrap();
        assert!(beyond.own.is_none());
        drop(one);
        assert_eq!(all(&places, "one").len(), 8);
    }

    #[test]
    fn few_places_are_not_shared_out() {
        for most in [1, 2, 3, 4] {
            let places = Places::new(most, 80);
            for organization in ["one", "two", "one"] {
                assert_eq!(all(&places, organization).len(), most);
            }
        }
        let none = Places::new(10, 0);
        assert_eq!(all(&none, "one").len(), 10);
        for organization in ["two", "one"] {
            assert_eq!(all(&none, organization).len(), 1);
        }
    }

    #[test]
    fn nobody_gets_a_place_when_they_are_closed() {
        let places = Places::new(1, 80);
        let held = all(&places, "one");
        places.close();
        drop(held);
        assert!(places.take("one").now_or_never().unwrap().is_err());
        assert!(places.take("two").now_or_never().unwrap().is_err());
        assert!(places.take_again("one").now_or_never().unwrap().is_err());
    }
}
