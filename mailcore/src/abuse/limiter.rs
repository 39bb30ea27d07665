//! [`Limiter`]: the one place that every protocol asks.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::{Notify, Semaphore};

use super::ban::BanScope;
use super::bans::Bans;
use super::guesses::Guesses;
use super::keep::{Kept, login_count};
use super::living::Living;
use super::rules::{Added, Counts, Over, Sender};
use super::{AbuseConfig, Ban, Consequence, Counted, Rule};
use crate::event::{EventName, Recorder};
use crate::net::{Network, peer_group};
use crate::seams::{Clock, DirectoryWrite, Entropy, State};
use crate::status::Status;
use crate::wire::Tally;

/// Guesses that wait so at a time; more are put off at once.
const MAX_WAITING: usize = 512;

/// What a [`Limiter`] works with.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LimiterSeams {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Draws the key under which guesses are known again.
    pub entropy: Arc<dyn Entropy>,
    /// Keeps bans and what led to them over a restart; `None` for memory alone.
    pub state: Option<Arc<dyn State>>,
    /// Closes accounts, where a rule asks for it.
    pub directory: Option<Arc<dyn DirectoryWrite>>,
    /// Is told.
    pub recorder: Recorder,
}

impl LimiterSeams {
    /// Memory alone, and nobody is told.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            state: None,
            directory: None,
            recorder: Recorder::default(),
        }
    }
}

/// Whether a connection is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Welcome {
    /// It is.
    Yes,
    /// It is not, and is told to come later.
    Later,
    /// It is closed without a word.
    No,
}

/// Counts what is done too often, over all protocols, and says what follows.
#[derive(Debug)]
pub struct Limiter {
    config: RwLock<Arc<AbuseConfig>>,
    pub(super) seams: LimiterSeams,
    pub(super) kept: Kept,
    bans: RwLock<Bans>,
    pub(super) living: Living,
    guesses: Mutex<Guesses>,
    counts: Mutex<Counts>,
    /// A guess was settled: another of its address may be tried.
    pub(super) settled: Notify,
    pub(super) waiting: Semaphore,
    /// Drawn for this process.
    pub(super) key: [u8; 32],
}

impl Limiter {
    /// A limiter that knows what the state holds of bans and counts.
    pub async fn open(config: AbuseConfig, seams: LimiterSeams) -> Arc<Self> {
        let limiter = Self::new(config, seams);
        limiter.load().await;
        limiter
    }

    /// A limiter that has counted nothing yet and knows of no bans.
    pub fn new(config: AbuseConfig, seams: LimiterSeams) -> Arc<Self> {
        let mut key = [0; 32];
        seams.entropy.fill(&mut key);
        Arc::new(Self {
            kept: Kept::default(),
            bans: RwLock::default(),
            living: Living::default(),
            guesses: Mutex::new(Guesses::new(config.logins, config.remembered)),
            counts: Mutex::new(Counts::new(config.rules.clone(), config.remembered)),
            settled: Notify::new(),
            waiting: Semaphore::new(MAX_WAITING),
            key,
            config: RwLock::new(Arc::new(config)),
            seams,
        })
    }

    /// What is counted, and what follows.
    pub fn config(&self) -> Arc<AbuseConfig> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts and bans by these rules from now on. Bans stay, and so do the
    /// counts of what is counted as before: of the same, by the same key, within
    /// the same time.
    pub fn reconfigure(&self, config: AbuseConfig) {
        self.guesses().replace(config.logins, config.remembered);
        self.counts()
            .replace(config.rules.clone(), config.remembered);
        let mut current = self.config.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(config);
    }

    /// A peer connects to a service of this protocol.
    pub fn connect(&self, peer: IpAddr, protocol: &str) -> Welcome {
        let banned = self.bans().scope(peer, self.seams.clock.now());
        match banned {
            Some(BanScope::Everything) => return Welcome::No,
            Some(BanScope::Logins) if !takes_mail(protocol) => return Welcome::No,
            _ => {}
        }
        let sender = Sender::new(Some(peer), protocol);
        if self.has_done_enough(&sender) {
            return Welcome::Later;
        }
        // Hosts of this machine come as often as they like.
        if peer.to_canonical().is_loopback() {
            return Welcome::Yes;
        }
        match self.add(Counted::Connections, &sender, 1) {
            None => Welcome::Yes,
            Some(over) if over.rule.consequence == Consequence::Ban => Welcome::No,
            Some(_) => Welcome::Later,
        }
    }

    /// Whether nothing is taken from this address.
    pub fn keeps_out(&self, peer: IpAddr) -> bool {
        self.bans().scope(peer, self.seams.clock.now()) == Some(BanScope::Everything)
    }

