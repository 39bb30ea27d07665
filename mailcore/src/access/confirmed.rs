//! [`ConfirmedNames`]: the names of peers that lead back to them.
//!
//! A PTR record belongs to whoever has the address and may say anything. It
//! counts where the name, looked up forwards, has that address too (RFC 8601
//! section 2.7.3 calls it `iprev`).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::address::Domain;
use crate::seams::{Clock, DnsError, Resolver};
use crate::time::Monotonic;

/// Peers whose names are remembered.
const REMEMBERED: usize = 10_000;
/// Names of one peer that are looked up (RFC 7208 section 5.5 has the same).
const MAX_NAMES: usize = 10;
/// The shortest and the longest time that an answer holds.
const TTL: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(3_600));
/// How long after a failure DNS is asked again.
const RETRY: Duration = Duration::from_secs(30);
/// How long a peer waits for its names.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks up and remembers.
#[derive(Debug)]
pub(super) struct ConfirmedNames {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<IpAddr, Known>>,
}

/// Until when, and which names.
type Known = (Monotonic, Arc<[Domain]>);

impl ConfirmedNames {
    pub(super) fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>) -> Self {
        Self {
            resolver,
            clock,
            known: Mutex::default(),
        }
    }

    /// The names of a peer; none when DNS does not tell in time.
    pub(super) async fn of(&self, peer: IpAddr) -> Arc<[Domain]> {
        let now = self.clock.monotonic();
        if let Some(names) = self.recall(peer, now) {
            return names;
        }
        let found = tokio::select! {
            biased;
            found = self.ask(peer) => found,
            () = self.clock.sleep_until(now.after(PATIENCE)) => {
                Err(DnsError::Temporary("no answer in time".into()))
            }
        };
        let (names, ttl) = match found {
            Ok((names, ttl)) => (names, ttl.clamp(TTL.0, TTL.1)),
            Err(DnsError::NotFound { .. }) => (Vec::new(), TTL.0),
            Err(error) => {
                tracing::info!(%peer, %error, "can't tell the peer's name");
                (Vec::new(), RETRY)
            }
        };
        let names: Arc<[Domain]> = names.into();
        self.remember(peer, ttl, Arc::clone(&names));
        names
    }

    async fn ask(&self, peer: IpAddr) -> Result<(Vec<Domain>, Duration), DnsError> {
        let pointers = self.resolver.ptr(peer).await?;
        let (mut names, mut ttl) = (Vec::new(), pointers.ttl);
        for name in pointers.records.into_iter().take(MAX_NAMES) {
            match self.resolver.addresses(&name).await {
                Ok(found) => {
                    ttl = ttl.min(found.ttl);
                    if found.records.iter().any(|it| it.to_canonical() == peer) {
                        names.push(name);
                    }
                }
                Err(DnsError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((names, ttl))
    }

    fn recall(&self, peer: IpAddr, now: Monotonic) -> Option<Arc<[Domain]>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, names) = known.get(&peer)?;
        (now < *until).then(|| Arc::clone(names))
    }

    fn remember(&self, peer: IpAddr, ttl: Duration, names: Arc<[Domain]>) {
        let now = self.clock.monotonic();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (until, _)| now < *until);
        }
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(peer, (now.after(ttl), names));
    }
}

/// Whether a name is `wanted`, or below it.
pub(super) fn is_within(name: &Domain, wanted: &Domain) -> bool {
    let ascii = |domain: &Domain| domain.to_ascii().unwrap_or_else(|_| domain.clone());
    let (name, wanted) = (ascii(name), ascii(wanted));
    let (name, wanted) = (name.as_str(), wanted.as_str());
    let Some(place) = name.len().checked_sub(wanted.len()) else {
        return false;
    };
    let (before, end) = name.split_at_checked(place).unwrap_or_default();
    end.eq_ignore_ascii_case(wanted) && (before.is_empty() || before.ends_with('.'))
}
