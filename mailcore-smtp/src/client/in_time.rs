//! [`InTime`]: look-ups that end, whatever the resolver does.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use mailcore::address::Domain;
use mailcore::seams::{Clock, DnsError, Lookup, Mx, Resolver, Tlsa};
use mailcore::time::Monotonic;

/// A resolver for one step of a delivery: all its look-ups share one deadline,
/// so that a name server that stays silent holds no message up. What is known
/// already is still told when the time is over.
pub(super) struct InTime<'a> {
    resolver: &'a dyn Resolver,
    clock: &'a dyn Clock,
    until: Monotonic,
}

impl<'a> InTime<'a> {
    pub(super) fn new(resolver: &'a dyn Resolver, clock: &'a dyn Clock, wait: Duration) -> Self {
        let until = clock.monotonic().after(wait);
        Self {
            resolver,
            clock,
            until,
        }
    }

    async fn bound<T>(
        &self,
        lookup: impl Future<Output = Result<T, DnsError>>,
    ) -> Result<T, DnsError> {
        tokio::select! {
            biased;
            found = lookup => found,
            () = self.clock.sleep_until(self.until) => {
                Err(DnsError::Temporary("the name servers did not answer in time".to_owned()))
            }
        }
    }
}

impl fmt::Debug for InTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InTime").finish_non_exhaustive()
    }
}

#[async_trait]
impl Resolver for InTime<'_> {
    async fn mx(&self, domain: &Domain) -> Result<Lookup<Mx>, DnsError> {
        self.bound(self.resolver.mx(domain)).await
    }

    async fn addresses(&self, host: &Domain) -> Result<Lookup<IpAddr>, DnsError> {
        self.bound(self.resolver.addresses(host)).await
    }

    async fn txt(&self, name: &Domain) -> Result<Lookup<Vec<u8>>, DnsError> {
        self.bound(self.resolver.txt(name)).await
    }

    async fn ptr(&self, ip: IpAddr) -> Result<Lookup<Domain>, DnsError> {
        self.bound(self.resolver.ptr(ip)).await
    }

    async fn tlsa(&self, name: &Domain) -> Result<Lookup<Tlsa>, DnsError> {
        self.bound(self.resolver.tlsa(name)).await
    }
}
