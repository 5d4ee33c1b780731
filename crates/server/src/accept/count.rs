//! How many connections each address has.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

/// Connections of one address where nothing else is said.
const MOST: usize = 1_000;

/// Counts connections by address.
#[derive(Clone)]
pub(super) struct Addresses {
    most: Option<usize>,
    proxies: Arc<[IpNet]>,
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection that is counted until this is dropped.
pub(super) struct Counted {
    address: IpAddr,
    all: Addresses,
}

impl Addresses {
    /// At most so many of one address; 0 means no bound. Without a number there is none for this machine and proxies.
    pub(super) fn new(most: Option<usize>, proxies: &[IpNet]) -> Self {
        Self {
            most,
            proxies: proxies.into(),
            counts: Arc::default(),
        }
    }

    /// Counts one more; none where the address has as many as it may.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Counted> {
        let is_many = address.to_canonical().is_loopback() || self.proxies.iter().any(|net| net.contains(&address));
        let most = self.most.unwrap_or(if is_many { 0 } else { MOST });
        let address = whose(address);
        if most > 0 {
            let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_default();
            if *count >= most {
                return None;
            }
            *count += 1;
        }
        Some(Counted {
            address,
            all: self.clone(),
        })
    }
}

/// Who has a network of IPv6 has its 2^64 addresses: they count as one.
pub(crate) fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        IpAddr::V4(four) => IpAddr::V4(four),
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut counts = self.all.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_and_no_more_until_one_leaves() {
        let addresses = Addresses::new(Some(2), &[]);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let first = addresses.enter(one);
        let second = addresses.enter("::ffff:192.0.2.1".parse().unwrap());
        assert!(first.is_some() && second.is_some());
        assert!(addresses.enter(one).is_none());
        assert!(addresses.enter("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(addresses.enter(one).is_some());
        drop(second);
        assert!(addresses.counts.lock().unwrap().is_empty());
    }

    #[test]
    fn where_nothing_is_said_only_those_that_are_many_have_no_bound() {
        let addresses = Addresses::new(None, &["10.0.0.0/8".parse().unwrap()]);
        let most = |address: &str| {
            let address: IpAddr = address.parse().unwrap();
            let all: Vec<_> = (0..=MOST).map_while(|_| addresses.enter(address)).collect();
            all.len()
        };
        assert_eq!(most("192.0.2.1"), MOST);
        assert_eq!(most("127.0.0.1"), MOST + 1);
        assert_eq!(most("10.1.2.3"), MOST + 1);
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        let addresses = Addresses::new(Some(1), &[]);
        let first = addresses.enter("2001:db8:1:2::3".parse().unwrap());
        assert!(first.is_some());
        assert!(addresses.enter("2001:db8:1:2:ffff::9".parse().unwrap()).is_none());
        assert!(addresses.enter("2001:db8:1:3::3".parse().unwrap()).is_some());
    }
}
