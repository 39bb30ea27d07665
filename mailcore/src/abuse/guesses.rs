//! Wrong passwords by address and by network: what may still be tried, and what
//! was tried already.
//!
//! Pure: who waits and who is banned is decided elsewhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::table::Table;
use super::window::Window;
use super::{LoginScreening, Rate};
use crate::net::peer_group;
use crate::time::Monotonic;

/// Wrong guesses remembered of one address, to know them again.
const KNOWN_WRONG: usize = 8;
/// How often what is known to be wrong may be tried again.
const REPEATS: Rate = Rate {
    most: 6,
    within: Duration::from_secs(60),
};
/// Guesses of one address that are checked at a time, and of one that somebody
/// has logged in from: others are not to wait behind all that it sends.
const AT_ONCE: (u64, u64) = (2, 8);
/// How long a challenge that nobody answers counts.
const CHALLENGES: Rate = Rate {
    most: u64::MAX,
    within: Duration::from_secs(30),
};
/// How long an address is known for a login that was right.
const GOOD_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Failures of a network that hold back no answer, and what each one more does.
const FREE: u64 = 10;
const STEP: Duration = Duration::from_millis(100);
/// How many more all those may try together for whom there is no record.
const CROWD: u64 = 10;

/// A guess, known again without being kept: a keyed hash of login and password.
pub(super) type Fingerprint = u64;

/// Whether a guess may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chance {
    /// It may; its outcome is to be told.
    Try,
    /// Others of the same address are being tried, and all together may be too
    /// many.
    Wait,
    /// Not now.
    No,
}

/// What a wrong guess leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wrong {
    /// How many count for the address by now, when they are worth remembering.
    pub(super) level: Option<u64>,
    /// It was not tried before.
    pub(super) fresh: bool,
    /// The address has used up its tries.
    pub(super) last: bool,
    /// How long the answer is held back.
    pub(super) delay: Duration,
}

/// All that was guessed lately.
#[derive(Debug)]
pub(super) struct Guesses {
    rules: LoginScreening,
    peers: Table<IpAddr, Peer>,
    networks: Table<IpAddr, Window>,
    /// Stands for those who find no place.
    crowd: Peer,
}

#[derive(Debug, Default)]
struct Peer {
    failures: Window,
    repeats: Window,
    known_wrong: [Fingerprint; KNOWN_WRONG],
    next: usize,
    checking: u64,
    /// Challenges that are not answered yet.
    challenges: Window,
    good_until: Option<Monotonic>,
}

impl Guesses {
    pub(super) fn new(rules: LoginScreening, remembered: usize) -> Self {
        Self {
            rules,
            peers: Table::new(remembered),
            networks: Table::new(remembered),
            crowd: Peer::default(),
        }
    }

    /// Goes by other rules from now on; what was guessed stays.
    pub(super) fn replace(&mut self, rules: LoginScreening, remembered: usize) {
        self.rules = rules;
        self.peers.keep(remembered);
        self.networks.keep(remembered);
    }

    /// Asks for a try. [`Chance::Try`] is to be followed by one of the others.
    pub(super) fn begin(
        &mut self,
        address: IpAddr,
        guess: Option<Fingerprint>,
        now: Monotonic,
    ) -> Chance {
        let rules = self.rules;
        let network = self.network_level(address, now);
        let (peer, most) = self.peer(address, now);
        let good = peer.is_good(now);
        let most = if good { most + most / 2 } else { most };
        let level = peer.failures.level(rules.failures, now);
        let known = guess.is_some_and(|guess| peer.known_wrong.contains(&guess));
        if level >= most || (!good && network >= rules.network_failures.most) {
            return Chance::No;
        }
        if known && peer.repeats.level(REPEATS, now) >= REPEATS.most {
            return Chance::No;
        }
        let open = peer.checking + peer.challenges.level(CHALLENGES, now);
        let at_once = if good { AT_ONCE.1 } else { AT_ONCE.0 };
        if level + open >= most || peer.checking >= at_once {
            return Chance::Wait;
        }
        peer.checking += 1;
        Chance::Try
    }

    /// It was right.
    pub(super) fn right(&mut self, address: IpAddr, now: Monotonic) {
        let peer = self.settled(address, now);
        peer.good_until = Some(now.after(GOOD_FOR));
    }

    /// It could not be told.
    pub(super) fn untold(&mut self, address: IpAddr, now: Monotonic) {
        self.settled(address, now);
    }

