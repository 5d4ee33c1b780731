//! Places in memory: how many executions are there at once, and how many of them may be one organization's.
//!
//! An organization that is alone may have all places. As soon as another one is known, each may have its share only, and the
//! last places are for those that have few: so those whose steps hang cannot keep the others from starting anything.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_core::Path;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::time::Instant;

/// Of what is reserved, one in so many is for organizations that have few places.
const LAST: usize = 4;
/// So many organizations are sure of their part of the last places.
const SURE: usize = 5;

/// All places.
pub(crate) struct Places {
    most: usize,
    /// How many of them are out of reach of an organization that is not alone.
    reserved: usize,
    /// How many of the last ones an organization may have that is not alone.
    few: usize,
    /// For everybody.
    common: Arc<Semaphore>,
    /// The last ones.
    last: Arc<Semaphore>,
    /// Another organization is known.
    several: AtomicBool,
    shares: Mutex<HashMap<Path, Arc<Share>>>,
}

/// What one organization may have.
struct Share {
    /// Of all places.
    all: Arc<Allowance>,
    /// Of the last ones.
    last: Arc<Allowance>,
    /// How many places it has now.
    taken: AtomicUsize,
    /// When it was last given one.
    given: Mutex<Instant>,
}

struct Allowance {
    free: Arc<Semaphore>,
    /// How many of those that are taken do not come back: it was more before.
    owed: AtomicUsize,
}

/// A part of an allowance, until this is dropped.
struct Part {
    of: Arc<Allowance>,
    permit: Option<OwnedSemaphorePermit>,
}

/// A place that an execution takes up, until this is dropped.
pub(crate) struct Place {
    share: Arc<Share>,
    // Given back in this order: who gets the place may be of the same organization.
    _any: OwnedSemaphorePermit,
    _last: Option<Part>,
    _all: Part,
}

/// There are no places any more: the engine stops.
#[derive(Debug)]
pub(crate) struct Closed;

impl Places {
    /// So many places; one organization may have so many of a hundred of them.
    pub(crate) fn new(most: usize, percent: u8) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let kept_back = usize::from(100 - percent.min(100));
        let reserved = (most / 100 * kept_back + most % 100 * kept_back / 100).min(most - 1);
        let few = reserved / LAST / SURE;
        let last = if few == 0 { 0 } else { reserved / LAST };
        Self {
            most,
            reserved,
            few,
            common: Arc::new(Semaphore::new(most - last)),
            last: Arc::new(Semaphore::new(last)),
            several: AtomicBool::new(false),
            shares: Mutex::default(),
        }
    }

    /// Another organization is known, though it may not have asked for a place yet: none is alone any more.
    pub(crate) fn share_out(&self) {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        self.share_out_among(&shares);
    }

    fn share_out_among(&self, shares: &HashMap<Path, Arc<Share>>) {
        if !self.several.swap(true, Ordering::SeqCst) {
            for share in shares.values() {
                share.all.lessen(self.reserved);
                share.last.lessen(self.lasts() - self.few);
            }
        }
    }

    /// Waits for a place of this organization.
    pub(crate) async fn take(&self, organization: &str) -> Result<Place, Closed> {
        let share = self.share(organization);
        // Who waits for its organization's share keeps nobody else waiting.
        let all = share.all.take().await?;
        let common = Arc::clone(&self.common).acquire_owned();
        let last = async {
            let part = share.last.take().await?;
            let place = Arc::clone(&self.last).acquire_owned().await.map_err(|_| Closed)?;
            Ok::<_, Closed>((place, part))
        };
        let (place, last) = tokio::select! {
            biased;
            place = common => (place.map_err(|_| Closed)?, None),
            found = last => {
                let (place, part) = found?;
                (place, Some(part))
            }
        };
        Ok(Place::new(share, all, last, place))
    }

    /// A place that is free now; none where there is none, or others wait for it.
    pub(crate) fn take_now(&self, organization: &str) -> Result<Option<Place>, Closed> {
        let share = self.share(organization);
        let Some(all) = share.all.take_now()? else {
            return Ok(None);
        };
        if let Some(place) = try_one(&self.common)? {
            return Ok(Some(Place::new(share, all, None, place)));
        }
        let Some(part) = share.last.take_now()? else {
            return Ok(None);
        };
        let place = try_one(&self.last)?;
        Ok(place.map(|place| Place::new(share, all, Some(part), place)))
    }

    /// As [`Places::take`]. Where this organization is given none for so long, one goes on without: those that have places may
    /// wait for it.
    pub(crate) async fn take_or_go_beyond(&self, organization: &str, after: Duration) -> Result<Option<Place>, Closed> {
        let share = self.share(organization);
        let taken = self.take(organization);
        tokio::pin!(taken);
        loop {
            match tokio::time::timeout(after, taken.as_mut()).await {
                Ok(taken) => return taken.map(Some),
                Err(_) if share.goes_beyond(after) => return Ok(None),
                Err(_) => {}
            }
        }
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
        self.common.close();
        self.last.close();
        for share in self.shares.lock().unwrap_or_else(PoisonError::into_inner).values() {
            share.close();
        }
    }

    /// How many the last places are.
    fn lasts(&self) -> usize {
        if self.few == 0 { 0 } else { self.reserved / LAST }
    }

    fn share(&self, organization: &str) -> Arc<Share> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(organization) {
            return Arc::clone(share);
        }
        if !shares.is_empty() {
            self.share_out_among(&shares);
        }
        let (all, last) = if self.several.load(Ordering::SeqCst) {
            (self.most - self.reserved, self.few)
        } else {
            (self.most, self.lasts())
        };
        let share = Arc::new(Share {
            all: Allowance::of(all),
            last: Allowance::of(last),
            taken: AtomicUsize::new(0),
            given: Mutex::new(Instant::now()),
        });
        if self.common.is_closed() {
            share.close();
        }
        shares.insert(organization.into(), Arc::clone(&share));
        share
    }
}

