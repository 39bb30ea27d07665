//! [`Pace`]: octets a second, and no more. Who is too fast is read from later, so
//! that its own system holds it back (TCP's window), and written to later.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::toll::Toll;
use super::{Meter, peer_group};
use crate::time::Monotonic;

/// What may pass at once, as time at full speed.
const BURST: Duration = Duration::from_secs(1);
/// Shared paces from which on those are dropped that nobody uses any more, and
/// that owe nothing: whoever hangs up and comes again is not to begin anew.
const SWEEP_AT: usize = 1_024;

/// Octets a second in each direction together; `None` for as many as there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bandwidth {
    /// Of one connection.
    pub connection: Option<u64>,
    /// Of all connections of one address (IPv6: one /64).
    pub address: Option<u64>,
    /// Of all connections of one listener.
    pub listener: Option<u64>,
    /// Of all users of one domain, once they have logged in.
    pub domain: Option<u64>,
}

/// A rate, used by one connection or shared by several.
#[derive(Debug)]
pub(super) struct Pace {
    /// Octets a second.
    rate: u64,
    /// When all that passed would be through at that rate.
    through: Mutex<Monotonic>,
}

impl Pace {
    pub(super) fn new(rate: u64) -> Arc<Self> {
        Arc::new(Self {
            rate: rate.max(1),
            through: Mutex::default(),
        })
    }

    /// Octets pass; when the next may.
    pub(super) fn charge(&self, octets: usize, now: Monotonic) -> Monotonic {
        let nanos = (octets as u128).saturating_mul(1_000_000_000) / u128::from(self.rate);
        let cost = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let mut through = self.through.lock().unwrap_or_else(PoisonError::into_inner);
        *through = now.max(*through).after(cost);
        let ahead = through.since(now).saturating_sub(BURST);
        now.after(ahead)
    }

    fn is_through(&self, now: Monotonic) -> bool {
        *self.through.lock().unwrap_or_else(PoisonError::into_inner) <= now
    }
}

/// The paces that connections share.
#[derive(Debug, Default)]
pub(super) struct Paces {
    bandwidth: Bandwidth,
    shared: Mutex<HashMap<Sharer, Arc<Pace>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sharer {
    Address(IpAddr),
    Domain(Box<str>),
}

impl Paces {
    pub(super) fn new(bandwidth: Bandwidth) -> Arc<Self> {
        Arc::new(Self {
            bandwidth,
            shared: Mutex::default(),
        })
    }

    pub(super) fn is_of(&self, bandwidth: Bandwidth) -> bool {
        self.bandwidth == bandwidth
    }

    /// The one that all connections of a listener share.
    pub(super) fn of_listener(&self) -> Option<Arc<Pace>> {
        self.bandwidth.listener.map(Pace::new)
    }

    /// Counts a connection's octets, and says when they are too many.
    pub(super) fn meter(
        self: &Arc<Self>,
        (peer, now): (IpAddr, Monotonic),
        listener: Option<&Arc<Pace>>,
        toll: Toll,
    ) -> Meter {
        let address = Sharer::Address(peer_group(peer));
        let own = self.bandwidth.connection.map(Pace::new);
        let shared = (self.bandwidth.address).map(|rate| self.share(address, rate, now));
        let paces = [own, shared, listener.cloned()];
        let paces = paces.into_iter().flatten().collect();
        Meter::new(Arc::clone(self), paces, toll)
    }

    /// The one that a user's domain shares.
    pub(super) fn of_login(&self, login: &str) -> Option<Arc<Pace>> {
        let rate = self.bandwidth.domain?;
        let (_, domain) = login.rsplit_once('@')?;
        let domain = Sharer::Domain(domain.to_ascii_lowercase().into());
        Some(self.share(domain, rate, Monotonic::default()))
    }

    fn share(&self, sharer: Sharer, rate: u64, now: Monotonic) -> Arc<Pace> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pace) = shared.get(&sharer) {
            return Arc::clone(pace);
        }
        if shared.len() >= SWEEP_AT && shared.len() == shared.capacity() {
            shared.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_through(now));
        }
        let pace = Pace::new(rate);
        shared.insert(sharer, Arc::clone(&pace));
        pace
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Identity};

    fn at(millis: u64) -> Monotonic {
        Monotonic::from_origin(Duration::from_millis(1_000_000 + millis))
    }

    #[test]
    fn a_burst_passes_and_then_no_more_than_the_rate() {
        let pace = Pace::new(1_000);
        assert_eq!(pace.charge(1_000, at(0)), at(0));
        assert_eq!(pace.charge(500, at(0)), at(500));
        assert_eq!(pace.charge(500, at(500)), at(1_000));
        assert_eq!(pace.charge(1_000, at(10_000)), at(10_000), "rested");
    }

    #[test]
    fn connections_of_one_address_share_and_so_do_users_of_a_domain() {
        let bandwidth = Bandwidth {
            address: Some(1_000),
            domain: Some(1_000),
            ..Bandwidth::default()
        };
        let paces = Paces::new(bandwidth);
        let meter = |ip: &str| paces.meter((ip.parse().unwrap(), at(0)), None, Toll::default());
        let user = |login: &str| Identity {
            account: AccountId::new(login),
            login: login.into(),
        };
        let (a, b, c) = (meter("192.0.2.1"), meter("192.0.2.1"), meter("192.0.2.2"));
        assert_eq!(a.received_at(1_000, at(0)), at(0));
        assert_eq!(b.sent_at(1_000, at(0)), at(1_000));
        assert_eq!(c.received_at(1_000, at(0)), at(0));
        a.logged_in(&user("ann@A.test"));
        c.logged_in(&user("bob@a.test"));
        assert_eq!(c.received_at(1_000, at(5_000)), at(5_000));
        assert_eq!(a.received_at(1_000, at(5_000)), at(6_000));
        assert_eq!((a.received(), b.sent()), (2_000, 1_000));
        // Who has logged out is held back by its own paces alone, and who logs
        // in twice is not twice as slow.
        c.logged_out();
        assert_eq!(c.received_at(1_000, at(9_000)), at(9_000));
        assert_eq!(a.received_at(500, at(9_000)), at(9_000));
        a.logged_in(&user("ann@a.test"));
        assert_eq!(a.received_at(500, at(20_000)), at(20_000));
        assert_eq!(a.received_at(500, at(20_000)), at(20_000));
        assert_eq!(a.received_at(500, at(20_000)), at(20_500));
    }

    #[test]
    fn hanging_up_and_coming_again_pays_no_debt() {
        let bandwidth = Bandwidth {
            address: Some(1_000),
            ..Bandwidth::default()
        };
        let paces = Paces::new(bandwidth);
        let mut due = at(0);
        for _ in 0..10 {
            let peer = "192.0.2.1".parse().unwrap();
            let meter = paces.meter((peer, at(0)), None, Toll::default());
            due = meter.received_at(1_000, at(0));
        }
        assert_eq!(due, at(9_000));
    }

    #[test]
    fn paces_that_nobody_uses_are_dropped_once_they_owe_nothing() {
        let bandwidth = Bandwidth {
            address: Some(1_000),
            ..Bandwidth::default()
        };
        let paces = Paces::new(bandwidth);
        for number in 0..50_000u32 {
            let peer = std::net::Ipv4Addr::from_bits(number).into();
            let now = at(u64::from(number) * 10);
            let meter = paces.meter((peer, now), None, Toll::default());
            meter.received_at(1_000, now);
        }
        assert!(paces.shared.lock().unwrap().len() < 8 * SWEEP_AT);
    }
}