    /// It was wrong.
    pub(super) fn wrong(
        &mut self,
        address: IpAddr,
        guess: Option<Fingerprint>,
        now: Monotonic,
    ) -> Wrong {
        let rules = self.rules;
        self.settled(address, now);
        let (peer, most) = self.peer(address, now);
        if let Some(guess) = guess {
            if peer.known_wrong.contains(&guess) {
                peer.repeats.add(1, REPEATS, now);
                return Wrong {
                    level: None,
                    fresh: false,
                    last: false,
                    delay: self.delay(address, now),
                };
            }
            peer.note(guess);
        }
        let level = peer.failures.add(1, rules.failures, now);
        let last = level
            >= if peer.is_good(now) {
                most + most / 2
            } else {
                most
            };
        let guilt = move |window: &mut Window| light(window, rules.network_failures, now);
        let network = self
            .networks
            .entry(&network(address), Window::default, guilt);
        if let Some(network) = network {
            network.add(1, rules.network_failures, now);
        }
        Wrong {
            level: (level * 2 >= most).then_some(level),
            fresh: true,
            last,
            delay: self.delay(address, now),
        }
    }

    /// A challenge goes out: whether its answer is right is told later, or
    /// never. Until then it counts as one that is being checked.
    pub(super) fn challenged(&mut self, address: IpAddr, now: Monotonic) {
        let peer = self.settled(address, now);
        peer.challenges.add(1, CHALLENGES, now);
    }

    /// The answer to a challenge came: it is a guess that is being checked.
    pub(super) fn answered(&mut self, address: IpAddr, now: Monotonic) {
        let (peer, _) = self.peer(address, now);
        peer.checking += 1;
        peer.challenges.forgive(1);
    }

    /// Forgets what an address did: it was banned for it, or pardoned.
    pub(super) fn forget(&mut self, address: IpAddr) {
        if let Some(peer) = self.peers.find(&peer_group(address)) {
            peer.failures = Window::default();
        }
    }

    /// What was written down before this process began.
    pub(super) fn restore(&mut self, address: IpAddr, level: u64, now: Monotonic) {
        let (peer, _) = self.peer(address, now);
        peer.failures = Window::with(level, now);
    }

    /// One that was checked is not any more. An address that had no record when
    /// the check began may have one by now: then it was counted with the crowd.
    fn settled(&mut self, address: IpAddr, now: Monotonic) -> &mut Peer {
        let (peer, _) = self.peer(address, now);
        match peer.checking.checked_sub(1) {
            Some(checking) => peer.checking = checking,
            None => self.crowd.checking = self.crowd.checking.saturating_sub(1),
        }
        self.peer(address, now).0
    }

    /// True when somebody has logged in from there lately.
    pub(super) fn knows(&mut self, address: IpAddr, now: Monotonic) -> bool {
        let peer = self.peers.find(&peer_group(address));
        peer.is_some_and(|peer| peer.is_good(now))
    }

    fn network_level(&mut self, address: IpAddr, now: Monotonic) -> u64 {
        let rate = self.rules.network_failures;
        let window = self.networks.find(&network(address));
        window.map_or(0, |window| window.level(rate, now))
    }

    fn delay(&mut self, address: IpAddr, now: Monotonic) -> Duration {
        let over = self.network_level(address, now).saturating_sub(FREE);
        let steps = u32::try_from(over).unwrap_or(u32::MAX);
        STEP.saturating_mul(steps).min(self.rules.longest_delay)
    }

    /// The record of an address, and how many failures it may have.
    fn peer(&mut self, address: IpAddr, now: Monotonic) -> (&mut Peer, u64) {
        let most = self.rules.failures.most;
        let rate = self.rules.failures;
        let guilt = move |peer: &mut Peer| match peer.checking {
            0 => {
                let good = u64::from(peer.is_good(now)) * 4;
                light(&mut peer.failures, rate, now).map(|level| level.saturating_add(good as u32))
            }
            _ => None,
        };
        match self.peers.entry(&peer_group(address), Peer::default, guilt) {
            Some(peer) => (peer, most),
            None => (&mut self.crowd, most.saturating_mul(CROWD)),
        }
    }
}

impl Peer {
    fn is_good(&self, now: Monotonic) -> bool {
        self.good_until.is_some_and(|until| until > now)
    }

    fn note(&mut self, guess: Fingerprint) {
        if let Some(place) = self.known_wrong.get_mut(self.next) {
            *place = guess;
        }
        self.next = (self.next + 1) % KNOWN_WRONG;
    }
}

/// How much a count weighs; `None` when it is worth keeping whatever comes.
pub(super) fn light(window: &mut Window, rate: Rate, now: Monotonic) -> Option<u32> {
    let level = window.level(rate, now);
    (level * 2 < rate.most.max(1) || level == 0).then(|| u32::try_from(level).unwrap_or(u32::MAX))
}

/// The network that failures are also counted by.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() & !0xff).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 80)).into(),
    }
}

#[cfg(test)]
mod tests;