fn try_one(places: &Arc<Semaphore>) -> Result<Option<OwnedSemaphorePermit>, Closed> {
    match Arc::clone(places).try_acquire_owned() {
        Ok(place) => Ok(Some(place)),
        Err(TryAcquireError::NoPermits) => Ok(None),
        Err(TryAcquireError::Closed) => Err(Closed),
    }
}

impl Share {
    fn gives(&self) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether nothing was given for so long; then it is as if something were now.
    fn goes_beyond(&self, after: Duration) -> bool {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = given.elapsed() >= after;
        if is_time {
            *given = Instant::now();
        }
        is_time
    }

    fn close(&self) {
        self.all.free.close();
        self.last.free.close();
    }
}

impl Allowance {
    fn of(most: usize) -> Arc<Self> {
        Arc::new(Self {
            free: Arc::new(Semaphore::new(most)),
            owed: AtomicUsize::new(0),
        })
    }

    async fn take(self: &Arc<Self>) -> Result<Part, Closed> {
        let permit = Arc::clone(&self.free).acquire_owned().await.map_err(|_| Closed)?;
        Ok(self.part(permit))
    }

    fn take_now(self: &Arc<Self>) -> Result<Option<Part>, Closed> {
        Ok(try_one(&self.free)?.map(|permit| self.part(permit)))
    }

    fn part(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Part {
        Part {
            of: Arc::clone(self),
            permit: Some(permit),
        }
    }

    fn lessen(&self, by: usize) {
        let gone = self.free.forget_permits(by);
        self.owed.fetch_add(by - gone, Ordering::SeqCst);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let Some(permit) = self.permit.take() else { return };
        let pays = |owed: usize| owed.checked_sub(1);
        if self
            .of
            .owed
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, pays)
            .is_ok()
        {
            permit.forget();
        }
    }
}

impl Place {
    fn new(share: Arc<Share>, all: Part, last: Option<Part>, place: OwnedSemaphorePermit) -> Self {
        share.taken.fetch_add(1, Ordering::Relaxed);
        share.gives();
        Self {
            share,
            _any: place,
            _last: last,
            _all: all,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.share.taken.fetch_sub(1, Ordering::Relaxed);
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
    fn what_another_one_may_have_is_held_back_before_it_asks() {
        let places = Places::new(10, 80);
        places.share_out();
        let one = all(&places, "one");
        assert_eq!(one.len(), 8);
        assert!(places.take_now("one").unwrap().is_none());
        assert_eq!(all(&places, "two").len(), 2);
        // One that learns of others later gives back what it has beyond that.
        let places = Places::new(10, 80);
        let mut alone = all(&places, "one");
        assert_eq!(alone.len(), 10);
        places.share_out();
        places.share_out();
        alone.truncate(7);
        assert_eq!(all(&places, "one").len(), 1);
        drop((one, alone));
    }

    #[test]
    fn those_that_have_few_are_sure_of_some_whatever_others_have() {
        let places = Places::new(1000, 80);
        places.share_out();
        let one = all(&places, "one");
        assert_eq!(one.len(), 800);
        // The last 50 are for those that have few of them: 10 each.
        let two = all(&places, "two");
        assert_eq!(two.len(), 160);
        for organization in ["three", "four", "five", "six"] {
            let now = std::iter::from_fn(|| places.take_now(organization).unwrap());
            let few: Vec<_> = now.collect();
            assert_eq!(few.len(), 10, "{organization}");
            assert!(places.take(organization).now_or_never().is_none());
            std::mem::forget(few);
        }
        assert!(all(&places, "seven").is_empty());
        drop(one);
        assert_eq!(all(&places, "seven").len(), 800);
        // Alone, one has all of them; then it gives back what it had beyond that.
        let places = Places::new(1000, 80);
        let mut one = all(&places, "one");
        assert_eq!(one.len(), 1000);
        places.share_out();
        one.drain(..800);
        assert_eq!((all(&places, "one").len(), one.len()), (600, 200));
        drop(two);
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
        assert!(places.take_now("one").is_err());
    }

    #[tokio::test]
    async fn where_none_comes_free_one_goes_on_without() {
        const SHORT: Duration = Duration::from_millis(20);
        let places = Places::new(1, 80);
        let held = places.take("one").await.unwrap();
        let waiting = || places.take_or_go_beyond("one", SHORT);
        let before = Instant::now();
        let two = [waiting().await.unwrap(), waiting().await.unwrap()];
        assert!(two.iter().all(Option::is_none) && before.elapsed() >= 2 * SHORT);
        drop(held);
        assert!(waiting().await.unwrap().is_some());
        places.close();
        assert!(waiting().await.is_err());
    }
}
