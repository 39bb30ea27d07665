//! The bans and the allow list as they are looked up: in memory.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::time::Duration;

use super::{Ban, BanScope};
use crate::net::Network;
use crate::time::Timestamp;

/// Bans held at a time. More are not made by rules: guessing goes on to be
/// counted, and is put off.
const MAX_BANS: usize = 100_000;

/// How long nothing is looked for where no ban ends by itself.
const SEARCH_AGAIN: Duration = Duration::from_secs(60);

/// Who is banned, and who never is.
#[derive(Debug, Default)]
pub(super) struct Bans {
    banned: ByNetwork<Ban>,
    allowed: ByNetwork<()>,
    /// There is no place before then: whoever knocks meanwhile is not to cost a
    /// search for one.
    full_until: Option<Timestamp>,
}

impl Bans {
    /// The ban that keeps `address` out of most, unless it is allowed.
    pub(super) fn of(&self, address: IpAddr, now: Timestamp) -> Option<&Ban> {
        if self.banned.values.is_empty() {
            return None;
        }
        let found = self.banned.all(address).filter(|ban| !ban.is_over(now));
        let found = found.max_by_key(|ban| ban.scope)?;
        (!self.allows(address)).then_some(found)
    }

    pub(super) fn scope(&self, address: IpAddr, now: Timestamp) -> Option<BanScope> {
        self.of(address, now).map(|ban| ban.scope)
    }

    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.allowed.all(address).next().is_some()
    }

    /// Puts a ban of a rule there; false when one holds that is at least as
    /// strong, or there is no place.
    pub(super) fn ban(&mut self, ban: &Ban) -> bool {
        let held = self.banned.values.get(&ban.who);
        if held.is_some_and(|held| !held.is_over(ban.since) && held.covers(ban)) {
            return false;
        }
        if !self.has_place(ban.since) {
            return false;
        }
        self.put(ban.clone());
        true
    }

    fn has_place(&mut self, now: Timestamp) -> bool {
        if self.banned.values.len() < MAX_BANS {
            return true;
        }
        if self.full_until.is_some_and(|until| now < until) {
            return false;
        }
        self.banned.values.retain(|_, it| !it.is_over(now));
        let ends = self.banned.values.values().filter_map(|it| it.until);
        self.full_until = Some(ends.min().unwrap_or_else(|| now.after(SEARCH_AGAIN)));
        self.banned.values.len() < MAX_BANS
    }

    pub(super) fn put(&mut self, ban: Ban) {
        self.banned.insert(ban.who, ban);
    }

    /// Puts a ban there that somebody else made; false when it is there already.
    pub(super) fn take_up(&mut self, ban: Ban) -> bool {
        let new = self.banned.values.get(&ban.who) != Some(&ban);
        if new {
            self.put(ban);
        }
        new
    }

    pub(super) fn lift(&mut self, who: &Network) -> bool {
        self.banned.values.remove(who).is_some()
    }

    pub(super) fn allow(&mut self, who: Network) {
        self.allowed.insert(who, ());
    }

    pub(super) fn disallow(&mut self, who: &Network) -> bool {
        self.allowed.values.remove(who).is_some()
    }

    /// Those in force, the one that ends first before the others.
    pub(super) fn list(&self, now: Timestamp) -> Vec<Ban> {
        let mut all: Vec<Ban> = self.banned.values.values().cloned().collect();
        all.retain(|ban| !ban.is_over(now));
        all.sort_by_key(|ban| (ban.until.is_none(), ban.until, ban.who.to_string()));
        all
    }

    pub(super) fn allowed(&self) -> Vec<Network> {
        let mut all: Vec<Network> = self.allowed.values.keys().copied().collect();
        all.sort_by_key(ToString::to_string);
        all
    }
}

/// Values of networks. A look-up costs one hash for each length of prefix in
/// use.
#[derive(Debug)]
struct ByNetwork<T> {
    values: HashMap<Network, T>,
    prefixes: BTreeSet<u8>,
}

impl<T> Default for ByNetwork<T> {
    fn default() -> Self {
        Self {
            values: HashMap::new(),
            prefixes: BTreeSet::new(),
        }
    }
}

impl<T> ByNetwork<T> {
    fn insert(&mut self, network: Network, value: T) {
        self.prefixes.insert(network.prefix());
        self.values.insert(network, value);
    }

    fn all(&self, address: IpAddr) -> impl Iterator<Item = &T> {
        let address = address.to_canonical();
        self.prefixes
            .iter()
            .filter_map(move |prefix| Network::of(address, *prefix))
            .filter_map(|network| self.values.get(&network))
    }
}
