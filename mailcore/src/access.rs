//! Who may do what: the hosts that are trusted without a login.

mod trust;

pub use trust::{TrustedHosts, TrustedPeer, TrustedPeerError};
