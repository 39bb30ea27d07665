//! Who may do what: the hosts that are trusted without a login, those that may
//! connect at all, and those that a domain's mail comes from.

mod confirmed;
mod mac;
mod rules;
mod shield;
mod trust;

pub use mac::{ArpTable, MacAddress, MacAddressError, Neighbours};
pub use rules::AccessRules;
pub use shield::{Shield, ShieldedUsers};
pub use trust::{TrustedHosts, TrustedPeer, TrustedPeerError};
