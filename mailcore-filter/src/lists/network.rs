//! [`NetworkMap`], which finds the narrowest network an address is in.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;

pub use mailcore::net::{Network, NetworkError};

/// A value for each of many networks. A look-up costs one hash for each length
/// of prefix in use, however many networks there are.
#[derive(Debug, Clone)]
pub(super) struct NetworkMap<T> {
    values: HashMap<Network, T>,
    prefixes: BTreeSet<u8>,
}

impl<T> Default for NetworkMap<T> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            prefixes: BTreeSet::new(),
        }
    }
}

impl<T: Copy> NetworkMap<T> {
    /// The old value, when there was one.
    pub(super) fn insert(&mut self, network: Network, value: T) -> Option<T> {
        self.prefixes.insert(network.prefix());
        self.values.insert(network, value)
    }

    /// The value of this very network.
    pub(super) fn exactly(&self, network: Network) -> Option<T> {
        self.values.get(&network).copied()
    }

    /// Changes every value.
    pub(super) fn each(&mut self, change: impl FnMut(&mut T)) {
        self.values.values_mut().for_each(change);
    }

    /// The value of the narrowest network that `address` is in.
    pub(super) fn narrowest(&self, address: IpAddr) -> Option<T> {
        let address = address.to_canonical();
        self.prefixes
            .iter()
            .rev()
            .filter_map(|&prefix| Network::of(address, prefix))
            .find_map(|network| self.values.get(&network).copied())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_narrowest_network_is_the_one_a_search_finds(
            networks: Vec<(u32, u8)>,
            address: u32,
        ) {
            let mut map = NetworkMap::default();
            let mut all = Vec::new();
            for (place, (bits, prefix)) in networks.into_iter().enumerate() {
                // Near the address, so that many contain it.
                let near = Ipv4Addr::from_bits(address ^ (bits & 0xff_ffff)).into();
                let network = Network::of(near, prefix % 33).unwrap();
                map.insert(network, place);
                all.retain(|(other, _)| *other != network);
                all.push((network, place));
            }
            let address = Ipv4Addr::from_bits(address).into();
            let want = all
                .iter()
                .filter(|(network, _)| network.contains(address))
                .max_by_key(|(network, _)| network.prefix())
                .map(|(_, place)| *place);
            prop_assert_eq!(map.narrowest(address), want);
        }
    }
}