    /// True when a new connection would be hung up on at its first command: who
    /// comes again is where it was.
    fn has_done_enough(&self, sender: &Sender<'_>) -> bool {
        if sender.peer.is_some_and(|it| self.is_exempt(it)) {
            return false;
        }
        let now = self.seams.clock.monotonic();
        let mut counts = self.counts();
        [Counted::Commands, Counted::Errors]
            .into_iter()
            .any(|counted| counts.is_reached(counted, sender, now))
    }

    /// What a session's peer did. [`Welcome::Later`] when it was too much: it is
    /// to be hung up on.
    pub fn did(&self, sender: &Sender<'_>, tally: Tally) -> Welcome {
        let mut over = false;
        for (counted, amount) in [
            (Counted::Commands, tally.commands),
            (Counted::Errors, tally.errors),
        ] {
            over |= amount > 0 && self.add(counted, sender, amount).is_some();
        }
        match over {
            true => Welcome::Later,
            false => Welcome::Yes,
        }
    }

    /// There is no such recipient. An error closes the connection.
    ///
    /// # Errors
    /// What to say as the last word.
    pub fn unknown_recipient(&self, sender: &Sender<'_>) -> Result<(), Status> {
        match self.add(Counted::UnknownRecipients, sender, 1) {
            None => Ok(()),
            Some(_) => Err(Status::transient(7, 0, "too many unknown recipients")),
        }
    }

    /// Whether nobody can log in from this address.
    pub(super) fn is_banned(&self, peer: IpAddr) -> bool {
        self.bans().of(peer, self.seams.clock.now()).is_some()
    }

    pub(super) fn is_exempt(&self, peer: IpAddr) -> bool {
        self.config().exempt.iter().any(|it| it.contains(peer)) || self.bans().allows(peer)
    }

    /// Counts something; what it was too much for, after what follows from it by
    /// itself was done.
    pub(super) fn add(&self, counted: Counted, sender: &Sender<'_>, amount: u64) -> Option<Over> {
        if sender.peer.is_some_and(|it| self.is_exempt(it)) {
            return None;
        }
        let now = self.seams.clock.monotonic();
        let added = self.counts().add(counted, sender, amount, now);
        let over = added.over;
        self.note(added, sender);
        over
    }

    /// Writes down what is worth it, and bans where a rule was passed that says
    /// so.
    pub(super) fn note(&self, added: Added, sender: &Sender<'_>) {
        for noted in added.noted {
            self.write_count(&noted.key, noted.level, noted.within);
        }
        if let (Some(over), Some(peer)) = (added.over, sender.peer)
            && over.rule.consequence == Consequence::Ban
        {
            self.ban_for_excess(peer, &over.rule);
        }
    }

    pub(super) fn ban_for_excess(&self, peer: IpAddr, rule: &Rule) {
        let Rule { counted, rate, .. } = rule;
        let reason = format!("{} {counted} in {} s", rate.most, rate.within.as_secs());
        self.ban_for_rule(peer, BanScope::Everything, &reason);
    }

    /// Bans by a rule, without waiting for the store.
    pub(super) fn ban_for_rule(&self, peer: IpAddr, scope: BanScope, reason: &str) {
        let (now, ban_for) = (self.seams.clock.now(), self.config().ban_for);
        let group = peer_group(peer);
        let prefix = if group.is_ipv4() { 32 } else { 64 };
        let who = Network::of(group, prefix).unwrap_or_else(|| Network::host(group));
        let ban = Ban::new(who, reason, now)
            .from(scope)
            .until(now.after(ban_for));
        if !self.bans_mut().ban(&ban) {
            return;
        }
        // It is punished: after the ban it begins anew.
        self.pardon(peer);
        self.living.tell(&who);
        tracing::info!(%who, reason, seconds = ban_for.as_secs(), "banned");
        self.write_ban(&ban);
        if let Some(event) = (self.seams.recorder).refusal(EventName::PeerBanned, Some(peer)) {
            let event = event
                .with("peer", group)
                .with("reason", reason)
                .with("until", ban.until.map_or(0, |until| until.millis()));
            self.seams.recorder.record(event);
        }
    }

    /// Forgets what led to a ban.
    pub(super) fn pardon(&self, peer: IpAddr) {
        self.guesses().forget(peer);
        self.erase_count(&login_count(peer));
        let counted = self.counts().forget(peer);
        for name in counted {
            self.erase_count(&name);
        }
    }

    pub(super) fn bans(&self) -> RwLockReadGuard<'_, Bans> {
        self.bans.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bans_mut(&self) -> RwLockWriteGuard<'_, Bans> {
        self.bans.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn guesses(&self) -> MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The services that mail of strangers comes by.
fn takes_mail(protocol: &str) -> bool {
    matches!(protocol, "smtp" | "lmtp")
}
