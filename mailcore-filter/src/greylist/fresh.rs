//! How many new triplets are remembered: a flood of made-up senders costs as many
//! records as its networks may have, and no more (RFC 6647 section 4.3).

use std::collections::HashMap;

use mailcore::net::Network;
use mailcore::time::Timestamp;

use super::GreylistConfig;

const HOUR_SECS: i64 = 3_600;
/// Bits of an IPv6 network that one owner has many /64 in.
const SITE: u8 = 48;

/// New triplets of this hour.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    hour: i64,
    all: u32,
    of: HashMap<Network, u32>,
}

/// Whether one more is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    Yes,
    NoneForNetwork,
    None,
}

impl Fresh {
    /// Counts one more, if it is remembered.
    pub(super) fn take(
        &mut self,
        network: Network,
        now: Timestamp,
        config: &GreylistConfig,
    ) -> Room {
        let hour = now.secs().div_euclid(HOUR_SECS);
        if hour != self.hour {
            *self = Self {
                hour,
                ..Self::default()
            };
        }
        if self.all >= config.fresh_in_all {
            return Room::None;
        }
        let prefix = network.prefix().min(SITE);
        let site = Network::of(network.address(), prefix).unwrap_or(network);
        let count = self.of.entry(site).or_default();
        if *count >= config.fresh_per_network {
            return Room::NoneForNetwork;
        }
        *count = count.saturating_add(1);
        self.all = self.all.saturating_add(1);
        Room::Yes
    }
}
