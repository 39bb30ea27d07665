//! [`Gate`]: connections at a time, in all and of one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::pace::Paces;
use crate::limits::Limits;

/// Counts connections, for all listeners of a server together.
#[derive(Debug)]
pub struct Gate {
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    most: usize,
    most_per_address: usize,
    total: usize,
    by_address: HashMap<IpAddr, usize>,
    paces: Arc<Paces>,
}

impl Gate {
    /// A gate with these limits.
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::new(Open {
                most: limits.connections,
                most_per_address: limits.connections_per_address,
                total: 0,
                by_address: HashMap::new(),
                paces: Paces::new(limits.bandwidth),
            }),
        })
    }

    /// Other limits from now on. Who is inside stays, and counts.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.most = limits.connections;
        open.most_per_address = limits.connections_per_address;
        if !open.paces.is_of(limits.bandwidth) {
            open.paces = Paces::new(limits.bandwidth);
        }
    }

    /// How fast who comes in may be.
    pub(super) fn paces(&self) -> Arc<Paces> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&open.paces)
    }

    /// A place for a connection from `peer`, given back when it is dropped.
    pub fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let key = peer_group(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let here = open.by_address.get(&key).copied().unwrap_or(0);
        let full_here = here >= open.most_per_address && !key.is_loopback();
        if open.total >= open.most || full_here {
            return None;
        }
        open.total += 1;
        open.by_address.insert(key, here + 1);
        Some(Place {
            gate: Arc::clone(self),
            key,
        })
    }
}

/// The unit that connections are counted by: an IPv4 address, an IPv6 /64.
pub(crate) fn peer_group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)))
        }
        other => other,
    }
}

/// A counted connection.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    key: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self
            .gate
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        match open.by_address.get_mut(&self.key) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.by_address.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gate_counts_by_address_and_by_64_and_lets_loopback_pass() {
        let limits = Limits {
            connections: 5,
            connections_per_address: 2,
            ..Limits::default()
        };
        let gate = Gate::new(&limits);
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let same: IpAddr = "2001:db8::2".parse().unwrap();
        let other: IpAddr = "2001:db8:0:1::1".parse().unwrap();
        let first = gate.enter(a).unwrap();
        let _second = gate.enter(same).unwrap();
        assert!(gate.enter(a).is_none());
        let _third = gate.enter(other).unwrap();
        drop(first);
        let home: Vec<_> = (0..5)
            .filter_map(|_| gate.enter("127.0.0.1".parse().unwrap()))
            .collect();
        assert_eq!(home.len(), 3, "loopback is bound by the total alone");
    }
}
