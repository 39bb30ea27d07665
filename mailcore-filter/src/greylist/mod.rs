//! Greylisting (RFC 6647): mail from a host, a sender and for a recipient that
//! were not seen together before is put off once. Who has a queue comes again;
//! most programs that send spam do not.
//!
//! - What is remembered is kept in `State` and ends by itself; one write for a
//!   decision at most, none for mail that is known.
//! - Hosts that share a network, a registered domain of confirmed names
//!   (feature `psl`) or a sender's SPF record are one: pools of hosts
//!   send the same message from many addresses.
//! - A network whose mail came again [`GreylistConfig::allow_after`] times is not
//!   put off any more.

mod client;
mod fold;
mod fresh;
mod ledger;
mod test;

use std::time::Duration;

use crate::lists::Network;

pub use client::GreylistClient;
pub use test::Greylist;

/// How mail is put off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GreylistConfig {
    /// Clients that are never put off.
    pub allow: Vec<Network>,
    /// How long a new triplet waits; 15 minutes.
    pub delay: Duration,
    /// How long it is remembered unless it comes again; 2 days.
    pub retry_within: Duration,
    /// How long it is remembered once it came again, and how long a network is;
    /// 10 days after it was last seen.
    pub expire: Duration,
    /// How many of a network's triplets came again before it is let through, 0
    /// for never; 5.
    pub allow_after: u32,
    /// Whether hosts are told apart.
    pub hosts: GreylistHosts,
    /// Bits that hosts of one IPv4 network share; 24.
    pub prefix_v4: u8,
    /// Bits that hosts of one IPv6 network share; 64.
    pub prefix_v6: u8,
    /// New triplets of one network that are remembered within an hour; 1,000.
    /// Further ones are put off all the same.
    pub fresh_per_network: u32,
    /// New triplets of all networks that are remembered within an hour; 100,000.
    /// Further ones are let through: a flood must not keep others' mail away.
    pub fresh_in_all: u32,
}

/// Whether hosts are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GreylistHosts {
    /// By network, name or SPF record.
    #[default]
    ByNetwork,
    /// Not at all: sender and recipient alone count.
    Ignored,
}

impl Default for GreylistConfig {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3_600);
        Self {
            allow: Vec::new(),
            delay: Duration::from_secs(15 * 60),
            retry_within: hours(2 * 24),
            expire: hours(10 * 24),
            allow_after: 5,
            hosts: GreylistHosts::default(),
            prefix_v4: 24,
            prefix_v6: 64,
            fresh_per_network: 1_000,
            fresh_in_all: 100_000,
        }
    }
}

#[cfg(test)]
mod tests;
