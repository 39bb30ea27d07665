//! [`Shield`]: a sender's domain whose mail comes from known addresses alone.

use std::net::IpAddr;
use std::sync::Arc;

use super::TrustedHosts;
use crate::address::Domain;

/// Mail from a domain is taken from these hosts and from nobody else.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Shield {
    /// The domain of the sender, as MAIL names it.
    pub domain: Domain,
    /// Where its mail comes from.
    pub hosts: Arc<TrustedHosts>,
    /// Whether it holds for users, too.
    pub users: ShieldedUsers,
}

/// Whether a shield holds for those who log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ShieldedUsers {
    /// They may send from anywhere.
    #[default]
    Exempt,
    /// They are held to it as anybody.
    Held,
}

impl Shield {
    /// Mail from `domain` comes from `hosts`; users may send from anywhere.
    pub fn new(domain: Domain, hosts: Arc<TrustedHosts>) -> Self {
        Self {
            domain,
            hosts,
            users: ShieldedUsers::default(),
        }
    }

    /// Whether it is about senders of this domain.
    pub fn is_about(&self, domain: &Domain) -> bool {
        let ascii = |domain: &Domain| domain.to_ascii().unwrap_or_else(|_| domain.clone());
        ascii(&self.domain) == ascii(domain)
    }

    /// Whether mail may come from this address.
    pub async fn admits(&self, peer: IpAddr) -> bool {
        self.hosts.trusts(peer).await
    }
}
